"""Who reaches whom, by which way, and which address is seen: as a user of docker expects it. Names of parties and ports are those of the fixture `world`."""
import concurrent.futures
import ipaddress
import os

import pytest

from engines import Engine
from images import SKEP
from netlab import ANSWER_MS, SILENCE_MS, TCP, UDP, Answer, Lab

pytestmark = [pytest.mark.skipif(not os.path.exists(SKEP), reason=f"no {SKEP}"), pytest.mark.skipif(os.geteuid() != 0, reason="needs root")]

OPTION = "com.docker.network"
NETWORKS = {  # each with IPv4 and IPv6
    "one": [],
    "two": [],
    "sealed": ["--internal"],
    "mute": ["-o", f"{OPTION}.bridge.enable_icc=false"],
}
AT_ONCE = 12
OWN = 7000  # where the machine and the hosts outside serve


@pytest.fixture(scope="module")
def engine(tmp_path_factory):
    made = Engine(str(tmp_path_factory.mktemp("engine")))
    made.ok("image", "bootstrap", "busybox")
    yield made
    made.close()
    assert made.remains() == {"runtime": [], "monitors": []}


class World(Lab):
    """one1 and one2 are in network one, and so on; bridge1 and bridge2 in the default one, which has IPv4 only. pub is in one, and publishes:
    8080 on all addresses, 8081 on the loopback ones, 8083 on those of the wire to outside. All of them serve 80 and 81."""

    def __init__(self, engine, programs):
        super().__init__(engine, programs)
        self.parties = {"machine": self.machine, "outside": self.outside, "far": self.host("far")}
        for host in self.parties.values():
            host.serve(OWN)
        for i, (name, options) in enumerate(NETWORKS.items()):
            engine.ok("network", "create", "--ipv6", "--subnet", f"10.81.{i}.0/24", "--subnet", f"fd81:0:0:{i}::/64", *options, name)
            for n in "1", "2":
                self.add(name + n, "--network", name)
        for name in "bridge1", "bridge2":
            self.add(name, "--network", "bridge")
        self.add("pub", "--network", "one", *self.published(8080, ""), *self.published(8081, "127.0.0.1", "[::1]"),
                 *self.published(8083, self.machine.at[4], f"[{self.machine.at[6]}]"))
        self.add("mutepub", "--network", "mute", *self.published(8084, ""))
        self.add("bridgepub", "--network", "bridge", "-p", "8085:80", "-p", "8085:80/udp")

    @staticmethod
    def published(port, *hosts):
        return [word for host in hosts for protocol in (TCP, UDP) for word in ("-p", f"{host}{':' if host else ''}{port}:80/{protocol}")]

    def add(self, name, *options):
        self.parties[name] = self.container(name, *options, ports=(80, 81))

    def address(self, of, family):
        """Of a party; "gateway of one"; "loopback"; "machine from far": the machine's on that wire."""
        if of == "loopback":
            return {4: "127.0.0.1", 6: "::1"}[family]
        if of.startswith("gateway of "):
            index = list(NETWORKS).index(of.removeprefix("gateway of "))
            return {4: f"10.81.{index}.1", 6: str(ipaddress.ip_address(f"fd81:0:0:{index}::1"))}[family]
        if of == "machine from far":
            return self.parties["far"].gateways[family]
        return self.parties[of].at[family]


@pytest.fixture(scope="module")
def world(engine, programs):
    made = World(engine, programs)
    yield made
    engine.close()
    made.close()


NOBODY, ANY = None, "any"
BOTH, V4 = (4, 6), (4,)

# who asks; whose address; port; who answers (NOBODY: nobody); whose address that one sees ("" : that of the one who asks); families
ROWS = [
    # containers of one network
    ("one1", "one2", 80, "one2", "", BOTH),
    ("one1", "one1", 80, "one1", "", BOTH),
    ("one1", "loopback", 80, "one1", "loopback", BOTH),
    ("bridge1", "bridge2", 80, "bridge2", "", V4),
    ("sealed1", "sealed2", 80, "sealed2", "", BOTH),
    ("mute1", "mute2", 80, NOBODY, None, BOTH),
    # of two networks
    ("one1", "two1", 80, NOBODY, None, BOTH),
    ("one1", "bridge1", 80, NOBODY, None, V4),
    ("bridge1", "one1", 80, NOBODY, None, V4),
    ("one1", "sealed1", 80, NOBODY, None, BOTH),
    ("sealed1", "one1", 80, NOBODY, None, BOTH),
    ("one1", "mute1", 80, NOBODY, None, BOTH),
    ("one1", "pub", 80, "pub", "", BOTH),
    ("two1", "pub", 80, NOBODY, None, BOTH),
    # containers and the machine
    ("one1", "machine", OWN, "machine", "", BOTH),
    ("one1", "gateway of one", OWN, "machine", "", BOTH),
    ("bridge1", "machine", OWN, "machine", "", V4),
    ("mute1", "machine", OWN, "machine", "", BOTH),
    ("sealed1", "gateway of sealed", OWN, "machine", "", BOTH),
    ("sealed1", "machine", OWN, NOBODY, None, BOTH),
    ("one1", "loopback", OWN, NOBODY, None, BOTH),
    ("machine", "one1", 80, "one1", "gateway of one", BOTH),
    ("machine", "sealed1", 80, "sealed1", "gateway of sealed", BOTH),
    ("machine", "mute1", 80, "mute1", "gateway of mute", BOTH),
    # containers and the world
    ("one1", "outside", OWN, "outside", "machine", BOTH),
    ("bridge1", "outside", OWN, "outside", "machine", V4),
    ("mute1", "outside", OWN, "outside", "machine", BOTH),
    ("one1", "far", OWN, "far", "machine from far", BOTH),
    ("sealed1", "outside", OWN, NOBODY, None, BOTH),
    ("outside", "one1", 80, NOBODY, None, BOTH),
    ("outside", "bridge1", 80, NOBODY, None, V4),
    ("outside", "sealed1", 80, NOBODY, None, BOTH),
    ("outside", "pub", 80, NOBODY, None, BOTH),
    ("outside", "pub", 81, NOBODY, None, BOTH),
    ("outside", "far", OWN, NOBODY, None, BOTH),  # that the machine forwards for containers makes it no router for others: see test_a_router_stays_one
    # published on every address
    ("outside", "machine", 8080, "pub", "", BOTH),
    ("far", "machine", 8080, "pub", "", BOTH),
    ("far", "machine from far", 8080, "pub", "", BOTH),
    ("outside", "machine", 8085, "bridgepub", "", V4),
    ("outside", "machine", 8085, "bridgepub", ANY, (6,)),
    ("outside", "machine", 81, NOBODY, None, BOTH),
    ("machine", "machine", 8080, "pub", ANY, BOTH),
    ("machine", "loopback", 8080, "pub", ANY, BOTH),
    ("machine", "gateway of one", 8080, "pub", ANY, BOTH),
    ("machine", "loopback", 8085, "bridgepub", ANY, V4),
    ("pub", "machine", 8080, "pub", ANY, BOTH),
    ("pub", "gateway of one", 8080, "pub", ANY, BOTH),
    ("one1", "machine", 8080, "pub", ANY, BOTH),
    ("one1", "gateway of one", 8080, "pub", ANY, BOTH),
    ("two1", "machine", 8080, "pub", ANY, BOTH),
    ("two1", "gateway of two", 8080, "pub", ANY, BOTH),
    ("bridge1", "machine", 8080, "pub", ANY, V4),
    ("one1", "machine", 8085, "bridgepub", ANY, V4),
    ("sealed1", "machine", 8080, NOBODY, None, BOTH),
    ("outside", "machine", 8084, "mutepub", "", BOTH),
    ("mute1", "machine", 8084, "mutepub", ANY, BOTH),
    # on the loopback address alone
    ("machine", "loopback", 8081, "pub", ANY, BOTH),
    ("machine", "machine", 8081, NOBODY, None, BOTH),
    ("outside", "machine", 8081, NOBODY, None, BOTH),
    ("one1", "machine", 8081, NOBODY, None, BOTH),
    ("one1", "gateway of one", 8081, NOBODY, None, BOTH),
    # on one address
    ("outside", "machine", 8083, "pub", "", BOTH),
    ("machine", "machine", 8083, "pub", ANY, BOTH),
    ("machine", "loopback", 8083, NOBODY, None, BOTH),
    ("far", "machine from far", 8083, NOBODY, None, BOTH),
    ("one1", "machine", 8083, "pub", ANY, BOTH),
    ("two1", "machine", 8083, "pub", ANY, BOTH),
]

# What docker's users expect and cannot have yet: (who, whose, port, family)
PROXY = "docker answers here by a process that passes on what comes: nothing else can"
NOT_YET = {
    ("machine", "loopback", 8080, 6): PROXY,  # what comes from ::1 never leaves
    ("machine", "loopback", 8081, 6): PROXY,
    ("outside", "machine", 8085, 6): PROXY,  # the container has no IPv6
    ("mute1", "machine", 8084, 4): PROXY,
    ("mute1", "machine", 8084, 6): PROXY,
}


def cases():
    for *row, families in ROWS:
        for family in families:
            gap = NOT_YET.get((*row[:3], family))
            for protocol in TCP, UDP:
                yield pytest.param(*row, family, protocol, id=f"{row[0]}-{row[1]}-{row[2]}-v{family}-{protocol}".replace(" ", "_"),
                                   marks=[pytest.mark.xfail(reason=gap, strict=True)] if gap else [])


@pytest.fixture(scope="module")
def asked(world, request):
    """All that are to run ask at once: most of the time is silence."""
    def ask(who, whose, port, answers, _sees, family, protocol):
        ms = SILENCE_MS if answers is NOBODY or (who, whose, port, family) in NOT_YET else ANSWER_MS
        return world.parties[who].tries(protocol, world.address(whose, family), port, ms)

    calls = {item.callspec.id: item.callspec.params for item in request.session.items if getattr(item, "originalname", "") == "test_reach"}
    with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
        return dict(zip(calls, pool.map(lambda params: ask(*(params[name] for name in PARAMETERS)), calls.values())))


PARAMETERS = ("who", "whose", "port", "answers", "sees", "family", "protocol")


@pytest.mark.parametrize(PARAMETERS, cases())
def test_reach(world, asked, request, who, whose, port, answers, sees, family, protocol):
    status, text = asked[request.node.callspec.id]
    if answers is NOBODY:
        assert status, f"answered: {text}"
        return
    assert status == 0, text
    answer = Answer(*text.split()[:2])
    assert answer.name == answers
    if sees is not ANY:
        assert answer.sees == world.address(sees or who, family), f"asked by {protocol} to port {port} of {whose}"
