"""What a container of which nothing special was asked may do: docker's defaults, with podman's capabilities."""
import os
import re

import pytest

import cgroups
from engines import Engine
from images import SKEP

pytestmark = [pytest.mark.skipif(not os.path.exists(SKEP), reason=f"no {SKEP}"), pytest.mark.skipif(os.geteuid() != 0, reason="needs root")]
CAPABILITIES = {"CHOWN": 0, "DAC_OVERRIDE": 1, "FOWNER": 3, "FSETID": 4, "KILL": 5, "SETGID": 6, "SETUID": 7, "SETPCAP": 8, "NET_BIND_SERVICE": 10,
                "SYS_CHROOT": 18, "SETFCAP": 31}
MASKED = ["/proc/acpi", "/proc/asound", "/proc/interrupts", "/proc/kcore", "/proc/keys", "/proc/latency_stats", "/proc/sched_debug", "/proc/scsi",
          "/proc/timer_list", "/proc/timer_stats", "/sys/devices/virtual/powercap", "/sys/firmware"]
READ_ONLY = ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"]
DEVICES = {"full", "null", "random", "tty", "urandom", "zero"}


@pytest.fixture(scope="module")
def engine(tmp_path_factory):
    made = Engine(str(tmp_path_factory.mktemp("engine")))
    made.ok("image", "bootstrap", "busybox")
    yield made
    made.close()
    assert made.remains() == {"runtime": [], "monitors": []}


def sh(engine, *options_and_script):
    *options, script = options_and_script
    return engine.ok("run", "--rm", *options, "busybox", "sh", "-c", script)


def status(engine, *options):
    return dict(re.findall(r"^(\w+):\s*(\S+)", sh(engine, *options, "cat /proc/self/status"), re.M))


def test_the_process(engine):
    wanted = sum(1 << n for n in CAPABILITIES.values())
    root, user = status(engine), status(engine, "-u", "1000")
    assert [int(root[x], 16) for x in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")] == [0, wanted, wanted, wanted, 0]
    assert [int(user[x], 16) for x in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")] == [0, 0, 0, wanted, 0]
    assert (root["Seccomp"], root["NoNewPrivs"]) == ("2", "0")
    assert sh(engine, "cat /proc/self/oom_score_adj; umask; id -G; pwd; cat /proc/sys/net/ipv4/ip_unprivileged_port_start").split() == ["0", "0022", "0", "/", "0"]
    assert set(re.findall(r"^(\w+)=", sh(engine, "env"), re.M)) == {"HOME", "HOSTNAME", "PATH", "PWD", "SHLVL"}


def test_namespaces(engine):
    shared = [kind for kind in ("cgroup", "ipc", "mnt", "net", "pid", "uts", "user")
              if sh(engine, f"readlink /proc/self/ns/{kind}").strip() == os.readlink(f"/proc/self/ns/{kind}")]
    assert shared == (["user"] if cgroups.unified() else ["cgroup", "user"])
    assert sh(engine, "exec readlink /proc/self") == "1\n" and "lo\n" in sh(engine, "ls /sys/class/net")


def test_what_is_hidden(engine):
    script = "for p in " + " ".join(MASKED) + "; do test -e $p || continue; test -d $p && ls -A $p || cat $p; done"
    assert sh(engine, script) == ""
    script = "for p in " + " ".join(READ_ONLY) + "; do echo $p $(grep \" $p \" /proc/mounts | cut -d ' ' -f 4); done"
    for line in sh(engine, script).splitlines():
        path, _, options = line.partition(" ")
        assert options.startswith("ro,") or not os.path.exists(path), line


def test_mounts_of_the_kernel(engine):
    mounts = {}
    for line in sh(engine, "cat /proc/mounts").splitlines():
        _, path, kind, options = line.split()[:4]
        mounts.setdefault(path, (kind, set(options.split(","))))
    for path, kind, wanted in (("/proc", "proc", {"rw", "nosuid", "nodev", "noexec"}), ("/sys", "sysfs", {"ro", "nosuid", "nodev", "noexec"}),
                               ("/dev", "tmpfs", {"nosuid", "size=65536k", "mode=755"}), ("/dev/pts", "devpts", {"nosuid", "noexec", "gid=5", "mode=620"}),
                               ("/dev/shm", "tmpfs", {"nosuid", "nodev", "noexec", "size=65536k"}), ("/dev/mqueue", "mqueue", {"nosuid", "nodev", "noexec"})):
        assert mounts[path][0] == kind and wanted <= mounts[path][1], (path, mounts[path])
    for path, (kind, options) in mounts.items():
        if kind in ("cgroup", "cgroup2"):
            assert {"ro", "nosuid", "nodev", "noexec"} <= options, path


def test_devices(engine):
    found = sh(engine, "find /dev -type c -o -type b").split()
    assert {os.path.relpath(x, "/dev") for x in found} - {"pts/ptmx"} == DEVICES
    assert "console" in sh(engine, "-t", "ls /dev")


@pytest.mark.parametrize("attempt", [
    "mount -t tmpfs t /home", "unshare -m true", "unshare -U true", "hostname other", "mknod /disk b 7 0", "dmesg",
    "echo 1 >/proc/sys/kernel/panic", "echo b >/proc/sysrq-trigger", "echo 1 >/sys/kernel/mm/ksm/run", "mkdir /sys/fs/cgroup/x", "nice -n -5 true", "swapon /etc/passwd", "insmod /etc/passwd", "ip link set lo mtu 1000", "arping -c 1 127.0.0.1"])
def test_what_is_refused(engine, attempt):
    done = engine.call("run", "--rm", "busybox", "sh", "-c", f"{attempt} && echo DONE")
    assert done.returncode != 0 and b"DONE" not in done.stdout, done


def test_even_with_the_capability_no_device(engine):
    done = engine.call("run", "--rm", "--cap-add", "MKNOD", "busybox", "sh", "-c", "mknod /mem c 1 1 && head -c 1 /mem && echo DONE")
    assert b"DONE" not in done.stdout and b"not permitted" in done.stderr


def test_nothing_of_the_host_is_open(engine):
    found = sh(engine, "ls -l /proc/self/fd | sed 's/.*-> //' | sort -u").split("\n")
    assert not [x for x in found if x.startswith("/") and not x.startswith(("/proc/", "/dev/null"))]


def test_privileged_is_told_apart(engine):
    told = status(engine, "--privileged")
    assert told["Seccomp"] == "0" and int(told["CapEff"], 16) & 1 << 21
    mounts = sh(engine, "--privileged", "cat /proc/mounts")
    assert not re.search(r" /proc/(kcore|sys|keys) ", mounts) and re.search(r"^sysfs /sys sysfs rw,", mounts, re.M)
