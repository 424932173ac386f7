"""Containers on a machine that has a firewall already: nothing of its rules is changed, it decides about published ports, and what it does to rules of others does not
cut containers off."""
import os

import pytest

import netns
from engines import Engine, eventually
from firewalls import FIREWALLS
from images import SKEP
from netlab import TCP, UDP, Lab, all_in_vain

pytestmark = [pytest.mark.skipif(not os.path.exists(SKEP), reason=f"no {SKEP}"), pytest.mark.skipif(os.geteuid() != 0, reason="needs root")]

OWN = 7000
SECOND = 1  # within which rules that somebody took away are back
PAIRS = [(family, protocol) for family in (4, 6) for protocol in (TCP, UDP)]


class Walled(Lab):
    """box publishes 8080 everywhere and 8081 for the machine alone; friend is in its network."""

    def __init__(self, programs, kind, where):
        super().__init__(Engine(str(where / "engine")), programs)
        self.kind = kind
        self.engine.ok("image", "bootstrap", "busybox")
        self.engine.ok("network", "create", "--ipv6", "both")
        for host in self.machine, self.outside:
            host.serve(OWN)
        self.firewall = FIREWALLS[kind](self, where)

    def populate(self):
        ports = [word for protocol in (TCP, UDP) for word in ("-p", f"8080:80/{protocol}", "-p", f"127.0.0.1:8081:80/{protocol}")]
        self.box = self.container("box", "--network", "both", *ports)
        self.friend = self.container("friend", "--network", "both")

    def close(self):
        self.engine.close()
        assert self.engine.remains() == {"runtime": [], "monitors": []}
        self.firewall.close()
        super().close()


def machine(programs, kind, where):
    """A new one, with an engine of its own."""
    with netns.another():
        made = Walled(programs, kind, where)
        yield made
        made.close()


@pytest.fixture(scope="module", params=FIREWALLS)
def walled(programs, request, tmp_path_factory):
    for lab in machine(programs, request.param, tmp_path_factory.mktemp(request.param)):
        lab.firewall.up()
        lab.before = lab.firewall.rules()
        lab.populate()
        yield lab


@pytest.fixture(params=FIREWALLS)
def open_machine(programs, request, tmp_path):
    """Its firewall is not up yet."""
    for lab in machine(programs, request.param, tmp_path):
        lab.populate()
        yield lab


LEGACY = "rules of the legacy iptables are in no table that nftables show: its FORWARD chain with the policy DROP cuts containers off"


def not_with(lab, kind, reason):
    if lab.kind == kind:
        pytest.xfail(reason)


def is_connected(lab):
    """A network within itself and to the outside."""
    for family, protocol in PAIRS:
        assert lab.friend.asks(protocol, lab.box.at[family], 80) == ("box", lab.friend.at[family])
        assert lab.friend.asks(protocol, lab.outside.at[family], OWN) == ("outside", lab.machine.at[family])


def test_rules_of_others_stay_as_they_are(walled):
    """But for one of ours, which says so."""
    assert walled.before and walled.firewall.rules() == walled.before
    for words in ("run", "-d", "--name", "third", "-p", "8090:80", "--network", "both", "busybox", "sleep", "1000"), ("restart", "-t", "0", "third"), ("rm", "-f", "third"):
        walled.engine.ok(*words)
        assert walled.firewall.rules() == walled.before, words


def test_within_a_network_and_out(walled):
    """Where br_netfilter is there, what stays in a bridge comes by the forward chains, too."""
    not_with(walled, "iptables-legacy", LEGACY)
    is_connected(walled)


def test_the_machine_itself(walled):
    """What the firewall lets nobody do is not for containers either; what is published is there for the machine."""
    all_in_vain([(party, protocol, walled.machine.at[family], OWN) for party in (walled.outside, walled.friend) for family, protocol in PAIRS])
    for family, protocol in PAIRS:
        assert walled.machine.asks(protocol, walled.machine.at[family], 8080).name == "box"
    for protocol in TCP, UDP:
        for port in 8080, 8081:
            assert walled.machine.asks(protocol, "127.0.0.1", port).name == "box"


def test_the_firewall_decides_about_published_ports(walled):
    if walled.kind == "firewalld":
        pytest.skip("firewalld itself accepts what is led to another address, up to 2.3: see test_firewalld_accepts_what_is_published")
    all_in_vain([(walled.outside, protocol, walled.machine.at[family], 8080) for family, protocol in PAIRS])
    walled.firewall.opens(walled.box, 80)
    for family, protocol in PAIRS:
        assert walled.outside.asks(protocol, walled.machine.at[family], 8080) == ("box", walled.outside.at[family])
    # what is open for those that are led there is closed for who goes there himself
    all_in_vain([(walled.outside, protocol, address, port) for family, protocol in PAIRS
                 for address, port in ((walled.machine.at[family], 8081), (walled.box.at[family], 80))])


def test_firewalld_accepts_what_is_published(walled):
    if walled.kind != "firewalld":
        pytest.skip("another firewall")
    if "ct status dnat accept" not in "".join(walled.before):
        pytest.skip("a newer one, with StrictForwardPorts")
    for family, protocol in PAIRS:
        assert walled.outside.asks(protocol, walled.machine.at[family], 8080) == ("box", walled.outside.at[family])


def is_back(lab):
    """Within a second."""
    askers = [(lab.machine, "127.0.0.1"), (lab.friend, lab.machine.at[4])]
    for party, address in askers[:1 if lab.kind == "iptables-legacy" else 2]:  # see LEGACY
        for protocol in TCP, UDP:
            eventually(lambda q=(party, protocol, address): q[0].tries(q[1], q[2], 8080, 100)[0] == 0, SECOND)
    all_in_vain([(lab.outside, protocol, lab.box.at[family], 80) for family, protocol in PAIRS])


@pytest.mark.parametrize("times", ["once", "again"])
def test_a_reload_of_the_firewall(walled, times):
    """It may take our rules with it."""
    walled.firewall.reload()
    is_back(walled)
    not_with(walled, "iptables-legacy", LEGACY)
    is_connected(walled)


def test_a_flush_of_all_rules(walled):
    """`nft flush ruleset`, as scripts of administrators begin."""
    walled.firewall.ok("nft", "flush", "ruleset")
    is_back(walled)
    not_with(walled, "iptables-legacy", LEGACY)
    for family, protocol in PAIRS:
        assert walled.outside.asks(protocol, walled.machine.at[family], 8080) == ("box", walled.outside.at[family])


def test_a_firewall_that_comes_later(open_machine):
    lab = open_machine
    for family, protocol in PAIRS:
        assert lab.outside.asks(protocol, lab.machine.at[family], 8080) == ("box", lab.outside.at[family])
    is_connected(lab)
    lab.firewall.up()
    rules = lab.firewall.rules()
    for protocol in TCP, UDP:
        assert lab.machine.asks(protocol, "127.0.0.1", 8080).name == "box"
    if lab.kind != "firewalld":
        all_in_vain([(lab.outside, protocol, lab.machine.at[family], 8080) for family, protocol in PAIRS])
    assert lab.firewall.rules() == rules
    not_with(lab, "iptables-legacy", LEGACY)
    is_connected(lab)
