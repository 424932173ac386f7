"""Layers as indexes: what the kernel shows of an index and its tar is what `tar -x` unpacks; stacks of them are what the image
specification says; and a merged index is what unpacking its layers, one over the other, makes of them, and what overlayfs shows of them."""
import io
import json
import os
import pathlib
import random
import re
import shutil
import signal
import struct
import subprocess
import tarfile

import pytest

from container import HERE, RUNTIME

BUILD = os.path.dirname(os.path.abspath(RUNTIME))
TOOL = os.path.join(BUILD, "tests", "erofs", "erofs_tool")
if not os.access(TOOL, os.X_OK):  # RUNTIME names a foreign runtime
    TOOL = os.path.join(HERE, "..", "..", "build", "tests", "erofs", "erofs_tool")
VIEW = os.path.join(HERE, "..", "erofs", "tree_view.py")
PYTHON = "/usr/bin/python3"

pytestmark = pytest.mark.skipif(not os.access(TOOL, os.X_OK), reason=f"no {TOOL}: run ./dev build")


def tool(*args, fails=None):
    run = subprocess.run([TOOL, *map(str, args)], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    if fails is None:
        assert run.returncode == 0, run.stderr.decode(errors="replace")
    else:
        assert run.returncode == 1, f"{args} should have failed"
        text = run.stderr.decode(errors="replace")
        assert re.search(fails, text), text
        assert text.count("\n") == 1, text
    return run.stdout.decode()


def index(tar, **kwargs):
    """The index beside the tar, and the numbers printed about it."""
    to = tar.with_suffix(".index")
    out = tool("index", tar, to, **kwargs)
    if kwargs:
        return None
    fsck(to, tar)
    return to, json.loads(out)


def shell(script, *args):
    """Runs script in a mount namespace of its own; $1… are args."""
    run = subprocess.run(["unshare", "--mount", "--propagation", "private", "sh", "-eu", "-c", script, "sh", *map(str, args)], stdout=subprocess.PIPE,
                         stderr=subprocess.PIPE)
    assert run.returncode == 0, run.stderr.decode(errors="replace")
    return run.stdout.decode()


def parse(text):
    return [json.loads(line) for line in text.splitlines()]


def mounted(tmp_path, index_file, *tars):
    """What the kernel shows of an index."""
    (tmp_path / "mnt").mkdir(exist_ok=True)
    return parse(shell('tool=$1 view=$2 mnt=$3; shift 3; "$tool" mount "$mnt" "$@"; exec "$view" "$mnt"', TOOL, VIEW, tmp_path / "mnt", index_file, *tars))


def overlaid(tmp_path, layers):
    """What overlayfs shows of (index, tar) pairs, the lowest first."""
    for name in "merged", *(f"layer{i}" for i in range(len(layers))):
        (tmp_path / name).mkdir(exist_ok=True)
    script, lower = "", []
    for i, (idx, tar) in enumerate(layers):
        script += f"'{TOOL}' mount '{tmp_path}/layer{i}' '{idx}' '{tar}'\n"
        lower.insert(0, f"{tmp_path}/layer{i}")
    if len(lower) == 1:
        lower.append(str(tmp_path / "merged"))
    script += f"mount -t overlay overlay -o 'lowerdir={':'.join(lower)}' '{tmp_path}/merged'\nexec {VIEW} '{tmp_path}/merged'"
    return parse(shell(script))


def unpacked(tmp_path, tar):
    """What GNU tar makes of the archive."""
    to = tmp_path / "unpacked"
    to.mkdir()
    subprocess.run(["tar", "-C", to, "--xattrs", "--xattrs-include=*", "--numeric-owner", "-xpf", tar], check=True)
    return parse(subprocess.run([PYTHON, VIEW, to], stdout=subprocess.PIPE, check=True).stdout.decode())


def remove(path):
    """A tree or a file, if there is one."""
    if os.path.isdir(path) and not os.path.islink(path):
        shutil.rmtree(path)
    elif os.path.lexists(path):
        os.unlink(path)


def hide(top, names):
    """What whiteouts take away of the layers below."""
    for name in names:
        here, name = os.path.split(name)
        if not os.path.isdir(top / here) or os.path.realpath(top / here) != os.path.normpath(top / here):
            continue
        if name == ".wh..wh..opq":
            for child in os.listdir(top / here):
                remove(top / here / child)
        elif name.startswith(".wh.") and not name.startswith(".wh..wh."):
            remove(top / here / name[4:])


def unpack(top, archive, member, times):
    """One entry, over whatever is there; times: what directories are to get in the end."""
    name = os.path.normpath(member.name)
    path = top / name
    for up in [top / up for up in list(pathlib.PurePath(name).parents)[-2::-1]]:
        if os.path.islink(up) or not os.path.isdir(up):
            remove(up)
            os.mkdir(up, 0o755)
            times[up] = 0
    if os.path.basename(name).startswith(".wh."):
        return
    if member.islnk():
        if not (os.path.lexists(path) and os.path.samestat(os.lstat(path), os.lstat(top / member.linkname))):
            remove(path)
            os.link(top / member.linkname, path, follow_symlinks=False)
        return
    if not member.isdir() or os.path.islink(path) or not os.path.isdir(path):
        remove(path)
    if member.isdir():
        os.makedirs(path, exist_ok=True)
        times[path] = member.mtime
        for name in os.listxattr(path):
            os.removexattr(path, name)
    elif member.issym():
        os.symlink(member.linkname, path)
    else:
        path.write_bytes(archive.extractfile(member).read())
    os.chown(path, member.uid, member.gid, follow_symlinks=False)
    if not member.issym():
        os.chmod(path, member.mode)
    for name, value in member.pax_headers.items():
        if name.startswith("SCHILY.xattr."):
            os.setxattr(path, name.removeprefix("SCHILY.xattr."), value.encode())
    os.utime(path, (0, member.mtime), follow_symlinks=False)


def applied(top, tars):
    """Layers, each unpacked over the ones below, as the image specification has it. A directory that a layer has no entry for is not touched."""
    top.mkdir()
    times = {top: 0}
    for tar in tars:
        with tarfile.open(tar, encoding="utf-8", errors="surrogateescape") as archive:
            members = [member for member in archive if ".wh..wh.plnk" not in member.name]
            hide(top, [os.path.normpath(member.name) for member in members])
            for member in members:
                unpack(top, archive, member, times)
    for path, time in times.items():
        if path.is_dir() and not path.is_symlink():
            os.utime(path, (0, time))
    return parse(subprocess.run([PYTHON, VIEW, top], stdout=subprocess.PIPE, check=True).stdout.decode())


def of_files(lines):
    """A view without what directories say of themselves."""
    return [{"path": line["path"], "is": "directory"} if line["mode"].startswith("0o4") else line for line in lines]


def assert_same(got, want, ignore=()):
    got, want = ({line["path"]: {k: v for k, v in line.items() if k not in ignore} for line in lines} for lines in (got, want))
    assert sorted(got) == sorted(want)
    for path, line in want.items():
        assert got[path] == line


def fsck(idx, *tars):
    """erofs-utils' opinion; before 1.7 they cannot read blocks of 512 bytes."""
    program = os.environ.get("FSCK_EROFS", "fsck.erofs")
    if not shutil.which(program):
        return
    version = re.search(r"(\d+)\.(\d+)", subprocess.run([program, "--version"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT).stdout.decode())
    if not version or (int(version[1]), int(version[2])) < (1, 7):
        return
    run = subprocess.run([program, *(f"--device={tar}" for tar in tars), idx], stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    assert run.returncode == 0, run.stdout.decode(errors="replace")


# ---- archives ----

class Layer:
    """A tar made member by member."""

    def __init__(self, path):
        self.path = path
        self.tar = tarfile.open(path, "w", format=tarfile.PAX_FORMAT, encoding="utf-8", errors="surrogateescape")

    def add(self, name, kind=tarfile.REGTYPE, data=b"", link="", mode=None, uid=0, gid=0, mtime=1000, pax=None, device=(0, 0)):
        info = tarfile.TarInfo(name)
        info.type, info.size, info.linkname, info.uid, info.gid, info.mtime = kind, len(data), link, uid, gid, mtime
        info.mode = mode if mode is not None else 0o755 if kind == tarfile.DIRTYPE else 0o644
        info.devmajor, info.devminor = device
        info.pax_headers = pax or {}
        self.tar.addfile(info, io.BytesIO(data))
        return self

    def dir(self, name, **kwargs):
        return self.add(name, tarfile.DIRTYPE, **kwargs)

    def file(self, name, text="", **kwargs):
        return self.add(name, data=text.encode(), **kwargs)

    def done(self):
        self.tar.close()
        return self.path


def debian():
    """The tar that ./dev quickstart keeps."""
    with open("/etc/os-release", encoding="utf-8") as f:
        suite = re.search(r"^VERSION_CODENAME=(\S+)", f.read(), re.M)
    suite = suite[1] if suite else "stable"
    cache = os.path.join(os.environ.get("XDG_CACHE_HOME", os.path.expanduser("~/.cache")), "skep")
    tar = os.path.join(cache, f"debian-{suite}.tar")
    if not os.path.exists(tar):
        if not shutil.which("mmdebstrap"):
            pytest.skip("no mmdebstrap")
        signal.alarm(900)
        os.makedirs(cache, exist_ok=True)
        part = f"{tar}.{os.getpid()}"
        subprocess.run([*netns.of_the_machine(), "mmdebstrap", "--variant=minbase", "--mode=root", "--format=tar", "--quiet", suite, part], check=True)
        os.rename(part, tar)
    return tar


def test_debian_is_what_tar_unpacks(tmp_path):
    signal.alarm(300)
    tar = tmp_path / "layer.tar"
    os.symlink(debian(), tar)
    idx, stats = index(tar)
    assert stats["entries"] > 5000 and stats["parents"] == 0
    assert_same(mounted(tmp_path, idx, tar), unpacked(tmp_path, tar))


def test_fifty_thousand_files_are_what_tar_unpacks(tmp_path):
    signal.alarm(300)
    dice, layer = random.Random(1), Layer(tmp_path / "layer.tar")
    for package in range(1500):
        top = f"node_modules/@scope{package % 40}/package-{package}"
        for i in range(20):
            layer.file(f"{top}/lib/{'deep/' * (i % 4)}module_{i}.js", "x" * dice.randrange(1500), mtime=499162500)
    for i in range(20000):
        layer.file(f"one/{dice.randrange(1 << 40):x}-{i}", str(i), mtime=499162500)
    tar = layer.done()
    idx, stats = index(tar)
    assert stats["files"] == 50000
    assert stats["compact"] >= 50000  # npm gives all files one time
    assert stats["memory"] < 20 << 20
    # directories without an entry: tar gives them the time of day
    got, want = mounted(tmp_path, idx, tar), unpacked(tmp_path, tar)
    for line in got + want:
        if line["mode"].startswith("0o4"):
            line["mtime"] = 0
    assert_same(got, want)


def make_everything(top):
    """One of everything, and the odd ones."""
    os.makedirs(top / "dir/sub")
    os.chmod(top / "dir", 0o1777)
    (top / "file").write_bytes(random.Random(2).randbytes(1000000))
    (top / "empty").touch()
    (top / "setuid").write_text("#!/bin/sh\n")
    os.chown(top / "setuid", 70000, 4000000000)
    os.chmod(top / "setuid", 0o6755)
    os.setxattr(top / "setuid", "security.capability", bytes.fromhex("0100000200040000000000000000000000000000"))
    for size in (1, 511, 512, 513, 4095, 4096, 4097, 65536, 1 << 21):
        (top / f"size-{size}").write_bytes(random.Random(size).randbytes(size))
    for i in range(3):
        os.link(top / "file", top / f"dir/hard-{i}")
    os.symlink("file", top / "link")
    os.symlink("/" + "long/" * 800 + "end", top / "long-link")
    os.symlink("t" * 447, top / "dir/link-447")
    os.symlink("t" * 448, top / "dir/link-448")
    os.symlink("t" * 449, top / "dir/link-449")
    os.link(top / "link", top / "link-again", follow_symlinks=False)
    os.mkfifo(top / "fifo", 0o600)
    os.mknod(top / "char", 0o20660, os.makedev(4000, 1000000))
    os.mknod(top / "block", 0o60660, os.makedev(259, 300))
    os.link(top / "block", top / "block-again")
    with open(top / "sparse", "wb") as f:
        f.seek(1 << 27)
        f.write(b"end")
    with open(top / "holes", "wb") as f:
        for i in range(20):
            f.seek(i * 3 << 16)
            f.write(bytes([i + 1]) * 4096)
        f.truncate(100 << 20)
    with open(top / "hole", "wb") as f:
        f.truncate(5000001)
    os.makedirs(top / ("n" * 255) / ("m" * 255))
    for name in b"\xff\xfe", "ä\n\t".encode(), b"-", b"!", b"...", b" ", b"\\", b"a:b", b".wh", b"~":
        with open(os.path.join(os.fsencode(top), name), "wb") as f:
            f.write(name)
    os.makedirs(top / "many")
    for i in range(700):
        (top / "many" / ("e" * (i % 250) + str(i))).touch()
    for i in range(300):
        os.makedirs(top / f"sizes/{i:03}")
        for k in range(i % 40):
            (top / f"sizes/{i:03}" / ("x" * (i % 13) + str(k))).touch()
    for name in "dir", "file", "many", "empty":
        os.setxattr(top / name, "user.same", b"value")
        os.setxattr(top / name, "user.own", name.encode() * 20)
        os.setxattr(top / name, "user.empty", b"")
    os.setxattr(top / "size-512", "trusted.big", random.Random(3).randbytes(3000))
    for i in range(30):
        os.setxattr(top / "size-513", f"user.{'k' * i}{i}", b"v" * i)
    for i in range(40):
        os.setxattr(top / f"sizes/{i:03}", "user.x", b"y" * i)
    paths = [os.path.join(at, name) for at, dirs, files in os.walk(os.fsencode(top)) for name in dirs + files]
    for i, path in enumerate(sorted(paths, reverse=True)):
        os.utime(path, ns=(0, -10**18 + i * 123456789), follow_symlinks=False)


@pytest.mark.parametrize("options", [["--format=posix", "--sparse"], ["--format=posix", "--sparse", "--sparse-version=0.1"], ["--format=posix"]])
def test_everything_is_what_tar_unpacks(tmp_path, options):
    make_everything(tmp_path / "tree")
    tar = tmp_path / "layer.tar"
    if "--sparse" not in options:
        os.truncate(tmp_path / "tree/sparse", 10)
    subprocess.run(["tar", "-C", tmp_path / "tree", "--xattrs", "--xattrs-include=*", "--numeric-owner", *options, "-cf", tar, "."], check=True)
    idx, stats = index(tar)
    assert stats["specials"] == 4 and stats["hardlinks"] == 4 and stats["parents"] == 0 and stats["dropped_xattrs"] == 0
    got = mounted(tmp_path, idx, tar)
    assert_same(got, unpacked(tmp_path, tar))
    # read back and written again it is the same, and so is a stack of one
    tool("rewrite", idx, tmp_path / "again")
    assert (tmp_path / "again").read_bytes() == idx.read_bytes()
    tool("merge", tmp_path / "merged", idx)
    assert (tmp_path / "merged").read_bytes() == idx.read_bytes()


def test_pieces_and_order_make_no_difference(tmp_path):
    names = [f"d{i % 7}/{'s/' * (i % 3)}f{i}" for i in range(300)]
    indexes = set()
    for turn in range(3):
        layer = Layer(tmp_path / f"layer{turn}.tar")
        layer.dir("./", mtime=5)
        for name in random.Random(turn).sample(names, len(names)):
            layer.file(name, pax={"SCHILY.xattr.user.a": name[:2], "SCHILY.xattr.user.b": name})
        tar = layer.done()
        for piece in 1, 511, 1 << 20:
            tool("index", tar, tmp_path / "index", piece)
            indexes.add((tmp_path / "index").read_bytes())
    assert len(indexes) == 1


# ---- whiteouts ----

def lower(path):
    layer = Layer(path).dir("./", mtime=7)
    for top in "kept", "cleared", "gone", "replaced", "opaque", "dir-to-file":
        layer.dir(top, uid=1, pax={"SCHILY.xattr.user.layer": "1"})
        for name in "a", "b", "sub/c":
            layer.file(f"{top}/{name}", f"{top}/{name} of 1")
    layer.file("file", "1").file("file-gone", "1").file("file-to-dir", "1").add("link", tarfile.SYMTYPE, link="kept")
    return layer.file("hard", "hard").add("hard2", tarfile.LNKTYPE, link="hard").done()


def upper(path):
    layer = Layer(path).dir("kept", uid=2, mode=0o700).file("kept/a", "2").file("kept/new", "2").file("kept/.wh.b")
    layer.file("cleared/.wh.sub").file(".wh.gone").file(".wh.file-gone").file(".wh.absent")
    layer.file("replaced/x", "2").file(".wh.replaced")  # its own whiteout never hides it
    layer.file(".wh.opaque-new").file("opaque-new/x", "2")
    layer.file("opaque/before", "2").file("opaque/.wh..wh..opq").file("opaque/after", "2").dir("opaque/sub").file("opaque/sub/d", "2")
    layer.file("dir-to-file", "2").dir("file-to-dir").file("file-to-dir/x", "2").file("file", "2").dir("link").file("link/x", "2")
    layer.file(".wh..wh.plnk/1.2", "aufs").file("hard", "2")
    return layer.done()


EXPECTED = """cleared cleared/a cleared/b dir-to-file file file-to-dir file-to-dir/x hard hard2 kept kept/a kept/new kept/sub kept/sub/c link link/x opaque
opaque/after opaque/before opaque/sub opaque/sub/d opaque-new opaque-new/x replaced replaced/x""".split()


def test_whiteouts_and_opaque_directories(tmp_path):
    layers = [(index(tar)[0], tar) for tar in (lower(tmp_path / "1.tar"), upper(tmp_path / "2.tar"))]
    view = overlaid(tmp_path, layers)
    assert [line["name"] for line in view[1:]] == EXPECTED
    by_name = {line["name"]: line for line in view}
    assert (by_name["kept"]["uid"], by_name["kept"]["mode"], by_name["kept"]["xattrs"]) == (2, "0o40700", {})
    assert (by_name["cleared"]["uid"], by_name["cleared"]["mtime"]) == (0, 0)  # a parent without an entry
    # the merged index: the same, but for names overlayfs no longer shows and still counts, and directories that the upper layer has no entry for
    tars = [tar for _, tar in layers]
    tool("merge", tmp_path / "all", *(idx for idx, _ in layers))
    fsck(tmp_path / "all", *tars)
    merged = mounted(tmp_path, tmp_path / "all", *tars)
    assert_same(of_files(merged), of_files(view), ignore=["nlink", "same_as"])
    assert_same(merged, applied(tmp_path / "applied", tars))
    by_name = {line["name"]: line for line in merged}
    assert by_name["hard2"]["nlink"] == 1 and by_name["cleared"]["uid"] == 1 and by_name["cleared"]["xattrs"] == {"user.layer": b"1".hex()}
    assert (by_name["replaced"]["uid"], by_name["replaced"]["xattrs"]) == (0, {})  # it went, and came again


def test_directories_without_entries_stay_as_they_are(tmp_path):
    """/tmp keeps its mode when a later layer puts a file into it."""
    low = Layer(tmp_path / "1.tar").dir("./", mode=0o711, uid=5).dir("tmp", mode=0o1777, mtime=77, pax=pax(user__x="1")).dir("a").dir("a/b", uid=6).dir("gone", uid=7)
    mid = Layer(tmp_path / "2.tar").file("tmp/x", "2").file("a/b/c/x", "2").file(".wh.gone").file("gone/x", "2").file("new/x", "2")
    high = Layer(tmp_path / "3.tar").file("tmp/y", "3").file("a/b/.wh..wh..opq").dir("new", mode=0o700).dir("a", uid=8)
    tars = [low.done(), mid.done(), high.done()]
    tool("merge", tmp_path / "all", *(index(tar)[0] for tar in tars))
    view = mounted(tmp_path, tmp_path / "all", *tars)
    assert_same(view, applied(tmp_path / "applied", tars))
    by_name = {line["name"]: (line["mode"], line["uid"], line["mtime"] // 10**9) for line in view}
    assert by_name == {"": ("0o40711", 5, 1000), "tmp": ("0o41777", 0, 77), "tmp/x": ("0o100644", 0, 1000), "tmp/y": ("0o100644", 0, 1000), "a": ("0o40755", 8, 1000),
                       "a/b": ("0o40755", 6, 1000), "gone": ("0o40755", 0, 0), "gone/x": ("0o100644", 0, 1000), "new": ("0o40700", 0, 1000), "new/x": ("0o100644", 0, 1000)}


def random_layer(path, dice, number):
    names = ["a", "b", "c", "d", "longer-name"]
    layer, kinds = Layer(path), {}
    if dice.random() < .7:
        layer.dir("./", mode=0o700 + dice.randrange(64))
    for i in range(dice.randrange(5, 60)):
        parts = [dice.choice(names) for _ in range(dice.randrange(1, 5))]
        above = ["/".join(parts[:k]) for k in range(1, len(parts))]
        if any(kinds.get(up, "dir") != "dir" for up in above):
            continue
        name, what = "/".join(parts), dice.choice(["file", "file", "dir", "dir", "whiteout", "opaque", "link", "hard"])
        targets = [n for n, kind in kinds.items() if kind in ("file", "link") and not n.startswith(name + "/") and n != name]
        if what == "hard" and not targets:
            continue
        for up in above:
            kinds.setdefault(up, "dir")
        if what == "whiteout":
            layer.file("/".join(parts[:-1] + [".wh." + parts[-1]]))
            continue
        if what == "opaque":
            layer.file("/".join(parts[:-1] + [".wh..wh..opq"])) if len(parts) > 1 else None
            continue
        if what != "dir":
            for gone in [n for n in kinds if n.startswith(name + "/")]:
                del kinds[gone]
            targets = [n for n in targets if n in kinds]
        if what == "file":
            layer.file(name, f"{number}.{i}" * dice.randrange(300), uid=dice.randrange(3))
        elif what == "dir":
            layer.dir(name, mode=0o700 + dice.randrange(64), pax={"SCHILY.xattr.user.n": str(number)} if dice.random() < .3 else None)
        elif what == "link":
            layer.add(name, tarfile.SYMTYPE, link="a/b")
        elif targets:
            layer.add(name, tarfile.LNKTYPE, link=dice.choice(sorted(targets)))
            what = "file"
        kinds[name] = what
    return layer.done()


@pytest.mark.parametrize("seed", range(12))
def test_merged_index_equals_overlay(tmp_path, seed):
    dice = random.Random(seed)
    tars = [random_layer(tmp_path / f"{i}.tar", dice, i) for i in range(dice.randrange(2, 7))]
    indexes = [index(tar)[0] for tar in tars]
    tool("merge", tmp_path / "all", *indexes)
    fsck(tmp_path / "all", *tars)
    merged = mounted(tmp_path, tmp_path / "all", *tars)
    assert_same(of_files(merged), of_files(overlaid(tmp_path, list(zip(indexes, tars)))), ignore=["nlink", "same_as"])
    if seed not in (4, 7):  # in these one layer has a directory, a file and a directory again of one name: the specification forbids it
        assert_same(merged, applied(tmp_path / "applied", tars))


def test_an_opaque_root_is_told(tmp_path):
    tar = Layer(tmp_path / "1.tar").file("x", "1").file(".wh..wh..opq").done()
    idx, stats = index(tar)
    assert stats["root_opaque"] == 1
    below = Layer(tmp_path / "0.tar").file("y", "0").done()
    tool("merge", tmp_path / "all", index(below)[0], idx)
    assert [line["name"] for line in mounted(tmp_path, tmp_path / "all", below, tar)] == ["", "x"]


# ---- other writers, other file systems ----

def test_indexes_of_mkfs_erofs_are_read(tmp_path):
    mkfs = os.environ.get("MKFS_EROFS", "mkfs.erofs")
    if not shutil.which(mkfs):
        pytest.skip("no mkfs.erofs")
    make_everything(tmp_path / "tree")
    tar, theirs = tmp_path / "layer.tar", tmp_path / "theirs"
    subprocess.run(["tar", "-C", tmp_path / "tree", "--xattrs", "--xattrs-include=*", "--numeric-owner", "--format=posix", "--exclude=sparse", "--exclude=hole*",
                    "-cf", tar, "."], check=True)
    made = subprocess.run([mkfs, "--tar=i", "--sort=none", theirs, tar], stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    if made.returncode:
        pytest.skip("mkfs.erofs knows no --tar=i")
    tool("rewrite", theirs, tmp_path / "ours")
    assert_same(mounted(tmp_path, tmp_path / "ours", tar), mounted(tmp_path, theirs, tar))
    # theirs has no nanoseconds at the root
    assert_same(mounted(tmp_path, tmp_path / "ours", tar)[1:], mounted(tmp_path, index(tar)[0], tar)[1:])


def test_probe(tmp_path):
    tool("probe", tmp_path)
    tool("probe", "/dev/shm", fails="Linux 6.12")


# ---- access control lists and what is dropped ----

ACL = struct.pack("<I" + "HHI" * 4, 2, 1, 7, 0xffffffff, 2, 5, 1234, 4, 5, 0xffffffff, 0x10, 7, 0xffffffff) + struct.pack("<HHI", 0x20, 0, 0xffffffff)


def pax(**values):
    return {f"SCHILY.xattr.{name.replace('__', '.')}": value if isinstance(value, str) else value.decode("utf-8", "surrogateescape")
            for name, value in values.items()}


def test_attributes_kept_and_dropped(tmp_path):
    layer = Layer(tmp_path / "1.tar").file("acl", pax={**pax(system__posix_acl_access=ACL), **pax(user__kept="1")}, mode=0o775)
    layer.dir("dir", pax=pax(trusted__overlay__opaque="y", user__overlay__redirect="/x", security__selinux="label", com__apple__quarantine="q", user__kept="2"))
    idx, stats = index(layer.done())
    assert stats["dropped_xattrs"] == 4
    view = {line["name"]: line["xattrs"] for line in mounted(tmp_path, idx, tmp_path / "1.tar")}
    assert view["acl"] == {"system.posix_acl_access": ACL.hex(), "user.kept": b"1".hex()}
    assert view["dir"] == {"user.kept": b"2".hex()}
    broken = Layer(tmp_path / "2.tar").file("x", pax=pax(system__posix_acl_access="junk")).done()
    index(broken, fails='layer: "x": attribute system.posix_acl_access is no access control list')


# ---- hostile layers ----

HOSTILE = {
    "below a link": (lambda t: t.add("l", tarfile.SYMTYPE, link="/etc").file("l/passwd", "x"), 'layer: "l/passwd": "l" above it is no directory'),
    "below a file": (lambda t: t.file("f").file("f/x/y"), 'layer: "f/x/y": "f" above it is no directory'),
    "below a hard link": (lambda t: t.file("f").add("h", tarfile.LNKTYPE, link="f").dir("h/x"), '"h" above it is no directory'),
    "whiteout below a file": (lambda t: t.file("f").file("f/.wh.x"), 'layer: "f/.wh.x": "f" above it is no directory'),
    "forged whiteout": (lambda t: t.add("x", tarfile.CHRTYPE, device=(0, 0)), 'layer: "x": a character device 0:0'),
    "nameless whiteout": (lambda t: t.file("d/.wh."), 'layer: "d/.wh.": a whiteout that names nothing'),
    "whiteout of dot": (lambda t: t.file(".wh.."), "a whiteout that names nothing"),
    "whiteout of dots": (lambda t: t.file(".wh..."), "a whiteout that names nothing"),
    "link to nothing": (lambda t: t.add("h", tarfile.LNKTYPE, link="etc/shadow"), 'layer: "h": hard link to "etc/shadow", which is not in the layer'),
    "link forward": (lambda t: t.add("h", tarfile.LNKTYPE, link="f").file("f"), "which is not in the layer"),
    "link to a directory": (lambda t: t.dir("d").add("h", tarfile.LNKTYPE, link="d"), 'hard link to "d", a directory'),
    "link to a whiteout": (lambda t: t.file(".wh.w").add("h", tarfile.LNKTYPE, link="w"), "which is not in the layer"),
    "link through a link": (lambda t: t.file("d/f").add("l", tarfile.SYMTYPE, link="d").add("h", tarfile.LNKTYPE, link="l/f"), "which is not in the layer"),
    "link below itself": (lambda t: t.file("d/f").add("d", tarfile.LNKTYPE, link="d/f"), 'hard link to "d/f", which lies below it'),
    "root a link": (lambda t: t.add("./", tarfile.SYMTYPE, link="/etc"), "root"),
    "device number": (lambda t: t.add("x", tarfile.BLKTYPE, device=(4096, 0)), "device number"),
    "attribute too large": (lambda t: t.file("x", pax=pax(user__big="v" * 65536)), "65536"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_layers_are_refused(tmp_path, name):
    make, message = HOSTILE[name]
    layer = Layer(tmp_path / "layer.tar")
    make(layer)
    index(layer.done(), fails=message)


def test_later_entries_win(tmp_path):
    layer = Layer(tmp_path / "layer.tar")
    layer.file("f", "one").file("f", "two", mode=0o600).dir("d", uid=1).file("d/x", "x").dir("d", uid=2)
    layer.dir("gone").file("gone/x").file("gone", "file").file("was", "file").dir("was").file("was/x")
    layer.file("target", "first").add("hard", tarfile.LNKTYPE, link="target").file("target", "second")
    layer.file("late/x", "x").dir("late", mode=0o711)
    layer.file("same", "s").add("same2", tarfile.LNKTYPE, link="same").add("same", tarfile.LNKTYPE, link="same2")
    idx, stats = index(layer.done())
    got = {line["name"]: line for line in mounted(tmp_path, idx, tmp_path / "layer.tar")}
    assert " ".join(got) == " d d/x f gone hard late late/x same same2 target was was/x"
    assert (got["f"]["mode"], got["f"]["size"], got["d"]["uid"]) == ("0o100600", 3, 2)
    assert (got["hard"]["size"], got["hard"]["nlink"], got["target"]["size"]) == (5, 1, 6)
    assert got["late"]["mode"] == "0o40711" and got["same"]["nlink"] == 2
    assert stats["replaced"] == 6 and stats["parents"] == 1
