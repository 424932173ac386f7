"""Fixtures: a server for each test, and the proof at its end that it stops by itself with nothing open."""
import os
import signal
import subprocess

import pytest

from http_server import DEADLINE, SERVER, Server


def pytest_configure(config):
    if not os.access(SERVER, os.X_OK):
        pytest.exit(f"1 failed: no {SERVER}: run ./dev build", returncode=1)


@pytest.fixture(autouse=True)
def watchdog():
    """No test hangs."""
    def bark(_signal, _frame):
        raise TimeoutError(f"the test took more than {3 * DEADLINE} s")

    signal.signal(signal.SIGALRM, bark)
    signal.alarm(3 * DEADLINE)
    yield
    signal.alarm(0)


@pytest.fixture
def start(tmp_path):
    """start(option…): a server; all of them are stopped, gracefully, at the end."""
    servers = []

    def one(*options, **more):
        servers.append(Server(tmp_path, *options, **more))
        return servers[-1]

    yield one
    for server in servers:
        server.stop()


@pytest.fixture
def server(start):
    return start()


def openssl(where, *args):
    subprocess.run(["openssl", *args], cwd=where, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


@pytest.fixture(scope="session")
def keys(tmp_path_factory):
    """A folder: ca.pem; server.pem and .key; client.pem and .key of the same CA; stranger.pem and .key of another."""
    where = tmp_path_factory.mktemp("keys")
    new = ["req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    openssl(where, *new, "-x509", "-keyout", "ca.key", "-out", "ca.pem", "-subj", "/CN=test CA", "-days", "2")
    openssl(where, *new, "-x509", "-keyout", "stranger.key", "-out", "stranger.pem", "-subj", "/CN=stranger", "-days", "2")
    (where / "ext").write_text("subjectAltName=DNS:localhost,IP:127.0.0.1\n")
    for name in "server", "client":
        openssl(where, *new, "-keyout", f"{name}.key", "-out", f"{name}.csr", "-subj", f"/CN={name} one")
        openssl(where, "x509", "-req", "-in", f"{name}.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-out", f"{name}.pem", "-days", "2",
                "-extfile", "ext")
    return where


@pytest.fixture(params=["http1", "h2c", "https1", "h2"])
def any_server(request, start, keys):
    """The same by each protocol; .curl speaks it."""
    tls = request.param in ("https1", "h2")
    options = [f"cert={keys}/server.pem", f"key={keys}/server.key"] if tls else []
    flags = {"http1": ["--http1.1"], "h2c": ["--http2-prior-knowledge"], "https1": ["--http1.1"], "h2": ["--http2"]}[request.param]
    return start(*options, tls=tls, flags=flags + (["--cacert", f"{keys}/ca.pem"] if tls else []), protocol=request.param)
