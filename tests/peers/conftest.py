"""Fixtures: a store with all images, registries, and the peers, in a world of their own (tests/engines/world.py)."""
import os
import pathlib
import signal
import subprocess
import sys

import pytest

TESTS = pathlib.Path(__file__).resolve().parents[1]
sys.path[:0] = [str(TESTS / "engines"), str(TESTS / "e2e")]

# pylint: disable=wrong-import-position
import packages
import programs
import registries
import samples
import world

DISK = None


def pytest_configure(config):
    config.addinivalue_line("markers", "large: what takes long and shows little more; ./dev check leaves it out")
    if not os.access(programs.SKEP, os.X_OK):
        pytest.exit(f"1 failed: no skep at {programs.SKEP}: run ./dev build, or name one in SKEP", returncode=1)
    if os.geteuid():
        pytest.exit("1 failed: the tests with peers need root", returncode=1)
    if not programs.TREE:
        packages.install(programs.PACKAGES)
        packages.install(packages.CLIENT)
    samples.prepare()
    set_up()


def set_up():
    """What is stored lies on an ext4 in memory: a tmpfs has no files that EROFS can use, and a disk is slow."""
    global DISK # pylint: disable=global-statement
    data = world.enter()
    DISK = f"{data}/disk"
    os.mkdir(DISK)
    with open(f"{data}/disk.img", "wb") as f:
        f.truncate(64 << 30)
    subprocess.run(["/usr/sbin/mkfs.ext4", "-q", "-O", "^has_journal", "-E", "nodiscard,lazy_itable_init=1", "-N", "2000000", f"{data}/disk.img"], check=True)
    subprocess.run(["mount", "-o", "loop", f"{data}/disk.img", DISK], check=True)
    for name in [name for name in os.environ if name.lower().endswith("_proxy")]:
        del os.environ[name] # there is no network but the loopback
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    subprocess.run(["ip", "address", "add", "10.99.0.1/32", "dev", "lo"], check=True) # docker believes everything at 127.0.0.0/8
    programs.write("/etc/containers/policy.json", '{"default": [{"type": "insecureAcceptAnything"}]}\n')
    with open("/etc/hosts", encoding="utf-8") as f:
        programs.write(f"{data}/hosts", f"10.99.0.1 registry.test\n{f.read()}")
    world.mount(f"{data}/hosts", "/etc/hosts", flags=world.BIND)
    if programs.TREE:
        programs.enter_tree(DISK)


def wants(*paths):
    for path in paths:
        if not os.path.exists((programs.TREE or "") + path):
            pytest.skip(f"{programs.PACKAGES[path]} is not installed and cannot be")


@pytest.fixture(autouse=True)
def watchdog():
    """No test hangs."""
    def bark(_signal, _frame):
        raise TimeoutError(f"the test took more than {2 * programs.LONG} s")

    signal.signal(signal.SIGALRM, bark)
    signal.alarm(2 * programs.LONG)
    yield
    signal.alarm(0)


class Library(programs.Skep):
    """The store with the images in it, each made when a test wants it; and what they show."""

    def __init__(self, top):
        super().__init__(top)
        self.made, self.views = set(), {}

    def reference(self, name):
        if name not in self.made:
            samples.add(self, name, pathlib.Path(self.top, "making"))
            self.made.add(name)
        return samples.REFERENCES[name]

    def view(self, name):
        """Mounted by the kernel, from the tars."""
        if name not in self.views:
            self.views[name] = self.shown(self.reference(name))
        return self.views[name]

    def zstd(self, name):
        return any(layer["mediaType"].endswith("+zstd") for layer in self.manifest(self.reference(name))["layers"])


@pytest.fixture(scope="session")
def library():
    return Library(f"{DISK}/skep")


@pytest.fixture(scope="session")
def served():
    """Registries by their kind."""
    made = {}
    yield made
    for registry in made.values():
        registry.stop()


@pytest.fixture(params=["http", "basic", "token"])
def registry(request, served):
    if request.param not in served:
        served[request.param] = registries.Registry(DISK, request.param)
    return served[request.param]


@pytest.fixture(params=["skep", *registries.CLIENTS])
def client(request, library, registry):
    made = registries.SkepClient(library) if request.param == "skep" else registries.CLIENTS[request.param](request.getfixturevalue(request.param), library)
    if registry.tls:
        made.login(registry).ok()
    yield made
    if registry.tls:
        made.logout(registry)


@pytest.fixture
def scratch():
    """A directory on the disk, gone afterwards."""
    path = pathlib.Path(DISK, "scratch")
    path.mkdir()
    yield path
    subprocess.run(["rm", "-rf", path], check=True)


@pytest.fixture(scope="session")
def skopeo():
    wants("/usr/bin/skopeo")
    return programs.Skopeo()


@pytest.fixture(scope="session")
def umoci():
    wants("/usr/bin/umoci")
    return programs.Peer("/usr/bin/umoci")


@pytest.fixture(scope="session")
def podman():
    wants("/usr/bin/podman", "/usr/bin/conmon")
    return programs.Podman(DISK)


@pytest.fixture(scope="session")
def docker():
    wants("/usr/bin/docker", "/usr/sbin/dockerd", "/usr/bin/containerd", "/usr/sbin/iptables")
    engine = programs.Docker(DISK)
    yield engine
    engine.stop()


@pytest.fixture
def snapshotter(docker):
    """A dockerd that keeps images as containerd does, which newer ones can."""
    if docker.version < (25, 0):
        pytest.skip(f"docker {'.'.join(map(str, docker.version))} keeps no images as containerd does")
    engine = programs.Docker(DISK, snapshotter=True)
    yield engine
    engine.stop()


@pytest.fixture(scope="session")
def containerd():
    wants("/usr/bin/containerd")
    engine = programs.Containerd(DISK)
    yield engine
    engine.stop()
