"""run, create, start, state, kill, delete, list, ps, pause, resume."""
import json
import os
import re
import signal

import pytest

from container import DEADLINE


@pytest.mark.parametrize("script, code", [("exit 0", 0), ("exit 42", 42), ("kill -TERM $$", 0), ("(kill -9 $$) & wait", 0)])
def test_run_gives_the_exit_status(box, script, code):
    assert box.sh(script).run().code == code  # a pid 1 ignores what it does not handle


def test_run_of_a_killed_process_gives_128_and_the_signal(box):
    box.sh("echo up; exec sleep 60").save()
    box.runtime.run("run", "--bundle", box.bundle, "--detach", box.id, stdout=box.output).ok()
    box.output.sent()
    assert box.output.line() == "up"
    pidfd = box.pidfd()
    box.kill("KILL").ok()
    box.wait(pidfd)
    assert box.status == "stopped"
    box.delete().ok()


def test_run_passes_stdin_and_both_outputs(box):
    result = box.sh("read line; echo out-$line; echo err-$line >&2").run(stdin="word\n").ok()
    assert result.out == "out-word\n"
    assert result.err == "err-word\n"


def test_create_start_delete(box, tmp_path):
    pid_file = tmp_path / "pid"
    box.config["annotations"] = {"org.example.key": "value"}
    box.sh("echo started; exec sleep 60").create("--pid-file", pid_file).ok()
    state = box.state()
    assert state["id"] == box.id
    assert state["status"] == "created"
    assert state["pid"] == int(pid_file.read_text())
    assert state["bundle"] == box.bundle
    assert state["annotations"] == {"org.example.key": "value"}
    assert state["rootfs"] == box.rootfs
    assert re.fullmatch(r"1\.\d+\.\d+.*", state["ociVersion"])
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?Z", state["created"])
    assert "owner" in state
    box.start().ok()
    assert box.output.line() == "started"
    assert box.status == "running"
    box.start().fails("cannot start")
    box.delete().fails("not stopped")
    pidfd = box.pidfd()
    box.kill("KILL").ok()
    box.wait(pidfd)
    assert box.state()["status"] == "stopped"
    assert box.state()["pid"] == 0
    box.delete().ok()
    assert box.output.rest() == ""


def test_a_container_waits_for_start(box, tmp_path):
    box.mount("/mark", str(tmp_path), "none", "bind", "rw")
    box.sh("echo > /mark/ran").create().ok()
    assert not (tmp_path / "ran").exists()
    pidfd = box.pidfd()
    box.start().ok()
    box.wait(pidfd)
    assert (tmp_path / "ran").exists()
    box.delete().ok()


def test_delete_of_a_created_container(box):
    box.create().ok()
    box.delete().ok()
    box.runtime.run("state", box.id).fails("does not exist")


def test_delete_force_ends_a_running_one(running):
    running.delete("--force").ok()
    assert running.output.rest() == ""


def test_unknown_ids(world):
    for command in (["state"], ["start"], ["kill"], ["delete"], ["pause"], ["resume"], ["ps"], ["exec"], ["update"], ["events", "--stats"]):
        more = {"kill": ["KILL"], "exec": ["true"]}.get(command[0], [])
        world.runtime.run(*command, "nobody", *more).fails("does not exist")
    world.runtime.run("delete", "--force", "nobody").ok()


def test_an_id_is_used_once(world, running):
    twin = world.box()
    twin.save()
    world.runtime.run("create", "--bundle", twin.bundle, running.id).fails("exists")
    assert running.status == "running"


@pytest.mark.parametrize("ident", ["", "..", ".", "a/b", "../x", "a b", "é", "a\nb"])
def test_bad_ids_are_refused(box, ident):
    box.save()
    box.runtime.run("create", "--bundle", box.bundle, ident).fails()
    assert not os.path.exists(os.path.join(box.runtime.root, "..", "x"))


def test_run_detached_returns_while_it_runs(box, tmp_path):
    box.sh("echo up; exec sleep 60").save()
    box.runtime.run("run", "-d", "--pid-file", tmp_path / "pid", "-b", box.bundle, box.id, stdout=box.output).ok()
    box.output.sent()
    assert box.output.line() == "up"
    assert box.pid == int((tmp_path / "pid").read_text())


def test_run_keep_leaves_the_container(box):
    help_text = box.runtime.run("run", "--help").out
    if "--keep" not in help_text:
        pytest.skip("this runtime has no run --keep")
    assert box.args("true").run("--keep").code == 0
    assert box.status == "stopped"


def test_the_bundle_defaults_to_the_working_directory(box):
    box.sh("echo here").save()
    assert box.runtime.run("run", box.id, cwd=box.bundle).ok().out == "here\n"


@pytest.mark.parametrize("name, seen", [("TERM", "TERM"), ("SIGHUP", "HUP"), ("2", "INT"), ("sigusr1", "USR1"), (None, "TERM")])
def test_kill_by_name_and_number(box, name, seen):
    box.args("signals").up()
    assert box.output.line() == "ready"
    box.kill(*[name] if name else []).ok()
    assert box.output.line() == seen


def test_kill_refuses_what_is_no_signal(running):
    for word in ("NONSENSE", "-1", "999", "0x9"):
        running.kill(word).fails()
    assert running.status == "running"


def test_kill_of_a_stopped_one_says_so(box):
    box.args("true").create().ok()
    pidfd = box.pidfd()
    box.start().ok()
    box.wait(pidfd)
    box.kill("TERM").fails("not running")


def test_kill_all_reaches_every_process(box):
    box.without_namespace("pid")
    box.sh("sleep 60 & sleep 60 & echo up; wait").up()
    assert box.output.line() == "up"
    pids = json.loads(box.runtime.run("ps", "--format", "json", box.id).ok().out)
    assert len(pids) == 3
    fds = [os.pidfd_open(pid) for pid in pids]
    box.runtime.run("kill", "--all", box.id, "KILL").ok()
    for fd in fds:
        box.wait(fd)
    assert box.status == "stopped"


def test_list(world, running):
    other = world.box("other")
    other.create().ok()
    rows = json.loads(world.runtime.run("list", "--format", "json").ok().out)
    assert {(row["id"], row["status"], row["pid"]) for row in rows} == {(running.id, "running", running.pid), (other.id, "created", other.pid)}
    assert {"bundle", "rootfs", "created", "owner", "ociVersion"} <= set(rows[0])
    assert set(world.runtime.run("list", "-q").ok().lines) == {running.id, other.id}
    table = world.runtime.run("list").ok().lines
    assert table[0].split() == ["ID", "PID", "STATUS", "BUNDLE", "CREATED", "OWNER"]
    assert len(table) == 3


def test_an_empty_list(world):
    os.mkdir(world.runtime.root)
    assert world.runtime.run("list", "-q").ok().out == ""
    assert world.runtime.run("list", "--format=json").ok().out.strip() in ("null", "[]")


def test_ps(running):
    pid = running.pid
    assert json.loads(running.runtime.run("ps", "--format", "json", running.id).ok().out) == [pid]
    table = running.runtime.run("ps", running.id).ok().lines
    assert "PID" in table[0] and len(table) == 2 and str(pid) in table[1].split()
    while True:  # it says that it is up before it executes sleep; the watchdog ends this
        chosen = running.runtime.run("ps", running.id, "-o", "pid,comm").ok().lines
        if chosen[1].split() == [str(pid), "sleep"]:
            break


def test_pause_and_resume(running):
    running.runtime.run("pause", running.id).ok()
    assert running.status == "paused"
    running.exec("true").fails("paused")
    running.runtime.run("resume", running.id).ok()
    assert running.status == "running"
    assert running.exec("true").ok()


def test_delete_force_of_a_paused_one(running):
    running.runtime.run("pause", running.id).ok()
    running.delete("--force").ok()


def test_the_runtime_may_go_away_under_its_container(box):
    """The parent of a detached container ends at once: nothing of it is needed later."""
    box.sh(f"echo up; exec sleep {DEADLINE}").up()
    assert box.output.line() == "up"
    with open(f"/proc/{box.pid}/stat", encoding="ascii") as f:
        parent = int(f.read().rsplit(")", 1)[1].split()[1])
    with open(f"/proc/{parent}/cmdline", "rb") as f:
        assert box.id.encode() not in f.read()
    pidfd = box.pidfd()
    os.kill(box.pid, signal.SIGKILL)
    box.wait(pidfd)
    assert box.status == "stopped"
