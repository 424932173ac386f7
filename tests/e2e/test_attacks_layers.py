"""Layers that are refused: each with one line that names the entry and the rule, nothing in the store, and the host as it was. The groups are
those of docs/attacks.md."""
import struct

import pytest

from attacks import CANARY, END, built, header, member, pax, skep, tar

pytestmark = built

DOTS = "../" * 20 + CANARY[1:]
LINK, HARD, CHAR, BLOCK, DIR, FIFO = b"2", b"1", b"3", b"4", b"5", b"6"


def acl(*entries, version=2):
    """tags, rights and ids as setxattr(2) takes them"""
    return struct.pack("<I", version) + b"".join(struct.pack("<HHI", *(e if len(e) == 3 else (*e, 0xffffffff))) for e in entries)


USUAL = [(1, 6), (4, 4), (32, 4)]


def xattr(name, value=b"1"):
    return ("SCHILY.xattr." + name, value)


def link(name, target):
    return member(name, kind=LINK, link=target)


def hard(name, target):
    return member(name, kind=HARD, link=target)


def sparse(size, pairs, data=b"", name="s"):
    return member(name, data, records=[("GNU.sparse.size", str(size)), ("GNU.sparse.map", ",".join(map(str, pairs)))])


# group and what: the archive, and what is said of it
LAYERS = {
    # 1: names that lead out
    "01 dots": (tar(member("../canary/file", b"x")), 'tar: "../canary/file": ".." in a name'),
    "01 many dots": (tar(member(DOTS + "/file", b"x")), '".." in a name'),
    "01 dots inside": (tar(member("a/../../file", b"x")), 'tar: "a/../../file": ".." in a name'),
    "01 dots that lead back in": (tar(member("a/../b", b"x")), 'tar: "a/../b": ".." in a name'),
    "01 dots at the end": (tar(member("a/..", kind=DIR)), 'tar: "a/..": ".." in a name'),
    "01 dots behind a slash": (tar(member("/../file", b"x")), 'tar: "/../file": ".." in a name'),
    "01 dots in the prefix": (tar(member("file", b"x", prefix="../..")), 'tar: "../../file": ".." in a name'),
    "01 dots by pax": (tar(member("file", b"x", records=[("path", "../file")])), 'tar: "../file": ".." in a name'),
    "01 dots by a long name": (tar(member("file", b"x", long="x/../../file")), 'tar: "x/../../file": ".." in a name'),
    "01 dots of a sparse file": (tar(member("GNUSparseFile.0/f", records=[("GNU.sparse.name", "../f"), ("GNU.sparse.size", "0"), ("GNU.sparse.map", "")])),
                                 'tar: "../f": ".." in a name'),
    "01 a directory above": (tar(member("..", kind=DIR)), 'tar: "..": ".." in a name'),
    # 2: through links
    "02 a file through a link": (tar(link("l", CANARY), member("l/file", b"x")), 'layer: "l/file": "l" above it is no directory'),
    "02 a directory through a link": (tar(link("l", CANARY), member("l/dir/new", kind=DIR)), 'layer: "l/dir/new": "l" above it is no directory'),
    "02 a link through a link": (tar(link("l", CANARY), link("l/link", "x")), 'layer: "l/link": "l" above it is no directory'),
    "02 through two links": (tar(link("a", "b"), link("b", CANARY), member("a/file", b"x")), 'layer: "a/file": "a" above it is no directory'),
    "02 through a link to a sibling": (tar(member("d", kind=DIR), link("d/up", ".."), member("d/up/file", b"x")), 'layer: "d/up/file": "up" above it is no directory'),
    "02 through a further name of a link": (tar(link("l", CANARY), hard("h", "l"), member("h/file", b"x")), 'layer: "h/file": "h" above it is no directory'),
    "02 a whiteout through a link": (tar(link("l", CANARY), member("l/.wh.file")), 'layer: "l/.wh.file": "l" above it is no directory'),
    "02 an opaque directory through a link": (tar(link("l", CANARY), member("l/.wh..wh..opq")), 'layer: "l/.wh..wh..opq": "l" above it is no directory'),
    "02 the root a link": (tar(link(".", CANARY), member("file", b"x")), 'tar: ".": the root can only be a directory'),
    "02 the root a link by a slash": (tar(link("/", CANARY)), 'tar: "/": the root can only be a directory'),
    "02 the root a link by dots": (tar(link("././", CANARY)), 'tar: "././": the root can only be a directory'),
    "02 the root a device": (tar(member("./", kind=CHAR, device=(1, 3))), 'tar: "./": the root can only be a directory'),
    # 4: hard links
    "04 out": (tar(hard("h", "../../file")), 'tar: "h": ".." in the target of a hard link'),
    "04 out by pax": (tar(member("h", kind=HARD, records=[("linkpath", "../file")])), 'tar: "h": ".." in the target of a hard link'),
    "04 out by a long name": (tar(member("h", kind=HARD, longlink="x/../../file")), 'tar: "h": ".." in the target of a hard link'),
    "04 absolute": (tar(hard("h", CANARY + "/file")), f'layer: "h": hard link to "{CANARY[1:]}/file", which is not in the layer'),
    "04 in the working directory": (tar(hard("h", "file")), 'layer: "h": hard link to "file", which is not in the layer'),
    "04 through a link": (tar(link("l", CANARY), hard("h", "l/file")), 'layer: "h": hard link to "l/file", which is not in the layer'),
    "04 to what comes later": (tar(hard("h", "f"), member("f", b"x")), 'layer: "h": hard link to "f", which is not in the layer'),
    "04 to a directory": (tar(member("d", kind=DIR), hard("h", "d")), 'layer: "h": hard link to "d", a directory'),
    "04 to the root": (tar(hard("h", "/")), 'tar: "h": a hard link to the root'),
    "04 to a whiteout": (tar(member(".wh.w"), hard("h", "w")), 'layer: "h": hard link to "w", which is not in the layer'),
    "04 to the name of a whiteout": (tar(member(".wh.w"), hard("h", ".wh.w")), 'layer: "h": hard link to ".wh.w", which is not in the layer'),
    "04 to itself": (tar(hard("h", "./h")), 'tar: "h": a hard link to itself'),
    "04 to what it replaces": (tar(member("d/f", b"x"), hard("d", "d/f")), 'layer: "d": hard link to "d/f", which lies below it'),
    "04 to nothing": (tar(hard("h", "")), 'tar: "h": a link without a target'),
    "04 with data": (tar(member("f", b"x"), member("h", b"x", kind=HARD, link="f")), 'tar: "h": only a file can have data'),
    "04 with data by pax": (tar(member("f", b"x"), member("h", kind=HARD, link="f", records=[("size", "512")])), 'tar: "h": only a file can have data'),
    "04 to a mountpoint of the host": (tar(hard("h", "proc/self/exe")), 'layer: "h": hard link to "proc/self/exe", which is not in the layer'),
    # 5: the target is looked at, the place is not
    "05 a hard link's own name": (tar(member("f", b"x"), hard("../h", "f")), 'tar: "../h": ".." in a name'),
    "05 a link's own name": (tar(link("../l", "f")), 'tar: "../l": ".." in a name'),
    "05 a hard link through a link": (tar(member("f", b"x"), link("l", CANARY), hard("l/h", "f")), 'layer: "l/h": "l" above it is no directory'),
    "05 a fifo through a link": (tar(link("l", CANARY), member("l/p", kind=FIFO)), 'layer: "l/p": "l" above it is no directory'),
    "05 a device's own name": (tar(member("../null", kind=CHAR, device=(1, 3))), 'tar: "../null": ".." in a name'),
    # 6: special files
    "06 a forged whiteout": (tar(member("w", kind=CHAR, device=(0, 0))), 'layer: "w": a character device 0:0'),
    "06 a forged whiteout by pax": (tar(member("w", kind=CHAR, device=(1, 3), records=[("SCHILY.devmajor", "0"), ("SCHILY.devminor", "0")])),
                                    'layer: "w": a character device 0:0'),
    "06 a number too large": (tar(member("b", kind=BLOCK, device=(4096, 0))), 'tar: "b": the device number is not from 0:0 to 4095:1048575'),
    "06 a number that is negative": (tar(member("b", kind=BLOCK, device=(b"\xff" * 8, 0))), 'tar: "b": the device number is not from 0:0 to 4095:1048575'),
    "06 a socket": (tar(member("s", kind=b"s")), 'tar: "s": an unknown type of member: "s" (0x73)'),
    "06 an unknown type": (tar(member("v", kind=b"V")), 'tar: "v": an unknown type of member: "V" (0x56)'),
    "06 a device with data": (tar(member("c", b"x", kind=CHAR, device=(1, 3))), 'tar: "c": only a file can have data'),
    # 7: extended attributes
    "07 a value too large": (tar(member("f", records=[xattr("user.big", b"v" * 65536)])), 'layer: "f": attribute user.big: an attribute of 3 bytes in name and 65536 in value: at most 255 and 65535'),
    "07 a value far too large": (tar(member("f", records=[xattr("user.big", b"v" * (1 << 20))])), "an extended header or long name is too large"),
    "07 a value too large in base64": (tar(member("f", records=[("LIBARCHIVE.xattr.user.big", "YWFh" * 30000)])), '"LIBARCHIVE.xattr.user.big"'),
    "07 no value in base64": (tar(member("f", records=[("LIBARCHIVE.xattr.user.a", "e*")])), '"LIBARCHIVE.xattr.user.a": the value is not base64'),
    "07 no name": (tar(member("f", records=[("SCHILY.xattr.", "1")])), '"SCHILY.xattr.": the name of an extended attribute must have 1 to 255 bytes'),
    "07 a name too long": (tar(member("f", records=[xattr("user." + "n" * 251)])), "the name of an extended attribute must have 1 to 255 bytes"),
    "07 a NUL in a name": (tar(member("f", records=[("LIBARCHIVE.xattr.user.a%00b", "eA")])), "no NUL among them"),
    "07 no access control list": (tar(member("f", records=[xattr("system.posix_acl_access", "junk")])),
                                  'layer: "f": attribute system.posix_acl_access is no access control list'),
    **{f"07 a list {what}": (tar(member("f", records=[xattr("system.posix_acl_default", value)])),
                             'layer: "f": attribute system.posix_acl_default is no access control list') for what, value in {
        "of another version": acl(*USUAL, version=1), "that is cut": acl(*USUAL)[:-1], "of nothing": acl(), "out of order": acl(*reversed(USUAL)),
        "without an owner": acl(*USUAL[1:]), "without a mask": acl((1, 6), (2, 6, 1000), (4, 4), (32, 4)), "of two owners": acl((1, 6), *USUAL),
        "with an unknown tag": acl(*USUAL[:2], (3, 4), (32, 4)), "with too many rights": acl((1, 8), *USUAL[1:]), "with no id": acl((1, 6), (2, 6), *USUAL[1:]),
    }.items()},
    "07 too many": (tar(member("f", records=[xattr(f"user.{n}") for n in range(300)])), 'layer: "f": '),
    # 8: whiteouts
    "08 of nothing": (tar(member("d/.wh.")), 'layer: "d/.wh.": a whiteout that names nothing'),
    "08 of dot": (tar(member(".wh..")), 'layer: ".wh..": a whiteout that names nothing'),
    "08 of dots": (tar(member("d/.wh...")), 'layer: "d/.wh...": a whiteout that names nothing'),
    "08 of the mark of marks": (tar(member(".wh..wh.")), 'layer: ".wh..wh.": a whiteout that names nothing'),
    "08 a directory": (tar(member(".wh.d", kind=DIR), member(".wh.d/f", b"x")), 'layer: ".wh.d/f": a whiteout that names nothing'),
    "08 below a file": (tar(member("f", b"x"), member("f/.wh.x")), 'layer: "f/.wh.x": "f" above it is no directory'),
    "08 below the opaque mark": (tar(member(".wh..wh..opq/f", b"x")), 'layer: ".wh..wh..opq/f": a whiteout that names nothing'),
    # 9: paths
    "09 below a file": (tar(member("f", b"x"), member("f/x/y", b"y")), 'layer: "f/x/y": "f" above it is no directory'),
    "09 below a device": (tar(member("c", kind=CHAR, device=(1, 3)), member("c/x", b"y")), 'layer: "c/x": "c" above it is no directory'),
    "09 a file with a slash": (tar(member("f/", b"x")), 'tar: "f/": the name of a file ends in "/"'),
    "09 an empty name": (tar(member("", b"x")), 'tar: "": an empty name'),
    "09 an empty name by pax": (tar(member("", b"x", records=[("path", "")])), 'tar: "": an empty name'),
    "09 only slashes": (tar(member("///", b"x")), 'tar: "///": the root can only be a directory'),
    "09 a part too long": (tar(member("f", b"x", records=[("path", "d/" + "n" * 256)])), "a part of the name is longer than 255 bytes"),
    "09 a path too long": (tar(member("f", b"x", records=[("path", "/".join(["n" * 250] * 17))])), "the name is too long"),
    "09 a path of 64 KiB": (tar(member("f", b"x", long="n/" * 40000)), "the name has too many parts"),
    "09 a target too long": (tar(member("l", kind=LINK, records=[("linkpath", "t" * 4096)])), 'tar: "l": the target of a link is too long'),
    "09 a NUL by pax": (tar(member("f", b"x", records=[("path", b"a\0b")])), '"path": a NUL in the key or the value of a record'),
    "09 a NUL in a target": (tar(member("l", kind=LINK, records=[("linkpath", b"a\0b")])), '"linkpath": a NUL in the key or the value of a record'),
    "09 commands for the terminal": (tar(member("\x1b]0;owned\x07\x1b[2J/../\n", b"x")), '".." in a name'),
    # 10: what readers see differently
    "10 a path by pax and by GNU": (tar(member("f", b"x", long="a", records=[("path", "b")])), 'tar: "b": named by a pax record and by a GNU long name'),
    "10 two long names": (tar(header("l", b"L", 2) + b"a" + bytes(511) + member("f", b"x", long="b")), "a second header of the same kind for one member"),
    "10 two extended headers": (tar(pax(("path", "a")), member("f", b"x", records=[("path", "b")])), "a second header of the same kind for one member"),
    "10 a negative size": (tar(member("f", size=b"\xff" * 12)), 'tar: "f": a negative size'),
    "10 a negative size under a pax size": (tar(member("f", size=b"\xff" * 12, records=[("size", "0")])), 'tar: "f": a negative size'),
    "10 a size of 2^63": (tar(member("f", records=[("size", str(1 << 63))])), 'tar: "f": a negative size'),
    "10 a size beyond 64 bits": (tar(member("f", records=[("size", str(1 << 64))])), '"size": the value is not a number from 0 to 2^64-1'),
    "10 a size beyond the archive": (tar(member("f", b"x", size=1 << 30)), 'the archive is truncated, in "f"'),
    "10 a size in another base": (tar(member("f", records=[("size", "0x10")])), '"size": the value is not a number'),
    "10 a global path": (tar(pax(("path", "a"), kind=b"g"), member("f", b"x")), '"path": must not stand in a global header'),
    "10 a global size": (tar(pax(("size", "0"), kind=b"g"), member("f", b"x")), '"size": must not stand in a global header'),
    "10 a global attribute": (tar(pax(xattr("user.a"), kind=b"g"), member("f", b"x")), "must not stand in a global header"),
    "10 a wrong checksum": (tar(member("f", b"x"), member("g", b"x", bad_sum=True)), "tar: byte 1024: the checksum of the header is wrong"),
    "10 truncated in a header": (member("f", b"x")[:300], "tar: byte 300: the archive is truncated"),
    "10 truncated in data": (member("f", b"x" * 600)[:1000], 'tar: byte 1000: the archive is truncated, in "f"'),
    "10 members behind the end": (tar(member("f", b"x")) + member("g", b"y") + END, "data after the end of the archive"),
    "10 members behind one block of zeros": (member("f", b"x") + bytes(512) + member("g", b"y") + END, "data after a zero block"),
    "10 garbage behind the end": (tar(member("f", b"x")) + b"garbage" * 100, "data after the end of the archive"),
    "10 a member in an extended header": (tar(header("p", b"x", 1024) + member("g", b"y"), member("f", b"x")), "tar: byte 512: a record without a length"),
    "10 a record that is too long": (tar(pax(b"99 path=a\n"), member("f", b"x")), "the length of a record does not lead to its end"),
    "10 a record without a length": (tar(pax(b"+9 path=a\n"), member("f", b"x")), "a record without a length"),
    "10 a prefix of no format": (tar(member("f", b"x", prefix="d", magic=b"ustar 00")), "the header has a prefix, but neither the magic"),
    "10 star's sparse file": (tar(member("s", b"x", records=[("SCHILY.realsize", "9")])), 'tar: "s": sparse files as star writes them are not supported'),
    "10 a sparse file of two kinds": (tar(member("s", b"x", records=[("GNU.sparse.size", "1"), ("GNU.sparse.realsize", "2"), ("GNU.sparse.map", "0,0")])),
                                      "a sparse file of two kinds at once"),
    "10 a sparse file of the future": (tar(member("s", records=[("GNU.sparse.major", "2"), ("GNU.sparse.minor", "0"), ("GNU.sparse.realsize", "0")])),
                                       'tar: "s": a sparse file of an unknown kind'),
    "10 overlapping pieces": (tar(sparse(9, [0, 2, 1, 2], b"abcd")), 'tar: "s": the extents of a sparse file overlap or go backwards'),
    "10 pieces beyond the size": (tar(sparse(9, [8, 2], b"ab")), 'tar: "s": an extent of a sparse file lies beyond its size'),
    "10 pieces that overflow": (tar(sparse(9, [(1 << 64) - 1, 2], b"ab")), 'tar: "s": an extent of a sparse file lies beyond its size'),
    "10 pieces of other data": (tar(sparse(4096, [0, 2], b"abc")), 'tar: "s": the extents of a sparse file do not add up to its stored data'),
    "10 a map of too many pieces": (tar(member("s", b"99999999999\n", size=512, records=[("GNU.sparse.major", "1"), ("GNU.sparse.minor", "0"),
                                                                                         ("GNU.sparse.realsize", "9")])), 'has too many extents'),
    "10 no tar at all": (b"no tar at all" * 100, "tar: byte 0: the checksum of the header is wrong"),
    # 11: too much of it
    "11 a sparse file of 8 EiB": (tar(sparse((1 << 63) - 1, [0, 0])), 'tar: "s": the size is over the limit'),
    "11 a file of 17 TiB": (tar(member("f", size=17 << 40)), 'tar: "f": the size is over the limit'),
    "11 1025 levels": (tar(member("f", b"x", long="d/" * 1024 + "f")), "the name has too many parts"),
    "11 100,000 levels": (tar(member("f", b"x", long="d/" * 100000 + "f")), "the name has too many parts"),
    "11 an extended header of 2 MiB": (tar(member("f", b"x", records=[("comment", "c" * (2 << 20))])), "an extended header or long name is too large"),
    "11 an extended header of 8 GiB": (header("p", b"x", 8 << 30) + bytes(1 << 20), "an extended header or long name is too large"),
    "11 a long name of 2 MiB": (tar(member("f", b"x", long="n" * (2 << 20))), "an extended header or long name is too large"),
}


@pytest.mark.parametrize("what", LAYERS)
def test_a_layer_is_refused(skep, what):
    data, says = LAYERS[what]
    text = skep.refuses("import", "-", "x:1", stdin=data)
    assert text.startswith("import: ") and says in text, text
