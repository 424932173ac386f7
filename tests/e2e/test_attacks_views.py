"""Hostile layers that the specification allows: mounted and unpacked alike they show what is safe, and nothing of the host. The groups are
those of docs/attacks.md."""
import hashlib
import json
import os
import signal
import struct

import pytest

from attacks import CANARY, Image, Victim, built, header, member, pax, skep, tar, tar_of
from test_erofs import shell

pytestmark = built

LINK, HARD, CHAR, BLOCK, DIR, FIFO = b"2", b"1", b"3", b"4", b"5", b"6"
ABS = CANARY[1:]
NOBODY = 0xffffffff
CAPABILITY = bytes.fromhex("0100000200040000000000000000000000000000")
ACL = struct.pack("<I" + "HHI" * 5, 2, 1, 7, NOBODY, 2, 5, 1234, 4, 5, NOBODY, 0x10, 7, NOBODY, 0x20, 0, NOBODY)
HEADER = member("inner", b"i" * 5)  # a member in the contents of another


def link(name, target):
    return member(name, kind=LINK, link=target)


def hard(name, target, **more):
    return member(name, kind=HARD, link=target, **more)


def folder(name, **more):
    return member(name, kind=DIR, **{"mode": 0o755, **more})


def xattrs(*pairs):
    return [("SCHILY.xattr." + name, value) for name, value in pairs]


def names_of(text):
    return sorted(text.split(" "))


def tree(*paths):
    """All names on the way to these."""
    return sorted({"/".join(path.split("/")[:n]) for path in paths for n in range(1, len(path.split("/")) + 1)})


# what: the layers, the names that are there, and more of some of them: contents as bytes, a link's target as text, a mode as a number
# (with the type), attributes as a dict
VIEWS = {
    # 1
    "01 absolute names": ([tar(member(CANARY + "/file", b"evil"), member("//etc//passwd", b"x"))], tree(ABS + "/file", "etc/passwd"), {ABS + "/file": b"evil"}),
    "01 dots that lead nowhere": ([tar(member(".///./a/.//b", b"x"), member("..x/...", b"y"))], names_of("a a/b ..x ..x/..."), {"a/b": b"x"}),
    "01 links that lead out stay links": ([tar(link("l", CANARY), link("m", "../../../../etc"))], ["l", "m"], {"l": CANARY, "m": "../../../../etc"}),
    # 2: through links of an earlier layer
    "02 a file": ([tar(link("l", CANARY)), tar(member("l/file", b"evil"))], ["l", "l/file"], {"l": 0o40755, "l/file": b"evil"}),
    "02 a directory": ([tar(link("l", CANARY)), tar(folder("l/dir/new", mode=0o700))], names_of("l l/dir l/dir/new"), {"l/dir/new": 0o40700}),
    "02 over the link itself": ([tar(folder("etc"), link("etc/passwd", CANARY + "/file")), tar(member("etc/passwd", b"root:x:0"))], ["etc", "etc/passwd"],
                                {"etc/passwd": b"root:x:0"}),
    "02 a file through a link inside": ([tar(folder("d"), member("d/f", b"1"), link("l", "d")), tar(member("l/f", b"2"))], names_of("d d/f l l/f"),
                                        {"d/f": b"1", "l/f": b"2"}),
    "02 a whiteout": ([tar(link("l", CANARY)), tar(member("l/.wh.file"))], ["l"], {"l": 0o40755}),
    "02 an opaque mark": ([tar(link("l", CANARY)), tar(member("l/.wh..wh..opq"))], ["l"], {"l": 0o40755}),
    "02 a link over a directory": ([tar(member("d/f", b"1")), tar(link("d", CANARY))], ["d"], {"d": CANARY}),
    "02 a link over a directory, and a file in a third layer": ([tar(member("d/f", b"1")), tar(link("d", CANARY)), tar(member("d/g", b"3"))], ["d", "d/g"],
                                                                {"d/g": b"3"}),
    "02 directory, link, directory in one layer": ([tar(member("d/f", b"1"), link("d", CANARY), folder("d", mode=0o711), member("d/file", b"2"))],
                                                   ["d", "d/file"], {"d": 0o40711, "d/file": b"2"}),
    # 4: what a hard link's entry says of modes and owners does not count
    "04 a mode by a link to a device": ([tar(member("c", kind=CHAR, device=(1, 3), mode=0o600), hard("h", "c", mode=0o6777, uid=1000))], ["c", "h"],
                                        {"c": 0o20600, "h": 0o20600}),
    "04 set-id by a link": ([tar(member("f", b"x", mode=0o755), hard("h", "f", mode=0o6755))], ["f", "h"], {"f": 0o100755, "h": 0o100755}),
    "04 attributes by a link": ([tar(member("f", b"x"), hard("h", "f", records=xattrs(("security.capability", CAPABILITY))))], ["f", "h"], {"f": {}, "h": {}}),
    "04 a link to a link": ([tar(link("l", CANARY), hard("h", "l"))], ["h", "l"], {"h": CANARY, "l": CANARY}),
    "04 a link, then a mode for its file": ([tar(member("f", b"1", mode=0o600), hard("h", "f"), member("f", b"2", mode=0o4755))], ["f", "h"],
                                            {"h": 0o100600, "f": 0o104755}),
    # 6
    "06 special files": ([tar(member("c", kind=CHAR, device=(1, 3), mode=0o666), member("b", kind=BLOCK, device=(259, 1)), member("p", kind=FIFO, mode=0o600))],
                         ["b", "c", "p"], {"b": 0o60644, "c": 0o20666, "p": 0o10600}),
    "06 a block device 0/0 hides nothing": ([tar(member("d/f", b"1"), member("g", b"1")), tar(member("g", kind=BLOCK, device=(0, 0)))], names_of("d d/f g"),
                                            {"g": 0o60644}),
    "06 set-id files": ([tar(member("su", b"x", mode=0o6755, uid=0, gid=7))], ["su"], {"su": 0o106755}),
    # 7: nothing of a layer steers overlayfs, or leads into another layer
    "07 redirect": ([tar(member("secret/f", b"1")), tar(folder("x", records=xattrs(("trusted.overlay.redirect", "/secret"), ("trusted.overlay.opaque", "n"))))],
                    names_of("secret secret/f x"), {"x": {}}),
    "07 metacopy": ([tar(member("secret", b"1")), tar(member("x", records=xattrs(("trusted.overlay.metacopy", ""), ("trusted.overlay.redirect", "/secret"))))],
                    ["secret", "x"], {"x": b""}),
    "07 opaque": ([tar(member("d/f", b"1")), tar(folder("d", records=xattrs(("trusted.overlay.opaque", "y"), ("user.overlay.opaque", "y"))))], ["d", "d/f"],
                  {"d": {}}),
    "07 whiteouts by attributes": ([tar(member("d/f", b"1")), tar(folder("d", records=xattrs(("trusted.overlay.opaque", "x"))),
                                                                  member("d/f", records=xattrs(("trusted.overlay.whiteout", "y"), ("user.overlay.whiteout", "y"))))],
                                   ["d", "d/f"], {"d/f": b""}),
    "07 attributes for an overlay on an overlay": ([tar(folder("d", records=xattrs(("trusted.overlay.overlay.opaque", "y"), ("user.overlay.overlay.redirect", "/x"))))],
                                                   ["d"], {"d": {}}),
    "07 bsdtar's spelling": ([tar(folder("d", records=[("LIBARCHIVE.xattr.trusted.overlay.opaque", "eQ"), ("LIBARCHIVE.xattr.user.a", "YgBj")]))], ["d"],
                             {"d": {"user.a": b"b\0c"}}),
    "07 both spellings": ([tar(member("f", records=[("LIBARCHIVE.xattr.user.a", "eA"), ("SCHILY.xattr.user.a", "y")]))], ["f"], {"f": {"user.a": b"y"}}),
    "07 of the host": ([tar(member("f", records=xattrs(("security.selinux", "s"), ("security.ima", "i"), ("security.evm", "e"), ("com.apple.quarantine", "q"))))],
                       ["f"], {"f": {}}),
    "07 kept": ([tar(member("f", mode=0o770, records=xattrs(("security.capability", CAPABILITY), ("system.posix_acl_access", ACL), ("user.binary", bytes(range(256))))))],
                ["f"], {"f": {"security.capability": CAPABILITY, "user.binary": bytes(range(256)), "system.posix_acl_access": ACL}}),
    # 8
    "08 of its own layer": ([tar(member("d/f", b"1"), member("g", b"1")), tar(member("d/f", b"2"), member("d/.wh.f"), member(".wh.g"), member("g", b"2"))],
                            names_of("d d/f g"), {"d/f": b"2", "g": b"2"}),
    "08 of a directory with entries of its own layer": ([tar(member("d/f", b"1")), tar(member("d/g", b"2"), member(".wh.d"))], ["d", "d/g"], {"d/g": b"2"}),
    "08 opaque after, before and between": ([tar(*(member(f"{d}/low", b"1") for d in "abc")),
                                             tar(member("a/x", b"2"), member("a/.wh..wh..opq"), member("b/.wh..wh..opq"), member("b/x", b"2"),
                                                 member("c/x", b"2"), member("c/.wh..wh..opq"), member("c/y", b"2"))],
                                            tree("a/x", "b/x", "c/x", "c/y"), {"c/y": b"2"}),
    "08 odd names": ([tar(*(member(name, b"1") for name in ("wh.x", "...", ".wh", " ", "kept"))),
                      tar(member(".wh.wh.x"), member(".wh...."), member(".wh..wh"), member(".wh. "))], ["kept"], {}),
    "08 of all kinds": ([tar(*(member(name, b"1") for name in "abcd")),
                         tar(member(".wh.a", b"with data"), folder(".wh.b"), link(".wh.c", CANARY), member(".wh.d", kind=CHAR, device=(1, 3)))],
                        [], {}),
    "08 of what is not there": ([tar(member("a", b"1")), tar(member(".wh.b"), member("c/.wh.d"))], ["a", "c"], {}),
    "08 of a parent, then of its child": ([tar(member("d/e/f", b"1")), tar(member(".wh.d"), member("d/e/.wh.f"))], ["d", "d/e"], {}),
    "08 of the whole root": ([tar(member("a", b"1")), tar(member("b", b"2"), member(".wh..wh..opq"))], ["b"], {}),
    "08 marks of aufs": ([tar(member("a", b"1")), tar(member(".wh..wh.plnk/1.2", b"x"), folder(".wh..wh.aufs"), folder(".wh..wh.orph"), member(".wh..wh..opqx"))],
                         ["a"], {}),
    "08 in the only layer": ([tar(member("a", b"1"), member(".wh.b"), member("d/.wh.c"), member("e/.wh..wh..opq"), member("e/f", b"1"))], names_of("a d e e/f"),
                             {"d": {}, "e": {}}),
    "08 twice": ([tar(member("a", b"1")), tar(member(".wh.a")), tar(member(".wh.a")), tar(member("a", b"4"))], ["a"], {"a": b"4"}),
    # 9
    "09 twice": ([tar(member("f", b"one", mode=0o600), member("f", b"two", mode=0o755))], ["f"], {"f": b"two"}),
    "09 a file, then a directory": ([tar(member("x", b"1"), folder("x"), member("x/y", b"2"))], ["x", "x/y"], {"x/y": b"2"}),
    "09 a directory, then a file": ([tar(folder("x"), member("x/y", b"2"), member("x", b"1"))], ["x"], {"x": b"1"}),
    "09 a directory, then a link": ([tar(folder("x"), member("x/y", b"2"), link("x", CANARY))], ["x"], {"x": CANARY}),
    "09 attributes alone": ([tar(member("d/f", b"1"), folder("d", mode=0o700, records=xattrs(("user.a", "1"))), folder("d", mode=0o711))], ["d", "d/f"],
                            {"d": 0o40711}),
    "09 no parents": ([tar(member("a/b/c/f", b"1"))], tree("a/b/c/f"), {"a/b": 0o40755}),
    "09 slashes": ([tar(folder("d///"), member("d//f", b"1"), folder("./"), folder("/"))], ["d", "d/f"], {}),
    "09 names of 255 bytes": ([tar(member("x", b"1", records=[("path", "d/" + "n" * 255)]))], ["d", "d/" + "n" * 255], {}),
    "09 a path of 3990 bytes": ([tar(member("x", b"1", long="/".join(["n" * 255] * 15 + ["m" * 150])))], tree("/".join(["n" * 255] * 15 + ["m" * 150])), {}),
    "09 bytes that are no text": ([tar(member(b"\xff\xfe\x80", b"1"), member(b"a\x1b[2J\n", b"2"))], sorted(["\udcff\udcfe\udc80", "a\x1b[2J\n"]), {}),
    # 10: what readers may see differently
    "10 a pax size over a small one": ([tar(pax(("size", str(len(HEADER)))) + header("f", size=0) + HEADER, member("g", b"g"))], ["f", "g"], {"f": HEADER, "g": b"g"}),
    "10 a pax size of nothing": ([tar(pax(("size", "0")) + header("f", size=len(HEADER)), HEADER, member("g", b"g"))], ["f", "g", "inner"], {"f": b"", "inner": b"iiiii"}),
    "10 the last record wins": ([tar(member("x", b"1", records=[("path", "a"), ("path", "b"), ("uid", "1"), ("uid", "")]))], ["b"], {}),
    "10 a global header": ([tar(pax(("comment", "c"), ("mtime", "5"), kind=b"g"), member("f", b"1"))], ["f"], {}),
    "10 one block of zeros": ([member("f", b"1") + bytes(512)], ["f"], {}),
    "10 no end": ([member("f", b"1")], ["f"], {}),
    "10 zeros behind the end": ([tar(member("f", b"1")) + bytes(100 << 10)], ["f"], {}),
    "10 a time before 1970": ([tar(member("f", b"1", mtime=-5), member("g", mtime=1 << 33))], ["f", "g"], {}),
    "10 an archive in an archive": ([tar(member("f", tar(member("inner", b"i"))), member("g", b"g"))], ["f", "g"], {"g": b"g"}),
    "10 holes": ([tar(member("s", b"ab" + bytes(510) + b"c", records=[("GNU.sparse.size", "4097"), ("GNU.sparse.map", "512,512,4096,1")]))], ["s"],
                 {"s": bytes(512) + b"ab" + bytes(510) + bytes(3072) + b"c"}),
}


def name_of(what):
    return f"x:{list(VIEWS).index(what)}"


@pytest.fixture(scope="module")
def shown(quick_disk):
    """All of them in one archive, then each mounted and unpacked: by name and kind of mount."""
    files, entries = {}, []
    for what in VIEWS:
        image = Image(*VIEWS[what][0])
        files.update(image.layout())
        entry = json.loads(files["index.json"])["manifests"][0]
        entries.append({**entry, "annotations": {"io.containerd.image.name": "docker.io/library/" + name_of(what)}})
    files["index.json"] = json.dumps({"schemaVersion": 2, "manifests": entries}).encode()
    skep = Victim(os.path.join(quick_disk, "views"))
    signal.alarm(120)
    skep.takes("load", stdin=tar_of(files), deadline=60)
    found = skep.view_all([name_of(what) for what in VIEWS])
    assert skep.faults() == [] and skep.ingest() == []
    yield found
    skep.close()


def assert_is(line, what):
    if isinstance(what, bytes):
        assert (line["size"], line["sha256"]) == (len(what), hashlib.sha256(what).hexdigest()), line
    elif isinstance(what, str):
        assert bytes.fromhex(line["target"]).decode() == what
    elif isinstance(what, int):
        assert line["mode"] == oct(what)
    else:
        assert {name: bytes.fromhex(value) for name, value in line["xattrs"].items()} == what


@pytest.mark.parametrize("what", VIEWS)
@pytest.mark.parametrize("kind", ["erofs", "tree"])
def test_what_is_shown(shown, what, kind):
    _, names, more = VIEWS[what]
    files = shown[name_of(what), kind]
    assert sorted(files) == sorted(["", *names])
    for name, expected in more.items():
        assert_is(files[name], expected)
    assert files == shown[name_of(what), "erofs"]
    assert not any(line.get("device") == [0, 0] and line["mode"].startswith("0o2") for line in files.values()), "a whiteout"


def test_a_mount_of_ones_own_is_nobody_elses(skep):
    """Files of an image with set-id bits, and devices: who does not say where an image is to be mounted gets a place that no other user enters."""
    skep.takes("import", "-", "x", stdin=tar(member("su", b"x", mode=0o6755), member("null", kind=CHAR, device=(1, 3), mode=0o666)))
    out = shell('at=$("$@" x); stat -c %a "$at/su" "$(dirname "$at")"; findmnt -n -o OPTIONS "$at"', *skep.command("image", "mount"))
    file, above, options = out.splitlines()
    assert (file, above) == ("6755", "700") and "ro" in options.split(",")
