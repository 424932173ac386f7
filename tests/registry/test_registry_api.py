"""Every endpoint of the distribution specification: what it does, and what it refuses."""
import hashlib
import json
import random
import urllib.parse

import pytest
from conftest import CONFIG, INDEX, LAYER, MANIFEST, digest

BLOB = bytes(range(256)) * 20


def test_base(client):
    a = client("GET", "/v2/")
    assert a.status == 200 and a["Docker-Distribution-API-Version"] == "registry/2.0"
    assert client("GET", "/v2").status == 200
    assert client("POST", "/v2/").status == 405
    assert client("GET", "/v3/").status == 404
    assert client("GET", "/healthz").body == b"ok\n"


@pytest.mark.parametrize("algorithm", ["sha256", "sha512"])
def test_blob(client, algorithm):
    it = client.push("a/b", BLOB, algorithm)
    a = client("GET", f"/v2/a/b/blobs/{it}")
    assert (a.status, a.body, a["Docker-Content-Digest"], a["ETag"]) == (200, BLOB, it, f'"{it}"')
    a = client("HEAD", f"/v2/a/b/blobs/{it}")
    assert (a.status, a.body, a["Content-Length"]) == (200, b"", str(len(BLOB)))
    assert client("GET", f"/v2/a/b/blobs/{it}", If_None_Match=f'"{it}"').status == 304
    assert client("GET", f"/v2/other/blobs/{it}").code() == "BLOB_UNKNOWN"
    assert client("DELETE", f"/v2/a/b/blobs/{it}").status == 202
    assert client("DELETE", f"/v2/a/b/blobs/{it}").status == 404
    assert client("GET", f"/v2/a/b/blobs/{it}").status == 404


@pytest.mark.parametrize(
    "wanted, first, end",
    [("0-9", 0, 10), ("10-", 10, None), ("-7", -7, None), ("5000-9999999", 5000, None), ("0-0", 0, 1), ("-9999999", 0, None)],
)
def test_ranges(client, wanted, first, end):
    it = client.push("a", BLOB)
    a = client("GET", f"/v2/a/blobs/{it}", Range=f"bytes={wanted}")
    assert (a.status, a.body) == (206, BLOB[first:end])
    at = len(BLOB) + first if first < 0 else first
    assert a["Content-Range"] == f"bytes {at}-{at + len(a.body) - 1}/{len(BLOB)}"


def test_ranges_that_are_none(client):
    it = client.push("a", BLOB)
    for wanted in ("bytes=9999999-", "bytes=5-2", "bytes=-0"):
        a = client("GET", f"/v2/a/blobs/{it}", Range=wanted)
        assert (a.status, a["Content-Range"], a.body) == (416, f"bytes */{len(BLOB)}", b""), wanted
    for wanted in ("bytes=0-1,5-6", "lines=1-2", "bytes=x-y", "bytes", ""):
        a = client("GET", f"/v2/a/blobs/{it}", Range=wanted)
        assert (a.status, len(a.body)) == (200, len(BLOB)), wanted
    a = client("GET", f"/v2/a/blobs/{it}", Range="bytes=0-1", If_Range='"other"')
    assert a.status == 200


def test_chunks(client):
    where = client.session("a")
    for at in range(0, 5000, 1000):
        a = client("PATCH", where, BLOB[at : at + 1000], Content_Range=f"{at}-{at + 999}")
        assert (a.status, a["Range"]) == (202, f"0-{at + 999}")
        where = a["Location"]
    a = client("GET", where)
    assert (a.status, a["Range"]) == (204, "0-4999")
    it = digest(BLOB)
    a = client("PUT", f"{where}?digest={it}", BLOB[5000:], Content_Range=f"5000-{len(BLOB) - 1}")
    assert (a.status, a["Location"]) == (201, f"/v2/a/blobs/{it}")
    assert client("GET", a["Location"]).body == BLOB
    assert client("GET", where).code() == "BLOB_UPLOAD_UNKNOWN"


def test_chunks_out_of_order(client):
    where = client.session("a")
    client("PATCH", where, BLOB[:1000], Content_Range="0-999")
    for wrong in ("0-999", "2000-2999", "1001-2000"):
        a = client("PATCH", where, BLOB[:1000], Content_Range=wrong)
        assert (a.status, a["Range"], a["Location"]) == (416, "0-999", where)
    a = client("PUT", f"{where}?digest={digest(BLOB)}", BLOB[:1000], Content_Range="5-1004")
    assert a.status == 416
    assert client("PATCH", where, BLOB[:10], Content_Range="1000-1999").code() == "SIZE_INVALID"
    assert client("PATCH", where, BLOB[:10], Content_Range="ten-20").code() == "BLOB_UPLOAD_INVALID"
    assert client("GET", where)["Range"] == "0-999"
    a = client("PUT", f"{where}?digest={digest(BLOB)}", BLOB[1000:])
    assert a.status == 201


@pytest.mark.parametrize("size", [65536, 65537, 200_000, 4 << 20, (4 << 20) + 1, 17_000_003])
@pytest.mark.parametrize("sized", [True, False])
def test_sizes(client, size, sized):
    """As long as what one thread does alone, as the ring of a body, longer than a thread's turn; in two chunks, so that the hash goes on."""
    data, cut = random.Random(size).randbytes(size), size * 2 // 3
    where = client.session("a")
    for part in (data[:cut], data[cut:]):
        body = part if sized else (part[at : at + 50_001] for at in range(0, len(part), 50_001))
        a = client("PATCH", where, body, **({} if sized else {"Transfer_Encoding": "chunked"}))
        assert a.status == 202, a.body
    assert client("PUT", f"{where}?digest={digest(data)}").status == 201
    assert client("GET", f"/v2/a/blobs/{digest(data)}").body == data
    assert client.push("b", data) == digest(data)
    assert client("GET", f"/v2/b/blobs/{digest(data)}").body == data


def test_stream_without_length(client):
    where = client.session("a")
    a = client("PATCH", where, iter([BLOB[:100], BLOB[100:]]), Transfer_Encoding="chunked")
    assert (a.status, a["Range"]) == (202, f"0-{len(BLOB) - 1}")
    assert client("PUT", f"{where}?digest={digest(BLOB)}").status == 201


def test_upload_of_another_algorithm_than_begun(client):
    where = client.session("a")
    client("PATCH", where, BLOB)
    it = digest(BLOB, "sha512")
    assert client("PUT", f"{where}?digest={it}").status == 201
    assert client("HEAD", f"/v2/a/blobs/{it}").status == 200
    a = client("POST", "/v2/a/blobs/uploads/?digest-algorithm=sha512")
    assert client("PUT", f"{a['Location']}?digest={it}", BLOB).status == 201
    assert client("POST", "/v2/a/blobs/uploads/?digest-algorithm=md5").code() == "DIGEST_INVALID"


def test_wrong_digest(registry, client):
    other = digest(b"something else")
    a = client("POST", f"/v2/a/blobs/uploads/?digest={other}", BLOB)
    assert (a.status, a.code()) == (400, "DIGEST_INVALID")
    where = client.session("a")
    assert client("PUT", f"{where}?digest={other}", BLOB).code() == "DIGEST_INVALID"
    for wrong in ("", "sha256:12", "md5:" + "0" * 32, digest(BLOB).upper(), "sha256:../../etc/passwd"):
        where = client.session("a")
        a = client("PUT", f"{where}?digest={urllib.parse.quote(wrong)}", BLOB)
        assert (a.status, a.code()) == (400, "DIGEST_INVALID"), wrong
    assert registry.blobs() == []


def test_cancel(registry, client):
    where = client.session("a")
    client("PATCH", where, BLOB)
    assert client("DELETE", where).status == 204
    assert client("GET", where).status == 404
    assert list((registry.root / "uploads").iterdir()) == []


def test_session_is_of_one_repository(client):
    where = client.session("a")
    assert client("PATCH", where.replace("/v2/a/", "/v2/b/"), BLOB).code() == "BLOB_UPLOAD_UNKNOWN"
    for wrong in ("0" * 32, "..", "%2e%2e%2fx", "x" * 32, where.rsplit("/", 1)[1] + ".info"):
        assert client("GET", f"/v2/a/blobs/uploads/{wrong}").status in (400, 404)


def test_mount(client):
    it = client.push("from", BLOB)
    a = client("POST", f"/v2/to/blobs/uploads/?mount={it}&from=from")
    assert (a.status, a["Location"]) == (201, f"/v2/to/blobs/{it}")
    assert client("GET", a["Location"]).body == BLOB
    assert client("POST", f"/v2/third/blobs/uploads/?mount={it}").status == 201
    a = client("POST", f"/v2/to/blobs/uploads/?mount={digest(b'x')}&from=from")
    assert a.status == 202 and client("PUT", f"{a['Location']}?digest={digest(b'x')}", b"x").status == 201
    assert client("POST", f"/v2/to/blobs/uploads/?mount={it}&from=../from").status == 202
    assert client("POST", "/v2/to/blobs/uploads/?mount=nonsense&from=from").code() == "DIGEST_INVALID"


def test_manifest(client):
    it = client.image("a", "latest")
    for reference in ("latest", it):
        a = client("GET", f"/v2/a/manifests/{reference}")
        assert (a.status, a["Content-Type"], a["Docker-Content-Digest"], digest(a.body)) == (200, MANIFEST, it, it)
        a = client("HEAD", f"/v2/a/manifests/{reference}")
        assert (a.status, a.body, a["Docker-Content-Digest"]) == (200, b"", it)
    assert client("GET", "/v2/a/manifests/latest", If_None_Match=f'"{it}"').status == 304
    assert client("GET", "/v2/a/manifests/other").code() == "MANIFEST_UNKNOWN"
    assert client("GET", "/v2/b/manifests/latest").status == 404
    assert client("GET", "/v2/a/manifests/sha256:12").code() == "DIGEST_INVALID"


def test_tag_moves(client):
    first, second = client.image("a", "latest"), client.image("a", "latest", (b"other",))
    assert first != second
    assert client("GET", "/v2/a/manifests/latest")["Docker-Content-Digest"] == second
    assert client("GET", f"/v2/a/manifests/{first}").status == 200


def test_delete_tag_and_manifest(client):
    it = client.image("a", "one")
    client.manifest("a", "two", client("GET", "/v2/a/manifests/one").body)
    assert client("DELETE", "/v2/a/manifests/one").status == 202
    assert client("GET", "/v2/a/manifests/one").status == 404
    assert client("GET", "/v2/a/manifests/two").status == 200
    assert client("DELETE", f"/v2/a/manifests/{it}").status == 202
    assert client("GET", "/v2/a/manifests/two").status == 404
    assert client("GET", f"/v2/a/manifests/{it}").status == 404
    assert client("DELETE", f"/v2/a/manifests/{it}").status == 404
    assert client("DELETE", "/v2/nowhere/manifests/one").status == 404


def test_tags_in_the_query(client):
    it = client.image("a", "x")
    body = client("GET", f"/v2/a/manifests/{it}").body
    a = client("PUT", f"/v2/a/manifests/{it}?tag=one&tag=two", body, Content_Type=MANIFEST)
    assert (a.status, a["OCI-Tag"]) == (201, "one, two")
    assert client("GET", "/v2/a/manifests/two").body == body
    assert client("PUT", f"/v2/a/manifests/{it}?tag=good&tag=b%2Fad", body, Content_Type=MANIFEST).status == 400
    assert client("GET", "/v2/a/manifests/good").status == 404
    assert client("PUT", f"/v2/a/manifests/{it}?" + "&".join(f"tag=t{i}" for i in range(100)), body, Content_Type=MANIFEST).status == 414


def test_index_with_blobs_and_manifests(client):
    image, cache = client.image("a", None), client.push("a", b"cache")
    children = [{"mediaType": MANIFEST, "digest": image, "size": 1}, {"mediaType": LAYER, "digest": cache, "size": 5}]
    a, _ = client.manifest("a", "list", {"schemaVersion": 2, "mediaType": INDEX, "manifests": children}, INDEX)
    assert a.status == 201
    children[0]["digest"] = digest(b"nothing")
    a, _ = client.manifest("a", "list2", {"schemaVersion": 2, "mediaType": INDEX, "manifests": children}, INDEX)
    assert (a.status, a.code()) == (400, "MANIFEST_BLOB_UNKNOWN")
    assert digest(b"nothing") in a.json()["errors"][0]["message"]


CONFIG_OF = {"mediaType": CONFIG, "digest": digest(b"{}"), "size": 2}
GOOD = {"schemaVersion": 2, "mediaType": MANIFEST, "config": CONFIG_OF, "layers": []}


@pytest.mark.parametrize(
    "document, media_type",
    [
        (b"", MANIFEST),
        (b"{", MANIFEST),
        (b"[]", MANIFEST),
        (b'{"schemaVersion":2,"schemaVersion":2}', MANIFEST),
        (b"\xff\xfe", MANIFEST),
        ({**GOOD, "schemaVersion": 1}, MANIFEST),
        ({**GOOD, "manifests": []}, MANIFEST),  # CVE-2021-41190
        ({**GOOD, "mediaType": INDEX, "manifests": []}, INDEX),
        (GOOD, INDEX),
        (GOOD, "text/html"),
        ({**GOOD, "mediaType": 5}, MANIFEST),
        ({**GOOD, "config": None}, MANIFEST),
        ({**GOOD, "config": {**CONFIG_OF, "size": -1}}, MANIFEST),
        ({**GOOD, "config": {**CONFIG_OF, "size": 1.5}}, MANIFEST),
        ({**GOOD, "config": {**CONFIG_OF, "digest": "sha256:../../../etc/passwd"}}, MANIFEST),
        ({**GOOD, "layers": {}}, MANIFEST),
        ({**GOOD, "layers": [[]]}, MANIFEST),
        ({**GOOD, "subject": "x"}, MANIFEST),
        ({**GOOD, "annotations": {"a": 1}}, MANIFEST),
        ({"schemaVersion": 2, "mediaType": "application/vnd.docker.distribution.manifest.v1+prettyjws"}, ""),
        (b"[" * 5000 + b"]" * 5000, MANIFEST),
    ],
)
def test_manifests_refused(client, document, media_type):
    client.push("a", b"{}")
    a, _ = client.manifest("a", "x", document, media_type)
    assert (a.status, a.code()) == (400, "MANIFEST_INVALID"), a.body
    assert client("GET", "/v2/a/manifests/x").status == 404


def test_manifest_without_types(client):
    client.push("a", b"{}")
    bare = {k: v for k, v in GOOD.items() if k != "mediaType"}
    a, _ = client.manifest("a", "x", bare, "")
    assert a.status == 201 and client("HEAD", "/v2/a/manifests/x")["Content-Type"] == MANIFEST
    a, _ = client.manifest("a", "y", GOOD, MANIFEST + "; charset=utf-8")
    assert a.status == 201 and client("HEAD", "/v2/a/manifests/y")["Content-Type"] == MANIFEST


def test_manifest_digest_must_fit(client):
    client.push("a", b"{}")
    a, _ = client.manifest("a", digest(b"other"), GOOD)
    assert (a.status, a.code()) == (400, "DIGEST_INVALID")
    body = json.dumps(GOOD).encode()
    a, _ = client.manifest("a", digest(body, "sha512"), body)
    assert (a.status, a["Docker-Content-Digest"]) == (201, digest(body, "sha512"))


def test_large_manifest(client):
    client.push("a", b"{}")
    body = json.dumps({**GOOD, "annotations": {"x": "y" * (4 << 20)}}).encode()
    assert client.manifest("a", "x", body)[0].status == 413
    a = client("PUT", "/v2/a/manifests/x", iter([body]), Content_Type=MANIFEST, Transfer_Encoding="chunked")
    assert a.status == 413
    body = json.dumps({**GOOD, "annotations": {"x": "y" * ((4 << 20) - 1000)}}).encode()
    assert client.manifest("a", "x", body)[0].status == 201
    assert client("GET", "/v2/a/manifests/x").body == body


def test_referrers(client):
    subject = client.image("a", "it")
    descriptor = {"mediaType": MANIFEST, "digest": subject, "size": 1}
    signature = client.image("a", None, (b"sig",), subject=descriptor, artifactType="application/sig", annotations={"k": 'v"'})
    client.image("a", None, (b"sbom",), subject=descriptor)
    a = client("GET", f"/v2/a/referrers/{subject}")
    assert (a.status, a["Content-Type"], len(a.json()["manifests"])) == (200, INDEX, 2)
    assert {x["artifactType"] for x in a.json()["manifests"]} == {"application/sig", CONFIG}
    a = client("GET", f"/v2/a/referrers/{subject}?artifactType=application%2Fsig")
    assert a["OCI-Filters-Applied"] == "artifactType"
    (only,) = a.json()["manifests"]
    assert (only["digest"], only["annotations"]) == (signature, {"k": 'v"'})
    assert client("GET", f"/v2/a/referrers/{digest(b'x')}").json()["manifests"] == []
    assert client("GET", "/v2/a/referrers/nonsense").status == 400
    client("DELETE", f"/v2/a/manifests/{signature}")
    assert len(client("GET", f"/v2/a/referrers/{subject}").json()["manifests"]) == 1


def test_subject_header_and_missing_subject(client):
    client.push("a", b"{}")
    missing = {"mediaType": MANIFEST, "digest": digest(b"later"), "size": 5}
    a, body = client.manifest("a", "x", {**GOOD, "subject": missing})
    assert (a.status, a["OCI-Subject"]) == (201, digest(b"later"))
    assert client("GET", f"/v2/a/referrers/{digest(b'later')}").json()["manifests"][0]["digest"] == digest(body)


def test_referrers_in_pages(client):
    client.push("a", b"{}")
    subject = {"mediaType": MANIFEST, "digest": digest(b"s"), "size": 5}
    for i in range(5):
        a, _ = client.manifest("a", f"t{i}", {**GOOD, "subject": subject, "annotations": {"n": str(i), "x": "y" * (1 << 20)}})
        assert a.status == 201
    seen, where, pages = [], f"/v2/a/referrers/{digest(b's')}?artifactType={urllib.parse.quote(CONFIG)}", 0
    while where:
        a = client("GET", where)
        assert len(a.body) < (4 << 20) + 4096 and a["OCI-Filters-Applied"] == "artifactType"
        seen += [x["annotations"]["n"] for x in a.json()["manifests"]]
        where, pages = a["Link"] and a["Link"].split(">")[0][1:], pages + 1
    assert sorted(seen) == list("01234") and pages == 2


def names(client, where, key):
    pages = []
    while where:
        a = client("GET", where)
        assert a.status == 200
        pages.append(a.json()[key])
        where = a["Link"] and a["Link"].split(">")[0][1:]
    return pages


def test_tags(client):
    tags = ["a", "B", "b", "10", "9", "_x", "a.b", "a-b"]
    it = client.image("r", "a")
    body = client("GET", f"/v2/r/manifests/{it}").body
    for tag in tags:
        client.manifest("r", tag, body)
    assert client("GET", "/v2/r/tags/list").json() == {"name": "r", "tags": sorted(tags)}
    pages = names(client, "/v2/r/tags/list?n=3", "tags")
    assert [len(x) for x in pages] == [3, 3, 2] and sum(pages, []) == sorted(tags)
    assert client("GET", "/v2/r/tags/list?n=100").json()["tags"] == sorted(tags)
    assert client("GET", "/v2/r/tags/list?last=a").json()["tags"] == [x for x in sorted(tags) if x > "a"]
    a = client("GET", "/v2/r/tags/list?n=0")
    assert a.json()["tags"] == [] and a["Link"] is None
    for wrong in ("-1", "x", "1.5", ""):
        assert client("GET", f"/v2/r/tags/list?n={wrong}").status == 400
    assert client("GET", "/v2/nowhere/tags/list").code() == "NAME_UNKNOWN"
    injected = urllib.parse.quote("' OR 1=1 --\r\nX: y")
    assert client("GET", f"/v2/r/tags/list?n=1&last={injected}").json()["tags"] == ["10"]


def test_catalog(client):
    repositories = ["b", "a/x", "a", "a-b", "z/tags/list"]
    for name in repositories:
        client.push(name, b"x")
    assert client("GET", "/v2/_catalog").json() == {"repositories": sorted(repositories)}
    pages = names(client, "/v2/_catalog?n=2", "repositories")
    assert [len(x) for x in pages] == [2, 2, 1] and sum(pages, []) == sorted(repositories)


@pytest.mark.parametrize(
    "name", ["A", "a..b", "a//b", ".a", "a/", "a/-b", "a___b", "%2e%2e", "a%2f..%2fb", "a%00b", "ä", "x" * 256, "a/../../etc", "a b"]
)
def test_names_refused(client, registry, name):
    a = client("POST", f"/v2/{urllib.parse.quote(name, safe='%/')}/blobs/uploads/")
    assert a.status in (400, 404), name
    assert list((registry.root / "uploads").iterdir()) == []


@pytest.mark.parametrize("name", ["a", "a/b/c", "a-b__c.d/e--f", "blobs/uploads", "tags/list", "x" * 255, "manifests/manifests"])
def test_names_taken(client, name):
    it = client.image(name, "latest")
    assert client("GET", f"/v2/{name}/manifests/latest")["Docker-Content-Digest"] == it
    assert client("GET", f"/v2/{name}/tags/list").json()["tags"] == ["latest"]


def test_methods(client):
    assert client("PATCH", f"/v2/a/blobs/{digest(b'')}").status == 405
    assert client("POST", "/v2/a/manifests/x").status == 405
    assert client("DELETE", "/v2/a/tags/list")["Allow"] == "GET"


def test_empty_blob(client):
    assert client.push("a", b"") == "sha256:" + hashlib.sha256().hexdigest()
    a = client("GET", f"/v2/a/blobs/{digest(b'')}")
    assert (a.status, a.body) == (200, b"")
