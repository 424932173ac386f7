"""What a container was asked to be, in the documents of docker's API, as it is once it runs: spec_tool translates, the runtime runs."""
import json
import os
import secrets
import stat
import subprocess

import pytest

from container import DEADLINE, OWN, is_static

TOOL = os.path.join(os.path.dirname(OWN), "tests", "engine", "spec_tool")
PASSWD = "root:x:0:0:root:/root:/bin/sh\nweb:x:33:34:web:/srv:/bin/sh\n"
GROUP = "root:x:0:\nweb:x:34:\nstaff:x:50:web\nvideo:x:44:\n"


class Asked:
    """A container of its documents."""

    def __init__(self, box):
        self.box, self.id = box, secrets.token_hex(32)
        self.parent = os.path.dirname(box.cgroup)
        box.cgroup = f"{self.parent}/{self.id}"
        self.dir = os.path.join(box.bundle, "dir")
        os.makedirs(self.dir)
        for name, text in (("passwd", PASSWD), ("group", GROUP)):
            with open(os.path.join(box.rootfs, "etc", name), "w", encoding="ascii") as f:
                f.write(text)
        os.makedirs(os.path.join(box.rootfs, "srv"))

    def translate(self, script, config=None, host=None, mounts=(), **more):
        document = {"Config": {"Cmd": ["sh", "-c", script], "Env": ["PATH=/bin"], **(config or {})}, "HostConfig": {"NetworkMode": "none", **(host or {})},
                    "Mounts": list(mounts), "Init": OWN, "CgroupParent": self.parent, **more}
        return subprocess.run([TOOL, self.id, self.box.rootfs, self.dir], input=json.dumps(document), capture_output=True, text=True, timeout=DEADLINE,
                              check=False)

    def run(self, script, **more):
        made = self.translate(script, **more)
        assert made.returncode == 0 and not made.stderr, made.stderr
        self.box.config = json.loads(made.stdout)
        return self.box.run()

    def says(self, script, **more):
        return self.run(script, **more).ok().out.strip()


@pytest.fixture
def asked(world):
    return Asked(world.box())


def test_the_everyday_container(asked):
    lines = asked.says("id -u; id -G; echo $HOME $PATH; hostname; cat /etc/hostname; pwd; cat /proc/self/oom_score_adj; ls /proc/1/ns | wc -l").splitlines()
    short = asked.id[:12]
    assert lines == ["0", "0", "/root /bin", short, short, "/", "0", lines[-1]]


def test_users_and_groups(asked):
    assert asked.says("id -u; id -g; id -G; echo $HOME", config={"User": "web"}, host={"GroupAdd": ["video"]}).split() == ["33", "34", "34", "44", "50", "/srv"]


def test_a_user_that_is_not_there(asked):
    made = asked.translate("true", config={"User": "nobody"})
    assert made.returncode == 1 and made.stderr == "unable to find user nobody: no matching entries in passwd file\n"


@pytest.mark.parametrize("host, mask", [({}, 0x800405fb), ({"CapAdd": ["NET_ADMIN"], "CapDrop": ["chown"]}, 0x800415fa), ({"CapDrop": ["ALL"]}, 0)])
def test_capabilities(asked, host, mask):
    assert asked.says("grep -E '^Cap(Eff|Bnd|I|Amb)' /proc/self/status", host=host).split()[1::2] == ["0" * 16, f"{mask:016x}", f"{mask:016x}", "0" * 16]


def test_the_filter(asked):
    out = asked.says("unshare -r true; mount -t tmpfs x /tmp; umount /proc; hostname other; echo done; grep ^Seccomp: /proc/self/status",
                     config={"Env": ["PATH=/bin"]})
    assert out == "done\nSeccomp:\t2"


def test_another_filter(asked):
    deny = {"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO", "errnoRet": 28}]}
    out = asked.says("mkdir /tmp/x 2>&1; true", host={"SecurityOpt": [f"seccomp={json.dumps(deny)}"]})
    assert "No space left" in out


def test_no_filter_and_no_masks(asked):
    host = {"SecurityOpt": ["seccomp=unconfined", "systempaths=unconfined", "no-new-privileges"]}
    assert asked.says("grep -E '^(Seccomp|NoNewPrivs):' /proc/self/status; wc -c </proc/interrupts", host=host).split()[1:4:2] == ["1", "0"]


def test_what_is_masked(asked):
    assert asked.says("wc -c </proc/interrupts; ls /sys/firmware | wc -l; echo 1 2>/dev/null >/proc/sys/kernel/hostname || echo ro").split() == ["0", "0", "ro"]


def test_mounts(asked, tmp_path):
    (tmp_path / "below").mkdir()
    (tmp_path / "file").write_text("hello\n")
    points = [{"Type": "bind", "Source": str(tmp_path), "Destination": "/data", "RW": False},
              {"Type": "bind", "Source": str(tmp_path), "Destination": "/rw", "RW": True},
              {"Type": "tmpfs", "Destination": "/fast", "RW": True, "options": ["size=1m", "exec"]}]
    out = asked.says("cat /data/file; touch /data/x 2>/dev/null || echo ro; touch /rw/x && echo rw; touch /data/below/x 2>/dev/null || echo ro; "
                     "grep -E ' /(fast|t|dev/shm) ' /proc/mounts", mounts=points, host={"Tmpfs": {"/t": "size=2m,mode=1700"}, "ShmSize": 1 << 20})
    lines = out.splitlines()
    assert lines[:4] == ["hello", "ro", "rw", "ro"]
    mounted = {line.split(" ")[1]: set(line.split(" ")[3].split(",")) for line in lines[4:]}
    assert {"size=1024k", "nosuid", "nodev"} <= mounted["/fast"] and "noexec" not in mounted["/fast"]
    assert {"size=2048k", "mode=1700", "noexec", "nosuid", "nodev"} <= mounted["/t"]
    assert {"size=1024k", "noexec"} <= mounted["/dev/shm"]


def test_a_read_only_root(asked):
    out = asked.says("touch /x 2>/dev/null || echo ro; touch /run/x && echo rw; touch /dev/shm/x && echo rw; echo x 2>/dev/null >>/etc/hosts || echo ro",
                     host={"ReadonlyRootfs": True, "Tmpfs": {"/run": ""}})
    assert out.split() == ["ro", "rw", "rw", "ro"]


def test_files_of_names(asked):
    out = asked.says("cat /etc/hosts; grep -v ^# /etc/resolv.conf; hostname; echo more >>/etc/hosts", config={"Hostname": "web"},
                     host={"ExtraHosts": ["db:10.0.0.7"], "Dns": ["192.0.2.1"], "DnsSearch": ["lan"], "DnsOptions": ["ndots:2"]})
    assert "127.0.0.1\tlocalhost\n" in out and "10.0.0.7\tdb\n" in out
    assert out.split()[-7:] == ["nameserver", "192.0.2.1", "search", "lan", "options", "ndots:2", "web"]
    with open(os.path.join(asked.dir, "hosts"), encoding="ascii") as f:
        assert f.read().endswith("more\n")


def test_devices(asked):
    host = {"Devices": [{"PathOnHost": "/dev/null", "PathInContainer": "/dev/mine", "CgroupPermissions": "rwm"}]}
    assert asked.says("echo x >/dev/mine && stat -c '%F %t:%T' /dev/mine; ls /dev | grep -c kmsg || true", host=host).splitlines() == [
        "character special file 1:3", "0"]


def test_rules_of_devices(asked):
    """/dev/kmsg (1:11) by number: neither made nor allowed unless said."""
    script = "mknod /tmp/k c 1 11 && head -c 1 /tmp/k >/dev/null 2>&1 && echo open || echo refused"
    assert asked.says(script, host={"CapAdd": ["MKNOD", "SYSLOG"]}) == "refused"


def test_allowed_by_a_rule(asked):
    script = "mknod /tmp/k c 1 11 && head -c 1 /tmp/k >/dev/null 2>&1 && echo open || echo refused"
    assert asked.says(script, host={"CapAdd": ["MKNOD", "SYSLOG"], "DeviceCgroupRules": ["c 1:11 r"]}) == "open"


def test_privileged(asked):
    out = asked.says("mount -t tmpfs x /tmp && echo mounted; ls /dev | grep -cx kmsg; grep -E '^CapEff|^Seccomp:' /proc/self/status; "
                     "grep -c ' /proc/sys ' /proc/mounts || true", host={"Privileged": True})
    lines = out.splitlines()
    assert lines[0] == "mounted" and lines[1] == ("1" if os.path.exists("/dev/kmsg") else "0") and lines[3] == "Seccomp:\t0" and lines[4] == "0"
    with open("/proc/self/status", encoding="ascii") as f:
        own = next(line for line in f if line.startswith("CapPrm")).split()[1]
    assert lines[2].split()[1] == own


def limit_file(v1, v2):
    return f"cat /sys/fs/cgroup/{v2} 2>/dev/null || cat /sys/fs/cgroup/{v1}"


def test_limits(asked):
    script = "; ".join([limit_file("memory/memory.limit_in_bytes", "memory.max"), limit_file("pids/pids.max", "pids.max"),
                        limit_file("cpu/cpu.cfs_quota_us", "cpu.max"), "ulimit -n", "ulimit -c"])
    made = asked.translate(script, host={"Memory": 64 << 20, "PidsLimit": 50, "NanoCpus": 500000000,
                                         "Ulimits": [{"Name": "nofile", "Soft": 100, "Hard": 200}, {"Name": "core", "Soft": 0, "Hard": 0}]})
    assert made.returncode == 0, made.stderr
    asked.box.config = json.loads(made.stdout)
    lines = asked.box.run().ok().lines
    assert lines[0] == str(64 << 20) and lines[1] == "50" and lines[2] in ("50000", "50000 100000") and lines[3:] == ["100", "0"]


def test_a_limit_beyond_the_machine(asked):
    made = asked.translate("true", host={"Ulimits": [{"Name": "nofile", "Soft": 1, "Hard": 1 << 40}]})
    assert made.returncode == 1 and "ulimit nofile: a hard limit of 1099511627776 was asked for, but this machine grants no more than " in made.stderr


def test_sysctls(asked):
    out = asked.says("cat /proc/sys/net/ipv4/ip_unprivileged_port_start /proc/sys/net/ipv4/ping_group_range /proc/sys/kernel/shmmni "
                     "/proc/sys/net/ipv4/ip_forward", host={"Sysctls": {"kernel.shmmni": "100", "net.ipv4.ip_forward": "1"}})
    assert out.split() == ["0", "0", "2147483647", "100", "1"]


def test_namespaces_of_the_host(asked):
    out = asked.says("for n in net ipc pid uts; do readlink /proc/self/ns/$n; done; hostname",
                     host={"NetworkMode": "host", "IpcMode": "host", "PidMode": "host", "UTSMode": "host"})
    here = [os.readlink(f"/proc/self/ns/{name}") for name in ("net", "ipc", "pid", "uts")]
    assert out.split() == here + [os.uname().nodename]


def test_a_user_namespace(asked):
    # the image's files as the engine would show them: owned by the range
    first = 2000000000
    subprocess.run(["chown", "-R", f"{first}:{first}", asked.box.rootfs, asked.dir], check=True)
    for top in (asked.box.rootfs, asked.box.bundle):
        os.chmod(top, os.stat(top).st_mode | stat.S_IXOTH | stat.S_IROTH)
    script = "cat /proc/self/uid_map; id -u; ls /sys/class/net; cat /proc/sys/net/ipv4/ip_unprivileged_port_start; echo x >/dev/null; cat /dev/zero | head -c 1 | wc -c; ls -d /dev/pts/ptmx"
    lines = asked.says(script, host={"UsernsMode": "auto:size=70000"}, First=first).splitlines()
    assert lines[0].split() == ["0", str(first), "70000"] and lines[1:] == ["0", "lo", "0", "1", "/dev/pts/ptmx"]


def test_a_user_namespace_that_shares_the_rest(asked):
    first = 2000000000
    subprocess.run(["chown", "-R", f"{first}:{first}", asked.box.rootfs, asked.dir], check=True)
    for top in (asked.box.rootfs, asked.box.bundle):
        os.chmod(top, os.stat(top).st_mode | stat.S_IXOTH | stat.S_IROTH)
    out = asked.says("readlink /proc/self/ns/net; readlink /proc/self/ns/pid; cat /proc/self/uid_map; ls /sys/class/net | wc -l",
                     host={"UsernsMode": "auto", "NetworkMode": "host", "PidMode": "host", "IpcMode": "host"}, First=first).split()
    assert out[:2] == [os.readlink("/proc/self/ns/net"), os.readlink("/proc/self/ns/pid")]
    assert out[2:5] == ["0", str(first), "1024"] and int(out[5]) == len(os.listdir("/sys/class/net"))


@pytest.mark.skipif(not is_static(OWN), reason="the program needs libraries, which a container has not")
def test_init(asked):
    assert asked.says("echo $$; cat /proc/1/comm", host={"Init": True}).split() == ["2", "docker-init"]


def test_a_terminal(asked):
    out = asked.says("tty; stty size; echo $TERM", config={"Tty": True}, host={"ConsoleSize": [30, 90]})
    assert out.split() == ["/dev/pts/0", "30", "90", "xterm"]
