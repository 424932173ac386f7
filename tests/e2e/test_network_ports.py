"""Published ports and what becomes of them: ranges, chosen ones, conflicts, restarts, kills; and of the network what is left when a container has ended."""
import concurrent.futures
import json
import os
import socket
import subprocess

import pytest

import netns
from engines import Engine, eventually, kill
from images import SKEP
from netlab import TCP, UDP, Lab

pytestmark = [pytest.mark.skipif(not os.path.exists(SKEP), reason=f"no {SKEP}"), pytest.mark.skipif(os.geteuid() != 0, reason="needs root")]

OWN = 7000
BRIDGE = ("--network", "bridge")


@pytest.fixture(scope="module")
def engine(tmp_path_factory):
    made = Engine(str(tmp_path_factory.mktemp("engine")))
    made.ok("image", "bootstrap", "busybox")
    yield made
    made.close()
    assert made.remains() == {"runtime": [], "monitors": []}


@pytest.fixture(scope="module")
def module_lab(engine, programs):
    made = Lab(engine, programs)
    made.outside.serve(OWN)
    yield made
    engine.close()
    made.close()


@pytest.fixture
def lab(engine, module_lab):
    """Nothing of a test stays for the next one: no container, no device of one, no port."""
    yield module_lab
    engine.close()
    eventually(lambda: not module_lab.machine.devices("veth", but="wire"))


@pytest.fixture
def fresh(programs, tmp_path):
    """A machine on which nothing has been started yet."""
    with netns.another():
        made = Lab(Engine(str(tmp_path / "engine")), programs)
        made.engine.ok("image", "bootstrap", "busybox")
        yield made
        made.engine.close()
        made.close()


def published(engine, name):
    """{(port, protocol): {"address:port"…}} as `skep port` tells."""
    found = {}
    for line in engine.ok("port", name).splitlines():
        inside, _, outside = line.partition(" -> ")
        port, _, protocol = inside.partition("/")
        found.setdefault((int(port), protocol), set()).add(outside)
    return found


def number_of(outsides):
    """The one port number that all of them have."""
    numbers = {int(text.rpartition(":")[2]) for text in outsides}
    assert len(numbers) == 1, outsides
    return numbers.pop()


def can_bind(protocol, port, host="0.0.0.0"):
    """As servers do it: what is left of connections is no hindrance."""
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM if protocol == TCP else socket.SOCK_DGRAM) as s:
        try:
            if protocol == TCP:
                s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            s.bind((host, port))
            if protocol == TCP:
                s.listen()
        except OSError:
            return False
        return True


# ---- which ports ----

def test_a_range_to_a_range(lab):
    lab.container("box", *BRIDGE, "-p", "9000-9002:80-82", "-p", "9000-9002:80-82/udp", ports=(80, 81))
    for protocol in TCP, UDP:
        for port in 9000, 9001:
            assert lab.outside.asks(protocol, lab.machine.at[4], port) == ("box", lab.outside.at[4])
        assert lab.outside.asks_in_vain(protocol, lab.machine.at[4], 9002) == "refused"  # by the container: nobody serves 82


def test_one_of_a_range(lab):
    """The first that is free: neither a container's nor a program's."""
    with socket.socket() as s:
        s.bind(("0.0.0.0", 9101))
        s.listen()
        for name, port in ("first", 9100), ("second", 9102), ("third", 9103):
            lab.container(name, *BRIDGE, "-p", "9100-9103:80")
            assert lab.outside.asks(TCP, lab.machine.at[4], port).name == name
        err = lab.engine.fails(125, "run", *BRIDGE, "-p", "9100-9103:80", "busybox", "true")
        assert "9100" in err or "9103" in err, err


def test_any_port(lab):
    """Where none is named, one that is free, and the same one for both families."""
    lab.engine.ok("network", "create", "--ipv6", "both")
    for name in "one", "two":
        lab.container(name, "--network", "both", "-p", "80", "-p", "127.0.0.1::81", "-p", "80/udp", ports=(80, 81))
    numbers = set()
    for name in "one", "two":
        ports = published(lab.engine, name)
        assert set(ports) == {(80, TCP), (80, UDP), (81, TCP)}
        number = number_of(ports[80, TCP])
        assert ports[80, TCP] == {f"0.0.0.0:{number}", f"[::]:{number}"} and 32768 <= number <= 60999
        for family in 4, 6:
            assert lab.outside.asks(TCP, lab.machine.at[family], number).name == name
            assert lab.outside.asks(UDP, lab.machine.at[family], number_of(ports[80, UDP])).name == name
        local = number_of(ports[81, TCP])
        assert lab.machine.asks(TCP, "127.0.0.1", local).name == name
        numbers |= {number, local}
    assert len(numbers) == 4


def test_all_exposed_ports(lab):
    lab.container("box", *BRIDGE, "-P", "--expose", "80", "--expose", "81/udp", "-p", "9200:82", "--expose", "82", ports=(80, 81, 82))
    ports = published(lab.engine, "box")
    assert set(ports) == {(80, TCP), (81, UDP), (82, TCP)} and number_of(ports[82, TCP]) == 9200
    assert lab.outside.asks(TCP, lab.machine.at[4], number_of(ports[80, TCP])).name == "box"
    assert lab.outside.asks(UDP, lab.machine.at[4], number_of(ports[81, UDP])).name == "box"


def test_many_ports(lab):
    lab.container("box", *BRIDGE, "-p", "20000-20999:20000-20999", ports=(20000, 20999))
    for port in 20000, 20999:
        assert lab.outside.asks(TCP, lab.machine.at[4], port).name == "box"


def test_sctp_where_the_kernel_has_none(lab):
    try:
        socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_SCTP).close()
    except OSError:
        err = lab.engine.fails(125, "run", "--name", "box", *BRIDGE, "-p", "9250:80/sctp", "busybox", "true")
        assert "9250/sctp" in err and "rotocol not supported" in err
        return
    pytest.skip("this kernel has SCTP, and programs/peer.c does not speak it")


# ---- conflicts ----

def test_a_conflict_names_the_owner(lab):
    lab.container("web", *BRIDGE, "-p", "9300:80")
    for option in "9300:80", "127.0.0.1:9300:81":
        err = lab.engine.fails(125, "run", "--name", "late", *BRIDGE, "-p", option, "busybox", "true")
        assert "port is already allocated" in err and '"web"' in err and f"Bind for {'127.0.0.1' if '127' in option else '0.0.0.0'}:9300 failed" in err
        assert lab.engine.status("late") == "created"
        lab.engine.ok("rm", "late")
    assert lab.outside.asks(TCP, lab.machine.at[4], 9300).name == "web"
    lab.container("udp", *BRIDGE, "-p", "9300:80/udp")  # another protocol is no conflict
    assert lab.outside.asks(UDP, lab.machine.at[4], 9300).name == "udp"


def test_a_conflict_with_a_program(lab):
    with socket.socket() as s:
        s.bind(("0.0.0.0", 9301))
        s.listen()
        err = lab.engine.fails(125, "run", "--name", "late", *BRIDGE, "-p", "9301:80", "busybox", "true")
        assert "0.0.0.0:9301/tcp" in err and "ddress already in use" in err
    lab.engine.ok("rm", "late")
    lab.container("late", *BRIDGE, "-p", "9301:80")
    assert not can_bind(TCP, 9301), "nobody else can have it while the container runs"


def test_one_port_of_two_addresses(lab):
    lab.container("local", *BRIDGE, "-p", "127.0.0.1:9302:80")
    lab.container("wire", *BRIDGE, "-p", f"{lab.machine.at[4]}:9302:80")
    assert lab.machine.asks(TCP, "127.0.0.1", 9302).name == "local"
    assert lab.outside.asks(TCP, lab.machine.at[4], 9302).name == "wire"


def test_a_created_container_has_no_port_yet(lab):
    engine = lab.engine
    engine.ok("create", "--name", "later", *BRIDGE, "-v", f"{lab.peer}:/peer:ro", "-p", "9303:80", "busybox", "/peer", "serve", "later", "80")
    lab.container("now", *BRIDGE, "-p", "9303:80")
    assert '"now"' in engine.fails(1, "start", "later")
    engine.ok("rm", "-f", "now")
    engine.ok("start", "later")
    lab.await_ready("later")
    assert lab.outside.asks(TCP, lab.machine.at[4], 9303).name == "later"


def test_a_race_has_one_winner(lab):
    names = [f"racer{i}" for i in range(6)]
    with concurrent.futures.ThreadPoolExecutor(len(names)) as pool:
        done = list(pool.map(lambda name: lab.engine.call("run", "-d", "--name", name, *BRIDGE, "-p", "9304:80", "busybox", "sleep", "1000"), names))
    assert sorted(one.returncode for one in done) == [0] + [125] * 5, [one.stderr for one in done]


# ---- ends and beginnings ----

def test_a_restart_keeps_fixed_ports(lab):
    lab.container("box", *BRIDGE, "-p", "9400:80", "-p", "9400:80/udp")
    before = published(lab.engine, "box")
    for times in 2, 3:
        lab.engine.ok("restart", "-t", "0", "box")
        lab.await_ready("box", times)
        assert published(lab.engine, "box") == before
        for protocol in TCP, UDP:
            assert lab.outside.asks(protocol, lab.machine.at[4], 9400) == ("box", lab.outside.at[4])


def test_a_restart_by_policy_keeps_fixed_ports(lab):
    box = lab.container("box", *BRIDGE, "--restart", "always", "-p", "9401:80")
    for times in 2, 3:
        os.kill(lab.engine.state("box")["Pid"], 9)
        lab.await_ready("box", times)
        assert lab.outside.asks(TCP, lab.machine.at[4], 9401).name == "box"
        box.look()
        assert lab.machine.asks(TCP, box.at[4], 80).name == "box"


@pytest.mark.parametrize("end", [("stop", "-t", "0"), ("kill",), ("rm", "-f")], ids=lambda words: words[0])
def test_an_ended_container_has_no_ports(lab, end):
    lab.container("box", *BRIDGE, "-p", "9402:80", "-p", "9402:80/udp")
    lab.engine.ok(*end, "box")
    for protocol in TCP, UDP:
        eventually(lambda p=protocol: can_bind(p, 9402))
    assert lab.outside.asks_in_vain(TCP, lab.machine.at[4], 9402) == "refused"
    assert lab.outside.asks_in_vain(UDP, lab.machine.at[4], 9402) == "refused"
    # a program gets what is sent there, not the container that was
    with subprocess.Popen([lab.peer, "serve", "program", "9402"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE) as program:
        try:
            assert program.stdout.readline() == b"ready\n"
            for protocol in TCP, UDP:
                assert lab.outside.asks(protocol, lab.machine.at[4], 9402).name == "program"
        finally:
            program.kill()


def test_the_next_one_gets_what_is_sent_there(lab):
    """Another container publishes what an ended one did, and has another address."""
    lab.container("old", *BRIDGE, "-p", "9403:80", "-p", "9403:80/udp")
    lab.container("between", *BRIDGE)
    lab.engine.ok("rm", "-f", "old")
    lab.engine.run("--name", "squatter", *BRIDGE, "busybox", "sleep", "1000")  # has the old one's address now
    lab.container("new", *BRIDGE, "-p", "9403:80", "-p", "9403:80/udp")
    for protocol in TCP, UDP:
        assert lab.outside.asks(protocol, lab.machine.at[4], 9403).name == "new"


@pytest.mark.parametrize("who", ["another", "itself"])
def test_the_port_of_a_killed_monitor_can_be_had_again(lab, who):
    engine = lab.engine
    lab.container("lost", *BRIDGE, "-p", "9404:80", "-p", "9404:80/udp")
    kill(engine.monitor_of("lost"))
    if who == "another":
        lab.container("heir", *BRIDGE, "-p", "9404:80", "-p", "9404:80/udp")
    else:
        engine.ok("start", "lost")
        lab.await_ready("lost", 2)
    for protocol in TCP, UDP:
        assert lab.outside.asks(protocol, lab.machine.at[4], 9404).name == ("heir" if who == "another" else "lost")


@pytest.mark.xfail(strict=True, reason="what the kernel remembers of flows is not taken away when a port is published")
def test_datagrams_follow_the_container(lab):
    """Who goes on sending from one port is answered by whoever publishes it at the time: what the kernel remembers of the sender's flow does not outlive a container, nor
    the time when there was none."""
    with lab.outside.inside():
        s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.settimeout(0.05)

    def heard():
        s.sendto(b"?", (lab.machine.at[4], 9405))
        try:
            return s.recv(1000).split()[0].decode()
        except (TimeoutError, OSError):
            return None

    with s:
        for _ in range(3):
            assert heard() is None
        for name in "old", "new":
            lab.container(name, *BRIDGE, "-p", "9405:80/udp")
            eventually(lambda n=name: heard() == n, 5)
            if name == "old":
                lab.engine.run("--name", "squatter", *BRIDGE, "busybox", "sleep", "1000")
                lab.engine.ok("rm", "-f", "old")


def test_a_container_that_is_off_its_network_publishes_nothing(lab):
    """Or who gets its address next would be reached by a port that he does not publish."""
    engine = lab.engine
    engine.ok("network", "create", "left")
    box = lab.container("box", "--network", "left", "-p", "9406:80")
    engine.ok("network", "disconnect", "left", "box")
    heir = lab.container("heir", "--network", "left")
    assert heir.at == box.at
    lab.outside.asks_in_vain(TCP, lab.machine.at[4], 9406)
    assert engine.ok("port", "box") == "" and can_bind(TCP, 9406)


@pytest.mark.parametrize("change", ["connect", "disconnect"])
def test_a_change_while_a_container_starts(lab, change):
    """Is in what has started, whoever was first."""
    engine = lab.engine
    engine.ok("network", "create", f"{change}-first")
    engine.ok("network", "create", f"{change}-second")
    for _ in range(5):
        engine.ok("create", "--name", "box", "--network", f"{change}-first", "busybox", "sleep", "1000")
        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            done = [pool.submit(engine.ok, *words) for words in (("start", "box"), ("network", change, f"{change}-{'second' if change == 'connect' else 'first'}", "box"))]
        assert all(one.result() is not None for one in done)
        devices = engine.ok("exec", "box", "ls", "/sys/class/net").split()
        assert len(devices) - 1 == len(engine.inspect("box")["NetworkSettings"]["Networks"]) == (2 if change == "connect" else 0)
        engine.ok("rm", "-f", "box")


# ---- ways to and from a container ----

def test_what_is_bound_to_the_loopback_address_is_not_for_the_wire(lab):
    """A neighbour that sends packets to 127.0.0.1 over the wire reaches nothing; the counter tells that they came."""
    lab.container("box", *BRIDGE, "-p", "127.0.0.1:9500:80", "-p", "127.0.0.1:9500:80/udp")
    assert lab.machine.asks(TCP, "127.0.0.1", 9500).name == "box"
    lab.machine.ok("nft", """table ip lab {
        counter seen { }
        chain first {
            type filter hook prerouting priority -400
            iifname wire1 ip daddr 127.0.0.1 counter name seen
        }
    }""")
    lab.outside.ip(f"addr del 127.0.0.1/8 dev lo\nroute add 127.0.0.1/32 via {lab.outside.gateways[4]} src {lab.outside.at[4]}\n")
    lab.outside.ok("sysctl", "-qw", "net.ipv4.conf.all.route_localnet=1")
    try:
        for protocol in TCP, UDP:
            lab.outside.asks_in_vain(protocol, "127.0.0.1", 9500)
        counted = json.loads(lab.machine.ok("nft", "-j", "list", "counter", "ip", "lab", "seen"))["nftables"][1]["counter"]["packets"]
        assert counted >= 2
    finally:
        lab.outside.ip("route del 127.0.0.1/32\naddr add 127.0.0.1/8 dev lo\n")
        lab.outside.ok("sysctl", "-qw", "net.ipv4.conf.all.route_localnet=0")
        lab.machine.ok("nft", "delete", "table", "ip", "lab")


def test_only_bridges_lead_to_loopback_addresses(fresh):
    fresh.container("box", *BRIDGE, "-p", "127.0.0.1:9501:80")
    values = fresh.machine.ok("sysctl", "-a", "-r", "route_localnet").split("\n")
    assert [line.split(".")[3] for line in values if line.endswith("= 1")] == fresh.machine.devices("bridge")


def test_a_router_stays_one(fresh):
    """A machine that forwarded before goes on with that."""
    far = fresh.host("far")
    far.serve(OWN)
    for name in "ipv4.ip_forward", "ipv6.conf.all.forwarding":
        fresh.machine.ok("sysctl", "-qw", f"net.{name}=1")
    fresh.engine.ok("network", "create", "--ipv6", "wide")
    fresh.container("box", "--network", "wide", "-p", "9502:80")
    for family in 4, 6:
        assert fresh.outside.asks(TCP, far.at[family], OWN) == ("far", fresh.outside.at[family])


def test_echo_requests(lab):
    box = lab.container("box", *BRIDGE, "--cap-add", "NET_RAW")  # busybox knows no other way
    assert box.pings(lab.outside.at[4]) and box.pings(lab.machine.at[4]) and lab.machine.pings(box.at[4])
    assert not lab.outside.pings(box.at[4])


def test_no_network(lab):
    box = lab.container("box", "--network", "none")
    assert box.devices() == ["lo"] and box.at == {4: None, 6: None}
    assert box.asks(TCP, "127.0.0.1", 80).name == "box"
    for address in lab.outside.at[4], lab.machine.at[4]:
        assert "nreachable" in box.asks_in_vain(TCP, address, OWN)


def test_the_machine_s_network(lab):
    box = lab.container("box", "--network", "host", ports=(9503,))
    assert lab.outside.asks(TCP, lab.machine.at[4], 9503) == ("box", lab.outside.at[4])
    assert lab.machine.asks(TCP, "127.0.0.1", 9503).name == "box"
    assert box.asks(UDP, lab.outside.at[4], OWN) == ("outside", lab.machine.at[4])


def test_another_container_s_network(lab):
    first = lab.container("first", *BRIDGE, "-p", "9504:81")
    second = lab.container("second", "--network", "container:first", ports=(81,))
    assert second.at == first.at
    assert second.asks(TCP, "127.0.0.1", 80).name == "first"
    assert lab.outside.asks(TCP, lab.machine.at[4], 9504).name == "second"


def test_an_internal_network_publishes_nothing(lab):
    lab.engine.ok("network", "create", "--internal", "sealed")
    lab.container("box", "--network", "sealed", "-p", "9505:80", "-p", "9505:80/udp")
    for protocol in TCP, UDP:
        lab.outside.asks_in_vain(protocol, lab.machine.at[4], 9505)


def test_mtu(lab):
    lab.engine.ok("network", "create", "-o", "com.docker.network.driver.mtu=1400", "small")
    box, other = (lab.container(name, "--network", "small", "-p", f"{port}:80/udp") for name, port in (("box", 9506), ("other", 9507)))
    assert " mtu 1400 " in box.ok("ip", "-o", "link", "show", "dev", "eth0")
    assert box.asks(UDP, other.at[4], 80, size=1400 - 28).name == "other"
    assert "too long" in box.asks_in_vain(UDP, other.at[4], 80, size=1400 - 27)
    assert lab.outside.asks(UDP, lab.machine.at[4], 9506, size=1400 - 28).name == "box"


def test_nothing_is_left_of_a_container(lab):
    before = set(lab.machine.devices())
    lab.container("box", *BRIDGE, "-p", "9508:80")
    assert len(lab.machine.devices("veth", but="wire")) == 1
    for words in ("stop", "-t", "0"), ("start",), ("rm", "-f"):
        lab.engine.ok(*words, "box")
        eventually(lambda w=words: len(lab.machine.devices("veth", but="wire")) == (w[0] == "start"))
    assert set(lab.machine.devices()) == before | {"skep0"}
