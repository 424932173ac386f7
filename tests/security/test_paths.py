"""CVE-2019-18837, -2021-30465, -2024-45310, -2025-24965, -2026-30892, -2026-41579, -2026-47766: whatever links an image or a volume
brings, nothing outside the container is created, changed or mounted over."""
import json
import os
import shutil
import stat

import pytest

import terminals

WAYS = ["absolute", "dots", "chain", "proc"]


def lead(box, canary, how, at, name=""):
    """Puts a link at a path of the image that leads to the canary."""
    path = os.path.join(box.rootfs, at)
    if os.path.isdir(path) and not os.path.islink(path):
        shutil.rmtree(path)
    elif os.path.lexists(path):
        os.unlink(path)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    target = {"absolute": os.path.join(canary.path, name), "dots": canary.link(name).lstrip("/"), "chain": "/hop",
              "proc": "/proc/1/root" + os.path.join(canary.path, name)}[how]
    os.symlink(target, path)
    if how == "chain":
        os.symlink("hip/../hop2", os.path.join(box.rootfs, "hop"))
        os.mkdir(os.path.join(box.rootfs, "hip"))
        os.symlink("../../../../.." + os.path.join(canary.path, name), os.path.join(box.rootfs, "hop2"))


def without(box, *destinations):
    box.config["mounts"] = [m for m in box.config["mounts"] if not m["destination"].startswith(destinations)]


@pytest.fixture
def volume(world):
    path = os.path.join(world.top, "volume")
    os.mkdir(path)
    with open(os.path.join(path, "mine"), "w", encoding="ascii") as f:
        f.write("mine\n")
    return path


@pytest.mark.parametrize("how", WAYS)
@pytest.mark.parametrize("kind", ["tmpfs", "bind", "file", "mqueue", "below"])
def test_mount_destinations(box, canary, volume, how, kind):
    lead(box, canary, how, "to", "file" if kind == "file" else "")
    at = "/to/new/deep" if kind == "below" else "/to"
    if kind == "tmpfs":
        box.mount(at, "tmpfs", "tmpfs")
    elif kind == "mqueue":
        box.mount(at, "mqueue", "mqueue")
    else:
        box.mount(at, os.path.join(volume, "mine") if kind == "file" else volume, "none", "bind")
    box.args("true").run()


@pytest.mark.parametrize("destination", ["/../../../../../../../../..{}", "../../../../../../..{}", "/tmp/../../../../../../..{}", "//..//.//..{}/.."])
def test_dots_in_destinations(box, canary, volume, destination):
    at = destination.format(canary.path)
    box.mount(at, volume, "none", "bind").mount(at + "/made", "tmpfs", "tmpfs").args("true").run()


@pytest.mark.parametrize("how", WAYS)
@pytest.mark.parametrize("at", ["dev", "dev/pts", "dev/shm", "proc", "sys", "dev/null", "dev/console", "dev/ptmx", "dev/fd", "dev/tty"])
@pytest.mark.parametrize("mounted", [True, False], ids=["mounts", "plain"])
def test_links_where_the_runtime_makes_things(box, canary, how, at, mounted):
    """An image whose /dev, or what is in it, leads elsewhere; with and without a mount over it."""
    name = os.path.basename(at) if at.count("/") else ""
    lead(box, canary, how, at, name if name in ("null", "console", "ptmx") else "")
    if not mounted:
        without(box, "/dev", "/sys", "/proc")
        box.linux["maskedPaths"], box.linux["readonlyPaths"] = [], []
    box.linux["devices"] = [{"path": "/dev/own", "type": "c", "major": 10, "minor": 229, "fileMode": 0o666, "uid": 7, "gid": 7}]
    box.args("true").run()


@pytest.mark.parametrize("how", WAYS)
@pytest.mark.parametrize("mounted", [True, False], ids=["mounts", "plain"])
@pytest.mark.parametrize("at", ["dev/console", "dev/pts", "dev"])
def test_a_terminal_through_links(box, world, canary, how, at, mounted):
    """CVE-2025-52565, -2026-88264: /dev/console is made, bound and given away through a link."""
    lead(box, canary, how, at, "console" if at == "dev/console" else "")
    if not mounted:
        without(box, "/dev")
    box.process["terminal"] = True
    box.process["user"] = {"uid": 1234, "gid": 1234}
    console = terminals.ConsoleSocket(os.path.join(world.top, "console.sock"))
    box.args("true")
    if box.create("--console-socket", console.path).code == 0:
        console.receive()[1].close()
        box.start()
    console.close()


@pytest.mark.parametrize("path", ["/dev/console", "/dev/pts/0", "/dev/ptmx"])
def test_a_terminal_beside_devices_of_the_image(box, world, canary, path):
    """The image brings a real device, or a file, of the name; the terminal is still one of the container's own devpts."""
    without(box, "/dev/shm")
    real = os.path.join(box.rootfs, path[1:])
    os.makedirs(os.path.dirname(real), exist_ok=True)
    os.mknod(real, 0o666 | stat.S_IFCHR, os.makedev(1, 11))
    box.process["terminal"] = True
    console = terminals.ConsoleSocket(os.path.join(world.top, "console.sock"))
    box.sh("stat -c %t /dev/console; echo $(tty)").create("--console-socket", console.path).ok()
    message, terminal = console.receive()
    box.start().ok()
    assert message == b"/dev/pts/0"
    terminal.expect("88")  # major 136: a pty
    terminal.expect("/dev/")
    terminal.close()
    console.close()


@pytest.mark.parametrize("how", WAYS)
@pytest.mark.parametrize("at", ["dev/sub", "to/dev"])
def test_devices_through_links(box, canary, how, at):
    without(box, "/dev")
    lead(box, canary, how, at)
    box.linux["devices"] = [{"path": f"/{at}/{name}", "type": kind, "major": 1, "minor": 3, "fileMode": 0o666, "uid": 7, "gid": 7}
                            for name, kind in (("file", "c"), ("new", "c"), ("pipe", "p"), ("dir/deep/block", "b"))]
    box.args("true").run()


@pytest.mark.parametrize("how", WAYS)
def test_the_working_directory_through_links(box, canary, how):
    lead(box, canary, how, "to")
    box.process["cwd"] = "/to/made"
    box.args("true").run()


@pytest.mark.parametrize("how", WAYS)
def test_masks_through_links(box, canary, how):
    """What is masked is what the path means inside; a host's file is never covered."""
    lead(box, canary, how, "to")
    box.linux["maskedPaths"] += ["/to/file", "/to/dir", "/to"]
    box.linux["readonlyPaths"] += ["/to/dir/deep"]
    box.args("true").run()
    with open("/proc/self/mountinfo", encoding="utf-8") as f:
        assert canary.path not in f.read()


@pytest.mark.parametrize("how", WAYS)
def test_copied_up_through_links(box, canary, how):
    lead(box, canary, how, "to")
    box.mount("/to", "tmpfs", "tmpfs", "tmpcopyup").args("true").run()


@pytest.mark.parametrize("how", WAYS)
def test_cgroups_through_links(box, canary, how):
    without(box, "/sys")
    lead(box, canary, how, "sys")
    box.mount("/sys/fs/cgroup", "cgroup", "cgroup", "ro").args("true").run()


def test_a_volume_over_dev_that_has_links(box, canary, volume):
    """CVE-2026-41579: what is removed and made in /dev when /dev is somebody's volume."""
    for name in ("null", "console", "ptmx", "zero", "fd"):
        os.symlink(os.path.join(canary.path, name), os.path.join(volume, name))
    without(box, "/dev")
    before = sorted((name, os.readlink(os.path.join(volume, name))) for name in os.listdir(volume) if name != "mine")
    box.mount("/dev", volume, "none", "bind").args("true").run().ok()
    assert before == sorted((name, os.readlink(os.path.join(volume, name))) for name in os.listdir(volume) if name != "mine")


@pytest.mark.parametrize("user_namespace", [False, True], ids=["root", "userns"])
@pytest.mark.parametrize("what", ["fifo", "directory", "file", "device", "socketish"])
def test_something_else_as_the_null_device(box, what, user_namespace):
    """CVE-2026-88265: /dev/null of the image is never taken, nor opened, for the device."""
    without(box, "/dev")
    null = os.path.join(box.rootfs, "dev/null")
    if what == "fifo":
        os.mkfifo(null)
    elif what == "directory":
        os.mkdir(null)
    elif what == "file":
        with open(null, "w", encoding="ascii") as f:
            f.write("content")
    elif what == "device":
        os.mknod(null, 0o666 | stat.S_IFCHR, os.makedev(10, 235))  # opening this one starts things
    else:
        os.mknod(null, 0o666 | stat.S_IFSOCK)
    if user_namespace:
        box.namespace("user")
        box.linux["uidMappings"] = box.linux["gidMappings"] = [{"containerID": 0, "hostID": 100000, "size": 65536}]
        for here, folders, files in os.walk(box.rootfs):
            for name in [".", *folders, *files]:
                os.chown(os.path.join(here, name), 100000, 100000, follow_symlinks=False)
    result = box.sh("stat -c '%F %t:%T' /dev/null").run()
    if what == "directory" and result.code:
        assert "null" in result.err
    else:
        assert result.ok().out == "character special file 1:3\n"
    if what == "file" and user_namespace:
        with open(null, encoding="ascii") as f:
            assert f.read() == "content"  # covered, not written to


@pytest.mark.parametrize("name", ["passwd", "group"])
@pytest.mark.parametrize("target", ["absolute", "fifo", "zero", "kmsg", "proc"])
def test_files_of_the_image_that_are_something_else(box, canary, name, target):
    at = os.path.join(box.rootfs, "etc", name)
    if target == "fifo":
        os.mkfifo(at)
    elif target == "kmsg":
        os.mknod(at, 0o666 | stat.S_IFCHR, os.makedev(1, 11))
    else:
        os.symlink({"absolute": os.path.join(canary.path, "file"), "zero": "/dev/zero", "proc": "/proc/self/exe"}[target], at)
    box.process["env"] = ["PATH=/bin"]
    assert box.output_of("echo $HOME") == "/"


def test_a_pid_file_replaces_a_link(box, canary, world):
    """The place may be anybody's: a link there is replaced, not followed."""
    at = os.path.join(world.top, "pid")
    os.symlink(os.path.join(canary.path, "file"), at)
    box.create("--pid-file", at).ok()
    assert not os.path.islink(at)
    with open(at, encoding="ascii") as f:
        assert int(f.read()) == box.pid


def test_a_root_that_is_a_link_out_of_the_bundle(box, canary):
    """Callers may do this; what is inside stays what the link said, and only that."""
    os.rename(box.rootfs, box.rootfs + ".real")
    os.symlink(os.path.basename(box.rootfs) + ".real", box.rootfs)
    assert box.output_of("echo here") == "here"


def test_the_process_file_of_exec_is_not_the_images(running):
    """`exec --process` reads on the host's side; a path that only exists inside is not found."""
    with open(os.path.join(running.rootfs, "inside.json"), "w", encoding="ascii") as f:
        json.dump({**running.process, "args": ["id"]}, f)
    running.runtime.run("exec", "--process", "/inside.json", running.id).fails("inside.json")
