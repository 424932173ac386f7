"""Who may do what: passwords, tokens, certificates. What the network may do: TLS, slow and many clients, hooks."""
import base64
import concurrent.futures
import hashlib
import hmac
import http.client
import http.server
import json
import os
import re
import signal
import socket
import ssl
import subprocess
import threading
import time
import urllib.parse

import pytest
from conftest import WORKER, Client, digest, raw, wait_for

RULES = [
    {"repositories": ["team/**"], "users": ["alice"], "actions": ["pull", "push", "delete"]},
    {"repositories": ["team/**"], "users": ["bob"], "actions": ["pull"]},
    {"repositories": ["public/*"], "users": ["*", "anonymous"], "actions": ["pull"]},
    {"repositories": ["public/*"], "users": ["alice"], "actions": ["*"]},
    {"repositories": ["private/*"], "users": ["bob"], "actions": ["pull", "push"]},
]


# bcrypt of cost 4, for speed; what `htpasswd -nbB -C 4` writes
HASHES = {
    "secret": "$2y$04$abcdefghijklmnopqrstuu2r9OfJnfCsdneAXAGHnS4UpFFP8WIrW",
    "hidden": "$2y$04$abcdefghijklmnopqrstuuhZyWRsG7iAMo6rVsDQ6k6wZoOR22OE2",
    "new": "$2y$04$abcdefghijklmnopqrstuusf96eeUQLgQWR72RBesvIE8CjOJNM9O",
    "x": "$2y$04$abcdefghijklmnopqrstuuPp7HPfoAs8I2dCQCQ/fW7zEJv8I8C8e",
}


@pytest.fixture
def passwords(tmp_path):
    path = tmp_path / "htpasswd"
    path.write_text(f"# users\n\nalice:{HASHES['secret']}\nbob:{HASHES['hidden']}\n")
    return path


@pytest.fixture
def guarded(make, passwords):
    return make(auth={"htpasswd": str(passwords), "rules": RULES}).start()


def test_login(guarded):
    a = guarded.client()("GET", "/v2/")
    assert a.status == 401 and a["WWW-Authenticate"].startswith('Basic realm="')
    assert guarded.client("alice", "secret")("GET", "/v2/").status == 200
    for user, password in (("alice", "Secret"), ("alice", ""), ("nobody", "secret"), ("", "")):
        assert guarded.client(user, password)("GET", "/v2/").status == 401
    for header in ("Basic", "Basic %%%", "Basic " + base64.b64encode(b"alice").decode(), "Bearer x", "Digest x", "Basic " + "A" * 9000):
        assert Client(guarded.port, {"Authorization": header})("GET", "/v2/").status == 401


@pytest.mark.parametrize("who, path, code, detail", [
    ((), "/v2/", "UNAUTHORIZED", {}), (("alice", "wrong"), "/v2/", "UNAUTHORIZED", {}), (("alice", "secret"), "/v2/private/x/tags/list", "DENIED", {"name": "private/x"}),
    (("alice", "secret"), "/v2/team/x/tags/list", "NAME_UNKNOWN", {"name": "team/x"}), (("alice", "secret"), "/v2/A/tags/list", "NAME_INVALID", {})])
def test_errors_have_a_detail(guarded, who, path, code, detail):
    """Docker tries again and again what has none: a push without a login ended after a minute."""
    (error,) = guarded.client(*who)("GET", path).json()["errors"]
    assert (error["code"], error["detail"]) == (code, detail)


def test_rights(guarded):
    alice, bob, anyone = guarded.client("alice", "secret"), guarded.client("bob", "hidden"), guarded.client()
    it = alice.image("team/app", "x")
    alice.image("public/app", "x")
    assert bob("GET", "/v2/team/app/manifests/x").status == 200
    a = bob("POST", "/v2/team/app/blobs/uploads/")
    assert (a.status, a.code()) == (403, "DENIED")
    assert bob("DELETE", f"/v2/team/app/manifests/{it}").status == 403
    assert bob("GET", "/v2/else/manifests/x").status == 403
    a = anyone("GET", "/v2/team/app/manifests/x")
    assert (a.status, a.code()) == (401, "UNAUTHORIZED")
    assert anyone("GET", "/v2/public/app/manifests/x").status == 200
    assert anyone("POST", "/v2/public/app/blobs/uploads/").status == 401
    assert bob("GET", "/v2/_catalog").json()["repositories"] == ["public/app", "team/app"]
    assert anyone("GET", "/v2/_catalog").status == 401
    assert anyone("GET", "/metrics").status == 401 and anyone("GET", "/healthz").status == 200


def test_no_mount_out_of_what_one_cannot_read(guarded):
    alice, bob = guarded.client("alice", "secret"), guarded.client("bob", "hidden")
    secret = bob.push("private/x", b"secret")
    assert alice("POST", f"/v2/team/x/blobs/uploads/?mount={secret}&from=private/x").status == 202
    assert alice("POST", f"/v2/team/x/blobs/uploads/?mount={secret}").status == 202
    assert alice("HEAD", f"/v2/team/x/blobs/{secret}").status == 404
    shared = alice.push("team/x", b"shared")
    assert bob("POST", f"/v2/private/x/blobs/uploads/?mount={shared}&from=team/x").status == 201
    assert bob("POST", f"/v2/private/y/blobs/uploads/?mount={shared}").status == 201


def test_an_upload_is_of_its_repository_and_who_may_push_there(guarded):
    """Whoever has guessed an id has won nothing."""
    alice, bob, anyone = guarded.client("alice", "secret"), guarded.client("bob", "hidden"), guarded.client()
    where = alice.session("team/app")
    alice("PATCH", where, b"secret")
    elsewhere = where.replace("/team/app/", "/private/app/")  # bob's own
    it = digest(b"secret")
    for client, path, status in ((bob, where, 403), (anyone, where, 401), (bob, elsewhere, 404)):
        for method, suffix in (("GET", ""), ("PATCH", ""), ("PUT", f"?digest={it}"), ("DELETE", "")):
            assert client(method, path + suffix, b"x" if method in ("PATCH", "PUT") else None).status in (status, 403), (method, path)
    a = alice("GET", where + "?_state=forged&digest=sha256:../..")
    assert (a.status, a["Range"], a["Location"]) == (204, "0-5", where)
    assert alice("PUT", f"{where}?digest={it}").status == 201


def test_passwords_are_read_again(guarded, passwords):
    passwords.write_text(f"carol:{HASHES['new']}\n")
    guarded.process.send_signal(1)
    wait_for(lambda: guarded.client("carol", "new")("GET", "/v2/").status == 200)
    assert guarded.client("alice", "secret")("GET", "/v2/").status == 401


@pytest.mark.parametrize("line", ["alice", "alice:plain", "alice:$1$abc$def", "alice:$2y$99$" + "a" * 53, "a:{0}\na:{0}"])
def test_password_files_refused(make, passwords, line):
    passwords.write_text(line.format(HASHES["x"]) + "\n")
    with pytest.raises(AssertionError, match=str(passwords)):
        make(auth={"htpasswd": str(passwords)}).start()


# ---- tokens ----


@pytest.fixture
def tokens(make, passwords):
    return make(auth={"htpasswd": str(passwords), "rules": RULES, "token": True, "service": "it"}).start()


def get_token(registry, user, password, *scopes):
    query = urllib.parse.urlencode([("service", "it")] + [("scope", x) for x in scopes])
    a = registry.client(user, password)("GET", f"/token?{query}")
    assert a.status == 200, a.body
    return a.json()["token"]


def bearer(registry, token):
    return Client(registry.port, {"Authorization": f"Bearer {token}"})


def test_token_flow(tokens):
    a = tokens.client()("POST", "/v2/team/app/blobs/uploads/")
    assert a.status == 401
    challenge = dict(re.findall(r'(\w+)="([^"]*)"', a["WWW-Authenticate"]))
    assert challenge == {"realm": f"http://127.0.0.1:{tokens.port}/token", "service": "it", "scope": "repository:team/app:pull,push"}
    alice = bearer(tokens, get_token(tokens, "alice", "secret", challenge["scope"]))
    alice.image("team/app", "x")
    assert alice("GET", "/v2/").status == 200
    a = alice("DELETE", "/v2/team/app/manifests/x")  # not asked for
    assert a.status == 401 and 'error="insufficient_scope"' in a["WWW-Authenticate"]
    bob = bearer(tokens, get_token(tokens, "bob", "hidden", "repository:team/app:pull,push"))
    assert bob("GET", "/v2/team/app/manifests/x").status == 200
    assert bob("POST", "/v2/team/app/blobs/uploads/").status == 401
    anyone = bearer(tokens, get_token(tokens, None, None, "repository:public/app:pull repository:team/app:pull"))
    assert anyone("GET", "/v2/public/app/manifests/x").status == 404
    assert anyone("GET", "/v2/team/app/manifests/x").status == 401


def test_token_by_form(tokens):
    form = urllib.parse.urlencode({"grant_type": "password", "username": "alice", "password": "secret", "service": "it", "scope": "repository:team/a:pull"})
    a = tokens.client()("POST", "/token", form, Content_Type="application/x-www-form-urlencoded")
    assert bearer(tokens, a.json()["access_token"])("GET", "/v2/team/a/tags/list").status == 404
    assert tokens.client()("POST", "/token", form.replace("secret", "x")).status == 401
    assert tokens.client()("POST", "/token", "grant_type=refresh_token").status == 400
    assert tokens.client("alice", "x")("GET", "/token?service=it").status == 401
    assert tokens.client()("GET", "/token?service=another").status == 400


def encode(data):
    return base64.urlsafe_b64encode(data if isinstance(data, bytes) else json.dumps(data).encode()).decode().rstrip("=")


def test_tokens_forged(tokens):
    token = get_token(tokens, "alice", "secret", "repository:team/app:pull")
    assert bearer(tokens, token)("GET", "/v2/").status == 200
    head, claims, signature = token.split(".")
    plain = json.loads(base64.urlsafe_b64decode(claims + "=="))
    plain["access"][0]["actions"] = ["pull", "push", "delete"]
    wider = encode(plain)
    forged = [
        f"{head}.{wider}.{signature}",
        f"{encode({'alg': 'none', 'typ': 'JWT'})}.{wider}.",
        f"{encode({'alg': 'none'})}.{claims}.{signature}",
        f"{head}.{claims}.",
        f"{head}.{claims}",
        f"{head}.{claims}.{signature}.x",
        f"{head}.{claims}.{signature}=",
        f"{head}.{claims}.{signature[:-4]}",
        "",
        "..",
        "x" * 20000,
    ]
    for name in ("HS256", "HS384", "RS256", "ES256", "none"):  # with a key that everybody has, which "kid" leads to
        other = encode({"alg": name, "typ": "JWT", "kid": "../../dev/null"})
        forged.append(f"{other}.{wider}.{encode(hmac.new(b'', f'{other}.{wider}'.encode(), hashlib.sha256).digest())}")
    for it in forged:
        assert bearer(tokens, it)("GET", "/v2/").status == 401, it


def signed(registry, **changes):
    """With the registry's own key."""
    key = (registry.root / "token.key").read_bytes()
    now = int(time.time())
    claims = {"iss": "it", "sub": "alice", "aud": "it", "exp": now + 60, "nbf": now, "iat": now, "access": [], **changes}
    head = encode(b'{"alg":"HS256","typ":"JWT"}')
    text = f"{head}.{encode(claims)}"
    return f"{text}.{encode(hmac.new(key, text.encode(), hashlib.sha256).digest())}"


def test_token_claims(tokens):
    now = int(time.time())
    assert bearer(tokens, signed(tokens))("GET", "/v2/").status == 200
    for changes in ({"exp": now - 60}, {"nbf": now + 60}, {"iss": "x"}, {"aud": "x"}, {"exp": "never"}, {"access": 5}):
        assert bearer(tokens, signed(tokens, **changes))("GET", "/v2/").status == 401, changes
    # a token never gives what the rules do not
    wide = signed(tokens, sub="bob", access=[{"type": "repository", "name": "team/app", "actions": ["push"]}])
    assert bearer(tokens, wide)("POST", "/v2/team/app/blobs/uploads/").status == 401


# ---- TLS ----


def openssl(directory, *arguments):
    subprocess.run(["openssl", *arguments], cwd=directory, check=True, capture_output=True)


def test_tls_and_client_certificates(make, tmp_path):
    openssl(tmp_path, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", "ca.key", "-out", "ca.pem", "-subj", "/CN=ca")
    for name in ("localhost", "alice"):
        openssl(tmp_path, "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", f"{name}.key", "-out", f"{name}.csr", "-subj", f"/CN={name}")
        openssl(tmp_path, "x509", "-req", "-in", f"{name}.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-out", f"{name}.pem")
    tls = {"certificate": str(tmp_path / "localhost.pem"), "key": str(tmp_path / "localhost.key"), "clientCA": str(tmp_path / "ca.pem")}
    registry = make(tls=tls, auth={"rules": RULES}).start()
    context = ssl.create_default_context(cafile=str(tmp_path / "ca.pem"))
    context.check_hostname = False

    def connect():
        c = Client(registry.port)
        c.connection = http.client.HTTPSConnection("127.0.0.1", registry.port, context=context)
        return c

    assert connect()("GET", "/v2/").status in (401, 403)
    context.load_cert_chain(tmp_path / "alice.pem", tmp_path / "alice.key")
    alice = connect()
    blob = bytes(1 << 20)
    it = alice.push("team/x", blob)
    assert alice("GET", f"/v2/team/x/blobs/{it}").body == blob


def self_signed(directory, file, subject, *names):
    more = ["-addext", "subjectAltName=" + ",".join(f"DNS:{name}" for name in names)] if names else []
    openssl(directory, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", f"{file}.key", "-out", f"{file}.pem",
            "-subj", f"/CN={subject}", *more)
    return {"certificate": str(directory / f"{file}.pem"), "key": str(directory / f"{file}.key")}


def shown_to(port, name, directory):
    """The subject of the certificate for who asks for that name."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with socket.create_connection(("127.0.0.1", port), timeout=30) as s, context.wrap_socket(s, server_hostname=name) as tls:
        (directory / "shown.der").write_bytes(tls.getpeercert(True))
    done = subprocess.run(["openssl", "x509", "-inform", "DER", "-in", directory / "shown.der", "-noout", "-subject"], capture_output=True, text=True, check=True)
    return done.stdout.strip().rpartition(" ")[2]


def test_several_certificates_and_new_ones(make, tmp_path):
    tls = {**self_signed(tmp_path, "a", "one", "a.test"), "certificates": [self_signed(tmp_path, "b", "two", "b.test")]}
    registry = make(tls=tls).start()
    assert [shown_to(registry.port, name, tmp_path) for name in (None, "a.test", "b.test")] == ["one", "one", "two"]
    context = ssl.create_default_context(cafile=tmp_path / "b.pem")
    with socket.create_connection(("127.0.0.1", registry.port)) as s, context.wrap_socket(s, server_hostname="b.test") as old:
        self_signed(tmp_path, "b", "three", "b.test")
        registry.process.send_signal(1)
        wait_for(lambda: shown_to(registry.port, "b.test", tmp_path) == "three")
        old.sendall(b"GET /v2/ HTTP/1.1\r\nHost: b.test\r\n\r\n")  # begun with the one before
        assert old.recv(100).startswith(b"HTTP/1.1 200")
    (tmp_path / "b.pem").write_text("nonsense")
    registry.process.send_signal(1)
    wait_for(lambda: "the old certificates stay" in registry.log.read_text())
    assert shown_to(registry.port, "b.test", tmp_path) == "three"


def test_several_certificates_by_the_command(tmp_path):
    skep = WORKER.parent / "skep"
    if not skep.exists():
        pytest.skip("skep was not built")
    line = [skep, "registry", "serve", "--root", tmp_path / "root", "--listen", "127.0.0.1:0"]
    for file, subject, name in (("a", "one", "a.test"), ("b", "two", "b.test")):
        pair = self_signed(tmp_path, file, subject, name)
        line += ["--tls-cert", pair["certificate"], "--tls-key", pair["key"]]
    with subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as p:
        try:
            port = int(re.search(rb"port (\d+)", p.stdout.readline()).group(1))
            assert [shown_to(port, name, tmp_path) for name in ("b.test", "a.test")] == ["two", "one"]
        finally:
            p.terminate()
    assert p.returncode == 0
    bad = subprocess.run([*line, "--tls-cert", tmp_path / "a.pem"], capture_output=True, text=True, check=False, timeout=60)
    assert bad.returncode != 0 and "each certificate needs its key" in bad.stderr


# ---- hostile and many clients ----


def test_slow_and_broken_clients_disturb_nobody(registry, client):
    client.image("a", "x")
    slow = []
    for _ in range(100):
        s = socket.create_connection(("127.0.0.1", registry.port))
        s.sendall(b"GET /v2/ HTTP/1.1\r\nHost: x\r\nX-Slow:")
        slow.append(s)
    for _ in range(20):
        assert client("GET", "/v2/a/manifests/x").status == 200
    for s in slow:
        s.close()
    assert b" 400 " in raw(registry.port, b"GET /v2/ HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n").split(b"\r\n")[0]


def test_path_traversal_on_the_wire(registry):
    for path in (b"/v2/../../etc/passwd", b"/v2/a/blobs/../../../registry.db", b"/v2/a/blobs/sha256:..%2f..%2fregistry.db", b"/v2/%2e%2e/tags/list"):
        answer = raw(registry.port, b"GET " + path + b" HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        assert answer.split(b" ")[1] in (b"400", b"404"), answer


def test_thousand_pulls_at_once(registry, client):
    blob = bytes(range(256)) * 400
    it = client.push("a", blob)
    sockets = [socket.create_connection(("127.0.0.1", registry.port), timeout=60) for _ in range(1000)]
    for s in sockets:
        s.sendall(f"GET /v2/a/blobs/{it} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())

    def read(s):
        with s:
            got = b""
            while piece := s.recv(1 << 16):
                got += piece
        return got.endswith(blob) and got.startswith(b"HTTP/1.1 200")

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        assert all(pool.map(read, sockets))


def test_many_pushes_at_once(registry):
    def push(n):
        data = bytes([n % 256]) * (n * 1000)
        c = Client(registry.port)
        c.image(f"r{n % 7}", f"t{n}", (data,))
        return c("GET", f"/v2/r{n % 7}/blobs/{digest(data)}").body == data

    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        assert all(pool.map(push, range(100)))
    registry.stop()
    registry.sound()


# ---- webhooks, metrics, logs ----


class Receiver(http.server.BaseHTTPRequestHandler):
    def do_POST(self):  # pylint: disable=invalid-name
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.tries += 1
        refuse = self.server.tries <= self.server.refuse
        self.send_response(500 if refuse else 200)
        self.send_header("Content-Length", "0")
        self.end_headers()
        if not refuse:
            self.server.events += json.loads(body)["events"]

    def log_message(self, format, *args):  # pylint: disable=redefined-builtin
        pass


@pytest.fixture
def receiver():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
    server.events, server.tries, server.refuse = [], 0, 0
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def test_webhooks(make, receiver):
    receiver.refuse = 2
    registry = make(webhooks=[{"url": f"http://127.0.0.1:{receiver.server_port}/hook", "repositories": ["team/*"], "events": ["push", "delete"]}]).start()
    c = registry.client()
    c.image("else/x", "a")
    it = c.image("team/x", "a")
    c("DELETE", "/v2/team/x/manifests/a")
    wait_for(lambda: len(receiver.events) == 2)
    by_action = {x["action"]: x["target"] for x in receiver.events}
    assert by_action["push"]["repository"] == "team/x" and by_action["push"]["digest"] == it and by_action["push"]["tag"] == "a"
    assert by_action["delete"]["tag"] == "a"
    assert receiver.tries == 4


def test_webhooks_survive_a_restart(make, receiver):
    port = receiver.server_port
    registry = make(webhooks=[{"url": f"http://127.0.0.1:{port}/"}]).start()
    receiver.refuse = 1
    registry.client().image("a", "x")
    wait_for(lambda: receiver.tries == 1)
    registry.stop()
    registry.start()
    wait_for(lambda: len(receiver.events) == 1)


def test_webhooks_by_name_and_https(make, receiver, tmp_path):
    """*.localhost is this machine (RFC 6761); no address stands in the URL, and the certificate is for the name alone."""
    own = self_signed(tmp_path, "hook", "hook", "hooks.localhost")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(own["certificate"], own["key"])
    plain = receiver.get_request

    def secure():
        connection, address = plain()
        return context.wrap_socket(connection, server_side=True), address

    receiver.get_request = secure
    registry = make(webhooks=[{"url": f"https://hooks.localhost:{receiver.server_port}/hook", "ca": own["certificate"]}]).start()
    it = registry.client().image("a", "x")
    wait_for(lambda: [x["target"]["digest"] for x in receiver.events] == [it])
    registry.stop()
    assert "webhook" not in registry.log.read_text()
    receiver.get_request = plain
    registry.configure(webhooks=[{"url": f"http://hooks.localhost:{receiver.server_port}/hook"}])
    registry.start().client().image("a", "y")
    wait_for(lambda: len(receiver.events) == 2)


@pytest.mark.parametrize("name, trusted", [("hooks.localhost", False), ("another.localhost", True)])
def test_webhooks_check_certificates(make, receiver, tmp_path, name, trusted):
    own = self_signed(tmp_path, "hook", "hook", "hooks.localhost")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(own["certificate"], own["key"])
    receiver.socket = context.wrap_socket(receiver.socket, server_side=True)
    url = f"https://{name}:{receiver.server_port}/hook"
    registry = make(webhooks=[{"url": url, **({"ca": own["certificate"]} if trusted else {})}]).start()
    registry.client().image("a", "x")
    wait_for(lambda: f"webhook {url}" in registry.log.read_text())
    line = next(x for x in registry.log.read_text().splitlines() if "webhook" in x)
    assert "SSL" in line and "tried again later" in line and receiver.tries == 0


def test_webhooks_outlive_their_worker(make, receiver):
    """A receiver that does not answer, and the worker killed meanwhile: the event is delivered by another one."""
    registry = make(webhooks=[{"url": f"http://127.0.0.1:{receiver.server_port}/"}]).start()
    held = threading.Event()
    plain = receiver.get_request

    def hold():
        connection, address = plain()
        held.set()
        receiver.get_request = plain
        receiver.first = connection
        raise OSError  # nobody reads from it

    receiver.get_request = hold
    registry.client().image("a", "x")
    assert held.wait(60)
    workers = subprocess.run(["pgrep", "-P", str(registry.process.pid)], capture_output=True, text=True, check=True).stdout.split()
    assert len(workers) == 1
    os.kill(int(workers[0]), signal.SIGKILL)
    wait_for(lambda: len(receiver.events) == 1)
    receiver.first.close()


@pytest.mark.parametrize(
    "options, words",
    [
        ({"webhooks": [{"url": "ftp://127.0.0.1/"}]}, "expected http:// or https://"),
        ({"webhooks": [{"url": "https:///x"}]}, "expected http:// or https://|host"),
        ({"webhooks": [{"url": "https://u:p@example.com/"}]}, "user or password at example.com"),
        ({"webhooks": [{"url": "https://example.com/", "ca": "/nowhere"}]}, "/nowhere"),
        ({"auth": {"token": True}}, "htpasswd"),
        ({"quotas": [{"prefix": "../x", "bytes": 1}]}, "repository name"),
        ({"gc": {"retention": [{"repositories": ["*"], "tags": ["*"]}]}}, "keeps nothing"),
        ({"tls": {"certificate": "/nowhere", "key": "/nowhere"}}, "/nowhere"),
        ({"listen": ["nonsense"]}, "nonsense"),
    ],
)
def test_configurations_refused(make, options, words):
    with pytest.raises(AssertionError, match=words):
        make(**options).start()


def test_metrics_and_access_log(make):
    registry = make(accessLog=True, metricsListen="127.0.0.1:0").start()
    c = registry.client()
    c.image("a", "x")
    assert c("GET", "/metrics").status == 404
    c("GET", "/v2/a/manifests/x")
    line = json.loads(registry.process.stdout.readline())
    assert (line["method"], line["status"]) == ("POST", 201)


def test_metrics(registry, client):
    client.image("a", "x")
    for _ in range(3):
        client("GET", "/v2/a/manifests/x")
    assert registry.metric('skep_registry_requests_total{route="manifest",code="2xx"}') == 4
    assert registry.metric("skep_registry_tags") == 1
    assert registry.metric("skep_registry_cache_hits_total") > 0


def test_shutdown_lets_a_pull_end(registry, client):
    blob = bytes(8 << 20)
    it = client.push("a", blob)
    s = socket.create_connection(("127.0.0.1", registry.port))
    s.sendall(f"GET /v2/a/blobs/{it} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    got = s.recv(1000)
    registry.process.terminate()
    while piece := s.recv(1 << 20):
        got += piece
    assert got.endswith(blob)
    assert registry.process.wait(20) == 0


def test_http2(registry, client, tmp_path):
    blob = bytes(range(256)) * 20000
    (tmp_path / "blob").write_bytes(blob)
    where = f"http://127.0.0.1:{registry.port}{client.session('a')}?digest={digest(blob)}"
    curl = ["curl", "-sS", "--http2-prior-knowledge", "-w", "%{http_version} %{http_code}", "-o"]
    done = subprocess.run([*curl, tmp_path / "answer", "-T", tmp_path / "blob", where], capture_output=True, text=True, check=True)
    assert done.stdout == "2 201"
    where = f"http://127.0.0.1:{registry.port}/v2/a/blobs/{digest(blob)}"
    done = subprocess.run([*curl, tmp_path / "answer", "-r", "1000-4000999", where], capture_output=True, text=True, check=True)
    assert done.stdout == "2 206" and (tmp_path / "answer").read_bytes() == blob[1000:4001000]
