#!/usr/bin/python3
"""terminal.py COMMAND: a shell command on a terminal of 80 columns and 24 lines. What comes on standard input is typed there, unseen; its end is not.

The exit status is the command's.
"""
import fcntl
import os
import select
import struct
import sys
import termios


def furnish(fd):
    fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    modes = termios.tcgetattr(fd)
    modes[3] &= ~(termios.ECHO | termios.ICANON | termios.ISIG) # keys typed too early reach the program as they are
    modes[0] &= ~(termios.IXON | termios.ICRNL)
    termios.tcsetattr(fd, termios.TCSANOW, modes)


def copy(terminal):
    """Until the last one on the terminal has closed it."""
    sources = [terminal, 0]
    while True:
        for fd in select.select(sources, [], [])[0]:
            try:
                data = os.read(fd, 65536)
            except OSError:
                data = b""
            if fd == terminal:
                if not data:
                    return
                os.write(1, data)
            elif data:
                os.write(terminal, data)
            else:
                sources.remove(0)


def main():
    ours, theirs = os.openpty()
    furnish(theirs)
    child = os.fork()
    if not child:
        os.close(ours)
        os.login_tty(theirs)
        os.execv("/bin/sh", ["sh", "-c", sys.argv[1]])
    os.close(theirs)
    copy(ours)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) & 255


sys.exit(main())
