"""A registry that is away for a moment: pushes and pulls of skopeo, podman, docker and skep go on afterwards, and nothing is lost."""
import re
import select
import socket
import socketserver
import threading

import pytest

import programs
from test_layout import digest

LATER = 100_000 # bytes of a layer that pass before the connection is cut


class Passage(socketserver.BaseRequestHandler):
    """One connection to the registry: bytes, as they come, until it is the one to go wrong."""

    def handle(self):
        relay, left = self.server, 0
        with socket.create_connection(relay.behind) as there:
            other = {self.request: there, there: self.request}
            while True:
                for end in select.select(list(other), [], [], programs.LONG)[0]:
                    data = end.recv(65536)
                    if not data:
                        return
                    if end is self.request and relay.pattern.match(data): # a request begins a piece: none is sent before the last one was answered
                        if relay.answer and relay.is_first():
                            self.request.sendall(relay.answer)
                            return
                        left = LATER
                    left -= len(data)
                    if not relay.answer and -len(data) < left <= 0 and relay.is_first():
                        return
                    other[end].sendall(data)


class Relay(socketserver.ThreadingTCPServer):
    """Stands before a registry. The first request that begins with `pattern` gets that answer; without one, the first that has many bytes is cut."""
    daemon_threads = True
    tls = False

    def __init__(self, registry, pattern, answer=None):
        super().__init__(("127.0.0.1", 0), Passage)
        name, _, port = registry.host.rpartition(":")
        self.behind, self.host, self.ask = (name, int(port)), f"127.0.0.1:{self.server_address[1]}", registry.ask
        self.pattern, self.answer, self.lock, self.fell = re.compile(pattern), answer, threading.Lock(), False

    def is_first(self):
        with self.lock:
            first, self.fell = not self.fell, True
            return first

    def handle_error(self, request, client_address):
        """Who is cut off resets its connection."""


@pytest.fixture
def before(registry):
    """Makes relays."""
    made = []

    def make(*arguments):
        made.append(Relay(registry, *arguments))
        threading.Thread(target=made[-1].serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        return made[-1]

    yield make
    for relay in made:
        relay.shutdown()
        relay.server_close()


AWAY = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
PUSHES = {"503": (rb"POST /v2/\S+/blobs/uploads/", AWAY), "cut": (rb"(PATCH|PUT) /v2/\S+/blobs/uploads/",)}
PULLS = {"503": (rb"GET /v2/\S+/blobs/", AWAY), "cut": (rb"GET /v2/\S+/blobs/",)}


def insist(client, attempt):
    """Of skopeo and podman some versions try again at a 503, and none when a push is cut: then their user does."""
    try:
        return attempt()
    except AssertionError:
        if client.name in ("docker", "skep"):
            raise
        return attempt()


@pytest.mark.parametrize("registry", ["http"], indirect=True)
@pytest.mark.parametrize("push, pull", [("503", "cut"), pytest.param("cut", "503", marks=pytest.mark.large)]) # docker waits for 5 s each time
def test_one_bad_moment(library, registry, client, before, push, pull):
    target, ident = f"{client.name}/moment-{push}:1", library.id(library.reference("busybox"))
    relay = before(*PUSHES[push])
    pushed = insist(client, lambda: client.push("busybox", relay, target))
    assert relay.fell and (client.name != "docker" or "retrying" in client.said.lower()) # what test_passwords_count looks for
    told, manifest = registry.ask(target)[1:]
    assert pushed == told == digest(manifest)
    relay = before(*PULLS[pull])
    assert insist(client, lambda: client.pull(relay, target)) == ident
    assert relay.fell
