"""Hooks: their order, what they are given, and what their failure does."""
import json
import os

import pytest

from container import Output

KINDS = ["prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop"]


@pytest.fixture
def log(box, world):
    """A directory that hooks reach at the same path on both sides."""
    path = os.path.join(world.top, "log")
    os.mkdir(path)
    box.mount(path, path, "none", "bind", "rw")
    return path


def hook(script, **more):
    return {"path": "/bin/sh", "args": ["sh", "-c", script], "env": ["PATH=/bin:/usr/bin"], **more}


def read(log, name):
    try:
        with open(os.path.join(log, name), encoding="utf-8") as f:
            return f.read()
    except FileNotFoundError:
        return ""


def test_the_order(box, log):
    box.config["hooks"] = {kind: [hook(f"echo {kind} >> {log}/order"), hook(f"echo again >> {log}/order")] for kind in KINDS}
    box.sh(f"echo process >> {log}/order; exec sleep 60").create().ok()
    first = [line for kind in KINDS[:3] for line in (kind, "again")]
    assert read(log, "order").split() == first
    pidfd = box.pidfd()
    box.start().ok()
    box.delete("--force").ok()
    box.wait(pidfd)
    lines = [line for line in read(log, "order").split() if line != "process"]
    assert lines == [line for kind in KINDS for line in (kind, "again")]


def test_what_a_hook_is_told(box, log):
    box.config["annotations"] = {"key": "va/lue"}
    box.config["hooks"] = {kind: [hook(f"cat > {log}/{kind}")] for kind in KINDS}
    box.args("true").run().ok()
    for kind, statuses in (("prestart", {"creating", "created"}), ("createRuntime", {"creating", "created"}), ("createContainer", {"creating", "created"}),
                           ("startContainer", {"created"}), ("poststart", {"running", "stopped"}), ("poststop", {"stopped"})):
        text = read(log, kind)
        state = json.loads(text)
        assert state["id"] == box.id and state["bundle"] == box.bundle and state["annotations"] == {"key": "va/lue"}, kind
        assert state["status"] in statuses, kind
        assert "\n" not in text.strip() and "\\/" not in text, "compact, slashes as they are"


def test_the_environment_is_the_given_one(box, log):
    box.config["hooks"] = {"createRuntime": [{"path": "/usr/bin/env", "args": ["env"], "env": ["ONLY=this"]}],
                           "prestart": [hook(f"env > {log}/env; id -u >> {log}/env", env=["A=b", "PATH=/usr/bin:/bin"])]}
    box.args("true").run().ok()
    assert {"A=b", "PATH=/usr/bin:/bin"} <= set(read(log, "env").split()) and "HOME" not in read(log, "env")


def test_namespaces_of_hooks(box, log):
    box.config["hooks"] = {"createRuntime": [hook(f"readlink /proc/self/ns/mnt > {log}/runtime")],
                           "createContainer": [hook(f"readlink /proc/self/ns/mnt > {log}/container; test -d {box.bundle} && echo host >> {log}/container")],
                           "startContainer": [hook(f"readlink /proc/self/ns/mnt > {log}/start; test -d {box.bundle} || echo box >> {log}/start")]}
    box.args("true").run().ok()
    assert read(log, "runtime").strip() == os.readlink("/proc/self/ns/mnt")
    inside, seen = read(log, "container").split()
    assert inside != os.readlink("/proc/self/ns/mnt") and seen == "host"
    assert read(log, "start").split() == [inside, "box"]


@pytest.mark.parametrize("kind", KINDS[:4])
def test_a_failing_hook_stops_the_start(box, log, kind):
    box.config["hooks"] = {kind: [hook("echo reason >&2; exit 3")], "poststop": [hook(f"echo > {log}/poststop")]}
    box.sh(f"echo > {log}/ran").run().fails("hook")
    assert not os.path.exists(os.path.join(log, "ran"))


def test_a_failing_poststart_stops_the_container(box):
    """Since 1.3.0 of the specification."""
    box.config["hooks"] = {"poststart": [hook("exit 3")]}
    box.sh("exec sleep 60").create().ok()
    pidfd = box.pidfd()
    box.start().fails("hook")
    box.wait(pidfd)
    box.delete("--force").ok()


def test_a_failing_poststop_is_only_told(box, log):
    box.config["hooks"] = {"poststop": [hook("exit 3"), hook(f"echo > {log}/second")]}
    box.args("true").run().ok()
    assert os.path.exists(os.path.join(log, "second"))


def test_a_timeout(box):
    box.config["hooks"] = {"createRuntime": [hook("exec sleep 300", timeout=1)]}
    box.run().fails("hook")


def test_a_missing_hook_is_named(box):
    box.config["hooks"] = {"createRuntime": [{"path": "/nowhere/hook"}]}
    box.run().fails("/nowhere/hook")


def test_a_hook_that_leaves_a_child_does_not_hold_the_runtime(box):
    """Whoever keeps the hook's stdout open is not waited for."""
    held = Output()
    box.config["hooks"] = {"createRuntime": [hook("sleep 300 </dev/null >/dev/null 2>&1 & echo $! >&2; exit 0")]}
    held.close()
    box.args("true").run().ok()
