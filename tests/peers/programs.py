"""The peers as a user calls them, and Skep. PEERS_TREE names the root directory of another Debian: then they are its programs."""
import json
import os
import re
import subprocess

from daemons import Daemon, write
from engine import Engine, command
from views import look
from world import BIND, REC, mount

HERE = os.path.dirname(os.path.abspath(__file__))
SKEP = os.environ.get("SKEP") or os.path.join(os.path.dirname(os.path.abspath(os.environ.get("RUNTIME") or os.path.join(HERE, "../../build/skep-runtime"))), "skep")
TREE = os.environ.get("PEERS_TREE")
PREFIX = [] # what runs a program of the peers
LONG = 300 # seconds that a step may take

PACKAGES = {"/usr/bin/skopeo": "skopeo", "/usr/bin/umoci": "umoci", "/usr/bin/podman": "podman", "/usr/bin/conmon": "conmon", "/usr/sbin/dockerd": "docker.io",
            "/usr/bin/docker": "docker.io", "/usr/bin/containerd": "containerd", "/usr/sbin/iptables": "iptables"}


# ---- the tree they stand in ----

def enter_tree(data):
    """The other Debian, with what the world has in its own place; what is written in it goes nowhere."""
    for name in "tree", "upper", "work":
        os.mkdir(f"{data}/{name}")
    top = f"{data}/tree"
    mount("overlay", top, "overlay", 0, f"lowerdir={TREE},upperdir={data}/upper,workdir={data}/work")
    for path in "/proc", "/sys", "/dev", "/run", "/etc/containers", "/etc/docker", "/etc/containerd", "/etc/hosts", "/var/tmp", data:
        if not os.path.exists(top + path):
            os.makedirs(top + path)
        mount(path, top + path, flags=BIND | REC)
    PREFIX[:] = ["/usr/sbin/chroot", top]


def peer(*argv):
    return [*PREFIX, *map(str, argv)]


def inside(path):
    """Where the peers see it: newer podmans mount nothing that others see by another name."""
    return PREFIX[-1] + path if PREFIX else path


def run(*argv, deadline=LONG, **options):
    return command(*argv, deadline=deadline, **options)


def piped(writer, reader):
    """What one command writes is what the other reads; its output."""
    with subprocess.Popen(writer, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as source:
        done = subprocess.run(reader, stdin=source.stdout, capture_output=True, text=True, errors="replace", timeout=LONG, check=False)
        complaint = source.stderr.read().decode(errors="replace")
    assert source.returncode == 0, (writer, complaint)
    assert done.returncode == 0, (reader, done.stdout, done.stderr)
    return done.stdout


# ---- Skep ----

class Skep:
    """One store."""

    def __init__(self, top):
        self.top, self.root, self.config = str(top), os.path.join(top, "root"), os.path.join(top, "config")
        os.makedirs(self.config)

    def argv(self, *words):
        return [SKEP, "--root", self.root, "--run-root", f"{self.top}/run", "--config", self.config, *map(str, words)]

    def __call__(self, *words, stdin="", **environment):
        return run(*self.argv(*words), stdin=stdin, environment={**os.environ, **environment})

    def inspect(self, name):
        return json.loads(self("image", "inspect", name).ok().out)[0]

    def id(self, name):
        return self.inspect(name)["Id"]

    def listed(self):
        """Of the layout: names, and the digests of the manifests that they stand for."""
        with open(f"{self.root}/index.json", encoding="utf-8") as f:
            return {entry["annotations"]["org.opencontainers.image.ref.name"]: entry["digest"] for entry in json.load(f)["manifests"]}

    def blob(self, digest):
        with open(os.path.join(self.root, "blobs", *digest.split(":")), "rb") as f:
            return f.read()

    def manifest(self, name):
        return json.loads(self.blob(self.listed()[name]))

    def shown(self, name, kind="erofs"):
        """What it shows when it is mounted that way: {path: what stands there}."""
        at = self("image", "mount", "--kind", kind, name).ok().text
        try:
            return look(at)
        finally:
            self("image", "unmount", at).ok()


# ---- the peers ----

class Peer:
    """A program that needs no daemon."""

    def __init__(self, path, *options):
        self.name, self.path, self.options = os.path.basename(path), path, options
        self.version = version(self, "--version")

    def argv(self, *words):
        return peer(self.path, *self.options, *words)

    def __call__(self, *words, stdin=""):
        return run(*self.argv(*words), stdin=stdin)


def version(program, *words):
    """The first number of that form in what a program says of itself."""
    return tuple(map(int, re.search(r"(\d+)\.(\d+)\.(\d+)", program(*words).ok().out).groups()))


class Skopeo(Peer):
    def __init__(self):
        super().__init__("/usr/bin/skopeo", "--insecure-policy")

    def copy(self, source, target, *options):
        self("copy", "--quiet", *options, source, target).ok()

    def raw(self, source, *options):
        return run(*self.argv("inspect", "--raw", *options, source)).ok().out.encode()


class Podman(Engine):
    """As root; nothing is run in its containers."""

    def __init__(self, data):
        directory = os.path.join(data, "podman")
        super().__init__("podman", peer("/usr/bin/podman", "--root", f"{directory}/root", "--runroot", f"{directory}/run", "--storage-driver", "overlay"), directory, "")
        self.version = version(self, "--version")

    def __call__(self, *words, stdin="", deadline=LONG):
        return super().__call__(*words, stdin=stdin, deadline=deadline)

    def id(self, name):
        return self("image", "inspect", "--format", "sha256:{{.Id}}", name).ok().text


class Docker(Engine):
    """A daemon without networks. snapshotter: it keeps images as containerd does."""

    def __init__(self, data, snapshotter=False):
        directory = os.path.join(data, "docker-snapshotter" if snapshotter else "docker")
        socket = f"unix://{directory}/docker.sock"
        super().__init__("docker", peer("/usr/bin/docker", "--config", f"{directory}/config", "-H", socket), directory, "")
        self.snapshotter = snapshotter
        write(f"{directory}/daemon.json", json.dumps({
            "data-root": f"{directory}/data", "exec-root": f"{directory}/exec", "pidfile": f"{directory}/docker.pid", "hosts": [socket], "iptables": False,
            "bridge": "none", "max-concurrent-uploads": 2, "features": {"containerd-snapshotter": True} if snapshotter else {}}))
        self.daemon = Daemon(os.path.basename(directory), peer("/usr/sbin/dockerd", "--config-file", f"{directory}/daemon.json"), lambda: self("version").code == 0)
        self.daemon.start(data)
        self.version = version(self, "version", "--format", "{{.Server.Version}}")

    def __call__(self, *words, stdin="", deadline=LONG):
        return super().__call__(*words, stdin=stdin, deadline=deadline)

    def id(self, name):
        return self("image", "inspect", "--format", "{{.Id}}", name).ok().text

    def layers(self, name):
        """The directories that its storage driver mounts, the highest first."""
        data = json.loads(self("image", "inspect", "--format", "{{json .GraphDriver.Data}}", name).ok().out)
        return [data["UpperDir"], *filter(None, data.get("LowerDir", "").split(":"))]

    def stop(self):
        self.daemon.stop()


class Containerd:
    """containerd alone, and its client."""

    def __init__(self, data):
        directory = os.path.join(data, "containerd")
        os.makedirs(directory)
        self.name, self.socket = "containerd", f"{directory}/containerd.sock"
        write(f"{directory}/config.toml", f'version = 2\nroot = "{directory}/root"\nstate = "{directory}/state"\n'
                                          f'disabled_plugins = ["io.containerd.grpc.v1.cri"]\n[grpc]\naddress = "{self.socket}"\n')
        self.daemon = Daemon("containerd", peer("/usr/bin/containerd", "-c", f"{directory}/config.toml"), lambda: self("version").code == 0)
        self.daemon.start(data)
        self.version = version(self, "version")

    def __call__(self, *words):
        return run(*peer("/usr/bin/ctr", "-a", self.socket, *words))

    def stop(self):
        self.daemon.stop()
