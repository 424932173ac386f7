"""CVE-2024-21626, CVE-2016-9962: no descriptor of the host reaches a container, nor can one be used on the way in."""
import json
import os

import pytest

LEAK = ["sh", "-c", 'exec 3</ 4</etc 5</proc 6</tmp 7</ 8</; exec "$@"', "sh"]  # a careless caller: directories of the host left open
PLACES = ["/proc/self/fd/{}", "/proc/self/fd/{}/../..", "/proc/thread-self/fd/{}", "/proc/self/task/1/fd/{}", "/dev/fd/{}", "/proc/1/fd/{}", "/way/{}"]


@pytest.fixture
def leaky(box):
    """A box whose runtime gets more descriptors than it should, and an image that has links to them."""
    box.runtime.prefix = LEAK
    os.mkdir(os.path.join(box.rootfs, "way"))
    for fd in range(3, 21):
        os.symlink(f"/proc/self/fd/{fd}", os.path.join(box.rootfs, "way", str(fd)))
    box.process["user"] = {"uid": 0, "gid": 0}
    return box


def is_inside(box, result):
    return result.code == 0 and result.out.split() == ["bin", "inside"]


@pytest.mark.parametrize("place", PLACES)
def test_working_directory_of_run(leaky, place):
    for fd in range(3, 13):
        leaky.process["cwd"] = place.format(fd)
        result = leaky.sh("ls -d ../../../../../../../../../../etc/debian_version ./etc/debian_version; pwd").run()
        assert "debian_version\n" not in result.out, result
        assert result.code != 0 or result.out.startswith("/"), result


@pytest.mark.parametrize("place", PLACES)
def test_working_directory_of_exec(leaky, place):
    leaky.sh("echo up; exec sleep 30").up()
    assert leaky.output.line() == "up"
    for fd in range(3, 13):
        result = leaky.exec("sh", "-c", "ls -d ../../../../../../../../../../etc/debian_version ./etc/debian_version; pwd", flags=["--cwd", place.format(fd)])
        assert "debian_version\n" not in result.out, result
        assert result.code != 0 or result.out.startswith("/"), result


@pytest.mark.parametrize("by", ["run", "exec"])
@pytest.mark.parametrize("place", ["/proc/self/fd/{}/bin/cat", "/way/{}/bin/cat", "/proc/self/fd/{}"])
def test_program_through_a_descriptor(leaky, place, by):
    """args[0] leads through a descriptor to a program of the host."""
    if by == "exec":
        leaky.sh("echo up; exec sleep 30").up()
        assert leaky.output.line() == "up"
    for fd in range(3, 10):
        argv = [place.format(fd), "/etc/debian_version"]
        result = leaky.exec(*argv) if by == "exec" else leaky.args(*argv).run()
        assert result.code != 0 and result.out == "", result


@pytest.mark.parametrize("by", ["run", "create", "exec", "exec --process"])
def test_only_the_wanted_descriptors(leaky, by, tmp_path):
    if by == "run":
        assert leaky.args("fds").run().ok().lines == ["0", "1", "2"]
    elif by == "create":
        leaky.args("fds").up()
        assert leaky.output.rest().split() == ["0", "1", "2"]
    else:
        leaky.sh("echo up; exec sleep 30").up()
        assert leaky.output.line() == "up"
        (tmp_path / "p.json").write_text(json.dumps({**leaky.process, "args": ["fds"]}))
        result = leaky.exec("fds") if by == "exec" else leaky.runtime.run("exec", "--process", tmp_path / "p.json", leaky.id)
        assert result.ok().lines == ["0", "1", "2"]


@pytest.mark.parametrize("by", ["run", "exec"])
def test_preserved_descriptors_and_no_more(leaky, by):
    if by == "run":
        assert leaky.args("fds").run("--preserve-fds", "2").ok().lines == ["0", "1", "2", "3", "4"]
        return
    leaky.sh("echo up; exec sleep 30").up()
    assert leaky.output.line() == "up"
    assert leaky.exec("fds", flags=["--preserve-fds", "2"]).ok().lines == ["0", "1", "2", "3", "4"]


@pytest.mark.parametrize("kind", ["prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop"])
def test_hooks_get_no_descriptors(leaky, kind, world):
    """A hook has its three descriptors, and the one with which it looks."""
    seen = os.path.join(world.top, "seen")
    with open(seen, "w", encoding="ascii"):
        pass
    os.chmod(seen, 0o666)
    leaky.mount("/tmp", world.top, "none", "bind", "rw")
    to = "/tmp/seen" if kind == "startContainer" else seen
    # fds is static: it runs on both sides
    script = f"{'' if kind == 'startContainer' else leaky.rootfs}/bin/fds > {to}"
    leaky.config["hooks"] = {kind: [{"path": "/bin/sh", "args": ["sh", "-c", script]}]}
    leaky.args("true").up()
    leaky.output.rest()
    leaky.delete("--force").ok()
    with open(seen, encoding="ascii") as f:
        assert f.read().split() == ["0", "1", "2"]


def test_standard_streams_that_are_closed(box):
    """A file that the runtime opens must never become the container's standard error."""
    box.runtime.prefix = ["sh", "-c", 'exec 0<&- 2>&-; exec "$@"', "sh"]
    box.args("ls", "-l", "/proc/self/fd")
    lines = [line.split(" -> ")[1] for line in box.run().ok().lines if " -> " in line]
    assert lines[0] == lines[2] == "/dev/null", lines


def peeked(box):
    """What the looker saw of 25 processes that came in."""
    box.runtime.prefix = LEAK
    box.args("peek").up()
    assert box.output.line() == "ready"
    for _ in range(25):
        box.exec("true").ok()
    box.kill("TERM").ok()
    *lines, met, done = box.output.rest().splitlines()
    assert done == "done"
    assert int(met.split()[1]) > 2, "nobody was met: it proves nothing"
    return set(lines)


def test_an_exec_shows_nothing_of_the_host(armed):
    """CVE-2016-9962: who comes in is not to be looked into before it has become the program."""
    assert not peeked(armed)


def test_an_exec_shows_nothing_in_a_user_namespace(armed):
    """There, the container's root may have every capability."""
    names = [f"CAP_{name}" for name in "SYS_ADMIN SYS_PTRACE DAC_OVERRIDE DAC_READ_SEARCH SETUID SETGID CHOWN FOWNER KILL SYS_CHROOT".split()]
    armed.process["capabilities"] = {name: names for name in ("bounding", "effective", "permitted")}
    armed.namespace("user")
    armed.linux["uidMappings"] = armed.linux["gidMappings"] = [{"containerID": 0, "hostID": 100000, "size": 65536}]
    assert not peeked(armed)


def test_a_created_container_shows_nothing_to_its_neighbour(world, armed):
    """Two containers in one pid namespace: the one that waits for its start still has things of the host in its hands."""
    armed.sh("echo up; exec sleep 30").up()
    assert armed.output.line() == "up"
    twin = world.box("twin").namespace("pid", f"/proc/{armed.pid}/ns/pid").args("true")
    twin.create().ok()
    result = armed.exec("peek", "3").ok()
    assert result.lines == ["ready", "done"]
