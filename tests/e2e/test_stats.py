"""`stats` and `top`: what containers use, and what runs in them."""
import os
import re
import shutil
import signal

import pytest

from engines import Engine, eventually
from images import SKEP

pytestmark = [pytest.mark.skipif(not os.path.exists(SKEP), reason=f"no {SKEP}"), pytest.mark.skipif(os.geteuid() != 0, reason="needs root")]
TITLES = ["CONTAINER ID", "NAME", "CPU %", "MEM USAGE / LIMIT", "MEM %", "NET I/O", "BLOCK I/O", "PIDS"]


@pytest.fixture(scope="module")
def engine(tmp_path_factory):
    made = Engine(str(tmp_path_factory.mktemp("engine")))
    made.ok("image", "bootstrap", "busybox")
    yield made
    made.close()
    assert made.remains() == {"runtime": [], "monitors": []}


@pytest.fixture(autouse=True)
def nothing_left(engine):
    yield
    engine.close()


def cells(line):
    return re.split(r" {3,}", line.strip())


# ---- stats ----

def test_the_table(engine):
    identity = engine.run("--name", "s1", "-m", "64m", "busybox", "sleep", "1000")
    title, row = engine.ok("stats", "--no-stream", "s1").splitlines()
    assert cells(title) == TITLES
    row = cells(row)
    assert row[0] == identity[:12] and row[1] == "s1" and row[-1] == "1"
    assert re.fullmatch(r"\d+\.\d\d%", row[2]) and re.fullmatch(r"[\d.]+[KM]?i?B / 64MiB", row[3]) and re.fullmatch(r"\d+\.\d\d%", row[4])
    assert re.fullmatch(r"[\d.]+k?B / [\d.]+k?B", row[5]) and re.fullmatch(r"[\d.]+[kMG]?B / [\d.]+[kMG]?B", row[6])
    assert engine.ok("stats", "--no-stream", "--no-trunc", "--format", "{{.ID}} {{.Container}}", "s1") == f"{identity} s1\n"


def test_who_works_and_who_sleeps(engine):
    engine.run("--name", "busy", "busybox", "sh", "-c", "while :; do :; done")
    engine.run("--name", "idle", "busybox", "sleep", "1000")

    def told():  # others may take the processor for a second
        rows = dict(line.split() for line in engine.ok("stats", "--no-stream", "--format", "{{.Name}} {{.CPUPerc}}").splitlines())
        busy, idle = (float(rows[name].rstrip("%")) for name in ("busy", "idle"))
        return 5 < busy < 130 and idle < 2
    eventually(told)


def test_memory_is_counted(engine):
    engine.run("--name", "m1", "-m", "256m", "busybox", "sh", "-c", "x=$(head -c 50000000 /dev/zero | tr '\\0' x); sleep 1000; echo $x")

    def used():
        usage, percent = engine.ok("stats", "--no-stream", "--format", "{{.MemUsage}} {{.MemPerc}}", "m1").rsplit(" ", 1)
        match = re.fullmatch(r"([\d.]+)MiB / 256MiB", usage)
        return match and float(match[1]) > 45 and abs(float(match[1]) / 256 * 100 - float(percent.rstrip("%\n"))) < 0.1
    eventually(used)


def test_those_that_do_not_run(engine):
    engine.run("--name", "run", "busybox", "sleep", "1000")
    engine.ok("create", "--name", "not", "busybox", "true")
    assert engine.ok("stats", "--no-stream", "--format", "{{.Name}}") == "run\n"
    assert sorted(engine.ok("stats", "-a", "--no-stream", "--format", "{{.Name}}").split()) == ["not", "run"]
    assert engine.ok("stats", "--no-stream", "--format", "{{.Name}} {{.PIDs}} {{.MemUsage}} {{.CPUPerc}}", "not") == "not 0 0B / 0B 0.00%\n"
    assert engine.fails(1, "stats", "--no-stream", "nosuch").strip() == "No such container: nosuch"


def test_a_live_table(engine):
    engine.run("--name", "first", "busybox", "sleep", "1000")
    with engine.typed("stats", "--format", "{{.Name}}!") as t:
        t.expect("first!")
        engine.run("--name", "second", "busybox", "sleep", "1000")
        t.expect("second!")
        t.expect("\x1b[H")
        t.process.send_signal(signal.SIGTERM)
        t.process.wait(30)


# ---- top ----

def test_top(engine):
    engine.run("--name", "t1", "busybox", "sh", "-c", "sleep 1001 & sleep 1002; true")
    eventually(lambda: sum(row.rsplit("  ", 1)[-1].startswith("sleep") for row in engine.ok("top", "t1").splitlines()) == 2)  # executed, not only forked
    title, *rows = engine.ok("top", "t1").splitlines()
    assert title == "UID                 PID                 PPID                C                   STIME               TTY                 TIME                CMD"
    rows = [re.split(r" {2,}", row) for row in rows]
    pid = engine.state("t1")["Pid"]
    assert {row[-1] for row in rows} == {"sh -c sleep 1001 & sleep 1002; true", "sleep 1001", "sleep 1002"}
    shell = next(row for row in rows if row[-1].startswith("sh"))
    assert shell[:3] == ["root", str(pid), str(engine.monitor_of("t1"))] and shell[5] == "?"
    assert all(row[2] == str(pid) for row in rows if row[-1].startswith("sleep"))
    assert re.fullmatch(r"\d\d:\d\d", shell[4]) and re.fullmatch(r"\d\d:\d\d:\d\d", shell[6])


@pytest.mark.skipif(not shutil.which("ps"), reason="no ps")
def test_top_is_as_ps_says(engine):
    engine.run("--name", "t1", "busybox", "sh", "-c", "sleep 1001 & sleep 1002; true")
    eventually(lambda: len(engine.ok("top", "t1").splitlines()) == 4)

    def table(*words):
        rows = [re.split(r" {2,}", line)[:7] for line in engine.ok("top", "t1", *words).splitlines()]
        return sorted(row[:3] + row[4:] for row in rows)
    eventually(lambda: table() == table("-ef"))  # a moment between two seconds gives two times of start


@pytest.mark.skipif(not shutil.which("ps"), reason="no ps")
def test_options_of_ps(engine):
    engine.run("--name", "t1", "busybox", "sh", "-c", "sleep 1000; true")
    pid = engine.state("t1")["Pid"]
    eventually(lambda: len(engine.ok("top", "t1", "-o", "pid,args").splitlines()) == 3)
    title, first, _ = engine.ok("top", "t1", "-o", "pid,args").splitlines()
    assert title == "PID                 COMMAND" and re.fullmatch(rf"{pid} +sh -c sleep 1000; true", first)
    assert engine.fails(1, "top", "t1", "-o", "comm").strip() == "Couldn't find PID field in ps output"
    assert "ps: error: unknown gnu long option" in engine.fails(1, "top", "t1", "--nosuch")
    assert "is not allowed" in engine.fails(1, "top", "t1", "-o", "pid=other,ppid=PID")


def test_top_of_what_does_not_run(engine):
    identity = engine.ok("create", "--name", "t1", "busybox", "true").strip()
    assert engine.fails(1, "top", "t1").strip() == f"container {identity} is not running"
    assert engine.fails(1, "top", "nosuch").strip() == "No such container: nosuch"
