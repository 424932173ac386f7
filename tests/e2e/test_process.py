"""The container's process: what it is, may do and sees."""
import os
import socket
import threading

import pytest

from container import DEADLINE


def status(box, *names):
    lines = dict(line.split(":\t", 1) for line in box.output_of("cat /proc/self/status").splitlines() if ":\t" in line)
    return [lines[name].strip() for name in names]


def test_ids(box):
    box.process["user"] = {"uid": 1000, "gid": 1001, "additionalGids": [7, 9], "umask": 0o027}
    assert box.output_of("id -u; id -g; id -G; umask; touch /tmp/x 2>/dev/null; echo $HOME").splitlines() == ["1000", "1001", "1001 7 9", "0027", "/root"]


def test_pipes_belong_to_the_user(box):
    """So that it can open them again, by their names in /dev."""
    box.process["user"] = {"uid": 1000, "gid": 1001}
    box.sh("echo again > /dev/stdout").up()
    assert box.output.line() == "again"


def test_the_default_umask(box):
    assert box.output_of("umask") == "0022"


def test_environment_and_directory(box):
    box.process["env"] = ["PATH=/bin", "A=1", "B=x y=z", "EMPTY="]
    box.process["cwd"] = "/tmp"
    lines = box.output_of("env; pwd").splitlines()
    assert {"A=1", "B=x y=z", "EMPTY=", "PATH=/bin"} <= set(lines) and lines[-1] == "/tmp"
    assert not [line for line in lines if line.startswith(("_LIBCONTAINER", "LISTEN", "NOTIFY"))]


def test_home_comes_from_the_passwd_file(box):
    with open(os.path.join(box.rootfs, "etc/passwd"), "w", encoding="ascii") as f:
        f.write("root:x:0:0::/:/bin/sh\n1000:x:0:0::/wrong:/bin/sh\nuser:x:1000:1000::/home/user:/bin/sh\n")
    box.process["env"] = ["PATH=/bin"]
    box.process["user"] = {"uid": 1000, "gid": 1000}
    assert box.output_of("echo $HOME; id -u; id -g").split() == ["/home/user", "1000", "1000"]


def test_capabilities(box):
    """CVE-2022-24769 and its kin: nothing inheritable or ambient unless asked for."""
    mask = f"{(1 << 29) | (1 << 5) | (1 << 10):016x}"
    assert status(box, "CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb") == ["0" * 16, mask, mask, mask, "0" * 16]


def test_all_five_sets(box):
    kill, chown = "CAP_KILL", "CAP_CHOWN"
    box.process["capabilities"] = {"bounding": [kill, chown], "effective": [kill], "permitted": [kill, chown], "inheritable": [kill], "ambient": [kill]}
    box.process["user"] = {"uid": 1000, "gid": 1000}
    both, one = f"{(1 << 5) | 1:016x}", f"{1 << 5:016x}"
    assert status(box, "CapInh", "CapBnd", "CapAmb", "CapEff") == [one, both, one, one]


def test_no_capability_at_all(box):
    box.process["capabilities"] = {}
    assert status(box, "CapPrm", "CapEff", "CapBnd") == ["0" * 16] * 3


def test_another_user_has_no_effective_ones(box):
    box.process["user"] = {"uid": 1000, "gid": 1000}
    assert status(box, "CapPrm", "CapEff", "CapAmb") == ["0" * 16] * 3


@pytest.mark.parametrize("value", [True, False])
def test_no_new_privileges(box, value):
    box.process["noNewPrivileges"] = value
    assert status(box, "NoNewPrivs") == ["1" if value else "0"]


def test_rlimits(box):
    box.process["rlimits"] = [{"type": "RLIMIT_NOFILE", "soft": 111, "hard": 222}, {"type": "RLIMIT_CORE", "soft": 0, "hard": 0}]
    assert box.output_of("ulimit -n; ulimit -Hn; ulimit -Hc").split() == ["111", "222", "0"]


def test_a_limit_that_is_not_granted_is_told_at_create(box):
    """Not at start, when engines have told their users already that the container exists."""
    box.process["rlimits"] = [{"type": "RLIMIT_NOFILE", "soft": 10, "hard": 2000}]
    box.runtime.prefix = ["prlimit", "--nofile=1000:1000", "setpriv", "--bounding-set=-sys_resource", "--inh-caps=-sys_resource"]
    box.create().fails("error setting rlimit type 7: operation not permitted", "RLIMIT_NOFILE", "2000", "1000", "CAP_SYS_RESOURCE")


def test_hostname_and_domainname(box):
    box.config["hostname"], box.config["domainname"] = "the-host", "the.domain"
    assert box.output_of("hostname; cat /proc/sys/kernel/domainname").split() == ["the-host", "the.domain"]


def test_sysctl(box):
    box.linux["sysctl"] = {"net.ipv4.ip_forward": "1", "kernel.shm_rmid_forced": "1", "net.ipv4.conf.lo.rp_filter": "2"}
    assert box.output_of("cat /proc/sys/net/ipv4/ip_forward /proc/sys/kernel/shm_rmid_forced /proc/sys/net/ipv4/conf/lo/rp_filter").split() == ["1", "1", "2"]


@pytest.mark.parametrize("key", ["vm.swappiness", "kernel.core_pattern", "net/../kernel.core_pattern", "kernel.sysrq"])
def test_sysctls_of_the_host_are_refused(box, key):
    box.linux["sysctl"] = {key: "1"}
    box.run().fails("sysctl")


def test_network_sysctls_need_a_network_namespace(box):
    box.without_namespace("network").linux["sysctl"] = {"net.ipv4.ip_forward": "1"}
    box.run().fails("net.ipv4.ip_forward")


def test_oom_score(box):
    box.process["oomScoreAdj"] = 77
    assert box.output_of("cat /proc/self/oom_score_adj") == "77"


def test_personality(box):
    box.linux["personality"] = {"domain": "LINUX32"}
    assert box.output_of("uname -m") == "i686"


def test_io_priority(box):
    box.process["ioPriority"] = {"class": "IOPRIO_CLASS_BE", "priority": 6}
    assert box.output_of("ionice -p 1") == "best-effort: prio 6"


def test_scheduler(box):
    box.process["scheduler"] = {"policy": "SCHED_BATCH", "nice": 5}
    fields = box.output_of("cat /proc/self/stat").rpartition(")")[2].split()
    assert (fields[38], fields[16]) == ("3", "5")  # policy, nice


def test_cpu_affinity_of_exec(running):
    running.process["execCPUAffinity"] = {"initial": "0", "final": "0"}
    assert running.exec("grep", "Cpus_allowed_list", "/proc/self/status").ok()


@pytest.mark.parametrize("argv, text", [(["nosuch"], "executable file not found"), (["/bin/nosuch"], "no such file or directory")])
def test_what_cannot_be_executed(box, argv, text):
    box.args(*argv).run().fails(text)


def test_a_file_that_is_no_program(box):
    with open(os.path.join(box.rootfs, "plain"), "w", encoding="ascii") as f:
        f.write("text\n")
    box.args("/plain").run().fails("permission denied")


def test_only_three_descriptors(box):
    box.runtime.prefix = ["sh", "-c", 'exec 3</dev/null 5</dev/null; exec "$@"', "sh"]
    assert box.args("fds").run().ok().lines == ["0", "1", "2"]


def test_preserved_descriptors(box):
    box.runtime.prefix = ["sh", "-c", 'exec 3</dev/null 4</dev/null 5</dev/null; exec "$@"', "sh"]
    assert box.args("fds").run("--preserve-fds", "2").ok().lines == ["0", "1", "2", "3", "4"]
    assert box.args("fds").run("--preserve-fds=1").ok().lines == ["0", "1", "2", "3"]


def test_preserved_descriptors_must_be_open(box):
    box.run("--preserve-fds", "9").fails()


def test_socket_activation(box):
    box.runtime.prefix = ["sh", "-c", 'exec 3</dev/null 4</dev/null; exec env LISTEN_PID=$$ LISTEN_FDS=2 "$@"', "sh"]
    lines = box.sh("env; fds").run().ok().lines
    assert {"LISTEN_FDS=2", "LISTEN_PID=1"} <= set(lines)
    assert lines[-5:] == ["0", "1", "2", "3", "4"]


def test_readiness_reaches_the_service_manager(box, world):
    path, told = os.path.join(world.top, "notify"), []
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(path)

        def listen():  # descriptors that come along (BARRIER=1) are closed at once: nobody waits for them
            while "READY=1" not in told or not any(line.startswith("MAINPID=") for line in told):
                told.extend(manager.recv(4096).decode().split())
            while manager.recv(4096) != b"end":
                pass

        listener = threading.Thread(target=listen, daemon=True)
        listener.start()
        box.args("notify", "READY=1").save()
        box.runtime.run("run", "-d", "-b", box.bundle, box.id, stdout=box.output, env={"NOTIFY_SOCKET": path}).ok()
        box.output.sent()
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as last:
            last.sendto(b"end", path)
        listener.join(DEADLINE)
    assert "READY=1" in told and f"MAINPID={box.pid}" in told


def test_signals_are_reset(box):
    box.runtime.prefix = ["sh", "-c", "trap '' HUP PIPE USR1; exec \"$@\"", "sh"]
    lines = box.args("cat", "/proc/self/status").run().ok().lines  # a shell would ignore some itself
    assert [line.split()[1] for line in lines if line.startswith(("SigIgn", "SigBlk"))] == ["0" * 16] * 2


def test_pid_1_and_its_session(box):
    box.args("sh", "-c", "echo $$; cat /proc/self/stat | cut -d' ' -f6")
    assert box.run().ok().lines[0] == "1"


@pytest.mark.parametrize("cwd", ["/proc/self/fd/7", "/proc/self/fd/8", "/proc/self/fd/9", "/proc/self/fd/7/../../.."])
def test_no_way_out_through_the_working_directory(box, cwd):
    """CVE-2024-21626: a descriptor of the host as working directory."""
    box.process["cwd"] = cwd
    box.args("ls", "-d", box.bundle).run().fails()


def test_the_runtimes_file_is_out_of_reach(box):
    """CVE-2019-5736: neither an interpreter line nor /proc/1/exe leads to a writable runtime."""
    with open(os.path.join(box.rootfs, "bin/evil"), "w", encoding="ascii") as f:
        f.write("#!/proc/self/exe\n")
    os.chmod(os.path.join(box.rootfs, "bin/evil"), 0o755)
    result = box.args("/bin/evil").run()
    assert result.code != 0
    assert box.output_of("readlink /proc/1/exe") == "/bin/busybox"
