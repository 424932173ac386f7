"""skep-transfer: what comes from a registry: manifests, lists, blobs; resumed, in ranges, from mirrors, against hostile ones."""
import base64
import gzip
import io
import json
import os
import random
import socket
import subprocess
import tarfile

import pytest
from registry_double import Registry, digest_of
from transferring import PROGRAM, Failed, File, Worker

if not os.access(PROGRAM, os.X_OK):
    pytest.skip(f"no {PROGRAM}", allow_module_level=True)

MANIFEST = b'{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","layers":[]}'
BLOB = random.Random(1).randbytes(3 << 20)
AUTHORIZATION = "Authorization"


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


@pytest.fixture
def other():
    made = Registry()
    yield made
    made.close()


def at(*registries, **more):
    return [{"url": r.url, **more} for r in registries]


def get_blob(worker, registries, data, files=None, digest=None, **fields):
    endpoints = registries if isinstance(registries, list) else at(registries)
    return worker.call("blob-get", files, endpoints=endpoints, repository="x/y", digest=digest or digest_of(data), size=len(data), **fields)


def tar_of(**files):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return out.getvalue()


def failing(*args, **kwargs):
    with pytest.raises(Failed) as failed:
        get_blob(*args, **kwargs)
    return failed.value.event


# ---- manifests and lists ----

def test_a_manifest_by_tag(worker, registry):
    registry.add_manifest(MANIFEST, "latest")
    body = File()
    got = worker.call("manifest-get", {"body": body}, endpoints=at(registry), repository="x/y", reference="latest",
                      accept=["application/vnd.oci.image.index.v1+json", "application/vnd.oci.image.manifest.v1+json"])
    assert body.read() == MANIFEST
    assert (got["digest"], got["size"], got["status"]) == (digest_of(MANIFEST), len(MANIFEST), 200)
    assert got["contentType"] == "application/vnd.oci.image.manifest.v1+json"
    assert registry.headers("Accept") == ["application/vnd.oci.image.index.v1+json, application/vnd.oci.image.manifest.v1+json"]
    assert registry.headers("User-Agent")[0].startswith("skep/")


@pytest.mark.parametrize("algorithm", ["sha256", "sha512"])
def test_a_manifest_by_digest_is_verified(worker, registry, algorithm):
    wanted = digest_of(MANIFEST, algorithm)
    registry.manifests[wanted] = ("a/b", MANIFEST)
    got = worker.call("manifest-get", {"body": File()}, endpoints=at(registry), repository="x/y", reference=wanted)
    assert got["digest"] == wanted
    registry.manifests[wanted] = ("a/b", MANIFEST + b" ")
    with pytest.raises(Failed, match="not what was asked for"):
        worker.call("manifest-get", {"body": File()}, endpoints=at(registry), repository="x/y", reference=wanted)


def test_a_manifest_that_is_not_what_the_header_says(worker, registry):
    registry.on("GET .*latest", lambda h: h.answer(200, MANIFEST, Docker_Content_Digest="sha256:" + "0" * 64) or True)
    with pytest.raises(Failed, match="but the registry says sha256:0000"):
        worker.call("manifest-get", {"body": File()}, endpoints=at(registry), repository="x/y", reference="latest")


def test_what_is_missing_is_named_as_the_registry_does(worker, registry):
    with pytest.raises(Failed, match="manifest-get x/y nope: .*404: MANIFEST_UNKNOWN: manifest unknown") as failed:
        worker.call("manifest-get", {"body": File()}, endpoints=at(registry), repository="x/y", reference="nope")
    assert (failed.value.event["code"], failed.value.event["errorCode"]) == ("NOT_FOUND", "MANIFEST_UNKNOWN")
    assert registry.count("GET") == 1, "what is not there does not come by asking again"


def test_a_manifest_has_a_limit(worker, registry):
    registry.add_manifest(b"[" + b" " * 5000000 + b"]", "big")
    with pytest.raises(Failed, match="more than the expected 4194304 bytes"):
        worker.call("manifest-get", {"body": File()}, endpoints=at(registry), repository="x/y", reference="big")


def test_head_and_delete(worker, registry):
    registry.add_manifest(MANIFEST, "v1")
    registry.add_blob(BLOB)
    assert worker.call("manifest-head", endpoints=at(registry), repository="x/y", reference="v1")["digest"] == digest_of(MANIFEST)
    assert worker.call("blob-head", endpoints=at(registry), repository="x/y", digest=digest_of(BLOB))["size"] == len(BLOB)
    worker.call("manifest-delete", endpoints=at(registry), repository="x/y", reference="v1")
    worker.call("blob-delete", endpoints=at(registry), repository="x/y", digest=digest_of(BLOB))
    assert "v1" not in registry.manifests and not registry.blobs


def test_lists_come_in_pages(worker, registry):
    tags = sorted(f"v{n}" for n in range(25))
    for tag in tags:
        registry.manifests[tag] = ("a/b", MANIFEST)
    registry.page = 10
    body = File()
    worker.call("tags", {"body": body}, endpoints=at(registry), repository="x/y")
    assert body.read().decode().split() == tags
    assert registry.count("GET /v2/x/y/tags") == 3
    worker.call("catalog", {"body": body}, endpoints=at(registry))
    assert body.read().decode().split() == ["one/a", "two/b"]
    got = worker.call("tags", {"body": body}, endpoints=at(registry), repository="x/y", limit=20)
    assert got["more"] and len(body.read()) <= 20


def test_a_list_that_never_ends_and_names_that_are_none(worker, registry):
    registry.on("GET .*tags", *[lambda h: h.answer(200, b'{"tags":["a"]}', Link=f'<{h.path}>; rel="next"') or True] * 3)
    worker.call("tags", {"body": File()}, endpoints=at(registry), repository="x/y")
    registry.faults.clear()
    registry.on("GET .*tags", lambda h: h.answer(200, b'{"tags":["a\\n../b"]}') or True)
    with pytest.raises(Failed, match="is no name"):
        worker.call("tags", {"body": File()}, endpoints=at(registry), repository="x/y")


@pytest.mark.parametrize("api", [True, False])
def test_referrers(worker, registry, api):
    subject = digest_of(MANIFEST)
    signature = json.dumps({"artifactType": "sig", "subject": {"digest": subject}}).encode()
    sbom = json.dumps({"artifactType": "sbom", "subject": {"digest": subject}}).encode()
    registry.add_manifest(signature)
    registry.add_manifest(sbom)
    registry.has_referrers = api
    registry.filters = False
    if not api:
        index = {"manifests": [{"digest": digest_of(d), "artifactType": json.loads(d)["artifactType"]} for d in (signature, sbom)]}
        registry.add_manifest(json.dumps(index).encode(), subject.replace(":", "-"))
    body = File()
    worker.call("referrers", {"body": body}, endpoints=at(registry), repository="x/y", digest=subject)
    assert {m["digest"] for m in json.loads(body.read())["manifests"]} == {digest_of(signature), digest_of(sbom)}
    worker.call("referrers", {"body": body}, endpoints=at(registry), repository="x/y", digest=subject, artifactType="sig")
    assert [m["digest"] for m in json.loads(body.read())["manifests"]] == [digest_of(signature)]


# ---- blobs ----

def test_a_layer_in_one_pass(worker, registry):
    tar = tar_of(**{f"f{n}": BLOB[:n * 1000] for n in range(200)})
    blob = gzip.compress(tar)
    registry.add_blob(blob)
    files = {"body": File(), "tar": File(), "index": File()}
    ident = worker.send("blob-get", files, endpoints=at(registry), repository="x/y", digest=digest_of(blob), size=len(blob),
                        diffId=digest_of(tar), compression="gzip")
    got = worker.wait(ident)
    assert (files["body"].read(), files["tar"].read()) == (blob, tar)
    assert (got["diffId"], got["tarSize"], got["compression"]) == (digest_of(tar), len(tar), "gzip")
    assert got["entries"] == 201 and files["index"].read()[1024:1028] == b"\xe2\xe1\xf5\xe0"
    assert any(e["kind"] == "progress" and e["total"] == len(blob) for e in worker.events[ident])


def test_the_layer_alone(worker, registry):
    tar = tar_of(a=BLOB)
    registry.add_blob(tar)
    out = File()
    assert get_blob(worker, registry, tar, {"tar": out})["compression"] == "none"
    assert out.read() == tar


@pytest.mark.parametrize("have", [0, 1, 1 << 20, len(BLOB)])
def test_what_is_there_is_not_got_again(worker, registry, have):
    registry.add_blob(BLOB)
    body = File(BLOB[:have])
    got = get_blob(worker, registry, BLOB, {"body": body})
    assert body.read() == BLOB and got.get("resumed", 0) == have
    assert registry.headers("Range") == ([f"bytes={have}-"] if 0 < have < len(BLOB) else [])
    assert registry.count("GET") == (have < len(BLOB))


def test_a_server_without_ranges_still_resumes(worker, registry):
    registry.add_blob(BLOB)
    registry.ranges = False
    body = File(BLOB[:1000])
    get_blob(worker, registry, BLOB, {"body": body})
    assert body.read() == BLOB


def test_wrong_bytes_that_were_there_are_dropped(worker, registry):
    registry.add_blob(BLOB)
    body = File(b"?" + BLOB[1:5000])
    get_blob(worker, registry, BLOB, {"body": body})
    assert body.read() == BLOB
    body = File(BLOB + b"more")
    get_blob(worker, registry, BLOB, {"body": body})
    assert body.read() == BLOB


def broken_after(n):
    def fault(h):
        data = h.registry.blobs[h.url.path.rsplit("/", 1)[1]]
        first = int(h.headers.get("Range", "bytes=0-")[6:].split("-")[0])
        h.send_response(206 if first else 200)
        h.send_header("Content-Length", str(len(data) - first))
        if first:
            h.send_header("Content-Range", f"bytes {first}-{len(data) - 1}/{len(data)}")
        h.end_headers()
        h.wfile.write(data[first:first + n])
        h.cut()
        return True
    return fault


def test_a_connection_that_breaks_goes_on_where_it_was(worker, registry):
    tar = tar_of(a=BLOB, b=BLOB)
    registry.add_blob(tar)
    registry.on("GET .*blobs", *[broken_after(500000)] * 6)  # more often than attempts: each gets further
    files = {"body": File(), "tar": File()}
    get_blob(worker, registry, tar, files)
    assert files["tar"].read() == files["body"].read() == tar
    assert len(registry.headers("Range")) == 6


def test_a_connection_that_breaks_behind_the_last_byte(worker, registry):
    """All that was wanted is there: nothing is asked for that lies behind it."""
    def without_end(h):
        h.send_response(200)
        h.send_header("Transfer-Encoding", "chunked")
        h.end_headers()
        h.wfile.write(b"%x\r\n%s\r\n" % (len(BLOB), BLOB))
        h.cut()
        return True

    registry.add_blob(BLOB)
    registry.on("GET .*blobs", without_end)
    body = File()
    get_blob(worker, registry, BLOB, {"body": body})
    assert body.read() == BLOB and registry.count("GET") == 1


def test_no_progress_is_not_tried_for_ever(worker, registry):
    registry.add_blob(BLOB)
    registry.on("GET .*blobs", *[broken_after(0)] * 100)
    failing(worker, registry, BLOB, {"body": File()})
    assert registry.count("GET") == 4


def test_parallel_ranges(worker, registry):
    data = random.Random(2).randbytes(21 << 20)
    registry.add_blob(data)
    body = File(data[:12345])
    registry.on("GET .*blobs", lambda h: False, broken_range)
    get_blob(worker, registry, data, {"body": body}, tuning={"ranges": 4})
    assert body.read() == data
    assert registry.count("GET") >= 11
    assert f"bytes=12345-{12345 + (2 << 20) - 1}" in registry.headers("Range")


def broken_range(h):
    first, last = map(int, h.headers["Range"][6:].split("-"))
    data = h.registry.blobs[h.url.path.rsplit("/", 1)[1]]
    h.send_response(206)
    h.send_header("Content-Length", str(last - first + 1))
    h.send_header("Content-Range", f"bytes {first}-{last}/{len(data)}")
    h.end_headers()
    h.wfile.write(data[first:first + 1000])
    h.cut()
    return True


def test_parallel_ranges_of_a_server_that_has_none(worker, registry):
    data = random.Random(3).randbytes(17 << 20)
    registry.add_blob(data)
    registry.ranges = False
    body = File()
    get_blob(worker, registry, data, {"body": body}, tuning={"ranges": 4})
    assert body.read() == data


def test_wrong_parts_are_refused(worker, registry):
    registry.add_blob(BLOB)
    registry.on("GET .*blobs", lambda h: h.answer(206, BLOB, Content_Range=f"bytes 0-{len(BLOB) - 1}/{len(BLOB)}") or True)
    assert "bytes from 7 on were asked for" in failing(worker, registry, BLOB, {"body": File(BLOB[:7])})["message"]


# ---- endpoints ----

def test_mirrors_are_tried_in_order(worker, registry, other):
    registry.add_blob(BLOB)
    body = File()
    got = get_blob(worker, [{"url": "http://127.0.0.1:1"}, *at(other), *at(registry)], BLOB, {"body": body}, tuning={"attempts": 1})
    assert got["endpoint"] == 2 and body.read() == BLOB and other.count("GET") == 1


def test_a_mirror_that_lies_is_passed_over(worker, registry, other):
    tar = tar_of(a=BLOB)
    registry.add_blob(tar)
    other.blobs[digest_of(tar)] = tar[:-1] + b"!"
    files = {"body": File(), "tar": File(), "index": File()}
    got = get_blob(worker, at(other, registry), tar, files)
    assert got["endpoint"] == 1 and files["tar"].read() == files["body"].read() == tar


def test_a_mirror_takes_over_in_the_middle(worker, registry, other):
    registry.add_blob(BLOB)
    other.add_blob(BLOB)
    other.on("GET .*blobs", broken_after(1000000), *[lambda h: h.refuse(404, "BLOB_UNKNOWN") or True] * 9)
    body = File()
    get_blob(worker, at(other, registry), BLOB, {"body": body})
    assert body.read() == BLOB and registry.headers("Range") == ["bytes=1000000-"]


def test_a_mirror_with_a_path_and_another_name(worker, registry):
    registry.add_blob(BLOB)
    registry.on("GET /mirror/v2/docker/x/blobs", lambda h: h.answer(200, BLOB) or True)
    get_blob(worker, [{"url": registry.url + "/mirror/", "repository": "docker/x"}], BLOB, {"body": File()})


def test_foreign_urls_come_last_and_without_credentials(worker, registry, other):
    other.add_blob(BLOB)
    registry.users = {"u": "p"}
    got = get_blob(worker, at(registry, username="u", password="p"), BLOB, {"body": File()}, urls=[f"{other.url}/cdn/{digest_of(BLOB)}"])
    assert got["status"] == 200
    assert not other.headers(AUTHORIZATION)
    other.users = {"u": "p"}
    other.on("GET /cdn", lambda h: h.refuse(401, "UNAUTHORIZED", WWW_Authenticate='Basic realm="give me"') or True)
    failing(worker, at(registry, username="u", password="p"), BLOB, {"body": File()}, urls=[f"{other.url}/cdn/{digest_of(BLOB)}"])
    assert not other.headers(AUTHORIZATION)


# ---- patience ----

@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
def test_what_may_go_away_is_tried_again(worker, registry, status):
    registry.add_blob(BLOB)
    registry.on("GET .*blobs", lambda h: h.refuse(status, "TOOMANYREQUESTS", Retry_After="0") or True, lambda h: h.cut() or True)
    get_blob(worker, registry, BLOB, {"body": File()})
    assert registry.count("GET") == 3


def test_retry_after_is_respected_and_cancelling_does_not_wait_for_it(worker, registry):
    registry.on("GET .*blobs", *[lambda h: h.refuse(503, "UNAVAILABLE", Retry_After="100") or True] * 9)
    ident = worker.send("blob-get", {"body": File()}, endpoints=at(registry), repository="x/y", digest=digest_of(BLOB), size=len(BLOB))
    from transferring import eventually
    eventually(lambda: registry.count("GET") == 1)
    worker.send("cancel", cancel=ident)
    with pytest.raises(Failed, match="cancelled"):
        worker.wait(ident)
    assert registry.count("GET") == 1


def test_a_server_that_falls_silent(worker, registry):
    registry.add_blob(BLOB)

    def silent(h):
        h.send_response(200)
        h.send_header("Content-Length", str(len(BLOB)))
        h.end_headers()
        h.wfile.write(BLOB[:100])
        h.wfile.flush()
        h.connection.settimeout(20)
        h.rfile.read(1)  # until the other side has enough
        h.close_connection = True
        return True
    registry.on("GET .*blobs", silent)
    body = File()
    get_blob(worker, registry, BLOB, {"body": body}, tuning={"stallMs": 1000})
    assert body.read() == BLOB and registry.headers("Range")[0] == "bytes=100-"


def test_a_slow_drip_meets_the_deadline(worker, registry):
    def drip(h):
        h.send_response(200)
        h.send_header("Content-Length", str(len(BLOB)))
        h.end_headers()
        h.connection.settimeout(0.05)
        for n in range(1000):
            h.wfile.write(BLOB[n:n + 1])
            try:
                if not h.connection.recv(1):
                    break
            except TimeoutError:
                continue
            except OSError:
                break
        h.close_connection = True
        return True
    registry.on("GET .*blobs", *[drip] * 9)
    event = failing(worker, registry, BLOB, {"body": File()}, tuning={"deadlineMs": 700})
    assert event["code"] == "TIMEOUT" and "700 ms" in event["message"]
    event = failing(worker, registry, BLOB, {"body": File()}, tuning={"stallMs": 300, "attempts": 1})
    assert "stalled" in event["message"]


# ---- hostile answers ----

def test_wrong_bytes(worker, registry):
    registry.blobs[digest_of(BLOB)] = BLOB[::-1]
    event = failing(worker, registry, BLOB, {"body": File()})
    assert event["code"] == "SECURITY" and "digest mismatch" in event["message"]


def test_an_endless_body(worker, registry):
    def endless(h):
        h.send_response(200)
        h.end_headers()
        h.close_connection = True
        try:
            while True:
                h.wfile.write(BLOB)
        except OSError:
            return True
    registry.on("GET .*blobs", *[endless] * 9)
    body = File()
    assert "more than the expected" in failing(worker, registry, BLOB, {"body": body})["message"]
    assert len(body.read()) <= len(BLOB)
    assert registry.count("GET") == 1


def test_a_wrong_length_is_refused_before_its_bytes(worker, registry):
    registry.blobs[digest_of(BLOB)] = BLOB + b"more"
    assert f"{len(BLOB) + 4} bytes are offered" in failing(worker, registry, BLOB, {"body": File()})["message"]


def test_endless_headers(worker, registry):
    def headers(h):
        h.send_response(200)
        for n in range(2000):
            h.send_header(f"X-{n}", "y" * 100)
        h.end_headers()
        return True
    registry.on("GET .*blobs", headers)
    assert "64 KiB of headers" in failing(worker, registry, BLOB, {"body": File()})["message"]


def test_bombs(worker, registry):
    bomb = gzip.compress(bytes(100 << 20))
    registry.add_blob(bomb)
    event = failing(worker, registry, bomb, {"tar": File()}, limits={"tarSize": 10 << 20})
    assert "more than the allowed 10485760 bytes" in event["message"]
    event = failing(worker, registry, bomb, {"tar": File()}, limits={"ratio": 100})
    assert "more than the allowed 100 to 1" in event["message"] and event["code"] == "SECURITY"


@pytest.mark.parametrize("spoil, message", [
    (lambda b: b[:-5], "truncated"),
    (lambda b: b + b"garbage", "garbage after the end"),
    (lambda b: b[:-8] + bytes(8), "wrong checksum"),
    (lambda b: gzip.compress(b"no tar, but long enough to be seen as one" * 50), "tar"),
])
def test_a_bad_layer_is_nobody_elses_fault(worker, registry, other, spoil, message):
    blob = spoil(gzip.compress(tar_of(a=BLOB[:100000])))
    registry.add_blob(blob)
    other.add_blob(blob)
    event = failing(worker, at(registry, other), blob, {"tar": File(), "index": File()}, compression="gzip")
    assert message in event["message"]
    assert other.count("GET") == 0, "its digest was right: no mirror has a better one"


def test_zeros_and_members_behind_a_gzip_stream(worker, registry):
    tar = tar_of(a=BLOB[:100000])
    blob = gzip.compress(tar[:5000]) + gzip.compress(tar[5000:]) + bytes(1000)
    registry.add_blob(blob)
    out = File()
    get_blob(worker, registry, blob, {"tar": out})
    assert out.read() == tar


def test_another_diff_id(worker, registry):
    tar = tar_of(a=b"x")
    registry.add_blob(tar)
    event = failing(worker, registry, tar, {"tar": File()}, diffId=digest_of(b"other"))
    assert f"the tar is {digest_of(tar)}, but" in event["message"]


# ---- credentials ----

def test_basic(worker, registry):
    registry.users = {"u": "pa:ss"}
    registry.add_manifest(MANIFEST, "v1")
    for _ in range(3):
        worker.call("manifest-get", {"body": File()}, endpoints=at(registry, username="u", password="pa:ss"), repository="x/y", reference="v1")
    assert registry.headers(AUTHORIZATION) == ["Basic " + base64.b64encode(b"u:pa:ss").decode()] * 3
    assert registry.count("GET") == 4, "asked once"
    worker.call("ping", endpoints=at(registry, username="u", password="pa:ss"))
    with pytest.raises(Failed, match="wrong user name or password") as failed:
        worker.call("ping", endpoints=at(registry, username="u", password="no"))
    assert failed.value.event["code"] == "PERMISSION"
    with pytest.raises(Failed, match="no credentials for it"):
        worker.call("ping", endpoints=at(registry))


def test_tokens(worker, registry, other):
    registry.users, registry.realm = {"u": "p"}, other.url + "/token"
    registry.add_manifest(MANIFEST, "v1")
    registry.add_blob(BLOB)
    other.on("GET /token", *[lambda h: other.give_token(h, registry)] * 9)
    creds = {"username": "u", "password": "p"}
    for _ in range(3):
        worker.call("manifest-get", {"body": File()}, endpoints=at(registry, **creds), repository="x/y", reference="v1")
    get_blob(worker, at(registry, **creds), BLOB, {"body": File()})
    assert other.count("GET /token") == 1, "one token per scope"
    assert other.requests[0][1] == "/token?service=reg.test&scope=repository%3Ax%2Fy%3Apull&account=u"
    assert other.headers(AUTHORIZATION) == ["Basic " + base64.b64encode(b"u:p").decode()]
    assert all(h.startswith("Bearer token-0") for h in registry.headers(AUTHORIZATION))


def test_a_token_that_is_refused_is_renewed_once(worker, registry, other):
    registry.users, registry.realm = {"u": "p"}, other.url + "/token"
    registry.add_manifest(MANIFEST, "v1")
    other.on("GET /token", *[lambda h: other.give_token(h, registry)] * 9)
    call = {"endpoints": at(registry), "repository": "x/y", "reference": "v1"}
    worker.call("manifest-get", {"body": File()}, **call)
    registry.tokens.clear()
    worker.call("manifest-get", {"body": File()}, **call)
    assert other.count("GET /token") == 2
    assert not other.headers(AUTHORIZATION), "anonymous"


def test_many_at_once_share_one_token(worker, registry, other):
    registry.users, registry.realm = {"u": "p"}, other.url + "/token"
    registry.add_manifest(MANIFEST, "v1")
    other.on("GET /token", *[lambda h: other.give_token(h, registry)] * 99)
    idents = [worker.send("manifest-get", {"body": File()}, endpoints=at(registry), repository="x/y", reference="v1") for _ in range(40)]
    for ident in idents:
        worker.wait(ident)
    assert other.count("GET /token") == 1


def test_an_identity_token_is_posted(worker, registry, other):
    registry.users, registry.realm = {"u": "p"}, other.url + "/token"
    registry.add_manifest(MANIFEST, "v1")
    bodies = []
    other.on("POST /token", lambda h: bodies.append(h.body()) or other.give_token(h, registry))
    worker.call("manifest-get", {"body": File()}, endpoints=at(registry, identityToken="id&1"), repository="x/y", reference="v1")
    assert bodies == [b"grant_type=refresh_token&client_id=skep&service=reg.test&scope=repository%3Ax%2Fy%3Apull&refresh_token=id%261"]


def test_a_token_server_that_refuses(worker, registry, other):
    registry.users, registry.realm = {"u": "p"}, other.url + "/token"
    other.on("GET /token", lambda h: h.answer(401, b'{"details":"incorrect username or password"}') or True)
    with pytest.raises(Failed, match="get a token: .*401: incorrect username or password"):
        worker.call("ping", endpoints=at(registry, username="u", password="p"))


def test_no_credential_leaves_with_a_redirect(worker, registry, other):
    registry.users, registry.redirect_blobs = {"u": "p"}, other.url
    registry.add_blob(BLOB)
    other.add_blob(BLOB)
    body = File()
    get_blob(worker, at(registry, username="u", password="p"), BLOB, {"body": body})
    assert body.read() == BLOB and other.count("GET /cdn") == 1
    assert not other.headers(AUTHORIZATION) and registry.headers(AUTHORIZATION)
    # nor when the other one asks for it
    other.on("GET /cdn", *[lambda h: h.refuse(401, "X", WWW_Authenticate=f'Bearer realm="{other.url}/token"') or True] * 9)
    failing(worker, at(registry, username="u", password="p"), BLOB, {"body": File()})
    assert not other.headers(AUTHORIZATION) and other.count("/token") == 0


def test_a_token_request_that_is_redirected_loses_the_password(worker, registry, other):
    registry.users, registry.realm = {"u": "p"}, registry.url + "/token"
    registry.on("GET /token", lambda h: h.answer(302, Location=other.url + "/token") or True)
    other.on("GET /token", lambda h: other.give_token(h, registry))
    worker.call("ping", endpoints=at(registry, username="u", password="p"))
    assert other.count("GET /token") == 1 and not other.headers(AUTHORIZATION)


def test_redirects_have_an_end(worker, registry):
    registry.on("GET .*blobs", *[lambda h: h.answer(302, Location=h.path) or True] * 99)
    assert "more than 10 redirects" in failing(worker, registry, BLOB, {"body": File()})["message"]


@pytest.mark.parametrize("to", ["file:///etc/passwd", "ftp://127.0.0.1/x", "http://u:p@127.0.0.1:1/x"])
def test_redirects_to_nowhere(worker, registry, to):
    registry.on("GET .*blobs", lambda h: h.answer(302, Location=to) or True)
    failing(worker, registry, BLOB, {"body": File()})
    assert registry.count("GET") == 1


# ---- TLS ----

@pytest.fixture(scope="module")
def pem(tmp_path_factory):
    where = tmp_path_factory.mktemp("tls")
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2", "-subj", "/CN=t",
                    "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", where / "key", "-out", where / "cert"], check=True, capture_output=True)
    both = where / "pem"
    both.write_bytes((where / "key").read_bytes() + (where / "cert").read_bytes())
    return both, (where / "cert").read_text(encoding="ascii")


@pytest.fixture
def secure(pem):
    made = Registry(tls=pem[0])
    yield made
    made.close()


def test_certificates(worker, secure, pem):
    with pytest.raises(Failed) as failed:
        worker.call("ping", endpoints=at(secure))
    assert failed.value.event["code"] == "SECURITY"
    worker.call("ping", endpoints=at(secure, ca=pem[1]))
    worker.call("ping", endpoints=at(secure, insecure=True))


def test_plain_http_is_learned(worker, registry):
    """A registry that may be insecure is asked for TLS once, not before each request."""
    hellos = []
    plain = registry.server.get_request

    def look():
        connection, address = plain()
        hellos.append(connection.recv(1, socket.MSG_PEEK) == b"\x16")
        return connection, address
    registry.server.get_request = look
    registry.add_blob(BLOB)
    both = [{"url": registry.url.replace("http:", "https:"), "insecure": True}, *at(registry, insecure=True)]
    for _ in range(3):
        get_blob(worker, both, BLOB, {"body": File()})
    assert hellos.count(True) == 1


def test_https_is_not_left(worker, secure, registry, pem):
    registry.add_blob(BLOB)
    secure.add_blob(BLOB)
    secure.redirect_blobs = registry.url
    event = failing(worker, at(secure, ca=pem[1]), BLOB, {"body": File()})
    assert "from https to http" in event["message"] and event["code"] == "SECURITY" and registry.count("") == 0
    secure.users, secure.realm = {"u": "p"}, registry.url + "/token"
    with pytest.raises(Failed, match="it is not https"):
        worker.call("ping", endpoints=at(secure, ca=pem[1], username="u", password="p"))
    assert registry.count("") == 0


# ---- the worker itself ----

def test_many_layers_in_little_memory(worker, registry):
    tars = [tar_of(**{f"f{n}": random.Random(n + k).randbytes(50000) for n in range(200)}) for k in range(6)]
    blobs = [gzip.compress(tar, 1) for tar in tars]
    for blob in blobs:
        registry.add_blob(blob)
    outs = [File() for _ in blobs]
    idents = [worker.send("blob-get", {"tar": out, "index": File()}, endpoints=at(registry), repository="x/y", digest=digest_of(blob), size=len(blob))
              for out, blob in zip(outs, blobs)]
    for ident, out, tar in zip(idents, outs, tars):
        worker.wait(ident)
        assert out.read() == tar
    if "SAN_OPTIONS" not in " ".join(os.environ):
        assert worker.memory_peak() < 40 << 20


def test_it_has_no_privileges(worker):
    worker.call("layer-import", {"input": File(b"x")})
    with open(f"/proc/{worker.process.pid}/status", encoding="utf-8") as f:
        status = dict(line.rstrip("\n").split(":\t", 1) for line in f if ":\t" in line)
    if os.geteuid() == 0:
        assert set(status["Uid"].split()) == {"65534"} and status["Groups"].strip() == ""
    assert int(status["CapEff"], 16) == int(status["CapPrm"], 16) == 0
    assert status["NoNewPrivs"] == "1"
    if not os.environ.get("ASAN_OPTIONS"):
        assert status["Seccomp"] == "2"


def test_a_request_that_makes_no_sense_ends_it():
    worker = Worker()
    worker.sock.send(b'{"id":1,"op":"blob-get"}')
    assert worker.sock.recv(100) == b""
    assert worker.process.wait(10) == 1
    worker.sock.close()
