"""skep-transfer --offline: layers from files of any compression, and tars into blobs. The system's own programs are the oracles."""
import bz2
import gzip
import hashlib
import io
import lzma
import os
import random
import subprocess
import tarfile

import pytest
from registry_double import digest_of
from transferring import PROGRAM, Failed, File, Worker

if not os.access(PROGRAM, os.X_OK):
    pytest.skip(f"no {PROGRAM}", allow_module_level=True)


def make_tar(seed=1, files=300, size=20000):
    r, out = random.Random(seed), io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for n in range(files):
            info = tarfile.TarInfo(f"d{n % 7}/f{n}")
            data = r.randbytes(r.randrange(size)) + bytes(r.randrange(size))
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return out.getvalue()


TAR = make_tar()


def through(*command):
    return lambda data: subprocess.run(command, input=data, stdout=subprocess.PIPE, check=True).stdout


WAYS = {
    "none": lambda data: data,
    "gzip": through("gzip", "-c", "-6"),
    "gzip-named": lambda data: b"\x1f\x8b\x08\x1c\0\0\0\0\0\3" + b"\x05\0extra" + b"name\0" + b"comment\0" + gzip.compress(data)[10:],
    "gzip-members": lambda data: b"".join(gzip.compress(data[n:n + 99999], 1) for n in range(0, len(data), 99999)),
    "gzip-stored": lambda data: gzip.compress(data, 0),
    "zstd": through("zstd", "-c", "-q"),
    "zstd-19": through("zstd", "-19", "-c", "-q"),
    "zstd-long": through("zstd", "--long=27", "-c", "-q"),
    "zstd-frames": lambda data: b"".join(through("zstd", "-c", "-q", "-1")(data[n:n + 1000000]) + b"\x53\x2a\x4d\x18\x03\0\0\0abc"
                                         for n in range(0, len(data), 1000000)),
    "xz": lzma.compress,
    "xz-streams": lambda data: lzma.compress(data[:1000], preset=0) + lzma.compress(data[1000:], preset=0),
    "bzip2": bz2.compress,
    "bzip2-streams": lambda data: bz2.compress(data[:1000000]) + bz2.compress(data[1000000:]),
}


@pytest.fixture(scope="module")
def worker():
    made = Worker("--offline")
    yield made
    made.close()


@pytest.fixture(scope="module")
def packed():
    return {way: pack(TAR) for way, pack in WAYS.items()}


def load(worker, data, **fields):
    files = {"input": File(data), "tar": File(), "index": File()}
    got = worker.call("layer-import", files, **fields)
    out = files["tar"].read(), files["index"].read(), got
    for file in files.values():
        file.close()
    return out


@pytest.mark.parametrize("way", WAYS)
def test_every_compression(worker, packed, way):
    tar, index, got = load(worker, packed[way])
    assert tar == TAR and got["diffId"] == digest_of(TAR) and got["digest"] == digest_of(packed[way]) and got["size"] == len(packed[way])
    assert got["compression"] == way.split("-")[0] and index == load(worker, TAR)[1]


@pytest.mark.parametrize("way", [w for w in WAYS if w != "none"])
def test_what_is_cut_short_is_refused(worker, packed, way):
    data = packed[way]
    for n in (len(data) - 1, len(data) - 9, len(data) // 2, 20):
        if way == "zstd-frames" and n == len(data) - 9:
            continue  # a skippable frame cut inside its size
        with pytest.raises(Failed):
            load(worker, data[:n])


@pytest.mark.parametrize("way", [w for w in WAYS if w != "none"])
def test_garbage_behind_the_end_is_refused(worker, packed, way):
    with pytest.raises(Failed):
        load(worker, packed[way] + b"garbage")


def test_damage_is_seen(worker, packed):
    for way in ("gzip", "zstd", "xz", "bzip2"):
        data = bytearray(packed[way])
        data[len(data) // 2] ^= 0x10
        with pytest.raises(Failed):
            load(worker, bytes(data), diffId=digest_of(TAR))


def test_a_window_that_is_too_large(worker):
    with pytest.raises(Failed, match="zstd: "):
        load(worker, through("zstd", "--ultra", "--long=30", "-c", "-q")(bytes(1000000) + TAR))


def test_declared_as_something_else(worker, packed):
    with pytest.raises(Failed, match="declared as zstd, but the bytes are gzip"):
        load(worker, packed["gzip"], compression="zstd")
    assert load(worker, TAR, compression="gzip")[2]["compression"] == "none"


def test_a_pipe_and_a_copy(worker, packed):
    read, write = os.pipe()
    source, copy = File(), File()
    os.close(source.fd)
    source.fd = read
    ident = worker.send("layer-import", {"input": source, "tar": File(), "body": copy})
    os.close(read)
    with os.fdopen(write, "wb") as f:
        f.write(packed["zstd"])
    assert worker.wait(ident)["diffId"] == digest_of(TAR)
    assert copy.read() == packed["zstd"]


def test_expectations(worker):
    with pytest.raises(Failed, match="digest mismatch"):
        load(worker, TAR, digest=digest_of(b""))
    with pytest.raises(Failed, match="ends after"):
        load(worker, TAR, size=len(TAR) + 1)
    with pytest.raises(Failed, match="more than the expected"):
        load(worker, TAR, size=len(TAR) - 1)
    with pytest.raises(Failed, match="too many members"):
        load(worker, TAR, limits={"entries": 20})


def test_a_full_disk_is_told_as_such(worker, tmp_path):
    if os.geteuid() != 0:
        pytest.skip("needs root to mount a small file system")
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "none", tmp_path], check=True)
    try:
        files = {"input": File(TAR), "tar": File()}
        os.close(files["tar"].fd)
        files["tar"].fd = os.open(tmp_path / "tar", os.O_RDWR | os.O_CREAT)
        with pytest.raises(Failed, match="write the tar of the layer at byte .*no space left on device") as failed:
            worker.call("layer-import", files)
        assert failed.value.event["code"] == "RESOURCE"
        files["tar"].close()
    finally:
        subprocess.run(["umount", "-l", tmp_path], check=True)


def test_no_network(worker):
    with pytest.raises(Failed, match="without network"):
        worker.call("ping", endpoints=[{"url": "http://127.0.0.1:1"}])


@pytest.mark.parametrize("compression, level", [("gzip", 0), ("gzip", 1), ("gzip", 9), ("zstd", 0), ("zstd", 1), ("zstd", 12)])
def test_compression_is_read_by_the_systems_programs(worker, compression, level):
    outs = [File(), File()]
    for out in outs:
        got = worker.call("layer-compress", {"input": File(TAR), "body": out}, compression=compression, level=level)
    blob = outs[0].read()
    assert blob == outs[1].read(), "the same again"
    assert through(compression, "-d", "-c", "-q")(blob) == TAR
    if compression == "gzip":
        assert gzip.decompress(blob) == TAR and gzip.GzipFile(fileobj=io.BytesIO(blob)).read() == TAR
    assert (got["digest"], got["diffId"], got["size"], got["tarSize"]) == (digest_of(blob), digest_of(TAR), len(blob), len(TAR))
    assert load(worker, blob)[0] == TAR


def test_compression_does_not_depend_on_the_cores():
    digests = set()
    for cores in ({0}, os.sched_getaffinity(0)):
        pid_mask = os.sched_getaffinity(0)
        os.sched_setaffinity(0, cores)
        one = Worker("--offline")
        os.sched_setaffinity(0, pid_mask)
        digests.add(tuple(one.call("layer-compress", {"input": File(TAR), "body": File()}, compression=c)["digest"] for c in ("gzip", "zstd")))
        one.close()
    assert len(digests) == 1


def test_an_empty_tar(worker):
    for compression in ("gzip", "zstd"):
        out = File()
        got = worker.call("layer-compress", {"input": File(), "body": out}, compression=compression)
        assert got["diffId"] == "sha256:" + hashlib.sha256().hexdigest()
        assert through(compression, "-d", "-c", "-q")(out.read()) == b""
