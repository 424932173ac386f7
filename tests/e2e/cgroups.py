"""Control groups as the tests look at them: whichever layout the machine has."""
import os
import re
import signal


def hierarchies():
    """[(controllers, mount point)]: {"memory"}, {"name=systemd"}; {""} is the unified one."""
    found = []
    with open("/proc/self/mountinfo", encoding="utf-8") as f:
        for line in f:
            fields, _, rest = line.partition(" - ")
            kind, _, options = rest.split(" ")[:3]
            if kind == "cgroup2":
                found.append(({""}, fields.split(" ")[4]))
            elif kind == "cgroup":
                found.append((set(options.strip().split(",")) - {"rw", "ro", "xattr", "clone_children"}, fields.split(" ")[4]))
    return found


def unified():
    return all(controllers == {""} for controllers, _ in hierarchies())


def directory(path, controller):
    """The container's directory in the hierarchy of a controller."""
    for controllers, mount in hierarchies():
        if controller in controllers or (unified() and controllers == {""}):
            return mount + path
    raise LookupError(f"no cgroup hierarchy with {controller}")


def read(path, v1, v2):
    """The content of a file that has one name in each version, as in read("/x", "memory.limit_in_bytes", "memory.max")."""
    name = v2 if unified() else v1
    with open(os.path.join(directory(path, v1.split(".")[0]), name), encoding="utf-8") as f:
        return f.read().strip()


def leftovers(path):
    """Directories of that cgroup path that still stand."""
    return [mount + path for _, mount in hierarchies() if os.path.isdir(mount + path)]


def remove(path):
    """Kills what is in a cgroup path and removes it; for the cleaning up after a failed test. Others may remove it meanwhile."""
    for top in leftovers(path):
        for here, _, _ in os.walk(top, topdown=False):
            try:
                with open(os.path.join(here, "cgroup.procs"), encoding="utf-8") as f:
                    for pid in f.read().split():
                        os.kill(int(pid), signal.SIGKILL)
                os.rmdir(here)
            except OSError:
                pass


def processes(text):
    """Pids of living processes whose cgroup path or command line has the text."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/stat", "rb") as f:
                if f.read().rpartition(b")")[2].split()[0] in b"ZX":
                    continue
        except OSError:
            continue
        for name in ("cgroup", "cmdline"):
            try:
                with open(f"/proc/{pid}/{name}", "rb") as f:
                    data = f.read()
            except OSError:
                continue
            if re.search(re.escape(text.encode()) + rb"(?![\w-])", data) and int(pid) != os.getpid():
                found.append(int(pid))
                break
    return found
