"""Each option of -v, --mount and --tmpfs, by what it does in the container; and what is said to wrong ones."""
import os
import shutil
import subprocess

import pytest

from engines import Engine
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


@pytest.fixture
def host(tmp_path):
    """A mount of its own with a mount in it and a few files: one of them another's, one a program, one a device."""
    where = tmp_path / "host"
    where.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "mode=755", "host", str(where)], check=True)
    subprocess.run(["mount", "--make-private", str(where)], check=True)
    (where / "file").write_text("text\n", encoding="utf-8")
    os.chown(where / "file", 5, 6)
    (where / "sub").mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "sub", str(where / "sub")], check=True)
    (where / "sub" / "below").write_text("below\n", encoding="utf-8")
    shutil.copy("/bin/busybox", where / "id")
    os.chmod(where / "id", 0o755)
    os.mknod(where / "null", 0o20600, os.makedev(1, 3))
    os.chmod(where / "null", 0o666)
    yield where
    while subprocess.run(["umount", "-l", str(where / "sub")], capture_output=True, check=False).returncode == 0:
        pass
    while subprocess.run(["umount", "-l", str(where)], capture_output=True, check=False).returncode == 0:
        pass


def sh(engine, *args):
    *options, script = args
    return engine.ok("run", "--rm", *options, "busybox", "sh", "-c", script)


def flags(engine, destination, *options):
    """Of the mount at destination, and its propagation."""
    words = sh(engine, *options, f"grep ' {destination} ' /proc/self/mountinfo").split()
    return set(words[5].split(",")), [w for w in words[6:words.index("-")]]


def both(source, destination, word, key, kind="bind"):
    """The two spellings of an option."""
    return [["-v", f"{source}:{destination}:{word}"], ["--mount", f"type={kind},src={source},dst={destination},{key}"]]


# ---- reading and writing ----

def test_read_only(engine, host):
    for options in both(host, "/m", "ro", "readonly") + both(host, "/m", "ro", "ro=true"):
        assert sh(engine, *options, "cat /m/file; touch /m/x || touch /m/sub/x || echo $?") == "text\n1\n"
    for options in both(host, "/m", "rw", "ro=false") + both(host, "/m", "rw", "rw"):
        assert sh(engine, *options, "touch /m/x && rm /m/x && echo done") == "done\n"


def test_recursion(engine, host):
    def mount(more):
        return sh(engine, "--mount", f"type=bind,src={host},dst=/m,{more}", "cat /m/sub/below; touch /m/x 2>/dev/null; touch /m/sub/x 2>/dev/null; ls /m/x /m/sub/x 2>&1 "
                  "| grep -c '^/m/'; rm -f /m/x /m/sub/x 2>/dev/null; true")

    assert mount("bind-recursive=enabled") == "below\n2\n"
    assert mount("readonly") == "below\n0\n"
    assert mount("readonly,bind-recursive=writable") == "below\n1\n"
    assert mount("readonly,bind-recursive=readonly,bind-propagation=rprivate") == "below\n0\n"
    for none in "bind-recursive=disabled", "bind-nonrecursive=true", "bind-nonrecursive", "bind":
        assert not os.path.exists(host / "sub" / "x")
        assert "below" not in mount(none)
    assert "below" not in sh(engine, "-v", f"{host}:/m:bind", "ls /m/sub")


def test_a_source_that_is_missing(engine, tmp_path):
    sh(engine, "-v", f"{tmp_path}/made:/m", "touch /m/x")
    assert os.listdir(tmp_path / "made") == ["x"]
    assert f"bind source path does not exist: {tmp_path}/none" in engine.fails(125, "run", "--rm", "--mount", f"type=bind,src={tmp_path}/none,dst=/m", "busybox", "true")


# ---- propagation ----

@pytest.mark.parametrize("option, shows_ours, shows_theirs", [("rprivate", False, False), ("private", False, False), ("rslave", True, False), ("slave", True, False),
                                                              ("rshared", True, True), ("shared", True, True)])
def test_propagation(engine, host, option, shows_ours, shows_theirs):
    subprocess.run(["mount", "--make-shared", str(host)], check=True)
    for n, options in enumerate(both(host, "/m", option, f"bind-propagation={option}")):
        name, ours, theirs = f"p{n}{option}", host / f"ours{n}", host / f"theirs{n}"
        ours.mkdir()
        theirs.mkdir()
        engine.run("--name", name, "--privileged", *options, "busybox", "sleep", "1000")
        subprocess.run(["mount", "-t", "tmpfs", "ours", str(ours)], check=True)
        engine.ok("exec", name, "mount", "-t", "tmpfs", "theirs", f"/m/theirs{n}")
        assert ("ours /m" in engine.ok("exec", name, "cat", "/proc/mounts")) == shows_ours
        with open("/proc/self/mounts", encoding="utf-8") as f:
            assert (f"theirs {theirs}" in f.read()) == shows_theirs
        engine.ok("rm", "-f", name)
        subprocess.run(["umount", str(ours)], check=True)
        subprocess.run(["umount", str(theirs)], capture_output=True, check=False)


def test_propagation_needs_a_shared_mount(engine, host):
    assert "but it is not a shared mount" in engine.fails(125, "run", "--rm", "-v", f"{host}:/m:rshared", "busybox", "true")
    assert "but it is not a shared or slave mount" in engine.fails(125, "run", "--rm", "-v", f"{host}:/m:rslave", "busybox", "true")


# ---- flags ----

@pytest.mark.parametrize("word, script, wanted", [
    ("noexec", "/m/id -u || echo $?", "126\n"), ("exec", "/m/id -u", "7\n"),
    ("nosuid", "grep -c ' /m .*nosuid' /proc/mounts", "1\n"), ("suid", "grep -c ' /m .*nosuid' /proc/mounts", "0\n"),
    ("nodev", "echo x >/m/null || echo $?", "1\n"), ("dev", "echo x >/m/null && echo done", "done\n")])
def test_flags(engine, host, word, script, wanted):
    for options in both(host, "/m", word, word):
        done = engine.call("run", "--rm", "-u", "7", *options, "busybox", "sh", "-c", script)
        assert done.stdout.decode() == wanted, done


def test_flags_reach_what_is_mounted_below_and_leave_the_others(engine, host):
    subprocess.run(["mount", "-o", "remount,bind,nosuid", str(host)], check=True)
    assert flags(engine, "/m", "-v", f"{host}:/m:noexec")[0] >= {"nosuid", "noexec", "rw"}
    assert "noexec" in flags(engine, "/m/sub", "-v", f"{host}:/m:noexec")[0]
    assert "nosuid" not in flags(engine, "/m", "-v", f"{host}:/m:suid")[0]


def test_nothing_is_taken_from_a_bind_that_nobody_asked_for(engine, host):
    """As docker, unlike podman: programs with the set-user-ID bit and devices of a bind work."""
    found, propagation = flags(engine, "/m", "-v", f"{host}:/m")
    assert not found & {"nosuid", "nodev", "noexec"} and propagation == []
    assert not flags(engine, "/v", "-v", "plain:/v")[0] & {"nosuid", "nodev", "noexec"}


# ---- owners and labels ----

def test_u_gives_the_files_to_the_user(engine, host):
    os.symlink("/etc/passwd", host / "link")
    before = os.stat("/etc/passwd").st_uid
    for n, options in enumerate(both(host, "/m", "U", "U=true") + both(host, "/m", "U", "chown") + both("owned", "/m", "U", "chown=true", "volume")):
        assert sh(engine, "-u", f"{70 + n}:{80 + n}", *options, "touch /m/new && stat -c %u:%g /m /m/new").splitlines() == [f"{70 + n}:{80 + n}"] * 2
        if "owned" not in str(options):
            st = os.lstat(host / "file"), os.lstat(host / "link"), os.lstat(host / "sub" / "below")
            assert [(s.st_uid, s.st_gid) for s in st] == [(70 + n, 80 + n), (70 + n, 80 + n), (0, 0)]  # what is mounted below is somebody else's
    assert os.stat("/etc/passwd").st_uid == before


def test_idmap(engine, tmp_path):
    (tmp_path / "file").write_text("x", encoding="utf-8")
    os.chown(tmp_path / "file", 1000, 1001)
    os.chmod(tmp_path, 0o755)
    for options in both(tmp_path, "/m", "idmap=uids=1000-7-1;gids=1001-8-1", "idmap=uids=1000-7-1;gids=1001-8-1"):
        assert sh(engine, *options, "stat -c %u:%g /m/file") == "7:8\n"
    assert sh(engine, "-v", f"{tmp_path}:/m:idmap=uids=0-0-1#1000-7-2", "stat -c %u:%g /m/file") == "7:8\n"
    for bad, message in [("idmap", "idmap needs a user namespace of the container's own, or mappings"), ("idmap=uids=1", "invalid idmap: uids: \"1\""),
                         ("idmap=x=0-0-1", "invalid idmap: \"x=0-0-1\""), ("idmap=uids=0-0-2#1-5-1", "uids")]:
        assert message in engine.fails(125, "run", "--rm", "-v", f"{tmp_path}:/m:{bad}", "busybox", "true")


@pytest.mark.skipif(os.path.exists("/sys/fs/selinux/enforce"), reason="without SELinux")
@pytest.mark.parametrize("word", ["z", "Z"])
def test_labels_say_nothing_without_selinux(engine, host, word):
    relabel = {"z": "shared", "Z": "private"}[word]
    for options in both(host, "/m", word, f"relabel={relabel}"):
        assert sh(engine, *options, "cat /m/file") == "text\n"
    engine.ok("create", "--name", "labelled", "-v", f"{host}:/m:{word},ro", "busybox")
    mount, = engine.inspect("labelled")["Mounts"]
    assert (mount["Mode"], mount["RW"]) == (f"{word},ro", False)


def test_an_overlay_over_a_bind(engine, host):
    engine.ok("run", "--name", "over", "-v", f"{host}:/m:O", "busybox", "sh", "-c", "ls /m/new 2>/dev/null; cat /m/file && echo x >/m/new && rm /m/file")
    assert sorted(os.listdir(host)) == ["file", "id", "null", "sub"]
    assert engine.call("start", "-a", "over").stdout == b"text\n"  # as new


@pytest.mark.parametrize("mount", ["type=image,src=busybox,dst=/m", "type=image,src=busybox,dst=/m,image-subpath=etc", "type=image,src=busybox,dst=/m,rw=true",
                                   "type=volume,src=parted,dst=/m,volume-subpath=part"])
def test_owners_in_a_user_namespace(engine, mount):
    sh(engine, "-v", "parted:/v", "mkdir -p /v/part; echo x >/v/part/file")
    writable = "rw=true" in mount or "volume" in mount
    script = "touch /m/new; stat -c %u:%g /m /m/*" if writable else "stat -c %u:%g /m /m/*"
    assert set(sh(engine, "--userns", "auto", "--mount", mount, script).split()) == {"0:0"}
    assert set(sh(engine, "--userns", "auto", "--mount", mount, script).split()) == {"0:0"}  # another range


# ---- volumes ----

def test_nocopy(engine):
    for options in both("empty", "/etc", "nocopy", "volume-nocopy", "volume") + both("empty2", "/etc", "nocopy", "volume-nocopy=true", "volume"):
        assert sh(engine, *options, "test -e /etc/passwd || echo empty") == "empty\n"
    for options in both("full", "/etc", "copy", "volume-nocopy=false", "volume"):
        assert sh(engine, *options, "test -e /etc/passwd && echo full") == "full\n"


def test_labels_and_drivers_of_a_new_volume(engine):
    sh(engine, "--mount", "src=named,dst=/v,volume-label=a=b,volume-label=c,volume-driver=local", "true")
    assert engine.ok("volume", "inspect", "-f", "{{json .Labels}} {{.Driver}}", "named") == '{"a":"b","c":""} local\n'
    said = engine.fails(125, "run", "--rm", "--mount", "src=other,dst=/v,volume-driver=nosuch", "busybox", "true")
    assert 'create other: error looking up volume plugin nosuch: plugin "nosuch" not found' in said


@pytest.mark.parametrize("mode, mark", [("", "rw"), (":ro", "ro"), (":rw", "rw"), (":z", "rw")])
def test_volumes_from(engine, host, mode, mark):
    engine.ok("create", "--name", "first", "-v", f"{host}:/m", "-v", "named:/v", "busybox")
    for destination in "/m", "/v":
        assert mark in flags(engine, destination, "--volumes-from", f"first{mode}")[0]
    engine.ok("create", "--name", "second", "-v", f"{host}:/m:ro", "busybox")
    assert "ro" in flags(engine, "/m", "--volumes-from", "second:rw")[0]


# ---- tmpfs ----

def test_tmpfs(engine):
    assert flags(engine, "/t", "--tmpfs", "/t")[0] >= {"nosuid", "nodev", "noexec", "rw"}
    assert not flags(engine, "/t", "--tmpfs", "/t:exec,suid,dev")[0] & {"nosuid", "nodev", "noexec"}
    assert not flags(engine, "/t", "--mount", "type=tmpfs,dst=/t,exec,suid,dev")[0] & {"nosuid", "nodev", "noexec"}
    for options in ["--tmpfs", "/t:size=64k,mode=700"], ["--mount", "type=tmpfs,dst=/t,tmpfs-size=64k,tmpfs-mode=700"]:
        assert sh(engine, *options, "stat -c %a /t; dd if=/dev/zero of=/t/f bs=4k count=32 2>/dev/null || stat -c %s /t/f") == "700\n65536\n"
    assert sh(engine, "--tmpfs", "/t:uid=5,gid=6,nr_inodes=3", "stat -c %u:%g /t; touch /t/a /t/b /t/c 2>/dev/null || ls /t | wc -l") == "5:6\n2\n"
    for options in ["--tmpfs", "/t:ro"], ["--mount", "type=tmpfs,dst=/t,readonly"]:
        assert sh(engine, *options, "touch /t/x || echo $?") == "1\n"
    for options in ["--tmpfs", "/etc:tmpcopyup"], ["--mount", "type=tmpfs,dst=/etc,tmpcopyup"]:
        assert sh(engine, *options, "test -s /etc/passwd && echo there") == "there\n"
    assert sh(engine, "--tmpfs", "/t:notmpcopyup,noatime", "grep -c ' /t .*noatime' /proc/mounts") == "1\n"


# ---- the root ----

def test_a_read_only_root(engine, host):
    script = "touch /x || touch /etc/x || echo $?; touch /t/x /m/x /v/x /dev/shm/x && echo done"
    assert sh(engine, "--read-only", "--tmpfs", "/t", "-v", f"{host}:/m", "-v", "/v", script) == "1\ndone\n"


# ---- wrong ones ----

INVALID = 'invalid mount config for type "{}": '


@pytest.mark.parametrize("mode", ["nosuch", "ro,rw", "z,Z", "rprivate,rslave", "nocopy", "exec,noexec", "bind,rbind", "U,U", "O,O", "ro,ro", "idmap,idmap"])
def test_wrong_modes_of_a_bind(engine, host, mode):
    assert f"invalid mode: {mode}" in engine.fails(125, "run", "--rm", "-v", f"{host}:/m:{mode}", "busybox", "true")


@pytest.mark.parametrize("mode", ["rslave", "nocopy,copy", "nocopy,nocopy", "nosuch"])
def test_wrong_modes_of_a_volume(engine, mode):
    assert f"invalid mode: {mode}" in engine.fails(125, "run", "--rm", "-v", f"named:/m:{mode}", "busybox", "true")


@pytest.mark.parametrize("mount, message", [
    ("type=bind,dst=/m", INVALID.format("bind") + "field Source must not be empty"),
    ("type=bind,src=relative,dst=/m", INVALID.format("bind") + "invalid mount path: 'relative' mount path must be absolute"),
    ("type=bind,src=/,dst=m", INVALID.format("bind") + "invalid mount path: 'm' mount path must be absolute"),
    ("type=bind,src=/,dst=/", INVALID.format("bind") + "invalid specification: destination can't be '/'"),
    ("type=bind,src=/,dst=/m,bind-propagation=nosuch", INVALID.format("bind") + "invalid propagation mode: nosuch"),
    ("type=bind,src=/,dst=/m,relabel=x", "invalid value for relabel: x"),
    ("type=bind,src=/,dst=/m,exec,noexec", INVALID.format("bind") + "flags that contradict each other, or are not for this type"),
    ("type=bind,src=/,dst=/m,tmpcopyup", "cannot mix 'tmpcopyup' with mount type 'bind'"),
    ("type=bind,src=/,dst=/m,subpath=x", "cannot mix 'subpath' with mount type 'bind'"),
    ("type=bind,src=/,dst=/m,bind-recursive=x", "invalid value for bind-recursive: x"),
    ("type=bind,src=/,dst=/m,bind-recursive=writable", "option 'bind-recursive=writable' requires 'readonly' to be specified in conjunction"),
    ("type=tmpfs,src=x,dst=/m", INVALID.format("tmpfs") + "field Source must not be specified"),
    ("type=tmpfs,dst=/m,tmpfs-mode=9", "invalid value for tmpfs-mode: 9"),
    ("type=tmpfs,dst=/m,tmpfs-size=x", "invalid value for tmpfs-size: x"),
    ("type=tmpfs,dst=/m,U=true", "cannot mix 'chown' with mount type 'tmpfs'"),
    ("type=volume,src=named,dst=/m,bind-propagation=rslave", "cannot mix 'bind-*' options with mount type 'volume'"),
    ("type=nosuch,dst=/m", INVALID.format("nosuch") + "mount type unknown"),
    ("type=bind,src=/,dst=/m,nosuch=1", "unexpected key 'nosuch' in 'nosuch=1'"),
    ("type=bind,src=/,dst=/m,nosuch", "invalid field 'nosuch' must be a key=value pair"),
    ("type=bind,src=/", "target is required")])
def test_wrong_mounts(engine, mount, message):
    assert message in engine.fails(125, "run", "--rm", "--mount", mount, "busybox", "true")


def test_two_mounts_at_one_place(engine):
    assert "Duplicate mount point: /m" in engine.fails(125, "run", "--rm", "-v", "named:/m", "--mount", "type=tmpfs,dst=/m", "busybox", "true")


@pytest.mark.parametrize("spec, message", [("/t:nosuch", 'invalid tmpfs option "nosuch"'), ("t", "invalid mount path: 't' mount path must be absolute"),
                                           ("/", "invalid specification: destination can't be '/'")])
def test_wrong_tmpfs(engine, spec, message):
    assert message in engine.fails(125, "run", "--rm", "--tmpfs", spec, "busybox", "true")
