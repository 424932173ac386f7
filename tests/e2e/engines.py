"""A `skep` with roots of its own and an image of busybox, for tests of containers."""
import contextlib
import json
import os
import signal
import subprocess
import time

from images import SKEP
from terminals import Terminal

DEADLINE = 30


def eventually(condition, deadline=DEADLINE):
    """The first true answer of condition(); there is no event to wait for from outside."""
    until = time.monotonic() + deadline
    while True:
        answer = condition()
        if answer or time.monotonic() > until:
            assert answer, "did not happen in time"
            return answer
        time.sleep(0.005)


class Engine:
    def __init__(self, where):
        self.root, self.run_root = os.path.join(where, "root"), os.path.join(where, "run")
        self.env = {**os.environ, "HOME": where, "LC_ALL": "C.UTF-8"}
        self.env.pop("DOCKER_CONFIG", None)
        self.base = [SKEP, "--root", self.root, "--run-root", self.run_root]

    def call(self, *args, stdin=b"", timeout=DEADLINE, env=None):
        return subprocess.run([*self.base, *args], input=stdin, capture_output=True, timeout=timeout, env={**self.env, **(env or {})}, check=False)

    def ok(self, *args, **more):
        done = self.call(*args, **more)
        assert done.returncode == 0, (args, done.returncode, done.stdout, done.stderr)
        return done.stdout.decode()

    def fails(self, status, *args, **more):
        done = self.call(*args, **more)
        assert done.returncode == status, (args, done.returncode, done.stdout, done.stderr)
        return done.stderr.decode()

    def start(self, *args, **more):
        """A client in the background."""
        return subprocess.Popen([*self.base, *args], env=self.env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **more)

    def typed(self, *args):
        """A client on a terminal of its own."""
        return Typed([*self.base, *args], self.env)

    def run(self, *args):
        """A container in the background: its id."""
        return self.ok("run", "-d", *args).strip()

    def inspect(self, name):
        return json.loads(self.ok("container", "inspect", name))[0]

    def state(self, name):
        return self.inspect(name)["State"]

    def status(self, name):
        return self.state(name)["Status"]

    def directory(self, identity):
        return os.path.join(self.root, "containers", identity)

    def monitor_of(self, name):
        """The pid of the container's monitor: the parent of its first process."""
        with open(f"/proc/{self.state(name)['Pid']}/stat", encoding="utf-8") as f:
            return int(f.read().rsplit(")", 1)[1].split()[1])

    def events(self):
        found = []
        where = os.path.join(self.root, "events")
        for name in sorted(os.listdir(where)):
            with open(os.path.join(where, name), encoding="utf-8") as f:
                found += [json.loads(line) for line in f if line.endswith("\n")]  # the last may be about to be written
        return found

    def remains(self):
        """What is left outside the containers' own directories, once those have ended who tidy up behind a command."""
        until = time.monotonic() + DEADLINE
        while True:
            left = {kind: os.listdir(os.path.join(self.run_root, kind)) for kind in ("runtime", "monitors")}
            aside = os.listdir(os.path.join(self.root, "ingest")) + self.offered_layers()
            if not (any(left.values()) or aside) or time.monotonic() > until:
                assert not aside, aside
                return left
            time.sleep(0.005)

    def offered_layers(self):
        """Files by which containers that run offer each other the layers of their image."""
        return [name for _, _, names in os.walk(os.path.join(self.run_root, "layers")) for name in names]

    def close(self):
        ids = self.call("ps", "-aq", "--no-trunc").stdout.decode().split()
        if ids:
            self.call("rm", "-f", "-v", *ids)
        self.end_attendant()

    def attendants(self):
        """The processes that answer names and watch rules; they end by themselves when they have had nothing to do for some seconds."""
        def words(pid):
            try:
                with open(f"/proc/{pid}/cmdline", "rb") as f:
                    return f.read().split(b"\0")
            except OSError:
                return []
        return [int(pid) for pid in os.listdir("/proc") if pid.isdigit() and {self.run_root.encode(), b"attend"} <= set(words(pid))]

    def end_attendant(self):
        for pid in self.attendants():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGTERM)
        eventually(lambda: not self.attendants())


class Typed(Terminal):
    def __init__(self, command, env):
        master, slave = os.openpty()
        super().__init__(master)
        self.process = subprocess.Popen(["setsid", "-c", *command], stdin=slave, stdout=slave, stderr=slave, env=env)
        os.close(slave)

    def wait(self):
        return self.process.wait(DEADLINE)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        self.close()


def is_dead(pid):
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as f:
            return f.read().rsplit(")", 1)[1].split()[0] in "ZX"
    except OSError:
        return True


def is_watching(pid):
    """Whether it has been told by inotify what to look at, and sleeps until there is something."""
    where = f"/proc/{pid}/fdinfo"
    found = False
    for name in os.listdir(where):
        try:
            with open(os.path.join(where, name), encoding="ascii") as f:
                found = found or "inotify wd" in f.read()
        except OSError:
            pass  # closed between the list and the look
    with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as f:
        return found and f.read().rsplit(")", 1)[1].split()[0] == "S"


def kill(pid, number=signal.SIGKILL):
    """After SIGKILL its descriptors and locks are gone, too."""
    os.kill(pid, number)
    if number == signal.SIGKILL:
        eventually(lambda: is_dead(pid))
