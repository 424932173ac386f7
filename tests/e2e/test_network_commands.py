"""network create, ls, inspect, rm, connect, disconnect, prune, reload, exists: what docker's users see, and what of it stands in the kernel."""
import ipaddress
import json
import os
import re
import subprocess

import pytest

from engines import Engine, eventually, kill
from images import SKEP

pytestmark = [pytest.mark.skipif(not os.path.exists(SKEP), reason=f"no {SKEP}"), pytest.mark.skipif(os.geteuid() != 0, reason="needs root")]

BUILTIN = ["bridge", "host", "none"]


@pytest.fixture(scope="module")
def engine(tmp_path_factory):
    made = Engine(str(tmp_path_factory.mktemp("engine")))
    made.ok("image", "bootstrap", "busybox")
    yield made
    made.close()
    assert made.remains() == {"runtime": [], "monitors": []}


@pytest.fixture(autouse=True)
def nothing_left(engine):
    """Of a network that was removed nothing is left in the kernel."""
    yield
    engine.close()
    for name in engine.ok("network", "ls", "-q", "-f", "type=custom").split():
        engine.ok("network", "rm", name)  # one that is in use elsewhere has told so before
    assert names(engine) == BUILTIN
    assert [device for device in devices() if device.startswith("br-")] == []
    assert subnets_of_rules() <= {"127.0.0.0/8", "172.17.0.0/16"}


def names(engine, *options):
    return engine.ok("network", "ls", "--format", "{{.Name}}", *options).split("\n")[:-1]


def create(engine, *args):
    identity = engine.ok("network", "create", *args).strip()
    assert re.fullmatch("[0-9a-f]{64}", identity)
    return identity


def inspect(engine, name):
    return json.loads(engine.ok("network", "inspect", name))[0]


def devices():
    return sorted(os.listdir("/proc/sys/net/ipv4/conf"))


def ruleset():
    return subprocess.run(["nft", "-j", "list", "ruleset"], capture_output=True, check=True).stdout.decode()


def subnets_of_rules():
    """The subnets that our table names."""
    done = subprocess.run(["nft", "-j", "list", "table", "inet", "skep"], capture_output=True, check=False)
    return {f"{p['addr']}/{p['len']}" for p in prefixes(json.loads(done.stdout))} if done.returncode == 0 else set()


def prefixes(tree):
    if isinstance(tree, dict):
        for key, value in tree.items():
            if key == "prefix":
                yield value
            else:
                yield from prefixes(value)
    elif isinstance(tree, list):
        for value in tree:
            yield from prefixes(value)


def addresses(engine, name):
    """{device: address} of a container that runs."""
    lines = engine.ok("exec", name, "ip", "-o", "addr", "show", "scope", "global").splitlines()
    return {line.split()[1]: line.split()[3] for line in lines}


# ---- create, ls, inspect ----

def test_a_network_in_the_shape_of_dockers(engine):
    identity = create(engine, "--subnet", "10.77.0.0/16", "--ip-range", "10.77.5.0/24", "--gateway", "10.77.5.9", "--aux-address", "router=10.77.0.3",
                      "--label", "a=b", "--label", "c", "-o", "com.docker.network.driver.mtu=1400", "--opt", "foo=bar", "--ipam-opt", "x=y",
                      "--internal", "--attachable", "shape")
    found = inspect(engine, "shape")
    created = found.pop("Created")
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", created)
    assert found == {
        "Name": "shape", "Id": identity, "Scope": "local", "Driver": "bridge", "EnableIPv4": True, "EnableIPv6": False,
        "IPAM": {"Driver": "default", "Options": {"x": "y"},
                 "Config": [{"Subnet": "10.77.0.0/16", "IPRange": "10.77.5.0/24", "Gateway": "10.77.5.9", "AuxiliaryAddresses": {"router": "10.77.0.3"}}]},
        "Internal": True, "Attachable": True, "Ingress": False, "ConfigFrom": {"Network": ""}, "ConfigOnly": False, "Containers": {},
        "Options": {"com.docker.network.driver.mtu": "1400", "foo": "bar"}, "Labels": {"a": "b", "c": ""}}
    assert inspect(engine, identity)["Name"] == inspect(engine, identity[:8])["Name"] == "shape"


def test_subnets_that_nobody_chose(engine):
    for name in "one", "two":
        create(engine, "--ipv6", name)
    subnets = [ipaddress.ip_network(pool["Subnet"]) for name in ("one", "two", "bridge") for pool in inspect(engine, name)["IPAM"]["Config"]]
    assert [s.version for s in subnets] == [4, 6, 4, 6, 4]
    assert not any(a.overlaps(b) for a in subnets for b in subnets if a is not b and a.version == b.version)
    for pool in inspect(engine, "one")["IPAM"]["Config"]:
        assert ipaddress.ip_address(pool["Gateway"]) == ipaddress.ip_network(pool["Subnet"])[1]


def test_a_route_of_the_host_is_no_subnet(engine):
    """A subnet that the host reaches elsewhere is chosen for nothing."""
    subprocess.run(["ip", "route", "add", "blackhole", "172.18.7.0/24"], check=True)
    try:
        create(engine, "chosen")
        assert not ipaddress.ip_network(inspect(engine, "chosen")["IPAM"]["Config"][0]["Subnet"]).overlaps(ipaddress.ip_network("172.18.7.0/24"))
    finally:
        subprocess.run(["ip", "route", "del", "blackhole", "172.18.7.0/24"], check=True)


def test_nothing_is_made_before_it_is_needed(engine):
    before = devices(), ruleset()
    create(engine, "later")
    assert (devices(), ruleset()) == before
    engine.run("--network", "later", "busybox", "sleep", "1000")
    assert f"br-{inspect(engine, 'later')['Id'][:12]}" in devices()
    assert inspect(engine, "later")["IPAM"]["Config"][0]["Subnet"] in subnets_of_rules()


def test_lists_are_in_natural_order(engine):
    for name in "net10", "net9", "Net", "net 1":
        create(engine, name)
    assert names(engine) == ["Net", *BUILTIN[:2], "net9", "net10", "net 1", "none"]


def test_filters(engine):
    create(engine, "--label", "a", "--label", "b=c", "plain")
    create(engine, "--config-only", "config")
    create(engine, "used")
    engine.run("--name", "user", "--network", "used", "busybox", "sleep", "1000")
    assert names(engine, "-f", "dangling=true") == ["config", "plain"]
    assert names(engine, "-f", "dangling=false") == [*BUILTIN, "used"]
    assert names(engine, "-f", "driver=host", "-f", "driver=null") == ["config", "host", "none"]
    assert names(engine, "-f", "label=a", "-f", "label=b=c") == ["plain"]
    assert names(engine, "-f", "label=a", "-f", "label=b=x") == []
    assert names(engine, "-f", "type=builtin") == BUILTIN
    assert names(engine, "-f", "name=^pl") == ["plain"]
    assert names(engine, "-f", f"id={inspect(engine, 'used')['Id'][:5]}", "-f", "scope=local") == ["used"]
    assert "invalid filter 'nosuch'" in engine.fails(1, "network", "ls", "-f", "name=nothing", "-f", "nosuch=1")


def test_the_containers_of_a_network(engine):
    identity = create(engine, "--subnet", "10.78.0.0/24", "--ipv6", "--subnet", "fd00:78::/64", "many")
    one = engine.run("--name", "one", "--network", "many", "busybox", "sleep", "1000")
    two = engine.run("--name", "two", "--network", "name=many,mac-address=02:11:22:33:44:55,ip=10.78.0.99", "busybox", "sleep", "1000")
    gone = engine.run("--name", "gone", "--network", "many", "busybox", "sleep", "1000")
    engine.ok("stop", "-t", "0", "gone")
    found = inspect(engine, "many")["Containers"]
    assert set(found) == {one, two} and gone not in found
    assert found[two] == {"Name": "two", "EndpointID": found[two]["EndpointID"], "MacAddress": "02:11:22:33:44:55", "IPv4Address": "10.78.0.99/24",
                          "IPv6Address": found[two]["IPv6Address"]}
    for container, name in (one, "one"), (two, "two"):
        settings = engine.inspect(name)["NetworkSettings"]["Networks"]["many"]
        assert found[container]["EndpointID"] == settings["EndpointID"] and settings["NetworkID"] == identity
        assert found[container]["MacAddress"] == settings["MacAddress"]
        assert found[container]["IPv4Address"] == f"{settings['IPAddress']}/24"
        assert found[container]["IPv6Address"] == f"{settings['GlobalIPv6Address']}/64"
        assert found[container]["MacAddress"] in engine.ok("exec", name, "ip", "link", "show", "eth0")
        assert found[container]["IPv4Address"] in engine.ok("exec", name, "ip", "addr", "show", "eth0")


def test_who_has_the_networks_without_addresses(engine):
    host = engine.run("--name", "on-host", "--network", "host", "busybox", "sleep", "1000")
    engine.ok("create", "--network", "host", "busybox", "true")
    engine.run("--name", "alone", "--network", "none", "busybox", "sleep", "1000")
    assert {key: value["Name"] for key, value in inspect(engine, "host")["Containers"].items()} == {host: "on-host"}
    assert [c["MacAddress"] + c["IPv4Address"] for c in inspect(engine, "none")["Containers"].values()] == [""]


def test_a_killed_monitor_is_in_no_network(engine):
    create(engine, "left")
    engine.run("--name", "lost", "--network", "left", "busybox", "sleep", "1000")
    kill(engine.monitor_of("lost"))
    assert eventually(lambda: inspect(engine, "left")["Containers"] == {})
    assert engine.ok("network", "rm", "left") == "left\n"


def test_inspect_finds_networks_too(engine):
    create(engine, "shared")
    engine.ok("volume", "create", "shared")
    assert engine.ok("inspect", "-f", "{{.Driver}}", "shared") == "bridge\n"  # networks come before volumes
    assert engine.ok("inspect", "--type", "network", "-f", "{{.ID}}", "shared").strip() == inspect(engine, "shared")["Id"]
    assert engine.ok("inspect", "--type", "volume", "-f", "{{.Driver}}", "shared") == "local\n"
    assert "network nosuch not found" in engine.fails(1, "inspect", "--type", "network", "nosuch")
    engine.ok("volume", "rm", "shared")


def test_templates_see_gos_struct(engine):
    create(engine, "--subnet", "10.79.0.0/24", "--aux-address", "b=10.79.0.3", "--aux-address", "a=10.79.0.4", "typed")
    text = engine.ok("network", "inspect", "-f", "{{.ID}} {{.Created}} {{.ConfigFrom}} {{.IPAM.Config}} {{.Peers}} {{.Services}}", "typed")
    found = inspect(engine, "typed")
    assert text == f"{found['Id']} {found['Created'][:10]} {found['Created'][11:-1]} +0000 UTC {{}} [{{10.79.0.0/24   map[a:10.79.0.4 b:10.79.0.3]}}] [] map[]\n"


@pytest.mark.parametrize("args, message", [
    (["--subnet", "10.1.0.0/24", "--gateway", "10.2.0.1"], "no matching subnet for gateway 10.2.0.1"),
    (["--subnet", "10.1.0.0/24", "--subnet", "10.1.0.0/25"], "multiple overlapping subnet configuration is not supported"),
    (["--subnet", "172.17.0.0/24"], "Pool overlaps with other one on this address space"),
    (["--subnet", "fd00::/64"], "IPv6 is not enabled: add --ipv6"),
    (["-o", "com.docker.network.bridge.name=skep0"], "networks have same bridge name"),
    (["-o", "com.docker.network.bridge.name=../x"], "a device's name has at most 15 bytes"),
    (["--scope", "nosuch"], 'invalid scope "nosuch"'),
    (["--ingress"], "Ingress network can only be global scope network"),
    (["--ipam-driver", "dhcp"], 'plugin "dhcp" not found')])
def test_what_cannot_be_made(engine, args, message):
    assert message in engine.fails(1, "network", "create", *args, "refused")


@pytest.mark.parametrize("name", ["a/b", "a:b", "a\nb", "\x1b[31m", "x" * 256])
def test_names_that_are_none(engine, name):
    assert "invalid network name" in engine.fails(1, "network", "create", name)


# ---- rm, prune ----

def test_rm_goes_on_behind_a_failure(engine):
    for name in "one", "two", "three":
        create(engine, name)
    engine.run("--name", "user", "--network", "two", "busybox", "sleep", "1000")
    done = engine.call("network", "rm", "one", "nosuch", "two", "host", "three")
    assert done.returncode == 1 and done.stdout == b"one\nthree\n"
    told = done.stderr.decode().splitlines()
    assert told[0] == "network nosuch not found" and told[2] == "host is a pre-defined network and cannot be removed"
    endpoint = engine.inspect("user")["NetworkSettings"]["Networks"]["two"]["EndpointID"]
    assert told[1] == f'error while removing network: network two has active endpoints (name:"user" id:"{endpoint[:12]}")'
    assert engine.ok("network", "rm", "-f", "nosuch") == ""


def test_rm_takes_bridge_and_rules_away(engine):
    identity = create(engine, "--subnet", "10.80.0.0/24", "kernel")
    engine.ok("run", "--rm", "--network", "kernel", "busybox", "true")
    assert f"br-{identity[:12]}" in devices() and "10.80.0.0/24" in subnets_of_rules()
    engine.ok("network", "rm", "kernel")
    assert f"br-{identity[:12]}" not in devices() and "10.80.0.0/24" not in subnets_of_rules()


def test_rm_of_what_only_stopped_containers_have(engine):
    create(engine, "away")
    engine.ok("create", "--name", "stopped", "--network", "away", "busybox", "true")
    engine.ok("network", "rm", "away")
    assert "network away not found" in engine.fails(1, "start", "stopped")


def test_anothers_device_is_left_alone(engine):
    identity = create(engine, "-o", "com.docker.network.bridge.name=theirs0", "named")
    subprocess.run(["ip", "link", "add", "theirs0", "type", "bridge"], check=True)
    try:
        assert engine.call("run", "--rm", "--network", "named", "busybox", "true").returncode == 125
        engine.call("network", "rm", identity)
        assert "theirs0" in devices()
    finally:
        subprocess.run(["ip", "link", "del", "theirs0"], check=True)
    assert "named" not in names(engine)


def test_prune(engine):
    create(engine, "unused")
    create(engine, "--label", "keep", "kept")
    create(engine, "--config-only", "config")
    create(engine, "used")
    engine.run("--network", "used", "busybox", "sleep", "1000")
    assert engine.ok("network", "prune", stdin=b"n\n").endswith("[y/N] ")
    assert engine.ok("network", "prune", "-f", "--filter", "until=1h") == ""
    assert engine.ok("network", "prune", "-f", "--filter", "label!=keep") == "Deleted Networks:\nunused\n\n"
    assert engine.ok("network", "prune", "-f") == "Deleted Networks:\nkept\n\n"
    assert names(engine, "-f", "type=custom") == ["config", "used"]


def test_system_prune_and_df(engine):
    create(engine, "unused")
    assert "etwork" not in engine.ok("system", "df", "-v")
    assert engine.ok("system", "prune", "-f") == "Deleted Networks:\nunused\n\nTotal reclaimed space: 0B\n"


def test_a_row_removed_twice_at_once(engine):
    """Only one of them has removed it; the other says that there is none."""
    for _ in range(5):
        create(engine, "raced")
        racers = [engine.start("network", "rm", "raced") for _ in range(4)]
        said = [(*racer.communicate(timeout=30), racer.returncode) for racer in racers]
        assert sorted(status for _, _, status in said) == [0, 1, 1, 1]
        assert {err for _, err, status in said if status} == {b"network raced not found\n"}


def test_one_name_made_by_many_at_once(engine):
    racers = [engine.start("network", "create", "wanted") for _ in range(8)]
    said = [(*racer.communicate(timeout=30), racer.returncode) for racer in racers]
    assert sorted(status for _, _, status in said) == [0] + [1] * 7
    assert {err for _, err, status in said if status} == {b"network with name wanted already exists\n"}


# ---- connect, disconnect ----

def test_connect_and_disconnect(engine):
    create(engine, "--subnet", "10.81.0.0/24", "first")
    create(engine, "--subnet", "10.82.0.0/24", "second")
    engine.run("--name", "joins", "--network", "first", "busybox", "sleep", "1000")
    assert engine.ok("network", "connect", "--ip", "10.82.0.77", "--alias", "a,b", "--alias", "c", "second", "joins") == ""
    assert addresses(engine, "joins") == {"eth0": "10.81.0.2/24", "eth1": "10.82.0.77/24"}
    settings = engine.inspect("joins")["NetworkSettings"]["Networks"]["second"]
    assert settings["Aliases"] == ["a", "b", "c"] and settings["IPAMConfig"] == {"IPv4Address": "10.82.0.77"}
    assert "endpoint with name joins already exists in network second" in engine.fails(1, "network", "connect", "second", "joins")
    assert engine.ok("network", "disconnect", "first", "joins") == ""
    eventually(lambda: addresses(engine, "joins") == {"eth1": "10.82.0.77/24"})
    assert "is not connected to network first" in engine.fails(1, "network", "disconnect", "first", "joins")
    assert engine.ok("network", "rm", "first") == "first\n"


def test_connect_before_a_start(engine):
    create(engine, "--subnet", "10.83.0.0/24", "early")
    engine.ok("create", "--name", "made", "--network", "bridge", "busybox", "sleep", "1000")
    engine.ok("network", "connect", "--driver-opt", "com.docker.network.endpoint.ifname=own0", "early", "made")
    assert inspect(engine, "early")["Containers"] == {}
    engine.ok("start", "made")
    assert addresses(engine, "made")["own0"] == "10.83.0.2/24"
    assert [c["Name"] for c in inspect(engine, "early")["Containers"].values()] == ["made"]


@pytest.mark.parametrize("args, message", [
    (["connect", "nosuch", "plain"], "network nosuch not found"),
    (["connect", "host", "plain"], "container must be created in host network mode"),
    (["connect", "none", "plain"], "networks in private (none) mode"),
    (["connect", "bridge", "nosuch"], "No such container: nosuch"),
    (["connect", "", "plain"], "invalid network name or ID: value is empty"),
    (["connect", "--driver-opt", "x", "bridge", "plain"], "invalid key/value pair format in driver options"),
    (["disconnect", "nosuch", "plain"], "network nosuch not found"),
    (["disconnect", "host", "plain"], "is not connected to network host")])
def test_what_cannot_be_connected(engine, args, message):
    engine.ok("create", "--name", "plain", "--network", "bridge", "busybox", "true")
    assert message in engine.fails(1, "network", *args)


# ---- podman's ----

def test_exists(engine):
    create(engine, "there")
    assert engine.call("network", "exists", "there").returncode == 0
    done = engine.call("network", "exists", "nosuch")
    assert (done.returncode, done.stdout) == (1, b"")


def test_reload(engine):
    """After a flush the rules are as before."""
    create(engine, "--subnet", "10.84.0.0/24", "flushed")
    one = engine.run("--name", "one", "--network", "flushed", "-p", "127.0.0.1:8084:80", "busybox", "sleep", "1000")
    two = engine.run("--name", "two", "busybox", "sleep", "1000")
    engine.run("--name", "alone", "--network", "none", "busybox", "sleep", "1000")
    before = elements()
    assert "8084" in before and "10.84.0.0" in before
    subprocess.run(["nft", "flush", "ruleset"], check=True)
    assert set(engine.ok("network", "reload").split()) == {one, two}
    assert elements() == before
    subprocess.run(["nft", "flush", "ruleset"], check=True)
    assert engine.ok("network", "reload", "two").split() == [two]
    assert elements() == before  # there is one table for all
    assert "No such container: nosuch" in engine.fails(1, "network", "reload", "nosuch")


def elements():
    """Our table, without what differs each time: lines sorted, so that the order of a set's elements does not matter."""
    text = subprocess.run(["nft", "list", "table", "inet", "skep"], capture_output=True, check=True).stdout.decode()
    return "\n".join(sorted(part.strip(" \t,{}") for line in text.splitlines() for part in line.split(",")))


# ---- events, help ----

def test_events(engine):
    identity = create(engine, "told")
    container = engine.run("--network", "told", "busybox", "sleep", "1000")
    engine.ok("rm", "-f", container)
    engine.ok("network", "rm", "told")
    found = [json.loads(line) for line in engine.ok("events", "--since", "5m", "--until", "0s", "-f", "type=network", "-f", "network=told", "--format", "json").splitlines()]
    found = [e for e in found if "container" not in e["Actor"]["Attributes"]]
    assert [e["Action"] for e in found] == ["create", "destroy"]
    assert {e["Actor"]["ID"] for e in found} == {identity}
    assert found[0]["Actor"]["Attributes"] == found[1]["Actor"]["Attributes"] == {"name": "told", "type": "bridge"}
    assert set(found[0]) == {"Type", "Action", "Actor", "scope", "time", "timeNano"}


def test_help_manual_and_completions(engine):
    words = ["connect", "create", "disconnect", "exists", "inspect", "ls", "prune", "reload", "rm"]
    text = engine.ok("network", "--help")
    assert [line.split()[0] for line in text.split("Commands:\n")[1].split("\n\n")[0].splitlines()] == words
    manual = engine.ok("generate", "man").replace("\\-", "-")
    for word in words:
        assert f"network {word}" in manual
    for shell in "bash", "zsh", "fish":
        assert "aux-address" in engine.ok("generate", shell)
