"""exec: a further process in a running container."""
import json
import os

import pytest


def test_exit_status_and_output(running):
    result = running.exec("sh", "-c", "echo out; echo err >&2; exit 9")
    assert (result.code, result.out, result.err) == (9, "out\n", "err\n")
    assert running.exec("cat", stdin="through").ok().out == "through"


def test_a_killed_process_gives_128_and_the_signal(running):
    assert running.exec("sh", "-c", "kill -TERM $$").code == 128 + 15


def test_options(running):
    script = "pwd; echo $A-$B; id -u; id -g; id -G"
    flags = ["-e", "A=1", "-e", "B=x y", "--cwd", "/tmp", "--user", "1000:1001", "-g", "7", "-g", "8"]
    assert running.exec("sh", "-c", script, flags=flags).ok().lines == ["/tmp", "1-x y", "1000", "1001", "1001 7 8"]


def test_options_with_an_equals_sign(running):
    assert running.exec("sh", "-c", "pwd; id -u", flags=["--cwd=/tmp", "--user=5"]).ok().lines == ["/tmp", "5"]


def test_the_arguments_of_the_command_are_its_own(running):
    assert running.exec("echo", "--cwd", "-e", "--", "x").ok().out == "--cwd -e -- x\n"


def test_process_file(running, tmp_path):
    process = {"args": ["sh", "-c", "id -u; pwd; echo $X; grep NoNewPrivs /proc/self/status"], "cwd": "/tmp", "env": ["PATH=/bin", "X=7"],
               "user": {"uid": 3, "gid": 4}, "noNewPrivileges": True}
    (tmp_path / "process.json").write_text(json.dumps(process))
    lines = running.runtime.run("exec", "--process", tmp_path / "process.json", running.id).ok().lines
    assert lines[:3] == ["3", "/tmp", "7"]
    assert lines[3].split()[1] == "1"


def test_detach_and_pid_file(running, tmp_path):
    running.exec("sh", "-c", "exec sleep 60", flags=["--detach", "--pid-file", tmp_path / "pid"]).ok()
    pid = int((tmp_path / "pid").read_text())
    pids = json.loads(running.runtime.run("ps", "--format", "json", running.id).ok().out)
    assert pid in pids and len(pids) == 2


def test_it_joins_every_namespace(running):
    script = "for n in cgroup ipc mnt net pid user uts; do readlink /proc/$1/ns/$n; done"
    there = running.exec("sh", "-c", script, "sh", "1").ok().lines
    here = running.exec("sh", "-c", script, "sh", "self").ok().lines
    assert there == here and len(here) == 7
    # and the control groups
    ours = running.exec("cat", "/proc/self/cgroup").ok().out
    assert ours == running.exec("cat", "/proc/1/cgroup").ok().out
    assert running.cgroup in ours


def test_capabilities(running):
    """An exec gets the container's capabilities and nothing inheritable or ambient unless told."""
    def sets(*flags):
        lines = running.exec("grep", "Cap", "/proc/self/status", flags=flags).ok().lines
        return {name: int(value, 16) for name, value in (line.split(":\t") for line in lines)}

    own = (1 << 29) | (1 << 5) | (1 << 10)
    assert sets() == {"CapInh": 0, "CapPrm": own, "CapEff": own, "CapBnd": own, "CapAmb": 0}
    more = own | 1 << 13
    got = sets("--cap", "CAP_NET_RAW")
    assert got["CapEff"] == more and got["CapBnd"] == more


def test_no_new_privs(box):
    box.process["noNewPrivileges"] = False
    box.sh("echo up; exec sleep 60").up()
    assert box.output.line() == "up"
    assert box.exec("grep", "NoNewPrivs", "/proc/self/status").ok().out.split()[1] == "0"
    assert box.exec("grep", "NoNewPrivs", "/proc/self/status", flags=["--no-new-privs"]).ok().out.split()[1] == "1"


def test_only_the_wanted_descriptors(running):
    assert running.exec("fds").ok().lines == ["0", "1", "2"]
    running.runtime.prefix = ["sh", "-c", 'exec 3</dev/null 4</dev/null; exec "$@"', "sh"]
    assert running.exec("fds").ok().lines == ["0", "1", "2"]
    assert running.exec("fds", flags=["--preserve-fds", "1"]).ok().lines == ["0", "1", "2", "3"]


@pytest.mark.parametrize("argv, text", [
    (["nosuch"], "executable file not found"), (["/bin/nosuch"], "no such file or directory"), (["/etc/plain"], "permission denied")])
def test_what_cannot_be_executed(running, argv, text):
    with open(os.path.join(running.rootfs, "etc/plain"), "w", encoding="ascii") as f:
        f.write("not a program\n")
    result = running.exec(*argv).fails(text)
    assert result.code >= 126


@pytest.mark.parametrize("user", ["4294967296", "-1", "1:2:3", "1:4294967296", "1x"])
def test_bad_users(running, user):
    running.exec("true", flags=["--user", user]).fails()
    assert running.status == "running"


def test_only_in_a_running_container(box):
    box.args("true").create().ok()
    box.exec("echo", "early").ok()  # runc allows it in a created one
    pidfd = box.pidfd()
    box.start().ok()
    box.wait(pidfd)
    box.exec("true").fails("stopped")


def test_no_way_out_through_the_working_directory(running):
    """CVE-2024-21626: a descriptor of the host as working directory."""
    for fd in range(3, 12):
        result = running.exec("pwd", flags=["--cwd", f"/proc/self/fd/{fd}"])
        assert result.code != 0, result


def test_the_process_that_executes_is_not_the_runtime(running, tmp_path):
    """CVE-2019-5736: the runtime's file cannot be written through /proc/self/exe."""
    script = os.path.join(running.rootfs, "bin/evil")
    with open(script, "w", encoding="ascii") as f:
        f.write("#!/proc/self/exe\n")
    os.chmod(script, 0o755)
    result = running.exec("evil")
    assert result.code != 0 or "busybox" in result.out.lower(), result
