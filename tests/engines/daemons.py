"""The daemons of docker and containerd: each started once, in the world, and ended by its pid."""
import json
import os
import signal
import shutil
import subprocess

from engine import Engine, command, wait_until
from world import BIND, mount

RUNTIME = os.path.abspath(os.environ.get("RUNTIME") or os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "build", "skep-runtime"))
IMAGE = "skep-test/busybox"


def runtime(data):
    """Where the engines find the runtime: a copy that every user can reach."""
    to = os.path.join(data, "bin", os.path.basename(RUNTIME))
    if not os.path.exists(to):
        os.makedirs(os.path.dirname(to), exist_ok=True)
        shutil.copy(RUNTIME, to)
    return to


def write(path, text):
    with open(path, "w", encoding="utf-8") as f:
        f.write(text)


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
        directory = os.path.join(data, "docker")
        socket = f"unix://{directory}/docker.sock"
        super().__init__("docker", ["/usr/bin/docker", "-H", socket], directory, f"{directory}/exec/runtime-runc/moby")
        configuration = os.path.join(self.directory, "daemon.json")
        write(configuration, json.dumps({
            "data-root": f"{self.directory}/data",
            "exec-root": f"{self.directory}/exec",
            "pidfile": f"{self.directory}/docker.pid",
            "hosts": [socket],
            "runtimes": {"skep": {"path": runtime(data)}, "skep-debug": {"path": runtime(data), "runtimeArgs": ["--debug"]}},
            "default-runtime": "skep",
            "live-restore": True,
            "shutdown-timeout": 10,
        }))
        self.daemon = Daemon("dockerd", ["/usr/sbin/dockerd", "--config-file", configuration], lambda: self("version").code == 0)
        self.daemon.start(data)

    def stop(self):
        self.daemon.stop()


class Podman(Engine):
    """podman as root; conmon is started by it. The runtime by its path, or by the name that containers.conf gives it."""

    def __init__(self, data, named=False):
        podman_configuration(data)
        directory = os.path.join(data, "podman-by-name" if named else "podman")
        super().__init__("podman", ["/usr/bin/podman", "--runtime", "skep" if named else runtime(data), "--root", f"{directory}/root",
                                    "--runroot", f"{directory}/run", "--storage-driver", "overlay"], directory, f"/run/{os.path.basename(RUNTIME)}")


class RootlessPodman(Engine):
    """podman as an ordinary user that has a range of ids."""
    NAME, UID, IDS = "skep-test", 54321, 2000000

    def __init__(self, data):
        podman_configuration(data)
        directory, run = os.path.join(data, "rootless"), f"/run/user/{self.UID}"
        super().__init__("podman", ["setpriv", "--reuid", str(self.UID), "--regid", str(self.UID), "--clear-groups", "--reset-env", "/usr/bin/env",
                                    f"HOME={directory}", f"XDG_RUNTIME_DIR={run}", "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "PODMAN_IGNORE_CGROUPSV1_WARNING=1",
                                    "/usr/bin/podman", "--runtime", runtime(data), "--storage-driver", "vfs"], directory,
                         f"{run}/{os.path.basename(RUNTIME)}")
        os.makedirs(run)
        for path in (directory, run):
            os.chown(path, self.UID, self.UID)
            os.chmod(path, 0o700)
        for path, line in (("/etc/passwd", f"{self.NAME}:x:{self.UID}:{self.UID}::{directory}:/bin/sh"), ("/etc/group", f"{self.NAME}:x:{self.UID}:"),
                           ("/etc/subuid", f"{self.NAME}:{self.IDS}:65536"), ("/etc/subgid", f"{self.NAME}:{self.IDS}:65536")):
            mine = f"{data}/of{path}"
            write(mine, (open(path, encoding="utf-8").read() if os.path.exists(path) else "") + line + "\n")
            mount(mine, path, flags=BIND)


def podman_configuration(data):
    """In /etc/containers, which is the world's own."""
    write("/etc/containers/policy.json", '{"default": [{"type": "insecureAcceptAnything"}]}\n')
    # root may lack CAP_SYS_RESOURCE: nothing above the hard limits that are. Older versions miss the s of nocgroups.
    write("/etc/containers/containers.conf", f"""[engine]
cgroup_manager = "cgroupfs"
events_logger = "file"
init_path = "/usr/bin/tini-static"
runtime_supports_json = ["skep"]
runtime_supports_nocgroups = ["skep"]
runtime_supports_nocgroup = ["skep"]
[engine.runtimes]
skep = ["{runtime(data)}"]
[containers]
log_driver = "k8s-file"
default_ulimits = ["nofile=1024:4096", "nproc=4096:4096"]
""")


class Containerd:
    """containerd alone, and its client ctr with the runc shim."""

    def __init__(self, data):
        self.data = data
        self.directory = os.path.join(data, "containerd")
        os.makedirs(self.directory)
        self.socket = f"{self.directory}/containerd.sock"
        configuration = os.path.join(self.directory, "config.toml")
        write(configuration, f'version = 2\nroot = "{self.directory}/root"\nstate = "{self.directory}/state"\n'
                             f'disabled_plugins = ["io.containerd.grpc.v1.cri"]\n[grpc]\naddress = "{self.socket}"\n')
        # some options of ctr make it forget --runc-binary: then it is the runc of the shim's PATH
        os.makedirs(f"{self.directory}/bin")
        os.symlink(runtime(data), f"{self.directory}/bin/runc")
        self.daemon = Daemon("containerd", ["/usr/bin/env", f"PATH={self.directory}/bin:/usr/sbin:/usr/bin:/sbin:/bin", "/usr/bin/containerd", "-c", configuration],
                             lambda: self("version").code == 0)
        self.daemon.start(data)
        self.names = []
        self.count = 0

    def argv(self, *words):
        return ["/usr/bin/ctr", "-a", self.socket, *(str(word) for word in words)]

    def __call__(self, *words, stdin=""):
        return command(*self.argv(*words), stdin=stdin, folder=self.directory)

    def run_words(self, *words):
        return ["run", "--runtime", "io.containerd.runc.v2", "--runc-binary", runtime(self.data), *words]

    def name(self):
        self.count += 1
        return f"task{self.count}"

    def run(self, *words, options=(), stdin=""):
        return self(*self.run_words("--rm", *options, f"docker.io/{IMAGE}:latest", self.name(), *words), stdin=stdin)

    def output(self, *words, options=(), stdin=""):
        return self.again(lambda: self.run(*words, options=options, stdin=stdin))

    def exec(self, name, *words, options=()):
        self.count += 1
        return self("tasks", "exec", "--exec-id", f"exec{self.count}", *options, name, *words)

    def exec_output(self, name, *words):
        return self.again(lambda: self.exec(name, *words))

    @staticmethod
    def again(attempt):
        """ctr now and then hears of the end before it has read what was printed: 1 in 300, whichever the runtime."""
        for _ in range(5):
            done = attempt()
            if done.out or done.code:
                break
        return done.ok()

    def start(self, *words, options=()):
        """A task in the background; returns its name."""
        name = self.name()
        self.names.append(name)
        self(*self.run_words("-d", *options, f"docker.io/{IMAGE}:latest", name, *words)).ok()
        return name

    def tasks(self):
        """{name: (pid, status)}"""
        rows = [line.split() for line in self("tasks", "ls").ok().lines[1:]]
        return {row[0]: (int(row[1]), row[2]) for row in rows}

    def clean(self):
        for name in self.names:
            self("tasks", "kill", "-s", "KILL", name)
            self("tasks", "delete", "-f", name)
            self("containers", "delete", name)
        self.names.clear()

    def stop(self):
        self.daemon.stop()
