"""containerd by itself: its runc shim drives the runtime, ctr drives containerd."""
import signal

from engine import Terminal, wait_until
from world import cgroup_file

MIB = 1 << 20


def status(containerd, name):
    return containerd.tasks().get(name, (0, None))[1]


def test_output_and_exit_codes(containerd):
    assert containerd.output("echo", "hello").text == "hello"
    containerd.run("sh", "-c", "exit 42").exits(42)
    done = containerd.run("no-such-program")
    assert done.code == 1 and "executable file not found" in done.err


def test_stdin(containerd):
    assert containerd.output("head", "-n", "2", stdin="a\nb\nc\n").lines == ["a", "b"] # ctr does not tell where stdin ends


def test_a_terminal(containerd):
    words = containerd.run_words("--rm", "-t", "docker.io/skep-test/busybox:latest", containerd.name(), "sh")
    terminal = Terminal(containerd.argv(*words), rows=29, columns=73)
    terminal.expect("# ").type("tty; until [ \"$(stty size)\" = '29 73' ]; do sleep 0.05; done; echo si''zed; exit 6\n")
    terminal.expect("/dev/pts/0\r\r\n").expect("sized") # ctr has the other \r added
    assert terminal.end() == 6


def test_a_task_and_its_processes(containerd):
    name = containerd.start("sh", "-c", "trap 'exit 7' TERM; while :; do sleep 0.05; done")
    pid, state = containerd.tasks()[name]
    assert state == "RUNNING"
    assert containerd.exec_output(name, "sh", "-c", "echo $PPID; pwd").lines == ["0", "/"]
    containerd.exec(name, "sh", "-c", "test $(id -u)$(pwd) = 1000/tmp && exit 5", options=("--user", "1000", "--cwd", "/tmp")).exits(5)
    assert str(pid) in containerd("tasks", "ps", name).ok().out
    containerd("tasks", "pause", name).ok()
    assert status(containerd, name) == "PAUSED"
    containerd("tasks", "resume", name).ok()
    assert status(containerd, name) == "RUNNING"
    containerd("tasks", "kill", "-s", "TERM", name).ok()
    wait_until(lambda: status(containerd, name) == "STOPPED", "it ends")
    assert "exit code 7" in containerd("tasks", "delete", name).ok().err


def test_a_task_is_killed_with_all_its_processes(containerd):
    name = containerd.start("sh", "-c", "sleep 1000 & sleep 1000 & wait")
    wait_until(lambda: len(containerd("tasks", "ps", name).ok().lines) == 4, "three processes")
    containerd("tasks", "kill", "--all", "-s", "KILL", name).ok()
    wait_until(lambda: status(containerd, name) == "STOPPED", "it ends")
    assert "exit code 137" in containerd("tasks", "delete", name).ok().err


def test_limits(containerd):
    name = containerd.start("sleep", "1000", options=("--memory-limit", str(48 * MIB), "--cpus", "0.5"))
    assert cgroup_file(containerd.tasks()[name][0], "memory.limit_in_bytes", "memory.max") == str(48 * MIB)
    assert "memory.usage" in containerd("tasks", "metrics", name).ok().out.lower()


def test_options_of_the_specification(containerd):
    options = ("--read-only", "--env", "HIVE=cork", "--cwd", "/tmp", "--seccomp", "--mount", "type=bind,src=/etc,dst=/host,options=rbind:ro", "--cap-add", "CAP_SYS_TIME")
    done = containerd.output("sh", "-c", "echo $HIVE; pwd; touch /tmp/x || echo read-only; test -e /host/debian_version && touch /host/x || echo bound; grep -E '^(Seccomp|CapEff|NoNewPrivs):' /proc/self/status", options=options)
    assert done.lines == ["cork", "/tmp", "read-only", "bound", "CapEff:\t00000000aa0425fb", "NoNewPrivs:\t1", "Seccomp:\t2"]


def test_a_device(containerd):
    assert containerd.run("test", "-c", "/dev/fuse").code == 1
    containerd.run("sh", "-c", "test -c /dev/fuse && exec 3</dev/fuse", options=("--device", "/dev/fuse")).ok()


def test_a_user_namespace(containerd):
    options = ("--uidmap", "0:200000:65536", "--gidmap", "0:200000:65536", "--remap-labels")
    done = containerd.output("sh", "-c", "cat /proc/self/uid_map; id -u; touch /tmp/x; stat -c %u /tmp/x", options=options)
    assert [line.split() for line in done.lines] == [["0", "200000", "65536"], ["0"], ["0"]]


def test_without_pivot_root(containerd):
    assert containerd.output("cat", "/etc/not-a-program", options=("--no-pivot",)).text == "no interpreter reads this"


def test_a_namespace_of_another_task(containerd):
    name = containerd.start("sleep", "1000")
    pid = containerd.tasks()[name][0]
    assert "sleep 1000" in containerd.output("ps", options=("--with-ns", f"pid:/proc/{pid}/ns/pid")).out


def test_tasks_stay_when_containerd_is_restarted(containerd):
    name = containerd.start("sh", "-c", "trap 'exit 7' TERM; while :; do sleep 0.05; done")
    before = containerd.tasks()[name]
    for how in (signal.SIGTERM, signal.SIGKILL):
        containerd.daemon.stop(how)
        containerd.daemon.start(containerd.data)
        assert containerd.tasks()[name] == before
        assert containerd.exec_output(name, "echo", "here").text == "here"
    containerd("tasks", "kill", "-s", "TERM", name).ok()
    wait_until(lambda: status(containerd, name) == "STOPPED", "it ends")
    assert "exit code 7" in containerd("tasks", "delete", name).ok().err


def test_nothing_is_left(containerd):
    name = containerd.start("sleep", "1000")
    containerd.clean()
    assert name not in containerd.tasks()
