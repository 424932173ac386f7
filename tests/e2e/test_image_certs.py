"""Registries with certificates of their own: certs.d, where docker's and podman's users put authorities and client certificates."""
import os
import shutil
import subprocess

import pytest
from certificates import Authority
from images import SKEP, Skep, tar_of
from proxy_double import Proxy

pytestmark = pytest.mark.skipif(not os.path.exists(SKEP), reason=f"no {SKEP}")


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    made = Authority(tmp_path_factory.mktemp("ca"))
    made.server = made.issue("server", "DNS:registry.test", "IP:127.0.0.1")
    made.client = made.issue("client")
    return made


class Served:
    """`skep registry serve` with TLS, for clients with a certificate of the authority."""

    def __init__(self, top, authority):
        command = [SKEP, "registry", "serve", "--root", os.path.join(top, "registry"), "--listen", "127.0.0.1:0", "--tls-cert", authority.server[0],
                   "--tls-key", authority.server[1], "--tls-client-ca", authority.ca, "--tls-client-required"]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        line = self.process.stdout.readline().decode()
        self.port = int(line.partition("(port ")[2].partition(")")[0])
        self.host = f"127.0.0.1:{self.port}"

    def close(self):
        self.process.terminate()
        self.process.stdout.close()
        assert self.process.wait(30) == 0


@pytest.fixture
def registry(tmp_path, authority):
    made = Served(str(tmp_path), authority)
    yield made
    made.close()


@pytest.fixture
def skep(tmp_path):
    made = Skep(str(tmp_path))
    yield made
    made.close()


def put(directory, **files):
    os.makedirs(directory, exist_ok=True)
    for name, source in files.items():
        shutil.copy(source, os.path.join(directory, name.replace("_", ".")))


def make_image(skep, name):
    skep.run("import", "-", name, stdin=tar_of({"etc/motd": b"hello\n"}))


@pytest.mark.parametrize("place", [".config/containers/certs.d", ".config/docker/certs.d"])
def test_certs_d_of_a_user(skep, registry, authority, tmp_path, place):
    name, certs = f"{registry.host}/team/x:1", os.path.join(skep.top, place, registry.host)
    make_image(skep, name)
    put(certs, ca_crt=authority.ca)
    assert registry.host in skep.fails("push", "-q", "--tuning", "attempts=1", name)
    put(certs, client_cert=authority.client[0])
    assert f"missing key {certs}/client.key for client certificate" in skep.fails("push", "-q", name)
    put(certs, client_key=authority.client[1])
    skep.run("push", "-q", name)
    skep.run("rmi", name)
    assert skep.run("pull", "-q", name) == name + "\n"
    os.unlink(os.path.join(certs, "client.cert"))
    assert f"missing client certificate {certs}/client.cert for key" in skep.fails("pull", name)


@pytest.mark.parametrize("place", ["/etc/containers/certs.d", "/etc/docker/certs.d"])
def test_certs_d_of_the_machine(skep, registry, authority, tmp_path, place):
    """In a mount namespace of its own, so that /etc stays as it is."""
    name = f"{registry.host}/team/x:1"
    make_image(skep, name)
    put(tmp_path / "certs" / registry.host, ca_crt=authority.ca, client_cert=authority.client[0], client_key=authority.client[1])
    etc = tmp_path / "etc"
    etc.mkdir()
    script = f"""set -e
mount -t overlay -o lowerdir=/etc,upperdir={etc}/upper,workdir={etc}/work overlay /etc 2>/dev/null || {{ cp -a /etc {etc}/copy; mount --bind {etc}/copy /etc; }}
mkdir -p {place}
cp -r {tmp_path}/certs/* {place}
exec "$@" """
    for part in ("upper", "work"):
        (etc / part).mkdir()
    command = ["unshare", "-m", "sh", "-c", script, "sh", *skep.command("push", "-q", name)]
    done = subprocess.run(command, env=skep.env, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr


def test_an_authority_for_this_machine_is_asked(skep, registry, authority, tmp_path):
    """Without one 127.0.0.1 may be what it likes, even without TLS; who names one wants to know."""
    another = Authority(tmp_path, "another")
    name, certs = f"{registry.host}/team/x:1", os.path.join(skep.top, ".config/containers/certs.d", registry.host)
    put(certs, ca_crt=another.ca, client_cert=authority.client[0], client_key=authority.client[1])
    assert "certificate problem" in skep.fails("pull", name)
    put(certs, ca_crt=authority.ca)
    assert "MANIFEST_UNKNOWN" in skep.fails("pull", name)


def test_through_a_proxy(skep, registry, authority, tmp_path):
    """By a name that only the proxy knows, with all there is: own authority, client certificate, login."""
    proxy = Proxy({f"registry.test:{registry.port}": ("127.0.0.1", registry.port)})
    try:
        name = f"registry.test:{registry.port}/team/x:1"
        skep.env["HTTPS_PROXY"] = proxy.host
        put(os.path.join(skep.top, ".config/containers/certs.d", f"registry.test:{registry.port}"), ca_crt=authority.ca,
            client_cert=authority.client[0], client_key=authority.client[1])
        make_image(skep, name)
        skep.run("push", "-q", name)
        skep.run("rmi", name)
        skep.run("pull", "-q", name)
        assert set(proxy.seen()) == {f"CONNECT registry.test:{registry.port}"}
        skep.env["NO_PROXY"] = "registry.test"
        assert "resolve" in skep.fails("pull", "--tuning", "attempts=1", name)
    finally:
        proxy.close()
