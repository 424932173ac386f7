"""A container under test: its bundle, and the command line of the runtime as a caller uses it."""
import copy
import json
import os
import select
import shutil
import subprocess
import tempfile

DEADLINE = int(os.environ.get("DEADLINE", "30"))  # seconds that any single step may take
HERE = os.path.dirname(os.path.abspath(__file__))
RUNTIME = os.environ.get("RUNTIME") or os.path.join(HERE, "..", "..", "build", "skep-runtime")
OWN = os.path.abspath(RUNTIME) if os.path.basename(RUNTIME) == "skep-runtime" else os.path.join(HERE, "..", "..", "build", "skep-runtime")
BUSYBOX = "/bin/busybox"
APPLETS = """sh cat echo id ls mount umount ps kill true false hostname env pwd tty stat touch mkdir mknod chown chmod head tail wc
grep sed cut sort tr test sleep dd readlink nproc uname ionice setpriv nice ip awk find ln rm od mkfifo stty sync""".split()

CAPABILITIES = ["CAP_AUDIT_WRITE", "CAP_KILL", "CAP_NET_BIND_SERVICE"]

CONFIG = {
    "ociVersion": "1.0.2",
    "process": {
        "user": {"uid": 0, "gid": 0},
        "args": ["true"],
        "env": ["PATH=/bin", "HOME=/root"],
        "cwd": "/",
        "capabilities": {"bounding": CAPABILITIES, "effective": CAPABILITIES, "permitted": CAPABILITIES},
        "noNewPrivileges": True,
    },
    "root": {"path": "rootfs"},
    "hostname": "box",
    "mounts": [
        {"destination": "/proc", "type": "proc", "source": "proc"},
        {"destination": "/dev", "type": "tmpfs", "source": "tmpfs", "options": ["nosuid", "strictatime", "mode=755", "size=65536k"]},
        {"destination": "/dev/pts", "type": "devpts", "source": "devpts",
         "options": ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620"]},
        {"destination": "/dev/shm", "type": "tmpfs", "source": "shm", "options": ["nosuid", "noexec", "nodev", "mode=1777", "size=65536k"]},
        {"destination": "/sys", "type": "sysfs", "source": "sysfs", "options": ["nosuid", "noexec", "nodev", "ro"]},
    ],
    "linux": {
        "resources": {"devices": [{"allow": False, "access": "rwm"}]},
        "namespaces": [{"type": kind} for kind in ("pid", "ipc", "uts", "mount", "network")],
        "maskedPaths": ["/proc/kcore", "/proc/keys", "/proc/latency_stats", "/proc/timer_list", "/sys/firmware"],
        "readonlyPaths": ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"],
    },
}


class Result:
    """What a finished command left."""

    def __init__(self, argv, code, out, err):
        self.argv, self.code, self.out, self.err = argv, code, out, err

    def ok(self):
        assert self.code == 0, f"{self} should have succeeded"
        return self

    def fails(self, *texts):
        """Non-zero status, and each text somewhere in the message."""
        assert self.code != 0, f"{self} should have failed"
        for text in texts:
            assert text.lower() in self.err.lower(), f"{self}: no {text!r} in the message"
        return self

    @property
    def lines(self):
        return self.out.splitlines()

    def __repr__(self):
        return f"<{' '.join(self.argv)}: {self.code}; out {self.out!r}; err {self.err!r}>"


def is_static(program):
    """Whether it runs where there is no library: it names no interpreter (which a build with sanitizers does)."""
    with open(program, "rb") as f:
        return b"/ld-" not in f.read(8192)


def readable(fd, what="nothing to read"):
    assert select.select([fd], [], [], DEADLINE)[0], f"{what}: more than {DEADLINE} s"


class Output:
    """The reading end of a pipe that is a container's stdout: lines as they come."""

    def __init__(self):
        self.fd, self.write_fd = os.pipe()
        self.pending = b""

    def _more(self):
        readable(self.fd)
        data = os.read(self.fd, 65536)
        self.pending += data
        return bool(data)

    def line(self):
        while b"\n" not in self.pending and self._more():
            pass
        line, _, self.pending = self.pending.partition(b"\n")
        return line.decode(errors="replace")

    def rest(self):
        """Everything up to the end: when the last process that holds the other end is gone."""
        while self._more():
            pass
        data, self.pending = self.pending, b""
        return data.decode(errors="replace")

    def sent(self):
        """The writing end was handed over: only the others hold it now."""
        if self.write_fd >= 0:
            os.close(self.write_fd)
            self.write_fd = -1

    def close(self):
        self.sent()
        os.close(self.fd)


class Runtime:
    """The runtime with a state directory of its own."""

    def __init__(self, root):
        self.root, self.options, self.prefix, self.program = root, [], [], RUNTIME

    def command(self, *args):
        return [*self.prefix, self.program, "--root", self.root, *self.options, *map(str, args)]

    def run(self, *args, stdin="", stdout=None, env=None, pass_fds=(), cwd=None, raw=False):
        """Runs the runtime to its end. stdout: an Output for what outlives it; else it is collected."""
        argv = [*self.prefix, self.program, *map(str, args)] if raw else self.command(*args)
        with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
            done = subprocess.run(argv, input=stdin.encode(), stdout=stdout.write_fd if stdout else out, stderr=err, timeout=DEADLINE,
                                  env={**os.environ, **(env or {})}, pass_fds=pass_fds, cwd=cwd, check=False)
            out.seek(0)
            err.seek(0)
            return Result(argv[len(self.prefix):], done.returncode, out.read().decode(errors="replace"),
                          err.read().decode(errors="replace"))


def make_rootfs(path, programs=()):
    """A root file system of one busybox and its names, and of static test programs."""
    for name in ("bin", "dev", "etc", "proc", "root", "sys", "tmp"):
        os.makedirs(os.path.join(path, name))
    shutil.copy(BUSYBOX, os.path.join(path, "bin/busybox"))
    for name in APPLETS:
        os.symlink("busybox", os.path.join(path, "bin", name))
    for program in programs:
        shutil.copy(program, os.path.join(path, "bin"))


class Container:
    """One container: `config` is the dictionary that becomes config.json when a command needs it."""

    def __init__(self, runtime, ident, bundle, cgroup, programs=()):
        self.runtime, self.id, self.bundle = runtime, ident, bundle
        self.rootfs = os.path.join(bundle, "rootfs")
        make_rootfs(self.rootfs, programs)
        self.config = copy.deepcopy(CONFIG)
        self.config["linux"]["cgroupsPath"] = self.cgroup = cgroup
        self.output = Output()
        self.stderr = ""

    # -- the configuration --

    @property
    def process(self):
        return self.config["process"]

    @property
    def linux(self):
        return self.config["linux"]

    def args(self, *argv):
        self.process["args"] = list(argv)
        return self

    def sh(self, script):
        return self.args("sh", "-c", script)

    def mount(self, destination, source, kind, *options):
        self.config["mounts"].append({"destination": destination, "type": kind, "source": source, "options": list(options)})
        return self

    def namespace(self, kind, path=None):
        """Adds or replaces one; path None makes a new one."""
        rest = [n for n in self.linux["namespaces"] if n["type"] != kind]
        self.linux["namespaces"] = rest + [{"type": kind, "path": path} if path else {"type": kind}]
        return self

    def without_namespace(self, kind):
        self.linux["namespaces"] = [n for n in self.linux["namespaces"] if n["type"] != kind]
        return self

    def save(self, text=None):
        with open(os.path.join(self.bundle, "config.json"), "w", encoding="utf-8") as f:
            f.write(json.dumps(self.config) if text is None else text)
        return self

    # -- commands --

    def run(self, *flags, **more):
        self.save()
        return self.runtime.run("run", "--bundle", self.bundle, *flags, self.id, **more)

    def output_of(self, script, *flags):
        """What a shell script prints in the container."""
        return self.sh(script).run(*flags).ok().out.strip()

    def create(self, *flags, **more):
        self.save()
        result = self.runtime.run("create", "--bundle", self.bundle, *flags, self.id, stdout=self.output, **more)
        self.output.sent()
        return result

    def start(self):
        return self.runtime.run("start", self.id)

    def up(self, *flags, **more):
        """Created and started."""
        self.create(*flags, **more).ok()
        self.start().ok()
        return self

    def exec(self, *argv, flags=(), **more):
        return self.runtime.run("exec", *flags, self.id, *argv, **more)

    def state(self):
        return json.loads(self.runtime.run("state", self.id).ok().out)

    @property
    def status(self):
        return self.state()["status"]

    @property
    def pid(self):
        return self.state()["pid"]

    def kill(self, *signal):
        return self.runtime.run("kill", self.id, *signal)

    def delete(self, *flags):
        return self.runtime.run("delete", *flags, self.id)

    def wait(self, pidfd=None):
        """Waits for the end of init: the event, not the clock."""
        fd = self.pidfd() if pidfd is None else pidfd
        readable(fd)
        os.close(fd)
        return self

    def pidfd(self):
        return os.pidfd_open(self.pid)
