"""The registry as a program, started for each test on a port of its own, and a client that says exactly what is sent."""
import base64
import hashlib
import http.client
import json
import os
import pathlib
import re
import signal
import socket
import subprocess
import time

import pytest

TOP = pathlib.Path(__file__).resolve().parents[2]
# ./dev names the program under test so, whichever it is
SERVER = os.environ.get("RUNTIME") or str(TOP / "build/tests/registry/registry_server")

WORKER = pathlib.Path(SERVER).parents[2] / "skep-transfer"

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar"


def digest(data, algorithm="sha256"):
    return f"{algorithm}:{hashlib.new(algorithm, data).hexdigest()}"


def basic(user, password):
    return {"Authorization": "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()}


class Answer:
    def __init__(self, response, body):
        self.status, self.headers, self.body = response.status, response.headers, body

    def __getitem__(self, name):
        return self.headers[name]

    def json(self):
        return json.loads(self.body)

    def code(self):
        return self.json()["errors"][0]["code"]


class Client:
    def __init__(self, port, headers=None):
        self.port, self.headers, self.connection = port, headers or {}, None

    def __call__(self, method, path, body=None, **headers):
        fields = {**self.headers, **{name.replace("_", "-"): value for name, value in headers.items()}}
        for again in (True, False):
            if not self.connection:
                self.connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
            try:
                self.connection.request(method, path, body, fields, encode_chunked="Transfer-Encoding" in fields)
                response = self.connection.getresponse()
                answer = Answer(response, response.read())
                if response.will_close:
                    self.close()
                return answer
            except (http.client.RemoteDisconnected, BrokenPipeError, ConnectionResetError):
                self.close()  # an idle connection that the server has closed
                if not again:
                    raise

    def close(self):
        if self.connection:
            self.connection.close()
        self.connection = None

    def push(self, name, data, algorithm="sha256"):
        it = digest(data, algorithm)
        a = self("POST", f"/v2/{name}/blobs/uploads/?digest={it}", data)
        assert a.status == 201, a.body
        return it

    def session(self, name, **headers):
        a = self("POST", f"/v2/{name}/blobs/uploads/", **headers)
        assert a.status == 202, a.body
        return a["Location"]

    def manifest(self, name, reference, document, media_type=MANIFEST, **headers):
        body = document if isinstance(document, bytes) else json.dumps(document).encode()
        return self("PUT", f"/v2/{name}/manifests/{reference}", body, Content_Type=media_type, **headers), body

    def image(self, name, tag, layers=(b"layer",), **more):
        """Pushes an image; returns its digest."""
        config = self.push(name, b'{"os":"linux"}')
        document = {
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": {"mediaType": CONFIG, "digest": config, "size": 14},
            "layers": [{"mediaType": LAYER, "digest": self.push(name, x), "size": len(x)} for x in layers],
            **more,
        }
        a, body = self.manifest(name, tag or digest(json.dumps(document).encode()), document)
        assert a.status == 201, a.body
        return digest(body)


class Registry:
    """A server with its directory. Options are those of the configuration file."""

    def __init__(self, directory, **options):
        self.root, self.process, self.port = directory / "root", None, 0
        self.config = directory / "config.json"
        self.log = directory / "log"
        self.configure(**options)

    def configure(self, **options):
        self.config.write_text(json.dumps({"root": str(self.root), "listen": ["127.0.0.1:0"], **options}))

    def start(self, **more):
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen([SERVER, "--config", self.config, "--worker", WORKER], stdout=subprocess.PIPE, stderr=log, **more)
        line = self.process.stdout.readline().decode()
        if not line.startswith("port "):
            self.process.wait(timeout=60)
            self.process = None
            raise AssertionError(self.log.read_text())
        self.port = int(line.split()[1])
        return self

    def client(self, user=None, password=None):
        return Client(self.port, basic(user, password) if user else None)

    def stop(self, number=signal.SIGTERM):
        if self.process:
            self.process.send_signal(number)
            status = self.process.wait(timeout=60)
            self.process.stdout.close()
            self.process = None
            if number == signal.SIGTERM:
                assert status == 0, self.log.read_text()
                assert "ERROR" not in self.log.read_text(), self.log.read_text()  # of a sanitizer

    def command(self, name):
        done = subprocess.run([SERVER, "--config", self.config, name], capture_output=True, text=True, check=False, timeout=120)
        assert done.returncode == 0, done.stderr
        *problems, last = done.stdout.splitlines()
        words = last.split()
        return problems, dict(zip(words[::2], map(int, words[1::2])))

    def sound(self):
        problems, counts = self.command("check")
        assert problems == [] and counts["problems"] == 0, problems
        return counts

    def blobs(self):
        return sorted(x.name for x in (self.root / "blobs" / "sha256").iterdir())

    def metric(self, name):
        text = self.client()("GET", "/metrics").body.decode()
        return float(re.search(rf"^{re.escape(name)} (\S+)$", text, re.M).group(1))

    def requests(self, route):
        """How many requests to an endpoint ended well."""
        text = self.client()("GET", "/metrics").body.decode()
        found = re.search(rf'^skep_registry_requests_total{{route="{route}",code="2xx"}} (\S+)$', text, re.M)
        return float(found.group(1)) if found else 0

    def collect(self):
        """A collection in the running server, to its end."""
        before = self.metric("skep_registry_gc_runs_total")
        self.process.send_signal(signal.SIGUSR1)
        wait_for(lambda: self.metric("skep_registry_gc_runs_total") > before)


def wait_for(condition, seconds=60):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.01)


@pytest.fixture
def make(tmp_path):
    made = []

    def make_one(**options):
        made.append(Registry(tmp_path, **options))
        return made[-1]

    yield make_one
    for registry in made:
        if registry.process and registry.process.poll() is None:
            registry.stop()


@pytest.fixture
def registry(make):
    return make().start()


@pytest.fixture
def client(registry):
    return registry.client()


def raw(port, data, seconds=10):
    """What comes back for bytes on the wire, until the server closes or says nothing more."""
    with socket.create_connection(("127.0.0.1", port), timeout=seconds) as s:
        s.sendall(data)
        got = b""
        while True:
            try:
                piece = s.recv(65536)
            except (TimeoutError, ConnectionResetError):
                return got
            if not piece:
                return got
            got += piece
