"""The daemons of docker and containerd: each started once, in the world, and ended by its pid."""
import json
import os
import signal
import subprocess

from engine import Engine, command, wait_until

RUNTIME = os.path.abspath(os.environ.get("RUNTIME") or os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "build", "skep-runtime"))
IMAGE = "skep-test/busybox"


def write_json(path, value):
    with open(path, "w", encoding="utf-8") as f:
        json.dump(value, f)


class Daemon:
    """A program in the background, its output in a log."""

    def __init__(self, name, argv, answers):
        self.name, self.argv, self.answers = name, argv, answers
        self.log = None
        self.process = None

    def start(self, directory):
        self.log = os.path.join(directory, f"{self.name}.log")
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(self.argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
        wait_until(self.up, f"{self.name} answers")
        return self

    def up(self):
        assert self.process.poll() is None, f"{self.name} has ended:\n{self.tail()}"
        return self.answers()

    def stop(self, how=signal.SIGTERM):
        self.process.send_signal(how)
        self.process.wait(60)

    def tail(self):
        with open(self.log, encoding="utf-8", errors="replace") as f:
            return "".join(f.readlines()[-30:])


class Docker(Engine):
    """dockerd with a containerd that it manages, and the docker client."""

    def __init__(self, data):
        self.directory = os.path.join(data, "docker")
        os.makedirs(self.directory)
        socket = f"unix://{self.directory}/docker.sock"
        super().__init__("docker", ["/usr/bin/docker", "-H", socket])
        configuration = os.path.join(self.directory, "daemon.json")
        write_json(configuration, {
            "data-root": f"{self.directory}/data",
            "exec-root": f"{self.directory}/exec",
            "pidfile": f"{self.directory}/docker.pid",
            "hosts": [socket],
            "runtimes": {"skep": {"path": RUNTIME}},
            "default-runtime": "skep",
            "live-restore": True,
            "shutdown-timeout": 10,
        })
        self.daemon = Daemon("dockerd", ["/usr/sbin/dockerd", "--config-file", configuration], lambda: self("version").code == 0)
        self.daemon.start(data)

    def stop(self):
        self.daemon.stop()


class Podman(Engine):
    """podman as root; conmon is started by it."""

    def __init__(self, data):
        self.directory = os.path.join(data, "podman")
        os.makedirs(self.directory)
        super().__init__("podman", ["/usr/bin/podman", "--runtime", RUNTIME, "--root", f"{self.directory}/root", "--runroot", f"{self.directory}/run",
                                    "--storage-driver", "overlay"])


def podman_configuration():
    """In /etc/containers, which is the world's own."""
    with open("/etc/containers/policy.json", "w", encoding="utf-8") as f:
        f.write('{"default": [{"type": "insecureAcceptAnything"}]}\n')
    with open("/etc/containers/containers.conf", "w", encoding="utf-8") as f:
        # root may lack CAP_SYS_RESOURCE: nothing above the hard limits that are
        f.write("""[engine]
cgroup_manager = "cgroupfs"
events_logger = "file"
[containers]
log_driver = "k8s-file"
default_ulimits = ["nofile=1024:4096", "nproc=4096:4096"]
""")


class Containerd:
    """containerd alone, and its client ctr with the runc shim."""

    def __init__(self, data):
        self.directory = os.path.join(data, "containerd")
        os.makedirs(self.directory)
        self.socket = f"{self.directory}/containerd.sock"
        configuration = os.path.join(self.directory, "config.toml")
        with open(configuration, "w", encoding="utf-8") as f:
            f.write(f'version = 2\nroot = "{self.directory}/root"\nstate = "{self.directory}/state"\n'
                    f'disabled_plugins = ["io.containerd.grpc.v1.cri"]\n[grpc]\naddress = "{self.socket}"\n')
        self.daemon = Daemon("containerd", ["/usr/bin/containerd", "-c", configuration], lambda: self("version").code == 0)
        self.daemon.start(data)
        self.names = []

    def __call__(self, *words, stdin=""):
        return command("/usr/bin/ctr", "-a", self.socket, *words, stdin=stdin)

    def run(self, *words, stdin=""):
        return self("run", "--runtime", "io.containerd.runc.v2", "--runc-binary", RUNTIME, *words, stdin=stdin)

    def stop(self):
        self.daemon.stop()
