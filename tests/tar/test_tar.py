"""Archives of GNU tar, bsdtar and Python's tarfile: our reader sees what Python sees, whatever the format; and what our writer
writes, they list and unpack as they do the original."""
import os
import shutil
import socket
import stat
import subprocess
import tarfile
import zlib
from decimal import Decimal
from urllib.parse import unquote_to_bytes

import pytest

DUMP = os.environ["TAR_DUMP"]
TYPES = {tarfile.REGTYPE: "file", tarfile.AREGTYPE: "file", tarfile.CONTTYPE: "file", tarfile.GNUTYPE_SPARSE: "file", tarfile.LNKTYPE: "hard link",
         tarfile.SYMTYPE: "symbolic link", tarfile.CHRTYPE: "character device", tarfile.BLKTYPE: "block device", tarfile.DIRTYPE: "directory",
         tarfile.FIFOTYPE: "fifo"}
needs_bsdtar = pytest.mark.skipif(not shutil.which("bsdtar"), reason="no bsdtar: apt install libarchive-tools")
root = os.geteuid() == 0


def run(*command, **options):
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, env={**os.environ, "TZ": "UTC", "LC_ALL": "C.UTF-8"}, **options).stdout


def clean(name):
    """As tar.h has it."""
    return "/".join(part for part in name.split("/") if part not in ("", "."))


def ours(archive, chunk=1 << 20):
    members = []
    for line in run(DUMP, "list", str(chunk), input=archive).decode().splitlines():
        kind, path, link, mode, uid, gid, uname, gname, mtime, device, size, offset, crc, *xattrs = line.split("\t")
        members.append({
            "type": kind, "path": unquote_to_bytes(path), "link": unquote_to_bytes(link), "mode": int(mode, 8), "uid": int(uid), "gid": int(gid),
            "uname": unquote_to_bytes(uname), "gname": unquote_to_bytes(gname),
            "mtime": sum(Decimal(part) / 10 ** (9 * i) for i, part in enumerate(mtime.split("."))), "device": device, "size": int(size),
            "offset": int(offset), "crc": crc, "xattrs": dict(x.rsplit("=", 1) for x in xattrs)})
    return members


def encode(text):
    return text.encode("utf-8", "surrogateescape")


def pythons(path, whole=True):
    members = []
    with tarfile.open(path, "r:", encoding="utf-8", errors="surrogateescape") as archive:
        for m in archive:
            device = m.type in (tarfile.CHRTYPE, tarfile.BLKTYPE)
            link = {tarfile.SYMTYPE: m.linkname, tarfile.LNKTYPE: clean(m.linkname)}.get(m.type, "")
            data = archive.extractfile(m).read() if m.isreg() else b""
            members.append({
                "type": TYPES[m.type], "path": encode(clean(m.name)), "link": encode(link), "mode": m.mode & 0o7777, "uid": m.uid, "gid": m.gid,
                "uname": encode(m.uname), "gname": encode(m.gname), "mtime": Decimal(m.pax_headers.get("mtime", str(m.mtime))),
                "device": f"{m.devmajor}:{m.devminor}" if device else "0:0", "size": len(data) if m.isreg() else 0, "offset": m.offset_data,
                "crc": f"{zlib.crc32(data):08x}",
                "xattrs": {k.removeprefix("SCHILY.xattr."): encode(v).hex() for k, v in m.pax_headers.items() if k.startswith("SCHILY.xattr.")}})
    return members


def same(archive_path, sparse=False):
    """Ours and Python's view; ours with small pieces as well. Python counts the offset of sparse data from before the map."""
    with open(archive_path, "rb") as f:
        archive = f.read()
    mine, other = ours(archive), pythons(archive_path)
    assert mine, "no members"
    assert ours(archive, 61) == mine
    if sparse:
        for a, b in zip(mine, other):
            a["offset"] = b["offset"]
    assert mine == other
    return archive, mine


def rewritten(archive, where):
    """Our writer's form of it: deterministic, a fixed point, and seen in the same way."""
    new = run(DUMP, "write", input=archive)
    assert run(DUMP, "write", "61", input=archive) == new
    assert run(DUMP, "write", input=new) == new
    a, b = ours(archive), ours(new)
    for m in a + b:
        del m["offset"]
    assert a == b
    path = where / "rewritten.tar"
    path.write_bytes(new)
    same(path)
    return path


def make_tree(where, long_names):
    """A file of each kind, and names that the formats find hard. Returns how many members it makes."""
    where.mkdir()
    (where / "empty").touch()
    (where / "hello").write_text("hello")
    (where / "block").write_bytes(bytes(range(256)) * 2)
    (where / "big").write_bytes(os.urandom(100_001))
    (where / "dir").mkdir(mode=0o700)
    (where / "dir" / "käse").write_text("non-ASCII")
    os.symlink("../no/where//", where / "dir" / "link")
    os.link(where / "hello", where / "zz-hard")
    os.chmod(where / "hello", 0o4755)
    os.utime(where / "empty", ns=(0, 1_234_567_890_000_000_000))
    if root:
        os.chown(where / "big", 12345, 54321)
    if long_names:
        os.mkfifo(where / "fifo")
        if root:
            os.chown(where / "block", 3_000_000, 4_294_967_294)
            try:
                os.mknod(where / "device", stat.S_IFCHR | 0o640, os.makedev(7, 300))
            except PermissionError:
                pass
        deep = where / ("d" * 90) / ("e" * 200)
        deep.mkdir(parents=True)
        (deep / ("f" * 100)).write_text("long")
        (deep / ("g" * 255)).write_text("longer")
        os.symlink("t/" * 60, where / "long-link")
        os.link(deep / ("f" * 100), where / "zz-long-hard")
        open(os.fsencode(where) + b"/bytes-\xff\xfe", "w").close()


def make_sparse(path, extents, size):
    with open(path, "wb") as f:
        for at, n in extents:
            f.seek(at)
            f.write(b"x" * n)
        f.truncate(size)


def listing(tool, path):
    """Each tool's verbose list; bsdtar's ends with the name of the format."""
    if tool == "tar":
        return run("tar", "-tvv", "--numeric-owner", "--full-time", "--quoting-style=escape", "-f", path)
    return [line for line in run("bsdtar", "--numeric-owner", "-tvvf", path).splitlines() if not line.startswith(b"Archive Format:")]


def make(path, tree, *command):
    run(*command, "-cf", path, "-C", tree, "--", *sorted(os.listdir(os.fsencode(tree))))


@pytest.mark.parametrize("format", ["v7", "oldgnu", "gnu", "ustar", "posix"])
def test_gnu_tar(tmp_path, format):
    make_tree(tmp_path / "tree", long_names=format not in ("v7", "ustar"))
    archive = tmp_path / "a.tar"
    make(archive, tmp_path / "tree", "tar", f"--format={format}")
    data, _ = same(archive)
    new = rewritten(data, tmp_path)
    assert listing("tar", new) == listing("tar", archive)


@needs_bsdtar
@pytest.mark.parametrize("format", ["v7", "gnutar", "ustar", "pax", "paxr"])
def test_bsdtar(tmp_path, format):
    make_tree(tmp_path / "tree", long_names=format not in ("v7", "ustar"))
    archive = tmp_path / "a.tar"
    make(archive, tmp_path / "tree", "bsdtar", f"--format={format}")
    data, _ = same(archive)
    new = rewritten(data, tmp_path)
    assert listing("bsdtar", new) == listing("bsdtar", archive)


@pytest.mark.parametrize("format", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_python(tmp_path, format):
    make_tree(tmp_path / "tree", long_names=format != tarfile.USTAR_FORMAT)
    archive = tmp_path / "a.tar"
    with tarfile.open(archive, "w:", format=format, pax_headers={"comment": "of the archive"} if format == tarfile.PAX_FORMAT else {}) as a:
        for name in sorted(os.listdir(tmp_path / "tree")):
            a.add(tmp_path / "tree" / name, name)
        for i, (time, uid) in enumerate([(-1.5, 0), (0.25, 1), (1 << 34, 2_097_152), (-5, 4_294_967_294)]):
            member = tarfile.TarInfo(f"made-{i}")
            member.mtime, member.uid = time, uid
            if format != tarfile.USTAR_FORMAT:
                a.addfile(member)
    with open(archive, "rb") as f:
        data = f.read()
    mine, other = ours(data), pythons(archive)
    for m in mine + other:
        m["mtime"] = round(m["mtime"], 6)  # Python writes floats
    assert mine == other
    rewritten(data, tmp_path)


SPARSE = {
    "hole-end": ([(0, 4096)], 1 << 20),
    "hole-start": ([(1 << 20, 5)], (1 << 20) + 5),
    "all-hole": ([], 1 << 20),
    "many": ([(i * 65536, 4096) for i in range(60)], 60 * 65536),
    "plain": ([(0, 5000)], 5000),
}


@pytest.mark.parametrize("kind", ["--format=gnu", "--format=oldgnu", "--sparse-version=0.0", "--sparse-version=0.1", "--sparse-version=1.0"])
def test_sparse(tmp_path, kind):
    tree = tmp_path / "tree"
    tree.mkdir()
    for name, (extents, size) in SPARSE.items():
        make_sparse(tree / name, extents, size)
    archive = tmp_path / "a.tar"
    make(archive, tree, "tar", "--sparse", kind, *(["--format=posix"] if "version" in kind else []))
    assert archive.stat().st_size < 1 << 20, "not sparse"
    data, members = same(archive, sparse=True)
    assert {m["path"].decode(): m["size"] for m in members} == {name: size for name, (_, size) in SPARSE.items()}
    new = rewritten(data, tmp_path)
    assert listing("tar", new) == listing("tar", archive)


@needs_bsdtar
def test_bsdtar_sparse(tmp_path):
    tree = tmp_path / "tree"
    tree.mkdir()
    for name, (extents, size) in SPARSE.items():
        make_sparse(tree / name, extents, size)
    archive = tmp_path / "a.tar"
    make(archive, tree, "bsdtar", "--format=pax", "--read-sparse")
    data, _ = same(archive, sparse=True)
    new = rewritten(data, tmp_path)
    assert listing("bsdtar", new) == listing("bsdtar", archive)


def make_xattrs(path):
    path.touch()
    values = {b"user.a": b"1", b"user.empty": b"", b"user.binary": bytes(range(256)), b"user.equals=%": b"x=y\n", b"user.long": b"z" * 3000}
    try:
        for name, value in values.items():
            os.setxattr(path, name, value)
    except OSError as e:
        pytest.skip(f"no user attributes on this file system: {e}")
    return {name.decode(): value.hex() for name, value in values.items()}


def test_xattrs_of_gnu_tar(tmp_path):
    tree = tmp_path / "tree"
    tree.mkdir()
    want = make_xattrs(tree / "a")
    archive = tmp_path / "a.tar"
    make(archive, tree, "tar", "--xattrs", "--xattrs-include=*")
    assert ours(archive.read_bytes())[0]["xattrs"] == want
    # unpacked by GNU tar, what our writer wrote has them all
    path, to = tmp_path / "new.tar", tmp_path / "to"
    path.write_bytes(run(DUMP, "write", input=archive.read_bytes()))
    to.mkdir()
    run("tar", "--xattrs", "--xattrs-include=*", "-xf", path, "-C", to)
    assert {name: os.getxattr(to / "a", name).hex() for name in os.listxattr(to / "a") if name.startswith("user.")} == want


@needs_bsdtar
def test_xattrs_of_bsdtar(tmp_path):
    tree = tmp_path / "tree"
    tree.mkdir()
    want = make_xattrs(tree / "a")
    archive = tmp_path / "a.tar"
    make(archive, tree, "bsdtar", "--format=pax", "--xattrs")
    data = archive.read_bytes()
    mine = ours(data)[0]["xattrs"]
    assert b"LIBARCHIVE.xattr." in data
    assert mine == want
    # its own spelling alone: every SCHILY record renamed to what nobody knows
    assert ours(data.replace(b"SCHILY.xattr.", b"SCHILX.xattr."))[0]["xattrs"] == want


def test_unpacked(tmp_path):
    """GNU tar makes the same tree of what our writer wrote."""
    make_tree(tmp_path / "tree", long_names=True)
    run("tar", "--format=posix", "-cf", tmp_path / "a.tar", "-C", tmp_path / "tree", ".")
    data, members = same(tmp_path / "a.tar")
    assert members[0]["path"] == b""
    new, to = rewritten(data, tmp_path), tmp_path / "to"
    to.mkdir()
    run("tar", "-xpf", new, "-C", to)
    run("diff", "-r", "--no-dereference", tmp_path / "tree" / "dir", to / "dir")
    assert run("tar", "-df", tmp_path / "a.tar", "-C", to) == b""


def test_sockets_have_no_place(tmp_path):
    """What tar leaves out does not shift what follows."""
    tree = tmp_path / "tree"
    tree.mkdir()
    with socket.socket(socket.AF_UNIX) as s:
        s.bind(os.fspath(tree / "a"))
        (tree / "b").write_text("b")
        subprocess.run(["tar", "-cf", tmp_path / "a.tar", "-C", tree, "a", "b"], check=True, stderr=subprocess.DEVNULL)
    _, members = same(tmp_path / "a.tar")
    assert [m["path"] for m in members] == [b"b"]


@pytest.mark.parametrize("cut", [1, 511, 512, 1000])
def test_truncated(tmp_path, cut):
    make_tree(tmp_path / "tree", long_names=False)
    run("tar", "--format=posix", "-cf", tmp_path / "a.tar", "-C", tmp_path / "tree", "big")
    with open(tmp_path / "a.tar", "rb") as f:
        data = f.read()[:512 * 3 + 100_001 - cut]
    done = subprocess.run([DUMP, "list"], input=data, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert done.returncode == 1
    assert done.stderr.decode() == f'tar: byte {len(data)}: the archive is truncated, in "big"\n'
