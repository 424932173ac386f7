"""skep-transfer behind proxies, and what is shown to whom: credentials, certificates, authorities."""
import base64
import os
import shutil
import socket
import tempfile

import pytest
from certificates import Authority, text_of
from proxy_double import Proxy
from registry_double import Registry, digest_of
from transferring import PROGRAM, Failed, File, Worker

if not os.access(PROGRAM, os.X_OK):
    pytest.skip(f"no {PROGRAM}", allow_module_level=True)

MANIFEST = b'{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","layers":[]}'
BLOB = bytes(range(256)) * 5000
# names that lead nowhere but through a proxy; addresses of this machine are never asked through one
HOST, OTHER = "registry.test", "other.test"


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    made = Authority(tmp_path_factory.mktemp("ca"))
    made.server = made.issue("server", f"DNS:{HOST}", f"DNS:{OTHER}", "IP:127.0.0.1")
    made.client = made.issue("client")
    return made


@pytest.fixture
def machines(authority):
    """The authority in a file that nobody, which the worker is, may read."""
    with tempfile.TemporaryDirectory() as where:
        os.chmod(where, 0o755)
        yield shutil.copy(authority.ca, where)


class World:
    """Registries behind names, a proxy that knows them, workers that know the proxy."""

    def __init__(self):
        self.made, self.hosts = [], {}

    def keep(self, thing):
        self.made.append(thing)
        return thing

    def registry(self, name=HOST, **options):
        made = self.keep(Registry(**options))
        self.hosts[f"{name}:{made.port}"] = ("127.0.0.1", made.port)
        made.url = made.url.replace("127.0.0.1", name)
        made.add_manifest(MANIFEST, "v1")
        made.add_blob(BLOB)
        return made

    def proxy(self, **options):
        return self.keep(Proxy(self.hosts, **options))

    def worker(self, **env):
        return self.keep(Worker(env=env))


@pytest.fixture
def world():
    made = World()
    yield made
    for thing in reversed(made.made):
        thing.close()


def get(worker, registry, reference="v1", **endpoint):
    body = File()
    worker.call("manifest-get", {"body": body}, endpoints=[{"url": registry.url, **endpoint}], repository="x/y", reference=reference)
    return body.read()


def failing(worker, registry, **endpoint):
    with pytest.raises(Failed) as failed:
        get(worker, registry, **endpoint)
    message = failed.value.event["message"]
    assert "\n" not in message
    return message


def basic(text):
    return "Basic " + base64.b64encode(text.encode()).decode()


# ---- which one ----

def test_a_tunnel_for_https(world, authority):
    registry, proxy = world.registry(tls=authority.server), world.proxy()
    worker = world.worker(HTTPS_PROXY=proxy.url)
    registry.users = {"u": "p"}
    endpoint = {"url": registry.url, "ca": text_of(authority.ca), "username": "u", "password": "p"}
    assert get(worker, registry, **endpoint) == MANIFEST
    body = File()
    worker.call("blob-get", {"body": body}, endpoints=[endpoint], repository="x/y", digest=digest_of(BLOB), size=len(BLOB))
    assert body.read() == BLOB
    assert set(proxy.seen()) == {f"CONNECT {HOST}:{registry.port}"}
    assert not [headers for _, _, headers in proxy.requests if "authorization" in headers or "proxy-authorization" in headers]
    assert basic("u:p") in registry.headers("Authorization")


def test_plain_requests(world):
    registry, proxy = world.registry(), world.proxy()
    worker = world.worker(HTTP_PROXY=proxy.url)
    assert get(worker, registry) == MANIFEST
    assert proxy.seen() == [f"GET http://{HOST}:{registry.port}/v2/x/y/manifests/v1"]
    body = File()
    where = [{"url": registry.url}]
    worker.call("blob-put", {"input": File(b"new")}, endpoints=where, repository="x/y", digest=digest_of(b"new"), size=3)
    worker.call("blob-get", {"body": body}, endpoints=where, repository="x/y", digest=digest_of(b"new"), size=3)
    assert body.read() == b"new"


@pytest.mark.parametrize("name", ["http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"])
def test_variables(world, name):
    registry, proxy = world.registry(), world.proxy()
    assert get(world.worker(**{name: proxy.host}), registry) == MANIFEST
    assert len(proxy.requests) == 1


def test_one_variable_for_each_scheme(world, authority):
    plain, secure = world.registry(), world.registry(OTHER, tls=authority.server)
    one, two, spare = world.proxy(), world.proxy(), world.proxy()
    worker = world.worker(http_proxy=one.url, HTTPS_PROXY=two.url, ALL_PROXY=spare.url)
    get(worker, plain)
    get(worker, secure, ca=text_of(authority.ca))
    assert len(one.requests) == 1 and two.seen() == [f"CONNECT {OTHER}:{secure.port}"] and not spare.requests


def test_socks(world, authority):
    registry, proxy = world.registry(tls=authority.server), world.proxy(socks=True)
    assert get(world.worker(ALL_PROXY=proxy.url), registry, ca=text_of(authority.ca)) == MANIFEST
    assert proxy.seen() == [f"SOCKS {HOST}:{registry.port}"]


@pytest.mark.parametrize("name", ["NO_PROXY", "no_proxy"])
def test_what_goes_without(world, name):
    registry, other, proxy = world.registry(), world.registry(OTHER), world.proxy()
    worker = world.worker(HTTP_PROXY=proxy.url, **{name: f"10.0.0.0/8, {HOST}:{registry.port}"})
    assert "resolve" in failing(worker, registry) and not proxy.requests
    assert get(worker, other) == MANIFEST and len(proxy.requests) == 1


def test_this_machine_is_asked_without(world):
    registry, proxy = world.registry(), world.proxy()
    registry.url = registry.url.replace(HOST, "127.0.0.1")
    assert get(world.worker(HTTP_PROXY=proxy.url, ALL_PROXY=proxy.url), registry) == MANIFEST
    assert not proxy.requests


def test_redirects_choose_again(world, authority):
    registry, other, proxy = world.registry(), world.registry(OTHER, tls=authority.server), world.proxy()
    registry.redirect_blobs = other.url
    worker, body = world.worker(HTTP_PROXY=proxy.url, HTTPS_PROXY=proxy.url), File()
    endpoint = {"url": registry.url, "ca": text_of(authority.ca)}
    worker.call("blob-get", {"body": body}, endpoints=[endpoint], repository="x/y", digest=digest_of(BLOB), size=len(BLOB))
    assert body.read() == BLOB
    assert proxy.seen()[-1] == f"CONNECT {OTHER}:{other.port}" and len(proxy.requests) == 2


# ---- credentials ----

def test_the_proxys_own_credentials(world, authority):
    plain, secure, proxy = world.registry(), world.registry(OTHER, tls=authority.server), world.proxy()
    proxy.users = ["me:s@cret"]
    own = proxy.url.replace("://", "://me:s%40cret@")
    worker = world.worker(HTTP_PROXY=own, HTTPS_PROXY=own)
    get(worker, plain)
    get(worker, secure, ca=text_of(authority.ca))
    assert [headers["proxy-authorization"] for _, _, headers in proxy.requests] == [basic("me:s@cret")] * 2
    assert not plain.headers("Proxy-Authorization") and not secure.headers("Proxy-Authorization")


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_proxy_that_wants_others(world, authority, scheme):
    registry, proxy = world.registry(tls=authority.server if scheme == "https" else None), world.proxy()
    proxy.users = ["me:secret"]
    wrong = proxy.url.replace("://", "://me:wr0ng@")
    message = failing(world.worker(HTTP_PROXY=wrong, HTTPS_PROXY=wrong), registry)
    assert f"the proxy {proxy.url} wants other credentials (407)" in message and "wr0ng" not in message
    assert len(proxy.requests) == 1, "it will not be right another time"


def test_no_credential_in_clear_to_a_proxy(world):
    registry, proxy = world.registry(), world.proxy()
    registry.users = {"u": "p"}
    worker = world.worker(HTTP_PROXY=proxy.url)
    message = failing(worker, registry, username="u", password="p")
    assert f"refused to send a credential in clear to the proxy {proxy.url}" in message and "NO_PROXY" in message
    assert "refused to send a credential" in failing(worker, registry, bearerToken="t")
    assert not [headers for _, _, headers in proxy.requests if "authorization" in headers]


def test_tokens_of_nobody_may_pass_and_those_of_somebody_not(world):
    registry, issuer, proxy = world.registry(), world.registry(OTHER), world.proxy()
    registry.users, registry.realm = {"u": "p"}, issuer.url + "/token"
    issuer.on("/token", *[lambda h: issuer.give_token(h, registry)] * 9)
    assert get(world.worker(HTTP_PROXY=proxy.url), registry) == MANIFEST
    asked = issuer.count("/token")
    worker = world.worker(HTTP_PROXY=proxy.url)
    assert "refused to send a credential" in failing(worker, registry, username="u", password="p")
    assert "refused to send a credential" in failing(worker, registry, identityToken="t")
    assert issuer.count("/token") == asked


def test_an_identity_token_is_not_sent_on(world):
    registry, issuer = world.registry(), world.registry(OTHER)
    for made in (registry, issuer):
        made.url = f"http://127.0.0.1:{made.port}"
    registry.users, registry.realm = {"u": "p"}, registry.url + "/token"
    registry.on("POST /token", lambda h: h.body() and h.answer(307, Location=issuer.url + "/token") or True)
    assert "refused to send a credential on" in failing(world.worker(), registry, identityToken="t")
    assert not issuer.requests


# ---- failures ----

@pytest.mark.parametrize("status, tries", [(403, 1), (502, 4)])
def test_a_proxy_that_makes_no_tunnel(world, authority, status, tries):
    registry, proxy = world.registry(tls=authority.server), world.proxy()
    proxy.answer = status
    assert f"the proxy {proxy.url} refused the connection: it answered {status}" in failing(world.worker(HTTPS_PROXY=proxy.url), registry)
    assert len(proxy.requests) == tries


def test_a_proxy_that_is_not_there(world):
    with socket.create_server(("127.0.0.1", 0)) as s:
        host = "127.0.0.1:%d" % s.getsockname()[1]
    message = failing(world.worker(ALL_PROXY=f"http://u:pa55@{host}"), world.registry())
    assert f"through the proxy http://{host}: Failed to connect" in message and "pa55" not in message


@pytest.mark.parametrize("value", ["ftp://u:pa55@127.0.0.1:1", "http://", "http://u:pa55@[::1", "http://127.0.0.1:1/path", "127.0.0.1:99999"])
def test_what_is_no_proxy(world, value):
    message = failing(world.worker(HTTP_PROXY=value), world.registry())
    assert "HTTP_PROXY in the environment is no proxy" in message and "pa55" not in message


# ---- TLS ----

def test_a_proxy_with_tls(world, authority, machines):
    registry, proxy = world.registry(tls=authority.server), world.proxy(tls=authority.server)
    message = failing(world.worker(HTTPS_PROXY=proxy.url), registry, insecure=True, ca=text_of(authority.ca))
    assert f"the proxy {proxy.url}: SSL certificate problem" in message and not proxy.requests, "what holds for the registry is not for the proxy"
    worker = world.worker(HTTPS_PROXY=proxy.url, SSL_CERT_FILE=machines)
    assert get(worker, registry) == MANIFEST and len(proxy.requests) == 1


def test_authorities_of_a_registry_come_beside_the_machines(world, authority, machines, tmp_path):
    another = Authority(tmp_path, "another")
    first = world.registry(tls=authority.server)
    second = world.registry(OTHER, tls=another.issue("server", "IP:127.0.0.1"))
    for made in (first, second):
        made.url = f"https://127.0.0.1:{made.port}"
    worker = world.worker(SSL_CERT_FILE=machines)
    assert "SSL certificate problem" in failing(worker, second)
    assert get(worker, first, ca=text_of(another.ca)) == MANIFEST
    assert get(worker, second, ca=text_of(another.ca)) == MANIFEST
    assert "SSL certificate problem" in failing(worker, second), "they are that registry's, not the worker's"


def test_a_client_certificate(world, authority):
    """For the registry that it was given for; not for where it redirects to, nor the token server, nor the proxy."""
    registry = world.registry(tls=authority.server, client_ca=authority.ca)
    other, proxy = world.registry(OTHER, tls=authority.server), world.proxy()
    ca, (cert, key) = text_of(authority.ca), map(text_of, authority.client)
    worker = world.worker(HTTPS_PROXY=proxy.url)
    failing(worker, registry, ca=ca)  # the alert that says why may be lost with the connection
    assert not registry.requests
    own = {"ca": ca, "cert": cert, "key": key}
    assert get(worker, registry, **own) == MANIFEST
    assert registry.certificates[-1]["subject"] == ((("commonName", "client"),),)
    registry.redirect_blobs = other.url
    worker.call("blob-get", {"body": File()}, endpoints=[{"url": registry.url, **own}], repository="x/y", digest=digest_of(BLOB), size=len(BLOB))
    registry.users, registry.realm = {"u": "p"}, other.url + "/token"
    other.on("/token", lambda h: other.give_token(h, registry))
    assert get(worker, registry, username="u", password="p", **own) == MANIFEST
    assert other.count("/cdn") == other.count("/token") == 1 and not any(other.certificates)


def test_a_client_certificate_is_asked_for_only_where_it_is_shown(world, authority):
    """A host that asks everybody for a certificate gets none but from who has one for it."""
    registry = world.registry(tls=authority.server)
    other = world.registry(OTHER, tls=authority.server, client_ca=authority.ca)
    proxy = world.proxy()
    registry.redirect_blobs = other.url
    own = {"ca": text_of(authority.ca), "cert": text_of(authority.client[0]), "key": text_of(authority.client[1])}
    with pytest.raises(Failed):
        world.worker(HTTPS_PROXY=proxy.url).call("blob-get", {"body": File()}, endpoints=[{"url": registry.url, **own}], repository="x/y",
                                                 digest=digest_of(BLOB), size=len(BLOB))
    assert not other.requests


@pytest.mark.parametrize("spoil, words", [({"ca": "nonsense"}, "CA certificate"), ({"key": "nonsense"}, "private key"), ({"cert": "nonsense"}, "client certificate")])
def test_certificates_that_are_none(world, authority, spoil, words):
    registry = world.registry(tls=authority.server, client_ca=authority.ca)
    registry.url = f"https://127.0.0.1:{registry.port}"
    own = {"ca": text_of(authority.ca), "cert": text_of(authority.client[0]), "key": text_of(authority.client[1]), **spoil}
    message = failing(world.worker(), registry, **own)
    assert words in message and "nonsense" not in message
