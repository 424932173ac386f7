"""A small world for tests of networks: the machine, which is the network namespace that the test itself is in (netns.py), and hosts outside, each at the end of a
wire to it and with it as the way to everything else. Containers, hosts and the machine ask each other by the same program (programs/peer.c): who answers says its
name, and the address that it sees.
"""
import concurrent.futures
import contextlib
import os
import subprocess
import typing

import netns
from engines import DEADLINE, eventually

ANSWER_MS = 5000  # for what must come
SILENCE_MS = 400  # for what must not: the same servers answer others in a millisecond
UDP, TCP = "udp", "tcp"


class Answer(typing.NamedTuple):
    name: str
    sees: str  # the address of the one who asked


class Party:
    """Who asks and who serves. words: how a command is run there."""

    def __init__(self, lab, name, peer):
        self.lab, self.name, self.peer = lab, name, peer

    def words(self, *command):
        raise NotImplementedError

    def ok(self, *command):
        done = subprocess.run(self.words(*command), stdin=subprocess.DEVNULL, capture_output=True, timeout=DEADLINE, check=False)
        assert done.returncode == 0, (self.name, command, done.stdout, done.stderr)
        return done.stdout.decode()

    def tries(self, protocol, address, port, milliseconds, size=0):
        """(status, text): 0 and the answer, 3 silence, 4 refused, 1 and the error."""
        done = subprocess.run(self.words(self.peer, "ask", protocol, address, str(port), str(milliseconds), str(size)), stdin=subprocess.DEVNULL,
                              capture_output=True, timeout=DEADLINE, check=False)
        return done.returncode, (done.stdout + done.stderr).decode().strip()

    def asks(self, protocol, address, port, size=0):
        """The answer, which must come."""
        status, text = self.tries(protocol, address, port, ANSWER_MS, size)
        assert status == 0, f"{self.name} asks {address} {port}/{protocol}: {text}"
        return Answer(*text.split()[:2])

    def asks_in_vain(self, protocol, address, port, size=0):
        """How it is refused."""
        status, text = self.tries(protocol, address, port, SILENCE_MS, size)
        assert status, f"{self.name} asks {address} {port}/{protocol}, and is answered: {text}"
        return text

    def devices(self, kind=None, but=None):
        """Names of network devices: of one kind (veth, bridge), without those that begin so."""
        listed = self.ok("ip", "-o", "link", "show", *(("type", kind) if kind else ()))
        names = [line.split(": ")[1].partition("@")[0] for line in listed.splitlines()]
        return [name for name in names if not (but and name.startswith(but))]

    def pings(self, address):
        return subprocess.run(self.words("busybox", "ping", "-c", "1", "-W", "2", address), stdin=subprocess.DEVNULL, capture_output=True, timeout=DEADLINE,
                              check=False).returncode == 0


class Host(Party):
    """One with a namespace of its own, or the machine."""

    def __init__(self, lab, name, peer, fd):
        super().__init__(lab, name, peer)
        self.fd, self.servers = fd, []
        self.at = {}  # by family, 4 and 6: its address on the wire

    def words(self, *command):
        return ["nsenter", f"--net=/proc/{os.getpid()}/fd/{self.fd}", *command]

    def serve(self, *ports):
        """A server on all its addresses until the end."""
        server = subprocess.Popen(self.words(self.peer, "serve", self.name, *map(str, ports)), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
        self.servers.append(server)
        assert server.stdout.readline() == b"ready\n"

    def ip(self, text):
        """Commands of ip, one a line."""
        done = subprocess.run(self.words("ip", "-batch", "-"), input=text.encode(), capture_output=True, timeout=DEADLINE, check=False)
        assert done.returncode == 0, (self.name, text, done.stderr)

    @contextlib.contextmanager
    def inside(self):
        """The test itself is there: a socket that is made now stays there."""
        with netns.at(self.fd):
            yield

    def close(self):
        for server in self.servers:
            server.kill()
            server.wait()
            server.stdout.close()
        os.close(self.fd)


class Container(Party):
    def __init__(self, lab, name):
        super().__init__(lab, name, "/peer")
        self.at = {4: None, 6: None}  # of its first device but lo
        self.look()

    def look(self):
        for line in self.ok("ip", "-o", "addr", "show", "scope", "global").splitlines():
            _, _, family, address = line.split()[:4]
            key = 4 if family == "inet" else 6
            self.at[key] = self.at[key] or address.partition("/")[0]

    def words(self, *command):
        return [*self.lab.engine.base, "exec", self.name, *command]


def all_in_vain(questions):
    """Several at once, for most of it is waiting: (party, protocol, address, port)."""
    with concurrent.futures.ThreadPoolExecutor(len(questions)) as pool:
        return list(pool.map(lambda question: question[0].asks_in_vain(*question[1:]), questions))


class Lab:
    """Of one engine. outside is the first host: more can be had of host()."""

    def __init__(self, engine, programs):
        self.engine = engine
        self.peer = next(path for path in programs if os.path.basename(path) == "peer")
        self.machine = Host(self, "machine", self.peer, netns.current())
        self.hosts = []
        self.outside = self.host("outside")

    def host(self, name):
        """On a wire of its own: 198.18.N.0/24 and 2001:db8:N::/64, where the machine is 1 and the host 2."""
        n = len(self.hosts) + 1
        made = Host(self, name, self.peer, netns.new())
        self.hosts.append(made)
        made.at, at = {4: f"198.18.{n}.2", 6: f"2001:db8:{n}::2"}, {4: f"198.18.{n}.1", 6: f"2001:db8:{n}::1"}
        self.machine.at = self.machine.at or at  # on the wire to the first
        self.machine.ip(f"link add wire{n} type veth peer name eth0 netns /proc/{os.getpid()}/fd/{made.fd}\n"
                        f"addr add {at[4]}/24 dev wire{n}\naddr add {at[6]}/64 dev wire{n} nodad\nlink set wire{n} up\n")
        made.ip(f"addr add {made.at[4]}/24 dev eth0\naddr add {made.at[6]}/64 dev eth0 nodad\nlink set eth0 up\n"
                f"route add default via {at[4]}\nroute add default via {at[6]}\n")
        made.gateways = at
        return made

    def container(self, name, *options, ports=(80,)):
        """One that serves these ports, once it does."""
        self.engine.run("--name", name, "-v", f"{self.peer}:/peer:ro", *options, "busybox", "/peer", "serve", name, *map(str, ports))
        self.await_ready(name)
        return Container(self, name)

    def await_ready(self, name, times=1):
        """Until it has said so as often: with each of its starts."""
        eventually(lambda: self.engine.call("logs", name).stdout.count(b"ready\n") >= times)

    def close(self):
        for host in [self.machine, *self.hosts]:
            host.close()
