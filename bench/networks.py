"""networks.py: the measurements of bench/networks, inside the tree of peers. Writes the page on standard output. Each engine has a network namespace of its own, and
another one beside it, "outside", that stands for the next machine."""
import json
import os
import resource
import statistics
import subprocess
import time

from peers import (ATTENDANTS, ENGINES, IMAGE, MANY, NONE, PEERS, PEERS_MANY, PLACES, RUNS, WHERE, call, clear, dockerd, enter, figure, head,
                   make_image, note, parallel, remove, settle, sizes, timed)

PORTS, ROUNDS, SECONDS = int(os.environ["PORTS"]), int(os.environ["ROUNDS"]), os.environ["SECONDS_EACH"]
PARTS = os.environ["PARTS"].split() or ["starts", "many", "connections", "throughput", "names", "ports", "heal", "memory"]
FLOW, OUTSIDE = f"{WHERE}/bin/flow", " outside"
HOST = "10.99.0.1"  # of the engine's namespace, on the wire to the outside
INNER, PUBLISHED, HOSTS, FIRST = "7000", "8080", "7001", 20000
CLIENTS, TIMES, LOOKUPS = "4", "5000", "100000"


# ---- places ----

def ip(*words):
    subprocess.run(["ip", *words], check=True)


def make_places():
    for place in [e + s for e in ENGINES for s in ("", OUTSIDE)]:
        os.unshare(os.CLONE_NEWNET)
        PLACES[place] = os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        ip("link", "set", "lo", "up")
    for engine in ENGINES:
        enter(engine)
        ip("link", "add", "wire", "type", "veth", "peer", "name", "wire", "netns", f"/proc/{os.getpid()}/fd/{PLACES[engine + OUTSIDE]}")
        for place, address in (engine, HOST), (engine + OUTSIDE, "10.99.0.2"):
            enter(place)
            ip("addr", "add", f"{address}/24", "dev", "wire")
            ip("link", "set", "wire", "up")


def flow(place, *args, inside=None):
    """Its figures. place: an engine, or an engine and OUTSIDE; inside: a container."""
    enter(place)
    program = [*ENGINES[place], "exec", inside, "/bin/flow"] if inside else [FLOW]
    done = subprocess.run([*program, *args], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"bench/networks: {place}: flow {args}: {done.stderr}")
    return [float(x) for x in done.stdout.split()]


def serve_here(engine):
    enter(engine)
    return subprocess.Popen([FLOW, "serve", HOSTS], stdin=subprocess.DEVNULL, start_new_session=True)


def run(engine, name, *options, program=("/bin/pause",)):
    call(engine, "run", "-d", "--name", name, *options, IMAGE, *program)


def endpoint(engine, name):
    networks = json.loads(call(engine, "inspect", name))[0]["NetworkSettings"]["Networks"]
    return next(iter(networks.values()))


# ---- the page ----

def table(title, last="asked for"):
    print(f"\n| {title} | {' | '.join(ENGINES)} | {last} |\n|---|{'---|' * (len(ENGINES) + 1)}", flush=True)


def put(title, values, asked=""):
    """values: of each engine; the ratio is skep's median to the peer's."""
    cells = [figure(values["skep"])]
    for peer in PEERS:
        ratio = statistics.median(values["skep"]) / statistics.median(values[peer]) if values.get(peer) else 0
        cells.append(f"{figure(values[peer])}; **{ratio:.3f}**" if values.get(peer) else "-")
    print(f"| {title} | {' | '.join(cells)} | {asked} |", flush=True)


def put_text(title, texts, asked=""):
    print(f"| {title} | {' | '.join(texts.get(e, '-') for e in ENGINES)} | {asked} |", flush=True)


# ---- starts and ends ----

def beside_none(name, command, before=None, after=None):
    """A command on the bridge and without a network, in turn: {engine: {"bridge": ms, "none": ms}}"""
    note(name)
    rows = {e: {"bridge": [], "none": []} for e in ENGINES}
    for i in range(RUNS):
        for engine in ENGINES:
            for mode, options in ("bridge", []), ("none", NONE):
                if before:
                    before(engine, f"b{i}", options)
                rows[engine][mode].append(timed(engine, *command(engine, f"b{i}", options))[0])
                if after:
                    after(engine, f"b{i}")
    return rows


def put_beside(title, rows, asked):
    for mode in "bridge", "none":
        put(f"{title}, {mode}", {e: rows[e][mode] for e in ENGINES})
    more = {e: [f(rows[e]["bridge"]) - f(rows[e]["none"]) for f in (statistics.median, min)] for e in ENGINES}
    put_text("more on the bridge: medians; minima", {e: f"**{m[0]:+.2f}**; {m[1]:+.2f}" for e, m in more.items()}, asked)


def run_detached(engine, name, options):
    run(engine, name, *options)


def starts_part():
    def drop(engine, name):
        call(engine, *remove(engine), name)
    table("ms")
    put_beside("`run --rm` of true", beside_none("run --rm", lambda e, n, o: ["run", "--rm", *o, IMAGE, "/bin/true"]), "at most 6 more")
    put_beside("`run -d`", beside_none("run -d", lambda e, n, o: ["run", "-d", "--name", n, *o, IMAGE, "/bin/pause"], after=drop), "attach: 2.5")
    put_beside("`rm -f`", beside_none("rm -f", lambda e, n, o: [*remove(e), n], before=run_detached), "does not wait for the kernel")


def many_part():
    print("\n| `run -d` at once, on one bridge | seconds | started | different addresses | removed with one `rm -f`, seconds | asked for |\n|---|---|---|---|---|---|")
    for engine in ENGINES:
        n = MANY if engine == "skep" else PEERS_MANY
        note(f"{n} at once: {engine}")
        settle()
        seconds, started = parallel(engine, n)
        ids = [i for i in call(engine, "ps", "-q").split() if i not in call(engine, "ps", "-q", "--filter", "name=idle")]
        found = json.loads(call(engine, "inspect", *ids))
        addresses = {next(iter(c["NetworkSettings"]["Networks"].values()))["IPAddress"] for c in found} - {""}
        memory_rows(engine, f"{n} more")
        at = time.perf_counter()
        call(engine, *remove(engine), *ids)
        print(f"| {engine}, {n} | {seconds:.2f} | {started} | {len(addresses)} | {time.perf_counter() - at:.2f} | {'1.5' if engine == 'skep' else ''} |",
              flush=True)


# ---- memory ----

MEMORY = []


def memory_rows(engine, when):
    if engine == "skep":
        for what, names in ("monitor of a container", ATTENDANTS["skep"]), ("attendant of networks", {"skep-attendant"}), ("its child for names", {"skep-names"}):
            found = sizes(engine, names)
            MEMORY.append((f"{what}, {when}", f"{statistics.median(found):.0f}" if found else "none"))


def memory_part():
    print("\n| skep, PSS, KiB | | asked for |\n|---|---|---|")
    for what, size in MEMORY:
        print(f"| {what} | {size} | {'200' if 'monitor' in what else ''} |", flush=True)


# ---- connections and bytes ----

def start_servers():
    for engine in ENGINES:
        run(engine, "server", "-p", f"{PUBLISHED}:{INNER}", program=("/bin/flow", "serve", INNER))
        run(engine, "client")


def drop_all(*names):
    for engine in ENGINES:
        call(engine, *remove(engine), *names)


def collect(name, measure):
    """ROUNDS times, each engine in turn."""
    note(name)
    values = {e: [] for e in ENGINES}
    for _ in range(ROUNDS):
        for engine in ENGINES:
            values[engine].append(measure(engine))
    return values


def connections_part():
    start_servers()
    hosts = [serve_here(e) for e in ENGINES]
    time.sleep(0.3)
    table(f"new connections per second, {CLIENTS} clients")
    for title, place, host, port, asked in (
            ("published port, from outside", OUTSIDE, HOST, PUBLISHED, "1 of podman"), ("published port, on 127.0.0.1", "", "127.0.0.1", PUBLISHED, "1 of podman"),
            ("plain, from outside", OUTSIDE, HOST, HOSTS, ""), ("plain, on 127.0.0.1", "", "127.0.0.1", HOSTS, "")):
        put(title, collect(title, lambda e, s=place, h=host, p=port: flow(e + s, "rate", h, p, SECONDS, CLIENTS)[0]), asked)
    table("connect and a byte there and back, one after the other: median; 99 %, µs")
    for title, place, host in ("published port, from outside", OUTSIDE, HOST), ("published port, on 127.0.0.1", "", "127.0.0.1"):
        found = collect(title, lambda e, s=place, h=host: flow(e + s, "latency", h, PUBLISHED, TIMES))
        for k, what in enumerate(("median", "99 %")):
            put(f"{title}: {what}", {e: [v[k] for v in found[e]] for e in ENGINES})
    stop(hosts)
    drop_all("server", "client")


def stop(hosts):
    for p in hosts:
        os.killpg(p.pid, 15)
        p.wait()


def throughput_part():
    start_servers()
    hosts = [serve_here(e) for e in ENGINES]
    time.sleep(0.3)
    at = {e: endpoint(e, "server") for e in ENGINES}
    table("Gbit/s")
    ways = (("container to container", lambda e: flow(e, "send", at[e]["IPAddress"], INNER, SECONDS, inside="client")),
            ("container to host", lambda e: flow(e, "send", at[e]["Gateway"], HOSTS, SECONDS, inside="client")),
            ("host to container", lambda e: flow(e, "send", at[e]["IPAddress"], INNER, SECONDS)),
            ("published port, from outside", lambda e: flow(e + OUTSIDE, "send", HOST, PUBLISHED, SECONDS)),
            ("published port, on 127.0.0.1", lambda e: flow(e, "send", "127.0.0.1", PUBLISHED, SECONDS)),
            ("plain, on 127.0.0.1", lambda e: flow(e, "send", "127.0.0.1", HOSTS, SECONDS)))
    for title, measure in ways:
        put(title, collect(title, lambda e, m=measure: m(e)[0]), "1 of docker" if "plain" not in title else "")
    stop(hosts)
    drop_all("server", "client")


# ---- names ----

def names_part():
    for engine in ENGINES:
        call(engine, "network", "create", "bench")
        run(engine, "asker", "--network", "bench")
        run(engine, "other", "--network", "bench")
    time.sleep(0.3)
    table("lookups of a container's name, from within a container")
    for title, lookups, askers, window in ("1 asker", 20000, "1", "1"), ("1 asker, 8 queries under way", 100000, "1", "8"), ("8 askers", 10000, "8", "1"):
        n = {e: str(lookups if e == "skep" else lookups // 10) for e in ENGINES}
        found = collect(title, lambda e, a=askers, w=window, n=n: flow(e, "names", "other", n[e], a, w, inside="asker"))
        put(f"{title}: per second", {e: [v[0] for v in found[e]] for e in ENGINES}, "50,000")
        put(f"{title}: median, µs", {e: [v[1] for v in found[e]] for e in ENGINES})
        put(f"{title}: 99 %, µs", {e: [v[2] for v in found[e]] for e in ENGINES}, "1000")
        put_text(f"{title}: lost", {e: f"{sum(v[3] for v in found[e]):.0f}" for e in ENGINES})
    memory_rows("skep", "with two on a user network that have asked names")
    drop_all("asker", "other")


# ---- many ports ----

def range_of(first):
    return ["-p", f"{first}-{first + PORTS - 1}:{first}-{first + PORTS - 1}"]


def ports_part():
    print(f"\n| skep, {PORTS} published ports | median | minimum - maximum | asked for |\n|---|---|---|---|")

    def line(title, values, asked=""):
        print(f"| {title} | {statistics.median(values):.2f} | {min(values):.2f} - {max(values):.2f} | {asked} |", flush=True)
    note("rules alone")
    for name, median, least, most in (r.split("\t") for r in subprocess.run([f"{WHERE}/bin/rules", str(PORTS)], check=True, capture_output=True,
                                                                             text=True).stdout.splitlines()):
        title, asked = {"load": ("rules: load all", "100"), "unload": ("rules: take all away", ""), "add": ("rules: one more", "0.2"),
                        "take": ("rules: one less", "")}[name]
        print(f"| {title}, ms | {float(median) / 1e3:.3f} | {float(least) / 1e3:.3f} - {float(most) / 1e3:.3f} (90 %) | {asked} |", flush=True)
    run("skep", "server", "-p", f"{PUBLISHED}:{INNER}", program=("/bin/flow", "serve", INNER))
    holders, took = [], {k: [] for k in ("few", "all", "all rm", "one", "one rm", "bare", "bare rm")}
    ways = [("outside", OUTSIDE, HOST), ("127.0.0.1", "", "127.0.0.1")]
    found = {(many, way[0]): [] for many in (False, True) for way in ways}
    for _ in range(ROUNDS):
        note("latency with 1 and with all")
        for name, place, host in ways:
            found[False, name].append(flow("skep" + place, "latency", host, PUBLISHED, TIMES))
        took["few"].append(timed("skep", "run", "-d", "--name", "bare", IMAGE, "/bin/pause")[0])
        call("skep", "rm", "-f", "bare")
        took["all"].append(timed("skep", "run", "-d", "--name", "all", *range_of(FIRST), IMAGE, "/bin/pause")[0])
        for name, place, host in ways:
            found[True, name].append(flow("skep" + place, "latency", host, PUBLISHED, TIMES))
        for key, options in ("one", ["-p", "60000:80"]), ("bare", []):
            for _ in range(3):
                took[key].append(timed("skep", "run", "-d", "--name", key, *options, IMAGE, "/bin/pause")[0])
                took[key + " rm"].append(timed("skep", "rm", "-f", key)[0])
        holders = sizes("skep", ATTENDANTS["skep"])
        took["all rm"].append(timed("skep", "rm", "-f", "all")[0])
    for key, title in (("few", "`run -d` without ports, ms"), ("all", "`run -d` with all of them, ms"), ("all rm", "`rm -f` of it, ms"),
                       ("bare", "`run -d` without ports beside it, ms"), ("one", "`run -d` with one port beside it, ms"), ("bare rm", "`rm -f`, without ports, ms"),
                       ("one rm", "`rm -f`, with one port, ms")):
        line(title, took[key])
    for name, _, _ in ways:
        for k, what in enumerate(("median", "99 %")):
            one, all_ = ([v[k] for v in found[many, name]] for many in (False, True))
            ratio, least = statistics.median(all_) / statistics.median(one), min(all_) / min(one)
            line(f"connect and a byte, {name}, {what}, 1 port, µs", one)
            line(f"the same with all: **{ratio:.3f}** of that (of the minima {least:.3f})", all_, "1.10")
    MEMORY.append((f"monitor of a container with {PORTS} ports", f"{max(holders)}"))
    call("skep", "rm", "-f", "server")


# ---- healing ----

def heal_part():
    print("\n| skep, how long no connection comes through a published port after `nft flush ruleset`, ms | median | minimum - maximum |\n|---|---|---|")
    run("skep", "server", "-p", f"{PUBLISHED}:{INNER}", program=("/bin/flow", "serve", INNER))
    for title, options in ("with one port", None), (f"with {PORTS + 1} ports", range_of(FIRST)):
        if options:
            run("skep", "all", *options)
        values = []
        for _ in range(ROUNDS):
            time.sleep(5)  # one who flushes again and again is healed ever slower
            values += flow("skep", "healed", "127.0.0.1", PUBLISHED, "nft", "flush", "ruleset")
        print(f"| {title} | {statistics.median(values):.1f} | {min(values):.1f} - {max(values):.1f} |", flush=True)
    call("skep", "rm", "-f", "server", "all")


def main():
    resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
    make_places()
    dockerd("start")
    make_image("true", "pause", "flow")
    for engine in ENGINES:
        clear(engine)
        call(engine, "network", "rm", "bench", check=False)
        run(engine, "idle")
    head("Networks of containers, measured beside other engines", f"RUNS={RUNS} MANY={MANY} PORTS={PORTS} ROUNDS={ROUNDS} ./dev bench networks")
    print("Median (minimum - maximum); of the others also the ratio of skep's median to theirs. Each engine is in a network namespace of its own, with one idle container;")
    print(f"rates are {ROUNDS} measurements of {SECONDS} s, the engines in turn. README.md explains the rest. Processes may have {resource.getrlimit(resource.RLIMIT_NOFILE)[0]} descriptors.")
    time.sleep(1)
    memory_rows("skep", "one container")
    for part in PARTS:
        note(f"-- {part}")
        globals()[f"{part}_part"]()
    print("\n" + json.dumps({"runs": RUNS, "many": MANY, "ports": PORTS, "rounds": ROUNDS, "seconds": SECONDS, "parts": PARTS}))


try:
    main()
finally:
    for every in ENGINES:
        clear(every)
        call(every, "network", "rm", "bench", check=False)
    dockerd("stop")
