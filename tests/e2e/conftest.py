"""Fixtures: containers that are unique to a test, and the proof after it that nothing of them is left."""
import ctypes
import os
import shutil
import signal
import subprocess
import tempfile

import pytest

import cgroups
import netns
from container import DEADLINE, HERE, RUNTIME, Container, Runtime


def pytest_configure(config):
    if not os.access(RUNTIME, os.X_OK):
        pytest.exit(f"1 failed: no runtime at {RUNTIME}: run ./dev build, or name one in RUNTIME", returncode=1)
    if os.geteuid():
        pytest.exit("1 failed: the end-to-end tests need root", returncode=1)
    netns.enter()
    reap_orphans()


def reap_orphans():
    """Goes on in a child process. The parent adopts every init and reaps it at once, as a container manager does, whatever
    pid 1 of this machine is; and passes on how the tests ended."""
    libc = ctypes.CDLL(None)
    assert libc.prctl(36, 1, 0, 0, 0) == 0, "PR_SET_CHILD_SUBREAPER"
    child = os.fork()
    if not child:
        libc.prctl(1, signal.SIGTERM, 0, 0, 0)  # PR_SET_PDEATHSIG
        return
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    while True:
        pid, status = os.wait()
        if pid == child:
            os._exit(abs(os.waitstatus_to_exitcode(status)))


@pytest.fixture(scope="module", autouse=True)
def network():
    """Each file's engines have a network namespace that nothing of the file before is in."""
    netns.enter()


@pytest.fixture(autouse=True)
def watchdog():
    """No test hangs: one that has not ended after three deadlines fails where it stands."""
    def bark(_signal, _frame):
        raise TimeoutError(f"the test took more than {3 * DEADLINE} s")

    signal.signal(signal.SIGALRM, bark)
    signal.alarm(3 * DEADLINE)
    yield
    signal.alarm(0)


@pytest.fixture(scope="session")
def programs(tmp_path_factory):
    """The test programs, static, as paths: they run in containers that have no libraries."""
    where = tmp_path_factory.mktemp("programs")
    built = []
    for name in sorted(os.listdir(os.path.join(HERE, "programs"))):
        to = str(where / name.removesuffix(".c"))
        subprocess.run(["gcc", "-std=gnu17", "-D_GNU_SOURCE", "-static", "-O1", "-Wall", "-Werror", "-o", to, os.path.join(HERE, "programs", name)], check=True)
        built.append(to)
    return built


@pytest.fixture(scope="session", autouse=True)
def cgroup_parent():
    """All containers live below one cgroup path, which goes last."""
    path = f"/skep-e2e-{os.getpid()}"
    yield path
    cgroups.remove(path)
    assert not cgroups.leftovers(path), "cgroups are left"


@pytest.fixture(scope="session")
def quick_disk(tmp_path_factory):
    """A file system in memory, of a kind that EROFS can be mounted from: what is durable there costs no time."""
    with tempfile.TemporaryDirectory(prefix="skep-disk-", dir="/dev/shm") as top:
        subprocess.run(["truncate", "-s", "1G", f"{top}/disk"], check=True)
        subprocess.run(["mkfs.ext4", "-q", "-O", "^has_journal", f"{top}/disk"], check=True)
        at = tmp_path_factory.mktemp("disk")
        subprocess.run(["mount", "-o", "loop", f"{top}/disk", at], check=True)
        yield str(at)
        subprocess.run(["umount", at], check=True)


class World:
    """The containers of one test and where they lie."""

    def __init__(self, programs, cgroup):
        self.top = tempfile.mkdtemp(prefix="skep-e2e-")
        os.chmod(self.top, 0o755)  # rootless tests pass through
        self.runtime = Runtime(os.path.join(self.top, "state"))
        self.programs, self.cgroup, self.boxes = programs, cgroup, []

    def box(self, name="box"):
        ident = f"{name}-{os.path.basename(self.top)[9:].replace('_', '-')}-{len(self.boxes)}"
        bundle = os.path.join(self.top, ident)
        made = Container(self.runtime, ident, bundle, f"{self.cgroup}/{ident}", self.programs)
        self.boxes.append(made)
        return made

    def mounts(self):
        with open("/proc/self/mountinfo", encoding="utf-8") as f:
            return [line.split(" ")[4] for line in f if self.top in line]

    def leftovers(self):
        """What the runtime left behind, as text."""
        left = []
        for box in self.boxes:
            left += [f"cgroup {path}" for path in cgroups.leftovers(box.cgroup)]
            left += [f"process {pid} in {box.cgroup}" for pid in cgroups.processes(box.cgroup)]
            for name in (box.id, f"{box.id}.lock"):
                if os.path.exists(os.path.join(self.runtime.root, name)):
                    left.append(f"state of {name}")
        left += [f"mount {path}" for path in self.mounts()]
        left += [f"process {pid} that names {self.top}" for pid in cgroups.processes(self.top)]
        return left

    def end(self):
        """Deletes what the test left running, then looks. Returns what should not be there."""
        states = os.listdir(self.runtime.root) if os.path.isdir(self.runtime.root) else []
        for box in self.boxes:
            if box.id in states:
                self.runtime.run("delete", "--force", box.id)
        left = self.leftovers()
        for box in self.boxes:
            box.output.close()
            cgroups.remove(box.cgroup)
        for path in reversed(self.mounts()):
            subprocess.run(["umount", "-l", path], check=False)
        if not self.mounts():
            shutil.rmtree(self.top, ignore_errors=True)
        return left


@pytest.fixture
def world(programs, cgroup_parent):
    made = World(programs, cgroup_parent)
    yield made
    left = made.end()
    assert not left, "left behind: " + "; ".join(left)


@pytest.fixture
def box(world):
    """A container with the usual configuration; it sleeps for DEADLINE seconds at most if it is told to wait."""
    return world.box().sh(f"sleep {DEADLINE}")


@pytest.fixture
def running(box):
    """A container whose shell has said that it runs and then sleeps."""
    box.sh(f"echo up; exec sleep {DEADLINE}").up()
    assert box.output.line() == "up"
    return box
