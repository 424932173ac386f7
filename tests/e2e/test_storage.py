"""What containers write into their own root: after kills, and how much of it."""
import os
import subprocess

import pytest

from engines import Engine, eventually, kill
from images import SKEP

pytestmark = [pytest.mark.skipif(not os.path.exists(SKEP), reason=f"no {SKEP}"), pytest.mark.skipif(os.geteuid() != 0, reason="needs root")]


@pytest.fixture(scope="module")
def engine(tmp_path_factory):
    made = Engine(str(tmp_path_factory.mktemp("engine")))
    made.ok("image", "bootstrap", "busybox")
    yield made
    made.close()
    assert made.remains() == {"runtime": [], "monitors": []}


@pytest.fixture(autouse=True)
def nothing_left(engine):
    yield
    engine.close()


# ---- roots of --rm containers, which are never synced ----

MARK = "work/work/incompat/volatile"


@pytest.fixture
def lost(engine):
    """A --rm container whose monitor was killed: nobody removes it."""
    identity = engine.run("--rm", "--name", "lost", "busybox", "sh", "-c", "cat /kept; echo kept >/kept; sleep 1000")
    eventually(lambda: engine.call("exec", "lost", "test", "-s", "/kept").returncode == 0)
    kill(engine.monitor_of("lost"))
    eventually(lambda: engine.status("lost") == "exited")
    assert os.path.exists(os.path.join(engine.directory(identity), MARK))
    return identity


def test_it_can_be_read(engine, lost):
    assert b"kept\n" in subprocess.run([*engine.base, "cp", "lost:/kept", "-"], env=engine.env, capture_output=True, check=True).stdout
    assert not os.path.exists(os.path.join(engine.directory(lost), MARK))


def test_it_can_be_started_again(engine, lost):
    engine.ok("start", "lost")
    eventually(lambda: b"kept\n" in engine.call("logs", "lost").stdout)
    engine.ok("stop", "-t", "0", "lost")
    eventually(lambda: not os.path.exists(engine.directory(lost)))


def test_it_can_be_restarted(engine):
    engine.run("--rm", "--name", "again", "busybox", "sh", "-c", "cat /kept 2>/dev/null; echo kept >/kept; sleep 1000")
    eventually(lambda: engine.call("exec", "again", "test", "-s", "/kept").returncode == 0)
    engine.ok("restart", "-t", "0", "again")
    eventually(lambda: b"kept\n" in engine.call("logs", "again").stdout)


def test_after_a_power_cut_it_is_lost(engine, lost):
    """Nothing of it was ever synced: what is there may be anything."""
    with open(os.path.join(engine.directory(lost), "volatile"), "w", encoding="ascii") as f:
        f.write("00000000-0000-0000-0000-000000000000")
    said = "the changes of a volatile overlay are lost: the machine has been started anew since it was mounted"
    assert said in engine.fails(1, "start", "lost")
    assert said in engine.fails(1, "cp", "lost:/kept", "-")
    engine.ok("rm", "lost")
    assert not os.path.exists(engine.directory(lost))
