"""Each flag of `run`, by what it does in the container or to its record. A flag that the command table has and no test here names fails."""
import inspect
import json
import os
import re
import signal
import subprocess

import pytest

import cgroups
from container import OWN, is_static
from engines import Engine, eventually
from images import SKEP

needs_init = pytest.mark.skipif(not is_static(OWN), reason="the program needs libraries, which a container has not")
pytestmark = [pytest.mark.skipif(not os.path.exists(SKEP), reason=f"no {SKEP}"), pytest.mark.skipif(os.geteuid() != 0, reason="needs root")]
TABLE = os.path.join(os.path.dirname(__file__), "../../src/cli/skep/container/options_table.c")
DEVICE = "/dev/loop0"
COVERED = {}
ELSEWHERE = {"userns", "uidmap", "gidmap", "subuidname", "subgidname", "storage-opt"}  # have test files of their own


def flags(*names):
    """What the test is about."""
    def mark(test):
        COVERED.update((name, test) for name in names)
        return test
    return mark


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


def sh(engine, *options_and_script):
    """What a script prints in a container with these options."""
    *options, script = options_and_script
    return engine.ok("run", "--rm", *options, "busybox", "sh", "-c", script)


def made(engine, *options):
    """The record of a container that was made so."""
    return engine.inspect(engine.ok("create", *options, "busybox", "true").strip())


def configuration(engine, identity):
    """What the runtime was told."""
    with open(os.path.join(engine.run_root, "runtime", identity, "config.json"), encoding="utf-8") as f:
        return json.load(f)


# ---- that nothing is missing ----

def known_flags():
    with open(TABLE, encoding="utf-8") as f:
        rows = f.read().partition("/* What runs")[2]
    return set(re.findall(r'\b(?:SWITCH|VALUE|LIST|NUMBER|INT32|BYTES|DURATION|(?:OPTION|WINDOWS)\([A-Z]+)[(,]\s*"([a-z0-9-]+)"', rows))


def test_every_flag_is_tested():
    known = known_flags()
    assert len(known) > 100 and set(COVERED) | ELSEWHERE == known
    for name, test in COVERED.items():
        assert re.search(rf"--{name}\b", inspect.getsource(test)), f"{test.__name__} does not use --{name}"


# ---- what runs ----

@flags("name", "hostname", "domainname", "label", "label-file", "annotation", "expose")
def test_names(engine, tmp_path):
    (tmp_path / "labels").write_text("from=file\n# none\nboth=file\n")
    identity = engine.run("--name", "named", "--hostname", "box", "--domainname", "example.org", "--label", "both=flag", "--label", "bare",
                          "--label-file", str(tmp_path / "labels"), "--annotation", "org.example=1", "--expose", "80-81/udp", "busybox", "sleep", "1000")
    said = engine.ok("exec", "named", "sh", "-c", "hostname; cat /proc/sys/kernel/domainname /etc/hostname; grep -c box /etc/hosts; echo $HOSTNAME")
    assert said.split() == ["box", "example.org", "box", "1", "box"]
    record = engine.inspect("named")
    assert (record["Id"], record["Name"]) == (identity, "/named")
    assert record["Config"]["Labels"] == {"from": "file", "both": "flag", "bare": ""}
    assert set(record["Config"]["ExposedPorts"]) == {"80/udp", "81/udp"}
    assert configuration(engine, identity)["annotations"]["org.example"] == record["HostConfig"]["Annotations"]["org.example"] == "1"


@flags("user", "group-add", "workdir", "entrypoint", "env", "env-file")
def test_the_process(engine, tmp_path):
    (tmp_path / "env").write_text("FILE=1\nBOTH=file\nOUTSIDE\n")
    done = engine.call("run", "--rm", "--user", "1000:1001", "--group-add", "1002", "--group-add", "tty", "--workdir", "/made/here", "--env", "BOTH=flag",
                       "--env", "FLAG=a b", "--env-file", str(tmp_path / "env"), "--entrypoint", "/bin/sh", "busybox", "-c",
                       'id -u; id -g; id -G; pwd; echo "$FILE $BOTH $FLAG $OUTSIDE"', env={"OUTSIDE": "here"})
    assert done.stdout.decode().splitlines() == ["1000", "1001", "1001 5 1002", "/made/here", "1 flag a b here"], done.stderr


@flags("interactive", "attach")
def test_streams(engine):
    both = ("busybox", "sh", "-c", "cat; echo out; echo err >&2")
    done = engine.call("run", "--rm", "--interactive", *both, stdin=b"in ")
    assert (done.stdout, done.stderr) == (b"in out\n", b"err\n")
    done = engine.call("run", "--rm", "--attach", "stderr", *both, stdin=b"in ")
    assert (done.stdout, done.stderr) == (b"", b"err\n")
    done = engine.call("run", "--rm", "--attach", "stdout", "--attach", "STDIN", "-i", *both, stdin=b"in ")
    assert (done.stdout, done.stderr) == (b"in out\n", b"")


@flags("tty", "detach-keys")
def test_a_terminal(engine):
    with engine.typed("run", "--interactive", "--tty", "--detach-keys", "ctrl-a,x", "--name", "typed", "busybox", "sh") as t:
        t.expect("/ # ")
        t.type("tty; echo $TERM\n")
        t.expect("/dev/pts/0")
        t.expect("xterm")
        t.type("\x01x")
        assert t.wait() == 0
    assert engine.status("typed") == "running"
    assert "Unknown character" in engine.fails(1, "run", "--detach-keys", "nosuch", "busybox", "true")
    assert engine.ok("ps", "-a", "--format", "{{.Names}}") == "typed\n"


@flags("detach", "cidfile", "rm")
def test_in_the_background(engine, tmp_path):
    cid = tmp_path / "cid"
    identity = engine.ok("run", "--detach", "--rm", "--cidfile", str(cid), "busybox", "sleep", "1000").strip()
    assert cid.read_text() == identity and engine.status(identity) == "running"
    engine.ok("stop", "-t", "0", identity)
    eventually(lambda: not os.path.exists(engine.directory(identity)))
    assert "container ID file found" in engine.fails(125, "run", "--cidfile", str(cid), "busybox", "true")
    for path in "/nosuch/cid", str(tmp_path / "unused"):
        assert engine.call("run", "--cidfile", path, "--workdir", "relative", "busybox", "true").returncode in (125, 127)
    assert engine.ok("ps", "-aq") == "" and not (tmp_path / "unused").exists()


@flags("sig-proxy")
def test_signals_of_the_client(engine):
    script = "trap 'echo got; exit 9' TERM; echo ready; while :; do sleep 0.01; done"
    client = engine.start("run", "--name", "proxied", "busybox", "sh", "-c", script)
    assert client.stdout.readline() == b"ready\n"
    client.send_signal(signal.SIGTERM)
    assert client.communicate(timeout=30)[0] == b"got\n" and client.returncode == 9
    client = engine.start("run", "--sig-proxy=false", "--name", "alone", "busybox", "sh", "-c", script)
    assert client.stdout.readline() == b"ready\n"
    client.send_signal(signal.SIGTERM)
    assert client.wait(30) != 9 and engine.status("alone") == "running"
    client.communicate()


@needs_init
@flags("init")
def test_an_init(engine):
    for name, options in ("with", ["--init"]), ("without", []):
        engine.run("--name", name, *options, "busybox", "sleep", "1000")
        engine.ok("exec", name, "sh", "-c", "(sleep 0.01 &)")  # its parent is gone at once
    states = "cat /proc/[0-9]*/stat | cut -d ' ' -f 2-3"
    eventually(lambda: "(sleep) Z" in engine.ok("exec", "without", "sh", "-c", states))
    eventually(lambda: engine.ok("exec", "with", "sh", "-c", states).count("(sleep)") == 1)
    assert sh(engine, "--init", "tr '\\0' ' ' </proc/1/cmdline").startswith("/sbin/docker-init -- sh -c")


@flags("stop-signal", "stop-timeout")
def test_how_it_is_stopped(engine):
    engine.run("--name", "asked", "--stop-signal", "USR1", "busybox", "sh", "-c", "trap 'exit 7' USR1; echo ready; while :; do sleep 0.01; done")
    eventually(lambda: engine.ok("logs", "asked"))
    engine.ok("stop", "asked")
    assert engine.state("asked")["ExitCode"] == 7
    engine.run("--name", "deaf", "--stop-timeout", "0", "busybox", "sleep", "1000")
    engine.ok("stop", "deaf", timeout=8)  # else ten seconds
    assert engine.state("deaf")["ExitCode"] == 137


@flags("restart")
def test_started_again(engine):
    engine.run("--name", "again", "--restart", "on-failure:2", "busybox", "sh", "-c", "echo x >>/runs; exit 1")
    eventually(lambda: engine.status("again") == "exited" and engine.inspect("again")["RestartCount"] == 2)
    assert engine.ok("cp", "again:/runs", "-").count("x\n") == 3


@flags("runtime", "isolation")
def test_names_of_what_there_is_one_of(engine):
    record = made(engine, "--runtime", "runc", "--isolation", "default")["HostConfig"]
    assert (record["Runtime"], record["Isolation"]) == ("runc", "default")
    assert "unknown or invalid runtime name: kata" in engine.fails(125, "run", "--runtime", "kata", "busybox", "true")
    assert "linux only supports 'default'" in engine.fails(125, "run", "--isolation", "hyperv", "busybox", "true")


# ---- the image ----

@flags("pull", "quiet")
def test_pulling(engine):
    absent, present = "127.0.0.1:1/absent:1", "127.0.0.1:1/present:1"  # nobody listens there
    engine.ok("tag", "busybox", present)
    assert f"Unable to find image '{absent}' locally" in engine.fails(125, "run", "--pull", "missing", absent)
    assert "Unable to find" not in engine.fails(125, "run", "--quiet", absent)
    message = engine.fails(125, "run", "--pull", "never", absent)
    assert "No such image" in message and "Unable" not in message
    engine.ok("run", "--rm", present, "true")
    engine.fails(125, "run", "--rm", "--pull", "always", present, "true")
    assert 'must be one of "always", "missing" or "never"' in engine.fails(125, "run", "--pull", "often", present)
    engine.ok("rmi", present)


@flags("platform")
def test_a_platform(engine):
    mine = engine.ok("image", "inspect", "-f", "{{.Os}}/{{.Architecture}}", "busybox").strip()
    other = "linux/s390x"
    engine.ok("run", "--rm", "--platform", mine, "busybox", "true")
    message = engine.fails(125, "run", "--pull", "never", "--platform", other, "busybox", "true")
    assert f"busybox was found but its platform ({mine}) does not match the specified platform ({other})" in message
    assert "nosuch" in engine.fails(125, "run", "--platform", "nosuch", "busybox", "true")
    assert engine.ok("ps", "-aq") == ""


@flags("replace")
def test_replacing(engine):
    first = engine.run("--name", "only", "busybox", "sleep", "1000")
    second = engine.run("--name", "only", "--replace", "busybox", "sleep", "1000")
    assert engine.ok("ps", "-aq", "--no-trunc") == second + "\n" and first != second


@flags("rootfs")
def test_a_directory_as_root(engine, tmp_path):
    os.makedirs(tmp_path / "bin")
    with open("/bin/busybox", "rb") as f:
        (tmp_path / "bin" / "sh").write_bytes(f.read())
    os.chmod(tmp_path / "bin" / "sh", 0o755)
    engine.ok("run", "--rm", "--rootfs", str(tmp_path), "/bin/sh", "-c", "echo made >/file")
    assert (tmp_path / "file").read_text() == "made\n"


# ---- files ----

@flags("volume", "mount", "volumes-from", "volume-driver", "read-only")
def test_volumes(engine, tmp_path):
    (tmp_path / "file").write_text("host")
    engine.run("--name", "donor", "--read-only", "--volume-driver", "local", "--volume", "kept:/v", "--volume", f"{tmp_path}:/bound:ro", "--mount",
               f"type=bind,source={tmp_path},target=/mounted", "busybox", "sleep", "1000")
    said = engine.ok("exec", "donor", "sh", "-c", "echo vol >/v/a; cat /bound/file; echo y >/bound/x || echo ro; echo z >/mounted/z; touch /x || echo sealed")
    assert said == "hostro\nsealed\n" and (tmp_path / "z").read_text() == "z\n"
    assert sh(engine, "--volumes-from", "donor:ro", "cat /v/a /mounted/z; touch /v/b || echo ro") == "vol\nz\nro\n"
    assert 'plugin "nosuch" not found' in engine.fails(125, "run", "--volume-driver", "nosuch", "-v", "other:/v", "busybox", "true")
    assert engine.ok("volume", "ls", "-q") == "kept\n"
    engine.ok("rm", "-f", "donor")
    engine.ok("volume", "rm", "kept")


@flags("tmpfs", "shm-size")
def test_file_systems_in_memory(engine):
    script = "grep -E ' (/t|/dev/shm) ' /proc/mounts | cut -d ' ' -f 2-4"
    lines = sorted(sh(engine, "--tmpfs", "/t:size=1m,mode=700", "--shm-size", "2m", script).splitlines())
    assert lines[0].startswith("/dev/shm tmpfs rw,nosuid,nodev,noexec") and "size=2048k" in lines[0]
    assert lines[1].startswith("/t tmpfs rw,nosuid,nodev,noexec") and "size=1024k,mode=700" in lines[1]


# ---- limits: what the control group says ----

@flags("memory", "memory-reservation", "memory-swap", "memory-swappiness", "oom-kill-disable", "cpus", "cpu-period", "cpu-quota", "cpu-shares",
       "cpuset-cpus", "cpuset-mems", "cpu-rt-period", "pids-limit", "device-read-bps", "device-write-bps", "device-read-iops", "device-write-iops")
@pytest.mark.parametrize("options, v1, v2", [
    (["--memory", "64m"], ("memory/memory.limit_in_bytes", "67108864"), ("memory.max", "67108864")),
    (["-m", "64m", "--memory-reservation", "32m"], ("memory/memory.soft_limit_in_bytes", "33554432"), ("memory.low", "33554432")),
    (["-m", "64m", "--memory-swap", "96m"], ("memory/memory.memsw.limit_in_bytes", "100663296"), ("memory.swap.max", "33554432")),
    (["--memory-swappiness", "7"], ("memory/memory.swappiness", "7"), None),
    (["-m", "64m", "--oom-kill-disable"], ("memory/memory.oom_control", "oom_kill_disable 1"), None),
    (["--cpus", "0.5"], ("cpu/cpu.cfs_quota_us", "50000"), ("cpu.max", "50000 100000")),
    (["--cpu-quota", "20000", "--cpu-period", "50000"], ("cpu/cpu.cfs_quota_us", "20000"), ("cpu.max", "20000 50000")),
    (["--cpu-quota", "20000", "--cpu-period", "50000"], ("cpu/cpu.cfs_period_us", "50000"), None),
    (["--cpu-shares", "512"], ("cpu/cpu.shares", "512"), ("cpu.weight", "59")),
    (["--cpuset-cpus", "0"], ("cpuset/cpuset.cpus", "0"), ("cpuset.cpus", "0")),
    (["--cpuset-mems", "0"], ("cpuset/cpuset.mems", "0"), ("cpuset.mems", "0")),
    (["--cpu-rt-period", "500000"], ("cpu/cpu.rt_period_us", "500000"), None),
    (["--pids-limit", "20"], ("pids/pids.max", "20"), ("pids.max", "20")),
    (["--device-read-bps", f"{DEVICE}:1mb"], ("blkio/blkio.throttle.read_bps_device", "7:0 1048576"), ("io.max", "7:0 rbps=1048576")),
    (["--device-write-bps", f"{DEVICE}:2mb"], ("blkio/blkio.throttle.write_bps_device", "7:0 2097152"), ("io.max", "wbps=2097152")),
    (["--device-read-iops", f"{DEVICE}:3"], ("blkio/blkio.throttle.read_iops_device", "7:0 3"), ("io.max", "riops=3")),
    (["--device-write-iops", f"{DEVICE}:4"], ("blkio/blkio.throttle.write_iops_device", "7:0 4"), ("io.max", "wiops=4")),
], ids=lambda v: " ".join(v) if isinstance(v, list) else "")
def test_limits(engine, options, v1, v2):
    expected = v2 if cgroups.unified() else v1
    if any(DEVICE in o for o in options) and not os.path.exists(DEVICE):
        pytest.skip(f"no {DEVICE}")
    done = engine.call("run", "--rm", *options, "busybox", "cat", f"/sys/fs/cgroup/{expected[0] if expected else 'cgroup.procs'}")
    if b"kernel does not support" in done.stderr:  # said so: as an error, or as a warning that it does not hold
        return
    assert done.returncode == 0 and expected, done.stderr
    assert expected[1] in done.stdout.decode()


@flags("blkio-weight", "blkio-weight-device")
def test_weights_hold_or_are_said_not_to(engine):
    for option, value, field in ("--blkio-weight", "100", "BlkioWeight"), ("--blkio-weight-device", f"{DEVICE}:100", "BlkioWeightDevice"):
        done = engine.call("create", option, value, "busybox", "true")
        kept = engine.inspect(done.stdout.decode().strip())["HostConfig"][field]
        assert done.returncode == 0 and bool(kept) != (b"discarded" in done.stderr)


@flags("cpu-rt-runtime")
def test_real_time_is_given_or_refused(engine):
    done = engine.call("run", "--rm", "--cpu-rt-runtime", "1000", "busybox", "cat", "/sys/fs/cgroup/cpu/cpu.rt_runtime_us")
    if done.returncode:
        assert done.returncode == 125 and b"real-time" in done.stderr
    else:
        assert done.stdout == b"1000\n"


@flags("kernel-memory")
def test_what_no_kernel_has_any_more(engine):
    assert "--kernel-memory does nothing" in engine.call("create", "--kernel-memory", "4m", "busybox", "true").stderr.decode()


@flags("oom-score-adj", "ulimit", "cgroup-parent")
def test_limits_of_processes(engine):
    parent = f"/skep-flags-{os.getpid()}"
    said = sh(engine, "--oom-score-adj", "500", "--ulimit", "nofile=100:200", "--ulimit", "fsize=1024", "--cgroup-parent", parent,
              f"cat /proc/self/oom_score_adj; ulimit -n; ulimit -Hn; ulimit -f; grep -c {parent}/ /proc/self/cgroup").split()
    cgroups.remove(parent)
    assert said[:4] == ["500", "100", "200", "2"] and int(said[4]) > 0


# ---- privileges and devices ----

def capabilities(engine, *options):
    found = re.search(r"CapEff:\s*(\w+)", sh(engine, *options, "cat /proc/self/status"))
    return int(found[1], 16)


@flags("cap-add", "cap-drop", "privileged")
def test_capabilities(engine):
    chown, kill, net_admin, sys_admin = 1 << 0, 1 << 5, 1 << 12, 1 << 21
    assert capabilities(engine, "--cap-drop", "ALL", "--cap-add", "CHOWN", "--cap-add", "CAP_KILL") == chown | kill
    ordinary = capabilities(engine)
    assert capabilities(engine, "--cap-add", "net_admin", "--cap-drop", "kill") == ordinary & ~kill | net_admin
    assert not ordinary & sys_admin and capabilities(engine, "--privileged") & sys_admin
    assert sh(engine, "--privileged", "mount -t tmpfs t /home && echo mounted") == "mounted\n"


@flags("security-opt", "sysctl")
def test_security(engine, tmp_path):
    (tmp_path / "profile").write_text('{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"names":["mkdir","mkdirat"],"action":"SCMP_ACT_ERRNO"}]}')
    status = "grep -E 'NoNewPrivs|Seccomp:' /proc/self/status"
    assert sh(engine, status).split() == ["NoNewPrivs:", "0", "Seccomp:", "2"]
    assert sh(engine, "--security-opt", "no-new-privileges", "--security-opt", "seccomp=unconfined", status).split() == ["NoNewPrivs:", "1", "Seccomp:", "0"]
    assert sh(engine, "--security-opt", f"seccomp={tmp_path}/profile", "mkdir /x || echo refused") == "refused\n"
    assert sh(engine, "--security-opt", "systempaths=unconfined", "--sysctl", "net.ipv4.ip_forward=1", "--sysctl", "kernel.msgmax=9999",
              "grep -c ' /proc/sys ' /proc/mounts; cat /proc/sys/net/ipv4/ip_forward /proc/sys/kernel/msgmax").split() == ["0", "1", "9999"]


@flags("device", "device-cgroup-rule")
@pytest.mark.skipif(not os.path.exists(DEVICE), reason=f"no {DEVICE}")
def test_devices(engine):
    script = "test -b /dev/disk; head -c 0 /dev/disk && echo read; echo >/dev/disk || echo no write"
    assert sh(engine, "--device", f"{DEVICE}:/dev/disk:r", script) == "read\nno write\n"
    script = "mknod /disk b 7 0; head -c 0 /disk && echo read || echo refused"
    assert sh(engine, "--cap-add", "MKNOD", "--device-cgroup-rule", "b 7:* rw", script) == "read\n"
    assert sh(engine, "--cap-add", "MKNOD", script) == "refused\n"


# ---- namespaces and names ----

def namespace(engine, kind, *options):
    return sh(engine, *options, f"readlink /proc/self/ns/{kind}").strip()


@flags("pid", "ipc", "uts", "cgroupns", "network", "net")
def test_namespaces(engine):
    engine.run("--name", "peer", "--ipc", "shareable", "busybox", "sleep", "1000")
    pid = engine.state("peer")["Pid"]
    for kind, option in ("pid", "--pid"), ("ipc", "--ipc"), ("uts", "--uts"), ("cgroup", "--cgroupns"), ("net", "--network"), ("net", "--net"):
        assert namespace(engine, kind, option, "host") == os.readlink(f"/proc/self/ns/{kind}")
    for kind, option in ("pid", "--pid"), ("ipc", "--ipc"), ("net", "--network"):
        assert namespace(engine, kind, option, "container:peer") == os.readlink(f"/proc/{pid}/ns/{kind}")
    assert namespace(engine, "cgroup", "--cgroupns", "private") != os.readlink("/proc/self/ns/cgroup")


@flags("dns", "dns-opt", "dns-option", "dns-search", "add-host")
def test_names_of_others(engine):
    said = sh(engine, "--dns", "192.0.2.1", "--dns-option", "ndots:3", "--dns-opt", "rotate", "--dns-search", "example.org", "--add-host", "peer:192.0.2.9",
              "grep -v '^#' /etc/resolv.conf; grep peer /etc/hosts")
    assert [line for line in said.splitlines() if line] == ["nameserver 192.0.2.1", "search example.org", "options ndots:3 rotate", "192.0.2.9\tpeer"]


@flags("publish", "publish-all", "mac-address")
def test_ports(engine):
    name = engine.run("-p", "127.0.0.1:18080:80", "--publish", "18081-18082:81-82/udp", "--mac-address", "02:00:00:00:00:01", "busybox", "sleep", "1000")
    assert engine.ok("port", name).splitlines() == ["80/tcp -> 127.0.0.1:18080", "81/udp -> 0.0.0.0:18081", "82/udp -> 0.0.0.0:18082"]
    assert engine.ok("exec", name, "cat", "/sys/class/net/eth0/address") == "02:00:00:00:00:01\n"
    engine.ok("rm", "-f", name)
    name = engine.run("--publish-all", "--expose", "90", "--expose", "91/udp", "busybox", "sleep", "1000")
    assert re.fullmatch(r"90/tcp -> 0.0.0.0:\d+\n91/udp -> 0.0.0.0:\d+\n", engine.ok("port", name))


@flags("ip", "ip6", "link-local-ip", "mac-address", "network-alias", "net-alias", "link", "gpus", "use-api-socket",
       "disable-content-trust", "cpu-count", "cpu-percent", "io-maxbandwidth", "io-maxiops")
@pytest.mark.parametrize("options, status, message", [
    (["--ip", "10.0.0.2"], 125, "user defined networks only"), (["--ip6", "fd00::2"], 125, "user defined networks only"), (["--link-local-ip", "169.254.1.1"], 125, "--link-local-ip "),
    (["--mac-address", "01:00:5e:00:00:01"], 125, "no hardware address"), (["--network", "name=host,ip=10.0.0.2"], 125, "network host: "),
    (["--network", "host", "--network", "none"], 125, "cannot be"),
    (["--network-alias", "a"], 125, "network-scoped aliases are only"), (["--net-alias", "a"], 125, "network-scoped aliases are only"),
    (["--link", "a"], 125, "could not get container for a: No such container: a"),
    (["--gpus", "all"], 125, "(--gpus) are not supported"), (["--use-api-socket"], 125, "--use-api-socket: there is no daemon"),
    (["--disable-content-trust=false"], 125, "name the image by its digest"), (["--cpu-count", "1"], 1, "running on windows"),
    (["--cpu-percent", "1"], 1, "running on windows"), (["--io-maxbandwidth", "1m"], 1, "running on windows"), (["--io-maxiops", "1"], 1, "running on windows"),
], ids=lambda v: v[0] if isinstance(v, list) else "")
def test_what_cannot_be_is_refused(engine, options, status, message):
    assert message in engine.fails(status, "run", *options, "busybox", "true")
    assert engine.ok("ps", "-aq") == ""


# ---- health ----

@flags("health-cmd", "health-interval", "health-retries", "health-timeout", "health-on-failure")
def test_health(engine):
    engine.run("--name", "ill", "--health-cmd", "echo bad; exit 3", "--health-interval", "20ms", "--health-retries", "2", "--health-timeout", "20s",
               "--health-on-failure", "kill", "busybox", "sleep", "1000")
    eventually(lambda: engine.status("ill") == "exited")
    health = engine.state("ill")["Health"]
    assert (health["Status"], health["Log"][0]["Output"], health["Log"][0]["ExitCode"]) == ("unhealthy", "bad\n", 3) and health["FailingStreak"] >= 2
    assert engine.inspect("ill")["Config"]["Healthcheck"] == {"Test": ["CMD-SHELL", "echo bad; exit 3"], "Interval": 20000000, "Timeout": 20000000000,
                                                              "Retries": 2}


@flags("health-start-period", "health-start-interval")
def test_health_at_first(engine):
    engine.run("--name", "slow", "--health-cmd", "test -e /well", "--health-interval", "1h", "--health-retries", "1", "--health-start-period", "1h",
               "--health-start-interval", "20ms", "busybox", "sleep", "1000")
    eventually(lambda: len(engine.state("slow")["Health"]["Log"]) >= 3)
    assert (engine.state("slow")["Health"]["Status"], engine.state("slow")["Health"]["FailingStreak"]) == ("starting", 0)
    engine.ok("exec", "slow", "touch", "/well")
    eventually(lambda: engine.state("slow")["Health"]["Status"] == "healthy")


@flags("health-http", "health-tcp", "no-healthcheck")
def test_health_without_a_command(engine):
    serve = ("busybox", "sh", "-c", "mkdir /www; echo ok >/www/index.html; exec httpd -f -p 8080 -h /www")
    often = ("--health-interval", "20ms", "--health-retries", "1000")
    engine.run("--name", "http", "--health-http", "http://127.0.0.1:8080/", *often, *serve)
    engine.run("--name", "tcp", "--health-tcp", "127.0.0.1:8080", *often, *serve)
    for name in "http", "tcp":
        eventually(lambda name=name: engine.state(name)["Health"]["Status"] == "healthy")
    archive = subprocess.run([*engine.base, "export", "http"], capture_output=True, check=True, env=engine.env).stdout
    engine.ok("import", "-c", "HEALTHCHECK CMD true", "-", "checked:1", stdin=archive)
    assert engine.inspect(engine.run("checked:1", "/bin/busybox", "sleep", "1000"))["Config"]["Healthcheck"]["Test"] == ["CMD-SHELL", "true"]
    assert "Health" not in engine.state(engine.run("--no-healthcheck", "checked:1", "/bin/busybox", "sleep", "1000"))


# ---- log ----

@flags("log-driver", "log-opt")
def test_the_log(engine):
    record = engine.inspect(engine.run("--log-driver", "json-file", "--log-opt", "max-size=1m", "--log-opt", "tag=mine", "busybox", "echo", "said"))
    assert record["HostConfig"]["LogConfig"] == {"Type": "json-file", "Config": {"max-size": "1m", "tag": "mine"}}
    eventually(lambda: os.path.exists(record["LogPath"]))
    eventually(lambda: '"attrs":{"tag":"mine"}' in open(record["LogPath"], encoding="utf-8").read())
    silent = engine.run("--log-driver", "none", "busybox", "echo", "said")
    assert "configured logging driver does not support reading" in engine.fails(1, "logs", silent)
