"""CVE-2019-5736 and its kin: nothing in a container can write to the runtime's own file, however it comes by it."""
import errno
import os

import pytest

CAPS = ["CAP_AUDIT_WRITE", "CAP_KILL", "CAP_NET_BIND_SERVICE"]
ALL = CAPS + ["CAP_SYS_ADMIN", "CAP_SYS_PTRACE", "CAP_DAC_OVERRIDE", "CAP_DAC_READ_SEARCH", "CAP_SYS_CHROOT", "CAP_MKNOD", "CAP_SETUID", "CAP_SETGID",
              "CAP_CHOWN", "CAP_FOWNER"]


def set_caps(box, caps):
    box.process["capabilities"] = {name: caps for name in ("bounding", "effective", "permitted")}


def in_user_namespace(box):
    box.namespace("user")
    box.linux["uidMappings"] = box.linux["gidMappings"] = [{"containerID": 0, "hostID": 100000, "size": 65536}]
    for here, folders, files in os.walk(box.rootfs):
        for name in [".", *folders, *files]:
            os.chown(os.path.join(here, name), 100000, 100000, follow_symlinks=False)


def patient(command, *args):
    """Again when the file was busy: who tries to open it for writing holds it for the moment in which that is refused, and a program cannot
    be executed then. Only a container with CAP_SYS_PTRACE over the machine can do this, and no more than this."""
    while True:
        try:
            return command(*args)
        except OSError as error:
            if error.errno != errno.ETXTBSY:
                raise


def verdict(box):
    patient(box.kill, "TERM").ok()
    rest = box.output.rest().split("\n")
    return {line.split()[0]: int(line.split()[1]) for line in rest if line}


@pytest.mark.parametrize("user_namespace", [False, True], ids=["root", "userns"])
@pytest.mark.parametrize("caps", [CAPS, ALL], ids=["usual", "many"])
def test_exec_beside_a_writer(armed, own_runtime, caps, user_namespace):
    """The container's program waits for the runtime to come in, and writes to /proc/PID/exe."""
    set_caps(armed, caps)
    if user_namespace:
        in_user_namespace(armed)
    armed.args("overwrite").up()
    assert armed.output.line() == "ready"
    with open(os.path.join(armed.rootfs, "bin/evil"), "w", encoding="ascii") as f:
        f.write("#!/proc/self/exe\n")
    os.chmod(os.path.join(armed.rootfs, "bin/evil"), 0o755)
    for i in range(30):
        patient(armed.exec, "true").ok()
        if i % 3 == 0:
            patient(armed.exec, "evil")
    assert verdict(armed)["written"] == 0


def test_the_writer_sees_what_it_should_not_write(armed, own_runtime):
    """The attack above has a target: with all privileges the runtime is seen, and is written to where it is not protected."""
    set_caps(armed, ALL)
    armed.args("overwrite").up()
    assert armed.output.line() == "ready"
    for _ in range(20):
        patient(armed.exec, "cat", "/proc/1/status").ok()
    result = verdict(armed)
    assert result["written"] == 0
    assert result["seen"] > 0, "the attack met nobody: it proves nothing"


@pytest.mark.parametrize("user_namespace", [False, True], ids=["root", "userns"])
def test_no_container_keeps_others_from_starting(armed, own_runtime, user_namespace):
    """Who has the runtime's file in hand and tries to open it for writing, over and over, makes its execution fail (ETXTBSY) though he is
    refused each time. So a container must not get it in hand: not even by executing it."""
    if user_namespace:
        in_user_namespace(armed)
    armed.args("overwrite").up()
    assert armed.output.line() == "ready"
    evil = os.path.join(armed.rootfs, "bin/evil")
    with open(evil, "w", encoding="ascii") as f:
        f.write("#!/proc/self/exe\n")
    os.chmod(evil, 0o755)
    for name in ("evil", "interpreted"):
        for _ in range(20):
            patient(armed.exec, name, "events", "x")
    busy = 0
    for _ in range(300):
        try:
            armed.runtime.run("--version", raw=True)
        except OSError as error:
            assert error.errno == errno.ETXTBSY
            busy += 1
    seen = verdict(armed)
    assert (busy, seen["seen"]) == (0, 0)


@pytest.mark.parametrize("how", ["interpreter", "loader", "link", "direct", "descriptor"])
@pytest.mark.parametrize("by", ["run", "exec"])
def test_entry_points_that_are_the_runtime(armed, own_runtime, how, by):
    """The program is the one that executes it: by #!, by PT_INTERP, by a link, by name."""
    at = os.path.join(armed.rootfs, "bin/evil")
    if how == "interpreter":
        with open(at, "w", encoding="ascii") as f:
            f.write("#!/proc/self/exe\n")
        os.chmod(at, 0o755)
    elif how == "loader":
        os.rename(os.path.join(armed.rootfs, "bin/interpreted"), at)
    elif how == "link":
        os.symlink("/proc/self/exe", at)
    argv = {"direct": ["/proc/self/exe"], "descriptor": ["/proc/self/fd/3"]}.get(how, ["/bin/evil"])
    argv += ["--root", "/tmp", "run", "x"]
    if by == "run":
        result = armed.args(*argv).run()
    else:
        armed.sh("echo up; exec sleep 30").up()
        assert armed.output.line() == "up"
        result = armed.exec(*argv)
    assert result.code != 0, result


def test_the_mount_that_hides_it_is_gone(box, own_runtime):
    """What protects the file is attached nowhere: nothing to unmount, nothing left."""
    box.args("true").run().ok()
    with open("/proc/self/mountinfo", encoding="utf-8") as f:
        assert own_runtime not in f.read()
