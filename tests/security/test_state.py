"""CVE-2020-15257, -2021-41103, -2024-25621: what the runtime keeps on the host is nobody else's; and names are only names."""
import json
import os
import signal
import stat

import pytest


def modes(path):
    found = {}
    for here, folders, files in os.walk(path):
        for name in [".", *folders, *files]:
            at = os.path.normpath(os.path.join(here, name))
            found[at] = os.lstat(at)
    return found


@pytest.mark.parametrize("umask", [0, 0o22, 0o77, 0o777])
def test_the_state_is_the_owners_alone(box, umask):
    """Directories 0700, files and sockets 0600 at most, whatever the caller's umask lets through."""
    box.runtime.prefix = ["sh", "-c", f'umask {umask:o}; exec "$@"', "sh"]
    if umask == 0o777:
        os.makedirs(box.runtime.root, mode=0o700)
    box.create().ok()
    for path, st in modes(box.runtime.root).items():
        allowed = 0o700 if stat.S_ISDIR(st.st_mode) else 0o600
        assert not stat.S_IMODE(st.st_mode) & ~allowed, f"{path}: {stat.filemode(st.st_mode)}"
        assert st.st_uid == 0
    box.runtime.prefix = []


def abstract_sockets():
    with open("/proc/net/unix", encoding="utf-8") as f:
        return {line.split()[-1] for line in f if " @" in line}


def test_no_abstract_sockets(box):
    """They have no owner, and reach through network namespaces that are shared."""
    before = abstract_sockets()
    box.without_namespace("network").sh("echo up; exec sleep 30").create().ok()
    assert not {name for name in abstract_sockets() - before if box.id in name or "skep" in name}
    box.start().ok()
    assert not {name for name in abstract_sockets() - before if box.id in name or "skep" in name}


def test_another_user_cannot_start_it(box):
    box.create().ok()
    box.runtime.prefix = ["setpriv", "--reuid", "1000", "--regid", "1000", "--clear-groups"]
    for command in (["start"], ["state"], ["kill"], ["exec"], ["delete", "--force"]):
        more = ["true"] if command == ["exec"] else []
        box.runtime.run(*command, box.id, *more).fails()
    box.runtime.prefix = []
    assert box.status == "created"


IDS = ["", ".", "..", "...", "-x", "--root", ".hidden", "a/b", "../up", "/abs", "a\\b", "a b", "a\tb", "a\nb", "é", "a;b", "a$b", "a%sb", "a*b", "a:b", "a@b",
       "x" * 1025, "x" * 5000, "\x01", "a\x7f"]


@pytest.mark.parametrize("ident", IDS)
def test_hostile_ids(box, world, ident):
    box.save()
    before = {path for path in modes(world.top) if "state" not in path}
    result = box.runtime.run("create", "--bundle", box.bundle, "--", ident).fails()
    assert len(result.err) < 4096 and len(result.err.splitlines()) <= 1 or "\n" in ident
    for command in ("state", "start", "kill", "delete", "ps", "pause", "resume"):
        box.runtime.run(command, "--", ident).fails()
    box.runtime.run("exec", "--", ident, "true").fails()
    assert {path for path in modes(world.top) if "state" not in path} == before
    assert not os.path.isdir(box.runtime.root) or os.listdir(box.runtime.root) == []


def test_the_longest_names(box, world):
    """255 bytes are a directory's name; more are an error that says so and leaves nothing."""
    box.save()
    world.runtime.run("create", "--bundle", box.bundle, "x" * 256).fails("x" * 60)
    assert not os.path.isdir(box.runtime.root) or os.listdir(box.runtime.root) == []


@pytest.mark.parametrize("plant", ["dangling", "directory", "file", "fifo", "other"])
def test_what_stands_where_the_state_should_be(box, world, plant, tmp_path):
    """A link, or anything else, of the container's name in the state directory is not used, followed or removed."""
    os.makedirs(box.runtime.root, mode=0o700)
    at = os.path.join(box.runtime.root, "planted")
    victim = tmp_path / "victim"
    victim.mkdir()
    (victim / "config.json").write_text("kept")
    (victim / "state.json").write_text("kept")
    if plant == "dangling":
        os.symlink(tmp_path / "nowhere", at)
    elif plant == "directory":
        os.symlink(victim, at)
    elif plant == "file":
        with open(at, "w", encoding="ascii") as f:
            f.write("kept")
    elif plant == "fifo":
        os.mkfifo(at)
    else:
        os.mkdir(at)
        os.mkfifo(os.path.join(at, "state.json"))
    box.save()
    box.runtime.run("create", "--bundle", box.bundle, "planted").fails()
    box.runtime.run("state", "planted").fails()
    box.runtime.run("exec", "planted", "true").fails()
    box.runtime.run("list")
    box.runtime.run("delete", "--force", "planted")
    assert (victim / "config.json").read_text() == "kept" and (victim / "state.json").read_text() == "kept"
    assert not (tmp_path / "nowhere").exists()
    if plant == "file":
        os.unlink(at)


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '{"id":"x"}', '{"ociVersion":"1.0.0","id":"planted","pid":1,"startTime":0}', "x" * 100000,
                                  '{"id":"other","pid":-1}', '{"pid":99999999999999999999}'])
def test_a_state_that_cannot_be_read(box, text):
    """A damaged state file: an error, never a signal to a process that is not the container's; and --force clears it."""
    os.makedirs(os.path.join(box.runtime.root, "planted"), mode=0o700)
    with open(os.path.join(box.runtime.root, "planted", "state.json"), "w", encoding="ascii") as f:
        f.write(text)
    for command in ("start", "kill", "pause", "resume"):
        box.runtime.run(command, "planted").fails()
    box.runtime.run("exec", "planted", "true").fails()
    box.runtime.run("list")
    box.runtime.run("delete", "--force", "planted").ok()
    assert os.listdir(box.runtime.root) == []


def fork_later_than(start_time):
    """A process whose start time, counted in ticks of 10 ms, is another one."""
    while True:
        pid = os.fork()
        if not pid:
            signal.pause()
            os._exit(0)
        with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as f:
            if int(f.read().rpartition(")")[2].split()[19]) != start_time:
                return pid
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


def test_a_pid_that_is_another_process_now(running):
    """The number in the state file was given to somebody else: nobody is killed."""
    at = os.path.join(running.runtime.root, running.id, "state.json")
    with open(at, encoding="utf-8") as f:
        state = json.load(f)
    original = dict(state)
    pid = fork_later_than(state["startTime"])
    state["pid"] = pid
    with open(at, "w", encoding="utf-8") as f:
        json.dump(state, f)
    assert running.status == "stopped"
    running.kill("KILL").fails("not running")
    assert os.waitpid(pid, os.WNOHANG) == (0, 0)
    with open(at, "w", encoding="utf-8") as f:
        json.dump(original, f)
    os.kill(pid, 9)
    os.waitpid(pid, 0)


@pytest.mark.parametrize("bundle", ["{}/nowhere", "{}/config.json", "", "{}\n", "/proc/self/fd/0", "/dev/null", "{}/" + "x" * 300])
def test_hostile_bundles(box, bundle):
    box.save()
    box.runtime.run("create", "--bundle", bundle.format(box.bundle), box.id, cwd="/").fails()


@pytest.mark.parametrize("kind", ["fifo", "directory", "zero", "loop", "huge", "dangling"])
def test_a_configuration_that_is_something_else(box, kind):
    at = os.path.join(box.bundle, "config.json")
    if kind == "fifo":
        os.mkfifo(at)
    elif kind == "directory":
        os.mkdir(at)
    elif kind == "huge":
        with open(at, "wb") as f:
            f.truncate(1 << 30)
    else:
        os.symlink({"zero": "/dev/zero", "loop": "config.json", "dangling": "nowhere"}[kind], at)
    result = box.runtime.run("create", "--bundle", box.bundle, box.id).fails("config.json")
    assert len(result.err) < 4096


@pytest.mark.parametrize("path", ["", "/nowhere", "nowhere", "config.json", "/dev/null", "rootfs/bin/busybox", "\0"])
def test_hostile_roots(box, path):
    box.config["root"]["path"] = path
    box.args("true").run().fails()


@pytest.mark.parametrize("path", ["/../../../../../../../../tmp/skep-escape", "../../../../../../../tmp/skep-escape", "a/../../../b", "/x\n/y"])
def test_hostile_cgroup_paths(box, world, path):
    """The cgroup is made below the mounted hierarchy, or not at all."""
    box.linux["cgroupsPath"] = path
    box.args("true").run()
    assert not os.path.exists("/tmp/skep-escape")
    with open("/proc/self/mountinfo", encoding="utf-8") as f:
        assert "skep-escape" not in f.read()
