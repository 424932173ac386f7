"""Firewalls that a machine has before skep comes: each in a mount namespace beside the machine's network (netlab.py), with the packages unpacked over its root. They are not
installed: firewalld would close the developer's own machine.
"""
import json
import os
import pathlib
import re
import shutil
import subprocess

import pytest

import netns
from engines import DEADLINE, eventually

# of what is not in E2E_PACKAGES of ./dev
PACKAGES = {
    "ufw": ["ufw"],
    "firewalld": ["firewalld", "python3-firewall", "python3-dbus", "python3-gi", "gir1.2-glib-2.0", "libgirepository-1.0-1", "python3-nftables",
                  "python3-cap-ng", "dbus-daemon"],
}
OURS = re.compile(r"skep|^#")  # lines of listings that are ours by their comment, or say when they were made

FURNISH = """set -e
mount -t tmpfs top "$1"
for part in etc usr var; do
	mkdir -p "$1/$part" "$1/$part.work" "$2/$part"
	mount -t overlay part -o "lowerdir=$2/$part:/$part,upperdir=$1/$part,workdir=$1/$part.work" "/$part"
done
mount -t tmpfs run /run
mkdir -p /run/lock /run/dbus
echo ready
exec sleep infinity
"""

BUS = """<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN" "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig><type>system</type><listen>unix:path=/run/dbus/system_bus_socket</listen><auth>EXTERNAL</auth>
<policy context="default"><allow send_destination="*"/><allow own="*"/><allow receive_sender="*"/></policy></busconfig>
"""


def unpacked(name):
    """The directory of a firewall's packages, from the cache or from the mirror; skips the test where neither has them."""
    cache = pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache", "skep", "firewalls")
    tree = cache / name
    if tree.is_dir():
        return tree
    part = cache / f"{name}.{os.getpid()}"
    part.mkdir(parents=True)
    try:
        subprocess.run([*netns.of_the_machine(), "apt-get", "-q", "-o", "APT::Sandbox::User=root", "download", *PACKAGES[name]], cwd=part, check=True,
                       capture_output=True, timeout=2 * DEADLINE)
        for archive in list(part.glob("*.deb")):
            subprocess.run(["dpkg-deb", "-x", archive, part], check=True)
            archive.unlink()
    except (subprocess.SubprocessError, OSError) as e:
        shutil.rmtree(part)
        pytest.skip(f"no packages of {name}: {getattr(e, 'stderr', None) or e}")
    if (part / "lib").is_dir():  # as on a root where that is a link to usr/lib
        shutil.copytree(part / "lib", part / "usr" / "lib", symlinks=True, dirs_exist_ok=True)
        shutil.rmtree(part / "lib")
    try:
        part.rename(tree)
    except OSError:  # somebody else was quicker
        shutil.rmtree(part)
    return tree


class Firewall:
    """up: it lets in and forwards nothing new. opens: what its administrator does to let a port be forwarded to containers."""
    tree = "/nonexistent"

    def __init__(self, lab, where):
        self.lab, self.daemons = lab, []
        (where / "top").mkdir()
        (where / "tree").mkdir()
        tree = unpacked(type(self).tree) if type(self).tree in PACKAGES else where / "tree"
        self.holder = subprocess.Popen([*lab.machine.words("unshare", "--mount", "--propagation", "private"), "sh", "-c", FURNISH, "furnish",
                                        where / "top", tree], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
        assert self.holder.stdout.readline() == b"ready\n"

    def words(self, *command):
        return ["nsenter", f"--mount=/proc/{self.holder.pid}/ns/mnt", "--", *self.lab.machine.words(*command)]

    def call(self, *command, text=""):
        return subprocess.run(self.words(*command), input=text.encode(), capture_output=True, timeout=2 * DEADLINE, check=False)

    def ok(self, *command, text=""):
        done = self.call(*command, text=text)
        assert done.returncode == 0, (command, done.stdout, done.stderr)
        return done.stdout.decode()

    def up(self):
        raise NotImplementedError

    def opens(self, container, port):
        raise NotImplementedError

    def reload(self):
        raise NotImplementedError

    def rules(self):
        """All of the machine that are not skep's, as text, without counters."""
        tables = [line for line in self.ok("nft", "list", "tables").splitlines() if line != "table inet skep"]
        listed = "".join(self.ok("nft", "-s", "list", *line.split()) for line in tables)
        listed += self.ok("iptables-legacy-save") + self.ok("ip6tables-legacy-save")
        return [re.sub(r"\[\d+:\d+\]", "", line) for line in listed.splitlines() if not OURS.search(line)]

    def close(self):
        for process in [*self.daemons, self.holder]:
            process.terminate()
            process.wait()
        self.holder.stdout.close()


class Nft(Firewall):
    """As the wikis have it."""
    RULES = """table inet filter {
        chain input {
            type filter hook input priority 0; policy drop;
            iifname "lo" accept
            ct state established,related accept
            meta l4proto { icmp, ipv6-icmp } accept
        }
        chain forward {
            type filter hook forward priority 0; policy drop;
            ct state established,related accept
        }
    }
    """

    def up(self):
        self.ok("nft", "-f", "-", text=self.RULES)

    def opens(self, container, port):
        for family, name in (4, "ip"), (6, "ip6"):
            if container.at[family]:
                for protocol in "tcp", "udp":
                    self.ok("nft", "add", "rule", "inet", "filter", "forward", name, "daddr", container.at[family], protocol, "dport", str(port), "accept")

    def reload(self):
        self.ok("nft", "-f", "-", text="flush ruleset\n" + self.RULES)


class Iptables(Firewall):
    kind = ""

    def up(self):
        for program in "iptables", "ip6tables":
            for chain in "INPUT", "FORWARD":
                self.ok(program + self.kind, "-P", chain, "DROP")
                self.ok(program + self.kind, "-A", chain, "-m", "conntrack", "--ctstate", "ESTABLISHED,RELATED", "-j", "ACCEPT")
            self.ok(program + self.kind, "-A", "INPUT", "-i", "lo", "-j", "ACCEPT")
            self.ok(program + self.kind, "-A", "INPUT", "-p", "icmp" if program == "iptables" else "icmpv6", "-j", "ACCEPT")

    def opens(self, container, port):
        for family, program in (4, "iptables"), (6, "ip6tables"):
            if container.at[family]:
                for protocol in "tcp", "udp":
                    self.ok(program + self.kind, "-I", "FORWARD", "-d", container.at[family], "-p", protocol, "--dport", str(port), "-j", "ACCEPT")

    def reload(self):
        for program in "iptables", "ip6tables":
            saved = self.ok(program + self.kind + "-save")
            self.ok(program + self.kind + "-restore", text=saved)


class IptablesNft(Iptables):
    kind = "-nft"


class IptablesLegacy(Iptables):
    kind = "-legacy"


class Ufw(Firewall):
    tree = "ufw"

    def up(self):
        self.ok("sh", "-c", "cp /usr/share/ufw/ufw.conf /usr/share/ufw/iptables/*.rules /etc/ufw/")
        self.ok("ufw", "--force", "enable")

    def opens(self, container, port):
        for family in 4, 6:
            if container.at[family]:
                for protocol in "tcp", "udp":
                    self.ok("ufw", "route", "allow", "proto", protocol, "to", container.at[family], "port", str(port))

    def reload(self):
        self.ok("ufw", "reload")


class Firewalld(Firewall):
    tree = "firewalld"

    def up(self):
        self.ok("sh", "-c", "cat >/run/bus.conf", text=BUS)
        for command in ["dbus-daemon", "--config-file=/run/bus.conf", "--nofork"], ["firewalld", "--nofork", "--nopid"]:
            self.daemons.insert(0, subprocess.Popen(self.words(*command), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))
            if command[0] == "dbus-daemon":
                eventually(lambda: self.call("test", "-e", "/run/dbus/system_bus_socket").returncode == 0)
        eventually(lambda: self.call("firewall-cmd", "--state").returncode == 0)

    def opens(self, container, port):
        pass  # see test_firewalld_itself_accepts_what_is_published

    def reload(self):
        self.ok("firewall-cmd", "--reload")


FIREWALLS = {"nft": Nft, "iptables-nft": IptablesNft, "iptables-legacy": IptablesLegacy, "ufw": Ufw, "firewalld": Firewalld}
