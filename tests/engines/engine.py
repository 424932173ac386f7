"""Commands and terminals, as a user of an engine sees them."""
import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import termios
import time

from world import hierarchies

DEADLINE = int(os.environ.get("DEADLINE", "60")) # seconds that any single step may take


class Result:
    """What a finished command left."""

    def __init__(self, argv, code, out, err):
        self.argv, self.code, self.out, self.err = argv, code, out, err

    def ok(self):
        assert self.code == 0, f"{self} should have succeeded"
        return self

    def exits(self, code, *texts):
        """That status, and each text somewhere in the message."""
        assert self.code == code, f"{self} should have exited with {code}"
        for text in texts:
            assert text.lower() in self.err.lower(), f"{self}: no {text!r} in the message"
        return self

    @property
    def lines(self):
        return self.out.splitlines()

    @property
    def text(self):
        return self.out.strip()

    def __repr__(self):
        return f"<{' '.join(self.argv)}: {self.code}; out {self.out!r}; err {self.err!r}>"


def command(*argv, stdin="", environment=None, folder=None, deadline=DEADLINE):
    argv = [str(word) for word in argv]
    done = subprocess.run(argv, input=stdin, capture_output=True, text=True, errors="replace", env=environment, cwd=folder, timeout=deadline, check=False)
    return Result(argv, done.returncode, done.stdout, done.stderr)


def wait_until(condition, what, details=lambda: ""):
    """Polls something that nobody reports."""
    end = time.monotonic() + DEADLINE
    while True:
        value = condition()
        if value:
            return value
        assert time.monotonic() < end, f"{what}: not within {DEADLINE} s {details()}"
        time.sleep(0.02)


class Terminal:
    """A command that runs on a terminal of ours."""

    def __init__(self, argv, environment=None, folder="/", rows=40, columns=100):
        self.argv, self.seen, self.code = argv, "", None
        self.pid, self.fd = pty.fork()
        if not self.pid:
            try:
                os.chdir(folder)
                os.execvpe(argv[0], argv, environment or os.environ)
            finally:
                os._exit(255)
        os.set_blocking(self.fd, True)
        self.resize(rows, columns)

    def resize(self, rows, columns):
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def read(self):
        """Some more output; False at its end."""
        assert select.select([self.fd], [], [], DEADLINE)[0], f"{self.argv}: silent after {self.seen!r}"
        try:
            data = os.read(self.fd, 4096)
        except OSError: # EIO: the last one on the other side has closed
            data = b""
        self.seen += data.decode(errors="replace")
        return bool(data)

    def expect(self, text):
        while text not in self.seen:
            assert self.read(), f"{self.argv}: no {text!r} in {self.seen!r}"
        return self

    def type(self, text):
        os.write(self.fd, text.encode())
        return self

    def end(self):
        """Reads to the end; the exit status."""
        while self.read():
            pass
        os.close(self.fd)
        self.code = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        return self.code


PARENTS = {"docker": "docker", "podman": "libpod_parent"} # of the control groups of containers


class Engine:
    """docker or podman: the part of the command line that both have. states: where its runtime keeps what runs."""

    def __init__(self, name, argv, directory, states):
        self.name, self.argv, self.directory, self.states, self.environment = name, list(argv), directory, states, None
        os.makedirs(directory)
        self.names = []

    def __call__(self, *words, stdin="", deadline=DEADLINE):
        return command(*self.argv, *words, stdin=stdin, environment=self.environment, folder=self.directory, deadline=deadline)

    def run(self, *words, stdin=""):
        return self("run", "--rm", *words, stdin=stdin)

    def start(self, *words):
        """A container in the background; returns its name."""
        name = f"box{len(self.names)}-{os.getpid()}"
        self.names.append(name)
        self("run", "-d", "--name", name, *words).ok()
        return name

    def create(self, *words):
        name = f"box{len(self.names)}-{os.getpid()}"
        self.names.append(name)
        self("create", "--name", name, *words).ok()
        return name

    def terminal(self, *words, **size):
        return Terminal([*self.argv, *(str(word) for word in words)], self.environment, self.directory, **size)

    def inspect(self, name, template):
        return self("inspect", "--format", template, name).ok().text

    def pid(self, name):
        return int(self.inspect(name, "{{.State.Pid}}"))

    def status(self, name):
        return self.inspect(name, "{{.State.Status}}")

    def wait_for_log(self, name, text):
        wait_until(lambda: text in (lambda r: r.out + r.err)(self("logs", name)), f"{text!r} in the log of {name}")

    def clean(self):
        if self.names:
            self.remove(*self.names)
            self.names.clear()
        wait_until(lambda: not self.left(), "nothing of the containers is left to the runtime", self.left)

    def left(self):
        """What the runtime still knows, and the control groups of containers."""
        states = [f"{self.states}/{name}" for name in os.listdir(self.states)] if os.path.isdir(self.states) else []
        groups = [here for at, _, _ in hierarchies() for here, _, _ in os.walk(f"{at}/{PARENTS[self.name]}")]
        return states + [group for group in groups if re.search("(docker/|libpod-)[0-9a-f]{64}$", group)]

    def remove(self, *names):
        """By force."""
        return self("rm", "-f", *(("-t", "0") if self.name == "podman" else ()), *names)
