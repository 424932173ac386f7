"""What becomes large, and compressed forms with more in them than a tar: groups 11 and 12 of docs/attacks.md. Memory is measured, nothing of what is
refused stays, and what is taken is the tar that its digest names."""
import bz2
import gzip
import io
import json
import lzma
import os
import random
import struct
import subprocess
import tarfile
import zlib

import pytest

from attacks import LAYER, Image, built, digest_of, double, header, member, pax, skep, tar
from test_erofs import shell

pytestmark = built

MIB = 1 << 20
DATA = tar(member("f", b"x" * 5000), member("g", random.Random(1).randbytes(70000)))
TUNED = ["--tuning", "attempts=1"]


def zstd(data, *options):
    return subprocess.run(["zstd", "-q", "-c", *options], input=data, stdout=subprocess.PIPE, check=True).stdout


def compress_zeros(n, make):
    """n MiB of zeros, compressed without having them."""
    out = b"".join(make.compress(bytes(MIB)) for _ in range(n))
    return out + make.flush()


# ---- 11: bombs ----

ZEROS = 72  # MiB: more than the 64 from which on the ratio counts
RATIOS = {
    "zstd": lambda: zstd(bytes(ZEROS * MIB)),
    "xz": lambda: compress_zeros(ZEROS, lzma.LZMACompressor(preset=0)),
    "bzip2": lambda: compress_zeros(ZEROS, bz2.BZ2Compressor(9)),
}


@pytest.mark.parametrize("way", RATIOS)
def test_a_ratio_beyond_all_files(skep, way):
    """Refused when 64 MiB have come out, by `import`; the same limit holds for `pull` and `load`."""
    line = skep.refuses("import", "-", "x", stdin=RATIOS[way]())
    assert "more than the allowed 2000 to 1" in line


def test_a_ratio_beyond_all_files_from_a_registry(skep, double):
    image = Image(bytes(ZEROS * MIB), blobs=[RATIOS["zstd"]()], media_type=LAYER + "+zstd")
    image.serve(double)
    assert "more than the allowed 2000 to 1" in skep.refuses("pull", "-q", *TUNED, double.name, parts=True)


def test_a_thousand_to_one(skep):
    """What gzip can do at most, real layers have, too: taken, in little memory; a disk that is full is told."""
    with_file = gzip.compress(header("f", size=70 * MIB) + bytes(70 * MIB) + bytes(1024), 9)
    assert len(with_file) * 900 < 70 * MIB
    skep.takes("import", "-", "x", stdin=with_file)
    assert skep.faults() == []


@pytest.fixture
def small_disk(skep):
    os.mkdir(skep.root)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16m", "none", skep.root], check=True)
    yield skep
    subprocess.run(["umount", skep.root], check=True)


def test_a_bomb_on_a_small_disk(small_disk):
    skep = small_disk
    done = skep.measured("import", "-", "x", stdin=gzip.compress(header("f", size=40 * MIB) + bytes(40 * MIB), 9))
    assert done.status == 1 and done.err.count(b"\n") == 1 and b"write the tar of the layer at byte" in done.err and b"no space left on device" in done.err
    assert skep.ingest() == [] and skep.query("SELECT * FROM layers") == []
    skep.takes("import", "-", "x", stdin=DATA)
    assert skep.faults() == []


def many_files(n):
    """n empty files in one directory: the checksum of each header follows from its name."""
    block = header("f000000")
    rest = block[7:148], block[156:]
    base = sum(block[:1]) + sum(rest[0]) + sum(rest[1]) + 8 * 0x20
    numbers = (b"%06d" % i for i in range(n))
    return b"".join(b"f%s%s%06o\0 %s" % (number, rest[0], base + sum(number), rest[1]) for number in numbers)


def test_many_members(skep):
    """200,000 files: some hundred bytes of memory each."""
    skep.takes("import", "-", "x", stdin=gzip.compress(many_files(200000), 1))
    assert skep.query("SELECT entries FROM layers") == [(200001,)]


def test_a_member_again_and_again(skep):
    """One name 200,000 times: what is replaced counts as well, and costs no more than another file would."""
    skep.takes("import", "-", "x", stdin=gzip.compress(member("f") * 200000, 1))
    assert sorted(skep.view("x", "erofs")) == ["", "f"]


def test_deep_directories(skep):
    """1,024 levels are the most that a name may have; they are mounted and exported."""
    skep.takes("import", "-", "x", stdin=tar(member("f", b"x", long="d/" * 1023 + "f")))
    assert len(skep.view("x", "erofs")) == 1025
    with tarfile.open(fileobj=io.BytesIO(skep.measured("image", "export", "x").out)) as archive:
        assert len(archive.getnames()) == 1025


def test_a_hole_of_terabytes(skep):
    """It takes no place in the store, nor in an unpacked tree. An export holds it, as docker's does, and ends with its reader."""
    size = 15 << 40
    skep.takes("import", "-", "x", stdin=tar(member("s", records=[("GNU.sparse.size", str(size)), ("GNU.sparse.map", f"{size},0")])))
    for kind in "erofs", "tree":
        out = shell('at=$1; shift; "$@" x "$at" >&2; stat -c "%s %b" "$at/s"', skep.top, *skep.command("image", "mount", "--kind", kind))
        assert out.split()[0] == str(size) and int(out.split()[1]) < 100 or kind == "erofs"
    with subprocess.Popen(skep.command("image", "export", "x"), stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=skep.env) as export:
        assert export.stdout.read(MIB).count(0) > MIB - 1000
        export.stdout.close()
        assert export.stderr.read().count(b"\n") <= 1 and export.wait(20) != 0


def test_attributes_without_end(skep):
    """60 KB of attributes on each of many files: a layer has a limit for all of them, which also bounds its memory."""
    value = b"v" * 60000
    data = b"".join(pax(("SCHILY.xattr.user.a", b"%06d" % i + value)) + header(f"f{i}") for i in range(4600))
    line = skep.refuses("import", "-", "x", stdin=data, memory=512 * MIB)
    assert "bytes of extended attributes an index may have" in line


def test_zeros_behind_the_end(skep):
    """CVE-2017-14992: what stands behind the archive costs no memory."""
    skep.takes("import", "-", "x", stdin=gzip.compress(DATA + bytes(100 * MIB), 1), memory=64 * MIB)


# ---- 12: more in a compressed form than its tar ----


def gzip_with(flags, extra=b"", data=DATA):
    return b"\x1f\x8b\x08" + bytes([flags]) + b"\0\0\0\0\0\3" + extra + gzip.compress(data, 1)[10:]


def skippable(data, declared=None):
    return b"\x50\x2a\x4d\x18" + struct.pack("<I", len(data) if declared is None else declared) + data


def with_header_sum(data):
    start = b"\x1f\x8b\x08\2\0\0\0\0\0\3"
    return start + struct.pack("<H", zlib.crc32(start) & 0xffff) + gzip.compress(data, 1)[10:]


CHUNKED = {"version": 1, "entries": [{"type": "reg", "name": "evil", "size": 5, "digest": digest_of(b"evil!")}, {"type": "symlink", "name": "f", "linkName": "/etc"}]}
FORMS = {
    "gzip members": lambda: b"".join(gzip.compress(DATA[n:n + 1000], 1) for n in range(0, len(DATA), 1000)),
    "empty gzip members": lambda: gzip.compress(b"") * 20000 + gzip.compress(DATA),
    "zeros behind gzip": lambda: gzip.compress(DATA) + bytes(100000),
    "a gzip header with 64 KiB more": lambda: gzip_with(4, b"\xff\xff" + bytes(65535)),
    "a gzip header with a long comment": lambda: gzip_with(16 | 8, b"n" * 100000 + b"\0" + b"c" * 300000 + b"\0"),
    "a gzip header with a checksum": lambda: with_header_sum(DATA),
    "zstd frames with more between": lambda: skippable(b"a" * 1000) + zstd(DATA[:50000]) + skippable(b"") + skippable(b"x" * 70000) + zstd(DATA[50000:]),
    "zstd frames of nothing": lambda: zstd(b"") * 5000 + zstd(DATA),
    "zstd:chunked whose table lies": lambda: zstd(DATA) + skippable(json.dumps(CHUNKED).encode() * 50) + skippable(b"GNUlInUx" * 8),
    "xz streams": lambda: lzma.compress(DATA[:1000], preset=0) + lzma.compress(DATA[1000:], preset=0),
    "none": lambda: DATA,
}
NOTES = {"io.github.containers.zstd-chunked.manifest-checksum": digest_of(b"evil"), "io.github.containers.zstd-chunked.manifest-position": "1:2:3:1",
         "containerd.io/snapshot/stargz/toc.digest": digest_of(b"evil")}


@pytest.mark.parametrize("form, announced", [*((form, "+gzip") for form in FORMS), ("gzip members", "+zstd"), ("zstd frames of nothing", ""),
                                             ("none", "+zstd"), ("none", "")])
def test_forms_that_are_the_tar(skep, double, form, announced):
    """Whatever they are announced as: the bytes tell what they are, the diffID what must come out."""
    image = Image(DATA, blobs=[FORMS[form]()], media_type=LAYER + announced)
    image.manifest["layers"][0]["annotations"] = NOTES
    image.serve(double)
    skep.takes("pull", "-q", *TUNED, double.name)
    assert skep.faults() == [] and skep.ingest() == []
    assert sorted(skep.view(double.name, "erofs")) == ["", "f", "g"]


BROKEN = {
    "gzip with garbage behind": (lambda: gzip.compress(DATA) + b"garbage", "gzip: garbage after the end"),
    "gzip, zeros, gzip": (lambda: gzip.compress(DATA[:5000]) + bytes(10) + gzip.compress(DATA[5000:]), "gzip: garbage after the end"),
    "gzip cut short": (lambda: gzip.compress(DATA)[:-9], "gzip: the stream is truncated"),
    "gzip with another checksum": (lambda: gzip.compress(DATA)[:-8] + bytes(8), "gzip: wrong checksum or length"),
    "gzip whose header does not end": (lambda: gzip_with(16, b"c" * 500000, b"")[:400000], "gzip: the stream is truncated"),
    "gzip, then zstd": (lambda: gzip.compress(DATA[:5000]) + zstd(DATA[5000:]), "gzip: garbage after the end"),
    "zstd with garbage behind": (lambda: zstd(DATA) + b"garbage!", "zstd: Unknown frame descriptor"),
    "zstd cut short": (lambda: zstd(DATA)[:-9], "zstd: the stream is truncated"),
    "zstd with a window of 2 GiB": (lambda: b"\x28\xb5\x2f\xfd\x00" + bytes([21 << 3]) + b"\1\0\0", "zstd: Frame requires too much memory"),
    "zstd with a window of 1 GiB": (lambda: zstd(bytes(MIB) + DATA, "--ultra", "--long=30"), "zstd: Frame requires too much memory"),
    "zstd with a dictionary": (lambda: b"\x28\xb5\x2f\xfd\x01\x58\x2a\1\0\0", "zstd: Dictionary mismatch"),
    "a frame to skip of 4 GiB": (lambda: skippable(bytes(1000), 0xffffffff), "zstd: the stream is truncated"),
    "zstd with a reserved bit": (lambda: b"\x28\xb5\x2f\xfd\x08" + zstd(DATA)[5:], "zstd: "),
    "xz with a dictionary of 1.5 GiB": (lambda: lzma.compress(DATA, filters=[{"id": lzma.FILTER_LZMA2, "preset": 0, "dict_size": 1536 * MIB - 1}]), "xz: "),
    "bzip2 cut short": (lambda: bz2.compress(DATA)[:-9], "bzip2: the stream is truncated"),
    "another tar": (lambda: gzip.compress(DATA + bytes(512)), "was expected"),
}


@pytest.mark.parametrize("form", BROKEN)
def test_forms_that_are_broken(skep, double, form):
    make, says = BROKEN[form]
    Image(DATA, blobs=[make()]).serve(double)
    line = skep.refuses("pull", "-q", *TUNED, double.name, parts=True)
    assert says in line, line
