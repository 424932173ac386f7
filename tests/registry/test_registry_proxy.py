"""The pull-through cache: what is not here comes from an upstream, once, and is checked; what is here outlives it."""
import http.client
import io
import json
import os
import random
import re
import shutil
import signal
import socket
import subprocess
import sys
import tarfile
import threading

import pytest
from conftest import CONFIG, INDEX, LAYER, MANIFEST, TOP, WORKER, Client, Registry, digest, wait_for

sys.path.append(str(TOP / "tests/e2e"))
from certificates import Authority  # noqa: E402
from registry_double import Registry as Double  # noqa: E402

LAYERS = [random.Random(i).randbytes(n) for i, n in enumerate((700, 3 << 20, 40000))]
BIG = LAYERS[1]


def document(layers=LAYERS, **more):
    config = b'{"os":"linux"}'
    return json.dumps(
        {
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": {"mediaType": CONFIG, "digest": digest(config), "size": len(config)},
            "layers": [{"mediaType": LAYER, "digest": digest(x), "size": len(x)} for x in layers],
            **more,
        }
    ).encode()


@pytest.fixture
def double():
    """An upstream that counts what it is asked and does as tests say."""
    d = Double()
    for data in (b'{"os":"linux"}', *LAYERS):
        d.add_blob(data)
    d.add_manifest(document(), "latest")
    yield d
    d.close()


@pytest.fixture
def proxy(make, double):
    return make(proxies=[{"prefix": "hub", "upstream": double.url, "ttl": 0}]).start()


@pytest.fixture
def client(proxy):
    return proxy.client()


def pull(c, name, reference="latest"):
    """As clients do it; returns the manifest's digest."""
    a = c("GET", f"/v2/{name}/manifests/{reference}")
    assert a.status == 200, a.body
    assert digest(a.body) == a["Docker-Content-Digest"]
    for d in (a.json()["config"], *a.json()["layers"]):
        b = c("GET", f"/v2/{name}/blobs/{d['digest']}")
        assert b.status == 200 and digest(b.body) == d["digest"] and int(b["Content-Length"]) == d["size"], b.body[:200]
    return digest(a.body)


# ---- what is got ----


def test_an_image_is_fetched_once_and_then_here(proxy, double, client):
    it = pull(client, "hub/a/b")
    assert it == digest(document())
    assert double.count("GET .*/v2/a/b/blobs/") == 4
    wait_for(lambda: proxy.metric("skep_registry_proxy_fetches") == 0)
    double.requests.clear()
    assert pull(client, "hub/a/b") == pull(client, "hub/a/b", it) == it
    assert double.count("GET .*/(blobs|manifests)/") == 0
    assert client("GET", "/v2/hub/a/b/tags/list").json()["tags"] == ["latest"]
    assert proxy.metric("skep_registry_proxy_misses_total") == 5
    assert proxy.metric("skep_registry_proxy_hits_total") == 10
    assert proxy.metric("skep_registry_proxy_received_bytes_total") == sum(map(len, LAYERS)) + 14 + len(document())
    proxy.stop()
    proxy.sound()


def test_head_of_a_blob_fetches_nothing(proxy, double, client):
    a = client("HEAD", f"/v2/hub/a/blobs/{digest(BIG)}")
    assert (a.status, int(a["Content-Length"]), a.body) == (200, len(BIG), b"")
    assert double.count("GET .*/blobs/") == 0 and proxy.blobs() == []


def test_a_part_of_a_blob(client, double):
    a = client("GET", f"/v2/hub/a/blobs/{digest(BIG)}", Range="bytes=10-19")
    assert (a.status, a.body, a["Content-Range"]) == (206, BIG[10:20], f"bytes 10-19/{len(BIG)}")
    assert double.count("GET .*/blobs/") == 1


def test_an_empty_blob(proxy, client, double):
    it = double.add_blob(b"")
    a = client("GET", f"/v2/hub/a/blobs/{it}")
    assert (a.status, a.body, a["Content-Length"]) == (200, b"", "0")
    wait_for(lambda: proxy.blobs() == [it[7:]])


def test_many_clients_one_request(proxy, double):
    """Both the tag and the blob: the upstream is held until all clients wait."""
    go = threading.Event()

    def hold(h):
        assert go.wait(30)
        return False

    double.on("GET .*/manifests/latest", hold)
    double.on("GET .*/blobs/", hold)
    got = []

    def one():
        c = Client(proxy.port)
        got.append(c("GET", "/v2/hub/a/manifests/latest").body == document())
        got.append(c("GET", f"/v2/hub/a/blobs/{digest(BIG)}").body == BIG)

    threads = [threading.Thread(target=one) for _ in range(20)]
    for t in threads:
        t.start()
    wait_for(lambda: proxy.metric("skep_registry_connections") >= 21 and proxy.metric("skep_registry_proxy_fetches") == 1)
    go.set()
    for t in threads:
        t.join(60)
    assert got == [True] * 40
    # a client who came late may have brought about one comparison of the tag, never a second manifest or blob
    assert double.count("GET .*/manifests/") == 1 and double.count("GET .*/blobs/") == 1


def test_bytes_come_before_all_of_them_are_here(proxy, double):
    go = threading.Event()

    def half(h):
        h.send_response(200)
        h.send_header("Content-Length", str(len(BIG)))
        h.end_headers()
        h.wfile.write(BIG[: len(BIG) // 2])
        h.wfile.flush()
        assert go.wait(30)
        h.wfile.write(BIG[len(BIG) // 2 :])
        return True

    double.on("GET .*/blobs/", half)
    c = http.client.HTTPConnection("127.0.0.1", proxy.port, timeout=30)
    c.request("GET", f"/v2/hub/a/blobs/{digest(BIG)}")
    response = c.getresponse()
    first = response.read(1)  # the upstream still has the other half
    go.set()
    assert first + response.read() == BIG
    c.close()


def test_a_client_who_goes_does_not_end_it(proxy, double):
    go = threading.Event()

    def hold(h):
        assert go.wait(30)
        return False

    double.on("GET .*/blobs/", hold)
    with socket.create_connection(("127.0.0.1", proxy.port)) as s:
        s.sendall(f"GET /v2/hub/a/blobs/{digest(BIG)} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        wait_for(lambda: double.count("GET .*/blobs/") == 1)
    wait_for(lambda: proxy.metric("skep_registry_connections") == 1)
    go.set()
    wait_for(lambda: proxy.blobs() == [digest(BIG)[7:]])
    assert proxy.client()("GET", f"/v2/hub/a/blobs/{digest(BIG)}").body == BIG
    assert double.count("GET .*/blobs/") == 1


def test_a_blob_of_another_copy_is_not_fetched_again(proxy, double, client):
    pull(client, "hub/a")
    wait_for(lambda: proxy.metric("skep_registry_proxy_fetches") == 0)
    pull(client, "hub/b")
    assert double.count("GET .*/v2/b/blobs/") == 0 and double.count("HEAD .*/v2/b/blobs/") == 4


def test_a_blob_that_was_pushed_here_is_not_given_for_an_upstreams_word(make, double):
    registry = make(proxies=[{"prefix": "hub", "upstream": double.url}]).start()
    c = registry.client()
    secret = c.push("private", b"secret")

    def lie(h):
        h.answer(200, Content_Length=6)
        return True

    double.on(f"HEAD .*/blobs/{secret}", lie)
    a = c("GET", f"/v2/hub/a/blobs/{secret}")
    assert a.status == 404 and b"secret" not in a.body


def test_an_index_and_its_parts(double, client):
    part = document(LAYERS[:1])
    index = json.dumps(
        {"schemaVersion": 2, "mediaType": INDEX, "manifests": [{"mediaType": MANIFEST, "digest": digest(part), "size": len(part)}]}
    ).encode()
    double.add_manifest(part)
    double.add_manifest(index, "multi", media_type=INDEX)
    a = client("GET", "/v2/hub/a/manifests/multi")
    assert (a.status, a.body, a["Content-Type"]) == (200, index, INDEX)
    assert pull(client, "hub/a", digest(part)) == digest(part)


# ---- tags ----


def test_a_tag_that_moved_is_noticed(double, client):
    pull(client, "hub/a")
    new = document(LAYERS[:1])
    double.add_manifest(new, "latest")
    assert pull(client, "hub/a") == digest(new)
    assert client("HEAD", "/v2/hub/a/manifests/latest")["Docker-Content-Digest"] == digest(new)


def test_a_tag_is_believed_for_its_ttl(make, double):
    c = make(proxies=[{"prefix": "hub", "upstream": double.url, "ttl": 3600}]).start().client()
    it = pull(c, "hub/a")
    double.add_manifest(document(LAYERS[:1]), "latest")
    double.requests.clear()
    assert pull(c, "hub/a") == it and double.requests == []
    # deleted here, it is asked for
    assert c("DELETE", "/v2/hub/a/manifests/latest").status == 202
    assert pull(c, "hub/a") != it


def test_a_tag_that_is_gone_is_gone(double, client):
    it = pull(client, "hub/a")
    del double.manifests["latest"]
    assert client("GET", "/v2/hub/a/manifests/latest").status == 404
    wait_for(lambda: client("GET", "/v2/hub/a/tags/list").json()["tags"] == [])
    assert pull(client, "hub/a", it) == it


def test_a_token_server_that_is_gone_takes_no_tag_along(make, double):
    double.users, double.realm = {"me": "secret"}, f"{double.url}/token"
    double.on("GET /token", lambda h: double.give_token(h, double), *[lambda h: h.refuse(404, "NO") or True] * 4)
    proxies = [{"prefix": "hub", "upstream": double.url, "username": "me", "password": "secret", "ttl": 0}]
    proxy = make(proxies=proxies).start()
    c = proxy.client()
    assert c("GET", "/v2/hub/a/manifests/latest").status == 200
    double.tokens.clear()
    a = c("GET", "/v2/hub/a/manifests/latest")
    assert a.status == 200 and "Warning" in a.headers
    assert c("GET", "/v2/hub/a/manifests/other").status == 403


def test_what_is_unknown_is_asked_once(make, double):
    c = make(proxies=[{"prefix": "hub", "upstream": double.url}]).start().client()
    for path in ("manifests/none", f"manifests/{digest(b'no')}", f"blobs/{digest(b'no')}"):
        for _ in range(3):
            a = c("GET", f"/v2/hub/a/{path}")
            assert a.status == 404 and a.code() in ("MANIFEST_UNKNOWN", "BLOB_UNKNOWN")
    assert len(double.requests) == 3
    assert c("GET", "/v2/_catalog").json()["repositories"] == []


# ---- upstreams that fail ----


def test_the_upstream_dies(make, tmp_path):
    (tmp_path / "upstream").mkdir()
    upstream = Registry(tmp_path / "upstream").start()
    it = upstream.client().image("a", "latest", LAYERS)
    proxy = make(proxies=[{"prefix": "", "upstream": f"http://127.0.0.1:{upstream.port}", "ttl": 0}]).start()
    c = proxy.client()
    assert "Warning" not in c("GET", "/v2/a/manifests/latest").headers
    assert pull(c, "a") == it
    wait_for(lambda: proxy.metric("skep_registry_proxy_fetches") == 0)
    upstream.stop(signal.SIGKILL)
    for _ in range(3):
        a = c("GET", "/v2/a/manifests/latest")
        assert a.status == 200 and digest(a.body) == it
        assert re.fullmatch(r'299 - "a:latest may be out of date: http://127.0.0.1:\d+ does not answer"', a["Warning"])
    assert pull(c, "a") == pull(c, "a", it) == it
    assert proxy.metric("skep_registry_proxy_stale_total") == 4
    a = c("GET", "/v2/a/manifests/other")
    assert a.status == 502 and "log says why" in a.json()["errors"][0]["message"]
    assert c("GET", f"/v2/a/blobs/{digest(b'other')}").status == 502
    assert "connect" in proxy.log.read_text()


@pytest.mark.parametrize("data", LAYERS[:2], ids=["small", "big"])
def test_bytes_with_another_digest_are_not_kept(proxy, double, data):
    """The client gets at most all but the end: he cannot take it for the blob either."""
    it = digest(data)
    double.blobs[it] = b"X" + data[1:]
    c = http.client.HTTPConnection("127.0.0.1", proxy.port, timeout=60)
    c.request("GET", f"/v2/hub/a/blobs/{it}")
    try:
        response = c.getresponse()
        complete = len(response.read()) == len(data)
    except (http.client.IncompleteRead, ConnectionResetError):
        complete = False
    c.close()
    assert not complete and proxy.blobs() == []
    wait_for(lambda: os.listdir(proxy.root / "uploads") == [])
    # a part is given to nobody before all of it was checked
    a = proxy.client()("GET", f"/v2/hub/a/blobs/{it}", Range="bytes=1-2")
    assert a.status == 502
    assert "digest mismatch" in proxy.log.read_text()
    double.blobs[it] = data
    assert proxy.client()("GET", f"/v2/hub/a/blobs/{it}").body == data


@pytest.mark.skipif(not shutil.which("curl"), reason="curl is not installed")
def test_over_http2(proxy, double, tmp_path):
    small = LAYERS[0]
    double.blobs[digest(small)] = b"X" + small[1:]

    def get(data):
        where = f"http://127.0.0.1:{proxy.port}/v2/hub/a/blobs/{digest(data)}"
        line = ["curl", "-sS", "--http2-prior-knowledge", "-w", "%{http_version} %{http_code}", "-o", tmp_path / "got", where]
        return subprocess.run(line, capture_output=True, text=True, check=False, timeout=60)

    assert get(BIG).stdout == "2 200" and (tmp_path / "got").read_bytes() == BIG
    bad = get(small)
    assert bad.returncode != 0 or bad.stdout == "2 502"


def test_a_manifest_with_another_digest_is_not_kept(proxy, double, client):
    it = double.add_manifest(document())
    double.manifests[it] = (MANIFEST, document(LAYERS[:1]))
    assert client("GET", f"/v2/hub/a/manifests/{it}").status == 502
    assert client("GET", "/v2/_catalog").json()["repositories"] == []


@pytest.mark.parametrize("body", [b"", b"{", b'{"schemaVersion":1}', b"[]", b"\xff" * 100])
def test_what_is_no_manifest_is_not_kept(double, client, body):
    double.add_manifest(body, "bad")
    assert client("GET", "/v2/hub/a/manifests/bad").status == 502
    assert client("GET", "/v2/_catalog").json()["repositories"] == []


@pytest.mark.parametrize("status, answer, code", [(401, 403, "DENIED"), (403, 403, "DENIED"), (429, 429, "TOOMANYREQUESTS"), (500, 502, "UNSUPPORTED")])
def test_what_an_upstream_refuses(double, client, status, answer, code):
    def refuse(h):
        h.refuse(status, "X", "no", Retry_After="0")
        return True

    double.on(".*/manifests/", *[refuse] * 8)
    a = client("GET", "/v2/hub/a/manifests/latest")
    assert (a.status, a.code()) == (answer, code)


def test_the_worker_dies(proxy, double, client):
    stuck = threading.Event()

    def hold(h):
        stuck.set()
        double_released.wait(30)
        return True

    double_released = threading.Event()
    double.on("GET .*/blobs/", hold)
    answers = []
    t = threading.Thread(target=lambda: answers.append(Client(proxy.port)("GET", f"/v2/hub/a/blobs/{digest(BIG)}", Range="bytes=0-1").status))
    t.start()
    assert stuck.wait(30)
    children = children_of(proxy.process.pid)
    assert len(children) == 1
    os.kill(children[0], signal.SIGKILL)
    t.join(60)
    double_released.set()
    assert answers == [502]
    assert pull(client, "hub/a") == digest(document())


def children_of(pid):
    found = []
    for task in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{task}/children", encoding="ascii") as f:
            found += [int(x) for x in f.read().split()]
    return found


# ---- rights ----


def test_nothing_of_the_client_goes_to_the_upstream(proxy, double):
    c = Client(proxy.port, {"Authorization": "Basic Y2xpZW50OnNlY3JldA==", "Cookie": "client=secret", "X-Client": "secret"})
    pull(c, "hub/a")
    for _, path, headers in double.requests:
        assert "client" not in json.dumps([path, headers]).lower() and "Y2xpZW50" not in json.dumps(headers)


def test_the_configured_credentials_do(make, double):
    double.users = {"robot": "secret"}
    wrong = make(proxies=[{"prefix": "hub", "upstream": double.url}]).start()
    assert wrong.client()("GET", "/v2/hub/a/manifests/latest").status == 403
    wrong.stop()
    right = make(proxies=[{"prefix": "hub", "upstream": double.url, "username": "robot", "password": "secret"}]).start()
    pull(right.client(), "hub/a")
    assert "secret" not in right.log.read_text()


def test_certs_d_of_an_upstream(make, tmp_path):
    """Authority and client certificate where those for pulls are; without them nothing is fetched."""
    authority = Authority(tmp_path)
    upstream = Double(tls=authority.issue("server", "IP:127.0.0.1"), client_ca=authority.ca)
    upstream.add_blob(BIG)
    options = {"proxies": [{"prefix": "hub", "upstream": upstream.url}]}
    env = {**os.environ, "XDG_CONFIG_HOME": str(tmp_path / "config")}
    registry = make(**options).start(env=env)
    assert registry.client()("GET", f"/v2/hub/a/blobs/{digest(BIG)}").status == 502 and not upstream.requests
    registry.stop()
    certs = tmp_path / "config" / "containers" / "certs.d" / f"127.0.0.1:{upstream.port}"
    certs.mkdir(parents=True)
    cert, key = authority.issue("client")
    for name, source in (("ca.crt", authority.ca), ("client.cert", cert), ("client.key", key)):
        shutil.copy(source, certs / name)
    assert registry.start(env=env).client()("GET", f"/v2/hub/a/blobs/{digest(BIG)}").body == BIG
    registry.stop()
    (certs / "client.key").unlink()
    with pytest.raises(AssertionError, match="missing key"):
        registry.start(env=env)
    upstream.close()


def test_copies_are_not_pushed_to(proxy, client):
    own = client.push("own", b"x")
    for method, path in (
        ("POST", "/v2/hub/a/blobs/uploads/"),
        ("POST", f"/v2/hub/a/blobs/uploads/?digest={own}"),
        ("POST", f"/v2/hub/a/blobs/uploads/?mount={own}&from=own"),
        ("PUT", f"/v2/hub/a/blobs/uploads/{'0' * 32}?digest={own}"),
        ("PATCH", f"/v2/hub/a/blobs/uploads/{'0' * 32}"),
        ("PUT", "/v2/hub/a/manifests/latest"),
    ):
        a = client(method, path, b"x")
        assert (a.status, a.code()) == (405, "UNSUPPORTED"), path
    assert client.image("hubs/a", "latest")  # beside the prefix


def test_the_longest_prefix_counts_and_paths_are_put_before(make, double):
    proxies = [
        {"prefix": "", "upstream": "http://127.0.0.1:1"},
        {"prefix": "x", "upstream": double.url + "/deep/er/"},
        {"prefix": "x/y", "upstream": double.url},
    ]
    c = make(proxies=proxies).start().client()
    assert c("GET", "/v2/x/a/manifests/latest").status == 200
    assert c("GET", "/v2/x/y/a/manifests/latest").status == 200
    assert c("GET", "/v2/x/manifests/latest").status == 200
    assert c("GET", "/v2/x/y/manifests/latest").status == 404
    assert [path for _, path, _ in double.requests] == [f"/v2/{x}/manifests/latest" for x in ("deep/er/a", "a", "deep/er")]
    assert c("GET", "/v2/xx/manifests/latest").status == 502


# ---- limits, collections ----


def test_what_a_quota_forbids_is_served_all_the_same(make, double):
    proxy = make(proxies=[{"prefix": "hub", "upstream": double.url}], quotas=[{"prefix": "hub", "bytes": 10000}]).start()
    c = proxy.client()
    pull(c, "hub/a")
    assert c("GET", f"/v2/hub/a/blobs/{digest(BIG)}", Range="bytes=5-6").body == BIG[5:7]
    wait_for(lambda: proxy.metric("skep_registry_proxy_fetches") == 0)
    assert digest(BIG)[7:] not in proxy.blobs() and len(proxy.blobs()) == 2
    assert os.listdir(proxy.root / "uploads") == []
    assert "quota exceeded" in proxy.log.read_text()


def test_a_blob_above_the_limit(make, double):
    c = make(proxies=[{"prefix": "hub", "upstream": double.url}], maxBlob=100000).start().client()
    assert c("GET", f"/v2/hub/a/blobs/{digest(BIG)}").status == 502
    assert double.count("GET .*/blobs/") == 0


def test_copies_are_collected(make, double):
    gc = {"grace": 0, "untagged": True, "retention": [{"repositories": ["**"], "tags": ["*"], "keepLast": 1}]}
    proxy = make(proxies=[{"prefix": "hub", "upstream": double.url, "ttl": 0}], gc=gc).start()
    c = proxy.client()
    old = pull(c, "hub/a")
    wait_for(lambda: proxy.metric("skep_registry_proxy_fetches") == 0)
    double.add_manifest(document(LAYERS[:1]), "new")
    pull(c, "hub/a", "new")
    # asked for again, it is the newer one of the two
    pull(c, "hub/a", "latest")
    wait_for(lambda: proxy.metric("skep_registry_proxy_fetches") == 0)
    proxy.collect()
    assert c("GET", "/v2/hub/a/tags/list").json()["tags"] == ["latest"]
    assert len(proxy.blobs()) == 4
    assert c("DELETE", f"/v2/hub/a/manifests/{old}").status == 202
    proxy.collect()
    assert proxy.blobs() == []
    assert pull(c, "hub/a") == old


def test_after_a_kill_nothing_is_broken(make, double):
    proxy = make(proxies=[{"prefix": "hub", "upstream": double.url}]).start()
    go = threading.Event()

    def half(h):
        h.send_response(200)
        h.send_header("Content-Length", str(len(BIG)))
        h.end_headers()
        h.wfile.write(BIG[: len(BIG) // 2])
        h.wfile.flush()
        go.wait(30)
        return True

    double.on("GET .*/blobs/", half)
    with socket.create_connection(("127.0.0.1", proxy.port)) as s:
        s.sendall(f"GET /v2/hub/a/blobs/{digest(BIG)} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        wait_for(lambda: double.count("GET .*/blobs/") == 1)
        proxy.stop(signal.SIGKILL)
    go.set()
    proxy.sound()
    pull(proxy.start().client(), "hub/a")
    proxy.stop()
    proxy.sound()


def test_stopping_while_something_is_fetched(proxy, double):
    go = threading.Event()

    def hold(h):
        go.wait(30)
        return True

    double.on("GET .*/blobs/", hold)
    with socket.create_connection(("127.0.0.1", proxy.port)) as s:
        s.sendall(f"GET /v2/hub/a/blobs/{digest(BIG)} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        wait_for(lambda: double.count("GET .*/blobs/") == 1)
    proxy.stop()
    go.set()
    assert os.listdir(proxy.root / "uploads") == []


# ---- with others ----


@pytest.mark.skipif(not os.path.exists("/usr/bin/docker-registry"), reason="docker-registry is not installed")
def test_dockers_registry_as_upstream(make, tmp_path):
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port = s.getsockname()[1]
    config = tmp_path / "registry.yml"
    config.write_text(
        f"version: 0.1\nlog: {{level: error}}\nstorage: {{filesystem: {{rootdirectory: {tmp_path}/docker}}}}\nhttp: {{addr: '127.0.0.1:{port}'}}\n"
    )
    with subprocess.Popen(["/usr/bin/docker-registry", "serve", config], stderr=subprocess.DEVNULL) as other:
        try:

            def answers():
                try:
                    return Client(port)("GET", "/v2/").status == 200
                except ConnectionRefusedError:
                    return False

            wait_for(answers)
            upstream = Client(port)
            for data in (b'{"os":"linux"}', *LAYERS):
                where = upstream("POST", "/v2/team/app/blobs/uploads/")["Location"]
                path = where.split(f":{port}", 1)[-1]
                assert upstream("PUT", f"{path}&digest={digest(data)}", data).status == 201
            assert upstream.manifest("team/app", "v1", document())[0].status == 201
            c = make(proxies=[{"prefix": "docker", "upstream": f"http://127.0.0.1:{port}", "ttl": 0}]).start().client()
            assert pull(c, "docker/team/app", "v1") == digest(document())
            assert pull(c, "docker/team/app", "v1") == digest(document())
            assert c("GET", "/v2/docker/team/app/manifests/none").status == 404
        finally:
            other.terminate()
    a = c("GET", "/v2/docker/team/app/manifests/v1")
    assert a.status == 200 and a["Warning"].startswith("299 - ")


@pytest.mark.skipif(not shutil.which("skopeo"), reason="skopeo is not installed")
def test_skopeo_copies_from_it(proxy, double, tmp_path):
    tar = io.BytesIO()
    with tarfile.open(fileobj=tar, mode="w") as t:
        t.addfile(tarfile.TarInfo("hello"))
    layer = tar.getvalue()
    config = json.dumps({"os": "linux", "architecture": "amd64", "rootfs": {"type": "layers", "diff_ids": [digest(layer)]}}).encode()
    image = json.loads(document([layer]))
    image["config"].update(digest=double.add_blob(config), size=len(config))
    double.add_blob(layer)
    it = double.add_manifest(json.dumps(image).encode(), "v1")
    for _ in range(2):
        shutil.rmtree(tmp_path / "copy", ignore_errors=True)
        line = ["skopeo", "copy", "-q", "--src-tls-verify=false", f"docker://127.0.0.1:{proxy.port}/hub/a:v1", f"dir:{tmp_path}/copy"]
        subprocess.run(line, check=True, capture_output=True, timeout=60)
        assert digest((tmp_path / "copy" / "manifest.json").read_bytes()) == it
        assert (tmp_path / "copy" / digest(layer)[7:]).read_bytes() == layer
    assert double.count("GET .*/(blobs|manifests)/") == 3


def test_the_command(tmp_path, double):
    skep = WORKER.parent / "skep"
    if not skep.exists():
        pytest.skip("skep was not built")
    line = [skep, "registry", "serve", "--root", tmp_path / "root", "--listen", "127.0.0.1:0", "--proxy", f"hub={double.url}"]
    with subprocess.Popen([*line, "--proxy", f"={double.url}"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as p:
        try:
            port = int(re.search(rb"port (\d+)", p.stdout.readline()).group(1))
            pull(Client(port), "hub/a")
            pull(Client(port), "b")
        finally:
            p.terminate()
    assert p.returncode == 0
    bad = subprocess.run([*line, "--proxy", "hub"], capture_output=True, text=True, check=False, timeout=60)
    assert bad.returncode != 0 and "expected PREFIX=URL" in bad.stderr


# ---- events ----


class Hook(threading.Thread):
    """Takes events, one connection at a time."""

    def __init__(self):
        super().__init__(daemon=True)
        self.socket, self.events = socket.create_server(("127.0.0.1", 0)), []
        self.url = f"http://127.0.0.1:{self.socket.getsockname()[1]}/"
        self.start()

    def run(self):
        while True:
            s, _ = self.socket.accept()
            with s, s.makefile("rb") as f:
                head = b"".join(iter(f.readline, b"\r\n"))
                body = f.read(int(re.search(rb"(?i)content-length: (\d+)", head).group(1)))
                self.events += json.loads(body)["events"]
                s.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")


def test_pulls_are_told_to_who_asks_for_them(make):
    pulls, rest = Hook(), Hook()
    c = make(webhooks=[{"url": pulls.url, "events": ["pull"]}, {"url": rest.url}]).start().client()
    it = c.image("a", "latest")
    c("HEAD", "/v2/a/manifests/latest")
    c("GET", "/v2/a/manifests/latest")
    c("GET", f"/v2/a/manifests/{it}")
    assert c("DELETE", "/v2/a/manifests/latest").status == 202
    wait_for(lambda: len(pulls.events) == 2 and len(rest.events) == 2)
    assert [(x["action"], x["target"]["repository"], x["target"]["digest"]) for x in pulls.events] == [("pull", "a", it)] * 2
    assert pulls.events[0]["target"]["tag"] == "latest"
    assert [x["action"] for x in rest.events] == ["push", "delete"]


def test_a_session_says_how_small_its_chunks_should_be(registry):
    a = registry.client()("POST", "/v2/a/blobs/uploads/")
    assert int(a["OCI-Chunk-Min-Length"]) == 65536


# ---- configurations ----


@pytest.mark.parametrize(
    "options, why",
    [
        ({"proxies": [{"prefix": "Hub", "upstream": "docker.io"}]}, "no repository name"),
        ({"proxies": [{"prefix": "hub", "upstream": "ftp://x"}]}, "expected https://"),
        ({"proxies": [{"prefix": "hub", "upstream": "https://x/A"}]}, "beginning of a repository's name"),
        ({"proxies": [{"prefix": "hub", "upstream": "https://u:p@x"}]}, "belong in username and password"),
        ({"proxies": [{"prefix": "hub", "upstream": "https://x", "username": "u"}]}, "belong together"),
        ({"proxies": [{"upstream": "https://x"}, {"upstream": "https://y"}]}, "has an upstream already"),
        ({"proxies": [{"prefix": "hub"}]}, "upstream"),
        ({"proxies": [{"prefix": "hub", "upstream": "https://x"}], "readonly": True}, "read-only"),
        ({"webhooks": [{"url": "http://127.0.0.1:1/", "events": ["look"]}]}, "no event: push, delete, mount, pull"),
    ],
)
def test_bad_configurations(make, options, why):
    with pytest.raises(AssertionError) as failure:
        make(**options).start()
    assert why in str(failure.value)


def test_without_the_worker(tmp_path):
    registry = Registry(tmp_path, proxies=[{"prefix": "hub", "upstream": "https://x"}])
    server = [TOP / "no-such-folder" / "worker"]
    done = subprocess.run(
        [os.environ.get("RUNTIME") or TOP / "build/tests/registry/registry_server", "--config", registry.config, "--worker", *server],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 1 and "proxies: open" in done.stderr
