"""What the attacks need beside the fixtures of the end-to-end tests: weapons, and things on the host that must not change."""
import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys

import pytest

HERE = os.path.dirname(os.path.abspath(__file__))
E2E = os.path.join(HERE, "..", "e2e")
sys.path.insert(0, E2E)
spec = importlib.util.spec_from_file_location("e2e_fixtures", os.path.join(E2E, "conftest.py"))
e2e = importlib.util.module_from_spec(spec)
spec.loader.exec_module(e2e)
pytest_configure = e2e.pytest_configure
watchdog, programs, cgroup_parent, world, box, running = e2e.watchdog, e2e.programs, e2e.cgroup_parent, e2e.world, e2e.box, e2e.running

LINK = {"interpreted": ["-Wl,--dynamic-linker=/proc/self/exe"]}  # all others are static


@pytest.fixture(scope="session")
def weapons(tmp_path_factory):
    """Directory of the attacking programs."""
    where = tmp_path_factory.mktemp("weapons")
    for name in sorted(os.listdir(os.path.join(HERE, "programs"))):
        base = name.removesuffix(".c")
        flags = LINK.get(base, ["-static"])
        subprocess.run(["gcc", "-std=gnu17", "-D_GNU_SOURCE", "-O1", "-Wall", "-Werror", *flags, "-o", where / base, os.path.join(HERE, "programs", name)],
                       check=True)
    return where


@pytest.fixture
def armed(box, weapons):
    """The box with all weapons in its /bin."""
    for name in os.listdir(weapons):
        shutil.copy(weapons / name, os.path.join(box.rootfs, "bin", name))
    return box


def picture(path):
    """All that an attack might change below a path: names, kinds, owners, modes, times and contents."""
    seen = {}
    for here, folders, files in os.walk(path):
        for name in [".", *folders, *files]:
            at = os.path.join(here, name)
            st = os.lstat(at)
            content = ""
            if os.path.islink(at):
                content = os.readlink(at)
            elif os.path.isfile(at):
                with open(at, "rb") as f:
                    content = hashlib.sha256(f.read()).hexdigest()
            seen[os.path.normpath(at)] = (oct(st.st_mode), st.st_uid, st.st_gid, st.st_nlink, st.st_mtime_ns, st.st_ctime_ns, st.st_rdev, content)
    return seen


class Canary:
    """A tree on the host, outside every container."""

    def __init__(self, path):
        self.path = path
        os.makedirs(os.path.join(path, "dir", "deep"))
        for name in ("file", "null", "console", "ptmx", "dir/file", "dir/deep/file", "kmsg"):
            with open(os.path.join(path, name), "w", encoding="ascii") as f:
                f.write(f"canary {name}\n")
        os.symlink("file", os.path.join(path, "link"))
        os.symlink("nowhere", os.path.join(path, "dangling"))
        self.before = picture(path)

    def link(self, name=""):
        """A target for a link in an image: absolute, and with more dots than any bundle is deep."""
        return "/../../../../../../../../../.." + os.path.join(self.path, name)

    def intact(self):
        now = picture(self.path)
        assert now == self.before, {k: (self.before.get(k), now.get(k)) for k in self.before.keys() | now.keys() if self.before.get(k) != now.get(k)}


@pytest.fixture
def canary(world):
    made = Canary(os.path.join(world.top, "canary"))
    yield made
    made.intact()


@pytest.fixture
def own_runtime(world):
    """The runtime's program as a copy that an attack may damage; its hash is checked in the end."""
    path = os.path.join(world.top, "runtime")
    shutil.copy(world.runtime.program, path)
    with open(path, "rb") as f:
        before = hashlib.sha256(f.read()).hexdigest()
    world.runtime.program = path
    yield path
    with open(path, "rb") as f:
        assert hashlib.sha256(f.read()).hexdigest() == before, "the runtime's file was written to"
