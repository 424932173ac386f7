"""A disk that remembers (blocklog.c), and the disks that a power cut may leave of it."""
import bisect
import collections
import mmap
import os
import struct
import subprocess
import threading
import time

HEAD = struct.Struct("=IIQ")
SECTOR, PAGE = 512, 4096
DEADLINE = 30

Record = collections.namedtuple("Record", "kind offset start length")  # start: of its bytes in the log


def run(*command):
    done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=DEADLINE, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)}: {done.stdout.decode(errors='replace').strip()}")


def make_file_system(path, kind, megabytes):
    with open(path, "wb") as f:
        f.truncate(megabytes << 20)
    options = {"ext4": ["-q", "-F", "-E", "lazy_itable_init=0,lazy_journal_init=0,nodiscard"], "xfs": ["-q", "-K"], "btrfs": ["-q", "-K"]}[kind]
    run(f"mkfs.{kind}", *options, path)


def copy(source, to):
    """With its holes."""
    run("cp", "--sparse=auto", "--reflink=auto", source, to)


def mount(image, where, kind, options=""):
    os.makedirs(where, exist_ok=True)
    run("mount", "-t", kind, "-o", ",".join(filter(None, ("loop", options))), image, where)


def unmount(where):
    """What still uses it are processes that were just killed or that end by themselves."""
    end = time.monotonic() + DEADLINE
    while True:
        try:
            run("umount", where)
            return
        except RuntimeError as e:
            if "busy" not in str(e) or time.monotonic() > end:
                raise
            time.sleep(0.01)


class Recorder:
    """The image as a disk, mounted; all that happens to it goes to the log."""

    def __init__(self, blocklog, image, log, where, kind):
        self.where, self.lock = where, threading.Lock()
        disk = f"{image}.disk"
        with open(disk, "wb"):
            pass
        self.process = subprocess.Popen([blocklog, disk, image, log], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.answer()
        try:
            # a commit of the journal each second, not each fifth: what a program forgets to sync then is half written more often
            mount(disk, where, kind, "commit=1" if kind != "xfs" else "")
        except RuntimeError:
            self.end()
            raise

    def answer(self):
        if self.process.stdout.read(1) != b"m":
            raise RuntimeError("blocklog ended")

    def mark(self, text):
        """What was promised stands in the log from here on."""
        with self.lock:
            self.process.stdin.write(text.encode() + b"\n")
            self.process.stdin.flush()
            self.answer()

    def end(self):
        self.process.stdin.close()
        self.process.wait(DEADLINE)
        self.process.stdout.close()

    def close(self):
        unmount(self.where)
        self.end()


class Log:
    def __init__(self, path):
        with open(path, "rb") as f:
            self.data = mmap.mmap(f.fileno(), 0, prot=mmap.PROT_READ)
        self.records, at = [], 0
        while at < len(self.data):
            kind, length, offset = HEAD.unpack_from(self.data, at)
            self.records.append(Record(chr(kind), offset, at + HEAD.size, length))
            at += HEAD.size + length
        self.flushes = [i for i, r in enumerate(self.records) if r.kind == "F"]
        self.marks = [i for i, r in enumerate(self.records) if r.kind == "M"]

    def bytes_of(self, record):
        return self.data[record.start:record.start + record.length]

    def marks_before(self, cut):
        return [self.bytes_of(self.records[i]).decode() for i in self.marks[:bisect.bisect_left(self.marks, cut)]]

    def durable(self, cut):
        """Records before this one are on the disk when the power goes at cut: a flush came after them."""
        n = bisect.bisect_left(self.flushes, cut)
        return self.flushes[n - 1] if n else 0

    def choose_cuts(self, rand, n):
        """Half of them anywhere between the first mark and the last, half soon after a mark: it is then that promises are fresh."""
        first, last = self.marks[0], self.marks[-1]
        cuts = []
        for i in range(n):
            cut = rand.randint(first, last) if i % 2 else rand.choice(self.marks) + 1 + rand.choice((0, 0, 1, 2, 5, 20))
            cuts.append(min(max(cut, first + 1), last + 1))
        return sorted(cuts)


def torn(rand, record, unit):
    """A random half of it, in pieces."""
    return [(at, min(at + unit, record.length)) for at in range(0, record.length, unit) if rand.random() < 0.5]


class Disks:
    """The disks that cuts may leave. To be asked for with growing cuts."""

    def __init__(self, log, start, scratch):
        self.log, self.at = log, 0
        self.base, self.image = os.path.join(scratch, "base.img"), os.path.join(scratch, "cut.img")
        copy(start, self.base)

    def write(self, fd, record, parts=None):
        for begin, end in parts if parts is not None else [(0, record.length)]:
            os.pwrite(fd, memoryview(self.log.data)[record.start + begin:record.start + end], record.offset + begin)

    def cut(self, cut, rand):
        """(path, how): all that was flushed, and of what was written since then, some."""
        records, durable = self.log.records, self.log.durable(cut)
        fd = os.open(self.base, os.O_RDWR | os.O_CLOEXEC)
        for record in records[self.at:durable]:
            if record.kind == "W":
                self.write(fd, record)
        os.close(fd)
        self.at = max(self.at, durable)
        if os.path.exists(self.image):
            os.unlink(self.image)
        copy(self.base, self.image)
        return self.image, self.spill(cut, rand)

    def spill(self, cut, rand):
        pending = [r for r in self.log.records[self.at:cut] if r.kind == "W"]
        how = rand.choice(("none", "all", "few", "half", "half", "most"))
        share = {"none": 0, "all": 1, "few": 0.1, "half": 0.5, "most": 0.9}[how]
        unit = rand.choice((SECTOR, PAGE, 0, 0))
        fd, n = os.open(self.image, os.O_RDWR | os.O_CLOEXEC), 0
        for record in pending:
            if rand.random() >= share:
                continue
            n += 1
            self.write(fd, record, torn(rand, record, unit) if unit and how not in ("none", "all") and rand.random() < 0.5 else None)
        os.close(fd)
        return f"{n} of {len(pending)} unflushed writes" + (f", torn at {unit}" if unit and how not in ("none", "all") else "")


class Neighbour:
    """Another program on the same disk, which syncs what is its own: the journal commits whatever others have under way then."""

    def __init__(self, where, rand):
        self.path, self.rand, self.stop = os.path.join(where, "neighbour"), rand, threading.Event()
        self.thread = threading.Thread(target=self.work)
        self.thread.start()

    def work(self):
        with open(self.path, "ab") as f:
            while not self.stop.wait(self.rand.choice((0.001, 0.003, 0.01, 0.03))):
                f.write(b"neighbour\n")
                f.flush()
                os.fsync(f.fileno())

    def close(self):
        self.stop.set()
        self.thread.join()


def keep(paths, where):
    """Of a finding: what is needed to look at it again."""
    os.makedirs(where, exist_ok=True)
    for path in paths:
        copy(path, where)
