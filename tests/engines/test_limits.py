"""Limits: what the user asked for stands in the control group, and holds."""
import os
import re

import pytest
from daemons import IMAGE
from engine import wait_until
from world import cgroup_file, cgroup_path, hierarchies

MIB = 1 << 20


@pytest.fixture
def box(engine):
    return engine.start("--memory", "64m", "--memory-reservation", "32m", "--pids-limit", "33", "--cpus", "0.5", "--cpuset-cpus", "0",
                        "--cpu-shares", "512", "--network", "none", IMAGE, "sleep", "1000")


def cpu_quota(pid):
    text = cgroup_file(pid, "cpu.cfs_quota_us", "cpu.max").split()
    period = text[1] if len(text) > 1 else cgroup_file(pid, "cpu.cfs_period_us", "cpu.max")
    return int(text[0]) / int(period)


def test_they_stand_in_the_control_group(engine, box):
    pid = engine.pid(box)
    assert cgroup_file(pid, "memory.limit_in_bytes", "memory.max") == str(64 * MIB)
    assert cgroup_file(pid, "memory.soft_limit_in_bytes", "memory.low") == str(32 * MIB)
    assert cgroup_file(pid, "pids.max", "pids.max") == "33"
    assert cgroup_file(pid, "cpuset.cpus", "cpuset.cpus") == "0"
    assert cgroup_file(pid, "cpu.shares", "cpu.weight") in ("512", "20", "59")
    assert cpu_quota(pid) == 0.5


def test_update(engine, box):
    done = engine("update", "--memory", "96m", "--memory-swap", "192m", "--cpus", "0.25", "--cpuset-cpus", "0-1", box)
    if "unknown" in done.err.lower():
        pytest.skip(f"this {engine.name} has no update")
    done.ok()
    pid = engine.pid(box)
    assert cgroup_file(pid, "memory.limit_in_bytes", "memory.max") == str(96 * MIB)
    assert cgroup_file(pid, "cpuset.cpus", "cpuset.cpus") == "0-1"
    assert cpu_quota(pid) == 0.25


def hears_of_oom(engine, name):
    # older versions of conmon tell it by a file in their working directory, where podman does not look
    return engine.inspect(name, "{{.State.OOMKilled}}") == "true" or os.path.exists(f"{engine.directory}/oom")


def test_memory_ends_at_the_limit(engine):
    # The engines' supervisors learn of it from an event that may lose against the end of the container on a busy machine, whatever the
    # runtime: one of a few containers must be told of.
    for _ in range(8):
        name = engine.start("--memory", "32m", "--memory-swap", "32m", "--network", "none", "--tmpfs", "/big:size=200m", IMAGE,
                            "dd", "if=/dev/zero", "of=/big/file", "bs=1M", "count=100")
        assert engine("wait", name).ok().text == "137"
        if hears_of_oom(engine, name):
            return
    wait_until(lambda: hears_of_oom(engine, name), "the engine hears of it")


def test_an_out_of_memory_child_does_not_end_the_container(engine):
    name = engine.start("--memory", "32m", "--memory-swap", "32m", "--network", "none", "--tmpfs", "/big:size=200m", IMAGE,
                        "sh", "-c", "dd if=/dev/zero of=/big/file bs=1M count=100; echo $?; rm /big/file; exit 3")
    assert engine("wait", name).ok().text == "3"
    assert engine("logs", name).ok().lines == ["137"]


def test_processes_end_at_the_limit(engine):
    done = engine.run("--pids-limit", "10", "--network", "none", IMAGE, "sh", "-c", "for i in $(seq 20); do sleep 100 & done; echo unlimited")
    assert "unlimited" not in done.out
    assert "can't fork" in done.err


def test_open_files(engine):
    assert engine.run("--ulimit", "nofile=128:256", "--ulimit", "nproc=4096:4096", "--network", "none", IMAGE, "sh", "-c", "ulimit -n; ulimit -Hn").ok().lines == ["128", "256"]


def test_stats(engine, box):
    done = engine("stats", "--no-stream", "--format", "{{.MemUsage}};{{.PIDs}};{{.CPUPerc}}", box).ok()
    memory, pids, cpu = done.text.split(";")
    used, limit = (part.strip() for part in memory.split("/"))
    assert not used.startswith("0B")
    assert limit in ("64MiB", "67.11MB")
    assert pids == "1"
    assert re.fullmatch(r"[\d.]+%", cpu)


def test_top(engine, box):
    done = engine("top", box).ok()
    assert "sleep 1000" in done.out


def test_the_container_sees_its_own_limit(engine):
    assert engine.run("--memory", "64m", "--network", "none", IMAGE, "sh", "-c",
                      "cat /sys/fs/cgroup/memory/memory.limit_in_bytes /sys/fs/cgroup/memory.max 2>/dev/null || :").ok().text == str(64 * MIB)


def test_the_control_group_goes_with_the_container(engine, box):
    pid = engine.pid(box)
    folders = [at + cgroup_path(pid, kind, options) for at, kind, options in hierarchies()]
    own = [folder for folder in folders if re.search("[0-9a-f]{64}", folder)]
    assert own and all(os.path.isdir(folder) for folder in own)
    engine.remove(box).ok()
    assert not [folder for folder in own if os.path.isdir(folder)]
