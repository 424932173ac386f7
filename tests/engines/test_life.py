"""What docker and podman do alike: a container's life."""
import os
import signal
from concurrent.futures import ThreadPoolExecutor

from daemons import IMAGE
from engine import wait_until

# Ends with 7 when it is asked to, and says when it has begun.
POLITE = "trap 'echo bye; exit 7' TERM; echo ready; while :; do sleep 0.05; done"
# Does not listen.
DEAF = "trap '' TERM; echo ready; while :; do sleep 0.05; done"
# Says which signals it gets.
CHATTY = "trap 'echo hup' HUP; trap 'echo usr1' USR1; echo ready; while :; do sleep 0.05; done"


def start(engine, script, *options):
    name = engine.start(*options, IMAGE, "sh", "-c", script)
    engine.wait_for_log(name, "ready")
    return name


def running(pid):
    return os.path.exists(f"/proc/{pid}")


def test_hello(engine):
    assert engine.run(IMAGE).ok().out == "hello from a skep\n"


def test_exit_codes(engine):
    engine.run(IMAGE, "true").exits(0)
    engine.run(IMAGE, "sh", "-c", "exit 42").exits(42)
    engine.run(IMAGE, "sh", "-c", "exec sh -c 'kill -KILL 1; exit 3'").exits(3)


def test_a_program_that_does_not_exist_is_127(engine):
    engine.run(IMAGE, "no-such-program").exits(127, "no-such-program")
    engine.run(IMAGE, "/no/such/program").exits(127, "/no/such/program")


def test_a_program_that_cannot_be_run_is_126(engine):
    engine.run(IMAGE, "/etc").exits(126, "permission denied")
    engine.run(IMAGE, "/etc/passwd").exits(126, "permission denied")


def test_a_container_that_did_not_start_leaves_nothing(engine):
    name = engine.create(IMAGE, "no-such-program")
    assert engine("start", name).code != 0
    assert engine.status(name) in ("created", "exited")
    engine("rm", name).ok()
    assert not [line for line in engine("ps", "-a", "--format", "{{.Names}}").ok().lines if line == name]


def test_stdin_and_stdout_are_pipes(engine):
    done = engine.run("-i", IMAGE, "sh", "-c", "sort; echo finished >&2", stdin="wax\nhoney\npollen\n").ok()
    assert done.lines == ["honey", "pollen", "wax"]
    assert done.err.strip() == "finished"


def test_much_output_arrives_whole(engine):
    lines = engine.run(IMAGE, "seq", "1", "200000").ok().lines
    assert (len(lines), lines[-1]) == (200000, "200000")


def test_a_terminal(engine):
    terminal = engine.terminal("run", "--rm", "-it", IMAGE, "sh", rows=33, columns=77)
    terminal.expect("# ").type("until [ \"$(stty size)\" = '33 77' ]; do sleep 0.05; done; tty; echo $TERM; id -u\n")
    terminal.expect("/dev/pts/0\r\nxterm\r\n0\r\n")
    terminal.resize(20, 60)
    os.kill(terminal.pid, signal.SIGWINCH)
    terminal.type("until [ \"$(stty size)\" = '20 60' ]; do sleep 0.05; done; echo re''sized\n").expect("resized")
    terminal.type("exit 5\n")
    assert terminal.end() == 5


def test_background_and_logs(engine):
    name = engine.start(IMAGE, "sh", "-c", "echo out; echo err >&2; exit 4")
    assert engine("wait", name).ok().text == "4"
    logs = engine("logs", name).ok()
    assert (logs.out, logs.err) == ("out\n", "err\n")
    assert (engine.status(name), engine.inspect(name, "{{.State.ExitCode}}")) == ("exited", "4")


def test_stop_asks_first(engine):
    name = start(engine, POLITE)
    engine("stop", "-t", "20", name).ok()
    assert engine.inspect(name, "{{.State.ExitCode}}") == "7"
    assert "bye" in engine("logs", name).out


def test_stop_then_kills(engine):
    name = start(engine, DEAF)
    pid = engine.pid(name)
    engine("stop", "-t", "1", name).ok()
    assert engine.inspect(name, "{{.State.ExitCode}}") == "137"
    wait_until(lambda: not running(pid), "its init is gone")


def test_signals_by_name_and_number(engine):
    name = start(engine, CHATTY)
    engine("kill", "-s", "HUP", name).ok()
    engine.wait_for_log(name, "hup")
    engine("kill", "-s", "SIGUSR1", name).ok()
    engine.wait_for_log(name, "usr1")
    engine("kill", "-s", "9", name).ok()
    assert engine("wait", name).ok().text == "137"


def test_kill_of_a_stopped_container_fails(engine):
    name = engine.start(IMAGE, "true")
    engine("wait", name).ok()
    assert engine("kill", name).code != 0


def test_restart_makes_a_new_process(engine):
    name = start(engine, POLITE)
    before = engine.pid(name)
    engine("restart", "-t", "1", name).ok()
    wait_until(lambda: engine.status(name) == "running", "it runs again")
    after = engine.pid(name)
    assert after != before
    assert running(after) and not running(before)


def test_start_again_keeps_the_files(engine):
    name = engine.start(IMAGE, "sh", "-c", "echo x >>/etc/count; wc -l </etc/count")
    engine("wait", name).ok()
    assert engine("start", "-a", name).ok().text == "2"


def test_restart_policy(engine):
    name = engine.start("--restart", "on-failure:2", IMAGE, "sh", "-c", "echo again; exit 1")
    wait_until(lambda: engine("logs", name).out.count("again") == 3 and engine.status(name) == "exited", "three attempts")


def test_force_removal(engine):
    name = start(engine, DEAF)
    pid = engine.pid(name)
    assert len(engine.left()) > 1 # the state and control groups that must not stay
    engine.remove(name).ok()
    wait_until(lambda: not running(pid), "its init is gone")
    assert engine("inspect", name).code != 0


def test_removal_of_a_created_container(engine):
    name = engine.create(IMAGE, "true")
    engine("rm", name).ok()


def test_pause(engine):
    name = start(engine, "echo ready; while :; do date +%s%N >/tmp/now; done")
    engine("pause", name).ok()
    assert engine.status(name) == "paused"
    pid = engine.pid(name)
    before = ticks(pid)
    assert engine("exec", name, "true").code != 0
    assert ticks(pid) == before
    engine("unpause", name).ok()
    wait_until(lambda: ticks(pid) > before, "it goes on")
    assert engine.status(name) == "running"


def ticks(pid):
    """CPU time that a process and its children have used."""
    with open(f"/proc/{pid}/stat", encoding="ascii") as f:
        return sum(int(word) for word in f.read().rpartition(")")[2].split()[11:15])


def test_force_removal_of_a_paused_container(engine):
    name = start(engine, POLITE)
    engine("pause", name).ok()
    engine.remove(name).ok()


def test_init_reaps(engine):
    name = engine.start("--init", IMAGE, "sh", "-c", "sh -c 'sleep 0.1 & echo ready'; sleep 1000")
    engine.wait_for_log(name, "ready")
    wait_until(lambda: "Z" not in engine("exec", name, "sh", "-c", "cut -d' ' -f3 /proc/[0-9]*/stat || test $? = 1").ok().text, "no zombie") # one may go between the list and the look
    assert engine("exec", name, "sh", "-c", "tr '\\0' ' ' </proc/1/cmdline").ok().text.startswith(("/sbin/docker-init", "/dev/init", "/run/podman-init"))


def test_twenty_at_once(engine):
    with ThreadPoolExecutor(20) as pool:
        done = list(pool.map(lambda i: engine.run("--network", "none", IMAGE, "sh", "-c", f"echo {i}; exit {i}"), range(20)))
    assert [(result.code, result.text) for result in done] == [(i, str(i)) for i in range(20)]
