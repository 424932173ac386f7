"""Fixtures: the engines in a world of their own, installed with apt if the machine lacks them."""
import os
import signal
import subprocess

import pytest

import image
import packages
import world
from daemons import RUNTIME, Containerd, Docker, Podman, RootlessPodman
from engine import DEADLINE

DATA = None


def pytest_configure(config):
    global DATA # pylint: disable=global-statement
    if not os.access(RUNTIME, os.X_OK):
        pytest.exit(f"1 failed: no runtime at {RUNTIME}: run ./dev build, or name one in RUNTIME", returncode=1)
    if os.geteuid():
        pytest.exit("1 failed: the tests with engines need root", returncode=1)
    packages.install(packages.PACKAGES)
    packages.install(packages.CLIENT)
    DATA = world.enter()
    os.chmod(DATA, 0o755)
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    image.archive(f"{DATA}/image.tar")


def wants(*paths):
    for path in paths:
        if not os.path.exists(path):
            pytest.skip(f"{packages.PACKAGES[path]} is not installed and cannot be")


@pytest.fixture(scope="session")
def docker_daemon():
    wants("/usr/sbin/dockerd", "/usr/bin/containerd", "/usr/sbin/iptables")
    engine = Docker(DATA)
    engine("load", "-i", f"{DATA}/image.tar").ok()
    yield engine
    engine.stop()


@pytest.fixture(scope="session")
def podman_store():
    wants("/usr/bin/podman", "/usr/bin/conmon")
    return store(Podman(DATA))


@pytest.fixture(scope="session")
def podman_named_store():
    wants("/usr/bin/podman", "/usr/bin/conmon")
    return store(Podman(DATA, named=True))


@pytest.fixture(scope="session")
def podman_rootless_store():
    wants("/usr/bin/podman", "/usr/bin/conmon", "/usr/bin/newuidmap")
    return store(RootlessPodman(DATA))


def store(engine):
    engine("load", "-i", f"{DATA}/image.tar").ok()
    return engine


@pytest.fixture
def docker(docker_daemon):
    yield docker_daemon
    docker_daemon.clean()


@pytest.fixture
def podman(podman_store):
    yield podman_store
    podman_store.clean()


@pytest.fixture
def named(podman_named_store):
    yield podman_named_store
    podman_named_store.clean()


@pytest.fixture
def rootless(podman_rootless_store):
    yield podman_rootless_store
    podman_rootless_store.clean()


@pytest.fixture(params=["docker", "podman"])
def engine(request):
    return request.getfixturevalue(request.param)


@pytest.fixture(scope="session")
def containerd_daemon():
    wants("/usr/bin/containerd")
    engine = Containerd(DATA)
    engine("images", "import", f"{DATA}/image.tar").ok()
    yield engine
    engine.stop()


@pytest.fixture
def containerd(containerd_daemon):
    yield containerd_daemon
    containerd_daemon.clean()


@pytest.fixture(autouse=True)
def watchdog():
    """No test hangs: one that has not ended after three deadlines fails where it stands."""
    def bark(_signal, _frame):
        raise TimeoutError(f"the test took more than {3 * DEADLINE} s")

    signal.signal(signal.SIGALRM, bark)
    signal.alarm(3 * DEADLINE)
    yield
    signal.alarm(0)
