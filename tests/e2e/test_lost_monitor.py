"""Containers whose monitor was killed: whichever command meets them first tells the truth, and ends what is left of them."""
import json
import os

import pytest

from container import OWN, is_static
from engines import Engine, eventually, kill
from images import SKEP

needs_init = pytest.mark.skipif(not is_static(OWN), reason="the program needs libraries, which a container has not")
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


def alive(word):
    """Pids of processes that have the word in their command line."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/cmdline", "rb") as f:
                if word.encode() in f.read().split(b"\0"):
                    found.append(int(pid))
        except OSError:
            pass
    return found


def kill_monitor(engine, name):
    pid = engine.monitor_of(name)
    kill(pid)
    eventually(lambda: not os.path.exists(f"/proc/{pid}"))


def lose(engine, *options):
    """A container with further processes in it, whose monitor is killed. The word is in the command line of all of them."""
    word = str(os.getpid() * 1000 + len(engine.events()))
    identity = engine.run("--name", "lost", *options, "busybox", "sh", "-c", f"sleep {word} & exec sleep {word}")
    engine.ok("exec", "-d", "lost", "sleep", word)
    eventually(lambda: len(alive(word)) >= 3)
    kill_monitor(engine, "lost")
    return identity, word


def state_file(engine, identity):
    with open(os.path.join(engine.directory(identity), "state.json"), encoding="utf-8") as f:
        return json.load(f)


NOT_RUNNING = "is not running"


@pytest.mark.parametrize("command, status, said", [
    (["ps", "-q"], 0, ""), (["ps", "-a", "--format", "{{.Status}}"], 0, "Exited (255) "),
    (["inspect", "-f", "{{.State.Running}} {{.State.ExitCode}} {{.State.Pid}}", "lost"], 0, "false 255 0\n"),
    (["exec", "lost", "true"], 1, NOT_RUNNING), (["kill", "lost"], 1, NOT_RUNNING), (["pause", "lost"], 1, NOT_RUNNING),
    (["unpause", "lost"], 1, "is not paused"), (["top", "lost"], 1, NOT_RUNNING), (["attach", "lost"], 1, "cannot attach to a stopped container"),
    (["stop", "lost"], 0, "lost\n"), (["wait", "lost"], 0, "255\n"), (["rename", "lost", "found"], 0, ""), (["rm", "lost"], 0, "lost\n"),
    (["rm", "-f", "lost"], 0, "lost\n"), (["cp", "lost:/etc/passwd", "-"], 0, ""), (["diff", "lost"], 0, ""), (["commit", "lost"], 0, "sha256:"),
    (["logs", "lost"], 0, ""), (["update", "--restart", "no", "lost"], 0, "lost\n"), (["stats", "--no-stream", "lost"], 0, "0.00%"),
    (["container", "prune", "-f"], 0, "Deleted Containers:\n"), (["system", "df", "--format", "{{.Active}}"], 0, "1\n0\n0\n0\n"),
    (["info", "--format", "{{.ContainersRunning}} {{.ContainersStopped}}"], 0, "0 1\n"),
], ids=lambda v: v[0] if isinstance(v, list) else "")
def test_the_first_to_meet_it(engine, command, status, said):
    _, word = lose(engine)
    done = engine.call(*command)
    assert done.returncode == status and said in (done.stdout + done.stderr).decode(), done
    if command[0] not in ("logs", "rename", "update", "diff"):  # these do not look
        eventually(lambda: not alive(word))
        assert engine.remains() == {"runtime": [], "monitors": []}


@pytest.mark.parametrize("options", [[], ["--pid", "host"], ["--rm"], ["--restart", "always"], pytest.param(["--init"], marks=needs_init), ["--cgroupns", "private"]], ids=" ".join)
def test_whatever_it_was(engine, options):
    identity, word = lose(engine, *options)
    state = engine.state("lost")
    assert (state["Status"], state["ExitCode"], state["Pid"], state["OOMKilled"]) == ("exited", 255, 0, False)
    assert "monitor was killed" in state["Error"] and state_file(engine, identity)["status"] == "exited"
    eventually(lambda: not alive(word))
    mine = [x["Action"] for x in engine.events() if x["Actor"]["ID"] == identity]
    assert mine.count("die") == 1 and engine.ok("ps", "-a", "--format", "{{.Names}}") == "lost\n"


def test_a_paused_one(engine):
    word = str(os.getpid() * 1000)
    engine.run("--name", "paused", "busybox", "sleep", word)
    engine.ok("pause", "paused")
    kill_monitor(engine, "paused")
    assert engine.status("paused") == "exited"
    eventually(lambda: not alive(word))


@pytest.mark.parametrize("command", ["start", "restart"])
def test_it_runs_again(engine, command):
    identity, word = lose(engine)
    assert engine.ok(command, "lost") == "lost\n"
    assert engine.status("lost") == "running" and engine.inspect("lost")["Id"] == identity
    eventually(lambda: len(alive(word)) == 2 or len(alive(word)) == 3)
    assert engine.ok("exec", "lost", "echo", "again") == "again\n" and engine.state("lost")["Error"] == ""


def test_boot_starts_it_again(engine):
    lose(engine, "--restart", "always")
    assert engine.ok("boot") == "lost\n" and engine.status("lost") == "running"


def test_boot_removes_what_was_to_be_removed(engine):
    identity, word = lose(engine, "--rm", "-v", "/anonymous")
    assert engine.ok("boot") == ""
    assert engine.ok("ps", "-aq") == "" and engine.ok("volume", "ls", "-q") == "" and not alive(word)
    assert not os.path.exists(engine.directory(identity))


def test_those_who_wait_are_told(engine):
    identity = engine.run("--name", "waited", "busybox", "sleep", "1000")
    waiting, attached = engine.start("wait", "waited"), engine.start("attach", "waited")
    eventually(lambda: sum(x["Action"] == "attach" for x in engine.events() if x["Actor"]["ID"] == identity))
    kill_monitor(engine, "waited")
    assert waiting.communicate(timeout=30)[0] == b"255\n"
    assert attached.communicate(timeout=30)[1].decode().strip().endswith("what was left of the container has been ended") and attached.returncode == 255


def test_a_name_is_free_again(engine):
    lose(engine)
    engine.ok("rm", "lost")
    engine.run("--name", "lost", "busybox", "sleep", "1000")
    assert engine.status("lost") == "running"


def test_many_at_once_meet_it(engine):
    _, word = lose(engine)
    before = len(engine.events())
    clients = [engine.start("inspect", "-f", "{{.State.Running}} {{.State.ExitCode}}", "lost") for _ in range(6)]
    said = [c.communicate(timeout=30) for c in clients]
    assert {err for _, err in said} <= {b""} | {err for _, err in said if b"was lost" in err}
    assert {out for out, _ in said} <= {b"false 255\n", b"true 0\n"}  # until the first one has begun to end it, it runs
    assert not alive(word) and [x["Action"] for x in engine.events()[before:]].count("die") == 1
    assert engine.ok("inspect", "-f", "{{.State.Running}} {{.State.ExitCode}}", "lost") == "false 255\n"
