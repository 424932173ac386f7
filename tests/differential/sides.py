"""The two that are compared: each has a mount namespace of its own, in which its cases find themselves in the same directory."""
import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import time

import masks

TOP = os.path.abspath(os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", ".."))
HELP = f"{TOP}/tests/differential" # of the lines of cases
PLACE = "/run/here" # the folder of a case is here, on both sides
IMAGE = "busybox"
DEADLINE = 120 # seconds for a case, and for a daemon to answer

# Run before anything else of a side: $1 its folder, $2 a tree to live in or nothing.
FURNISH = f"""set -e
mkdir -p {PLACE} "$1/work"
mount --bind "$1/work" {PLACE}
if [ -n "$2" ]; then
	mkdir -p "$1/upper" "$1/upper.work" "$1/tree"
	mount -t overlay tree -o "lowerdir=$2,upperdir=$1/upper,workdir=$1/upper.work" "$1/tree"
	for folder in /proc /sys /dev /run "$1"; do
		mkdir -p "$1/tree$folder"
		mount --rbind "$folder" "$1/tree$folder"
	done
	cd "$1/tree"
	mkdir -p .before
	pivot_root . .before
	umount -l /.before
	cd /
fi
mount --make-rshared /
shift 2
exec "$@"
"""


class Answer:
    """What a line printed and its status; status None: it did not end in time, or the line before did not."""

    def __init__(self, status, out, err):
        self.status, self.out, self.err = status, out, err

    def __eq__(self, other):
        return other is not None and (self.status, self.out, self.err) == (other.status, other.out, other.err)


def read(path):
    try:
        with open(path, encoding="utf-8", errors="backslashreplace", newline="") as f:
            return f.read()
    except FileNotFoundError:
        return ""


def steps(case):
    """[(id, line)] of all lines; silent ones have no id."""
    ids = iter(case.compared())
    return [(None, line) if line.silent else next(ids) for line in case.lines]


class Side:
    """What docker and skep have in common. d: the words that stand for $D."""

    def __init__(self, name, folder, d, environment, places):
        self.name, self.folder, self.d, self.places = name, folder, d, places
        self.environment = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": f"{folder}/home", "LC_ALL": "C.UTF-8",
                            "TERM": "xterm", "HELP": folder, "AWAIT": os.environ.get("AWAIT", "20"), "D": d, "I": IMAGE, "N": "--network none", **environment}
        self.process = None
        for path in (f"{folder}/home", f"{folder}/work", f"{folder}/io"):
            os.makedirs(path)
        for name in ("prelude.sh", "terminal.py"):
            shutil.copy(f"{HELP}/{name}", folder)

    def enter(self, argv, tree="", log=None):
        """Starts the process that the namespace belongs to."""
        self.process = subprocess.Popen(["unshare", "--mount", "--propagation", "private", "sh", "-c", FURNISH, "furnish", self.folder, tree, *argv],
                                        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE if log is None else log, stderr=log, start_new_session=True)

    def shell(self, script, deadline=DEADLINE):
        """Runs a script inside; its output goes where the script says. False when it did not end in time."""
        environment = [f"{key}={value}" for key, value in self.environment.items()]
        child = subprocess.Popen(["nsenter", f"--mount=/proc/{self.process.pid}/ns/mnt", "--", "env", "-i", *environment, "sh", script],
                                 stdin=subprocess.DEVNULL, start_new_session=True)
        try:
            child.wait(deadline)
            return True
        except subprocess.TimeoutExpired:
            os.killpg(child.pid, signal.SIGKILL)
            child.wait()
            return False

    def command(self, text, deadline=DEADLINE):
        """One line of the runner's own: (status, output with errors)."""
        out = f"{self.folder}/io/own"
        with open(f"{out}.sh", "w", encoding="utf-8") as f:
            f.write(f"exec >{out} 2>&1\n{text}\n")
        ended = self.shell(f"{out}.sh", deadline)
        return ended, read(out)

    def run(self, case):
        """{id: Answer} of a case, not masked."""
        io = f"{self.folder}/io/{case.group}.{case.name}"
        work = f"{self.folder}/work/{case.name}"
        for path in (io, work):
            shutil.rmtree(path, ignore_errors=True)
            os.mkdir(path)
        with open(f"{io}/script", "w", encoding="utf-8") as f:
            f.write(f"exec </dev/null >{io}/shell 2>&1\n. {self.folder}/prelude.sh\ncd {PLACE}/{case.name}\n")
            for n, (_, line) in enumerate(steps(case)):
                f.write(f"{{ eval {shlex.quote(line.text)}; }} >{io}/{n}.out 2>{io}/{n}.err; echo $? >{io}/{n}.status\n")
        self.shell(f"{io}/script")
        answers = {}
        for n, (name, line) in enumerate(steps(case)):
            status = read(f"{io}/{n}.status").strip()
            answer = Answer(int(status) if status else None, read(f"{io}/{n}.out"), read(f"{io}/{n}.err"))
            if name:
                answers[name] = answer
            elif answer.status != 0:
                print(f"{self.name}: {case.id}: a line that had to succeed did not: {line.text}\n{answer.out}{answer.err}{read(f'{io}/shell')}")
        self.tidy(case, io)
        shutil.rmtree(work, ignore_errors=True)
        return answers

    def masked(self, case):
        """{id: Answer} of a case, masked."""
        mask = masks.Masks(self.places)
        answers = self.run(case)
        return {name: Answer(answers[name].status, mask(answers[name].out, line.masks), mask(answers[name].err, line.masks))
                for name, line in case.compared()}

    def tidy(self, case, io):
        names = case.containers()
        if names:
            with open(f"{io}/tidy", "w", encoding="utf-8") as f:
                f.write(f"exec </dev/null >/dev/null 2>&1\n{self.d} rm -f -v {' '.join(names)}\n")
            self.shell(f"{io}/tidy")

    def stop(self):
        if self.process:
            self.process.terminate()
            self.process.wait(DEADLINE)


class Docker(Side):
    """dockerd and its client: this machine's, or those of a tree (DOCKER_TREE)."""

    def __init__(self, data, image):
        folder = f"{data}/docker"
        os.makedirs(folder)
        root, run = f"{folder}/data", f"{folder}/exec"
        super().__init__("docker", folder, "docker", {"DOCKER_HOST": f"unix://{folder}/docker.sock"}, {root: "<root>", run: "<run>", folder: "<folder>"})
        with open(f"{folder}/daemon.json", "w", encoding="utf-8") as f:
            json.dump({"data-root": root, "exec-root": run, "pidfile": f"{folder}/docker.pid", "hosts": [self.environment["DOCKER_HOST"]],
                       "bridge": "none", "iptables": False, "shutdown-timeout": 1, "storage-driver": "overlay2"}, f)
        shutil.copy(image, f"{folder}/image.tar")
        self.image = f"{folder}/image.tar"

    def start(self):
        with open(f"{self.folder}/log", "ab") as log:
            self.enter(["env", f"PATH={self.environment['PATH']}", "dockerd", "--config-file", f"{self.folder}/daemon.json"],
                       os.environ.get("DOCKER_TREE", ""), log)
        end = time.monotonic() + DEADLINE
        while "up" not in self.command("docker info >/dev/null 2>&1 && echo up")[1]:
            if self.process.poll() is not None or time.monotonic() > end:
                sys.exit(f"dockerd does not answer:\n{read(f'{self.folder}/log')[-4000:]}")
            time.sleep(0.05)
        text = self.command(f"docker load -q -i {self.image}")[1]
        if not text.startswith("Loaded"):
            sys.exit(f"dockerd takes no image:\n{text}")
        return self

    def version(self):
        """Of the engine: what dockers of one name print is the same."""
        text = self.command("docker version --format '{{.Server.Version}}'")[1]
        return ".".join(text.split(".")[:2])


class Skep(Side):
    """Skep. Its state lies on a disk."""

    def __init__(self, data, disk):
        folder = f"{data}/skep"
        os.makedirs(folder)
        self.disk = disk
        root, run = f"{disk}/root", f"{data}/skep/run"
        program = self.copied(os.path.abspath(os.environ.get("SKEP") or f"{TOP}/{os.environ.get('BUILD', 'build')}/skep"), f"{disk}/bin")
        super().__init__("skep", folder, f"{program} --root {root} --run-root {run}", {}, {root: "<root>", run: "<run>", folder: "<folder>"})

    @staticmethod
    def copied(program, to):
        """Skep and the programs beside it: they can be built anew meanwhile."""
        os.mkdir(to)
        for name in ("skep", "skep-runtime", "skep-serve", "skep-transfer"):
            shutil.copy(os.path.join(os.path.dirname(program), name), to)
        return f"{to}/skep"

    def start(self):
        self.enter(["sh", "-c", "echo ready; exec sleep infinity"])
        self.process.stdout.readline()
        ended, text = self.command(f"{self.d} image bootstrap {IMAGE} && {self.d} save -o {self.disk}/image.tar {IMAGE} && echo made")
        if not ended or not text.endswith("made\n"):
            sys.exit(f"skep makes no image:\n{text}")
        return self
