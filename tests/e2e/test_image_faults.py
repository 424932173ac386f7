"""Pulls that are disturbed: hostile registries, broken connections, killed programs, two at once."""
import contextlib
import json
import os
import random
import shutil
import sqlite3
import threading
import time

import pytest

from images import OCI_INDEX, OCI_MANIFEST, SKEP, Made, Skep, noise
from registry_double import Registry, digest_of
from transferring import eventually

pytestmark = pytest.mark.skipif(not os.path.exists(SKEP), reason=f"no {SKEP}")

SEED = int(os.environ.get("SEED", "0")) or random.randrange(1 << 30)
TUNED, IMPATIENT = [[x for pair in ("attempts=2", "backoff-ms=1", stall, "connect-ms=20000") for x in ("--tuning", pair)] for stall in ("stall-ms=20000", "stall-ms=1000")]
IMAGE = Made({"one": noise(1, 50000)}, {"two": noise(2, 200000)})
BLOB = IMAGE.layers[1]
PATH = f"/blobs/{digest_of(BLOB)}"


@pytest.fixture
def double():
    made = Registry()
    made.host = f"127.0.0.1:{made.port}"
    made.name = made.host + "/x:1"
    IMAGE.serve(made, "1")
    yield made
    made.close()


@pytest.fixture
def skep(tmp_path):
    made = Skep(str(tmp_path))
    yield made
    made.close()


def nothing_but_parts(skep):
    """No rows, and in ingest/ only what a later pull goes on with."""
    assert skep.query("SELECT * FROM images") == [] and skep.query("SELECT * FROM names") == []
    assert skep.query("SELECT * FROM contents") == [] and skep.query("SELECT * FROM layers") == []
    assert all(name.endswith(".blob") for name in skep.ingest()), skep.ingest()
    assert skep.faults() == []


# ---- hostile answers ----

def other_bytes(h):
    h.answer(200, bytes(len(BLOB)))
    return True


def truncated(h):
    h.send_response(200)
    h.send_header("Content-Length", str(len(BLOB)))
    h.end_headers()
    h.wfile.write(BLOB[:1000])
    h.cut()
    return True


def endless(h):
    h.send_response(200)
    h.send_header("Transfer-Encoding", "chunked")
    h.end_headers()
    try:
        while True:
            h.wfile.write(b"10000\r\n" + bytes(0x10000) + b"\r\n")
    except OSError:
        h.close_connection = True
    return True


def too_long(h):
    h.answer(200, BLOB + b"more")
    return True


def loops(h):
    h.answer(307, Location=h.path)
    return True


def drips(h):
    h.send_response(200)
    h.send_header("Content-Length", str(len(BLOB)))
    h.end_headers()
    try:
        for i in range(100):
            h.wfile.write(BLOB[i:i + 1])
            time.sleep(0.1)
    except OSError:
        pass
    h.cut()
    return True


def missing(h):
    h.refuse(404, "BLOB_UNKNOWN", "blob unknown to registry")
    return True


def away(h):
    h.answer(307, Location="file:///etc/passwd")
    return True


@pytest.mark.parametrize("fault, says", [
    (other_bytes, "digest"), (truncated, ""), (endless, ""), (too_long, ""), (loops, "redirect"), (drips, "stall"), (missing, "404"), (away, ""),
], ids=lambda x: x.__name__ if callable(x) else "")
def test_a_layer_that_is_not_one(skep, double, fault, says):
    double.on(f"GET .*{PATH}", *[fault] * 200)
    text = skep.fails("pull", "-q", *(IMPATIENT if fault == drips else TUNED), double.name)
    assert text.startswith(f"pull {double.name}: layer {digest_of(BLOB)[:19]}: ") and says in text, text
    nothing_but_parts(skep)
    double.faults.clear()
    skep.run("pull", "-q", double.name)
    assert skep.faults() == [] and skep.ingest() == []


def gzip_with(data):
    import gzip
    return gzip.compress(data, 6, mtime=0)


def broken_images():
    """Images whose parts are all there and contradict each other."""
    good = json.loads(IMAGE.manifest)

    def manifest(**changes):
        return {**good, **changes}

    lying = Made({"a": b"b"})
    lying.config = json.dumps({**json.loads(lying.config), "rootfs": {"type": "layers", "diff_ids": [digest_of(b"else")]}}).encode()
    lying_manifest = {**json.loads(lying.manifest), "config": {"mediaType": "application/vnd.oci.image.config.v1+json",
                                                               "digest": digest_of(lying.config), "size": len(lying.config)}}
    trash = gzip_with(b"no tar" * 1000)
    evil = dict(good, layers=[dict(good["layers"][0], digest="sha256:../../../etc/passwd")])
    return {
        "not-json": (b"<html>", [], "manifest"),
        "wrong-type": (json.dumps(manifest(mediaType=OCI_INDEX)).encode(), [], "mediaType"),
        "both": (json.dumps(manifest(manifests=[])).encode(), [], "index"),
        "schema-1": (b'{"schemaVersion":1,"fsLayers":[]}', [], "schema 1"),
        "duplicate-keys": (IMAGE.manifest[:-1] + b',"config":{}}', [], "config"),
        "bad-digest": (json.dumps(evil).encode(), [], "digest"),
        "too-few-layers": (json.dumps(manifest(layers=good["layers"][:1])).encode(), [], "layer"),
        "negative-size": (json.dumps(manifest(layers=[dict(good["layers"][0], size=-1), good["layers"][1]])).encode(), [], "size"),
        "wrong-size": (json.dumps(manifest(layers=[dict(good["layers"][0], size=7), good["layers"][1]])).encode(), [], "layer"),
        "wrong-diff-id": (json.dumps(lying_manifest).encode(), [lying.config, *lying.layers], "layer"),
        "no-tar": (json.dumps(manifest(layers=[dict(good["layers"][0], digest=digest_of(trash), size=len(trash)), good["layers"][1]])).encode(), [trash],
                   "layer"),
        "artifact": (json.dumps(manifest(config={"mediaType": "application/vnd.oci.empty.v1+json", "digest": digest_of(b"{}"), "size": 2})).encode(),
                     [b"{}"], "not an image"),
    }


@pytest.mark.parametrize("kind", broken_images())
def test_an_image_that_contradicts_itself(skep, double, kind):
    data, blobs, says = broken_images()[kind]
    for blob in blobs:
        double.add_blob(blob)
    double.add_manifest(data, "bad", media_type=OCI_MANIFEST)
    text = skep.fails("pull", "-q", *TUNED, f"{double.host}/x:bad")
    assert text.startswith(f"pull {double.host}/x:bad: ") and says in text and len(text) < 700, text
    nothing_but_parts(skep)


def test_a_manifest_of_another_digest(skep, double):
    asked = digest_of(b"asked for")
    double.manifests[asked] = (OCI_MANIFEST, IMAGE.manifest)
    assert "not what was asked for" in skep.fails("pull", "-q", *TUNED, f"{double.host}/x@{asked}")
    nothing_but_parts(skep)


def test_an_index_in_itself(skep, double):
    """Indexes that lead to each other cannot name their own digest: a registry that lies is caught, and depth has an end."""
    name, size = digest_of(IMAGE.manifest), len(IMAGE.manifest)
    for depth in range(5):
        index = json.dumps({"schemaVersion": 2, "mediaType": OCI_INDEX, "annotations": {"depth": str(depth)}, "manifests": [
            {"mediaType": OCI_INDEX if depth else OCI_MANIFEST, "digest": name, "size": size, "platform": {"os": "linux", "architecture": "amd64"}}]}).encode()
        name, size = double.add_manifest(index, "deep", media_type=OCI_INDEX), len(index)
    assert "levels" in skep.fails("pull", "-q", *TUNED, f"{double.host}/x:deep")
    nothing_but_parts(skep)


# ---- going on ----

def test_a_broken_pull_goes_on_where_it_was(skep, double):
    cut = len(BLOB) // 2

    def half(h):
        h.send_response(200)
        h.send_header("Content-Length", str(len(BLOB)))
        h.end_headers()
        h.wfile.write(BLOB[:cut])
        h.cut()
        return True

    double.on(f"GET .*{PATH}", half, *[missing] * 3)
    skep.fails("pull", "-q", *TUNED, double.name)
    assert any(name.endswith(".blob") for name in skep.ingest())
    double.faults.clear()
    double.requests.clear()
    skep.run("pull", "-q", double.name)
    assert double.headers("Range", PATH) == [f"bytes={cut}-"]
    assert skep.faults() == [] and skep.ingest() == []


@pytest.mark.parametrize("whole", [False, True])
def test_bytes_that_never_reached_the_disk(skep, double, whole):
    """After a power cut a part of a blob may be as long as it was, and zeros. More of them than lie between the threads of the worker."""
    large = Made({"large": noise(3, 8 << 20)})
    large.serve(double, "large")
    blob = large.layers[0]
    skep.run("images")
    with open(os.path.join(skep.root, "ingest", digest_of(blob)[7:] + ".blob"), "wb") as f:
        f.write(blob[:1 << 20] + bytes(4 << 20))
        if whole:
            f.truncate(len(blob))
    skep.run("pull", "-q", f"{double.host}/x:large")
    assert skep.faults() == [] and skep.ingest() == []


def test_two_pulls_share_the_work(skep, double):
    gate = threading.Event()

    def wait(h):
        gate.wait(20)
        return False

    double.on(f"GET .*{PATH}", wait)
    first, second = skep.start("pull", double.name), skep.start("pull", double.name)
    seen = b""
    readers = []

    def read(process):
        nonlocal seen
        for line in process.stdout:
            seen += line
            if b": Waiting" in line:
                gate.set()

    for process in first, second:
        readers.append(threading.Thread(target=read, args=(process,)))
        readers[-1].start()
    for reader in readers:
        reader.join(30)
    assert first.wait(30) == 0 and second.wait(30) == 0, seen
    assert b": Waiting" in seen
    for blob in IMAGE.layers:
        assert double.count(f"GET .*{digest_of(blob)}") == 1
    assert skep.faults() == [] and skep.ingest() == []


def test_two_pulls_wait_for_each_other(skep, double):
    """Each has what the other still needs, and needs what the other has."""
    own = [{f"own{i}": noise(10 + i, 5000)} for i in range(6)]
    a, b = {"a": noise(3, 5000)}, {"b": noise(4, 5000)}
    first, second = Made(a, *own[:3], b), Made(b, *own[3:], a)
    first.serve(double, "first")
    second.serve(double, "second")
    both = threading.Barrier(2)

    def wait(h):
        both.wait(20)  # four of each are under way: the fifth is with the other
        return False

    for blob in first.layers[0], second.layers[0]:
        double.on(f"GET .*/blobs/{digest_of(blob)}", wait)
    pulls = [skep.start("pull", "-q", f"{double.host}/x:{tag}") for tag in ("first", "second")]
    for pull in pulls:
        assert pull.wait(30) == 0, pull.stdout.read()
        pull.stdout.close()
    for blob in first.layers[0], second.layers[0]:
        assert double.count(f"GET .*{digest_of(blob)}") == 1
    assert skep.faults() == [] and skep.ingest() == []


def test_what_a_pull_has_found_stays(skep, double):
    """Its documents, too: the image whose they were is removed while a layer is on its way."""
    skep.run("pull", "-q", double.name)
    diff_id = IMAGE.diff_ids[1]
    with contextlib.closing(sqlite3.connect(f"{skep.root}/skep.db")) as db, db:
        db.execute("DELETE FROM layers WHERE diff_id = ?", (diff_id,))
    shutil.rmtree(f"{skep.root}/layers/{diff_id[7:]}")

    def remove(h):
        skep.run("rmi", double.name)
        return False

    double.on(f"GET .*{PATH}", remove)
    skep.run("pull", "-q", f"{double.host}/other:1")
    assert not double.faults[f"GET .*{PATH}"], "the layer was not asked for"
    assert double.host + "/other:1" in skep.run("images", "--format", "{{.Repository}}:{{.Tag}}") and skep.faults() == []


# ---- killed ----

def test_kill_at_any_moment(tmp_path, double):
    """Killed while the registry answers, or a moment later, thirty times; the next pull completes, and no file is without its row."""
    rand = random.Random(SEED)
    for i in range(30):
        skep = Skep(str(tmp_path), f"s{i}")
        process, done = None, threading.Event()
        victim, part = rand.randrange(4), rand.random()
        late = rand.random() < 0.5

        def kill(h, counter=[0]):
            counter[0] += 1
            if counter[0] - 1 != victim or done.is_set():
                return False
            done.set()
            if late: # what is asked for is answered, and the end comes with whatever follows
                threading.Timer(part * 0.05, process.kill).start()
                return False
            data = double.blobs.get(h.url.path.rsplit("/", 1)[1]) or double.manifests["1"][1]
            h.send_response(200)
            h.send_header("Content-Length", str(len(data)))
            h.end_headers()
            h.wfile.write(data[:int(part * len(data))])
            h.wfile.flush()
            process.kill()
            h.cut()
            return True

        double.on("GET /v2/x/", *[lambda h, c=[0]: kill(h)] * 4)
        process = skep.start("pull", double.name)
        process.wait(30)
        process.stdout.close()
        double.faults.clear()
        if os.path.exists(f"{skep.root}/skep.db"):
            skep.run("images")  # opens the store: what was left half done is finished
            left = skep.faults()
            assert left == [], f"SEED={SEED} round {i}: {left}"
        skep.run("pull", "-q", double.name)
        assert skep.faults() == [] and skep.ingest() == [], f"SEED={SEED} round {i}: {skep.ingest()}"
        assert skep.query("SELECT count(*) FROM images") == [(1,)]
        skep.close()


def test_a_killed_push_goes_on_where_the_registry_is(skep, double):
    skep.run("pull", "-q", double.name)
    target = f"{double.host}/y:1"
    skep.run("tag", double.name, target)
    del double.blobs[digest_of(BLOB)]
    process = None

    def kill(h):
        eventually(lambda: skep.query("SELECT count(*) FROM uploads") == [(1,)])
        process.kill()
        process.wait(30)
        h.cut()
        return True

    double.on("PATCH /v2/y/", lambda h: False, lambda h: False, kill)
    process = skep.start("push", "--chunk-size", "64k", target)
    process.wait(30)
    process.stdout.close()
    taken = max(len(data) for data in double.uploads.values())
    assert taken == 2 << 16 and skep.query("SELECT count(*) FROM uploads") == [(1,)]
    double.requests.clear()
    assert skep.run("push", "--chunk-size", "64k", target).endswith(f"1: digest: {IMAGE.digest} size: {len(IMAGE.manifest)}\n")
    assert double.headers("Content-Range", "PATCH /v2/y/")[0].startswith(f"{taken}-")
    assert double.blobs[digest_of(BLOB)] == BLOB and skep.query("SELECT count(*) FROM uploads") == [(0,)]
