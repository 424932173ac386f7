"""The attendant of networks: names that containers ask, whoever is killed; rules that somebody takes away; what it costs."""
import contextlib
import os
import re
import shutil
import signal
import socket
import sqlite3
import struct
import subprocess
import threading
import time

import pytest

import netns
from engines import DEADLINE, Engine, eventually, is_dead, kill
from images import SKEP

pytestmark = [pytest.mark.skipif(not os.path.exists(SKEP), reason=f"no {SKEP}"), pytest.mark.skipif(os.geteuid() != 0, reason="needs root"),
              pytest.mark.skipif(not shutil.which("dig") or not shutil.which("nft"), reason="no dig, no nft")]
REGISTER, CHANGED, OK, ERROR = 1, 2, 64, 65
SERVER = "127.0.0.5"  # of the tests' host: it knows every name of example.com


@pytest.fixture(scope="module")
def engine(tmp_path_factory):
    made = Engine(str(tmp_path_factory.mktemp("engine")))
    made.ok("image", "bootstrap", "busybox")
    for name, subnet, *options in (("front", "10.71.0.0/24"), ("back", "10.72.0.0/24"), ("shut", "10.73.0.0/24", "--internal")):
        made.ok("network", "create", "--subnet", subnet, *options, name)
    yield made
    made.close()
    assert made.remains() == {"runtime": [], "monitors": []}


@pytest.fixture(autouse=True)
def nothing_left(engine):
    yield
    engine.close()
    attendant = Attendant.find(engine)
    if attendant:
        kill(attendant.pid)
        eventually(lambda: is_dead(attendant.pid))
    nft("flush", "ruleset")  # a table that stands keeps networks that nobody is on any more; made again it has none


def database(engine):
    return contextlib.closing(sqlite3.connect(f"{engine.root}/skep.db", timeout=DEADLINE))


class Attendant:
    """A connection to it, and what the kernel tells of who is at the other end."""

    def __init__(self, engine):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.sock.connect(os.path.join(engine.run_root, "attendant"))
        self.sock.settimeout(DEADLINE)
        self.pid = struct.unpack("3i", self.sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))[0]

    @classmethod
    def find(cls, engine):
        """None: there is none."""
        try:
            return cls(engine)
        except (FileNotFoundError, ConnectionRefusedError):
            return None

    def say(self, kind, data="", fds=()):
        socket.send_fds(self.sock, [struct.pack("Iii", kind, 0, 0) + data.encode()], fds)

    def heard(self):
        """(kind, text) of an answer; (None, "") at the end."""
        answer = self.sock.recv(4096)
        return (struct.unpack("I", answer[:4])[0], answer[12:].decode()) if answer else (None, "")

    def ask(self, *args):
        self.say(*args)
        return self.heard()

    @property
    def child(self):
        """The pid of the one that answers; None."""
        with open(f"/proc/{self.pid}/task/{self.pid}/children", encoding="utf-8") as f:
            found = f.read().split()
        return int(found[0]) if found else None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.sock.close()


def attendant_of(engine):
    return eventually(lambda: Attendant.find(engine))


def dig(engine, container, *args, status="NOERROR"):
    """The answers that dig gets inside the container's network, without their class and time to live."""
    command = ["nsenter", "-n", "-t", str(engine.state(container)["Pid"]), "dig", "+noall", "+comments", "+answer", "+timeout=5", "+tries=1", "@127.0.0.11", *args]
    out = subprocess.run(command, capture_output=True, text=True, timeout=DEADLINE, check=False).stdout
    found = re.search(r"status: (\w+)", out)
    assert found and found.group(1) == status, out
    return sorted(line.split()[-1] for line in out.splitlines() if line and not line.startswith(";"))


def knows(engine, container, name):
    with contextlib.suppress(AssertionError):
        return dig(engine, container, name)
    return None


def private_kib(pid):
    with open(f"/proc/{pid}/smaps_rollup", encoding="utf-8") as f:
        return {line.split()[0]: int(line.split()[1]) for line in f if line.endswith("kB\n")}["Private_Dirty:"]


@pytest.fixture
def pair(engine):
    """Two containers that find each other: their attendant is there."""
    engine.run("--name", "web", "--hostname", "webhost", "--network", "front", "--network-alias", "www", "busybox", "sleep", "600")
    engine.run("--name", "db", "--network", "front", "-p", "8080:80", "busybox", "sleep", "600")
    eventually(lambda: knows(engine, "web", "db"))
    eventually(lambda: knows(engine, "db", "web"))
    with attendant_of(engine) as attendant:
        yield attendant


# ---- names ----


def test_names(engine, pair):
    web = dig(engine, "web", "web")
    assert web == ["10.71.0.2"] and dig(engine, "web", "db") == ["10.71.0.3"]
    for name in ("WWW", "webhost", "web.front", engine.inspect("web")["Id"][:12]):
        assert dig(engine, "db", name) == web, name
    assert dig(engine, "db", "web", "+tcp") == web
    assert dig(engine, "db", "-x", "10.71.0.2") == ["web.front."]
    assert dig(engine, "db", "web", "AAAA") == []


def test_networks_are_apart(engine, pair):
    engine.run("--name", "far", "--network", "back", "busybox", "sleep", "600")
    engine.run("--name", "inner", "--network", "shut", "busybox", "sleep", "600")
    engine.run("--name", "plain", "--network", "bridge", "busybox", "sleep", "600")
    assert eventually(lambda: knows(engine, "far", "far")) == ["10.72.0.2"]
    assert eventually(lambda: knows(engine, "inner", "inner")) == ["10.73.0.2"]
    assert not knows(engine, "far", "web") and not knows(engine, "web", "far")
    dig(engine, "inner", "www.example.com", status="SERVFAIL")
    assert "127.0.0.11" not in engine.ok("exec", "plain", "cat", "/etc/resolv.conf")
    assert not knows(engine, "web", "plain")


def test_what_has_ended_has_no_name(engine, pair):
    engine.run("--name", "short", "--network", "front", "--network-alias", "www", "busybox", "sleep", "600")
    assert eventually(lambda: len(knows(engine, "db", "www") or []) == 2)
    engine.ok("stop", "-t", "0", "short")
    eventually(lambda: dig(engine, "db", "www") == ["10.71.0.2"])
    assert not knows(engine, "db", "short")


def test_a_change_is_told(engine, pair):
    """Who has changed a row says so, and names are up to date with the answer."""
    identity = engine.inspect("db")["Id"]
    with database(engine) as db, db:
        db.execute("UPDATE containers SET name = 'data' WHERE id = ?", (identity,))
    assert knows(engine, "web", "db")
    with Attendant(engine) as command:
        assert command.ask(CHANGED, identity) == (OK, "")
    assert dig(engine, "web", "data") == ["10.71.0.3"] and not knows(engine, "web", "db")
    with database(engine) as db, db:
        db.execute("UPDATE containers SET name = 'db' WHERE id = ?", (identity,))
    with Attendant(engine) as command:
        assert command.ask(CHANGED) == (OK, "")
        assert command.ask(CHANGED, "f" * 64) == (OK, "")
    assert dig(engine, "web", "db") == ["10.71.0.3"]


def test_links(engine, pair):
    """An alias that only one container has for another leads to where that is now."""
    engine.ok("create", "--name", "linked", "--network", "back", "busybox", "sleep", "600")
    engine.ok("network", "connect", "--link", "db:store", "front", "linked")
    engine.ok("start", "linked")
    assert eventually(lambda: knows(engine, "linked", "store")) == ["10.71.0.3"]
    assert not knows(engine, "web", "store")
    engine.ok("stop", "-t", "0", "db")
    eventually(lambda: not knows(engine, "linked", "store"))
    engine.run("--name", "other", "--network", "front", "busybox", "sleep", "600")  # has the address now
    engine.ok("start", "db")
    assert eventually(lambda: knows(engine, "linked", "store")) == ["10.71.0.5"]


@pytest.mark.parametrize("kind, data, text", [
    (REGISTER, "abc", "its id is 64 hexadecimal digits"), (REGISTER, "../" * 21 + "x", "its id is 64 hexadecimal digits"),
    (CHANGED, "abc", "a container's id is 64 hexadecimal digits"), (77, "", "knows no request 77"), (0, "x" * 1024, "knows no request 0")])
def test_requests_that_are_none(engine, pair, kind, data, text):
    with Attendant(engine) as client:
        answer = client.ask(kind, data)
        assert answer[0] == ERROR and text in answer[1]
    for message in (b"", b"\0", b"x" * 2000):  # no head; more than a message is
        with Attendant(engine) as client:
            if message:
                client.sock.send(message)
                assert client.sock.recv(100) == b""
    assert dig(engine, "web", "db")


# ---- who is killed ----


def test_the_child_is_killed(engine, pair):
    """What is asked meanwhile waits: nobody notices."""
    first = pair.child
    for _ in range(3):
        kill(pair.child)
        assert dig(engine, "web", "db") == ["10.71.0.3"]
        assert dig(engine, "db", "web") == ["10.71.0.2"]
    assert pair.child != first and is_dead(first)


def test_the_child_has_no_privileges(pair):
    with open(f"/proc/{pair.child}/status", encoding="utf-8") as f:
        status = {name: value.strip() for name, _, value in (line.partition(":") for line in f)}
    assert status["Uid"].split() == ["65534"] * 4 and status["Gid"].split() == ["65534"] * 4 and status["Groups"] == ""
    assert {status[name] for name in ("CapInh", "CapPrm", "CapEff", "CapAmb")} == {"0" * 16}
    assert status["NoNewPrivs"] == "1"
    if "asan" not in SKEP:  # see sys/confine.h
        assert status["Seccomp"] == "2"
    kinds = {re.sub(r"[:\[].*", "", os.readlink(f"/proc/{pair.child}/fd/{fd}")) for fd in os.listdir(f"/proc/{pair.child}/fd")}
    assert kinds <= {"socket", "anon_inode", "/dev/null"} and len(os.listdir(f"/proc/{pair.child}/fd")) < 12


def test_the_attendant_is_killed(engine, pair):
    child = pair.child
    kill(pair.pid)
    assert dig(engine, "web", "db") == ["10.71.0.3"] and dig(engine, "db", "web") == ["10.71.0.2"]
    eventually(lambda: is_dead(child))
    with attendant_of(engine) as other:
        assert other.pid != pair.pid


def test_many_lose_their_attendant(engine, pair):
    """All are back, and only one attendant is there."""
    names = [f"n{i}" for i in range(20)]
    for name in names:
        engine.run("--name", name, "--network", "front", "busybox", "sleep", "600")
    kill(pair.pid)
    for name in names:
        eventually(lambda n=name: knows(engine, "web", n))
    found = subprocess.run(["pgrep", "-f", f"{engine.run_root} network attend"], capture_output=True, text=True, check=False).stdout.split()
    with attendant_of(engine) as other:
        assert sorted(map(int, found)) == sorted([other.pid, other.child])


# ---- rules ----


def nft(*args, check=True):
    return subprocess.run(["nft", *args], capture_output=True, text=True, timeout=DEADLINE, check=check).stdout


def table():
    """Our table without the numbers that count: as text."""
    return re.sub(r"packets \d+ bytes \d+", "", nft("list", "table", "inet", "skep", check=False))


def handle():
    """Another one each time the table is made."""
    found = re.search(r"table inet skep \{ # handle (\d+)", nft("-a", "list", "table", "inet", "skep", check=False))
    return found and found.group(1)


@pytest.mark.parametrize("damage", ["flush ruleset", "delete table inet skep", "flush chain inet skep forward", "flush map inet skep ports4",
                                    "flush table inet skep"])
def test_rules_are_made_again(engine, pair, damage):
    engine.ok("network", "reload", "--all")  # without what other tests have left
    whole, first = table(), handle()
    assert "8080" in whole and pair.pid
    nft(*damage.split())
    since = time.monotonic()
    eventually(lambda: handle() not in (None, first))
    took = time.monotonic() - since
    assert table() == whole
    assert took < 0.2 or "asan" in SKEP, took


def test_a_reload_is_healed_once(engine, pair):
    """A firewall that comes up again: many transactions, the first of which takes all away."""
    engine.ok("network", "reload", "--all")
    whole = table()
    nft("flush", "ruleset")
    for i in range(10):
        nft("add", "table", "inet", f"firewall{i}")
    eventually(lambda: table() == whole)
    first = handle()
    nft("flush", "ruleset")
    eventually(lambda: table() == whole and handle() != first)


def test_the_hosts_firewall_comes_later(engine, pair):
    """What it forwards has to pass our containers, also when it comes or is loaded anew while they run (link/host_firewall.h)."""
    first = handle()
    nft("add table ip host { chain forwarding { type filter hook forward priority 0; policy drop; }; }")
    for _ in range(3):
        eventually(lambda: "skep: containers" in nft("list", "table", "ip", "host"))
        nft("flush", "chain", "ip", "host", "forwarding")
    assert handle() == first


def test_our_own_changes_are_left_alone(engine, pair):
    first = handle()
    for i in range(5):
        engine.run("--name", f"p{i}", "--network", "front", "-p", f"{9000 + i}:80", "busybox", "sleep", "600")
        engine.ok("rm", "-f", f"p{i}")
    nft("add", "table", "ip", "others")
    nft("delete", "table", "ip", "others")
    with Attendant(engine) as client:
        assert client.ask(CHANGED) == (OK, "")
    time.sleep(0.15)  # there is no event for what does not happen
    assert handle() == first


def test_what_went_while_nobody_looked(engine, pair):
    """Stopped, it cannot heal; killed then, the next one does."""
    engine.ok("network", "reload", "--all")
    whole = table()
    os.kill(pair.pid, signal.SIGSTOP)
    nft("flush", "ruleset")
    kill(pair.pid)
    eventually(lambda: table() == whole)


# ---- by hand ----


def start_by_hand(engine, *options, before=()):
    return subprocess.run([*before, *engine.base, "network", "attend", *options], timeout=DEADLINE, check=False, env=engine.env).returncode


def test_it_ends_when_nobody_is_there(engine):
    socket_file = os.path.join(engine.run_root, "attendant")
    assert start_by_hand(engine, "--idle", "200") == 0
    with Attendant(engine) as client:
        pid = client.pid
        assert start_by_hand(engine) == 0  # there is one already
        with Attendant(engine) as again:
            assert again.pid == pid
        time.sleep(0.4)
        assert not is_dead(pid)
    eventually(lambda: is_dead(pid))
    assert not os.path.exists(socket_file)


def test_it_comes_and_goes_with_containers(engine):
    """One that is about to leave and a container that comes: never without names."""
    assert start_by_hand(engine, "--idle", "1") == 0
    for i in range(15):
        engine.run("--name", f"c{i}", "--network", "front", "busybox", "sleep", "600")
        assert eventually(lambda n=f"c{i}": knows(engine, n, n))
        engine.ok("rm", "-f", f"c{i}")


class Served:
    """A network namespace with the two sockets that a container's names are asked at."""

    def __init__(self):
        self.netns = netns.new()
        with netns.at(self.netns):
            self.udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            self.tcp = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        self.udp.bind(("127.0.0.11", 0))
        self.tcp.bind(("127.0.0.11", 0))
        self.tcp.listen()

    def fds(self):
        return [self.udp.fileno(), self.tcp.fileno()]

    def answer(self, name):
        """Of an A record; None: there is none."""
        labels = b"".join(bytes([len(part)]) + part.encode() for part in name.split("."))
        with netns.at(self.netns), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            s.settimeout(DEADLINE)
            s.sendto(struct.pack(">6H", 7, 0x100, 1, 0, 0, 0) + labels + b"\0" + struct.pack(">2H", 1, 1), self.udp.getsockname())
            got = s.recv(512)
        return socket.inet_ntoa(got[-4:]) if struct.unpack(">H", got[6:8])[0] else None

    def close(self):
        self.udp.close()
        self.tcp.close()
        os.close(self.netns)


@pytest.fixture
def rows(engine):
    """200 containers as rows, with addresses in "back": their ids."""
    engine.ok("create", "--name", "row0", "--network", "back", "busybox", "true")
    ids = [os.urandom(32).hex() for _ in range(200)]
    with database(engine) as db, db:
        columns = [row[1] for row in db.execute("PRAGMA table_info(containers)")]
        rest = [name for name in columns if name not in ("id", "name")]
        network = db.execute("SELECT id FROM networks WHERE name = 'back'").fetchone()[0]
        for i, identity in enumerate(ids):
            db.execute(f"INSERT INTO containers(id, name, {', '.join(rest)}) SELECT ?, ?, {', '.join(rest)} FROM containers WHERE name = 'row0'",
                       (identity, f"row{i + 1}"))
            db.execute("INSERT INTO addresses(network, address, container) VALUES(?, ?, ?)", (network, bytes([10, 72, 0, i + 20]), identity))
    yield ids
    with database(engine) as db, db:
        db.execute("PRAGMA foreign_keys = ON")
        db.execute("DELETE FROM containers WHERE name LIKE 'row%' AND name <> 'row0'")


def test_two_hundred_at_once(engine, rows):
    assert start_by_hand(engine) == 0
    served = [Served() for _ in range(4)]
    began = time.monotonic()
    clients = [Attendant(engine) for _ in rows]
    for i, client in enumerate(clients):
        client.say(REGISTER, rows[i], served[i % 4].fds())
    assert {client.heard() for client in clients} == {(OK, "")}
    took = time.monotonic() - began
    print(f"{len(rows)} registrations: {took * 1000:.0f} ms")
    assert took < 2 or "asan" in SKEP, took
    for s in served:
        for i in (1, 77, 200):
            assert s.answer(f"row{i}") == f"10.72.0.{i + 19}"
    kill(clients[0].child)
    assert served[0].answer("row200.back") == "10.72.0.219"
    for client in clients[1:]:
        client.sock.close()
    eventually(lambda: served[0].answer("row200") is None)
    assert served[0].answer("row1") == "10.72.0.20"
    clients[0].sock.close()
    for s in served:
        s.close()


def test_registered_again(engine, rows):
    """On the same connection, and on another one: the last word counts."""
    assert start_by_hand(engine) == 0
    first, second = Served(), Served()
    with Attendant(engine) as a, Attendant(engine) as b:
        assert a.ask(REGISTER, rows[0]) == (OK, "")
        assert a.child is None  # without sockets there is nobody to answer
        assert a.ask(REGISTER, rows[0], first.fds()) == (OK, "")
        assert first.answer("row1") == "10.72.0.20"
        assert b.ask(REGISTER, rows[0], second.fds()) == (OK, "")
        assert second.answer("row1") == "10.72.0.20"
        a.sock.close()
        assert second.answer("row1") == "10.72.0.20"
        answer = b.ask(REGISTER, "f" * 64, first.fds())
        assert answer[0] == ERROR and "No such container" in answer[1]
        assert b.ask(REGISTER, rows[1], first.fds()) == (OK, "")
        assert first.answer("row2") == "10.72.0.21" and first.answer("row1") is None
    first.close()
    second.close()


def test_it_does_not_grow(engine, rows):
    """10,000 registrations, one after the other and some at once."""
    assert start_by_hand(engine) == 0
    served = Served()

    def register(times):
        for i in range(times):
            with Attendant(engine) as client:
                assert client.ask(REGISTER, rows[i % len(rows)], served.fds()) == (OK, "")

    with Attendant(engine) as stays:
        assert stays.ask(REGISTER, rows[0], served.fds()) == (OK, "")
        register(500)
        before = private_kib(stays.pid), private_kib(stays.child), len(os.listdir(f"/proc/{stays.pid}/fd"))
        threads = [threading.Thread(target=register, args=(2500,)) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        register(10)
        after = private_kib(stays.pid), private_kib(stays.child), len(os.listdir(f"/proc/{stays.pid}/fd"))
    served.close()
    if "asan" not in SKEP:
        assert after[0] <= before[0] + 64 and after[1] <= before[1] + 64, (before, after)
    assert after[2] <= before[2] + 4, (before, after)


# ---- servers ----


def serve_names(sock, address):
    """Answers every A question with that address, until the socket is closed."""
    with contextlib.suppress(OSError):
        while True:
            query, client = sock.recvfrom(512)
            end = query.index(b"\0", 12) + 5
            answer = query[:2] + struct.pack(">5H", 0x8180, 1, 1, 0, 0) + query[12:end] + struct.pack(">HHHIH", 0xc00c, 1, 1, 60, 4)
            sock.sendto(answer + socket.inet_aton(address), client)


@contextlib.contextmanager
def name_server(where, address):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.bind((where, 53))
        threading.Thread(target=serve_names, args=(s, address), daemon=True).start()
        yield


def test_the_hosts_servers_change(engine, tmp_path):
    """Its resolv.conf is looked at anew when it is another one; its loopback addresses are its own."""
    upper, work = tmp_path / "upper", tmp_path / "work"
    upper.mkdir()
    work.mkdir()
    (upper / "resolv.conf").write_text("nameserver 127.0.0.6\n")
    script = (f"mount -t tmpfs none {tmp_path} && mkdir {upper} {work} && mount -t overlay none -o lowerdir=/etc,upperdir={upper},workdir={work} /etc &&"
              f" rm -f /etc/resolv.conf && echo nameserver 127.0.0.6 >/etc/resolv.conf && exec \"$@\"")
    assert start_by_hand(engine, before=["unshare", "-m", "sh", "-c", script, "sh"]) == 0
    with name_server(SERVER, "192.0.2.5"), name_server("127.0.0.6", "192.0.2.6"):
        engine.run("--name", "web", "--network", "front", "busybox", "sleep", "600")
        assert eventually(lambda: knows(engine, "web", "www.example.com")) == ["192.0.2.6"]
        with Attendant(engine) as attendant:
            command = f"echo nameserver {SERVER} >/etc/resolv.new && mv /etc/resolv.new /etc/resolv.conf"
            subprocess.run(["nsenter", "-m", "-t", str(attendant.pid), "sh", "-c", command], check=True, timeout=DEADLINE)
        eventually(lambda: dig(engine, "web", "www.example.com") == ["192.0.2.5"])
        engine.run("--name", "own", "--network", "front", "--dns", "127.0.0.6", "--dns", "127.0.0.5", "busybox", "sleep", "600")
        eventually(lambda: knows(engine, "own", "web"))
        dig(engine, "own", "www.example.com", status="SERVFAIL")  # these would be the container's own


# ---- what it costs ----


def test_memory(engine, pair):
    """Both processes, when nothing happens any more."""
    if "asan" in SKEP:
        pytest.skip("a sanitizer has memory of its own")

    def pss():
        total = 0
        for pid in (pair.pid, pair.child):
            with open(f"/proc/{pid}/smaps_rollup", encoding="utf-8") as f:
                total += int(re.search(r"^Pss: +(\d+)", f.read(), re.M).group(1))
        return total

    eventually(lambda: pss() < 3072, 5)
    with open(f"/proc/{engine.monitor_of('web')}/smaps_rollup", encoding="utf-8") as f:
        assert int(re.search(r"^Pss_Anon: +(\d+)", f.read(), re.M).group(1)) < 200
