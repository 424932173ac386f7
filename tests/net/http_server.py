"""The test server as an object, and clients below curl."""
import os
import socket
import subprocess
import time

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
SERVER = os.environ.get("RUNTIME", os.path.join(TOP, "build/tests/net/http-test-server"))
DEADLINE = 20


class Server:
    def __init__(self, where, *options, tls=False, flags=(), protocol="http1", address="127.0.0.1:0"):
        self.socket = str(where / f"{time.monotonic_ns()}.sock")
        self.flags, self.protocol = list(flags), protocol
        self.process = subprocess.Popen([SERVER, *options, address, f"unix:{self.socket}"], stdout=subprocess.PIPE, text=True)
        line = self.process.stdout.readline()
        assert line.startswith("port "), line
        self.port = int(line.split()[1])
        self.url = f"http{'s' if tls else ''}://127.0.0.1:{self.port}"

    def curl(self, path, *args, check=True, text=True):
        run = subprocess.run(["curl", "-sS", "--max-time", str(DEADLINE), *self.flags, *args, self.url + path], stdout=subprocess.PIPE,
                             stderr=subprocess.PIPE)
        if check:
            assert run.returncode == 0, run.stderr.decode()
        run.stdout = run.stdout.decode(errors="replace") if text else run.stdout
        return run.stdout if check else run

    def connect(self):
        s = socket.create_connection(("127.0.0.1", self.port), timeout=DEADLINE)
        s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return s

    def talk(self, data):
        """Sends raw bytes, says that no more will come, and returns all that the server says."""
        with self.connect() as s:
            s.sendall(data)
            return receive_all(s)

    def stat(self, name):
        with socket.socket(socket.AF_UNIX) as s:
            s.settimeout(DEADLINE)
            s.connect(self.socket)
            s.sendall(b"GET /stats HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            body = receive_all(s).split(b"\r\n\r\n", 1)[1].decode()
        return int(dict(line.split("=") for line in body.split())[name])

    def wait_for(self, name, value):
        until = time.monotonic() + DEADLINE
        while (now := self.stat(name)) != value:
            assert time.monotonic() < until, f"{name} is {now}, not {value}"
            time.sleep(0.01)  # between two looks at what cannot be waited for

    def stop(self):
        """It ends by itself, and with 0, which AddressSanitizer would change."""
        if self.process.poll() is None:
            with socket.socket(socket.AF_UNIX) as s:
                s.settimeout(DEADLINE)
                s.connect(self.socket)
                s.sendall(b"GET /quit HTTP/1.1\r\nHost: x\r\n\r\n")
                receive_all(s)
        try:
            status = self.process.wait(DEADLINE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise
        assert status == 0
        assert not os.path.exists(self.socket)


def receive_all(s):
    data = b""
    while True:
        try:
            piece = s.recv(65536)
        except ConnectionResetError:
            return data
        if not piece:
            return data
        data += piece


def receive_until(s, end):
    data = b""
    while end not in data:
        piece = s.recv(65536)
        assert piece, data
        data += piece
    return data
