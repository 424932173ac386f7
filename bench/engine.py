"""engine.py: the measurements of bench/engine, inside the tree of peers. Writes the page on standard output."""
import json
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
SKEP = [f"{WHERE}/bin/skep", "--root", f"{WHERE}/root", "--run-root", "/run/skep-engine"]
ENGINES = {"skep": SKEP, **{p: [p] for p in PEERS}}
QUIET = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}


def note(text):
    print(f"  {text}", file=sys.stderr)


def call(engine, *args, check=True):
    done = subprocess.run([*ENGINES[engine], *args], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if check and done.returncode:
        raise SystemExit(f"bench/engine: {engine} {args}: {done.returncode}: {done.stderr}")
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
    settle()
    ticks, at = machine_ticks(), time.perf_counter()
    code = subprocess.run([*ENGINES[engine], *args], **QUIET, check=False).returncode
    wall = (time.perf_counter() - at) * 1e3
    if code:
        raise SystemExit(f"bench/engine: {engine} {args}: {code}")
    settle()
    return wall, (machine_ticks() - ticks) * 1000 / os.sysconf("SC_CLK_TCK")


def in_sequence(n):
    """n `run --rm` one after the other, with nothing in between: what is done behind a command counts too. Seconds of each engine."""
    seconds = {}
    for engine in ENGINES:
        settle()
        at = time.perf_counter()
        for _ in range(n):
            call(engine, "run", "--rm", *NONE, IMAGE, "/bin/true")
        seconds[engine] = time.perf_counter() - at
    return seconds


def make_image():
    """One tar, imported by each: two static programs."""
    path = f"{WHERE}/image.tar"
    with tarfile.open(path, "w") as tar:
        for name in "true", "pause":
            tar.add(f"{WHERE}/bin/{name}", f"bin/{name}")
    for engine in ENGINES:
        call(engine, "import", path, IMAGE)


def clear(engine):
    ids = call(engine, "ps", "-aq", check=False).split()
    for i in range(0, len(ids), 50):
        call(engine, "rm", "-f", *ids[i:i + 50], check=False)


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


NONE = ["--network", "none"]


def parallel(engine, n):
    """n `run -d` at once: seconds until all have returned, and how many run."""
    at = time.perf_counter()
    started = [subprocess.Popen([*ENGINES[engine], "run", "-d", *NONE, IMAGE, "/bin/pause"], **QUIET) for _ in range(n)]
    codes = [p.wait() for p in started]
    return time.perf_counter() - at, codes.count(0), len(call(engine, "ps", "-q").split())


def pss(pid):
    with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as f:
        return next(int(line.split()[1]) for line in f if line.startswith("Pss:"))


def attendants(names):
    """PSS (KiB) of the processes that stay with containers: by name of program."""
    sizes = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/comm", encoding="ascii") as f:
                if f.read().strip() in names:
                    sizes.append(pss(pid))
        except OSError:
            pass
    return sizes


def figure(values):
    values = sorted(values)
    return f"{statistics.median(values):.2f} ({values[0]:.2f} - {values[-1]:.2f})"


def put_rows(title, rows, asked):
    walls = {e: [w for w, _ in r] for e, r in rows.items()}
    cpus = {e: statistics.mean(c for _, c in r) for e, r in rows.items()}
    cells = [f"{figure(walls['skep'])}; CPU {cpus['skep']:.1f}"]
    for peer in PEERS:
        ratio = statistics.median(walls["skep"]) / statistics.median(walls[peer])
        least = min(walls["skep"]) / min(walls[peer])
        cells.append(f"{figure(walls[peer])}; CPU {cpus[peer]:.1f}; **{ratio:.3f}**; {least:.3f}")
    print(f"| {title} | {' | '.join(cells)} | {asked} |", flush=True)


def many_part():
    print("\n| `run -d` at once | seconds | started | running |\n|---|---|---|---|")
    for engine in ENGINES:
        n = MANY if engine == "skep" else PEERS_MANY
        note(f"{n} at once: {engine}")
        seconds, started, running = parallel(engine, n)
        print(f"| {engine}, {n} | {seconds:.2f} | {started} | {running} |", flush=True)
    names = {"skep": {"skep-monitor"}, "docker": {"containerd-shim"}, "podman": {"conmon"}}
    print(f"\nWith these containers running (peers: {PEERS_MANY}, skep: {MANY}):\n\n| | {' | '.join(ENGINES)} | asked for |\n|---|{'---|' * len(ENGINES)}---|")
    sizes = {e: attendants(names[e]) for e in ENGINES}
    print("| attendant of a container, PSS, KiB | " + " | ".join(f"{statistics.median(s):.0f}" if s else "?" for s in sizes.values()) + " | 200 |")
    rows = rounds(f"ps with {MANY}", lambda e, i: ["ps"])
    print("| `ps`, ms | " + " | ".join(figure([w for w, _ in rows[e]]) for e in ENGINES) + " | 0.05 of docker |", flush=True)
    for engine in ENGINES:
        clear(engine)


def main():
    if "docker" in PEERS:
        subprocess.run(["/lab/daemons", "start", "dockerd"], check=True, stdout=subprocess.DEVNULL)
    make_image()
    for engine in ENGINES:
        clear(engine)
        call(engine, "run", "-d", "--name", "idle", *NONE, IMAGE, "/bin/pause")
    with open("/proc/loadavg", encoding="ascii") as f:
        load = f.read().split()[:3]
    print(f"# Containers, measured beside other engines\n\n- {time.strftime('%F %R', time.gmtime())} UTC, Linux {os.uname().release}, load before: {' '.join(load)}")
    print(f"- skep: {call('skep', '--version')}")
    for peer in PEERS:
        print(f"- {peer}: {call(peer, '--version')}")
    print(f"- to repeat: `LAB_IN=… RUNS={RUNS} MANY={MANY} ./dev bench engine`\n")
    print("Wall time in ms: median (minimum - maximum); CPU: of the whole machine, mean ms. Of the others also the ratio of skep to them, of the medians and, behind")
    print("the semicolon, of the minima. Each command starts on a machine that has settled, and the CPU is counted until it has settled again.\n")
    print(f"| | skep | {' | '.join(PEERS)} | asked for |\n|---|---|{'---|' * len(PEERS)}---|")
    put_rows("`run --rm --network none` of true", rounds("run", lambda e, i: ["run", "--rm", *NONE, IMAGE, "/bin/true"]), "0.03 of docker, 0.04 of podman")
    put_rows("`run -d`", rounds("run -d", lambda e, i: ["run", "-d", "--name", f"d{i}", *NONE, IMAGE, "/bin/pause"],
                                lambda e, i: call(e, "rm", "-f", f"d{i}")), "0.02 of docker")
    put_rows("exec of true", rounds("exec", lambda e, i: ["exec", "idle", "/bin/true"]), "0.04 of docker")
    put_rows("inspect", rounds("inspect", lambda e, i: ["inspect", "idle"]), "0.05 of docker")
    put_rows("ps", rounds("ps", lambda e, i: ["ps"]), "0.05 of docker")
    if subprocess.run([*SKEP, "logs", "idle"], **QUIET, check=False).returncode == 0:
        put_rows("logs", rounds("logs", lambda e, i: ["logs", "idle"]), "0.05 of docker")
    for engine in ENGINES:
        call(engine, "rm", "-f", "idle")
    put_rows("`stop -t 0`", stops(), "")
    seconds = in_sequence(20)
    print("\n20 `run --rm` one after the other, seconds: " + ", ".join(f"{e} {s:.2f} ({seconds['skep'] / s:.3f})" for e, s in seconds.items()))
    many_part()
    print("\n" + json.dumps({"runs": RUNS, "many": MANY}))


def stops():
    def prepare(engine, i):
        call(engine, "run", "-d", "--name", f"s{i}", *NONE, IMAGE, "/bin/pause")
        return ["stop", "-t", "0", f"s{i}"]
    return rounds("stop", prepare, lambda e, i: call(e, "rm", "-f", f"s{i}"))


try:
    main()
finally:
    for every in ENGINES:
        clear(every)
    if "docker" in PEERS:
        subprocess.run(["/lab/daemons", "stop", "dockerd"], check=False, stdout=subprocess.DEVNULL)
