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
from canary import Canary  # beside the fixtures of the end-to-end tests

pytest_configure = e2e.pytest_configure
network, watchdog, programs, cgroup_parent, world, box, running = e2e.network, e2e.watchdog, e2e.programs, e2e.cgroup_parent, e2e.world, e2e.box, e2e.running

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
