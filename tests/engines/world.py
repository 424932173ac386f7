"""A world of their own for the engines: what they mount, route and start there ends with it, and the machine's stays as it is.

The tests go on in a child process: process 1 of new pid, mount, network, IPC, UTS and cgroup namespaces is below the first one, and
pytest below that. When pytest ends, the kernel ends whatever is left in the pid namespace, and with it all mounts; the parent
then removes the control groups.
"""
import ctypes
import os
import shutil
import signal
import sys
import tempfile
import time

NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWPID, NEWNET = 0x20000, 0x2000000, 0x4000000, 0x8000000, 0x20000000, 0x40000000
NOSUID, NODEV, NOEXEC, BIND, REC, PRIVATE, SHARED = 2, 4, 8, 4096, 16384, 1 << 18, 1 << 20

LIBC = ctypes.CDLL(None, use_errno=True)


def check(result, what):
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")


def mount(source, target, kind=None, flags=0, data=None):
    encoded = [None if text is None else text.encode() for text in (source, target, kind, data)]
    check(LIBC.mount(encoded[0], encoded[1], encoded[2], ctypes.c_ulong(flags), encoded[3]), f"mount {kind or source} on {target}")


def hierarchies():
    """[(mount point, type, options)] of the control groups; of several mounts at one place the last is what one sees."""
    found = {}
    with open("/proc/self/mountinfo", encoding="utf-8") as f:
        for line in f:
            fields, _, rest = line.strip().partition(" - ")
            kind, _, options = rest.split(" ")[:3]
            at = fields.split(" ")[4]
            if kind in ("cgroup", "cgroup2") and at.startswith("/sys/fs/cgroup"):
                found[at] = (at, kind, ",".join(word for word in options.split(",") if word not in ("rw", "ro")))
    return list(found.values())


def unified():
    return all(kind == "cgroup2" for _, kind, _ in hierarchies())


def cgroup_path(pid, kind, options):
    """A process's path in a hierarchy."""
    with open(f"/proc/{pid}/cgroup", encoding="utf-8") as f:
        for line in f:
            _, controllers, path = line.strip().split(":", 2)
            if (not controllers and kind == "cgroup2") or (controllers and set(controllers.split(",")) <= set(options.split(","))):
                return path.rstrip("/")
    return ""


def cgroup_file(pid, v1, v2):
    """The content of a file of a process's control group; it has one name in each version."""
    for at, kind, options in hierarchies():
        if unified() or v1.split(".")[0] in options.split(","):
            return read(f"{at}{cgroup_path(pid, kind, options)}/{v2 if unified() else v1}")
    raise LookupError(f"no hierarchy with {v1}")


def write(path, text):
    with open(path, "w", encoding="utf-8") as f:
        f.write(text)


def read(path):
    with open(path, encoding="utf-8") as f:
        return f.read().strip()


class Cgroups:
    """One group of ours in every hierarchy; in the world it is the root."""

    def __init__(self, name):
        self.made = []
        for at, kind, options in hierarchies():
            parent = at + cgroup_path("self", kind, options)
            if unified() or not os.path.isdir(parent): # where there are processes, v2 gives no controllers to groups below
                parent = at
            path = f"{parent}/{name}"
            os.mkdir(path)
            for file in ("cpuset.cpus", "cpuset.mems"):
                if kind == "cgroup" and os.path.exists(f"{path}/{file}"):
                    write(f"{path}/{file}", read(f"{parent}/{file}"))
            self.made.append(path)

    def enter(self):
        for path in self.made:
            write(f"{path}/cgroup.procs", "0")

    def delegate(self):
        """In the world, pure cgroup v2: a group that has children with controllers has no processes itself."""
        if unified():
            os.mkdir("/sys/fs/cgroup/tests")
            for pid in read("/sys/fs/cgroup/cgroup.procs").split():
                write("/sys/fs/cgroup/tests/cgroup.procs", pid)
            for controller in read("/sys/fs/cgroup/cgroup.controllers").split():
                write("/sys/fs/cgroup/cgroup.subtree_control", f"+{controller}")

    def remove(self):
        for top in self.made:
            for here, _, _ in os.walk(top, topdown=False):
                for _ in range(200): # what the kernel still takes apart keeps its group busy for a moment
                    try:
                        os.rmdir(here)
                        break
                    except FileNotFoundError:
                        break
                    except OSError:
                        time.sleep(0.01)


def furnish(data, layout):
    """The mounts of the world; data is an empty directory that becomes its storage."""
    mount(None, "/", flags=REC | PRIVATE)
    mount("tmpfs", data, "tmpfs", 0, "mode=755")
    mount("proc", "/proc", "proc", NOSUID | NODEV | NOEXEC)
    mount("sysfs", "/sys", "sysfs", NOSUID | NODEV | NOEXEC)
    if len(layout) > 1:
        mount("tmpfs", "/sys/fs/cgroup", "tmpfs", NOSUID | NODEV | NOEXEC, "mode=755")
    for at, kind, options in layout:
        os.makedirs(at, exist_ok=True)
        mount("cgroup", at, kind, NOSUID | NODEV | NOEXEC, options if kind == "cgroup" else None)
    mount("tmpfs", "/run", "tmpfs", NOSUID | NODEV, "mode=755")
    os.makedirs("/run/lock")
    mount("tmpfs", "/dev/shm", "tmpfs", NOSUID | NODEV, "mode=1777") # the locks of all podmans lie there
    for path in ("/etc/containers", "/etc/cni", "/etc/docker", "/etc/containerd", "/var/lib/containers", "/var/lib/containerd", "/var/lib/docker",
                 "/var/lib/cni", "/var/tmp"):
        if os.path.isdir(path):
            mine = data + "/of" + path
            os.makedirs(mine)
            mount(mine, path, flags=BIND)
    os.chmod("/var/tmp", 0o1777)
    mount(None, "/", flags=REC | SHARED)
    os.makedirs(f"{data}/home")
    os.environ.update(HOME=f"{data}/home", PODMAN_IGNORE_CGROUPSV1_WARNING="1")


def be_init(child):
    """Process 1: adopts and reaps, until pytest ends."""
    while True:
        pid, status = os.wait()
        if pid == child:
            return abs(os.waitstatus_to_exitcode(status))


def enter():
    """Returns in the world, as an ordinary process of it, with the directory of its storage."""
    data = f"{tempfile.gettempdir()}/skep-engines-{os.urandom(6).hex()}" # podman makes names of images of paths in it: none with "-_"
    os.mkdir(data, 0o700)
    cgroups = Cgroups(os.path.basename(data))
    layout = hierarchies()
    outside = os.fork()
    if outside:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, lambda *_: os.kill(outside, signal.SIGTERM))
        code = be_init(outside)
        cgroups.remove()
        shutil.rmtree(data, ignore_errors=True)
        sys.stdout.flush()
        os._exit(code)
    LIBC.prctl(1, signal.SIGKILL, 0, 0, 0) # PR_SET_PDEATHSIG
    check(LIBC.unshare(NEWNS | NEWUTS | NEWIPC | NEWPID | NEWNET), "unshare")
    init = os.fork()
    if init:
        signal.signal(signal.SIGTERM, lambda *_: os.kill(init, signal.SIGKILL))
        os._exit(be_init(init))
    LIBC.prctl(1, signal.SIGKILL, 0, 0, 0)
    cgroups.enter()
    check(LIBC.unshare(NEWCGROUP), "unshare")
    furnish(data, layout)
    tests = os.fork()
    if tests:
        os._exit(be_init(tests))
    cgroups.delegate()
    return data
