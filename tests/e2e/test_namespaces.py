"""Namespaces: new, joined, mapped; idmapped mounts; rootless."""
import json
import os
import shutil

import pytest

from container import DEADLINE, RUNTIME

KINDS = {"pid": "pid", "ipc": "ipc", "uts": "uts", "mount": "mnt", "network": "net", "cgroup": "cgroup"}


def links(box):
    names = list(KINDS.values())
    return dict(zip(names, box.output_of(f"for n in {' '.join(names)}; do readlink /proc/self/ns/$n; done").splitlines()))


def host(name):
    return os.readlink(f"/proc/self/ns/{name}")


def test_new_ones(box):
    box.namespace("cgroup")
    for name, link in links(box).items():
        assert link != host(name), name


def test_those_not_asked_for_are_the_callers(box):
    for kind in ("ipc", "network", "uts"):
        box.without_namespace(kind)
    del box.config["hostname"]
    got = links(box)
    for name in ("ipc", "net", "uts"):
        assert got[name] == host(name)


def test_joining_by_path(world, running):
    other = world.box("other")
    for kind in ("ipc", "network", "uts", "pid"):
        other.namespace(kind, f"/proc/{running.pid}/ns/{KINDS[kind]}")
    del other.config["hostname"]
    got = links(other)
    for name in ("ipc", "net", "uts", "pid"):
        assert got[name] == os.readlink(f"/proc/{running.pid}/ns/{name}")
    assert got["mnt"] != os.readlink(f"/proc/{running.pid}/ns/mnt")
    assert other.output_of("hostname; ps | grep -c '[s]leep'").split() == ["box", "1"]


def test_a_path_of_another_kind_is_refused(box, running, world):
    other = world.box("other").namespace("ipc", f"/proc/{running.pid}/ns/net")
    other.run().fails("ipc")


def test_the_loopback_is_up(box):
    assert "LOOPBACK,UP" in box.output_of("ip addr show lo")


def mapped(box, base=100000):
    box.namespace("user")
    box.linux["uidMappings"] = [{"containerID": 0, "hostID": base, "size": 65536}]
    box.linux["gidMappings"] = [{"containerID": 0, "hostID": base + 7, "size": 65536}]
    for where, names, files in os.walk(box.rootfs):
        for name in names + files:
            os.chown(os.path.join(where, name), base, base + 7, follow_symlinks=False)
    os.chown(box.rootfs, base, base + 7)
    return box


def test_user_namespace(box):
    mapped(box)
    lines = box.output_of("cat /proc/self/uid_map /proc/self/gid_map; id -u; id -g; stat -c '%u %g' /bin; touch /made; ls -A /made").splitlines()
    assert [line.split() for line in lines[:2]] == [["0", "100000", "65536"], ["0", "100007", "65536"]]
    assert lines[2:] == ["0", "0", "0 0", "/made"]
    assert os.stat(os.path.join(box.rootfs, "made")).st_uid == 100000


def test_user_namespace_and_exec(box):
    mapped(box).sh("echo up; exec sleep 60").up()
    assert box.output.line() == "up"
    assert box.exec("sh", "-c", "id -u; cat /proc/self/uid_map; readlink /proc/self/ns/user").ok().lines == \
        box.exec("sh", "-c", "id -u; cat /proc/1/uid_map; readlink /proc/1/ns/user").ok().lines
    assert box.exec("id", "-u", flags=["--user", "12"]).ok().out == "12\n"


def test_an_oom_score_in_a_user_namespace(box, tmp_path):
    mapped(box).sh("echo up; exec sleep 60").up()
    assert box.output.line() == "up"
    process = {"args": ["cat", "/proc/self/oom_score_adj"], "cwd": "/", "env": ["PATH=/bin"], "oomScoreAdj": 77}
    (tmp_path / "process.json").write_text(json.dumps(process))
    assert box.runtime.run("exec", "--process", tmp_path / "process.json", box.id).ok().out == "77\n"


def test_a_user_namespace_and_networks_of_others(world, running):
    """Joined with the rights of the outer one, before the new one is made."""
    other = mapped(world.box("other"))
    for kind in ("ipc", "network", "uts"):
        other.namespace(kind, f"/proc/{running.pid}/ns/{KINDS[kind]}")
    del other.config["hostname"]
    other.config["mounts"] = [m for m in other.config["mounts"] if m["type"] != "mqueue"]
    got = links(other)
    for name in ("ipc", "net", "uts"):
        assert got[name] == os.readlink(f"/proc/{running.pid}/ns/{name}")
    assert other.output_of("cat /proc/self/uid_map").split() == ["0", "100000", "65536"]


def test_many_mappings(box):
    """CVE-2021-43784: more rows than fit a small length field."""
    mapped(box)
    rows = [{"containerID": n, "hostID": 100000 + n, "size": 1} for n in range(300)]
    box.linux["uidMappings"] = box.linux["gidMappings"] = rows
    assert box.output_of("wc -l < /proc/self/uid_map") == "300"


def test_a_mapping_that_does_not_cover_the_user(box):
    mapped(box)
    box.process["user"] = {"uid": 70000, "gid": 0}
    box.run().fails()


def test_time_namespace(box):
    box.namespace("time").linux["timeOffsets"] = {"boottime": {"secs": 700000, "nanosecs": 5}, "monotonic": {"secs": 17}}
    lines = [line.split() for line in box.output_of("cat /proc/self/timens_offsets; cat /proc/uptime").splitlines()]
    assert lines[:2] == [["monotonic", "17", "0"], ["boottime", "700000", "5"]]
    assert float(lines[2][0]) > 700000


@pytest.fixture
def owned(world):
    path = os.path.join(world.top, "owned")
    os.mkdir(path)
    with open(os.path.join(path, "file"), "w", encoding="ascii") as f:
        f.write("x")
    return path


def bind(box, source, **more):
    box.config["mounts"].append({"destination": "/m", "type": "none", "source": source, "options": ["bind"], **more})
    return box


def test_idmapped_mount(box, owned):
    maps = [{"containerID": 0, "hostID": 1234, "size": 10}]
    bind(box, owned, uidMappings=maps, gidMappings=maps)
    assert box.output_of("stat -c '%u %g' /m/file") == "1234 1234"


def test_idmapped_mount_in_a_user_namespace(box, owned):
    """`idmap` without mappings takes the container's own: what root owns on the disk, the container's root owns."""
    bind(mapped(box), owned)
    box.config["mounts"][-1]["options"] = ["bind", "idmap"]
    assert box.output_of("stat -c '%u %g' /m/file; touch /m/made").split() == ["0", "0"]
    assert os.stat(os.path.join(owned, "made")).st_uid == 0


def rootless(box, uid=1000):
    """The same bundle for a user without any privilege, with a single id of its own."""
    world_top = os.path.dirname(box.bundle)
    program = os.path.join(world_top, "runtime")
    shutil.copy(RUNTIME, program)  # the source tree may lie where others cannot go
    os.mkdir(box.runtime.root)
    for path in (box.runtime.root, box.bundle):
        os.chown(path, uid, uid)
    for where, names, files in os.walk(box.rootfs):
        for name in names + files:
            os.chown(os.path.join(where, name), uid, uid, follow_symlinks=False)
    os.chown(box.rootfs, uid, uid)
    box.namespace("user")
    box.linux["uidMappings"] = box.linux["gidMappings"] = [{"containerID": 0, "hostID": uid, "size": 1}]
    box.linux.pop("resources")
    box.linux.pop("cgroupsPath")
    box.runtime.prefix = ["setpriv", f"--reuid={uid}", f"--regid={uid}", "--clear-groups", "--bounding-set=-all", "--no-new-privs", "env",
                          "-C", box.bundle, f"XDG_RUNTIME_DIR={box.runtime.root}"]
    box.runtime.program = program
    return box


def test_rootless_run(box):
    rootless(box)
    assert box.output_of("id -u; echo x > /made && echo wrote; hostname; echo $$").split() == ["0", "wrote", "box", "1"]
    assert os.stat(os.path.join(box.rootfs, "made")).st_uid == 1000


def test_rootless_life(box):
    rootless(box).sh(f"echo up; exec sleep {DEADLINE}").up()
    assert box.output.line() == "up"
    assert box.exec("id", "-u").ok().out == "0\n"
    assert box.status == "running"
    assert json.loads(box.runtime.run("list", "--format", "json").ok().out)[0]["id"] == box.id
    box.delete("--force").ok()


def test_rootless_refuses_what_needs_root(box):
    rootless(box)
    box.linux["uidMappings"] = box.linux["gidMappings"] = [{"containerID": 0, "hostID": 0, "size": 65536}]
    box.run().fails()
