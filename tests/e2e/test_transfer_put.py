"""skep-transfer: what goes to a registry: blobs by mount, PUT and PATCH, resumed; manifests. And Debian's own registry, for real."""
import gzip
import hashlib
import json
import os
import random
import shutil
import socket
import subprocess
import urllib.request

import pytest
from registry_double import Registry, digest_of
from transferring import PROGRAM, Failed, File, Worker, eventually

if not os.access(PROGRAM, os.X_OK):
    pytest.skip(f"no {PROGRAM}", allow_module_level=True)

BLOB = random.Random(1).randbytes(3 << 20)


@pytest.fixture
def worker():
    made = Worker()
    yield made
    made.close()


@pytest.fixture
def registry():
    made = Registry()
    yield made
    made.close()


def put(worker, registry, data=BLOB, source=None, **fields):
    fields.setdefault("endpoints", [{"url": registry.url}])
    return worker.send("blob-put", {"input": File(data if source is None else source)}, repository="x/y", digest=digest_of(data), size=len(data),
                       **fields)


def test_what_is_there_is_not_sent(worker, registry):
    registry.add_blob(BLOB)
    assert worker.wait(put(worker, registry))["existed"] is True
    assert registry.count("POST") == 0


def test_a_mount_sends_nothing(worker, registry):
    registry.on("HEAD", lambda h: h.answer(404) or True)
    registry.add_blob(BLOB)
    got = worker.wait(put(worker, registry, mountFrom=["has/not", "has/it"]))
    assert got["mounted"] is True and registry.count("PUT|PATCH") == 0
    assert registry.count("DELETE .*uploads") == 1, "the upload that the failed mount opened is cancelled"


def test_one_put(worker, registry):
    got = worker.wait(put(worker, registry))
    assert registry.blobs[digest_of(BLOB)] == BLOB and got["status"] == 201
    assert (registry.count("POST"), registry.count("PATCH"), registry.count("PUT")) == (1, 0, 1)


def test_an_empty_blob(worker, registry):
    worker.wait(put(worker, registry, b""))
    assert registry.blobs[digest_of(b"")] == b""


def test_chunks(worker, registry):
    ident = put(worker, registry, chunk=1 << 20)
    worker.wait(ident)
    assert registry.blobs[digest_of(BLOB)] == BLOB
    assert registry.headers("Content-Range") == ["0-1048575", "1048576-2097151", "2097152-3145727"]
    places = [e for e in worker.events[ident] if e["kind"] == "location"]
    assert [e.get("bytes", 0) for e in places] == [0, 1 << 20, 2 << 20, 3 << 20]


def half(h):
    """Takes some of a PATCH or PUT, and the connection breaks."""
    ident = h.url.path.rsplit("/", 1)[1]
    h.registry.uploads[ident] += h.body(1000000)
    h.cut()
    return True


@pytest.mark.parametrize("chunk", [0, 2 << 20])
def test_an_upload_that_breaks_goes_on_where_the_registry_stands(worker, registry, chunk):
    registry.on("(PUT|PATCH)", half)
    worker.wait(put(worker, registry, chunk=chunk))
    assert registry.blobs[digest_of(BLOB)] == BLOB
    assert registry.headers("Content-Range")[-1] == "1000000-3145727" or registry.headers("Content-Range")[-2] == "1000000-3097151"


def test_a_later_run_resumes_an_upload(registry):
    first = Worker()

    def stuck(h):
        half(h)
        first.process.kill()
        return True
    registry.on("PATCH", lambda h: False, stuck)
    ident = put(first, registry, chunk=1 << 20)
    first.wait_for(ident, "location")
    first.process.wait(30)
    events = []
    while True:
        message = first.sock.recv(1 << 20)
        if not message:
            break
        events.append(json.loads(message))
    place = [e["location"] for e in first.events[ident] + events if e["kind"] == "location"][-1]
    first.sock.close()
    assert len(registry.uploads) == 1
    second = Worker()
    got = second.wait(put(second, registry, location=place))
    assert got["resumed"] == (1 << 20) + 1000000 and registry.blobs[digest_of(BLOB)] == BLOB
    assert registry.count("POST") == 1
    second.close()


def test_an_upload_that_has_expired_begins_anew(worker, registry):
    worker.wait(put(worker, registry, location=f"{registry.url}/v2/x/y/blobs/uploads/gone"))
    assert registry.blobs[digest_of(BLOB)] == BLOB
    registry.blobs.clear()

    def lose(h):
        half(h)
        h.registry.uploads.clear()
        return True
    registry.on("PUT", lose)
    worker.wait(put(worker, registry))
    assert registry.blobs[digest_of(BLOB)] == BLOB


def test_out_of_step(worker, registry):
    def ahead(h):
        h.body()
        h.registry.uploads[h.url.path.rsplit("/", 1)[1]] += BLOB[:5]
        h.refuse(416, "BLOB_UPLOAD_INVALID")
        return True
    registry.on("PATCH", ahead)
    worker.wait(put(worker, registry, chunk=1 << 20))
    assert registry.blobs[digest_of(BLOB)] == BLOB


def test_a_registry_that_wants_larger_chunks(worker, registry):
    registry.on("POST", lambda h: (h.registry.uploads.update(u=bytearray()) or
                                   h.answer(202, Location="/v2/x/y/blobs/uploads/u", OCI_Chunk_Min_Length=2 << 20)) or True)
    worker.wait(put(worker, registry, chunk=1 << 20))
    assert registry.headers("Content-Range")[0] == "0-2097151"


def test_wrong_bytes_are_the_registrys_to_refuse(worker, registry):
    with pytest.raises(Failed, match="400: DIGEST_INVALID"):
        worker.wait(put(worker, registry, BLOB, BLOB[::-1]))
    with pytest.raises(Failed, match="ends too early"):
        worker.wait(put(worker, registry, BLOB, BLOB[:-1]))
    assert not registry.blobs


def test_an_upload_elsewhere_gets_no_credentials(worker, registry):
    store = Registry()
    registry.users = {"u": "p"}

    def elsewhere(h):
        if "Authorization" not in h.headers:
            return False
        h.body()
        store.uploads["s"] = bytearray()
        h.answer(202, Location=f"{store.url}/v2/x/y/blobs/uploads/s?sig=1")
        return True
    registry.on("POST", *[elsewhere] * 2)
    worker.wait(put(worker, registry, endpoints=[{"url": registry.url, "username": "u", "password": "p"}]))
    assert store.blobs[digest_of(BLOB)] == BLOB and not store.headers("Authorization") and registry.headers("Authorization")
    store.close()


def test_scopes_of_a_push(worker, registry):
    registry.users, registry.realm = {"u": "p"}, registry.url + "/token"
    registry.on("GET /token", *[lambda h: registry.give_token(h, registry)] * 9)
    worker.wait(put(worker, registry, mountFrom=["has/not"]))
    tokens = [path for _, path, _ in registry.requests if path.startswith("/token")]
    assert tokens == ["/token?service=reg.test&scope=repository%3Ax%2Fy%3Apull%2Cpush&scope=repository%3Ahas%2Fnot%3Apull"
                      "&scope=repository%3Ax%2Fy%3Apull"]


def test_manifests(worker, registry):
    subject = digest_of(BLOB)
    data = json.dumps({"schemaVersion": 2, "subject": {"digest": subject}}).encode()
    got = worker.call("manifest-put", {"input": File(data)}, endpoints=[{"url": registry.url}], repository="x/y", digest=digest_of(data),
                      size=len(data), mediaType="application/vnd.oci.image.manifest.v1+json", tags=["v1", "v2"])
    assert got["subject"] == subject and registry.manifests["v2"] == ("application/vnd.oci.image.manifest.v1+json", data)
    with pytest.raises(Failed, match="not what its digest says"):
        worker.call("manifest-put", {"input": File(data + b" ")}, endpoints=[{"url": registry.url}], repository="x/y", digest=digest_of(data),
                    size=len(data), mediaType="a/b", tags=["v1"])
    registry.on("PUT", lambda h: h.body() and h.refuse(413, "SIZE_INVALID") or True)
    with pytest.raises(Failed, match="413: SIZE_INVALID"):
        worker.call("manifest-put", {"input": File(data)}, endpoints=[{"url": registry.url}], repository="x/y", digest=digest_of(data),
                    size=len(data), mediaType="a/b", reference="v1")


# ---- the real one ----

@pytest.fixture
def distribution(tmp_path):
    program = shutil.which("docker-registry")
    if not program:
        pytest.skip("no docker-registry")
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port = s.getsockname()[1]
    config = tmp_path / "config.yml"
    config.write_text(f"version: 0.1\nlog: {{level: error}}\nstorage: {{filesystem: {{rootdirectory: {tmp_path}/data}}, delete: {{enabled: true}}}}\n"
                      f"http: {{addr: 127.0.0.1:{port}}}\n", encoding="utf-8")
    with subprocess.Popen([program, "serve", config], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        def up():
            try:
                return urllib.request.urlopen(f"http://127.0.0.1:{port}/v2/", timeout=1).status == 200
            except OSError:
                return False
        eventually(up)
        yield f"http://127.0.0.1:{port}"
        process.terminate()


@pytest.mark.parametrize("chunk", [0, 1 << 20])
def test_a_round_trip_through_distribution(worker, distribution, chunk):
    there = {"endpoints": [{"url": distribution}], "repository": "round/trip"}
    plain = random.Random(5).randbytes(2 << 20) + bytes(1 << 20)
    layer = gzip.compress(plain)
    config = b'{"architecture":"amd64","os":"linux","rootfs":{"type":"layers","diff_ids":["sha256:%s"]}}' % hashlib.sha256(plain).hexdigest().encode()
    for data in (layer, config):
        worker.call("blob-put", {"input": File(data)}, digest=digest_of(data), size=len(data), chunk=chunk, **there)
    assert worker.call("blob-put", {"input": File(layer)}, digest=digest_of(layer), size=len(layer), **there)["existed"]
    other = {**there, "repository": "other"}
    assert worker.call("blob-put", {"input": File(layer)}, digest=digest_of(layer), size=len(layer), mountFrom=["round/trip"], **other)["mounted"]
    kind = "application/vnd.docker.distribution.manifest.v2+json"
    manifest = json.dumps({"schemaVersion": 2, "mediaType": kind,
                           "config": {"mediaType": "application/vnd.docker.container.image.v1+json", "size": len(config), "digest": digest_of(config)},
                           "layers": [{"mediaType": "application/vnd.docker.image.rootfs.diff.tar.gzip", "size": len(layer),
                                       "digest": digest_of(layer)}]}).encode()
    worker.call("manifest-put", {"input": File(manifest)}, digest=digest_of(manifest), size=len(manifest), mediaType=kind, tags=["a", "b"], **there)
    body = File()
    got = worker.call("manifest-get", {"body": body}, reference="b", accept=[kind], **there)
    assert (body.read(), got["digest"], got["contentType"]) == (manifest, digest_of(manifest), kind)
    worker.call("tags", {"body": body}, **there)
    assert sorted(body.read().split()) == [b"a", b"b"]
    worker.call("catalog", {"body": body}, endpoints=there["endpoints"])
    assert body.read() == b"other\nround/trip\n"
    tar, blob = File(), File(layer[:1000])
    got = worker.call("blob-get", {"body": blob, "tar": tar}, digest=digest_of(layer), size=len(layer), tuning={"ranges": 2}, **there)
    assert tar.read() == plain and blob.read() == layer and got["resumed"] == 1000
    worker.call("referrers", {"body": body}, digest=digest_of(manifest), **there)
    assert json.loads(body.read())["manifests"] == []
    worker.call("manifest-delete", reference=digest_of(manifest), **there)
    with pytest.raises(Failed, match="MANIFEST_UNKNOWN"):
        worker.call("manifest-get", {"body": body}, reference="a", **there)
