"""The other end of a container's terminal."""
import array
import os
import socket

from container import DEADLINE, readable


class ConsoleSocket:
    """The socket on which a caller waits for the master of a pseudo-terminal (--console-socket)."""

    def __init__(self, path):
        self.path = str(path)
        self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.listener.settimeout(DEADLINE)
        self.listener.bind(self.path)
        self.listener.listen(1)

    def receive(self):
        """(message, master)"""
        connection, _ = self.listener.accept()
        with connection:
            connection.settimeout(DEADLINE)
            message, fds = receive_fds(connection)
        assert len(fds) == 1
        return message, Terminal(fds[0])

    def close(self):
        self.listener.close()


def receive_fds(connection):
    data, ancillary, _, _ = connection.recvmsg(65536, socket.CMSG_SPACE(64))
    fds = array.array("i")
    for level, kind, payload in ancillary:
        assert (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS)
        fds.frombytes(payload[: len(payload) - len(payload) % fds.itemsize])
    return data, list(fds)


class Terminal:
    def __init__(self, fd):
        self.fd, self.seen = fd, ""

    def expect(self, text):
        """Reads until the text appears."""
        while text not in self.seen:
            readable(self.fd, f"waiting for {text!r} after {self.seen!r}")
            try:
                data = os.read(self.fd, 4096)
            except OSError as error:  # EIO: the last one on the other side has closed
                raise AssertionError(f"no {text!r} in {self.seen!r}") from error
            assert data, f"no {text!r} in {self.seen!r}"
            self.seen += data.decode(errors="replace")
        return self

    def type(self, text):
        os.write(self.fd, text.encode())
        return self

    def close(self):
        os.close(self.fd)
