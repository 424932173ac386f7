"""Seccomp profiles: actions, arguments, and the notify listener."""
import fcntl
import json
import os
import signal
import socket
import struct

import pytest

from terminals import receive_fds

RECEIVE, SEND = 0xC0502100, 0xC0182101


def profile(box, default, *rules, **more):
    box.linux["seccomp"] = {"defaultAction": default, "architectures": ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"],
                            "syscalls": list(rules), **more}
    return box


MKDIR = ["mkdir", "mkdirat"]


def test_errno(box):
    profile(box, "SCMP_ACT_ALLOW", {"names": MKDIR, "action": "SCMP_ACT_ERRNO"})
    assert "Operation not permitted" in box.sh("mkdir /tmp/x").run().err
    profile(box, "SCMP_ACT_ALLOW", {"names": MKDIR, "action": "SCMP_ACT_ERRNO", "errnoRet": 123})
    assert "No medium found" in box.sh("mkdir /tmp/x").run().err


def test_mode_and_names_the_kernel_does_not_know(box):
    profile(box, "SCMP_ACT_ALLOW", {"names": ["no_such_call", "also_not"], "action": "SCMP_ACT_ERRNO"})
    assert box.output_of("grep Seccomp: /proc/self/status").split() == ["Seccomp:", "2"]


def test_kill(box):
    profile(box, "SCMP_ACT_ALLOW", {"names": MKDIR, "action": "SCMP_ACT_KILL_PROCESS"})
    assert box.sh("mkdir /tmp/x; echo $?").run().ok().out.strip() == str(128 + signal.SIGSYS)


def test_an_argument_decides(box):
    rule = {"names": ["socket"], "action": "SCMP_ACT_ERRNO", "errnoRet": 97, "args": [{"index": 0, "value": 2, "op": "SCMP_CMP_EQ"}]}
    profile(box, "SCMP_ACT_ALLOW", rule)
    assert "Address family not supported" in box.sh("ip addr; hostname; cat /proc/self/status >/dev/null; kill -0 1; ping 127.0.0.1").run().err \
        or "Address family not supported" in box.sh("busybox nc 127.0.0.1 1").run().err


def test_it_holds_without_no_new_privileges(box):
    box.process["noNewPrivileges"] = False
    profile(box, "SCMP_ACT_ALLOW", {"names": MKDIR, "action": "SCMP_ACT_ERRNO"})
    assert "Operation not permitted" in box.sh("mkdir /tmp/x").run().err


def test_exec_is_filtered_as_well(box):
    profile(box, "SCMP_ACT_ALLOW", {"names": MKDIR, "action": "SCMP_ACT_ERRNO"})
    box.sh("echo up; exec sleep 60").up()
    assert box.output.line() == "up"
    assert "Operation not permitted" in box.exec("mkdir", "/tmp/x").err


@pytest.mark.parametrize("more, word", [({"flags": ["SECCOMP_FILTER_FLAG_NONSENSE"]}, "flag"), ({"defaultAction": "SCMP_ACT_NONSENSE"}, "action"),
                                        ({"architectures": ["SCMP_ARCH_NONSENSE"]}, "arch")])
def test_what_is_not_known_is_refused(box, more, word):
    profile(box, "SCMP_ACT_ALLOW")
    box.linux["seccomp"].update(more)
    box.run().fails(word)


def test_the_listener_gets_the_descriptor(box, world):
    path = os.path.join(world.top, "listener")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        listener.settimeout(20)
        listener.bind(path)
        listener.listen(1)
        profile(box, "SCMP_ACT_ALLOW", {"names": MKDIR, "action": "SCMP_ACT_NOTIFY"}, listenerPath=path, listenerMetadata="meta")
        box.sh("mkdir /tmp/x 2>&1; echo after").up()
        connection, _ = listener.accept()
        with connection:
            message, fds = receive_fds(connection)
        state = json.loads(message)
        assert state["metadata"] == "meta" and state["fds"] == ["seccompFd"] and state["state"]["id"] == box.id and state["pid"] > 0
        request = bytearray(80)
        fcntl.ioctl(fds[0], RECEIVE, request)
        ident, _, _, number = struct.unpack_from("QIIi", request)
        assert number in (83, 258)
        fcntl.ioctl(fds[0], SEND, struct.pack("QqiI", ident, 0, -123, 0))
        assert "No medium found" in box.output.line()
        assert box.output.line() == "after"
        os.close(fds[0])


def test_the_listener_must_be_there(box, world):
    profile(box, "SCMP_ACT_ALLOW", {"names": MKDIR, "action": "SCMP_ACT_NOTIFY"}, listenerPath=os.path.join(world.top, "nobody"))
    box.run().fails("nobody")
