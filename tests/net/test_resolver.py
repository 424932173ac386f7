"""The resolver of containers, asked by dig, host and the C library. What the names are: resolver.c."""
import os
import re
import shutil
import subprocess

import pytest

from http_server import SERVER

RESOLVER = os.path.join(os.path.dirname(SERVER), "resolver-test-server")
pytestmark = pytest.mark.skipif(os.geteuid() != 0 or not shutil.which("dig"), reason="needs root and dig")


def inside(*command, options=(), check=True):
    """A command's output, with our resolver and nothing else around it."""
    done = subprocess.run([RESOLVER, *options, *command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=30)
    assert done.returncode == 0 or not check, done.stdout
    return done.stdout


class Dig:
    def __init__(self, *args, options=()):
        self.text = inside("dig", "+tries=1", *args, options=options)
        self.status = re.search(r"status: (\w+)", self.text).group(1)
        self.flags = re.search(r"flags: ([a-z ]*);", self.text).group(1).split()
        self.answers = int(re.search(r"ANSWER: (\d+)", self.text).group(1))
        self.edns = "EDNS: version: 0" in self.text
        self.tcp = "(TCP)" in self.text or "retrying in TCP" in self.text
        assert "Warning" not in self.text and "malformed" not in self.text, self.text


def test_a_name():
    d = Dig("WeB")
    assert (d.status, d.answers, d.edns, d.flags) == ("NOERROR", 1, True, ["qr", "rd", "ra"])
    assert re.search(r"^WeB\.\s+600\s+IN\s+A\s+10\.7\.0\.2$", d.text, re.M)
    assert inside("dig", "+short", "web.mynet", "AAAA") == "fd07::2\n"
    assert inside("dig", "+short", "+noedns", "+tcp", "www") == "10.7.0.2\n"


@pytest.mark.parametrize("args, status, answers", [
    (("db", "AAAA"), "NOERROR", 0),
    (("web", "MX"), "NOERROR", 0),
    (("-x", "10.7.0.99"), "NXDOMAIN", 0),
    (("-x", "10.9.0.99"), "SERVFAIL", 0),
    (("nobody",), "SERVFAIL", 0),
    (("example.com", "AXFR", "+tcp", "+noall", "+comments"), "REFUSED", 0),
    (("example.com",), "NOERROR", 1),
    (("example.com", "AAAA"), "NOERROR", 0),
    (("example.com", "+tcp"), "NOERROR", 1),
    (("web", "+edns=1", "+noednsnegotiation"), "BADVERS", 0),
    (("web", "+opcode=update"), "NOTIMP", 0),
    (("web", "+cookie", "+nsid", "+subnet=10.0.0.0/8", "+dnssec"), "NOERROR", 1),
    (("web", "+header-only"), "FORMERR", 0),
])
def test_codes(args, status, answers):
    if "AXFR" in args:
        assert "Transfer failed" in inside("dig", "+tries=1", *args)
        return
    d = Dig(*args)
    assert (d.status, d.answers) == (status, answers), d.text


@pytest.mark.parametrize("name", ["many", "large.example.com"])
def test_truncated_answers_come_over_tcp(name):
    """Our own are cut, and those of the server are passed on."""
    d = Dig("+noedns", name)
    assert d.tcp and d.answers == 60 and d.status == "NOERROR"
    d = Dig("+noedns", "+ignore", name)
    assert not d.tcp and "tc" in d.flags and 0 < d.answers < 60
    d = Dig("+bufsize=4096", name)
    assert not d.tcp and d.answers == 60


def test_one_connection_for_many_questions():
    text = inside("dig", "+short", "+tcp", "+keepopen", "web", "example.com", "db", "example.com", "r1", "many")
    assert text.split()[:5] == ["10.7.0.2", "192.0.2.1", "10.7.0.3", "192.0.2.1", "10.7.0.11"] and len(text.split()) == 65


def test_turns():
    names = inside("sh", "-c", "for i in 1 2 3; do dig +short all | head -1; done").split()
    assert sorted(names) == ["10.7.0.11", "10.7.0.12", "10.7.0.13"]


def test_reverse():
    assert "domain name pointer web.mynet." in inside("host", "10.7.0.2")
    assert "domain name pointer web.mynet." in inside("host", "fd07::2")
    assert inside("getent", "hosts", "10.7.0.3").split() == ["10.7.0.3", "db.mynet"]


def test_host():
    text = inside("host", "web")
    assert "web has address 10.7.0.2" in text and "web has IPv6 address fd07::2" in text
    assert inside("host", "db") == "db has address 10.7.0.3\n"


PYTHON = """
import socket, sys
try:
    print(*sorted({a[4][0] for a in socket.getaddrinfo(sys.argv[1], 80)}))
except socket.gaierror as e:
    print(e.errno == socket.EAI_AGAIN and "again" or e)
"""


@pytest.mark.parametrize("options", ["ndots:0", "ndots:0 edns0", "ndots:0 use-vc", "ndots:0 single-request", "ndots:0 edns0 trust-ad"])
def test_the_c_library(options):
    def ask(name):
        return inside("python3", "-c", PYTHON, name, options=("-o", options)).split()

    assert ask("web") == ["10.7.0.2", "fd07::2"]
    assert ask("BASE") == ["10.7.0.3"]
    assert ask("example.com") == ["192.0.2.1"]
    assert len(ask("many")) == 60 and len(ask("large.example.com")) == 60
    assert ask("nobody.example") == ["again"]


def test_nothing_leaves_an_internal_network():
    assert Dig("example.com", options=("-i",)).status == "SERVFAIL"
    assert Dig("web", options=("-i",)).answers == 1
