"""Pseudo-terminals: handed over through a console socket, or copied in the foreground."""
import fcntl
import os
import pty
import struct
import subprocess
import termios

import pytest

from container import DEADLINE
from terminals import ConsoleSocket, Terminal


@pytest.fixture
def console(world):
    made = ConsoleSocket(os.path.join(world.top, "console"))
    yield made
    made.close()


def size(fd):
    return struct.unpack("HHHH", fcntl.ioctl(fd, termios.TIOCGWINSZ, b"\0" * 8))[:2]


def test_create_sends_the_master(box, console):
    box.process["terminal"] = True
    box.process["consoleSize"] = {"height": 33, "width": 101}
    box.sh('tty; test -t 2 && echo "and errors"; stty size; ls -l /dev/console; read x; echo "got $x"; read y')
    box.create("--console-socket", console.path).ok()
    _, terminal = console.receive()
    assert size(terminal.fd) == (33, 101)
    box.start().ok()
    terminal.expect("/dev/pts/").expect("and errors").expect("33 101").expect("/dev/console")
    terminal.type("word\n").expect("got word")
    terminal.close()


def test_a_terminal_hangs_up_its_job(box, console):
    """The container's process leads a session on the terminal: closing the master ends it."""
    box.process["terminal"] = True
    box.sh("trap 'exit 3' HUP; echo up; while read line; do :; done; exit 4").create("--console-socket", console.path).ok()
    _, terminal = console.receive()
    pidfd = box.pidfd()
    box.start().ok()
    terminal.expect("up").close()
    box.wait(pidfd)


def test_a_terminal_needs_a_socket_when_detached(box, console):
    box.process["terminal"] = True
    box.create().fails("console")
    box.process["terminal"] = False
    box.create("--console-socket", console.path).fails("console")


def test_exec_sends_the_master(running, console):
    running.exec("sh", "-c", "tty; read x; echo got $x", flags=["--tty", "--detach", "--console-socket", console.path]).ok()
    _, terminal = console.receive()
    terminal.expect("/dev/pts/").type("word\n").expect("got word").close()


def test_run_in_the_foreground_copies(box):
    box.process["terminal"] = True
    box.sh("tty; stty size; read x; echo got $x; exit 5").save()
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 21, 77, 0, 0))
    with subprocess.Popen(box.runtime.command("run", "--bundle", box.bundle, box.id), stdin=slave, stdout=slave, stderr=slave,
                          start_new_session=True) as process:
        os.close(slave)
        terminal = Terminal(master)
        terminal.expect("/dev/pts/").expect("21 77\r\n").type("word\n").expect("got word")
        assert process.wait(DEADLINE) == 5
        terminal.close()
