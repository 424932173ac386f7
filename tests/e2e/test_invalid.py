"""Bad input: one line that names the place in the document and what is allowed; nothing left behind (the fixtures look)."""
import json

import pytest


@pytest.fixture
def box(world):
    """One whose process would end at once."""
    return world.box()


def refused(box, *texts, text=None):
    box.save(text)
    result = box.runtime.run("run", "--bundle", box.bundle, box.id).fails(*texts)
    assert len(result.err.strip().splitlines()) == 1, result
    assert len(result.err) < 2000
    return result


@pytest.mark.parametrize("cut", [0, 1, 30, 200, -1, -2])
def test_truncated(box, cut):
    text = json.dumps(box.config)
    refused(box, "config.json", text=text[:cut] if cut else "")


BROKEN = {"null": "null", "list": "[]", "number": "7", "string": '"x"', "trailing": "{}x", "zero": "\0", "comma": '{"a":1,}', "quotes": "{'a':1}",
          "deep": "[" * 5000, "surrogate": '{"process":{"args":["\\ud800"]}}'}


@pytest.mark.parametrize("text", BROKEN.values(), ids=BROKEN.keys())
def test_not_a_document(box, text):
    refused(box, "config.json", text=text)


def test_a_duplicate_key(box):
    text = json.dumps(box.config)
    refused(box, "hostname", text=text.replace('"hostname":', '"hostname": "first", "hostname":'))


def test_a_missing_file(box):
    box.runtime.run("run", "--bundle", box.bundle, box.id).fails("config.json")


def test_a_huge_file(box):
    refused(box, text=json.dumps(box.config)[:-1] + ' ,"annotations":{"a":"' + "x" * (64 << 20) + '"}}')


# path, value, what the message must hold
WRONG = [
    ("ociVersion", 1, "ociVersion"),
    ("ociVersion", "9.0.0", "ociVersion"),
    ("ociVersion", None, "ociVersion"),
    ("process", [], "process"),
    ("process.args", "true", "process.args"),
    ("process.args", [], "process.args"),
    ("process.args", [1], "process.args[0]"),
    ("process.cwd", "relative", "process.cwd"),
    ("process.cwd", "", "process.cwd"),
    ("process.env", ["NO_EQUALS", 3], "process.env[1]"),
    ("process.user.uid", -1, "process.user.uid"),
    ("process.user.uid", 4294967296, "process.user.uid"),
    ("process.user.uid", 1.5, "process.user.uid"),
    ("process.user.uid", "0", "process.user.uid"),
    ("process.user.additionalGids", [0, -7], "process.user.additionalGids[1]"),
    ("process.capabilities.bounding", ["CAP_NET_RAW", 5], "process.capabilities.bounding[1]"),
    ("process.rlimits", [{"type": "RLIMIT_NONSENSE", "soft": 1, "hard": 1}], "process.rlimits[0].type"),
    ("process.rlimits", [{"type": "RLIMIT_NOFILE", "soft": 9, "hard": 1}], "process.rlimits[0]"),
    ("process.rlimits", [{"type": "RLIMIT_NOFILE", "soft": -1, "hard": 1}], "process.rlimits[0].soft"),
    ("process.noNewPrivileges", "yes", "process.noNewPrivileges"),
    ("process.oomScoreAdj", 5000, "process.oomScoreAdj"),
    ("process.terminal", 1, "process.terminal"),
    ("root", None, "root"),
    ("root.path", 5, "root.path"),
    ("root.path", "nowhere", "nowhere"),
    ("hostname", ["x"], "hostname"),
    ("mounts", {}, "mounts"),
    ("mounts", [{"type": "tmpfs"}], "mounts[0].destination"),
    ("mounts", [{"destination": "/a", "options": "ro"}], "mounts[0].options"),
    ("hooks.prestart", [{"path": "relative"}], "hooks.prestart[0].path"),
    ("hooks.prestart", [{"args": ["x"]}], "hooks.prestart[0].path"),
    ("hooks.prestart", [{"path": "/bin/true", "timeout": "1"}], "hooks.prestart[0].timeout"),
    ("linux.namespaces", [{"type": "nonsense"}], "linux.namespaces[0].type"),
    ("linux.namespaces", [{"type": "pid"}, {"type": "pid"}], "linux.namespaces"),
    ("linux.namespaces", [{"type": "pid", "path": "/nowhere"}, {"type": "mount"}, {"type": "uts"}], "/nowhere"),
    ("linux.uidMappings", [{"containerID": 0, "hostID": 0, "size": 1}], "linux.uidMappings"),
    ("linux.devices", [{"path": "/dev/x", "type": "q"}], "linux.devices[0].type"),
    ("linux.devices", [{"path": "relative", "type": "c", "major": 1, "minor": 3}], "linux.devices[0].path"),
    ("linux.resources.devices", [{"allow": "no"}], "linux.resources.devices[0].allow"),
    ("linux.resources.memory", {"limit": "1G"}, "linux.resources.memory.limit"),
    ("linux.resources.memory", {"limit": 1e30}, "linux.resources.memory.limit"),
    ("linux.resources.cpu", {"shares": -1}, "linux.resources.cpu.shares"),
    ("linux.resources.pids", {"limit": 99999999999999999999}, "64 bits"),
    ("linux.seccomp", {"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["mkdir"], "action": "X"}]}, "linux.seccomp.syscalls[0].action"),
    ("linux.rootfsPropagation", "sideways", "linux.rootfsPropagation"),
    ("linux.sysctl", {"kernel.msgmax": 5}, "linux.sysctl"),
    ("linux.personality", {"domain": "PDP11"}, "linux.personality.domain"),
    ("linux.maskedPaths", [7], "linux.maskedPaths[0]"),
    ("linux.intelRdt", {"closID": "../x"}, "intelRdt.closID"),
    ("linux.timeOffsets", {"boottime": {"secs": 1}}, "linux.timeOffsets"),
    ("annotations", {"a": 1}, "annotations"),
]


@pytest.mark.parametrize("path, value, message", WRONG, ids=[f"{path}={json.dumps(value)[:40]}" for path, value, _ in WRONG])
def test_wrong_values_name_their_place(box, path, value, message):
    at = box.config
    *parents, key = path.split(".")
    for parent in parents:
        at = at.setdefault(parent, {})
    if value is None:
        del at[key]
    else:
        at[key] = value
    refused(box, message)


def test_unknown_keys_are_ignored(box):
    box.config["org.example"] = {"deep": [1, {"x": None}]}
    box.process["unheardOf"] = True
    assert box.output_of("echo fine") == "fine"


def test_a_mount_that_fails_leaves_nothing(box, world):
    box.mount("/a", "tmpfs", "tmpfs").mount("/b", "nonsense", "nonsensefs")
    box.run().fails("/b")


def test_a_busy_cgroup_is_refused(world, running):
    other = world.box("other")
    other.linux["cgroupsPath"] = running.cgroup
    other.run().fails("cgroup")
    assert running.status == "running"
