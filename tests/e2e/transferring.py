"""skep-transfer as a test sees it: its socket, its messages, its descriptors."""
import json
import os
import select
import socket
import subprocess
import time

from container import RUNTIME

PROGRAM = os.environ.get("TRANSFER") or os.path.join(os.path.dirname(os.path.abspath(RUNTIME)), "skep-transfer")
DEADLINE = int(os.environ.get("DEADLINE", "30"))
PATIENT = {"attempts": 4, "backoffMs": 10, "stallMs": 20000}


class Failed(Exception):
    def __init__(self, event):
        super().__init__(event["message"])
        self.event = event


class File:
    """A memfd with a role."""

    def __init__(self, data=b""):
        self.fd = os.memfd_create("test", os.MFD_CLOEXEC)
        os.write(self.fd, data)

    def read(self):
        return os.pread(self.fd, os.fstat(self.fd).st_size, 0)

    def close(self):
        os.close(self.fd)


class Worker:
    def __init__(self, *options, env=None):
        self.sock, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.sock.settimeout(DEADLINE)
        self.process = subprocess.Popen([PROGRAM, "--protocol=1", f"--fd={theirs.fileno()}", *options], pass_fds=[theirs.fileno()],
                                        stdin=subprocess.DEVNULL, env={"PATH": "/usr/bin:/bin", **(env or {}),
                                                                       **{k: v for k, v in os.environ.items() if k.endswith("SAN_OPTIONS")}})
        theirs.close()
        self.events, self.last = {}, 0

    def close(self):
        self.sock.close()
        assert self.process.wait(DEADLINE) == 0, "skep-transfer did not end well"

    def send(self, op, files=None, **fields):
        self.last += 1
        files = files or {}
        message = {"id": self.last, "op": op, "fds": list(files), "tuning": {**PATIENT, **fields.pop("tuning", {})}, **fields}
        socket.send_fds(self.sock, [json.dumps(message).encode()], [f.fd for f in files.values()])
        self.events[self.last] = []
        return self.last

    def receive(self):
        event = json.loads(self.sock.recv(1 << 20))
        self.events[event["id"]].append(event)
        return event

    def wait(self, ident):
        """The end of a request; its earlier events are in self.events."""
        while not (self.events[ident] and self.events[ident][-1]["kind"] in ("done", "failed")):
            self.receive()
        end = self.events[ident][-1]
        if end["kind"] == "failed":
            raise Failed(end)
        return end

    def wait_for(self, ident, kind):
        while not any(e["kind"] == kind for e in self.events[ident]):
            self.receive()
        return next(e for e in self.events[ident] if e["kind"] == kind)

    def call(self, op, files=None, **fields):
        return self.wait(self.send(op, files, **fields))

    def memory_peak(self):
        with open(f"/proc/{self.process.pid}/status", encoding="utf-8") as f:
            return next(int(line.split()[1]) for line in f if line.startswith("VmHWM")) << 10


def eventually(what, seconds=DEADLINE):
    """Waits for a fact that nobody tells of."""
    end = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < end, "it did not happen"
        select.select([], [], [], 0.01)
