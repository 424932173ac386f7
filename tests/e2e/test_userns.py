"""User namespaces of containers: which ids of the host they have, and whose their files are, from inside and from outside."""
import io
import os
import struct
import subprocess
import tarfile

import pytest

from container import OWN, is_static
from engines import Engine, eventually
from images import SKEP

needs_init = pytest.mark.skipif(not is_static(OWN), reason="the program needs libraries, which a container has not")
pytestmark = [pytest.mark.skipif(not os.path.exists(SKEP), reason=f"no {SKEP}"), pytest.mark.skipif(os.geteuid() != 0, reason="needs root")]

FIRST, END = 2147483647, 4294967294  # what automatic ranges are taken from
TREE = "mkdir -p /s/d; echo x > /s/d/f; chown -R 5:6 /s/d; echo y > /s/r; chown 0:7 /s/r; ln -s r /s/l; chown -h 3:4 /s/l"
OWNERS = {"s": (0, 0), "s/d": (5, 6), "s/d/f": (5, 6), "s/r": (0, 7), "s/l": (3, 4)}
SHOW = "stat -c '%n %u %g' s s/d s/d/f s/r s/l"


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


def maps(engine, *args, run="cat /proc/self/uid_map; echo -; cat /proc/self/gid_map"):
    """The mappings of users and of groups in a container with those options."""
    out = engine.ok("run", "--rm", *args, "busybox", "sh", "-c", run)
    return [sorted(" ".join(line.split()) for line in part.splitlines() if line) for part in out.split("-\n")]


def owners(text):
    return {name: (int(uid), int(gid)) for name, uid, gid in (line.split() for line in text.splitlines())}


def in_tar(data):
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        return {m.name: (m.uid, m.gid) for m in tar}


def first_of(engine, name):
    """The host's id of the container's root."""
    return int(engine.inspect(name)["HostConfig"]["IDMappings"]["UidMap"][0].split(":")[1])


# ---- modes ----

@pytest.mark.parametrize("args, users, groups, user", [
    (["--userns", "host"], ["0 0 4294967295"], None, "0:0"),
    (["--userns="], ["0 0 4294967295"], None, "0:0"),
    (["--userns", "keep-id"], ["0 0 4294967295"], None, "0:0"),
    (["--userns", "keep-id:uid=5,gid=6"], ["0 0 4294967295"], None, "5:6"),
    (["--userns", "keep-id:uid=5", "-u", "7:8"], ["0 0 4294967295"], None, "7:8"),
    (["--userns", "auto"], [f"0 {FIRST} 1024"], None, "0:0"),
    (["--userns", "private"], [f"0 {FIRST} 1024"], None, "0:0"),
    (["--userns", "auto", "-u", "3000"], [f"0 {FIRST} 3001"], None, "3000:0"),
    (["--userns", "auto:size=5000,uidmapping=7:9:2"], [f"0 {FIRST} 7", "7 9 2", f"9 {FIRST + 7} 4991"], [f"0 {FIRST} 5000"], "0:0"),
    (["--uidmap", "0:100000:65536"], ["0 100000 65536"], None, "0:0"),
    (["--uidmap", "0:100000:65536", "--gidmap", "0:200000:10"], ["0 100000 65536"], ["0 200000 10"], "0:0"),
    (["--gidmap", "0:100000:10", "--gidmap", "+g3:50"], ["0 100000 10"], ["0 100000 3", "3 50 1", "4 100004 6"], "0:0"),
    (["--uidmap", "0:@100000:5"], ["0 100000 5"], None, "0:0"),
])
def test_modes(engine, args, users, groups, user):
    out = engine.ok("run", "--rm", *args, "busybox", "sh", "-c", "echo $(id -u):$(id -g); cat /proc/self/uid_map; echo -; cat /proc/self/gid_map")
    who, rest = out.split("\n", 1)
    got = [sorted(" ".join(line.split()) for line in part.splitlines() if line) for part in rest.split("-\n")]
    assert (who, got) == (user, [sorted(users), sorted(groups or users)])


@pytest.mark.parametrize("args, message", [
    (["--userns", "nomap"], "nomap is only supported in rootless mode"),
    (["--userns", "keep-id:size=9"], "cannot set max size for user namespace when not running rootless"),
    (["--userns", "keep-id:colour=1"], 'invalid user namespace option "colour=1": expected uid=, gid= or size='),
    (["--userns", "auto:size=x"], 'invalid size "x": not an id'),
    (["--userns", "auto:foo=1"], 'invalid user namespace option "foo=1": expected size=, uidmapping= or gidmapping='),
    (["--userns", "auto:size=2147483650"], "not enough unused IDs in user namespace: no 2147483650 uids in a row are free"),
    (["--userns", "container:nosuch"], "looking up container to share user namespace with: No such container: nosuch"),
    (["--userns", "ns:/nosuch"], "cannot find specified user namespace path /nosuch: no such file or directory"),
    (["--uidmap", "0"], 'invalid --uidmap "0": expected [+ug]CONTAINER:[@]HOST[:SIZE]'),
    (["--uidmap", "1:100000:9"], "the user namespace maps no id of the host to user 0 of the container"),
    (["--uidmap", "0:5:2", "--uidmap", "1:9:1"], "--uidmap[1]: container ids overlap those of entry 0"),
    (["--subuidname", "no-such-name"], 'no subuid ranges found for user "no-such-name" in /etc/subuid'),
    (["--subuidname", "x", "--uidmap", "0:1:1"],
     "conflicting options: --subuidname and --subgidname cannot be used with --uidmap and --gidmap"),
    (["-v", "/var/log:/x:U"], 'chowning host path "/var/log" is not allowed. You can manually `chown -R` it'),
])
def test_refused(engine, args, message):
    said = engine.fails(127 if "no such file" in message else 125, "run", "--rm", *args, "busybox", "true")  # as docker, whatever the file was to be
    assert said.splitlines()[0] == "skep: " + message
    assert engine.fails(1, "create", *args, "busybox", "true").splitlines() == [message]
    assert engine.ok("ps", "-aq") == ""


def test_names_of_subid(engine, tmp_path):
    """In a mount namespace with files of its own; "containers" is where automatic ranges come from."""
    for file, text in ("subuid", "ann:300000:10\nann:500000:90\ncontainers:700000:2000\n"), ("subgid", "ann:310000:100\ncontainers:800000:3000\n"):
        (tmp_path / file).write_text(text)
        if not os.path.exists("/etc/" + file):
            pytest.skip(f"no /etc/{file} to mount over")

    def inside(*args):
        script = f'mount --bind {tmp_path}/subuid /etc/subuid && mount --bind {tmp_path}/subgid /etc/subgid && exec "$@"'
        return subprocess.run(["unshare", "-m", "sh", "-c", script, "sh", *engine.base, "run", "--rm", *args, "busybox", "sh", "-c",
                               "cat /proc/self/uid_map; echo -; cat /proc/self/gid_map"], env=engine.env, capture_output=True, timeout=30, check=False)

    def numbers(done):
        return [[tuple(map(int, line.split())) for line in part.splitlines()] for part in done.stdout.decode().split("-\n")]

    assert numbers(inside("--subuidname", "ann")) == [[(0, 300000, 10), (10, 500000, 90)], [(0, 310000, 100)]]
    assert numbers(inside("--userns", "auto")) == [[(0, 700000, 1024)], [(0, 800000, 1024)]]
    done = inside("--userns", "auto:size=2001")
    assert done.returncode == 125 and b"no 2001 uids in a row are free" in done.stderr


# ---- automatic ranges ----

def test_ranges_are_disjoint_and_freed(engine):
    names = [engine.run("--userns", "auto", "busybox", "top") for _ in range(3)]
    assert [first_of(engine, name) for name in names] == [FIRST, FIRST + 1024, FIRST + 2048]
    engine.ok("rm", "-f", names[1])
    assert first_of(engine, engine.run("--userns", "auto:size=2000", "busybox", "top")) == FIRST + 3072
    assert first_of(engine, engine.ok("create", "--userns", "auto:size=1000", "busybox", "true").strip()) == FIRST + 1024
    assert maps(engine, "--userns", "auto:size=24") == [[f"0 {FIRST + 2024} 24"]] * 2


def test_explicit_maps_are_avoided(engine):
    engine.run("--uidmap", f"0:{FIRST + 500}:10", "--gidmap", "0:5:10", "busybox", "top")
    assert maps(engine, "--userns", "auto") == [[f"0 {FIRST + 510} 1024"], [f"0 {FIRST} 1024"]]


def test_the_hosts_own_ids_are_not_reserved(engine):
    engine.run("--userns", "keep-id", "busybox", "top")
    assert maps(engine, "--userns", "auto") == [[f"0 {FIRST} 1024"]] * 2


def test_racing_creates_get_ranges_of_their_own(engine):
    clients = [engine.start("create", "--userns", "auto:size=100", "busybox", "true") for _ in range(12)]
    said = [client.communicate(timeout=60) for client in clients]
    assert [client.returncode for client in clients] == [0] * 12, said
    ids = [out.decode().strip() for out, _ in said]
    assert sorted(first_of(engine, name) for name in ids) == [FIRST + 100 * i for i in range(12)]


# ---- whose files are ----

def check_root(engine, name, first):
    """The files of TREE from all sides: owners are the host's in the overlay's directory, the container's everywhere else."""
    upper = os.path.join(engine.directory(name), "upper")
    for path, (uid, gid) in OWNERS.items():
        st = os.lstat(os.path.join(upper, path))
        assert (st.st_uid, st.st_gid) == (first + uid, first + gid), path
    exported = in_tar(engine.call("export", name).stdout)
    assert {path: exported[path] for path in OWNERS} == OWNERS and exported["bin/busybox" if "bin/busybox" in exported else "bin"] == (0, 0)
    assert in_tar(engine.call("cp", f"{name}:/s", "-").stdout) == OWNERS
    changes = set(engine.ok("diff", name).split("\n"))
    assert {"A /s", "A /s/d/f", "A /s/l"} <= changes and not any(" /bin" in line for line in changes), changes


def test_owners_in_the_root(engine):
    name = engine.run("--userns", "auto", "busybox", "sh", "-c", TREE + "; sleep 1000")
    first = first_of(engine, name)
    assert first == FIRST
    eventually(lambda: engine.call("exec", name, "test", "-h", "/s/l").returncode == 0)
    pid = engine.state(name)["Pid"]
    eventually(lambda: os.lstat(f"/proc/{pid}/root/s/l").st_uid == first + 3)
    assert os.stat(f"/proc/{pid}").st_uid == first
    assert owners(engine.ok("exec", "-w", "/", name, "sh", "-c", SHOW)) == OWNERS
    check_root(engine, name, first)
    engine.ok("commit", name, "owned")
    engine.ok("stop", "-t", "0", name)
    check_root(engine, name, first)
    engine.ok("start", name)
    assert owners(engine.ok("exec", "-w", "/", name, "sh", "-c", SHOW)) == OWNERS
    for args in [], ["--userns", "auto"], ["--uidmap", "0:100000:9"]:
        assert owners(engine.ok("run", "--rm", *args, "owned", "sh", "-c", SHOW)) == OWNERS
    # a change of the image's file is a change of its owner alone, or of its mode
    other = engine.run("--userns", "auto", "owned", "sh", "-c", "chown 6 /s/r; chmod 600 /s/d/f; sleep 1000")
    eventually(lambda: len(engine.ok("diff", other).splitlines()) >= 4)
    assert set(engine.ok("diff", other).split()[1::2]) == {"/s", "/s/d", "/s/d/f", "/s/r"}


def test_image_files_belong_to_the_container(engine):
    out = engine.ok("run", "--rm", "--userns", "auto", "busybox", "sh", "-c", "stat -c '%u:%g' / /bin /etc /tmp /etc/hosts /etc/hostname /etc/resolv.conf /proc/1")
    assert set(out.split()) == {"0:0"}
    assert engine.ok("run", "--rm", "--userns", "auto", "busybox", "sh", "-c", "echo 9.9.9.9 x >> /etc/hosts; tail -1 /etc/hosts") == "9.9.9.9 x\n"


def test_capabilities_of_files_survive_commit(engine):
    """Written in the container they hold below its root alone; in an image they are those of any container."""
    name = engine.run("--userns", "auto", "busybox", "sh", "-c", "cp /bin/busybox /c; mv /c /b; sleep 1000")
    path = f"/proc/{engine.state(name)['Pid']}/root/b"
    eventually(lambda: os.path.exists(path))  # whole: a write would take the capability away
    os.setxattr(path, "security.capability", struct.pack("<IIIIII", 0x03000001, 1 << 13, 0, 0, 0, first_of(engine, name)))
    engine.ok("commit", name, "capable")
    other = engine.run("capable", "top")
    value = os.getxattr(f"/proc/{engine.state(other)['Pid']}/root/b", "security.capability")
    assert value == struct.pack("<IIIII", 0x02000001, 1 << 13, 0, 0, 0)


@pytest.mark.parametrize("running", [True, False])
def test_copying_in(engine, tmp_path, running):
    name = engine.ok("create", "--userns", "auto", "-v", "inside:/v", "busybox", "sleep", "1000").strip()
    if running:
        engine.ok("start", name)
    tree = tmp_path / "t"
    tree.mkdir()
    (tree / "f").write_text("x")
    os.chown(tree / "f", 5, 6)
    engine.ok("cp", str(tree), f"{name}:/tmp")
    engine.ok("cp", "-a", str(tree), f"{name}:/v")
    if not running:
        engine.ok("start", name)
    assert engine.ok("exec", name, "stat", "-c", "%u:%g", "/tmp/t", "/tmp/t/f", "/v/t", "/v/t/f", "/v").split() == ["0:0", "5:6"] * 2 + ["0:0"]
    engine.ok("exec", name, "sh", "-c", "rm -r /tmp/t /v/t")  # they are the container's
    os.chown(tree / "f", 5000, 6)
    assert "its owner, 5000:6, is none of the ids that the container's user namespace has" in engine.fails(1, "cp", "-a", str(tree), f"{name}:/tmp")
    # and out again
    engine.ok("exec", name, "sh", "-c", "touch /v/o; chown 3:4 /v/o")
    engine.ok("cp", "-a", f"{name}:/v/o", str(tmp_path / "o"))
    engine.ok("cp", f"{name}:/v/o", str(tmp_path / "mine"))
    assert [(os.stat(tmp_path / n).st_uid, os.stat(tmp_path / n).st_gid) for n in ("o", "mine")] == [(3, 4), (0, 0)]
    engine.ok("rm", "-f", name)
    engine.ok("volume", "rm", "inside")


# ---- mounts ----

def on_disk(engine, volume, path):
    st = os.stat(os.path.join(engine.root, "volumes", volume, "_data", path))
    return st.st_uid, st.st_gid


def test_volumes_have_the_owners_of_the_container(engine):
    """Two containers with other ids see the same."""
    for i in range(2):
        assert engine.ok("run", "-d", "--userns", "auto", "-v", "shared:/v", "busybox", "top")
    assert engine.ok("run", "--rm", "--userns", "auto", "-v", "shared:/v", "busybox", "sh", "-c",
                     "echo x > /v/f; chown 5:6 /v/f; echo y > /v/r; stat -c %u /v") == "0\n"
    assert (on_disk(engine, "shared", "f"), on_disk(engine, "shared", "r")) == ((5, 6), (0, 0))
    for args in [], ["--userns", "auto"], ["--uidmap", "0:100000:100"]:
        assert engine.ok("run", "--rm", *args, "-v", "shared:/v", "busybox", "stat", "-c", "%u:%g", "/v/f", "/v/r").split() == ["5:6", "0:0"]
    engine.close()
    engine.ok("volume", "rm", "shared")


def test_volumes_are_filled_with_the_owners_of_the_image(engine):
    name = engine.run("busybox", "sh", "-c", "mkdir -p /data/d; echo x > /data/d/f; chown -R 8:9 /data; sleep 1000")
    eventually(lambda: engine.call("exec", name, "sh", "-c", "[ $(stat -c %u /data/d/f) = 8 ]").returncode == 0)
    engine.ok("commit", name, "filled")
    out = engine.ok("run", "--rm", "--userns", "auto", "-v", "fill:/data", "filled", "stat", "-c", "%u:%g", "/data", "/data/d", "/data/d/f")
    assert out.split() == ["8:9"] * 3 and on_disk(engine, "fill", "d/f") == (8, 9)
    assert engine.ok("run", "--rm", "-v", "fill:/data", "filled", "stat", "-c", "%u:%g", "/data/d/f") == "8:9\n"
    engine.ok("volume", "rm", "fill")


def test_binds_keep_the_owners_of_the_host(engine, tmp_path):
    os.chmod(tmp_path, 0o777)
    (tmp_path / "f").write_text("x")
    show = ["busybox", "sh", "-c", "touch /b/new; stat -c %u:%g /b/f /b/new"]
    assert engine.ok("run", "--rm", "--userns", "auto", "-v", f"{tmp_path}:/b", *show).split() == ["65534:65534", "0:0"]
    assert os.stat(tmp_path / "new").st_uid == FIRST
    os.unlink(tmp_path / "new")
    for args in ["-v", f"{tmp_path}:/b:idmap"], ["--mount", f"type=bind,src={tmp_path},dst=/b,idmap"]:
        assert engine.ok("run", "--rm", "--userns", "auto", *args, *show).split() == ["0:0", "0:0"]
        assert os.stat(tmp_path / "new").st_uid == 0
        os.unlink(tmp_path / "new")


@pytest.mark.parametrize("mode, user, inside, outside", [
    ([], "5:6", "5:6", (5, 6)), (["--userns", "auto"], "5:6", "5:6", (FIRST + 5, FIRST + 6)), (["--userns", "auto"], "0", "0:0", (FIRST, FIRST))])
def test_chown_when_asked(engine, tmp_path, mode, user, inside, outside):
    source = tmp_path / "s"
    (source / "d").mkdir(parents=True)
    (source / "d" / "f").write_text("x")
    (tmp_path / "not").write_text("")
    (source / "l").symlink_to(tmp_path / "not")
    for args in ["-v", f"{source}:/b:U"], ["--mount", f"type=bind,src={source},dst=/b,U"]:
        out = engine.ok("run", "--rm", *mode, "-u", user, *args, "busybox", "stat", "-c", "%u:%g", "/b", "/b/d", "/b/d/f", "/b/l")
        assert out.split() == [inside] * 4
        assert {(os.lstat(p).st_uid, os.lstat(p).st_gid) for p in (source, source / "d" / "f", source / "l")} == {outside}
        assert os.stat(tmp_path / "not").st_uid == 0
        subprocess.run(["chown", "-R", "0:0", source], check=True)
    assert engine.ok("run", "--rm", *mode, "-u", user, "-v", "given:/b:U", "busybox", "stat", "-c", "%u:%g", "/b") == inside + "\n"
    engine.ok("volume", "rm", "given")


def test_images_and_overlays_as_mounts(engine, tmp_path):
    """Their owners are the container's, too, and what is written above them."""
    script = "stat -c %u:%g /m /m/bin; touch /m/new; chown 5:6 /m/new; stat -c %u:%g /m/new"
    assert engine.ok("run", "--rm", "--userns", "auto", "--mount", "type=image,src=busybox,dst=/m,rw=true", "busybox", "sh", "-c", script).split() == ["0:0"] * 2 + ["5:6"]
    assert engine.ok("run", "--rm", "--userns", "auto", "--mount", "type=image,src=busybox,dst=/m,subpath=bin", "busybox", "stat", "-c", "%u", "/m/sh") == "0\n"
    engine.ok("run", "--rm", "-v", "low:/v", "busybox", "sh", "-c", "echo x > /v/f; chown 7:8 /v/f; mkdir /v/bin")
    assert engine.ok("run", "--rm", "--userns", "auto", "-v", "low:/m:O", "busybox", "sh", "-c", "stat -c %u:%g /m/f;" + script).split() == \
        ["7:8", "0:0", "0:0", "5:6"]
    assert engine.ok("run", "--rm", "--userns", "auto", "--mount", "type=volume,src=low,dst=/m,subpath=bin", "busybox", "sh", "-c",
                     "touch /m/n; stat -c %u /m /m/n").split() == ["0", "0"]
    assert not os.path.exists(os.path.join(engine.root, "volumes/low/_data/new")) and on_disk(engine, "low", "bin/n") == (0, 0)
    engine.ok("volume", "rm", "low")


def test_a_file_system_without_idmapped_mounts(engine, tmp_path):
    """ramfs has none."""
    subprocess.run(["mount", "-t", "ramfs", "ramfs", tmp_path], check=True)
    try:
        said = engine.fails(125, "run", "--rm", "--userns", "auto", "-v", f"{tmp_path}:/b:idmap", "busybox", "true")
        assert "the file system may not support id mapped mounts" in said
        os.makedirs(tmp_path / "bin")
        said = engine.fails(125, "run", "--rm", "--userns", "auto", "--rootfs", str(tmp_path), "/bin/x")
        assert f"root directory {tmp_path}: its file system cannot map ids for the container's user namespace" in said
    finally:
        subprocess.run(["umount", tmp_path], check=True)


def test_a_root_directory_of_ones_own(engine, tmp_path):
    subprocess.run(["cp", "-a", "/bin/busybox", tmp_path / "busybox"], check=True)
    script = ["/busybox", "sh", "-c", "/busybox touch /new; /busybox stat -c %u:%g /busybox /new"]
    for spelled in str(tmp_path), f"{tmp_path}:idmap":
        assert engine.ok("run", "--rm", "--userns", "auto", "--rootfs", spelled, *script).split() == ["0:0", "0:0"]
        assert os.stat(tmp_path / "new").st_uid == 0
        os.unlink(tmp_path / "new")


# ---- joining ----

def test_joining_a_container(engine):
    name = engine.run("--name", "donor", "--userns", "auto:size=2000", "busybox", "top")
    here = engine.ok("exec", name, "readlink", "/proc/self/ns/user")
    assert here != os.readlink("/proc/self/ns/user") + "\n"
    out = engine.ok("run", "--name", "guest", "--userns", "container:donor", "--network", "container:donor", "--pid", "container:donor", "busybox", "sh", "-c",
                    f"readlink /proc/self/ns/user; {TREE}; cd /; {SHOW}")
    assert out.startswith(here) and owners(out[len(here):]) == OWNERS
    check_root(engine, engine.inspect("guest")["Id"], first_of(engine, name))
    engine.ok("rm", "guest")  # the range is still the donor's
    assert maps(engine, "--userns", "auto") == [[f"0 {FIRST + 2000} 1024"]] * 2
    guest = engine.ok("create", "--userns", "container:donor", "busybox", "true").strip()
    engine.ok("stop", "-t", "0", "donor")
    assert f"failed to join user namespace: container {name} is not running" in engine.fails(1, "start", guest)
    plain = engine.run("busybox", "top")
    assert maps(engine, "--userns", f"container:{plain}") == [["0 0 4294967295"]] * 2


def test_joining_a_path(engine):
    def holder(count):
        made = subprocess.Popen(["unshare", "-U", "sh", "-c", "echo; exec sleep 60"], stdout=subprocess.PIPE)
        made.stdout.readline()
        for kind in "uid_map", "gid_map":
            with open(f"/proc/{made.pid}/{kind}", "w", encoding="ascii") as f:
                f.write(f"0 100000 {count}")
        return made

    first, second = holder(100), holder(99)
    try:
        link = os.path.join(engine.root, "userns")
        os.symlink(f"/proc/{first.pid}/ns/user", link)
        name = engine.ok("create", "--userns", f"ns:{link}", "busybox", "sh", "-c", "cat /proc/self/uid_map; touch /x; stat -c %u /x").strip()
        assert engine.ok("start", "-a", name).split() == ["0", "100000", "100", "0"]
        assert os.stat(os.path.join(engine.directory(name), "upper", "x")).st_uid == 100000
        os.unlink(link)
        os.symlink(f"/proc/{second.pid}/ns/user", link)
        assert "its id mappings are not those that container" in engine.fails(1, "start", name)
    finally:
        for one in first, second:
            one.kill()
            one.wait()
        os.unlink(link)


def test_network_of_another_user_namespace(engine):
    """Joined with the rights of the host, before the container's own user namespace is made."""
    name = engine.run("busybox", "top")
    theirs = engine.ok("exec", name, "readlink", "/proc/self/ns/net")
    pid = engine.state(name)["Pid"]
    for network in f"container:{name}", f"ns:/proc/{pid}/ns/net":
        out = engine.ok("run", "--rm", "--userns", "auto", "--network", network, "busybox", "sh", "-c", "readlink /proc/self/ns/net; cat /proc/self/uid_map")
        assert out.startswith(theirs) and out.split()[1:] == ["0", str(FIRST), "1024"]


# ---- the rest of the container ----

@pytest.mark.parametrize("args", [
    ["--read-only"], pytest.param(["--init"], marks=needs_init), ["--privileged"], ["--network", "host"], ["--pid", "host"], ["--ipc", "host"], ["--tmpfs", "/t"], ["--cgroupns", "private"],
    ["-w", "/new/dir"], ["-v", "some:/x:ro"], ["--device", "/dev/null:/dev/other"], ["--memory", "64m"], ["--oom-score-adj", "10"], ["--sysctl", "net.ipv4.ip_forward=1"]])
def test_with_other_options(engine, args):
    assert engine.ok("run", "--rm", "--userns", "auto", *args, "busybox", "sh", "-c", "echo hi > /dev/null; stat -c %u . /bin /etc/hosts").split() == ["0"] * 3


def test_a_terminal(engine):
    with engine.typed("run", "--rm", "-it", "--userns", "auto", "-u", "5", "busybox", "sh") as user:
        user.type("stat -c 'is %u' $(tty); echo h''i > /dev/tty\n")
        user.expect("is 5").expect("hi")
        user.type("exit\n")
        assert user.wait() == 0


@pytest.mark.parametrize("user", ["0", "1000"])
@pytest.mark.parametrize("mode", [[], ["--userns", "auto"]])
def test_streams_can_be_opened_again(engine, mode, user):
    script = "cat /dev/stdin; echo out > /dev/stdout; echo err > /dev/stderr"
    done = engine.call("run", "--rm", "-i", *mode, "-u", user, "busybox", "sh", "-c", script, stdin=b"in\n")
    assert (done.returncode, done.stdout, done.stderr) == (0, b"in\nout\n", b"err\n")
    name = engine.run(*mode, "busybox", "top")
    done = engine.call("exec", "-i", "-u", user, name, "sh", "-c", script, stdin=b"in\n")
    assert (done.returncode, done.stdout, done.stderr) == (0, b"in\nout\n", b"err\n")


def test_exec_and_top(engine):
    name = engine.run("--userns", "auto", "--oom-score-adj", "50", "busybox", "top")
    assert engine.ok("exec", name, "sh", "-c", "id -u; cat /proc/self/oom_score_adj").split() == ["0", "50"]
    assert engine.ok("exec", "-u", "7:8", name, "sh", "-c", "id -u; id -g").split() == ["7", "8"]
    engine.ok("exec", name, "sh", "-c", "echo sam:x:700:700::/: >> /etc/passwd")
    for user in "700", "701":
        engine.ok("exec", "-d", "-u", user, name, "sleep", "1000")
    eventually(lambda: sorted(row.split()[0] for row in engine.ok("top", name).splitlines()[1:]) == ["701", "root", "sam"])


def test_health(engine):
    name = engine.run("--userns", "auto", "--health-cmd", "[ $(id -u) = 0 ]", "--health-interval", "100ms", "busybox", "top")
    eventually(lambda: engine.state(name)["Health"]["Status"] == "healthy")


def test_restarts_keep_the_ids(engine):
    name = engine.run("--userns", "auto", "--restart", "on-failure:1", "busybox", "sh", "-c", "cat /proc/self/uid_map; touch /x; stat -c %u /x; exit 1")
    eventually(lambda: engine.status(name) == "exited" and engine.inspect(name)["RestartCount"] == 1)
    assert engine.ok("logs", name).split() == ["0", str(FIRST), "1024", "0"] * 2
