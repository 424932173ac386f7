"""Registries that are hostile: to credentials, to patience and to the store; groups 11 and 14 of docs/attacks.md. What the worker alone does is in
test_transfer_get.py and test_transfer_put.py."""
import json
import time

import pytest

from attacks import Image, Registry, basic, built, digest_of, double, log_in, member, other, skep, tar
from images import OCI_INDEX

pytestmark = built

PATIENCE = 15  # seconds that a refusal may take on a busy machine
TUNED = [x for pair in ("attempts=2", "backoff-ms=1", "stall-ms=5000", "connect-ms=2000") for x in ("--tuning", pair)]
IMPATIENT = [x for pair in ("attempts=1", "backoff-ms=1", "stall-ms=1000", "connect-ms=2000") for x in ("--tuning", pair)]
DATA = tar(member("f", bytes(range(256)) * 40))
IMAGE = Image(DATA)
BLOB = IMAGE.blobs[0]
LOGIN = basic("me", "secret")


# ---- what an answer may be ----


def chunked(h, pieces):
    h.send_response(200)
    h.send_header("Transfer-Encoding", "chunked")
    h.end_headers()
    try:
        for piece in pieces:
            h.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
    except OSError:
        pass
    h.cut()
    return True


def endless(h):
    return chunked(h, iter(lambda: b" " * 65536, None))


def drips(h):
    def pieces():
        for _ in range(200):
            yield b" "
            time.sleep(0.05)
    return chunked(h, pieces())


def silent(h):
    h.connection.settimeout(10)
    try:
        h.rfile.read(1)  # until the other side has had enough
    except OSError:
        pass
    h.cut()
    return True


def loops(h):
    return h.answer(307, Location=h.path) or True


def grows(h):
    return h.answer(307, Location=h.path + "/x") or True


def to(where):
    return lambda h: h.answer(302, Location=where) or True


def many_headers(h):
    h.send_response(200)
    for n in range(2000):
        h.send_header(f"X-{n}", "y" * 100)
    h.end_headers()
    return True


def one_long_header(h):
    h.send_response(200)
    h.send_header("X", "y" * 300000)
    h.end_headers()
    return True


def no_http(h):
    h.wfile.write(b"SSH-2.0-OpenSSH_9.2\r\n" * 1000)
    h.cut()
    return True


def endless_refusal(h):
    h.send_response(403)
    h.send_header("Transfer-Encoding", "chunked")
    h.end_headers()
    try:
        while True:
            h.wfile.write(b"10000\r\n" + bytes(65536) + b"\r\n")
    except OSError:
        h.cut()
    return True


def shouts(h):
    return h.refuse(403, "DENIED\n\x1b[2J", "\x1b]0;owned\x07\x9b31m\r\nskep: all is well\n" + "x" * 5000) or True


def says(status):
    return lambda h: h.refuse(status, "NO", "no", Retry_After="0") or True


def asks_again(h):
    return h.refuse(401, "UNAUTHORIZED", "no", WWW_Authenticate='Basic realm="r"') or True


def asks_nonsense(h):
    return h.refuse(401, "UNAUTHORIZED", "no", WWW_Authenticate="Bearer " + "realm=" * 5000) or True


def cut_off(h):
    h.send_response(200)
    h.send_header("Content-Length", "1000")
    h.end_headers()
    h.wfile.write(b"{")
    h.cut()
    return True


def negative_length(h):
    h.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\nhello")
    h.cut()
    return True


def another_part(h):
    return h.answer(206, BLOB, Content_Range=f"bytes 5-{len(BLOB) + 4}/{len(BLOB) + 5}") or True


ANSWERS = {
    "endless": (endless, "more than the expected"),
    "a byte now and then": (drips, "stalled"),
    "silence": (silent, "stalled"),
    "a redirect to itself": (loops, "more than 10 redirects"),
    "redirects that grow": (grows, "more than 10 redirects"),
    "a redirect to a file": (to("file:///etc/passwd"), "redirected to what is no http or https URL"),
    "a redirect to another protocol": (to("gopher://127.0.0.1:1/x"), "redirected to what is no http or https URL"),
    "a redirect with a password": (to("http://u:p@127.0.0.1:1/x"), "127.0.0.1:1"),
    "a redirect to nowhere": (to("http://[::1"), "redirected to what is no http or https URL"),
    "many headers": (many_headers, "more than 64 KiB of headers"),
    "a long header": (one_long_header, ""),
    "no HTTP": (no_http, ""),
    "an endless refusal": (endless_refusal, "an endless answer with status 403"),
    "a refusal that shouts": (shouts, "the registry answered 403: DENIED"),
    "500 for ever": (says(500), "the registry answered 500"),
    "429 for ever": (says(429), "the registry answered 429"),
    "418": (says(418), "the registry answered 418"),
    "a login for ever": (asks_again, "no credentials for it"),
    "a challenge of nonsense": (asks_nonsense, ""),
    "too few bytes": (cut_off, ""),
    "a negative length": (negative_length, ""),
}


@pytest.mark.parametrize("what", ANSWERS)
@pytest.mark.parametrize("of", ["manifests", "blobs"])
def test_an_answer_of_a_registry(skep, double, of, what):
    """In place of a manifest, and of a layer: one line, soon, with little memory."""
    fault, words = ANSWERS[what]
    IMAGE.serve(double)
    double.on(f"GET .*/{of}/{'1' if of == 'manifests' else digest_of(BLOB)}", *[fault] * 100)
    begun = time.monotonic()
    line = skep.refuses("pull", "-q", *(IMPATIENT if words == "stalled" else TUNED), double.name, parts=True)
    assert line.startswith(f"pull {double.name}: " + ("" if of == "manifests" else f"layer {digest_of(BLOB)[:19]}: ")) and words in line, line
    assert time.monotonic() - begun < PATIENCE
    double.faults.clear()
    skep.takes("pull", "-q", double.name)
    assert skep.faults() == [] and skep.ingest() == []


@pytest.mark.parametrize("what", ANSWERS)
def test_an_answer_to_an_import(skep, double, what):
    """The same of any web server that an import is asked to read."""
    fault, words = ANSWERS[what]
    double.on("GET /fs.tar", *[fault] * 100)
    line = skep.refuses("import", *(IMPATIENT if words == "stalled" else TUNED), f"{double.url}/fs.tar", "x")
    assert line.startswith("import: "), line


@pytest.mark.parametrize("kind", ["text/html", "application/octet-stream", "", "application/json; charset=\xe4"])
def test_wrong_content_types(skep, double, kind):
    """A type that says nothing of manifests is no contradiction: the document's own counts."""
    IMAGE.serve(double, media_type=kind)
    skep.takes("pull", "-q", double.name)
    assert skep.faults() == []


def test_a_layer_by_parts_that_were_not_asked_for(skep, double):
    IMAGE.serve(double)
    double.on("GET .*/blobs/" + digest_of(BLOB), *[another_part] * 9)
    assert "bytes from 0 on were asked for" in skep.refuses("pull", "-q", *TUNED, double.name, parts=True)


def test_lists_without_end(skep, double):
    """More tags than there is room for: that is said, instead of pulling some."""
    tags = json.dumps({"tags": ["t" * 128] * 5000}).encode()
    numbers = iter(range(10000))
    double.on("GET .*/tags/list", *[lambda h: h.answer(200, tags, Link=f'<{h.url.path}?n={next(numbers)}>; rel="next"') or True] * 10000)
    assert "the registry's list of tags is longer than 16 MiB" in skep.refuses("pull", "-a", "-q", *TUNED, f"{double.host}/x")
    assert double.count("GET") == double.count("GET .*/tags/list") < 40


# ---- 14: who gets to see credentials ----


def challenge(realm):
    return lambda h: h.refuse(401, "UNAUTHORIZED", "no", WWW_Authenticate=f'Bearer realm="{realm}",service="s",scope="repository:x:pull"') or True


def test_a_foreign_layer_gets_no_credentials(skep, double, other):
    """CVE-2020-15157: a manifest names another host for a layer, which asks for the registry's credentials."""
    image = Image(DATA)
    image.manifest["layers"][0]["urls"] = [f"{other.url}/cdn/layer"]
    image.serve(double)
    del double.blobs[digest_of(image.blobs[0])]
    double.users = {"me": "secret"}
    log_in(skep, double.host, "me", "secret")
    for asks in (asks_again, challenge(f"{other.url}/token"), challenge(f"{double.url}/token")):
        other.on("GET /cdn/layer", *[asks] * 2)
        line = skep.refuses("pull", "-q", *TUNED, double.name, parts=True)
        assert "401" in line
        other.faults.clear()
    assert other.count("/cdn/layer") >= 3 and other.count("/token") == 0 and other.headers("Authorization") == []
    assert double.headers("Authorization") == [LOGIN] * len(double.headers("Authorization")) and double.count("/token") == 0


@pytest.mark.parametrize("url", ["file:///etc/passwd", "unix:///run/docker.sock", "/etc/passwd", "ftp://127.0.0.1/x", "http://", ""])
def test_a_foreign_layer_elsewhere(skep, double, url):
    image = Image(DATA)
    image.manifest["layers"][0]["urls"] = [url]
    image.serve(double)
    del double.blobs[digest_of(image.blobs[0])]
    line = skep.refuses("pull", "-q", *TUNED, double.name, parts=True)
    assert f"layer {digest_of(image.blobs[0])[:19]}: " in line, line


@pytest.mark.parametrize("of", ["manifests", "blobs"])
def test_credentials_stay_when_a_redirect_leaves(skep, double, other, of):
    """Neither with the redirect, nor when the other side asks for them, nor for its token server."""
    IMAGE.serve(double)
    IMAGE.serve(other)
    double.users = {"me": "secret"}
    log_in(skep, double.host, "me", "secret")

    def away(h):
        return "Authorization" in h.headers and h.path.count("/") and (h.answer(307, Location=other.url + h.path) or True)
    double.on(f"GET .*/{of}/", *[away] * 20)
    skep.takes("pull", "-q", *TUNED, double.name)
    assert other.count("GET") >= 1 and other.headers("Authorization") == [] and double.headers("Authorization")
    skep.takes("rmi", "-f", double.name)
    other.on("GET /v2/", *[challenge(f"{other.url}/token")] * 20)
    assert "401" in skep.refuses("pull", "-q", *TUNED, double.name, parts=True)
    assert other.count("/token") == 0 and other.headers("Authorization") == []


def test_a_token_server_elsewhere(skep, double, other):
    """It is the registry's to name; the token it gives goes to the registry alone, and what it redirects to sees no password."""
    IMAGE.serve(double)
    third = Registry()
    double.users, double.realm = {"me": "secret"}, f"{other.url}/token"
    log_in(skep, double.host, "me", "secret")
    other.on("GET /token", lambda h: h.answer(307, Location=f"{third.url}/token?" + h.url.query) or True)
    third.on("GET /token", *[lambda h: third.give_token(h, double)] * 9)
    skep.takes("pull", "-q", *TUNED, double.name)
    third.close()
    assert other.headers("Authorization") == [LOGIN] and third.headers("Authorization") == []
    assert all(said.startswith("Bearer token-") for said in double.headers("Authorization"))


@pytest.mark.parametrize("realm, words", [("file:///etc/passwd", "names no token server"), ("gopher://x/", "names no token server"), ("", "names no token server")])
def test_a_token_server_that_is_none(skep, double, realm, words):
    double.on("GET /v2/", *[challenge(realm)] * 9)
    assert words in skep.refuses("pull", "-q", *TUNED, double.name)


@pytest.mark.parametrize("answer, words", [
    (b"", "token"), (b"{}", "the token server gave none"), (b'{"token":"a\\r\\nX-Injected: 1"}', "not the characters of a header"),
    (b'{"token":"' + b"t" * 200000 + b'"}', "more than the expected"), (b"[" * 1000, "token"), (b'{"token":5}', "token"),
], ids=["nothing", "no token", "two headers", "too long", "brackets", "a number"])
def test_a_token_that_is_none(skep, double, answer, words):
    double.on("GET /v2/", *[challenge(f"{double.url}/token")] * 9)
    double.on("GET /token", *[lambda h: h.answer(200, answer) or True] * 9)
    assert words in skep.refuses("pull", "-q", *TUNED, double.name)
    assert not double.headers("X-Injected")


def test_an_index_that_asks_for_much(skep, double):
    """10,000 entries: only the one that fits is asked for."""
    IMAGE.serve(double)
    it = json.dumps(IMAGE.manifest).encode()
    entries = [{"mediaType": "application/vnd.oci.image.manifest.v1+json", "digest": digest_of(str(i).encode()), "size": 1,
                "platform": {"os": "linux", "architecture": f"a{i}"}} for i in range(10000)]
    entries.append({"mediaType": "application/vnd.oci.image.manifest.v1+json", "digest": digest_of(it), "size": len(it),
                    "platform": {"os": "linux", "architecture": "amd64"}})
    double.add_manifest(json.dumps({"schemaVersion": 2, "manifests": entries}).encode(), "1", media_type=OCI_INDEX)
    skep.takes("pull", "-q", "--platform", "linux/amd64", *TUNED, double.name)
    assert double.count("GET .*/manifests/") == 2
