"""Limits, update, events; on whichever cgroup layout the machine has."""
import json
import signal
import subprocess

import pytest

import cgroups
from container import DEADLINE, Output

MIB = 1 << 20


def limited(box):
    box.linux["resources"].update({"memory": {"limit": 64 * MIB}, "pids": {"limit": 20}, "cpu": {"shares": 512, "quota": 50000, "period": 100000}})
    box.sh("echo up; exec sleep 60").up()
    assert box.output.line() == "up"
    return box


def memory_limit(box):
    return cgroups.read(box.cgroup, "memory.limit_in_bytes", "memory.max")


def pids_limit(box):
    return cgroups.read(box.cgroup, "pids.max", "pids.max")


def quota(box):
    if cgroups.unified():
        return cgroups.read(box.cgroup, "cpu.max", "cpu.max").split()
    return [cgroups.read(box.cgroup, "cpu.cfs_quota_us", ""), cgroups.read(box.cgroup, "cpu.cfs_period_us", "")]


def test_limits_stand(box):
    limited(box)
    assert memory_limit(box) == str(64 * MIB)
    assert pids_limit(box) == "20"
    assert quota(box) == ["50000", "100000"]


def test_memory_limit_bites(box):
    box.linux["resources"]["memory"] = {"limit": 16 * MIB, "swap": 16 * MIB}
    assert "touched" in box.args("hog", "4").run().ok().out
    result = box.args("hog", "64").run()
    assert result.code == 128 + signal.SIGKILL


def test_pids_limit_bites(box):
    box.linux["resources"]["pids"] = {"limit": 4}
    result = box.sh("for i in 1 2 3 4 5 6; do sleep 60 & done; echo all").run()
    assert result.code != 0 and "all" not in result.out


def test_update_by_flags(box):
    limited(box)
    update = ["update", "--memory", str(48 * MIB), "--pids-limit", "33", "--cpu-quota", "20000", "--cpu-period", "50000", box.id]
    box.runtime.run(*update).ok()
    assert memory_limit(box) == str(48 * MIB)
    assert pids_limit(box) == "33"
    assert quota(box) == ["20000", "50000"]
    assert "64" not in box.exec("true").ok().out


def test_update_by_document(box, tmp_path):
    limited(box)
    box.runtime.run("update", "--resources", "-", box.id, stdin=json.dumps({"memory": {"limit": 32 * MIB}})).ok()
    assert (memory_limit(box), pids_limit(box)) == (str(32 * MIB), "20")
    (tmp_path / "r.json").write_text(json.dumps({"pids": {"limit": 44}}))
    box.runtime.run("update", "-r", tmp_path / "r.json", box.id).ok()
    assert (memory_limit(box), pids_limit(box)) == (str(32 * MIB), "44")
    box.runtime.run("update", "--resources=-", box.id, stdin="{}").ok()
    assert pids_limit(box) == "44"


@pytest.mark.parametrize("document", ["", "{", '{"memory":{"limit":"x"}}', '{"pids":{"limit":1}} trailing'])
def test_update_refuses_a_broken_document(box, document):
    limited(box)
    box.runtime.run("update", "-r", "-", box.id, stdin=document).fails()
    assert (memory_limit(box), pids_limit(box)) == (str(64 * MIB), "20")


def test_stats(box):
    limited(box)
    event = json.loads(box.runtime.run("events", "--stats", box.id).ok().out)
    assert event["type"] == "stats" and event["id"] == box.id
    data = event["data"]
    assert data["pids"]["current"] == 1 and data["pids"]["limit"] == 20
    assert data["memory"]["usage"]["limit"] == 64 * MIB and data["memory"]["usage"]["usage"] > 0
    assert data["cpu"]["usage"]["total"] > 0
    assert "blkio" in data and data["memory"]["raw"]


def test_the_stream_of_events_ends_with_the_container(box):
    limited(box)
    out = Output()
    with subprocess.Popen(box.runtime.command("events", "--interval", "50ms", box.id), stdout=out.write_fd) as process:
        out.sent()
        first = json.loads(out.line())
        assert first["type"] == "stats" and first["data"]["pids"]["current"] == 1
        json.loads(out.line())
        box.delete("--force").ok()
        assert process.wait(DEADLINE) == 0
    out.close()


def small(box, script):
    box.linux["resources"]["memory"] = {"limit": 16 * MIB, "swap": 16 * MIB}
    box.sh(script).create().ok()


def test_an_oom_kill_is_an_event(box):
    small(box, "echo up; read go; sleep 60")
    box.start().ok()
    assert box.output.line() == "up"
    out = Output()
    with subprocess.Popen(box.runtime.command("events", "--interval", "50ms", box.id), stdout=out.write_fd) as process:
        out.sent()
        assert json.loads(out.line())["type"] == "stats"  # from here on it listens
        box.exec("hog", "64")
        while json.loads(out.line())["type"] != "oom":
            pass
        box.delete("--force").ok()
        assert process.wait(DEADLINE) == 0
        assert '"oom"' not in out.rest()
    out.close()


def test_the_oom_kill_that_ends_a_container_is_an_event(box):
    """The event is not left out when the end is seen first, and the stream ends at once for all its interval."""
    small(box, "exec hog 64")
    out = Output()
    with subprocess.Popen(box.runtime.command("events", "--interval", "1s", box.id), stdout=out.write_fd) as process:
        out.sent()
        assert json.loads(out.line())["type"] == "stats"
        box.start().ok()
        assert process.wait(DEADLINE) == 0
    types = [json.loads(line)["type"] for line in out.rest().splitlines()]
    assert types.count("oom") == 1 and types[-1] == "oom"
    out.close()


def test_devices_are_denied_and_allowed(box):
    """Nodes may always be made, as everywhere in the field; what opens is what is allowed."""
    for name in ("bounding", "effective", "permitted"):
        box.process["capabilities"][name] = [*box.process["capabilities"][name], "CAP_MKNOD"]
    # a number that no driver has: the control group refuses before the kernel finds out
    script = "mknod /tmp/n c 1 3; echo x > /tmp/n && echo null; mknod /tmp/k c 240 77; cat /tmp/k 2>&1; rm /tmp/n /tmp/k"
    denied, allowed = "cat: can't open '/tmp/k': Operation not permitted", "cat: can't open '/tmp/k': No such device or address"
    assert box.output_of(script).splitlines() == ["null", denied]
    box.linux["resources"]["devices"].append({"allow": True, "type": "c", "major": 240, "minor": 77, "access": "r"})
    assert box.output_of(script).splitlines() == ["null", allowed]


def test_the_cgroup_namespace_hides_the_path(box):
    box.namespace("cgroup")
    assert all(line.endswith(":/") for line in box.output_of("cat /proc/self/cgroup").splitlines())


def test_a_cgroup_mount_shows_the_containers_own(box):
    box.namespace("cgroup").mount("/sys/fs/cgroup", "cgroup", "cgroup", "nosuid", "noexec", "nodev", "relatime", "ro")
    box.linux["resources"]["pids"] = {"limit": 17}
    path = "/sys/fs/cgroup/pids.max" if cgroups.unified() else "/sys/fs/cgroup/pids/pids.max"
    assert box.output_of(f"cat {path}; echo 1 2>/dev/null > {path} || echo read-only").splitlines() == ["17", "read-only"]


def test_the_path_defaults_to_the_id(box):
    del box.linux["cgroupsPath"]
    groups = box.output_of("cat /proc/self/cgroup").splitlines()
    assert any(line.endswith("/" + box.id) for line in groups)
    assert not cgroups.processes("/" + box.id)


def test_update_needs_no_running_process(box):
    box.linux["resources"]["memory"] = {"limit": 64 * MIB}
    box.create().ok()
    box.runtime.run("update", "--memory", str(32 * MIB), box.id).ok()
    assert memory_limit(box) == str(32 * MIB)
