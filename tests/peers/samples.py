"""The images that are compared: real input, made once and kept in the cache, or trees with one of everything, made here.

prepare() fetches what comes from outside, before the tests enter their world, which has no network. An image becomes one through
`skep image bootstrap`, or as an OCI layout, written here byte for byte, that `skep load` reads.
"""
import hashlib
import json
import os
import random
import shutil
import struct
import subprocess
import sys
import tarfile

import pytest

from stores import CONFIG, INDEX, LAYER, MANIFEST, dumps, sha
from test_erofs import ACL, Layer, debian, make_everything, pax
from test_snapshot import made_below_an_opaque_root, made_of_npm, made_of_one_layer_twice, made_of_whiteouts, package

DOMAIN = "docker.io/library/"
COMPRESS = {"": None, "gzip": ["gzip", "-n", "-1", "-c"], "zstd": ["zstd", "-q", "-1", "-c"]}
INPUTS = {} # by name: a path, a list of paths, or why there is none


def fetch(name, make):
    try:
        INPUTS[name] = make()
    except pytest.skip.Exception as e:
        INPUTS[name] = e


def given(name):
    if isinstance(INPUTS[name], Exception):
        pytest.skip(str(INPUTS[name]))
    return INPUTS[name]


def prepare():
    fetch("debian", debian)
    release = f"python3.{sys.version_info.minor}" # Debian's own, which runs the tests
    fetch("python", lambda: [*map(package, [f"lib{release}-minimal", f"lib{release}-stdlib", f"{release}-minimal", release])])
    fetch("packages", lambda: [*map(package, ["perl-base", "tzdata", "ncurses-term"])])
    fetch("node", lambda: made_of_npm(None)[0])


# ---- the trees ----

def alternate(paths, *kinds):
    return [(path, kinds[i % len(kinds)]) for i, path in enumerate(paths)]


def python(_):
    return alternate([given("debian"), *given("python")], "gzip")


def node(top):
    """Some packages of npm, and a layer that updates them: deep names, and what was there before."""
    with tarfile.open(given("node")) as tar:
        packages = sorted({m.name.split("/")[2] for m in tar if m.name.count("/") == 2 and m.isdir() and m.name.startswith("./node_modules/")})
    update = Layer(top / "update.tar").file(f"node_modules/.wh.{packages[3]}").file("node_modules/lodash/.wh.fp").file("node_modules/express/index.js", "// newer\n")
    update.dir("node_modules/express/node_modules/deep/er", mode=0o2755).file("node_modules/express/node_modules/deep/er/index.js", "")
    return [(given("node"), "gzip"), (update.done(), "zstd")]


def packages(_):
    return alternate(given("packages"), "zstd", "gzip")


def hardlinks(top):
    """Across directories, to a symbolic link, a device and a fifo; broken up and joined again by later layers."""
    low = Layer(top / "1.tar").dir("a").dir("a/deep").dir("b").file("a/one", "one" * 400, mode=0o4755, uid=7, gid=8, pax=pax(user__x="1"))
    for name in "a/two", "a/deep/three", "b/four", "five":
        low.add(name, tarfile.LNKTYPE, link="a/one", mode=0o4755, uid=7, gid=8)
    low.add("a/link", tarfile.SYMTYPE, link="one").add("b/link", tarfile.LNKTYPE, link="a/link")
    low.add("null", tarfile.CHRTYPE, device=(1, 3), mode=0o666).add("b/null", tarfile.LNKTYPE, link="null", mode=0o666)
    low.add("a/fifo", tarfile.FIFOTYPE).add("fifo", tarfile.LNKTYPE, link="a/fifo")
    low.file("empty").add("b/empty", tarfile.LNKTYPE, link="empty").file("w", "w").add("w2", tarfile.LNKTYPE, link="w").add("w3", tarfile.LNKTYPE, link="w2")
    mid = Layer(top / "2.tar").file("a/one", "changed", mode=0o600).file("b/.wh.four").file("n1", "new").add("b/n2", tarfile.LNKTYPE, link="n1").file(".wh.w2")
    return [(low.done(), "gzip"), (mid.done(), "gzip")]


CAPABILITY = {2: struct.pack("<5I", 0x02000001, 1 << 13, 0, 0, 0), 3: struct.pack("<6I", 0x03000001, 1 << 10, 0, 0, 0, 100000)} # VFS_CAP_REVISION_2, _3
DEFAULT_ACL = struct.pack("<I" + "HHI" * 5, 2, 1, 7, 0xffffffff, 2, 6, 55, 4, 5, 0xffffffff, 0x10, 7, 0xffffffff, 0x20, 0, 0xffffffff)


def xattrs(top):
    """As they stand on a disk: user.*, capabilities of files as setcap writes them, of the older and the newer form, access control lists."""
    tree = top / "tree"
    (tree / "bin").mkdir(parents=True)
    shutil.copy("/bin/busybox", tree / "bin/ping")
    os.setxattr(tree / "bin/ping", "security.capability", CAPABILITY[2])
    (tree / "bin/serve").write_text("#!/bin/sh\n")
    os.setxattr(tree / "bin/serve", "security.capability", CAPABILITY[3])
    for name, value in (("user.text", b"text"), ("user.empty", b""), ("user.binary", bytes(range(256))), ("user.long", b"v" * 2000), ("user.ä ö", "ü".encode())):
        (tree / name.encode("ascii", "replace").decode()).touch()
        os.setxattr(tree / name.encode("ascii", "replace").decode(), name, value)
        os.setxattr(tree / "bin", name, value)
    (tree / "shared").mkdir()
    os.setxattr(tree / "shared", "system.posix_acl_default", DEFAULT_ACL)
    (tree / "shared/inherits").touch()
    (tree / "acl").touch()
    os.setxattr(tree / "acl", "system.posix_acl_access", ACL)
    (tree / "trusted").touch()
    os.setxattr(tree / "trusted", "trusted.x", b"\0\xff")
    for here, folders, files in os.walk(tree):
        for name in [".", *folders, *files]:
            os.utime(os.path.join(here, name), ns=(0, 1700000000123456789), follow_symlinks=False)
    tar = top / "xattrs.tar"
    subprocess.run(["tar", "-C", tree, "--xattrs", "--xattrs-include=*", "--numeric-owner", "--format=posix", "--sort=name", "-cf", tar, "."], check=True)
    change = Layer(top / "change.tar").file("acl", "without").file("trusted", "with another", pax=pax(user__now="1"))
    return [(tar, "gzip"), (change.done(), "gzip")]


def whiteouts(top):
    """Names that go, come back as something else, and go again, over five layers."""
    low, mid, high = made_of_whiteouts(top)
    more = Layer(top / "4.tar").dir("d").file("d/.wh.c").file(".wh.gone").dir("file").file("file/now", "a directory").add("kept", tarfile.SYMTYPE, link="d")
    last = Layer(top / "5.tar").file("gone", "a file again").file(".wh.both").file("empty/.wh.nothing").file(".wh.hard")
    return alternate([low, mid, high, more.done(), last.done()], "gzip")


def opaque(top):
    """Directories that hide what was in them: at several depths, of an absent one, twice, and the root itself."""
    (top / "root").mkdir()
    low = Layer(top / "1.tar").dir("a", uid=3).dir("a/b", uid=4).file("a/b/low", "1").file("a/low", "1").dir("c").file("c/low", "1").dir("c/d").file("c/d/low", "1")
    mid = Layer(top / "2.tar").dir("a", uid=5).dir("a/b", uid=6, mode=0o700).file("a/b/.wh..wh..opq").file("a/b/mid", "2").file("a/mid", "2")
    mid.dir("new").file("new/.wh..wh..opq").file("new/x", "2").dir("c").file("c/.wh..wh..opq").dir("c/d").file("c/d/mid", "2")
    high = Layer(top / "3.tar").dir("a").file("a/.wh..wh..opq").file("a/high", "3").dir("c").dir("c/d").file("c/d/.wh..wh..opq").file("c/d/high", "3")
    return alternate([*made_below_an_opaque_root(top / "root"), low.done(), mid.done(), high.done()], "gzip", "zstd")


def odd(top):
    """Long names and ones in no known encoding, sparse files, devices, fifos, setuid, numbers at their ends."""
    make_everything(top / "tree")
    subprocess.run(["tar", "-C", top / "tree", "--xattrs", "--xattrs-include=*", "--numeric-owner", "--format=posix", "--sparse", "--sort=name", "-cf", top / "odd.tar", "."],
                   check=True)
    shutil.rmtree(top / "tree")
    return [(top / "odd.tar", "gzip")]


class History:
    """A tree that lives through changes, each of them a layer as engines write it: directories are described, nothing comes twice."""

    def __init__(self, dice):
        self.dice, self.tree = dice, {"": {"mode": 0o755}} # None: no directory
        self.layer, self.touched = None, set()

    def below(self, path):
        return [name for name in self.tree if name.startswith(path + "/") or name == path]

    def describe(self, path):
        """The directories above, as they are."""
        for up in ["/".join(path.split("/")[:n]) for n in range(1, path.count("/") + 1)]:
            if up not in self.touched:
                self.layer.dir(up, **self.tree[up])
                self.touched.add(up)

    def put(self, path, what):
        dice, parent = self.dice, path.rpartition("/")[0]
        self.describe(path)
        for gone in self.below(path):
            del self.tree[gone]
        self.touched.add(path)
        self.tree[path] = {"mode": 0o700 + dice.randrange(64), "uid": dice.randrange(3), "mtime": dice.randrange(1000, 2000)} if what in ("dir", "opaque") else None
        if what in ("dir", "opaque"):
            self.layer.dir(path, **self.tree[path])
            if what == "opaque":
                self.layer.file(f"{path}/.wh..wh..opq")
        elif what == "gone":
            del self.tree[path]
            self.layer.file(f"{parent}/.wh.{path.rpartition('/')[2]}".lstrip("/"))
        elif what == "link":
            self.layer.add(path, tarfile.SYMTYPE, link="a/b")
        else:
            attributes = {"mode": 0o600 + dice.randrange(64), "uid": dice.randrange(3)}
            self.layer.file(path, f"{len(self.tree)} " * dice.randrange(500), **attributes)
            if what == "hard":
                self.touched.add(path + "-2")
                self.tree[path + "-2"] = None
                self.layer.add(path + "-2", tarfile.LNKTYPE, link=path, **attributes)

    def change(self):
        here = self.dice.choice([name for name, is_dir in sorted(self.tree.items()) if is_dir])
        path = f"{here}/{self.dice.choice('abcdefgh')}".lstrip("/")
        if any(name in self.touched for name in [*self.below(path), path, path + "-2"]):
            return
        there = path in self.tree
        self.put(path, self.dice.choice(["gone", "opaque", "file", "dir"] if there and self.tree[path] else ["gone", "file", "link"] if there else ["file", "dir", "dir", "link", "hard"]))

    def write(self, path, changes):
        self.layer, self.touched = Layer(path), set()
        for _ in range(changes):
            self.change()
        return self.layer.done()


def ten(top):
    """Ten layers of changes by chance, compressed in turn as gzip, zstd and not at all; the last two take a file away and bring it back."""
    history = History(random.Random(10))
    tars = [history.write(top / f"{i}.tar", 60) for i in range(7)]
    (top / "twice").mkdir()
    return alternate([*tars, *made_of_one_layer_twice(top / "twice")], "gzip", "zstd", "")


MADE = {f.__name__: f for f in (python, node, packages, hardlinks, xattrs, whiteouts, opaque, odd, ten)}
BOOTSTRAPPED = {"debian": "debian:bookworm", "busybox": "busybox"}
NAMES = [*BOOTSTRAPPED, *MADE]
TREES = [name for name in NAMES if name != "debian"] # whose tree is in the lowest layer of python


def each(names, large=""):
    """A test for each of these images; for some of them only with ./dev check --all."""
    return pytest.mark.parametrize("name", [pytest.param(name, marks=[pytest.mark.large] if name in large.split() else []) for name in names])


REFERENCES = {name: DOMAIN + BOOTSTRAPPED.get(name, name) for name in NAMES}
REFERENCES = {name: ref if ":" in ref else ref + ":latest" for name, ref in REFERENCES.items()}


# ---- images of them ----

def compress(tar, how, to):
    if how:
        with open(to, "wb") as out:
            subprocess.run([*COMPRESS[how], tar], stdout=out, check=True)
    else:
        shutil.copy(tar, to)


def file_digest(path):
    with open(path, "rb") as f:
        return hashlib.file_digest(f, "sha256").hexdigest()


def write_layout(top, reference, layers, architecture="amd64"):
    """An OCI layout of one image; layers: (tar, compression) from the lowest up."""
    blobs = top / "blobs/sha256"
    blobs.mkdir(parents=True, exist_ok=True)

    def put(data):
        (blobs / sha(data)).write_bytes(data)
        return {"digest": "sha256:" + sha(data), "size": len(data)}

    described, ids = [], []
    for tar, how in layers:
        compress(tar, how, top / "part")
        digest = file_digest(top / "part")
        os.rename(top / "part", blobs / digest)
        described.append({"mediaType": LAYER + (f"+{how}" if how else ""), "digest": f"sha256:{digest}", "size": os.stat(blobs / digest).st_size})
        ids.append("sha256:" + file_digest(tar))
    config = put(dumps({"created": "2024-01-02T03:04:05Z", "architecture": architecture, "os": "linux", "config": {"Cmd": ["sh"], "Env": ["PATH=/bin"], "Labels": {"of": reference}},
                        "rootfs": {"type": "layers", "diff_ids": ids}, "history": [{"created": "2024-01-02T03:04:05Z", "created_by": f"layer {n}"} for n in range(len(ids))]}))
    manifest = put(dumps({"schemaVersion": 2, "mediaType": MANIFEST, "config": {"mediaType": CONFIG, **config}, "layers": described, "annotations": {"kept": "as it is"}}))
    entry = {"mediaType": MANIFEST, **manifest, "annotations": {"io.containerd.image.name": reference, "org.opencontainers.image.ref.name": reference}}
    (top / "oci-layout").write_text('{"imageLayoutVersion":"1.0.0"}')
    (top / "index.json").write_bytes(dumps({"schemaVersion": 2, "mediaType": INDEX, "manifests": [entry]}))
    return manifest["digest"]


def add(skep, name, top):
    """The image of that name, into a store of skep."""
    top.mkdir()
    if name == "debian":
        # what mmdebstrap made once: its part of the work takes a minute
        double = top / "mmdebstrap"
        double.write_text(f"#!/bin/sh\nexec cat {given('debian')}\n")
        double.chmod(0o755)
        skep("image", "bootstrap", BOOTSTRAPPED[name], PATH=f"{top}:{os.environ['PATH']}").ok()
    elif name in BOOTSTRAPPED:
        skep("image", "bootstrap", BOOTSTRAPPED[name]).ok()
    else:
        write_layout(top / "layout", REFERENCES[name], MADE[name](top))
        skep("load", "-i", top / "layout").ok()
    shutil.rmtree(top)
