"""peers.py: what engine.py and networks.py have in common: skep and its peers inside the tree of peers, and the page."""
import os
import statistics
import subprocess
import sys
import tarfile
import time

WHERE = os.environ["WHERE"]
RUNS, MANY = int(os.environ["RUNS"]), int(os.environ["MANY"])
PEERS_MANY = 20  # of a peer: it takes long to remove them

PEERS = os.environ["PEERS"].split()
IMAGE = "localhost/bench:1"
RUN_ROOT = f"/run/{os.path.basename(WHERE)}"
SKEP = [f"{WHERE}/bin/skep", "--root", f"{WHERE}/root", "--run-root", RUN_ROOT]
ENGINES = {"skep": SKEP, **{p: [p] for p in PEERS}}
QUIET = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
NONE = ["--network", "none"]
ATTENDANTS = {"skep": {"skep-monitor"}, "docker": {"containerd-shim"}, "podman": {"conmon"}}
PLACES = {}  # engine: descriptor of the network namespace that it is in; none: where we are


def note(text):
    print(f"  {text}", file=sys.stderr, flush=True)


def enter(place):
    if place in PLACES:
        os.setns(PLACES[place], os.CLONE_NEWNET)


def call(engine, *args, check=True):
    enter(engine)
    done = subprocess.run([*ENGINES[engine], *args], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if check and done.returncode:
        raise SystemExit(f"bench: {engine} {args}: {done.returncode}: {done.stderr}")
    return done.stdout.strip()


def machine_ticks():
    with open("/proc/stat", encoding="ascii") as f:
        fields = [int(x) for x in f.readline().split()[1:]]
    return sum(fields) - fields[3] - fields[4]


def settle():
    """Waits until what a command has left behind (daemons, cleaners, the kernel's own work) is done: 60 ms with at most one busy tick, 3 s at most."""
    for _ in range(50):
        ticks = machine_ticks()
        time.sleep(0.06)
        if machine_ticks() - ticks <= 1:
            return


def timed(engine, *args):
    """(wall ms, CPU ms of the whole machine until it is quiet again). It starts on a quiet machine: nobody pays for the one before."""
    enter(engine)
    settle()
    ticks, at = machine_ticks(), time.perf_counter()
    code = subprocess.run([*ENGINES[engine], *args], **QUIET, check=False).returncode
    wall = (time.perf_counter() - at) * 1e3
    if code:
        raise SystemExit(f"bench: {engine} {args}: {code}")
    settle()
    return wall, (machine_ticks() - ticks) * 1000 / os.sysconf("SC_CLK_TCK")


def make_image(*programs):
    """One tar, imported by each: static programs."""
    path = f"{WHERE}/image.tar"
    with tarfile.open(path, "w") as tar:
        for name in programs:
            tar.add(f"{WHERE}/bin/{name}", f"bin/{name}")
    for engine in ENGINES:
        call(engine, "import", path, IMAGE)


def remove(engine):
    """podman waits for programs that do not end by themselves."""
    return ["rm", "-f", *(["-t", "0"] if engine == "podman" else [])]


def clear(engine):
    ids = call(engine, "ps", "-aq", check=False).split()
    for i in range(0, len(ids), 50):
        call(engine, *remove(engine), *ids[i:i + 50], check=False)


def rounds(name, prepare=None, after=None, runs=RUNS):
    """Each engine in turn, so that what else the machine does hits all alike."""
    note(name)
    rows = {engine: [] for engine in ENGINES}
    for i in range(runs):
        for engine in ENGINES:
            rows[engine].append(timed(engine, *prepare(engine, i)))
            if after:
                after(engine, i)
    return rows


def parallel(engine, n, *options):
    """n `run -d` at once: seconds until all have returned, and how many started."""
    enter(engine)
    at = time.perf_counter()
    started = [subprocess.Popen([*ENGINES[engine], "run", "-d", *options, IMAGE, "/bin/pause"], **QUIET) for _ in range(n)]
    codes = [p.wait() for p in started]
    return time.perf_counter() - at, codes.count(0)


def pss(pid):
    with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as f:
        return next(int(line.split()[1]) for line in f if line.startswith("Pss:"))


def lives_in(pid, place):
    """Is it in that network namespace, or its parent? One with fewer privileges may have left its engine's."""
    if os.readlink(f"/proc/{pid}/ns/net") == place:
        return True
    with open(f"/proc/{pid}/stat", encoding="ascii") as f:
        parent = f.read().rsplit(")", 1)[1].split()[1]
    return os.readlink(f"/proc/{parent}/ns/net") == place


def sizes(engine, names):
    """PSS (KiB) of the processes with these names that live in the engine's network namespace: others have such, too."""
    enter(engine)
    found, here = [], os.readlink("/proc/self/ns/net")
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/comm", encoding="ascii") as f:
                if f.read().strip() in names and lives_in(pid, here):
                    found.append(pss(pid))
        except OSError:
            pass
    return found


def figure(values):
    values = sorted(values)
    return f"{statistics.median(values):.2f} ({values[0]:.2f} - {values[-1]:.2f})"


def head(title, repeat):
    with open("/proc/loadavg", encoding="ascii") as f:
        load = f.read().split()[:3]
    print(f"# {title}\n\n- {time.strftime('%F %R', time.gmtime())} UTC, Linux {os.uname().release}, load before: {' '.join(load)}")
    print(f"- skep: {call('skep', '--version')}")
    for peer in PEERS:
        print(f"- {peer}: {call(peer, '--version')}")
    print(f"- to repeat: `LAB_IN=… {repeat}`\n", flush=True)


def dockerd(verb):
    if "docker" in PEERS:
        enter("docker")
        subprocess.run(["/lab/daemons", verb, "dockerd"], check=verb == "start", stdout=subprocess.DEVNULL)
