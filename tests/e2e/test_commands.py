"""The command line itself: global options, version, features, spec, logs."""
import json
import os
import re

import pytest


def test_version(world):
    for spelling in ("--version", "-v"):
        lines = world.runtime.run(spelling, raw=True).ok().lines
        assert re.fullmatch(r"\S+ version \d\S*", lines[0])
        assert any(re.fullmatch(r"spec: 1\.\d+\.\d+\S*", line) for line in lines)


def test_version_never_fails(world):
    world.runtime.run("--root", "/proc/nowhere", "--log", "/proc/nowhere/log", "--version", raw=True).ok()


def test_help(world):
    out = world.runtime.run("--help", raw=True).ok().out
    for command in "create delete events exec features kill list pause ps resume run spec start state update".split():
        assert re.search(rf"^\s+{command}\b", out, re.M), command
        assert world.runtime.run(command, "--help", raw=True).ok().out


def test_unknown_things(world):
    world.runtime.run("nonsense").fails()
    world.runtime.run("state").fails()
    world.runtime.run("create", "--nonsense", "x").fails("nonsense")
    world.runtime.run("--nonsense", "list", raw=True).fails("nonsense")


def test_checkpoint_is_not_there_yet(world):
    world.runtime.run("checkpoint", "--help", raw=True).fails()


def test_features(world):
    doc = json.loads(world.runtime.run("features").ok().out)
    assert doc["ociVersionMin"].startswith("1.0") and doc["ociVersionMax"].startswith("1.")
    assert set(doc["hooks"]) >= {"prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop"}
    assert {"ro", "rro", "bind", "rbind", "tmpcopyup"} & set(doc["mountOptions"]) >= {"ro", "rro", "bind", "rbind"}
    linux = doc["linux"]
    assert set(linux["namespaces"]) >= {"cgroup", "ipc", "mount", "network", "pid", "time", "user", "uts"}
    assert "CAP_SYS_ADMIN" in linux["capabilities"]
    assert linux["cgroup"]["v1"] and linux["cgroup"]["v2"] and "systemd" in linux["cgroup"]
    assert linux["seccomp"]["enabled"]
    assert {"SCMP_ACT_ERRNO", "SCMP_ACT_NOTIFY"} <= set(linux["seccomp"]["actions"])
    assert "SCMP_ARCH_X86_64" in linux["seccomp"]["archs"] and "SCMP_CMP_MASKED_EQ" in linux["seccomp"]["operators"]
    assert linux["mountExtensions"]["idmap"]["enabled"] is True
    assert {"apparmor", "selinux", "intelRdt"} <= set(linux)


def test_spec_runs(box):
    box.runtime.run("spec", "--bundle", box.bundle).ok()
    box.runtime.run("spec", cwd=box.bundle).fails("exists")
    with open(os.path.join(box.bundle, "config.json"), encoding="utf-8") as f:
        box.config = json.load(f)
    assert box.config["process"]["terminal"] is True and box.config["root"]["readonly"] is True
    box.process["terminal"] = False
    box.linux["cgroupsPath"] = box.cgroup
    assert box.output_of("id -u; hostname").splitlines()[0] == "0"


def test_rootless_spec(box):
    box.runtime.run("spec", "--rootless", "--bundle", box.bundle).ok()
    with open(os.path.join(box.bundle, "config.json"), encoding="utf-8") as f:
        config = json.load(f)
    assert "user" in [n["type"] for n in config["linux"]["namespaces"]]
    assert [m["containerID"] for m in config["linux"]["uidMappings"]] == [0]
    assert "resources" not in config["linux"]
    assert not [m for m in config["mounts"] if any("gid=5" == o for o in m.get("options") or [])]


def last(log):
    with open(log, encoding="utf-8") as f:
        return f.read().splitlines()[-1]


def test_the_log_in_json(world, tmp_path):
    log = tmp_path / "log"
    result = world.runtime.run("--root", world.runtime.root, "--log", log, "--log-format", "json", "state", "nobody", raw=True).fails("does not exist")
    entry = json.loads(last(log))
    assert entry["level"] == "error" and "does not exist" in entry["msg"]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)", entry["time"])
    assert result.code == 1


def test_the_log_in_text(world, tmp_path):
    log = tmp_path / "log"
    world.runtime.run(f"--root={world.runtime.root}", f"--log={log}", "--log-format=text", "state", "nobody", raw=True).fails()
    assert re.match(r'time="?\S+"? level=error msg=".*does not exist', last(log))


def test_an_error_is_one_line_on_stderr(world):
    result = world.runtime.run("state", "nobody").fails("does not exist")
    assert len(result.err.splitlines()) == 1 and result.out == ""


def test_an_unusable_log_is_said(world):
    world.runtime.run("--log", "/nowhere/log", "list", raw=True).fails("/nowhere/log")
    world.runtime.run("--log-format", "yaml", "list", raw=True).fails("log")


@pytest.mark.parametrize("options", [["--debug"], ["--rootless", "false"], ["--rootless=auto"], ["--systemd-cgroup=false"], ["--debug", "--log-format=json"]])
def test_global_options(box, options):
    box.runtime.options = options
    assert box.output_of("echo fine") == "fine"


def test_root_is_made_private(box):
    box.args("true").run().ok()
    assert os.stat(box.runtime.root).st_mode & 0o077 in (0, 0o011)


def test_create_spellings(box, tmp_path):
    box.save()
    box.runtime.run("create", "--bundle=" + box.bundle, f"--pid-file={tmp_path}/pid", "--no-new-keyring", "--no-pivot", box.id, stdout=box.output).ok()
    box.output.sent()
    assert int((tmp_path / "pid").read_text()) == box.pid
