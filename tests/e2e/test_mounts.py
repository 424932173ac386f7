"""The container's file system: mounts and their options, devices, masked and read-only paths."""
import os

import pytest


def options_of(box, where):
    """(options of the mount, optional fields) of a mount point as the container's mountinfo tells."""
    line = box.output_of(f"grep ' {where} ' /proc/self/mountinfo").splitlines()[-1]
    before, _, _ = line.partition(" - ")
    fields = before.split(" ")
    return set(fields[5].split(",")), fields[6:]


@pytest.fixture
def shared(world):
    path = os.path.join(world.top, "shared")
    os.mkdir(path)
    with open(os.path.join(path, "file"), "w", encoding="ascii") as f:
        f.write("content\n")
    return path


def with_submount(box, shared, propagation="private"):
    """The runtime runs in a mount namespace where shared/sub is a tmpfs of its own."""
    os.mkdir(os.path.join(shared, "sub"))
    script = f'mount --bind {shared} {shared} && mount --make-{propagation} {shared} && mount -t tmpfs x {shared}/sub && exec "$@"'
    box.runtime.prefix = ["unshare", "-m", "sh", "-c", script, "sh"]


def test_bind_read_write_and_read_only(box, shared):
    box.mount("/rw", shared, "none", "bind", "rw").mount("/ro", shared, "none", "bind", "ro")
    assert box.output_of("cat /ro/file; echo new > /rw/made; cat /ro/made; echo x 2>&1 > /ro/other || echo refused").splitlines() == [
        "content", "new", "sh: can't create /ro/other: Read-only file system", "refused"]
    assert os.path.exists(os.path.join(shared, "made")) and not os.path.exists(os.path.join(shared, "other"))


def test_bind_of_a_file_makes_its_target(box, shared):
    box.mount("/new/dir/target", os.path.join(shared, "file"), "bind", "rbind", "ro")
    assert box.output_of("cat /new/dir/target") == "content"


def test_a_relative_source_is_below_the_bundle(box):
    os.mkdir(os.path.join(box.bundle, "data"))
    with open(os.path.join(box.bundle, "data", "file"), "w", encoding="ascii") as f:
        f.write("near\n")
    assert box.mount("/data", "data", "none", "bind").output_of("cat /data/file") == "near"


def test_a_missing_source_is_named(box, world):
    box.mount("/data", os.path.join(world.top, "nowhere"), "none", "bind").run().fails("nowhere", "no such file or directory")


def test_rbind_takes_what_is_mounted_below(box, shared):
    with_submount(box, shared)
    box.mount("/bind", shared, "none", "bind").mount("/rbind", shared, "none", "rbind")
    assert box.output_of("grep -c ' /bind/sub ' /proc/self/mountinfo; grep -c ' /rbind/sub ' /proc/self/mountinfo; true").split() == ["0", "1"]


def test_ro_is_shallow_and_rro_is_not(box, shared):
    with_submount(box, shared)
    box.mount("/ro", shared, "none", "rbind", "ro").mount("/rro", shared, "none", "rbind", "rro")
    script = "echo > /ro/x 2>/dev/null || echo a; echo > /ro/sub/x && echo b; echo 2>/dev/null > /rro/x || echo c; echo 2>/dev/null > /rro/sub/y || echo d"
    assert box.output_of(script).split() == ["a", "b", "c", "d"]


def test_recursive_options(box, shared):
    with_submount(box, shared)
    box.mount("/r", shared, "none", "rbind", "rnosuid", "rnodev", "rnoexec")
    for where in ("/r", "/r/sub"):
        assert {"nosuid", "nodev", "noexec"} <= options_of(box, where)[0]


def test_options_reach_the_mount(box):
    box.mount("/t", "tmpfs", "tmpfs", "nosuid", "nodev", "noexec", "noatime", "ro", "size=1m", "mode=0711")
    assert {"nosuid", "nodev", "noexec", "noatime", "ro"} <= options_of(box, "/t")[0]
    assert box.output_of("stat -c %a /t; grep ' /t ' /proc/self/mountinfo | grep -o size=1024k").split() == ["711", "size=1024k"]


def test_later_options_win(box):
    box.mount("/t", "tmpfs", "tmpfs", "ro", "nosuid", "rw", "suid")
    flags, _ = options_of(box, "/t")
    assert "rw" in flags and "nosuid" not in flags


def test_an_unknown_option_is_refused_by_the_file_system(box):
    box.mount("/t", "tmpfs", "tmpfs", "nonsense=1").run().fails("/t")


@pytest.mark.parametrize("option, tag", [("rslave", "master:"), ("rshared", "shared:"), ("rprivate", None)])
def test_propagation_of_a_mount(box, shared, option, tag):
    with_submount(box, shared, "shared")
    box.linux["rootfsPropagation"] = "rslave" if option == "rslave" else "shared" if option == "rshared" else "private"
    _, tags = options_of(box.mount("/p", shared, "none", "rbind", option), "/p")
    assert any(t.startswith(tag) for t in tags) if tag else not tags


def test_the_root_is_private_unless_told(box):
    assert not options_of(box, "/")[1]


def test_read_only_root(box):
    box.config["root"]["readonly"] = True
    assert box.output_of("touch /x 2>/dev/null || echo refused; touch /dev/x && echo allowed").split() == ["refused", "allowed"]
    assert not os.path.exists(os.path.join(box.rootfs, "x"))


def test_masked_paths(box):
    os.mkdir(os.path.join(box.rootfs, "secret"))
    for name in ("secret/key", "plain"):
        with open(os.path.join(box.rootfs, name), "w", encoding="ascii") as f:
            f.write("secret\n")
    box.linux["maskedPaths"] += ["/secret", "/plain", "/not/there"]
    assert box.output_of("ls /secret; cat /plain; touch /secret/x 2>/dev/null || echo refused; cat /proc/kcore | wc -c").split() == ["refused", "0"]


def test_masks_do_not_trust_the_containers_null(box):
    """CVE-2025-31133: the image has a link in the place of /dev/null."""
    with open(os.path.join(box.rootfs, "plain"), "w", encoding="ascii") as f:
        f.write("secret\n")
    box.config["mounts"] = [m for m in box.config["mounts"] if not m["destination"].startswith("/dev")]
    os.symlink("/proc/sys/kernel/core_pattern", os.path.join(box.rootfs, "dev/null"))
    box.linux["maskedPaths"] = ["/plain"]
    result = box.sh("cat /plain").run()
    assert result.code != 0 or result.out == ""


def test_read_only_paths(box):
    os.mkdir(os.path.join(box.rootfs, "fixed"))
    box.linux["readonlyPaths"] += ["/fixed", "/not/there"]
    assert box.output_of("touch /fixed/x 2>/dev/null || echo a; echo 1 2>/dev/null > /proc/sys/kernel/hostname || echo b").split() == ["a", "b"]


def test_the_usual_devices(box):
    script = "for d in null zero full random urandom tty; do stat -c '%n %F %t:%T %a' /dev/$d; done; readlink /dev/fd; readlink /dev/stdin; readlink /dev/ptmx"
    lines = box.output_of(script).splitlines()
    assert lines[:6] == [f"/dev/{name} character special file {number} 666" for name, number in
                         (("null", "1:3"), ("zero", "1:5"), ("full", "1:7"), ("random", "1:8"), ("urandom", "1:9"), ("tty", "5:0"))]
    assert lines[6:] == ["/proc/self/fd", "/proc/self/fd/0", "pts/ptmx"]
    assert box.output_of("head -c 3 /dev/zero | wc -c; echo > /dev/null && echo fine").split() == ["3", "fine"]


def test_more_devices(box):
    box.linux["devices"] = [{"path": "/dev/sub/own", "type": "c", "major": 10, "minor": 229, "fileMode": 0o640, "uid": 5, "gid": 6},
                            {"path": "/dev/pipe", "type": "p", "fileMode": 0o600}]
    assert box.output_of("stat -c '%F %t:%T %a %u %g' /dev/sub/own; stat -c '%F %a' /dev/pipe").splitlines() == [
        "character special file a:e5 640 5 6", "fifo 600"]


def test_links_on_the_way_stay_inside(box, shared):
    """CVE-2018-era escapes: a mount target that leads out through a link or dots."""
    os.symlink("/../../../../../../../../" + shared, os.path.join(box.rootfs, "link"))
    before = set(os.listdir(shared))
    box.mount("/link/below", "tmpfs", "tmpfs").mount("/../../dots", "tmpfs", "tmpfs").sh("ls -d /dots").run()
    assert set(os.listdir(shared)) == before
    assert not os.path.exists(os.path.join(box.bundle, "..", "..", "dots"))


def test_dev_as_a_link_creates_nothing_outside(box, world):
    """CVE-2026-47766, -41579: the image's /dev leads elsewhere."""
    canary = os.path.join(world.top, "canary")
    os.mkdir(canary)
    os.rmdir(os.path.join(box.rootfs, "dev"))
    os.symlink("/../../../../../.." + canary, os.path.join(box.rootfs, "dev"))
    box.config["mounts"] = [m for m in box.config["mounts"] if not m["destination"].startswith("/dev")]
    box.args("true").run()
    assert os.listdir(canary) == []


def test_proc_as_a_link_is_refused(box):
    """CVE-2019-19921 and its kin: /proc must be a directory of its own."""
    os.rmdir(os.path.join(box.rootfs, "proc"))
    os.mkdir(os.path.join(box.rootfs, "elsewhere"))
    os.symlink("elsewhere", os.path.join(box.rootfs, "proc"))
    box.args("true").run().fails("proc")


def test_the_working_directory_is_made(box):
    box.process["cwd"] = "/made/for/this"
    assert box.output_of("pwd") == "/made/for/this"


def test_the_host_is_out_of_sight(box):
    script = f"ls {box.bundle} 2>/dev/null; grep -c {box.bundle} /proc/self/mounts; cd /; cd ..; cd ..; ls -d bin"
    assert box.output_of(script).split() == ["0", "bin"]
