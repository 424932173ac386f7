"""Containers as their users see them: run, exec, attach, stop, restart, remove."""
import hashlib
import json
import os
import signal
import socket
import subprocess
import threading

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


# ---- run ----

def test_output_and_status(engine):
    done = engine.call("run", "--rm", "busybox", "sh", "-c", "echo out; echo err >&2; exit 7")
    assert (done.returncode, done.stdout, done.stderr) == (7, b"out\n", b"err\n")
    assert engine.ok("ps", "-aq") == ""


@pytest.mark.parametrize("command, status", [
    (["nosuch"], 127), (["/etc/passwd"], 126), (["/"], 126), (["sh", "-c", "sh -c 'kill -9 $$'; exit $?"], 137)])
def test_statuses(engine, command, status):
    assert engine.call("run", "--rm", "busybox", *command).returncode == status


def test_stdin_is_read_to_its_end(engine):
    data = os.urandom(3_000_000)
    done = engine.call("run", "--rm", "-i", "busybox", "sha256sum", stdin=data)
    assert done.stdout.split()[0].decode() == hashlib.sha256(data).hexdigest()


def test_without_i_there_is_no_stdin(engine):
    assert engine.ok("run", "--rm", "busybox", "cat", stdin=b"x1") == ""


def test_much_output_arrives_whole(engine):
    done = engine.call("run", "--rm", "busybox", "sh", "-c", "dd if=/dev/zero bs=65536 count=800 2>/dev/null | tr '\\0' x")
    assert done.returncode == 0 and len(done.stdout) == 800 * 65536 and done.stdout.strip(b"x1") == b""


def test_a_slow_reader_loses_nothing(engine):
    client = engine.start("run", "--rm", "busybox", "sh", "-c", "dd if=/dev/zero bs=65536 count=300 2>/dev/null | tr '\\0' y; echo end >&2")
    assert client.stderr.readline() == b"end\n"  # the container has ended long before anything is read
    assert len(client.stdout.read()) == 300 * 65536
    assert client.wait(30) == 0


def test_a_stopped_client_does_not_hold_up_the_container(engine):
    client = engine.start("run", "--name", "busy", "busybox", "sh", "-c", "dd if=/dev/zero bs=65536 count=200 2>/dev/null | tr '\\0' z; touch /done")
    eventually(lambda: b'"StartedAt": "2' in engine.call("container", "inspect", "busy").stdout)
    os.kill(client.pid, signal.SIGSTOP)
    eventually(lambda: engine.status("busy") == "exited")
    os.kill(client.pid, signal.SIGCONT)
    client.stdout.read()
    assert client.wait(30) == 0


def test_detached(engine):
    identity = engine.run("--name", "d1", "busybox", "sleep", "1000")
    assert len(identity) == 64 and engine.status("d1") == "running"
    assert engine.ok("ps", "-q", "--no-trunc") == identity + "\n"
    assert engine.ok("stop", "-t", "0", "d1") == "d1\n"
    assert engine.state("d1")["ExitCode"] == 137
    assert engine.ok("start", "d1") == "d1\n" and engine.status("d1") == "running"


def test_removes_itself_when_detached(engine):
    identity = engine.run("--rm", "busybox", "true")
    eventually(lambda: engine.call("container", "inspect", identity).returncode == 1)
    eventually(lambda: not os.path.exists(engine.directory(identity)))


def test_changes_last(engine):
    engine.ok("run", "--name", "c1", "busybox", "sh", "-c", "echo kept > /file")
    assert engine.ok("start", "-a", "c1") == ""
    engine.ok("create", "--name", "again", "busybox", "cat", "/file")
    assert engine.call("start", "-a", "again").returncode == 1


def test_names(engine):
    engine.ok("create", "--name", "one", "busybox", "true")
    message = engine.fails(1, "create", "--name", "one", "busybox", "true")
    assert 'The container name "/one" is already in use by container "' in message
    engine.ok("rename", "one", "two")
    assert engine.fails(1, "container", "inspect", "one").strip() == "No such container: one"
    assert engine.inspect("two")["Name"] == "/two"
    assert "Invalid container name (bad/name)" in engine.fails(1, "create", "--name", "bad/name", "busybox")


def test_prefixes_of_ids(engine):
    identity = engine.ok("create", "busybox", "true").strip()
    assert engine.inspect(identity[:12])["Id"] == identity == engine.inspect(identity[:4])["Id"]


def test_an_image_in_use_stays(engine):
    engine.ok("create", "--name", "user", "busybox", "true")
    assert "container" in engine.fails(1, "rmi", "busybox")
    assert engine.ok("images", "-q") != ""


# ---- terminals ----

def test_terminal(engine):
    with engine.typed("run", "--rm", "-it", "busybox", "sh") as t:
        t.expect("/ # ")
        t.type("tty; stty size\n")
        t.expect("/dev/pts/0")
        t.type("exit 5\n")
        assert t.wait() == 5


def test_detach_keys(engine):
    with engine.typed("run", "-it", "--name", "tt", "busybox", "sh") as t:
        t.expect("/ # ")
        t.type("\x10\x11")
        assert t.wait() == 0
    assert engine.status("tt") == "running"
    with engine.typed("attach", "tt") as t:
        t.type("echo att$((1+1))ched\n")
        t.expect("att2ched")
        t.type("exit 3\n")
        assert t.wait() == 3


# ---- exec ----

def test_input_that_nobody_reads(engine):
    """The pipe to the program breaks; its output and its status are there all the same."""
    done = engine.call("run", "-i", "--rm", "busybox", "sh", "-c", "echo hello; exit 3", stdin=bytes(5_000_000))
    assert (done.returncode, done.stdout, done.stderr) == (3, b"hello\n", b"")
    eventually(lambda: not os.listdir(os.path.join(engine.root, "ingest")))  # its monitor has heard, behind all of that, that it is to remove the files
    name = engine.run("busybox", "sleep", "1000")
    done = engine.call("exec", "-i", name, "sh", "-c", "echo hello; exit 3", stdin=bytes(5_000_000))
    assert (done.returncode, done.stdout, done.stderr) == (3, b"hello\n", b"")


def test_exec(engine):
    engine.run("--name", "x1", "-e", "A=1", "-w", "/tmp", "busybox", "sleep", "1000")
    assert engine.ok("exec", "x1", "sh", "-c", "echo $A $B $(pwd)") == "1 /tmp\n"
    assert engine.ok("exec", "-e", "B=2", "-w", "/", "x1", "sh", "-c", "echo $A $B $(pwd)") == "1 2 /\n"
    assert engine.ok("exec", "-i", "x1", "cat", stdin=b"in") == "in"
    assert engine.ok("exec", "-u", "1000:5", "x1", "id").startswith("uid=1000 gid=5")
    assert engine.call("exec", "x1", "sh", "-c", "exit 9").returncode == 9
    assert engine.call("exec", "x1", "nosuch").returncode == 127
    engine.ok("exec", "-e", "NOWHERE", "x1", "true")
    assert engine.ok("exec", "-e", "A", "x1", "sh", "-c", "echo ${A-none}", env={"A": "here"}) == "here\n"
    assert engine.ok("exec", "-e", "A", "x1", "sh", "-c", "echo ${A-none}") == "none\n"
    assert "Cwd must be an absolute path" in engine.fails(1, "exec", "-w", "tmp", "x1", "true")
    assert "unable to find user nobodyatall" in engine.fails(1, "exec", "-u", "nobodyatall", "x1", "true")
    engine.ok("exec", "-d", "x1", "touch", "/made")
    eventually(lambda: engine.call("exec", "x1", "test", "-e", "/made").returncode == 0)


def test_exec_terminal(engine):
    engine.run("--name", "x1", "busybox", "sleep", "1000")
    with engine.typed("exec", "-it", "x1", "sh") as t:
        t.expect("/ # ")
        t.type("exit 4\n")
        assert t.wait() == 4


def test_exec_in_what_does_not_run(engine):
    engine.ok("create", "--name", "x1", "busybox", "true")
    assert "is not running" in engine.fails(1, "exec", "x1", "true")


def test_execs_leave_nothing_behind(engine):
    engine.run("--name", "x1", "--network", "none", "busybox", "sleep", "1000")  # else the attendant may be a child, too
    monitor = engine.monitor_of("x1")

    def children():
        with open(f"/proc/{monitor}/task/{monitor}/children", encoding="ascii") as f:
            return len(f.read().split())

    engine.ok("exec", "x1", "true")  # from here on it attends, and its starter has gone
    eventually(lambda: children() == 1)
    fds = len(os.listdir(f"/proc/{monitor}/fd"))
    threads = [threading.Thread(target=lambda: [engine.ok("exec", "x1", "true") for _ in range(10)]) for _ in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    eventually(lambda: len(os.listdir(f"/proc/{monitor}/fd")) <= fds)
    eventually(lambda: children() == 1)


# ---- stop, kill, pause, wait ----

def test_stop_asks_first(engine):
    engine.run("--name", "s1", "busybox", "sh", "-c", "trap 'exit 42' TERM; echo up; while :; do sleep 0.01; done")
    eventually(lambda: engine.ok("logs", "s1") == "up\n")  # before, it would not hear
    engine.ok("stop", "s1")
    assert engine.state("s1")["ExitCode"] == 42


def test_kill(engine):
    engine.run("--name", "k1", "busybox", "sleep", "1000")
    assert engine.ok("kill", "k1") == "k1\n" and engine.status("k1") == "exited"
    assert engine.state("k1")["ExitCode"] == 137
    assert "is not running" in engine.fails(1, "kill", "k1")
    assert "invalid signal: NONSENSE" in engine.fails(1, "kill", "-s", "NONSENSE", "k1")


def test_pause(engine):
    engine.run("--name", "p1", "busybox", "sleep", "1000")
    engine.ok("pause", "p1")
    assert engine.status("p1") == "paused" and "(Paused)" in engine.ok("ps", "--format", "{{.Status}}")
    assert "is paused" in engine.fails(1, "exec", "p1", "true")
    engine.ok("unpause", "p1")
    assert engine.status("p1") == "running"
    engine.ok("pause", "p1")
    engine.ok("rm", "-f", "p1")


def test_wait(engine):
    engine.run("--name", "w1", "busybox", "sleep", "1000")
    waiting = engine.start("wait", "w1")
    engine.ok("stop", "-t", "0", "w1")
    assert waiting.communicate(timeout=30)[0] == b"137\n"
    assert engine.ok("wait", "w1") == "137\n"


def test_a_running_one_is_not_removed(engine):
    engine.run("--name", "r1", "busybox", "sleep", "1000")
    assert 'cannot remove container "r1": container is running' in engine.fails(1, "rm", "r1")
    engine.ok("rm", "-f", "r1")
    assert engine.ok("ps", "-aq") == ""


def test_restart_keeps_what_goes_with_its_end(engine):
    """--rm means the end of a container, not of its run in a restart."""
    name = engine.run("--rm", "busybox", "sleep", "1000")
    for _ in range(3):
        before = engine.state(name)["Pid"]
        engine.ok("restart", "-t", "0", name)
        assert engine.status(name) == "running" and engine.state(name)["Pid"] != before
    engine.ok("stop", "-t", "0", name)
    eventually(lambda: engine.ok("ps", "-aq", "--no-trunc") == "")


def test_a_restart_that_is_killed_keeps_nothing(engine):
    name = engine.run("--rm", "busybox", "sh", "-c", "trap '' TERM; sleep 1000 & wait; wait")
    restart = engine.start("restart", "-t", "3", name)
    eventually(lambda: [event for event in engine.events() if event["Action"] == "kill" and event["Actor"]["ID"] == name])
    kill(restart.pid)
    restart.wait()
    eventually(lambda: engine.ok("ps", "-aq", "--no-trunc") == "")


def test_no_restart_of_what_a_command_will_remove(engine):
    client = engine.start("run", "--rm", "--name", "fore", "busybox", "sleep", "1000")
    eventually(lambda: engine.ok("ps", "-q", "--filter", "name=fore"))
    assert "was run with --rm by a command that stays with it" in engine.fails(1, "restart", "-t", "0", "fore")
    assert engine.status("fore") == "running"
    engine.ok("rm", "-f", "fore")
    client.communicate(timeout=20)


def test_again_is_for_monitors(engine):
    name = engine.run("busybox", "sleep", "1000")
    assert "is for monitors alone" in engine.fails(1, "container", "start", "--again", name)
    assert engine.status(name) == "running" and engine.ok("exec", name, "echo", "x") == "x\n"


# ---- restart policies ----

def test_on_failure_counts(engine):
    engine.run("--name", "f1", "--restart", "on-failure:2", "busybox", "sh", "-c", "exit 3")
    eventually(lambda: engine.status("f1") == "exited" and engine.inspect("f1")["RestartCount"] == 2)
    assert engine.state("f1")["ExitCode"] == 3


def test_always_until_stopped(engine):
    engine.run("--name", "a1", "--restart", "always", "busybox", "true")
    eventually(lambda: engine.inspect("a1")["RestartCount"] >= 2)
    engine.ok("stop", "a1")
    count = engine.inspect("a1")["RestartCount"]
    assert engine.status("a1") == "exited" and engine.inspect("a1")["RestartCount"] == count


# ---- what is killed ----

def test_a_killed_monitor_is_told(engine):
    identity = engine.run("--name", "m1", "busybox", "sleep", "1000")
    pid = engine.state("m1")["Pid"]
    kill(engine.monitor_of("m1"))
    assert f"container m1 ({identity[:12]}) was lost: its monitor was killed" in eventually(lambda: engine.call("ps").stderr.decode())
    state = eventually(lambda: engine.status("m1") == "exited" and engine.state("m1"))
    assert [x["Action"] for x in engine.events() if x["Actor"]["ID"] == identity][-2:] == ["start", "die"]
    assert state["ExitCode"] == 255 and "monitor was killed" in state["Error"]
    eventually(lambda: is_dead(pid))
    assert engine.remains() == {"runtime": [], "monitors": []}
    assert engine.ok("start", "m1") == "m1\n" and engine.status("m1") == "running"
    assert identity == engine.inspect("m1")["Id"]


def test_what_a_reboot_ended_is_told(engine):
    identity = engine.run("--name", "rb", "--restart", "on-failure", "busybox", "sleep", "1000")
    kill(engine.monitor_of("rb"))
    path = os.path.join(engine.directory(identity), "state.json")
    with open(path, encoding="utf-8") as f:
        state = json.load(f)
    with open(path, "w", encoding="utf-8") as f:
        json.dump({**state, "boot": "of long ago"}, f)
    eventually(lambda: engine.state("rb")["Status"] == "exited")  # a child that is about to become the attendant may have its lock for a moment
    assert (engine.state("rb")["Status"], engine.state("rb")["ExitCode"], engine.state("rb")["Error"]) == ("exited", 255, "the machine was restarted")
    assert [x["Action"] for x in engine.events() if x["Actor"]["ID"] == identity][-2:] == ["start", "die"]
    engine.run("--name", "rm", "--rm", "busybox", "sleep", "1000")
    kill(engine.monitor_of("rm"))
    assert engine.ok("boot") == "rb\n"
    assert engine.ok("ps", "-a", "--format", "{{.Names}}") == "rb\n"


def test_a_monitor_killed_before_it_told_anything(engine):
    """Its socket stands from before the start until the end: who finds it clears what there is."""
    identity = engine.ok("create", "--name", "early", "busybox", "sleep", "1000").strip()
    left = os.path.join(engine.run_root, "runtime", identity)
    os.mkdir(left, mode=0o700)
    open(os.path.join(engine.run_root, "monitors", identity), "w", encoding="ascii").close()
    assert engine.status("early") == "created"
    assert engine.remains() == {"runtime": [], "monitors": []}
    assert engine.ok("start", "early") == "early\n" and engine.status("early") == "running"


def test_what_a_monitor_left_of_a_removed_container(engine):
    identity = "0123456789abcdef" * 4
    engine.ok("run", "--rm", "busybox", "true")
    os.mkdir(os.path.join(engine.run_root, "runtime", identity), mode=0o700)
    monitors = os.open(os.path.join(engine.run_root, "monitors"), os.O_PATH)
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as s:
        s.bind(f"/proc/self/fd/{monitors}/{identity}")  # the whole path would be too long
    os.close(monitors)
    engine.ok("container", "prune", "-f")
    assert engine.remains() == {"runtime": [], "monitors": []}


def test_a_killed_client_leaves_the_container(engine):
    client = engine.start("run", "--name", "kc", "busybox", "sh", "-c", "while :; do echo x; sleep 0.01; done")
    assert client.stdout.readline() == b"x\n"
    client.kill()
    client.wait()
    assert engine.status("kc") == "running"


# ---- log and events ----

def test_log_file(engine):
    identity = engine.ok("create", "busybox", "sh", "-c", "echo 'a<b'; printf half; echo e >&2").strip()
    engine.ok("start", "-a", identity)
    with open(engine.inspect(identity)["LogPath"], encoding="utf-8") as f:
        text = f.read()
    lines = [json.loads(line) for line in text.splitlines()]
    assert "a\\u003cb" in text
    assert sorted((x["stream"], x["log"]) for x in lines) == [("stderr", "e\n"), ("stdout", "a<b\n"), ("stdout", "half")]


def test_events_in_order(engine):
    engine.ok("run", "--rm", "--name", "ev", "busybox", "true")
    mine = [x["Action"] for x in engine.events() if x["Actor"]["Attributes"].get("name") == "ev"]
    assert mine == ["create", "attach", "start", "die", "destroy"]


def test_rm_of_a_killed_command(engine):
    """Who has promised to remove the container is killed, or goes away from it: its monitor does it."""
    for name in ("killed", "not"):
        with engine.start("run", "--rm", "--name", name, "busybox", "sh", "-c", "trap 'exit 0' USR1; echo up; while :; do sleep 0.05; done") as p:
            assert p.stdout.readline() == b"up\n"
            if name == "killed":
                p.kill()
                p.wait()
            engine.ok("kill", "-s", "USR1", name)
        eventually(lambda: not engine.ok("ps", "-aq"))
        assert engine.remains() == {"runtime": [], "monitors": []}


# ---- health ----

HEALTH = ["--health-interval", "50ms", "--health-retries", "2", "--health-timeout", "20s"]


def health(engine, name):
    return engine.state(name).get("Health", {}).get("Status")


def test_health_by_command(engine):
    engine.run("--name", "hs", "--health-interval", "1h", "--health-cmd", "true", "busybox", "sleep", "1000")
    assert health(engine, "hs") == "starting"
    engine.ok("rm", "-f", "hs")
    engine.run("--name", "hc", *HEALTH, "--health-cmd", "test -e /well && echo fine", "busybox", "sleep", "1000")
    eventually(lambda: health(engine, "hc") == "unhealthy")
    assert "(unhealthy)" in engine.ok("ps", "--format", "{{.Status}}")
    engine.ok("exec", "hc", "touch", "/well")
    eventually(lambda: health(engine, "hc") == "healthy")
    assert engine.state("hc")["Health"]["Log"][-1]["Output"] == "fine\n"
    assert len(engine.state("hc")["Health"]["Log"]) <= 5
    assert [x["Action"] for x in engine.events() if x["Action"].startswith("health")][-2:] == ["health_status: unhealthy", "health_status: healthy"]


def test_health_that_takes_too_long(engine):
    engine.run("--name", "hl", "--health-interval", "50ms", "--health-retries", "1", "--health-timeout", "200ms", "--health-cmd", "sleep 60",
               "busybox", "sleep", "1000")
    eventually(lambda: health(engine, "hl") == "unhealthy")
    assert engine.state("hl")["Health"]["Log"][0] ["ExitCode"] == -1
    assert "exceeded timeout (200ms)" in engine.state("hl")["Health"]["Log"][0]["Output"]


def test_health_by_http_and_tcp(engine):
    serve = "mkdir /www; echo ok > /www/index.html; exec httpd -f -p 8080 -h /www"
    engine.run("--name", "hh", *HEALTH, "--health-http", "http://127.0.0.1:8080/index.html", "busybox", "sh", "-c", serve)
    engine.run("--name", "ht", *HEALTH, "--health-tcp", "127.0.0.1:8080", "busybox", "sh", "-c", serve)
    engine.run("--name", "hn", *HEALTH, "--health-http", "http://127.0.0.1:8080/none", "busybox", "sh", "-c", serve)
    for name, status in ("hh", "healthy"), ("ht", "healthy"), ("hn", "unhealthy"):
        eventually(lambda name=name, status=status: health(engine, name) == status)
    eventually(lambda: "404" in engine.state("hn")["Health"]["Log"][-1]["Output"])  # before it listens, it is ill of that


@pytest.mark.parametrize("action, status", [("kill", "exited"), ("stop", "exited")])
def test_health_on_failure(engine, action, status):
    engine.run("--name", "hf", *HEALTH, "--health-on-failure", action, "--stop-timeout", "1", "--health-cmd", "false", "busybox", "sleep", "1000")
    eventually(lambda: engine.status("hf") == status)


def test_health_restarts(engine):
    engine.run("--name", "hr", *HEALTH, "--health-on-failure", "restart", "--health-cmd", "false", "busybox", "sleep", "1000")
    eventually(lambda: engine.inspect("hr")["RestartCount"] >= 1)


# ---- update, prune, boot ----

def test_update(engine):
    engine.run("--name", "up", "--memory", "64m", "busybox", "sleep", "1000")
    assert engine.ok("update", "--memory", "96m", "--memory-swap", "-1", "--restart", "on-failure:3", "up") == "up\n"
    assert "Minimum memoryswap limit should be larger than memory limit" in engine.fails(1, "update", "--memory-swap", "1m", "up")
    host = engine.inspect("up")["HostConfig"]
    assert (host["Memory"], host["RestartPolicy"]) == (96 << 20, {"Name": "on-failure", "MaximumRetryCount": 3})
    assert engine.ok("exec", "up", "cat", "/sys/fs/cgroup/memory/memory.limit_in_bytes").strip() == str(96 << 20) \
        if os.path.exists("/sys/fs/cgroup/memory") else True


def test_prune_leaves_what_is_used(engine):
    engine.ok("tag", "busybox", "spare:1")
    engine.run("--name", "keeps", "-v", "kept-v:/v", "spare:1", "sleep", "1000")
    engine.ok("create", "--name", "ends", "-v", "/anonymous", "busybox", "true")
    assert "invalid filter 'nosuch'" in engine.fails(1, "system", "prune", "-f", "--filter", "nosuch=1")
    assert engine.ok("system", "prune", "-f", "--filter", "label=nosuch") == "Total reclaimed space: 0B\n"
    assert "[y/N]" in engine.ok("system", "prune", "-a", "--volumes", stdin=b"n\n")
    ended = engine.inspect("ends")["Id"]
    out = engine.ok("system", "prune", "-af", "--volumes").splitlines()
    assert out[:2] == ["Deleted Containers:", ended] and out[3] == "Deleted Volumes:" and len(out[4]) == 64
    assert not any(line.startswith("deleted:") for line in out) and engine.ok("volume", "ls", "-q") == "kept-v\n"
    assert engine.ok("exec", "keeps", "echo", "here") == "here\n"
    engine.ok("rm", "-f", "keeps")
    engine.ok("volume", "rm", "kept-v")
    engine.ok("rmi", "spare:1")


def test_disk_usage(engine):
    engine.ok("run", "--name", "full", "-v", "used-v:/v", "busybox", "sh", "-c", "head -c 300000 /dev/zero >/file; ln /file /again; head -c 5000 /dev/zero >/v/x")
    assert engine.ok("ps", "-as", "--format", "{{.Size}}").startswith("300kB (virtual ")
    assert json.loads(engine.ok("inspect", "-s", "full"))[0]["SizeRw"] == 300000
    lines = engine.ok("system", "df", "--format", "{{.Type}} {{.TotalCount}} {{.Active}} {{.Size}} {{.Reclaimable}}").splitlines()
    assert lines[0].startswith("Images 1 1 ") and lines[1:] == ["Containers 1 0 300kB 300kB (100%)", "Local Volumes 1 1 5kB 0B (0%)", "Build Cache 0 0 0B 0B"]
    assert "used-v        1         5kB\n" in engine.ok("system", "df", "-v")
    engine.ok("rm", "full")
    assert "Total reclaimed space: 5kB" in engine.ok("volume", "prune", "-af")


def test_a_shared_network_has_one_name(engine):
    engine.run("--name", "host-a", "-h", "shared", "busybox", "sleep", "1000")
    engine.ok("exec", "host-a", "sh", "-c", "echo 1.2.3.4 mine >>/etc/hosts")
    out = engine.ok("run", "--rm", "--network", "container:host-a", "busybox", "sh", "-c", "hostname; cat /etc/hosts")
    assert out.startswith("shared\n") and "1.2.3.4 mine\n" in out


def test_shared_memory(engine):
    engine.run("--name", "shm-a", "--ipc", "shareable", "busybox", "sleep", "1000")
    engine.ok("run", "--rm", "--ipc", "container:shm-a", "busybox", "sh", "-c", "echo here >/dev/shm/file")
    assert engine.ok("exec", "shm-a", "cat", "/dev/shm/file") == "here\n"
    engine.run("--name", "shm-b", "--ipc", "container:shm-a", "busybox", "sleep", "1000")
    engine.ok("rm", "-f", "shm-a")
    assert engine.ok("exec", "shm-b", "cat", "/dev/shm/file") == "here\n"


def test_an_anonymous_volume_goes_with_its_last_owner(engine):
    engine.ok("create", "--name", "first", "-v", "/anonymous", "busybox", "true")
    engine.ok("create", "--name", "last", "--volumes-from", "first", "busybox", "true")
    engine.ok("rm", "-v", "first")
    assert len(engine.ok("volume", "ls", "-q").split()) == 1
    engine.ok("rm", "-v", "last")
    assert engine.ok("volume", "ls", "-q") == ""


def test_a_file_for_the_id_that_cannot_be_made(engine):
    assert "/nosuch/cid: no such file" in engine.fails(127, "run", "--cidfile", "/nosuch/cid", "busybox", "true")
    assert engine.ok("ps", "-aq") == ""


def test_input_that_is_no_terminal(engine):
    for command in ["run", "--rm", "-it", "busybox", "true"], ["run", "--rm", "-it", "--detach-keys", "ctrl-?", "busybox", "true"]:
        assert engine.fails(1, *command) == "the input device is not a TTY\n"


def test_templates_see_structs(engine):
    engine.ok("create", "--name", "seen", "-v", "/data", "--health-cmd", "true", "--health-interval", "90s", "busybox", "true")
    assert engine.ok("inspect", "-f", "{{.HostConfig.RestartPolicy}} {{.HostConfig.Binds}} {{.HostConfig.Init}}", "seen") == "{no 0} [] <nil>\n"
    assert engine.ok("inspect", "-f", "{{.Config.Healthcheck.Interval}} {{.Config.Volumes}} {{len .HostConfig.CapAdd}}", "seen") == "1m30s map[/data:{}] 0\n"
    assert engine.ok("inspect", "-f", "{{range .Mounts}}{{.}}{{end}}", "seen").startswith("{volume ")
    # Id is ID in docker's struct: the template gets maps
    assert engine.ok("inspect", "-f", "{{len .Id}} {{.HostConfig.RestartPolicy}}", "seen") == "64 map[MaximumRetryCount:0 Name:no]\n"
    assert 'map has no entry for key "Health"' in engine.fails(1, "inspect", "-f", "{{.State.Health.Status}}", engine.ok("create", "busybox").strip())


def test_prune(engine):
    engine.ok("run", "--name", "gone", "busybox", "true")
    engine.run("--name", "stays", "busybox", "sleep", "1000")
    gone = engine.inspect("gone")["Id"]
    assert engine.ok("container", "prune", "-f") == f"Deleted Containers:\n{gone}\n\nTotal reclaimed space: 0B\n"
    assert engine.ok("ps", "-a", "--format", "{{.Names}}") == "stays\n"


def test_boot(engine):
    for name, policy in ("b-always", "always"), ("b-unless", "unless-stopped"), ("b-no", "no"):
        engine.run("--name", name, "--restart", policy, "busybox", "sleep", "1000")
        engine.ok("stop", "-t", "0", name)
    assert engine.ok("boot") == "b-always\n"
    assert engine.ok("ps", "--format", "{{.Names}}") == "b-always\n"


def test_a_run_root_that_was_cleared(engine):
    engine.run("--name", "cleared", "busybox", "sleep", "1000")
    os.unlink(os.path.join(engine.run_root, "monitors", engine.inspect("cleared")["Id"]))
    assert engine.ok("rm", "-f", "cleared") == "cleared\n"
    assert engine.ok("ps", "-aq") == ""


def test_the_root_is_as_the_image_has_it(engine, tmp_path):
    root = tmp_path / "root"
    os.makedirs(root / "bin")
    with open("/bin/busybox", "rb") as f:
        (root / "bin" / "sh").write_bytes(f.read())
    os.chmod(root / "bin" / "sh", 0o755)
    os.chmod(root, 0o711)
    os.chown(root, 7, 8)
    archive = str(tmp_path / "root.tar")
    subprocess.run(["tar", "-C", str(root), "-cf", archive, "."], check=True)
    engine.ok("import", archive, "rooted:1")
    engine.ok("run", "--name", "rooted", "rooted:1", "/bin/sh", "-c", "echo >/made")
    st = os.stat(os.path.join(engine.directory(engine.inspect("rooted")["Id"]), "upper"))
    assert (st.st_mode & 0o7777, st.st_uid, st.st_gid) == (0o711, 7, 8)
    engine.ok("rm", "rooted")
    engine.ok("rmi", "rooted:1")


def test_a_network_namespace_by_its_path(engine):
    name = engine.run("busybox", "top")
    path = f"/proc/{engine.state(name)['Pid']}/ns/net"
    assert engine.ok("run", "--rm", "--network", f"ns:{path}", "busybox", "readlink", "/proc/self/ns/net") == os.readlink(path) + "\n"
