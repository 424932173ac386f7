"""engine.py: the measurements of bench/engine, inside the tree of peers. Writes the page on standard output."""
import json
import statistics
import subprocess
import time

from peers import (ATTENDANTS, ENGINES, IMAGE, MANY, NONE, PEERS, PEERS_MANY, QUIET, RUNS, SKEP, call, clear, dockerd, figure, head, make_image, note,
                   parallel, remove, rounds, settle, sizes)


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
        seconds, started = parallel(engine, n, *NONE)
        running = len(call(engine, "ps", "-q").split())
        print(f"| {engine}, {n} | {seconds:.2f} | {started} | {running} |", flush=True)
    print(f"\nWith these containers running (peers: {PEERS_MANY}, skep: {MANY}):\n\n| | {' | '.join(ENGINES)} | asked for |\n|---|{'---|' * len(ENGINES)}---|")
    stay = {e: sizes(e, ATTENDANTS[e]) for e in ENGINES}
    print("| attendant of a container, PSS, KiB | " + " | ".join(f"{statistics.median(s):.0f}" if s else "?" for s in stay.values()) + " | 200 |")
    rows = rounds(f"ps with {MANY}", lambda e, i: ["ps"])
    print("| `ps`, ms | " + " | ".join(figure([w for w, _ in rows[e]]) for e in ENGINES) + " | 0.05 of docker |", flush=True)
    for engine in ENGINES:
        clear(engine)


def main():
    dockerd("start")
    make_image("true", "pause")
    for engine in ENGINES:
        clear(engine)
        call(engine, "run", "-d", "--name", "idle", *NONE, IMAGE, "/bin/pause")
    head("Containers, measured beside other engines", f"RUNS={RUNS} MANY={MANY} ./dev bench engine")
    print("Wall time in ms: median (minimum - maximum); CPU: of the whole machine, mean ms. Of the others also the ratio of skep to them, of the medians and, behind")
    print("the semicolon, of the minima. Each command starts on a machine that has settled, and the CPU is counted until it has settled again.\n")
    print(f"| | skep | {' | '.join(PEERS)} | asked for |\n|---|---|{'---|' * len(PEERS)}---|")
    put_rows("`run --rm --network none` of true", rounds("run", lambda e, i: ["run", "--rm", *NONE, IMAGE, "/bin/true"]), "0.03 of docker, 0.04 of podman")
    put_rows("`run -d`", rounds("run -d", lambda e, i: ["run", "-d", "--name", f"d{i}", *NONE, IMAGE, "/bin/pause"],
                                lambda e, i: call(e, *remove(e), f"d{i}")), "0.02 of docker")
    put_rows("exec of true", rounds("exec", lambda e, i: ["exec", "idle", "/bin/true"]), "0.04 of docker")
    put_rows("inspect", rounds("inspect", lambda e, i: ["inspect", "idle"]), "0.05 of docker")
    put_rows("ps", rounds("ps", lambda e, i: ["ps"]), "0.05 of docker")
    if subprocess.run([*SKEP, "logs", "idle"], **QUIET, check=False).returncode == 0:
        put_rows("logs", rounds("logs", lambda e, i: ["logs", "idle"]), "0.05 of docker")
    for engine in ENGINES:
        call(engine, *remove(engine), "idle")
    put_rows("`stop -t 0`", stops(), "")
    seconds = in_sequence(20)
    print("\n20 `run --rm` one after the other, seconds: " + ", ".join(f"{e} {s:.2f} ({seconds['skep'] / s:.3f})" for e, s in seconds.items()))
    many_part()
    print("\n" + json.dumps({"runs": RUNS, "many": MANY}))


def stops():
    def prepare(engine, i):
        call(engine, "run", "-d", "--name", f"s{i}", *NONE, IMAGE, "/bin/pause")
        return ["stop", "-t", "0", f"s{i}"]
    return rounds("stop", prepare, lambda e, i: call(e, *remove(e), f"s{i}"))


try:
    main()
finally:
    for every in ENGINES:
        clear(every)
    dockerd("stop")
