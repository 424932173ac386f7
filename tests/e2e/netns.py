"""A network namespace of one's own: the bridges, rules and sysctls that a test makes are never the machine's, and go with it.

tests/peers, tests/engines and tests/differential have theirs from tests/engines/world.py.
"""
import contextlib
import ctypes
import fcntl
import os
import socket
import struct

CLONE_NEWNET = 0x40000000
SIOCSIFFLAGS, IFF_UP, IFF_RUNNING = 0x8914, 0x1, 0x40
LIBC = ctypes.CDLL(None, use_errno=True)
MACHINE = os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC)


def enter():
    """Moves this thread, and what it starts from now on, into a new one whose loopback device is up."""
    if LIBC.unshare(CLONE_NEWNET) < 0:
        raise OSError(ctypes.get_errno(), "unshare a network namespace")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        fcntl.ioctl(s, SIOCSIFFLAGS, struct.pack("16sH14x", b"lo", IFF_UP | IFF_RUNNING))


def current():
    """A descriptor of the one that this thread is in."""
    return os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)


@contextlib.contextmanager
def at(fd):
    """This thread is in that one for a while."""
    here = current()
    try:
        move(fd)
        yield
    finally:
        move(here)
        os.close(here)


def new():
    """A descriptor of one that nobody is in."""
    here = current()
    try:
        enter()
        return current()
    finally:
        move(here)
        os.close(here)


@contextlib.contextmanager
def another():
    """This thread is in a new one for a while."""
    fd = new()
    try:
        with at(fd):
            yield
    finally:
        os.close(fd)


def move(fd):
    if LIBC.setns(fd, CLONE_NEWNET) < 0:
        raise OSError(ctypes.get_errno(), "enter a network namespace")


def of_the_machine():
    """Words before those of a command that has to fetch something by the machine's network."""
    return ["nsenter", f"--net=/proc/{os.getpid()}/fd/{MACHINE}"]
