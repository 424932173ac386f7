"""CVE-2022-0492, -2022-31030, -2025-47291, -2023-25809, -2024-3154: control groups, devices, and files that are meant to exhaust the runtime."""
import json
import os
import stat
import time

import pytest

import cgroups

MEMORY = 64 << 20  # the address space that the runtime gets; it needs far less
SECONDS, PATIENCE = 5, 15  # of the processor, for one command; and on a busy machine


def bounded(box):
    box.runtime.prefix = ["prlimit", f"--as={MEMORY}", f"--cpu={SECONDS}"]
    return box


@pytest.mark.parametrize("name", ["passwd", "group"])
@pytest.mark.parametrize("by", ["run", "exec"])
@pytest.mark.parametrize("content", ["holes", "one line", "lines"])
def test_huge_files_of_the_image(box, name, by, content):
    """CVE-2025-64329, -2026-47262: a file of 1 GiB where a small one is expected."""
    with open(os.path.join(box.rootfs, "etc", name), "wb") as f:
        if content == "one line":
            f.write(b"x" * (8 << 20))
        elif content == "lines":
            f.write(b"u:x:1:1::/h:/s\n" * (1 << 19))
        f.truncate(1 << 30)
    box.process["env"] = ["PATH=/bin"]
    before = time.monotonic()
    bounded(box)
    if by == "run":
        assert box.sh("echo $HOME").run().ok().out == "/\n"
    else:
        box.sh("echo up; exec sleep 30").up()
        assert box.output.line() == "up"
        box.process["user"] = {"uid": 1, "gid": 1}
        assert box.exec("sh", "-c", "echo up", flags=["--user", "1"]).ok().out == "up\n"
    assert time.monotonic() - before < PATIENCE


def test_a_huge_configuration_is_bounded(box):
    """At most 16 MiB are read; what is read stays within reason."""
    box.config["annotations"] = {f"key{i}": "x" * 100 for i in range(50000)}
    box.config["process"]["env"] += [f"V{i}=x" for i in range(1000)]
    box.runtime.prefix = ["prlimit", f"--as={128 << 20}", f"--cpu={SECONDS}"]
    box.args("true").run().fails("annotations")
    box.config["annotations"] = {f"key{i}": "x" * 100 for i in range(5000)}
    box.run().ok()


def test_a_background_child_does_not_hold_exec(running):
    """CVE-2022-31030, -2026-53495: who comes back is the process, not the last of its children."""
    before = time.monotonic()
    assert running.exec("sh", "-c", "sleep 20 & echo started").ok().out == "started\n"
    assert time.monotonic() - before < PATIENCE


def test_a_background_child_does_not_hold_exec_with_a_terminal(running):
    before = time.monotonic()
    running.exec("sh", "-c", "trap '' HUP; sleep 20 & echo started", flags=["--tty"]).ok()
    assert time.monotonic() - before < PATIENCE


def test_endless_output_is_not_kept(running):
    """What a program prints passes through; nothing of it piles up in the runtime."""
    bounded(running)
    result = running.exec("sh", "-c", "dd if=/dev/zero bs=64k count=500 2>/dev/null | tr '\\0' x", flags=["--tty"])
    assert result.code == 0 and len(result.out) >= 500 * 65536


def test_output_of_hooks_is_bounded(box):
    bounded(box)
    script = "head -c 200000000 /dev/zero | tr '\\0' x; exit 1"
    box.config["hooks"] = {"createRuntime": [{"path": "/bin/sh", "args": ["sh", "-c", script]}]}
    result = box.args("true").run().fails("hook")
    assert len(result.err) < 65536


@pytest.mark.parametrize("device", [(1, 11, "kmsg"), (1, 1, "mem"), (1, 4, "port"), (10, 235, "autofs"), (10, 229, "fuse"), (10, 237, "loop-control")])
@pytest.mark.parametrize("by", ["run", "exec"])
def test_devices_of_the_image_do_not_open(box, device, by):
    """A node in the image is not a right: the control group denies all but the usual ones."""
    major, minor, name = device
    os.mknod(os.path.join(box.rootfs, name), 0o666 | stat.S_IFCHR, os.makedev(major, minor))
    script = f"(exec 3<>/{name}) 2>&1; (exec 3</{name}) 2>&1"
    if by == "run":
        out = box.sh(script + "; true").run().ok().out
    else:
        box.sh("echo up; exec sleep 30").up()
        assert box.output.line() == "up"
        out = box.exec("sh", "-c", script + "; true").ok().out
    assert out.count("peration not permitted") == 2, out


def test_kmsg_through_a_configured_device_is_the_callers_choice_only(box):
    """Making a node needs more than a name: without a rule for it, it does not open."""
    box.linux["devices"] = [{"path": "/dev/kmsg", "type": "c", "major": 1, "minor": 11, "fileMode": 0o666}]
    assert "not permitted" in box.output_of("(exec 3</dev/kmsg) 2>&1; true")


def test_no_node_can_be_made_for_another_device(box):
    box.process["capabilities"] = {name: ["CAP_MKNOD", "CAP_DAC_OVERRIDE"] for name in ("bounding", "effective", "permitted")}
    assert "not permitted" in box.output_of("mknod /tmp/kmsg c 1 11; (exec 3</tmp/kmsg) 2>&1; true")


@pytest.mark.parametrize("namespace", [True, False], ids=["cgroupns", "host"])
def test_no_release_agent(box, namespace):
    """CVE-2022-0492: the program that the kernel runs as root when a group is empty is not the container's to name."""
    box.mount("/sys/fs/cgroup", "cgroup", "cgroup", "rw")
    if namespace:
        box.namespace("cgroup")
    script = """
find /sys/fs/cgroup -name release_agent | while read f; do
    (echo /evil > $f) 2>/dev/null && echo "written $f"
done
mkdir -p /tmp/cg
for c in memory rdma pids misc none; do
    mount -t cgroup -o $c cgroup /tmp/cg 2>/dev/null && echo "mounted $c"
done
true"""
    assert box.output_of(script) == ""


def test_a_read_only_cgroup_mount_is(box):
    box.mount("/sys/fs/cgroup", "cgroup", "cgroup", "ro", "nosuid", "noexec", "nodev").namespace("cgroup")
    script = """
find /sys/fs/cgroup -name cgroup.procs | while read f; do (echo 1 > $f) 2>/dev/null && echo "written $f"; done
find /sys/fs/cgroup -type d | while read d; do mkdir $d/x 2>/dev/null && echo "made $d/x"; done
true"""
    assert box.output_of(script) == ""


@pytest.fixture
def delegated():
    """A control group of the machine that belongs to the user of a rootless container."""
    path = os.path.join(cgroups.directory("/", "pids"), f"skep-delegated-{os.getpid()}")
    os.mkdir(path)
    for name in (".", "cgroup.procs"):
        os.chown(os.path.join(path, name), 1000, 1000)
    yield path
    os.rmdir(path)


def test_a_rootless_container_cannot_write_to_the_machines_groups(box, delegated):
    """CVE-2023-25809: what the user may write to outside is read-only inside, when that was asked for."""
    from test_namespaces import rootless
    rootless(box).mount("/sys/fs/cgroup", "cgroup", "cgroup", "ro", "nosuid", "noexec", "nodev")
    name = os.path.basename(delegated)
    script = f"""
for d in /sys/fs/cgroup/{name} /sys/fs/cgroup/*/{name}; do
    (echo 1 > $d/cgroup.procs) 2>/dev/null && echo "written $d"
    mkdir $d/made 2>/dev/null && echo "made in $d"
done
true"""
    result = box.sh(script).run()
    assert result.code != 0 or result.out == ""
    assert not os.path.exists(os.path.join(delegated, "made"))


def test_the_container_sees_no_other_group(world, box):
    """With a cgroup mount, what is visible is the container's own part."""
    other = world.box("other").sh("echo up; exec sleep 30").up()
    assert other.output.line() == "up"
    box.mount("/sys/fs/cgroup", "cgroup", "cgroup", "ro").namespace("cgroup")
    assert other.id not in box.output_of("find /sys/fs/cgroup -type d")


def test_limits_hold_in_a_user_namespace(box):
    """CVE-2025-47291: a user namespace does not make the control group go away."""
    box.namespace("user")
    box.linux["uidMappings"] = box.linux["gidMappings"] = [{"containerID": 0, "hostID": 100000, "size": 65536}]
    box.linux["resources"]["pids"] = {"limit": 5}
    box.linux["resources"]["memory"] = {"limit": 64 << 20}
    script = "for i in 1 2 3 4 5 6 7 8; do sleep 20 & done 2>/dev/null; echo not reached"
    box.sh("echo up; exec sleep 30").up()
    assert box.output.line() == "up"
    assert cgroups.read(box.cgroup, "pids.max", "pids.max") == "5"
    assert cgroups.read(box.cgroup, "memory.limit_in_bytes", "memory.max") == str(64 << 20)
    assert "not reached" not in box.exec("sh", "-c", script).out
    box.delete("--force").ok()
    box.output.rest()


def test_a_fork_bomb_ends_with_its_container(box):
    box.linux["resources"]["pids"] = {"limit": 50}
    box.sh("echo up; b() { b | b & }; b 2>/dev/null; exec sleep 30").up()
    assert box.output.line() == "up"
    box.delete("--force").ok()
    assert not cgroups.leftovers(box.cgroup)


@pytest.mark.parametrize("annotations", [
    {"org.systemd.property.ExecStart": "'/bin/false'"}, {"run.oci.hooks.stdout": "/etc/x"}, {"io.skep.anything": "1"}, {"run.oci.handler": "krun"},
    {"run.oci.keep_original_groups": "1"}, {"run.oci.mount_context_type": "x"}])
def test_annotations_change_nothing(box, annotations):
    """CVE-2024-3154, -2026-53488: labels of an image may become annotations. None of them is an order."""
    box.runtime.prefix = ["setpriv", "--groups", "4,27"]
    box.config["annotations"] = annotations
    assert box.output_of("grep Groups /proc/self/status").split() == ["Groups:"]


def test_a_preserved_descriptor_beyond_reason(box):
    for number in ("-1", "4294967296", "1000000", "x", ""):
        box.args("true").run("--preserve-fds", number).fails()


def test_environment_of_the_caller_stays_outside(box, tmp_path):
    secret = {"SECRET_TOKEN": "s3cr3t", "LD_PRELOAD": "/tmp/evil.so", "NOTIFY_SOCKET": ""}
    assert "s3cr3t" not in box.args("env").run(env=secret).ok().out
    box.sh("echo up; exec sleep 30").up()
    assert box.output.line() == "up"
    out = box.exec("env", env=secret).ok().out
    assert "s3cr3t" not in out and "LD_PRELOAD" not in out
    (tmp_path / "p.json").write_text(json.dumps({**box.process, "args": ["env"]}))
    assert "s3cr3t" not in box.runtime.run("exec", "--process", tmp_path / "p.json", box.id, env=secret).ok().out
