"""Health checks, restart policies and stops in detail: what happens when, and what is told."""
import json
import os
import shutil
import subprocess
import time

import pytest

from engines import Engine, eventually, is_dead, kill
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


def told(engine, name):
    """[(action, attributes, time in seconds)] of a container."""
    return [(x["Action"], x["Actor"]["Attributes"], x["timeNano"] / 1e9) for x in engine.events() if x["Actor"]["Attributes"].get("name") == name]


# ---- health ----

OFTEN = ["--health-interval", "20ms", "--health-timeout", "20s"]


def health(engine, name):
    return engine.state(name)["Health"]


def test_failures_in_a_row_count(engine):
    script = "n=$(cat /n 2>/dev/null || echo 0); echo $((n + 1)) >/n; echo try $n; test $((n % 3)) = 2"
    engine.run("--name", "now", *OFTEN, "--health-retries", "3", "--health-cmd", script, "busybox", "sleep", "1000")
    eventually(lambda: sum(x["ExitCode"] == 0 for x in health(engine, "now")["Log"]) and len(health(engine, "now")["Log"]) == 5)
    assert health(engine, "now")["Status"] == "healthy"
    assert [x[0] for x in told(engine, "now") if x[0].startswith("health")] == ["health_status: healthy"]
    log = health(engine, "now")["Log"]
    assert [x["Start"] for x in log] == sorted(x["Start"] for x in log) and all(x["Start"] <= x["End"] for x in log)
    numbers = [int(x["Output"].split()[1]) for x in log]
    assert numbers == list(range(numbers[0], numbers[0] + 5))


def test_an_end_of_the_start_period(engine):
    engine.run("--name", "late", *OFTEN, "--health-retries", "1", "--health-start-period", "300ms", "--health-start-interval", "20ms",
               "--health-cmd", "false", "busybox", "sleep", "1000")
    eventually(lambda: health(engine, "late")["Status"] == "unhealthy")
    assert health(engine, "late")["FailingStreak"] >= 1
    with open(os.path.join(engine.directory(engine.inspect("late")["Id"]), "state.json"), encoding="utf-8") as f:
        started = json.load(f)["startedAt"] / 1e9  # the event of the start may be written later
    assert [x[2] - started >= 0.3 for x in told(engine, "late") if x[0].startswith("health")] == [True]


@pytest.mark.parametrize("action, left", [("none", "running"), ("kill", "exited"), ("stop", "exited")])
def test_what_is_done_about_it(engine, action, left):
    engine.run("--name", "ill", *OFTEN, "--health-retries", "1", "--health-on-failure", action, "--health-cmd", "test ! -e /listens", "--stop-timeout", "20",
               "--restart", "no", "busybox", "sh", "-c", "trap 'exit 5' TERM; touch /listens; while :; do sleep 0.01; done")
    eventually(lambda: engine.state("ill")["Status"] == left and health(engine, "ill")["Status"] == "unhealthy")
    assert engine.state("ill")["ExitCode"] == {"none": 0, "kill": 137, "stop": 5}[action]


def test_the_frozen_are_not_ill(engine):
    engine.run("--name", "cold", "--health-interval", "20ms", "--health-timeout", "2s", "--health-retries", "1", "--health-cmd", "true",
               "busybox", "sleep", "1000")
    eventually(lambda: health(engine, "cold")["Status"] == "healthy")
    engine.ok("pause", "cold")
    before = len(engine.events())
    frozen = time.monotonic()
    eventually(lambda: time.monotonic() - frozen > 3)  # longer than a check may take
    assert len(engine.events()) == before and health(engine, "cold")["Status"] == "healthy"
    engine.ok("unpause", "cold")
    last = health(engine, "cold")["Log"][-1]["Start"]
    eventually(lambda: health(engine, "cold")["Log"][-1]["Start"] > last)
    assert health(engine, "cold")["Status"] == "healthy"


# ---- restart policies ----

def test_it_waits_twice_as_long_each_time(engine):
    engine.run("--name", "again", "--restart", "always", "busybox", "false")
    eventually(lambda: engine.inspect("again")["RestartCount"] >= 4)
    engine.ok("rm", "-f", "again")
    events = told(engine, "again")
    deaths, starts = ([x[2] for x in events if x[0] == action] for action in ("die", "start"))
    waits = [start - death for death, start in zip(deaths, starts[1:])]
    assert all(0.1 * 2 ** i <= wait < 0.1 * 2 ** i + 10 for i, wait in enumerate(waits[:4])), waits


@pytest.mark.parametrize("policy, command, count", [("on-failure", "true", 0), ("on-failure:1", "false", 1), ("on-failure:3", "false", 3), ("no", "false", 0)])
def test_how_often(engine, policy, command, count):
    engine.run("--name", "counted", "--restart", policy, "busybox", command)
    eventually(lambda: engine.status("counted") == "exited" and engine.inspect("counted")["RestartCount"] == count)
    engine.ok("start", "counted")
    eventually(lambda: engine.status("counted") == "exited")
    assert engine.inspect("counted")["RestartCount"] <= count


def test_while_it_waits(engine):
    engine.run("--name", "waits", "--restart", "always", "busybox", "false")
    eventually(lambda: engine.inspect("waits")["RestartCount"] >= 3)

    def says(text, *command):  # it runs for a moment in between
        eventually(lambda: (lambda done: text in (done.stdout + done.stderr).decode())(engine.call(*command)))

    says("restarting true true 0 1\n", "inspect", "-f",
         "{{.State.Status}} {{.State.Running}} {{.State.Restarting}} {{.State.Pid}} {{.State.ExitCode}}", "waits")
    says("is restarting, wait until the container is running", "exec", "waits", "true")
    says("Restarting (1) ", "ps", "--format", "{{.Status}}")
    says("container is restarting: stop the container before removing", "rm", "waits")
    assert engine.ok("stop", "waits") == "waits\n" and engine.status("waits") == "exited"


def after_a_boot(engine, name):
    """The machine went down under it: no monitor, no process, and another boot."""
    identity = engine.inspect(name)["Id"]
    pid, monitor = engine.state(name)["Pid"], engine.monitor_of(name)
    kill(monitor)
    eventually(lambda: not os.path.exists(f"/proc/{monitor}"))
    path = os.path.join(engine.directory(identity), "state.json")
    with open(path, encoding="utf-8") as f:
        state = json.load(f)
    assert engine.status(name) == "exited"
    eventually(lambda: is_dead(pid))
    with open(path, "w", encoding="utf-8") as f:
        json.dump({**state, "boot": "of another time"}, f)


@pytest.mark.parametrize("policy, runs", [("no", False), ("always", True), ("unless-stopped", True), ("on-failure", True)])
def test_what_ran_before_the_boot(engine, policy, runs):
    engine.run("--name", "ran", "--restart", policy, "busybox", "sleep", "1000")
    after_a_boot(engine, "ran")
    assert engine.status("ran") == "exited" and engine.state("ran")["Error"] == "the machine was restarted"
    assert engine.ok("boot") == ("ran\n" if runs else "")
    assert engine.status("ran") == ("running" if runs else "exited") and engine.inspect("ran")["RestartCount"] == 0


def test_a_boot_removes_what_was_to_be_removed(engine):
    engine.run("--rm", "--name", "gone", "-v", "/anonymous", "busybox", "sleep", "1000")
    after_a_boot(engine, "gone")
    assert engine.ok("boot") == "" and engine.ok("ps", "-aq") == "" and engine.ok("volume", "ls", "-q") == ""


# ---- stops, waits ----

def test_a_stop_that_never_kills(engine):
    engine.run("--name", "patient", "busybox", "sh", "-c", "trap 'sleep 0.3; exit 6' TERM; echo ready; while :; do sleep 0.01; done")
    eventually(lambda: engine.ok("logs", "patient"))
    engine.ok("stop", "-t", "-1", "patient")
    assert engine.state("patient")["ExitCode"] == 6 and [x[1]["signal"] for x in told(engine, "patient") if x[0] == "kill"] == ["15"]


def test_another_signal(engine):
    engine.run("--name", "asked", "--restart", "always", "busybox", "sh", "-c", "trap 'exit 8' USR1; echo ready; while :; do sleep 0.01; done")
    eventually(lambda: engine.ok("logs", "asked"))
    engine.ok("stop", "-s", "USR1", "asked")
    assert engine.status("asked") == "exited" and engine.state("asked")["ExitCode"] == 8
    engine.ok("start", "asked")
    eventually(lambda: engine.ok("logs", "asked").count("ready") == 2)
    engine.ok("restart", "-s", "USR1", "asked")
    assert engine.status("asked") == "running" and "Invalid signal: NOSUCH" in engine.fails(1, "stop", "-s", "NOSUCH", "asked")


def test_those_who_wait_for_several(engine):
    for name, status in ("w1", 3), ("w2", 4):
        engine.run("--name", name, "busybox", "sh", "-c", f"read x </dev/null; sleep 0.1; exit {status}")
    assert engine.ok("wait", "w1", "w2", "w1") == "3\n4\n3\n"
    done = engine.call("wait", "nosuch", "w2")
    assert (done.returncode, done.stdout, done.stderr) == (1, b"4\n", b"No such container: nosuch\n")


# ---- what is left ----

def test_volumes_go_with_it(engine):
    engine.ok("volume", "create", "kept")
    options = ("-v", "/anonymous", "-v", "kept:/kept", "--mount", "type=volume,dst=/other")
    engine.ok("run", "--rm", *options, "busybox", "true")
    assert engine.ok("volume", "ls", "-q") == "kept\n"
    engine.ok("run", "--name", "left", *options, "busybox", "true")
    assert engine.ok("volume", "ls", "-q").count("\n") == 3
    engine.run("--name", "shares", "--volumes-from", "left", "busybox", "sleep", "1000")
    engine.ok("rm", "-v", "left")
    assert engine.ok("volume", "ls", "-q").count("\n") == 3  # another one has them
    engine.ok("rm", "-fv", "shares")
    assert engine.ok("volume", "ls", "-q") == "kept\n"
    engine.ok("volume", "rm", "kept")


@pytest.mark.parametrize("make, message", [
    (lambda p: os.mkdir(p), "is a directory"), (lambda p: None, "no such file or directory"), (lambda p: p.write_bytes(b"A=1\0"), "NUL byte in line 1"),
    (lambda p: p.write_bytes(b"\xff=1\n"), "utf8"), (lambda p: p.write_text("A B=1\n"), "contains whitespaces"), (lambda p: p.write_text("=1\n"), "no variable name"),
], ids=["directory", "missing", "NUL", "bytes", "blank", "nameless"])
def test_files_that_cannot_be(engine, tmp_path, make, message):
    make(tmp_path / "env")
    done = engine.call("run", "--rm", "--env-file", str(tmp_path / "env"), "busybox", "true")
    first = done.stderr.decode().splitlines()[0]
    assert done.returncode == 125 and first.startswith("skep: ") and message in first and "env" in first
    assert engine.ok("ps", "-aq") == ""


def test_a_file_that_may_not_be_read(engine, tmp_path):
    os.chmod(tmp_path, 0o755)
    (tmp_path / "env").write_text("A=1\n")
    os.chmod(tmp_path / "env", 0)
    command = [*engine.base[:1], "--root", str(tmp_path / "r"), "--run-root", str(tmp_path / "n"), "run", "--env-file", str(tmp_path / "env"), "busybox"]
    done = subprocess.run(["setpriv", "--reuid", "65534", "--clear-groups", *command], capture_output=True, env=engine.env, check=False)
    if b"exec" not in done.stderr:  # the build may lie where only root comes
        assert done.returncode == 125 and b"env: permission denied" in done.stderr


def test_a_restart_without_a_runtime(tmp_path):
    """The program is gone between two runs, as in an upgrade that went wrong: the container has ended, and says why."""
    for program in ("skep", "skep-runtime", "skep-transfer"):
        shutil.copy(os.path.join(os.path.dirname(SKEP), program), tmp_path)
    engine = Engine(str(tmp_path / "engine"))
    engine.base[0] = str(tmp_path / "skep")
    try:
        engine.ok("image", "bootstrap", "busybox")
        name = engine.run("--network", "none", "--restart", "always", "busybox", "sleep", "0.5")
        os.unlink(tmp_path / "skep-runtime")
        eventually(lambda: engine.status(name) == "exited")
        assert "skep-runtime" in engine.state(name)["Error"] and engine.state(name)["ExitCode"] == 0
    finally:
        engine.close()
