"""Volumes: filled from images, parts of them, those that are mounted from elsewhere; images as mounts."""
import json
import os
import shutil
import signal
import subprocess

import pytest

from engines import Engine, eventually, kill
from images import SKEP

pytestmark = [pytest.mark.skipif(not os.path.exists(SKEP), reason=f"no {SKEP}"), pytest.mark.skipif(os.geteuid() != 0, reason="needs root")]


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
    volumes = engine.ok("volume", "ls", "-q").split()
    if volumes:
        engine.ok("volume", "rm", *volumes)
    assert mounts_below(engine.root) == []


def mounts_below(path):
    with open("/proc/self/mountinfo", encoding="utf-8") as f:
        return [line.split()[4] for line in f if line.split()[4].startswith(path)]


def data(engine, name):
    return os.path.join(engine.root, "volumes", name, "_data")


def refused(engine, *args):
    """What run says. A path that is not there has, for docker, the status of a program that is not there."""
    done = engine.call("run", "--rm", *args)
    assert done.returncode == (127 if b": no such file or directory" in done.stderr else 125), done
    return done.stderr.decode()


def sh(engine, *args):
    """The output of a shell in a container that is gone then."""
    *options, script = args
    return engine.ok("run", "--rm", *options, "busybox", "sh", "-c", script)


def seen(engine, destination, *options):
    """The mount at destination: (root, options, type, source, options of the file system)."""
    line = sh(engine, *options, f"grep ' {destination} ' /proc/self/mountinfo | tail -n 1").split()
    bar = line.index("-")
    return line[3], line[5].split(","), line[bar + 1], line[bar + 2], line[bar + 3].split(",")


# ---- parts ----

@pytest.fixture
def tree(engine):
    sh(engine, "-v", "tree:/v", "mkdir -p /v/a/b; echo deep >/v/a/b/file; ln -s a/b /v/in; ln -s /etc /v/out; ln -s ../../../../../etc /v/up; echo one >/v/f")


@pytest.mark.parametrize("part", ["a/b", "./a//b/", "in", "a/../a/b"])
def test_a_part_of_a_volume(engine, tree, part):
    assert sh(engine, "--mount", f"type=volume,src=tree,dst=/m,volume-subpath={part}", "cat /m/file; echo more >/m/more") == "deep\n"
    with open(os.path.join(data(engine, "tree"), "a/b/more"), encoding="utf-8") as f:
        assert f.read() == "more\n"


def test_a_file_of_a_volume(engine, tree):
    assert sh(engine, "--mount", "type=volume,src=tree,dst=/m,subpath=f,readonly", "cat /m; echo x >/m || echo $?") == "one\n1\n"


@pytest.mark.parametrize("part, message", [
    ("nosuch", "cannot access path {data}/nosuch: "),
    ("out", "cannot access path {data}/out: "), ("up", "cannot access path {data}/up: "),  # links that lead out: into the volume, where there is no /etc
    ("../x", "invalid mount config for type \"volume\": subpath must be a relative path within the volume"),
    ("a/../../x", "invalid mount config for type \"volume\": subpath must be a relative path within the volume"),
    ("/a", "invalid mount config for type \"volume\": subpath must be a relative path within the volume")])
def test_parts_that_are_not_there(engine, tree, part, message):
    said = refused(engine, "--mount", f"type=volume,src=tree,dst=/m,volume-subpath={part}", "busybox", "ls", "/m")
    assert message.format(data=data(engine, "tree")) in said


def test_no_part_of_an_anonymous_volume(engine):
    said = engine.fails(125, "run", "--rm", "--mount", "type=volume,dst=/m,volume-subpath=a", "busybox", "true")
    assert 'invalid mount config for type "volume": must not set Subpath when using anonymous volumes' in said


def test_a_part_that_is_exchanged_all_the_time(engine, tmp_path):
    """What is mounted is what was opened: either the directory or nothing, and never what a link points to outside."""
    secret = tmp_path / "secret"
    secret.mkdir()
    (secret / "canary").write_text("out of the volume\n", encoding="utf-8")
    sh(engine, "-v", "races:/v", "mkdir /v/dir; echo mine >/v/dir/own")
    where = data(engine, "races")
    script = f"import os\nos.chdir({where!r})\nos.symlink({str(secret)!r}, 'link')\nwhile True:\n os.rename('dir', 'p'); os.rename('link', 'dir')\n" \
             " os.rename('dir', 'link'); os.rename('p', 'dir')\n"
    with subprocess.Popen(["/usr/bin/python3", "-c", script]) as attacker:
        try:
            found = [engine.call("run", "--rm", "--mount", "type=volume,src=races,dst=/m,volume-subpath=dir", "busybox", "ls", "/m") for _ in range(40)]
        finally:
            attacker.kill()
    assert {f.stdout for f in found} <= {b"own\n", b""}
    assert any(f.stdout for f in found)
    assert all(f.returncode in (0, 125, 127) for f in found)


def test_a_part_is_filled_from_the_image(engine):
    sh(engine, "-v", "filled:/v", "mkdir /v/part")
    assert sh(engine, "--mount", "type=volume,src=filled,dst=/etc,volume-subpath=part", "test -s /etc/passwd && echo there") == "there\n"
    assert os.path.exists(os.path.join(data(engine, "filled"), "part/passwd"))


def test_cp_into_a_part(engine, tree):
    engine.ok("create", "--name", "part", "--mount", "type=volume,src=tree,dst=/m,volume-subpath=a/b", "busybox", "true")
    assert b"deep\n" in subprocess.run([*engine.base, "cp", "part:/m/file", "-"], env=engine.env, capture_output=True, check=True).stdout


def test_parts_after_a_restart(engine, tree):
    engine.run("--restart", "always", "--mount", "type=volume,src=tree,dst=/m,volume-subpath=a/b", "busybox", "sh", "-c", "cat /m/file >>/m/seen")

    seen = os.path.join(data(engine, "tree"), "a/b/seen")

    def seen_by():
        with open(seen, encoding="utf-8") as f:
            return f.read()

    eventually(lambda: os.path.exists(seen) and seen_by().startswith("deep\ndeep\n"))


# ---- images ----

def test_an_image(engine):
    script = "cat /i/etc/passwd | head -n 1; touch /i/x || echo $?"
    assert sh(engine, "--mount", "type=image,src=busybox,dst=/i", script) == sh(engine, "head -n 1 /etc/passwd") + "1\n"
    assert sh(engine, "--mount", "type=image,src=busybox,dst=/i,image-subpath=etc", "head -n 1 /i/passwd") == sh(engine, "head -n 1 /etc/passwd")
    assert sh(engine, "--mount", "type=image,src=busybox,dst=/i,subpath=etc/passwd", "head -n 1 /i") == sh(engine, "head -n 1 /etc/passwd")


def test_an_image_to_write_to(engine):
    engine.ok("run", "--name", "writer", "--mount", "type=image,src=busybox,dst=/i,rw=true", "busybox", "sh", "-c", "cat /i/new; echo mine >/i/new; rm /i/etc/passwd")
    assert engine.call("start", "-a", "writer").stdout == b"mine\n"
    assert sh(engine, "--mount", "type=image,src=busybox,dst=/i", "ls /i/new /i/etc/passwd 2>/dev/null; true") == "/i/etc/passwd\n"


def test_what_inspect_says_of_an_image(engine):
    engine.ok("create", "--name", "has", "--mount", "type=image,src=busybox,dst=/i,image-subpath=etc", "busybox")
    mount, = engine.inspect("has")["Mounts"]
    assert mount == {"Type": "image", "Name": "busybox", "Source": engine.inspect("has")["Image"], "Destination": "/i", "Mode": "", "RW": False, "Propagation": ""}


def test_an_image_that_is_mounted_stays(engine, tmp_path):
    (tmp_path / "file").write_text("x", encoding="utf-8")
    subprocess.run(["tar", "-C", str(tmp_path), "-cf", str(tmp_path / "a.tar"), "file"], check=True)
    engine.ok("import", str(tmp_path / "a.tar"), "mounted:1")
    engine.ok("create", "--name", "has", "--mount", "type=image,src=mounted:1,dst=/i", "busybox")
    engine.ok("create", "--name", "from", "--volumes-from", "has", "busybox")
    engine.ok("rm", "has")
    assert "image is being used by container" in engine.fails(1, "rmi", "-f", engine.ok("images", "-q", "mounted").strip())
    assert engine.ok("start", "-a", "from") == ""
    engine.ok("rm", "from")
    engine.ok("rmi", "mounted:1")


@pytest.mark.parametrize("mount, message", [
    ("type=image,dst=/i", 'invalid mount config for type "image": field Source must not be empty'),
    ("type=image,src=nosuch,dst=/i", "No such image: nosuch"),
    ("type=image,src=busybox,dst=/i,image-subpath=../x", 'invalid mount config for type "image": subpath must be a relative path within the image'),
    ("type=image,src=busybox,dst=/i,image-subpath=nosuch", "cannot access path nosuch of image busybox"),
    ("type=bind,src=/,dst=/i,image-subpath=x", "cannot mix 'image-*' options with mount type 'bind'")])
def test_images_that_are_not_there(engine, mount, message):
    assert message in refused(engine, "--mount", mount, "busybox", "true")


# ---- volumes that are mounted ----

def test_a_volume_of_memory(engine):
    engine.ok("volume", "create", "-o", "type=tmpfs", "-o", "device=tmpfs", "-o", "o=size=1m,mode=711,noexec", "ram")
    engine.run("--name", "one", "-v", "ram:/v", "busybox", "sh", "-c", "echo kept >/v/f; sleep 1000")
    eventually(lambda: engine.call("exec", "one", "cat", "/v/f").stdout == b"kept\n")
    assert sh(engine, "-v", "ram:/v:ro", "cat /v/f; grep ' /v ' /proc/mounts; echo x >/v/f || echo $?").splitlines() == [
        "kept", "tmpfs /v tmpfs ro,noexec,relatime,size=1024k,mode=711 0 0", "1"]
    assert json.loads(engine.ok("volume", "inspect", "ram"))[0]["Status"] == {"MountCount": 1}
    engine.run("--name", "two", "-v", "ram:/v", "busybox", "sleep", "1000")
    assert json.loads(engine.ok("volume", "inspect", "ram"))[0]["Status"] == {"MountCount": 2}
    engine.ok("rm", "-f", "one")
    assert mounts_below(engine.root) == [data(engine, "ram")]
    engine.ok("stop", "-t", "0", "two")
    assert mounts_below(engine.root) == []
    assert "Status" not in json.loads(engine.ok("volume", "inspect", "ram"))[0]
    engine.ok("start", "two")
    assert engine.ok("exec", "two", "ls", "/v") == ""


def test_a_volume_of_a_directory(engine, tmp_path):
    (tmp_path / "file").write_text("host\n", encoding="utf-8")
    for name, o in ("bound", "bind"), ("bound-ro", "bind,ro"):
        engine.ok("volume", "create", "-o", "type=none", "-o", f"device={tmp_path}", "-o", f"o={o}", name)
    assert sh(engine, "-v", "bound:/v", "cat /v/file; echo more >/v/more") == "host\n"
    assert sh(engine, "-v", "bound-ro:/v", "cat /v/more; touch /v/x || echo $?") == "more\n1\n"
    engine.ok("volume", "rm", "bound", "bound-ro")
    assert sorted(os.listdir(tmp_path)) == ["file", "more"]


def test_a_volume_of_an_overlay(engine, tmp_path):
    for name in "lower", "upper", "work":
        (tmp_path / name).mkdir()
    (tmp_path / "lower" / "file").write_text("low\n", encoding="utf-8")
    o = ",".join(f"{name}dir={tmp_path / name}" for name in ("lower", "upper", "work"))
    assert sh(engine, "--mount", f'type=volume,src=over,dst=/v,volume-opt=type=overlay,volume-opt=device=overlay,"volume-opt=o={o}"',
              "cat /v/file; echo up >/v/new") == "low\n"
    assert (tmp_path / "upper" / "new").read_text(encoding="utf-8") == "up\n"


def test_a_volume_of_a_device(engine, tmp_path):
    image = tmp_path / "image"
    subprocess.run(["truncate", "-s", "8M", str(image)], check=True)
    subprocess.run(["mkfs.ext4", "-q", str(image)], check=True)
    loop = subprocess.run(["losetup", "-f", "--show", str(image)], capture_output=True, check=True).stdout.decode().strip()
    try:
        engine.ok("volume", "create", "-o", "type=ext4", "-o", f"device={loop}", "-o", "o=noatime", "disk")
        sh(engine, "-v", "disk:/v:nocopy", "echo stays >/v/f")
        assert sh(engine, "-v", "disk:/v", "cat /v/f") == "stays\n"
        assert seen(engine, "/v", "-v", "disk:/v")[1:4] == (["rw", "noatime"], "ext4", loop)
        engine.ok("volume", "rm", "disk")
    finally:
        subprocess.run(["losetup", "-d", loop], check=True)


def test_a_mounted_volume_is_filled_from_the_image(engine):
    engine.ok("volume", "create", "-o", "type=tmpfs", "-o", "device=tmpfs", "etc")
    assert sh(engine, "-v", "etc:/etc", "test -s /etc/passwd && echo there") == "there\n"
    assert sh(engine, "-v", "etc:/etc:nocopy", "test -s /etc/passwd || echo empty") == "empty\n"


def test_an_anonymous_volume_with_options(engine):
    mount = "type=volume,dst=/v,volume-opt=type=tmpfs,volume-opt=device=tmpfs,volume-opt=o=size=64k,volume-label=a=b"
    engine.run("--name", "own", "--mount", mount, "busybox", "sleep", "1000")
    name, = engine.ok("volume", "ls", "-q", "-f", "label=a=b").split()
    assert engine.inspect("own")["Mounts"][0]["Name"] == name and len(name) == 64
    assert "size=64k" in engine.ok("exec", "own", "grep", " /v ", "/proc/mounts")
    engine.ok("rm", "-f", "-v", "own")
    assert engine.ok("volume", "ls", "-q") == ""


@pytest.mark.parametrize("options, message", [
    (["type=tmpfs", "device=tmpfs", "o=nosuch=1"],
     "error while mounting volume '{data}': failed to mount local volume: mount tmpfs:{data}, flags: 0x0, data: nosuch=1: "),
    (["type=none", "device=/nosuch", "o=bind"], "failed to mount local volume: mount /nosuch:{data}, flags: 0x1000, data: "),
    (["type=cifs", "device=//h/s", "o=password=secret"], "failed to mount local volume: mount //h/s:{data}, flags: 0x0, data: …: ")])
def test_what_cannot_be_mounted(engine, options, message):
    engine.ok("volume", "create", *[word for option in options for word in ("-o", option)], "bad")
    assert message.format(data=data(engine, "bad")) in refused(engine, "-v", "bad:/v", "busybox", "true")
    assert mounts_below(engine.root) == []


def test_a_size_is_kept_or_refused(engine):
    """By a quota, which few file systems have: tests/vm/test_storage.sh sees it work."""
    done = engine.call("volume", "create", "-o", "size=4m", "limited")
    assert done.returncode == 0 or done.stderr == b"create limited: quota size requested but no quota support\n"
    assert "create limited: invalid size: 'x'" in engine.fails(1, "volume", "create", "-o", "size=x", "limited")


def test_a_program_that_is_not_there_leaves_no_mount(engine):
    engine.ok("volume", "create", "-o", "type=tmpfs", "-o", "device=tmpfs", "ram")
    assert engine.call("run", "--rm", "-v", "ram:/v", "busybox", "/nosuch").returncode == 127
    assert mounts_below(engine.root) == []


def test_a_killed_monitor_leaves_no_mount(engine):
    engine.ok("volume", "create", "-o", "type=tmpfs", "-o", "device=tmpfs", "ram")
    engine.run("--name", "lost", "-v", "ram:/v", "busybox", "sleep", "1000")
    engine.run("--name", "kept", "-v", "ram:/v", "busybox", "sh", "-c", "echo x >/v/f; sleep 1000")
    kill(engine.monitor_of("lost"))
    eventually(lambda: engine.status("lost") == "exited")
    assert mounts_below(engine.root) == [data(engine, "ram")]
    assert json.loads(engine.ok("volume", "inspect", "ram"))[0]["Status"] == {"MountCount": 1}
    kill(engine.monitor_of("kept"))
    eventually(lambda: engine.status("kept") == "exited")
    assert mounts_below(engine.root) == []


def test_a_directory_of_a_killed_create_goes(engine):
    engine.ok("volume", "create", "there")
    volumes = os.path.join(engine.root, "volumes")
    for name in "empty/_data", "full/_data/kept":
        os.makedirs(os.path.join(volumes, name))
    engine.ok("container", "prune", "-f")
    assert sorted(os.listdir(volumes)) == ["full", "there"]
    shutil.rmtree(os.path.join(volumes, "full"))
    engine.ok("volume", "rm", "there")


def test_what_a_killed_one_left_mounted_is_not_deleted(engine, tmp_path):
    """The monitor is killed, and the container's own directory gone: nobody but `volume rm` can find out."""
    (tmp_path / "precious").write_text("mine", encoding="utf-8")
    engine.ok("volume", "create", "-o", "type=none", "-o", f"device={tmp_path}", "-o", "o=bind", "bound")
    identity = engine.run("-v", "bound:/v", "busybox", "sleep", "1000")
    pid, monitor = engine.state(identity)["Pid"], engine.monitor_of(identity)
    kill(monitor, signal.SIGSTOP)
    kill(pid)
    kill(monitor)
    engine.ok("container", "inspect", identity)
    users = os.path.join(engine.root, "volumes/bound/users")
    subprocess.run(["mount", "--bind", str(tmp_path), data(engine, "bound")], check=True)
    with open(os.path.join(users, "f" * 64), "w", encoding="utf-8"):
        pass
    engine.ok("rm", identity)
    engine.ok("volume", "rm", "bound")
    assert os.listdir(tmp_path) == ["precious"] and not os.path.exists(os.path.dirname(users))


def test_cp_from_a_mounted_volume(engine, tmp_path):
    (tmp_path / "file").write_text("host\n", encoding="utf-8")
    engine.ok("volume", "create", "-o", "type=none", "-o", f"device={tmp_path}", "-o", "o=bind", "bound")
    engine.ok("create", "--name", "stopped", "-v", "bound:/v", "busybox")
    assert b"host\n" in subprocess.run([*engine.base, "cp", "stopped:/v/file", "-"], env=engine.env, capture_output=True, check=True).stdout
    assert mounts_below(engine.root) == []


def test_many_starts_at_once_share_one_mount(engine):
    engine.ok("volume", "create", "-o", "type=tmpfs", "-o", "device=tmpfs", "ram")
    clients = [engine.start("run", "--rm", "-i", "-v", "ram:/v", "busybox", "sh", "-c", "stat -c %d /v; read x; true") for _ in range(6)]
    devices = {c.stdout.readline() for c in clients}
    assert len(mounts_below(engine.root)) == 1
    for c in clients:
        c.stdin.close()
        assert c.wait(30) == 0
    assert len(devices) == 1 and devices != {b""}
    eventually(lambda: mounts_below(engine.root) == [])
