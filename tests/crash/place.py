"""An engine with directories of its own, the processes that belong to it, and what may be left of it: for tests that kill, race and fill."""
import ctypes
import json
import os
import select
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time

TOP = os.path.normpath(os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", ".."))
os.environ.setdefault("RUNTIME", os.path.join(TOP, os.environ.get("BUILD", "build"), "skep-runtime"))
sys.path.insert(0, os.path.join(TOP, "tests", "e2e"))
import cgroups  # noqa: E402
import netns  # noqa: E402
from engines import Engine  # noqa: E402

PATIENCE = 10  # seconds for what follows a kill by itself
ATTENDANTS = ("skep-attendant", "skep-names")  # of an engine's networks: they stay for a while after the last container


def adopt_orphans():
    """Goes on in a child, with mounts and a network of its own. The parent adopts what the child's commands leave behind, and reaps it at once."""
    libc = ctypes.CDLL(None)
    assert libc.prctl(36, 1, 0, 0, 0) == 0, "PR_SET_CHILD_SUBREAPER"
    assert libc.unshare(0x20000) == 0, "CLONE_NEWNS"
    assert libc.mount(None, b"/", None, 0x44000, None) == 0, "MS_REC | MS_PRIVATE"
    netns.enter()
    child = os.fork()
    if not child:
        libc.prctl(1, signal.SIGTERM, 0, 0, 0)  # PR_SET_PDEATHSIG
        return
    for number in signal.SIGINT, signal.SIGTERM:
        signal.signal(number, signal.SIG_IGN)
    while True:
        pid, status = os.wait()
        if pid == child:
            os._exit(abs(os.waitstatus_to_exitcode(status)))


def children(pid):
    try:
        return [int(word) for task in os.listdir(f"/proc/{pid}/task") for word in read(f"/proc/{pid}/task/{task}/children").split()]
    except OSError:
        return []


def read(path):
    try:
        with open(path, "rb") as f:
            return f.read()
    except OSError:
        return b""


class Process:
    """One of ours, as far as it can be seen from outside."""

    def __init__(self, pid, parent):
        self.pid, self.parent = pid, parent
        try:
            self.program = os.path.basename(os.readlink(f"/proc/{pid}/exe")).removesuffix(" (deleted)")
        except OSError:
            self.program = ""
        self.name = read(f"/proc/{pid}/comm").decode(errors="replace").strip()
        self.words = read(f"/proc/{pid}/cmdline").decode(errors="replace").rstrip("\0").split("\0")
        if self.words[:2] == ["skep-runtime", "monitor"]:  # it runs from a mapping that has no path
            self.program = "skep-runtime"

    @property
    def kind(self):
        if self.name in ATTENDANTS:
            return "attendant"
        if self.program == "skep":
            return "command"
        if self.program == "skep-transfer":
            return "transfer"
        if self.program != "skep-runtime":
            return None  # the container's own
        return "part" if self.parent and self.parent.program == "skep-runtime" else "monitor"

    @property
    def container(self):
        """The id, of a monitor and its parts."""
        return os.path.basename(self.words[-1]) if self.words[1:2] == ["monitor"] else None

    def __str__(self):
        return f"{self.pid} {self.name}: {' '.join(self.words)[:150]}"


class Place(Engine):
    def __init__(self, where=None):
        self.top = where or tempfile.mkdtemp(prefix="skep-engine-")
        super().__init__(self.top)
        self.seen = set()  # ids of all containers there ever were

    def processes(self):
        """All that descends from us, without ourselves."""
        found, todo = [], [(os.getppid(), None)]
        while todo:
            pid, parent = todo.pop()
            for child in children(pid):
                if child == os.getpid():
                    todo.append((child, None))
                    continue
                one = Process(child, parent)
                found.append(one)
                todo.append((child, one))
        return found

    # ---- what is left ----

    def mounts(self):
        with open("/proc/self/mountinfo", encoding="utf-8") as f:
            return [line.split(" ")[4] for line in f if self.top in line and line.split(" ")[4] != self.top]

    def cgroups_of(self, ids):
        """One path of each container that has some."""
        return [found[0] for identity in ids if (found := cgroups.leftovers(f"/skep/{identity}"))]

    def left_of(self, identity):
        """Of a container that does not run."""
        left = [f"cgroup {path}" for path in self.cgroups_of([identity])]
        left += [f"{kind}/{identity}" for kind in ("runtime", "monitors") if os.path.lexists(os.path.join(self.run_root, kind, identity))]
        return left

    def left(self):
        """Of an engine whose containers have all been removed."""
        left = [f"cgroup {path}" for path in self.cgroups_of(self.seen)]
        left += [f"mount {path}" for path in self.mounts()]
        left += [f"process {one}" for one in self.processes() if one.kind != "attendant"]
        for kind in "runtime", "monitors":
            left += [f"{kind}/{name}" for name in os.listdir(os.path.join(self.run_root, kind))]
        for kind in "containers", "volumes":
            path = os.path.join(self.root, kind)
            left += [f"{kind}/{name}" for name in (os.listdir(path) if os.path.isdir(path) else [])]
        left += [f"doomed {path}" for (path,) in self.rows("SELECT path FROM doomed")]
        return left

    def age_strays(self):
        """Directories of containers that were never made count as old: the sweep takes them, which otherwise waits for a minute."""
        path = os.path.join(self.root, "containers")
        known = {identity for (identity,) in self.rows("SELECT id FROM containers")}
        for name in set(os.listdir(path)) - known:
            try:
                os.utime(os.path.join(path, name), (0, 0))
            except FileNotFoundError:
                pass

    def remove_all(self):
        """The complaints there are."""
        bad = []
        ids = self.ids()
        if ids:
            done = self.call("rm", "-f", "-v", *ids, timeout=60)
            if done.returncode:
                bad.append(f"rm -f: {done.returncode} {done.stderr.decode()}")
        self.age_strays()
        for words in ("container", "prune", "-f"), ("volume", "prune", "-a", "-f"):
            done = self.call(*words)
            if done.returncode:
                bad.append(f"{' '.join(words)}: {done.returncode} {done.stderr.decode()}")
        return bad + settle(self.left)

    def ids(self):
        return self.call("ps", "-aq", "--no-trunc").stdout.decode().split()

    def clear(self):
        """After findings, so that nothing stays on the machine."""
        for one in self.processes():
            try:
                os.kill(one.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        for identity in self.seen:
            cgroups.remove(f"/skep/{identity}")
        for path in reversed(self.mounts()):
            subprocess.run(["umount", "-l", path], check=False)
        if not self.mounts():
            shutil.rmtree(self.top, ignore_errors=True)

    # ---- what must hold ----

    def rows(self, sql):
        db = sqlite3.connect(f"file:{self.root}/skep.db?mode=ro", uri=True, timeout=20)
        try:
            return db.execute(sql).fetchall()
        finally:
            db.close()

    def database(self):
        """What is wrong in skep.db and between it and the files. Nobody is at work."""
        bad = [f"integrity: {row[0]}" for row in self.rows("PRAGMA integrity_check") if row[0] != "ok"]
        bad += [f"a reference to nothing: {row}" for row in self.rows("PRAGMA foreign_key_check")]
        for table, column, kind in ("containers", "id", "containers"), ("volumes", "name", "volumes"):
            rows = {row[0] for row in self.rows(f"SELECT {column} FROM {table}")}
            path = os.path.join(self.root, kind)
            files = set(os.listdir(path)) if os.path.isdir(path) else set()
            bad += [f"{kind}/{name} has a row and no directory" for name in rows - files]
            if kind == "volumes":
                bad += [f"{kind}/{name} has no _data" for name in rows & files if not os.path.isdir(os.path.join(path, name, "_data"))]
        uses = "SELECT group_concat(volume, ' ') FROM volume_uses WHERE container = id"
        for identity, mounts, used in self.rows(f"SELECT id, mounts, ({uses}) FROM containers"):
            named, used = {m["Name"] for m in json.loads(mounts).get("mounts", []) if m.get("Type") == "volume"}, set((used or "").split())
            bad += [f"{identity} has the volumes {named}, volume_uses says {used}"] if named != used else []
        for name, manifest in self.rows("SELECT name, manifest FROM names WHERE manifest NOT IN (SELECT manifest FROM images)"):
            bad.append(f"image {name}: {manifest} is not there")
        return bad

    def images(self):
        """What `image check` finds, but for files without rows, which nothing serves; after a repair it finds nothing."""
        found = self.call("image", "check", timeout=120).stdout.decode().splitlines()
        bad = [line for line in found if ": " in line and not line.startswith(("file-stray", "layer-unknown", "Checked"))]
        self.call("image", "check", "--repair", timeout=120)
        again = self.call("image", "check", timeout=120)
        return bad + ([f"after --repair: {again.stdout.decode()}"] if again.returncode else [])


def settle(look, patience=PATIENCE):
    """What look() complains of even after a while."""
    until = time.monotonic() + patience
    while True:
        bad = look()
        if not bad or time.monotonic() > until:
            return bad
        time.sleep(0.02)


def await_end(pidfd, seconds):
    return bool(select.select([pidfd], [], [], seconds)[0])
