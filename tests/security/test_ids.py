"""CVE-2016-3697, -2021-43784, -2022-24769, -2022-29162, -2024-40635, -2026-30892, -2026-46680: who a program is, and what it may."""
import json
import os

import pytest

SETS = ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")


@pytest.fixture
def treacherous(box):
    """An image whose passwd and group files say that everybody is root."""
    names = ["root", "0", "1000", "01", "1:2x", "-1", "4294967296", "2147483648", "4294967295", "nobody", "1000:1000", " 1"]
    for name in ("passwd", "group"):
        with open(os.path.join(box.rootfs, "etc", name), "w", encoding="ascii") as f:
            for user in names:
                f.write(f"{user}:x:0:0:root:/root:/bin/sh\n" if name == "passwd" else f"{user}:x:0:{user}\n")
            f.write("shadow:x:42:1000,root\n" if name == "group" else "")
    return box


def up(box):
    box.sh("echo up; exec sleep 30").up()
    assert box.output.line() == "up"
    return box


def test_numbers_are_not_names(treacherous):
    """CVE-2016-3697: a user called 1000 in the image's passwd is not who was meant."""
    treacherous.process["user"] = {"uid": 1000, "gid": 1000}
    assert treacherous.output_of("id -u; id -g; id -G").split() == ["1000", "1000", "1000"]
    up(treacherous)
    assert treacherous.exec("sh", "-c", "id -u; id -g; id -G", flags=["--user", "1000:1001"]).ok().out.split() == ["1000", "1001", "1001"]
    assert treacherous.exec("sh", "-c", "id -u; id -g", flags=["--user", "2147483648"]).ok().out.split()[0] == "2147483648"


@pytest.mark.parametrize("user", ["1:2x", "-1", "4294967296", "4294967295", "1:4294967296", "1:-1", ":", "1:", ":1", "", " 1", "1 ", "+1", "0x1", "1e3", "1:2:3",
                                  "root", "nobody", "1\n", "18446744073709551616", "1:18446744073709551617", "٣"])
def test_users_that_are_none(treacherous, user):
    """CVE-2026-30892: what is not quite a number is refused, never rounded, cut or looked up."""
    up(treacherous)
    treacherous.exec("id", flags=["--user", user]).fails("--user")
    treacherous.exec("id", flags=["--user=" + user]).fails("--user")


def test_leading_zeros_do_not_change_who_it_is(treacherous):
    """ "01" is 1 or an error; never 0, and never the image's "01"."""
    up(treacherous)
    result = treacherous.exec("id", "-u", flags=["--user", "01"])
    assert result.code != 0 or result.out == "1\n"


@pytest.mark.parametrize("group", ["-1", "4294967296", "4294967295", "x", "", "1,2", "18446744073709551616"])
def test_groups_that_are_none(running, group):
    assert running.exec("id", flags=["--additional-gids", group]).code != 0


@pytest.mark.parametrize("field", ["uid", "gid"])
@pytest.mark.parametrize("value", [4294967296, 4294967295, -1, 2**63, 1.5, "0", "root", True, [0], {}])
def test_ids_of_a_configuration(treacherous, field, value):
    """CVE-2024-40635: 2^32 is not 0."""
    treacherous.process["user"][field] = value
    treacherous.args("id").run().fails(field)


def test_a_number_beyond_64_bits(treacherous):
    treacherous.process["user"]["uid"] = 2**64
    treacherous.args("id").run().fails("64 bits")


@pytest.mark.parametrize("value", [4294967296, -1, "0", 4294967295])
def test_additional_groups_of_a_configuration(box, value):
    box.process["user"]["additionalGids"] = [5, value]
    box.args("id").run().fails("gids")


@pytest.mark.parametrize("value", [4294967296, -1, 2**63 - 1])
@pytest.mark.parametrize("field", ["containerID", "hostID", "size"])
@pytest.mark.parametrize("kind", ["uidMappings", "gidMappings"])
def test_mappings_out_of_range(box, kind, field, value):
    good = {"containerID": 0, "hostID": 100000, "size": 65536}
    box.namespace("user")
    box.linux["uidMappings"], box.linux["gidMappings"] = [dict(good)], [dict(good)]
    box.linux[kind][0][field] = value
    box.args("id").run().fails("Mappings")


@pytest.mark.parametrize("mappings", [
    [{"containerID": 0, "hostID": 100000, "size": 0}], [{"containerID": 4294967295, "hostID": 0, "size": 2}], [{"containerID": 1, "hostID": 4294967290, "size": 100}],
    [{"containerID": 0, "hostID": 1000, "size": 10}, {"containerID": 5, "hostID": 5000, "size": 10}],
    [{"containerID": 0, "hostID": 1000, "size": 10}, {"containerID": 100, "hostID": 1005, "size": 10}],
    [{"containerID": i, "hostID": 100000 + i, "size": 1} for i in range(341)], []])
def test_mappings_that_cannot_be(box, mappings):
    """CVE-2021-43784: overlaps, overflows, nothing, and more than the kernel takes."""
    box.namespace("user")
    box.linux["uidMappings"] = box.linux["gidMappings"] = mappings
    box.args("id").run().fails()


def test_very_many_mappings(box):
    """65,536 entries are refused in bounded time, and overflow nothing."""
    box.namespace("user")
    box.linux["uidMappings"] = box.linux["gidMappings"] = [{"containerID": i, "hostID": 100000 + i, "size": 1} for i in range(65536)]
    box.args("id").run().fails("mappings")


def test_supplementary_groups_come_from_the_configuration_only(treacherous):
    """CVE-2023-25173, -2022-2995: neither the image's group file nor the caller's own groups."""
    treacherous.runtime.prefix = ["setpriv", "--groups", "4,27,1234"]
    treacherous.process["user"] = {"uid": 0, "gid": 0, "additionalGids": [7, 8]}
    assert treacherous.output_of("grep Groups /proc/self/status").split() == ["Groups:", "7", "8"]
    treacherous.process["user"] = {"uid": 1000, "gid": 1000}
    assert treacherous.output_of("grep Groups /proc/self/status").split() == ["Groups:"]
    up(treacherous)
    assert treacherous.exec("grep", "Groups", "/proc/self/status").ok().out.split() == ["Groups:"]


def caps(text):
    return {line.split(":")[0]: int(line.split()[1], 16) for line in text.splitlines() if line.startswith("Cap")}


@pytest.mark.parametrize("uid", [0, 1000])
@pytest.mark.parametrize("by", ["run", "create", "exec", "exec --process", "exec --cap"])
def test_nothing_is_inherited(box, tmp_path, uid, by):
    """CVE-2022-29162: inheritable and ambient sets are empty unless the configuration fills them."""
    box.process["user"] = {"uid": uid, "gid": uid}
    box.runtime.prefix = ["setpriv", "--inh-caps", "+sys_admin,+net_raw,+kill", "--ambient-caps", "+net_raw,+kill"]
    show = ["cat", "/proc/self/status"]
    if by == "run":
        out = box.args(*show).run().ok().out
    elif by == "create":
        box.args(*show).up()
        out = box.output.rest()
    else:
        up(box)
        (tmp_path / "p.json").write_text(json.dumps({**box.process, "args": show}))
        if by == "exec":
            out = box.exec(*show).ok().out
        elif by == "exec --cap":
            out = box.exec(*show, flags=["--cap", "CAP_NET_RAW"]).ok().out
        else:
            out = box.runtime.run("exec", "--process", tmp_path / "p.json", box.id).ok().out
    found = caps(out)
    assert set(found) == set(SETS)
    assert found["CapInh"] == 0 and found["CapAmb"] == 0
    usual = 1 << 29 | 1 << 5 | 1 << 10 | (1 << 13 if by == "exec --cap" else 0)
    assert found["CapBnd"] == usual
    assert found["CapPrm"] & ~usual == 0 and found["CapEff"] & ~usual == 0
    if uid:
        assert found["CapEff"] == 0


def test_setuid_programs_gain_nothing_with_no_new_privileges(box):
    path = os.path.join(box.rootfs, "bin/su-id")
    os.link(os.path.join(box.rootfs, "bin/busybox"), path)
    os.chmod(path, 0o4755)
    os.symlink("busybox", os.path.join(box.rootfs, "bin/plain-id"))
    box.process["user"] = {"uid": 1000, "gid": 1000}
    os.unlink(os.path.join(box.rootfs, "bin/id"))
    os.link(path, os.path.join(box.rootfs, "bin/id"))
    assert box.output_of("id") .split()[0] == "uid=1000"


def test_keyrings_are_the_containers_own(box):
    """CVE-2016-9962's neighbour: the session keyring of the caller is not handed on."""
    with open("/proc/keys", encoding="utf-8") as f:
        if "keyring" not in f.read():
            pytest.skip("a kernel without keys")
    box.linux["maskedPaths"] = []
    assert f"_ses.{box.id}" in box.output_of("cat /proc/keys")


def test_the_session_is_its_own(armed):
    """CVE-2017-5226: nothing can be typed into the terminal that the container was started from."""
    import pty
    master, slave = pty.openpty()
    result = {}
    pid = os.fork()
    if not pid:
        os.setsid()
        import fcntl
        import termios
        fcntl.ioctl(slave, termios.TIOCSCTTY, 0)
        armed.args("steal").save()
        os.dup2(slave, 0)
        argv = armed.runtime.command("run", "--bundle", armed.bundle, armed.id)
        out = os.open(os.path.join(armed.bundle, "out"), os.O_WRONLY | os.O_CREAT, 0o600)
        os.dup2(out, 1)
        os.execvp(argv[0], argv)
    result["status"] = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    os.close(master)
    os.close(slave)
    with open(os.path.join(armed.bundle, "out"), encoding="ascii") as f:
        assert (result["status"], f.read()) == (0, "session own\n")


def test_the_session_of_exec_is_its_own(armed):
    import pty
    up(armed)
    master, slave = pty.openpty()
    pid = os.fork()
    if not pid:
        os.setsid()
        import fcntl
        import termios
        fcntl.ioctl(slave, termios.TIOCSCTTY, 0)
        os.dup2(slave, 0)
        argv = armed.runtime.command("exec", armed.id, "steal")
        out = os.open(os.path.join(armed.bundle, "out"), os.O_WRONLY | os.O_CREAT, 0o600)
        os.dup2(out, 1)
        os.execvp(argv[0], argv)
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    os.close(master)
    os.close(slave)
    with open(os.path.join(armed.bundle, "out"), encoding="ascii") as f:
        assert (status, f.read()) == (0, "session own\n")
