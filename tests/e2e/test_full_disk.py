"""A disk that is full while containers are run, write their logs, are copied into and committed: clear words, nothing torn, and all is well with room."""
import json
import os
import subprocess

import pytest

from engines import Engine, eventually
from images import SKEP

pytestmark = [pytest.mark.skipif(not os.path.exists(SKEP), reason=f"no {SKEP}"), pytest.mark.skipif(os.geteuid() != 0, reason="needs root")]


class SmallDisk:
    """32 MiB of ext4, none of them reserved."""

    def __init__(self, where):
        self.at, self.image = os.path.join(where, "disk"), os.path.join(where, "image")
        os.mkdir(self.at)
        with open(self.image, "wb") as f:
            f.truncate(32 << 20)
        subprocess.run(["mkfs.ext4", "-q", "-b", "4096", "-m", "0", self.image], check=True)
        subprocess.run(["mount", "-o", "loop", self.image, self.at], check=True)

    def fill(self, leave=0):
        """Until nothing is left but so many bytes."""
        with open(os.path.join(self.at, "filler"), "ab", buffering=0) as f:
            for size in 1 << 20, 1 << 12, 1:
                try:
                    while True:
                        f.write(bytes(size))
                except OSError:
                    pass
            os.fsync(f.fileno())
            f.truncate(f.tell() - leave)

    def make_room(self):
        os.unlink(os.path.join(self.at, "filler"))

    def end(self):
        subprocess.run(["umount", self.at], check=True)


@pytest.fixture
def disk(tmp_path):
    made = SmallDisk(str(tmp_path))
    yield made
    made.end()


@pytest.fixture
def engine(disk):
    made = Engine(disk.at)
    made.ok("image", "bootstrap", "busybox")
    yield made
    made.close()
    assert made.ok("ps", "-aq") == "" and made.remains() == {"runtime": [], "monitors": []}
    assert made.call("image", "check").returncode == 0


FULL = ("no space left", "disk is full")


def refused(done):
    text = done.stderr.decode().lower()
    assert done.returncode and any(words in text for words in FULL), (done.returncode, text)
    return done


def test_run(engine, disk):
    disk.fill()
    assert refused(engine.call("run", "-d", "--name", "full", "busybox", "sleep", "1000")).returncode == 125
    assert refused(engine.call("run", "--rm", "busybox", "true")).returncode == 125
    disk.make_room()
    engine.call("rm", "-f", "full")
    engine.run("--name", "full", "busybox", "sleep", "1000")
    assert engine.status("full") == "running"


def reads_database(engine):
    """Does an attendant have it open? It closes it a second after its last question."""
    def files(pid):
        try:
            return [os.readlink(f"/proc/{pid}/fd/{fd}") for fd in os.listdir(f"/proc/{pid}/fd")]
        except OSError:
            return []
    return any("skep.db" in name for pid in engine.attendants() for name in files(pid))


def test_what_runs_can_be_ended_and_removed(engine, disk):
    engine.run("--name", "stops", "busybox", "sh", "-c", "trap 'exit 42' TERM; echo up; while :; do sleep 0.01; done")
    eventually(lambda: engine.ok("logs", "stops") == "up\n")
    engine.run("--name", "goes", "busybox", "sleep", "1000")
    engine.run("--name", "again", "--restart", "on-failure:2", "busybox", "sh", "-c", "sleep 1; exit 3")
    eventually(lambda: not reads_database(engine))  # its look at the log would keep that from being used again, and then a removal needs room
    disk.fill()
    assert engine.ok("exec", "stops", "echo", "works") == "works\n"
    engine.ok("stop", "stops")
    assert (engine.status("stops"), engine.state("stops")["ExitCode"]) == ("exited", 42)
    engine.ok("rm", "-f", "goes")
    engine.ok("rm", "stops")
    eventually(lambda: engine.status("again") == "exited")
    engine.ok("rm", "again")


def test_commit(engine, disk):
    engine.run("--name", "big", "busybox", "sh", "-c", "head -c 4000000 /dev/urandom >/big; exec sleep 1000")
    eventually(lambda: engine.call("exec", "big", "stat", "-c", "%s", "/big").stdout == b"4000000\n")
    disk.fill(leave=1 << 20)
    before = engine.ok("images", "-q")
    refused(engine.call("commit", "big", "committed:1"))
    assert engine.ok("images", "-q") == before
    disk.make_room()
    engine.ok("commit", "big", "committed:1")
    assert engine.ok("run", "--rm", "committed:1", "stat", "-c", "%s", "/big") == "4000000\n"
    engine.ok("rm", "-f", "big")
    engine.ok("rmi", "committed:1")


def test_cp(engine, disk, tmp_path):
    engine.run("--name", "copied", "busybox", "sh", "-c", "echo before >/there; exec sleep 1000")
    eventually(lambda: engine.call("exec", "copied", "cat", "/there").stdout == b"before\n")
    source = tmp_path / "source"
    source.write_bytes(os.urandom(3000000))
    disk.fill(leave=1 << 20)
    refused(engine.call("cp", str(source), "copied:/new"))
    refused(engine.call("cp", "copied:/bin/busybox", os.path.join(disk.at, "out")))
    assert engine.ok("exec", "copied", "cat", "/there") == "before\n"
    disk.make_room()
    engine.ok("cp", str(source), "copied:/new")
    assert engine.ok("exec", "copied", "sha256sum", "/new").split()[0] == subprocess.run(["sha256sum", source], capture_output=True, check=True).stdout.decode().split()[0]


COUNT = "i=0; while :; do i=$((i + 1)); echo line $i of a container that talks all the time; sleep 0.002; done"


@pytest.mark.parametrize("driver", ["json-file", "local"])
def test_logs(engine, disk, driver):
    engine.run("--name", "talks", "--log-driver", driver, "busybox", "sh", "-c", COUNT)
    eventually(lambda: engine.ok("logs", "--tail", "1", "talks"))
    disk.fill()

    def told():
        """The container may have what a command needed first."""
        done = engine.call("inspect", "talks")
        return json.loads(done.stdout)[0]["State"].get("DroppedLogBytes") if not done.returncode else not refused(done)

    assert eventually(told) > 0
    disk.make_room()
    last = engine.ok("logs", "--tail", "1", "talks")
    eventually(lambda: engine.ok("logs", "--tail", "1", "talks") != last)
    engine.ok("stop", "-t", "0", "talks")
    lines = engine.ok("logs", "talks").splitlines()
    numbers = [int(line.split()[1]) for line in lines]
    assert all(line == f"line {n} of a container that talks all the time" for line, n in zip(lines, numbers))
    assert numbers == sorted(set(numbers)) and len(numbers) < numbers[-1]
    if driver == "json-file":
        with open(engine.inspect("talks")["LogPath"], encoding="utf-8") as f:
            assert len([json.loads(line) for line in f]) == len(lines)
