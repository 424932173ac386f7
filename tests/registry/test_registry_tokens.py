"""Tokens of another server: RS256 and ES256 by its public keys, and nothing that only looks like them."""
import base64
import hashlib
import hmac
import http.server
import json
import re
import shutil
import socket
import subprocess
import threading
import time
import urllib.parse

import pytest
from conftest import WORKER, Client, basic, wait_for

REALM = {"realm": "https://auth.test/token", "issuer": "auth.test", "service": "it"}
PULL = {"type": "repository", "name": "team/app", "actions": ["pull"]}
PUSH = {"type": "repository", "name": "team/app", "actions": ["pull", "push"]}


def encode(data):
    return base64.urlsafe_b64encode(data if isinstance(data, bytes) else json.dumps(data).encode()).decode().rstrip("=")


def openssl(*arguments, data=None):
    return subprocess.run(["openssl", *map(str, arguments)], input=data, check=True, capture_output=True).stdout


class Key:
    """A private key, and what is public of it."""

    def __init__(self, path, kind="rsa:2048"):
        self.path, self.kind = path, kind
        options = ["-algorithm", "RSA", "-pkeyopt", f"rsa_keygen_bits:{kind[4:]}"] if kind.startswith("rsa") else ["-algorithm", "EC", "-pkeyopt", f"ec_paramgen_curve:{kind[3:]}"]
        openssl("genpkey", *options, "-out", path)
        self.pem = openssl("pkey", "-in", path, "-pubout")
        self.der = openssl("pkey", "-in", path, "-pubout", "-outform", "DER")

    @property
    def algorithm(self):
        return "RS256" if self.kind.startswith("rsa") else "ES256"

    def certificate(self, name="auth", by=None, ca=True):
        """PEM; signed by itself or by (key, certificate)."""
        extensions = ["-addext", f"basicConstraints=critical,CA:{str(ca).upper()}"]
        if not by:
            return openssl("req", "-x509", "-key", self.path, "-days", "2", "-subj", f"/CN={name}", *extensions)
        request = openssl("req", "-new", "-key", self.path, "-subj", f"/CN={name}", *extensions)
        files = [self.path.with_suffix(s) for s in (".by", ".csr", ".ext")]
        for file, data in zip(files, (by[1], request, f"basicConstraints=critical,CA:{str(ca).upper()}\n".encode())):
            file.write_bytes(data)
        return openssl("x509", "-req", "-in", files[1], "-CA", files[0], "-CAkey", by[0].path, "-set_serial", "7", "-days", "2", "-extfile", files[2])

    def jwk(self, **more):
        if self.algorithm == "ES256":
            point = self.der[-64:]
            return {"kty": "EC", "crv": "P-256", "x": encode(point[:32]), "y": encode(point[32:]), **more}
        modulus = bytes.fromhex(openssl("rsa", "-in", self.path, "-modulus", "-noout").decode().strip().partition("=")[2])
        return {"kty": "RSA", "n": encode(modulus), "e": "AQAB", **more}

    def sign(self, text, der=False):
        signature = openssl("dgst", "-sha256", "-sign", self.path, data=text.encode())
        if self.algorithm == "RS256" or der:
            return signature
        r_size = signature[3]
        r, s = signature[4:4 + r_size], signature[6 + r_size:]
        return b"".join(x.lstrip(b"\0").rjust(32, b"\0") for x in (r, s))

    def token(self, *access, head=None, sign=None, **claims):
        now = int(time.time())
        claims = {"iss": "auth.test", "sub": "alice", "aud": "it", "exp": now + 60, "nbf": now, "iat": now, "access": list(access), **claims}
        head = {"alg": self.algorithm, "typ": "JWT", **(head or {})}
        text = f"{encode(head)}.{encode({k: v for k, v in claims.items() if v is not None})}"
        return f"{text}.{encode((sign or self.sign)(text))}"


@pytest.fixture(scope="module")
def keys(tmp_path_factory):
    where = tmp_path_factory.mktemp("keys")
    return {name: Key(where / name, kind) for name, kind in
            {"rsa": "rsa:2048", "ec": "ec:P-256", "other-rsa": "rsa:2048", "other-ec": "ec:P-256", "small": "rsa:1024", "p384": "ec:P-384"}.items()}


@pytest.fixture
def serve(make, tmp_path):
    """serve(keys file's content, more auth): a registry that takes tokens of auth.test."""
    path = tmp_path / "keys"

    def one(content, **auth):
        path.write_bytes(content if isinstance(content, bytes) else json.dumps({"keys": content}).encode())
        registry = make(auth={"keys": str(path), **REALM, **auth}).start()
        registry.keys = path
        return registry

    return one


def bearer(registry, token):
    return Client(registry.port, {"Authorization": f"Bearer {token}"})


def status(registry, token, path="/v2/team/app/tags/list"):
    """404: he may look, and there is nothing."""
    return bearer(registry, token)("GET", path).status


def x5c(*certificates):
    return [base64.b64encode(openssl("x509", "-outform", "DER", data=c)).decode() for c in certificates]


# ---- what is taken ----

@pytest.mark.parametrize("name", ["rsa", "ec"])
@pytest.mark.parametrize("form", ["jwks", "certificate", "public key", "several"])
def test_keys(serve, keys, name, form):
    key, other = keys[name], keys["ec" if name == "rsa" else "rsa"]
    content = {"jwks": [key.jwk(use="sig", alg=key.algorithm, kid="one")], "certificate": key.certificate(), "public key": key.pem,
               "several": [other.jwk(kid="two"), keys["other-" + name].jwk(), key.jwk()]}[form]
    registry = serve(content)
    assert status(registry, key.token(PULL)) == 404
    assert status(registry, key.token(PULL, head={"kid": "one"})) == 404
    assert status(registry, key.token()) == status(registry, other.token(PULL, head={"alg": key.algorithm})) == 401


def test_the_challenge_and_what_a_token_allows(serve, keys):
    key = keys["rsa"]
    registry = serve([key.jwk()])
    a = registry.client()("GET", "/v2/")
    assert (a.status, a["WWW-Authenticate"]) == (401, 'Bearer realm="https://auth.test/token",service="it"')
    a = registry.client()("POST", "/v2/team/app/blobs/uploads/")
    assert a["WWW-Authenticate"] == 'Bearer realm="https://auth.test/token",service="it",scope="repository:team/app:pull,push"'
    pusher = bearer(registry, key.token(PUSH))
    assert pusher("GET", "/v2/").status == 200
    it = pusher.image("team/app", "x")
    a = pusher("DELETE", f"/v2/team/app/manifests/{it}")
    assert a.status == 401 and 'scope="repository:team/app:delete",error="insufficient_scope"' in a["WWW-Authenticate"]
    reader = bearer(registry, key.token(PULL, sub=""))  # nobody, with what anybody may
    assert reader("GET", "/v2/").status == reader("GET", "/v2/team/app/manifests/x").status == 200
    assert reader("POST", "/v2/team/app/blobs/uploads/").status == 401
    assert bearer(registry, key.token({**PULL, "name": "team"}))("GET", "/v2/team/app/manifests/x").status == 401
    assert bearer(registry, key.token({**PULL, "name": "team/app", "actions": ["*"]}))("DELETE", f"/v2/team/app/manifests/{it}").status == 202
    # a mount wants both
    blob = pusher.push("team/app", b"blob")
    else_ = {"type": "repository", "name": "else", "actions": ["pull", "push"]}
    assert bearer(registry, key.token(else_))("POST", f"/v2/else/blobs/uploads/?mount={blob}&from=team/app").status == 202
    assert bearer(registry, key.token(else_, PULL))("POST", f"/v2/else/blobs/uploads/?mount={blob}&from=team/app").status == 201
    for path in ("/v2/team/app/manifests/x", "/v2/_catalog", "/metrics", "/token"):
        assert registry.client()("GET", path).status == (404 if path == "/token" else 401)
        assert registry.client("alice", "secret")("GET", path).status == (404 if path == "/token" else 401)


def test_catalog_and_metrics(serve, keys):
    key = keys["ec"]
    registry = serve([key.jwk()])
    bearer(registry, key.token(PUSH)).image("team/app", "x")
    a = bearer(registry, key.token(PULL))("GET", "/v2/_catalog")
    assert a.status == 401 and 'scope="registry:catalog:*"' in a["WWW-Authenticate"]
    everything = key.token({"type": "registry", "name": "catalog", "actions": ["*"]})
    assert bearer(registry, everything)("GET", "/v2/_catalog").json() == {"repositories": ["team/app"]}
    assert status(registry, key.token({"type": "registry", "name": "other", "actions": ["*"]}), "/v2/_catalog") == 401
    assert status(registry, key.token(), "/metrics") == 200 and status(registry, key.token(sub=""), "/metrics") == 401


def test_rules_narrow(serve, keys):
    key = keys["rsa"]
    registry = serve([key.jwk()], rules=[{"repositories": ["team/*"], "users": ["alice"], "actions": ["pull"]}])
    assert status(registry, key.token(PUSH)) == 404 and status(registry, key.token(PUSH, sub="bob")) == 401
    assert bearer(registry, key.token(PUSH))("POST", "/v2/team/app/blobs/uploads/").status == 401


def test_a_chain_of_certificates(serve, keys):
    """x5c: whoever an authority of the bundle stands behind may sign; whoever is not, may not."""
    root, between, signer, stranger = keys["p384"], keys["other-rsa"], keys["rsa"], keys["other-ec"]
    root_cert = root.certificate("root")
    between_cert = between.certificate("between", (root, root_cert))
    signer_cert = signer.certificate("signer", (between, between_cert), ca=False)
    registry = serve(root_cert)
    assert status(registry, signer.token(PULL, head={"x5c": x5c(signer_cert, between_cert)})) == 404
    assert status(registry, between.token(PULL, head={"x5c": x5c(between_cert)})) == 404
    refused = [
        signer.token(PULL),
        signer.token(PULL, head={"x5c": []}),
        signer.token(PULL, head={"x5c": x5c(signer_cert)}),  # one is missing
        signer.token(PULL, head={"x5c": x5c(between_cert, signer_cert)}),  # the first has not signed
        stranger.token(PULL, head={"x5c": x5c(stranger.certificate("root"))}),
        stranger.token(PULL, head={"x5c": x5c(stranger.certificate("root"), root_cert)}),
        stranger.token(PULL, head={"x5c": x5c(signer_cert, between_cert)}),
        # a certificate that is no authority's stands behind nobody
        stranger.token(PULL, head={"x5c": x5c(stranger.certificate("x", (signer, signer_cert)), signer_cert, between_cert)}),
        signer.token(PULL, head={"x5c": x5c(signer_cert, between_cert), "alg": "ES256"}),
        signer.token(PULL, head={"x5c": x5c(signer_cert, *[between_cert] * 9)}),
        signer.token(PULL, head={"x5c": ["AAAA"]}),
        signer.token(PULL, head={"x5c": "AAAA"}),
    ]
    for it in refused:
        assert status(registry, it) == 401, it
    # beside keys without certificates there is no authority
    registry.stop()
    assert status(serve([keys["ec"].jwk()]), signer.token(PULL, head={"x5c": x5c(signer_cert, between_cert)})) == 401


# ---- what is not ----

def test_claims(serve, keys):
    key, now = keys["rsa"], int(time.time())
    registry = serve([key.jwk()])
    for good in ({}, {"aud": ["x", "it"]}, {"nbf": None, "iat": None}, {"exp": now - 30}, {"nbf": now + 30}):
        assert status(registry, key.token(PULL, **good)) == 404, good
    for bad in ({"exp": now - 90}, {"exp": None}, {"nbf": now + 90}, {"iss": "x"}, {"iss": None}, {"aud": "x"}, {"aud": None}, {"aud": []}, {"aud": ["x"]},
                {"aud": [5]}, {"exp": "never"}, {"access": 5}, {"access": [{"type": "repository"}]}):
        assert status(registry, key.token(PULL, **bad)) == 401, bad


def test_algorithms_cannot_be_confused(serve, keys):
    """No public key is ever a secret of HMAC, no signature counts for another algorithm, no key comes out of a token."""
    rsa, ec = keys["rsa"], keys["ec"]
    registry = serve([rsa.jwk(kid="rsa"), ec.jwk(kid="ec")])
    modulus = base64.urlsafe_b64decode(rsa.jwk()["n"] + "==")
    forged = [rsa.token(PULL, head={"alg": name}, sign=lambda text: b"") for name in ("none", "None", "", "HS256", "RS256", "ES256")]
    for secret in (b"", rsa.pem, rsa.pem.strip(), rsa.der, modulus, ec.pem, ec.der, ec.der[-65:], (registry.root.parent / "keys").read_bytes()):
        for name in ("HS256", "RS256", "ES256"):
            forged.append(rsa.token(PULL, head={"alg": name, "kid": "rsa"}, sign=lambda text, secret=secret: hmac.new(secret, text.encode(), hashlib.sha256).digest()))
    for key, other in ((rsa, ec), (ec, rsa)):
        forged += [
            key.token(PULL, head={"alg": other.algorithm}),
            key.token(PULL, head={"alg": key.algorithm.lower()}),
            key.token(PULL, head={"alg": key.algorithm.replace("256", "512")}),
            key.token(PULL, head={"alg": None}),
            key.token(PULL, head={"alg": [key.algorithm]}),
            key.token(PULL, head={"kid": other.kind[:3].rstrip(":")}),
            key.token(PULL, head={"crit": ["exp"]}),
            key.token(PULL, head={"crit": ["b64"], "b64": False}),
            key.token(PULL) + "=",
            key.token(PULL) + ".",
            key.token(PULL)[:-6],
            key.token(PULL).replace(".", "..", 1),
        ]
    for name in ("other-rsa", "other-ec"):
        stranger = keys[name]
        forged += [stranger.token(PULL), stranger.token(PULL, head={"jwk": stranger.jwk()}), stranger.token(PULL, head={"kid": "rsa"}),
                   stranger.token(PULL, head={"jku": "http://127.0.0.1:1/"}), stranger.token(PULL, head={"x5c": x5c(stranger.certificate())})]
    forged += [
        ec.token(PULL, sign=lambda text: ec.sign(text, der=True)),
        ec.token(PULL, sign=lambda text: bytes(64)),
        ec.token(PULL, sign=lambda text: bytes(31) + b"\1" + bytes(32)),
        ec.token(PULL, sign=lambda text: ec.sign(text) + b"\0"),
        rsa.token(PULL, sign=lambda text: bytes(256)),
        rsa.token(PULL, sign=lambda text: b"\0" + rsa.sign(text)),
        "", ".", "..", "...", "x" * 20000, "e30.e30.",
    ]
    for it in forged:
        assert status(registry, it) == 401, it
    # a token that is changed anywhere is none
    for key in (rsa, ec):
        good = key.token(PULL, head={"kid": key.kind[:3].rstrip(":")})
        assert status(registry, good) == 404
        for at in range(0, len(good), 7):
            bad = good[:at] + ("A" if good[at] != "A" else "B") + good[at + 1:]
            assert status(registry, bad) == 401, at
    assert status(registry, rsa.token(PULL)) == status(registry, ec.token(PULL)) == 404


def test_no_token_of_our_own(serve, keys, make):
    """A registry with another server's keys neither makes tokens nor takes those that it would have made."""
    registry = serve([keys["rsa"].jwk()])
    assert not (registry.root / "token.key").exists()
    (registry.root / "token.key").write_bytes(bytes(32))
    registry.stop()
    registry.start()
    token = keys["rsa"].token(PULL, head={"alg": "HS256"}, iss="it", sign=lambda text: hmac.new(bytes(32), text.encode(), hashlib.sha256).digest())
    assert status(registry, token) == 401


# ---- configurations ----

@pytest.mark.parametrize("content, why", [
    (lambda k: b"", "no key for RS256"),
    (lambda k: b"nonsense", "no key for RS256"),
    (lambda k: {"keys": []}, "keys"),
    (lambda k: {"keys": [{"kty": "oct", "k": "AAAA"}]}, "no key for RS256"),
    (lambda k: {"keys": [k["small"].jwk()]}, "no key for RS256"),
    (lambda k: {"keys": [k["rsa"].jwk(use="enc")]}, "no key for RS256"),
    (lambda k: {"keys": [k["rsa"].jwk(alg="RS512")]}, "no key for RS256"),
    (lambda k: {"keys": [{**k["ec"].jwk(), "crv": "P-384"}]}, "no key for RS256"),
    (lambda k: {"keys": [{**k["ec"].jwk(), "x": encode(b"\1" * 32)}]}, "no key for RS256"),
    (lambda k: {"keys": [{**k["ec"].jwk(), "x": encode(b"\1" * 31)}]}, "no key for RS256"),
    (lambda k: {"keys": [k["rsa"].jwk(e="")]}, "no key for RS256"),
    (lambda k: {"keys": 5}, "keys"),
    (lambda k: {"key": []}, "keys"),
    (lambda k: k["small"].pem, "no key for RS256"),
    (lambda k: k["p384"].pem, "no key for RS256"),
    (lambda k: k["rsa"].path.read_bytes(), "holds a private key"),
    (lambda k: k["rsa"].certificate() + k["rsa"].path.read_bytes(), "holds a private key"),
    (lambda k: b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "PEM block 1"),
    (lambda k: {"keys": [k["rsa"].jwk()] * 33}, "key 32"),
])
def test_files_that_hold_no_key(make, keys, tmp_path, content, why):
    path, data = tmp_path / "keys", content(keys)
    path.write_bytes(data if isinstance(data, bytes) else json.dumps(data).encode())
    with pytest.raises(AssertionError, match=re.escape(why)) as failed:
        make(auth={"keys": str(path), **REALM}).start()
    assert str(path) in str(failed.value)


@pytest.mark.parametrize("auth, why", [
    ({"realm": None}, "needs auth.realm"),
    ({"issuer": None}, "needs auth.realm"),
    ({"keys": None}, "needs auth.keys"),
    ({"realm": 'https://a/"'}, "auth.realm"),
    ({"realm": "ftp://a/"}, "expected https"),
    ({"service": "a\"b"}, "auth.service"),
    ({"anonymousPull": True}, "the other server decides"),
    ({"token": True, "htpasswd": "/x"}, "the other server decides"),
    ({"keys": "/nowhere"}, "/nowhere"),
])
def test_bad_configurations(make, keys, tmp_path, auth, why):
    (tmp_path / "keys").write_bytes(keys["rsa"].pem)
    options = {"keys": str(tmp_path / "keys"), **REALM, **auth}
    with pytest.raises(AssertionError, match=why):
        make(auth={k: v for k, v in options.items() if v is not None}).start()


def test_keys_are_read_again(serve, keys):
    registry = serve([keys["rsa"].jwk()])
    registry.keys.write_bytes(keys["ec"].pem)
    registry.process.send_signal(1)
    wait_for(lambda: status(registry, keys["ec"].token(PULL)) == 404)
    assert status(registry, keys["rsa"].token(PULL)) == 401
    registry.keys.write_bytes(b"nonsense")
    registry.process.send_signal(1)
    wait_for(lambda: "the old users stay" in registry.log.read_text())
    assert status(registry, keys["ec"].token(PULL)) == 404


# ---- with others ----

def asked(answer):
    """What a challenge asks for; the order of actions says nothing."""
    fields = dict(re.findall(r'(\w+)="([^"]*)"', answer["WWW-Authenticate"]))
    what, _, actions = fields.get("scope", "").rpartition(":")
    return fields["realm"], fields["service"], what, sorted(actions.split(","))


@pytest.mark.skipif(not shutil.which("docker-registry"), reason="no docker-registry")
def test_as_dockers_registry_decides(serve, keys, tmp_path):
    """The same bundle, the same tokens (by x5c, which it wants), the same answers."""
    root, signer, now = keys["other-rsa"], keys["rsa"], int(time.time())
    root_cert = root.certificate("root")
    signer_cert = signer.certificate("signer", (root, root_cert), ca=False)
    ours = serve(root_cert)
    with socket.create_server(("127.0.0.1", 0)) as s:
        port = s.getsockname()[1]
    config = tmp_path / "registry.yml"
    config.write_text(f"version: 0.1\nlog:\n  level: error\nstorage:\n  filesystem:\n    rootdirectory: {tmp_path}/docker\nhttp:\n  addr: 127.0.0.1:{port}\nauth:\n  token:\n"
                      f"    realm: {REALM['realm']}\n    service: it\n    issuer: auth.test\n    rootcertbundle: {ours.keys}\n")
    with open(tmp_path / "docker.log", "wb") as log, subprocess.Popen(["docker-registry", "serve", config], stdout=log, stderr=log) as theirs:
        try:
            def up():
                assert theirs.poll() is None, (tmp_path / "docker.log").read_text()
                try:
                    return socket.create_connection(("127.0.0.1", port), 1).close() is None
                except OSError:
                    return False
            wait_for(up)
            chain = {"x5c": x5c(signer_cert)}
            tokens = [signer.token(*access, head=chain, **claims) for access, claims in [
                ((PULL,), {}), ((PUSH,), {}), ((), {}), ((PULL,), {"sub": ""}), ((PULL,), {"iss": "x"}), ((PULL,), {"aud": "x"}),
                ((PULL,), {"exp": now - 3600}), ((PULL,), {"nbf": now + 3600}), (({**PULL, "name": "else"},), {}), (({**PULL, "actions": []},), {})]]
            tokens.append(keys["ec"].token(PULL, head={"x5c": x5c(keys["ec"].certificate())}))
            for token in tokens:
                for method, path in (("GET", "/v2/"), ("GET", "/v2/team/app/tags/list"), ("POST", "/v2/team/app/blobs/uploads/"), ("GET", "/v2/_catalog")):
                    answers = [Client(p, {"Authorization": f"Bearer {token}"})(method, path) for p in (ours.port, port)]
                    assert answers[0].status == answers[1].status, (base64.urlsafe_b64decode(token.split(".")[1] + "=="), method, path, answers[1].body)
                    if answers[0].status == 401:
                        assert asked(answers[0]) == asked(answers[1])
        finally:
            theirs.terminate()


class TokenServer(http.server.BaseHTTPRequestHandler):
    def do_GET(self):  # pylint: disable=invalid-name
        query = urllib.parse.parse_qs(urllib.parse.urlsplit(self.path).query)
        known = self.headers.get("Authorization") == basic("alice", "secret")["Authorization"]
        access = [{"type": t, "name": n, "actions": [x for x in a.split(",") if known or x == "pull"]} for t, n, a in
                  (scope.split(":") for scope in query.get("scope", []))]
        body = json.dumps({"token": self.server.key.token(*access, sub="alice" if known else "", aud=query["service"][0]), "expires_in": 60}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format, *args):  # pylint: disable=redefined-builtin
        pass


def test_push_and_pull_by_a_token_server(serve, keys, tmp_path):
    skep = WORKER.parent / "skep"
    if not skep.exists():
        pytest.skip("skep was not built")
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), TokenServer)
    server.key = keys["ec"]
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        registry = serve(keys["ec"].certificate(), realm=f"http://127.0.0.1:{server.server_port}/token")
        name = f"127.0.0.1:{registry.port}/team/app:1"

        def run(*arguments, status=0, **more):
            line = [skep, "--root", tmp_path / "images", "--run-root", tmp_path / "run", "--config", tmp_path / "docker", *arguments]
            done = subprocess.run(line, capture_output=True, check=False, timeout=60, env={"HOME": str(tmp_path), "PATH": "/usr/bin:/bin"}, **more)
            assert done.returncode == status, done.stderr
            return done.stdout.decode()
        archive = tmp_path / "x.tar"
        subprocess.run(["tar", "-cf", archive, "-C", tmp_path, "keys"], check=True)
        run("import", archive, name)
        run("push", "-q", "--tuning", "attempts=1", name, status=1)
        run("login", "-u", "alice", "--password-stdin", f"127.0.0.1:{registry.port}", input=b"secret")
        run("push", "-q", name)
        run("logout", f"127.0.0.1:{registry.port}")
        run("rmi", name)
        assert run("pull", "-q", name) == name + "\n"
    finally:
        server.shutdown()
        server.server_close()
