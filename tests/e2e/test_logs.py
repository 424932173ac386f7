"""Logs as their users see them: `logs` while they are written, rotated, compressed and torn; the log drivers."""
import glob
import gzip
import json
import os
import re
import signal
import socket
import subprocess
import threading

import pytest

from engines import Engine, eventually, is_watching, kill
from images import SKEP

pytestmark = [pytest.mark.skipif(not os.path.exists(SKEP), reason=f"no {SKEP}"), pytest.mark.skipif(os.geteuid() != 0, reason="needs root")]
COUNT = 100_000


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


def numbers(data):
    return [int(line) for line in data.splitlines()]


def stored(engine, name):
    """The names of the files of its log."""
    return sorted(os.path.basename(f) for f in glob.glob(engine.directory(engine.inspect(name)["Id"]) + "/*log*"))


# ---- what is shown ----

@pytest.fixture(params=["json-file", "local"])
def driver(request):
    return request.param


def test_what_was_said(engine, driver):
    engine.ok("run", "--name", "l1", "--log-driver", driver, "busybox", "sh", "-c", "echo one; echo two >&2; echo three; printf four")
    done = engine.call("logs", "l1")
    assert (done.returncode, done.stdout, done.stderr) == (0, b"one\nthree\nfour", b"two\n")
    done = engine.call("logs", "-t", "--details", "l1")
    for line in done.stdout.splitlines() + done.stderr.splitlines():
        assert re.fullmatch(rb"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z  (one|two|three|four)", line), line


def test_the_last_lines(engine, driver):
    engine.ok("run", "--name", "l1", "--log-driver", driver, "busybox", "seq", "100")
    assert numbers(engine.ok("logs", "--tail", "3", "l1")) == [98, 99, 100]
    assert engine.ok("logs", "-n", "0", "l1") == ""
    for all_of_them in ("all", "x", "-1", "1000"):
        assert numbers(engine.ok("logs", "--tail", all_of_them, "l1")) == list(range(1, 101))


def test_since_and_until(engine, driver):
    with engine.start("run", "--name", "l1", "-i", "--log-driver", driver, "busybox", "cat") as client:
        for i in 1, 2, 3:  # each has a time of its own: it comes when the one before is there
            client.stdin.write(b"%d\n" % i)
            client.stdin.flush()
            assert client.stdout.readline() == b"%d\n" % i
        client.stdin.close()
        assert client.wait(30) == 0
    times = [line.split()[0] for line in engine.ok("logs", "-t", "l1").splitlines()]
    assert engine.ok("logs", "--since", times[1], "l1") == "2\n3\n"
    assert engine.ok("logs", "--until", times[1], "l1") == "1\n2\n"
    assert engine.ok("logs", "--since", times[1], "--until", times[1], "l1") == "2\n"
    assert engine.ok("logs", "--since", "1h", "l1") == "1\n2\n3\n"
    assert engine.ok("logs", "--until", "1h", "l1") == "" == engine.ok("logs", "--since", "2099-01-01", "l1")
    assert engine.fails(1, "logs", "--since", "nosuch", "l1").strip() == 'invalid value for "since": failed to parse value as time or duration: "nosuch"'


def test_bytes_of_all_kinds(engine, driver):
    script = r"printf 'nul\000 esc\033 <&> \"\\ tab\t cr\r\n'; printf '\303\251\342\202\254\360\237\230\200\n'; head -c 40000 /dev/zero | tr '\0' x; echo"
    said = engine.call("run", "--name", "l1", "--log-driver", driver, "busybox", "sh", "-c", script).stdout
    assert engine.call("logs", "l1").stdout == said and len(said) > 40000


def test_a_terminal(engine):
    with engine.typed("run", "-it", "--name", "l1", "busybox", "sh", "-c", "echo out; echo err >&2") as t:
        assert t.wait() == 0
    done = engine.call("logs", "l1")
    assert (done.stdout, done.stderr) == (b"out\r\nerr\r\n", b"")


def test_details(engine):
    engine.ok("run", "--name", "l1", "--log-opt", "labels=a,c", "--log-opt", "env-regex=^V", "--log-opt", "tag={{.Name}}/{{.ImageName}}",
              "-l", "a=b c", "-l", "other=x", "-e", "VAR=1=2", "-e", "NOT=3", "busybox", "echo", "said")
    assert engine.ok("logs", "--details", "l1") == "VAR=1%3D2,a=b+c,tag=l1%2Fbusybox said\n"
    with open(engine.inspect("l1")["LogPath"], encoding="utf-8") as f:
        line = json.loads(f.readline())
    assert list(line) == ["log", "stream", "attrs", "time"] and line["attrs"] == {"VAR": "1=2", "a": "b c", "tag": "l1/busybox"}


def test_drivers_that_keep_nothing(engine):
    engine.ok("run", "--name", "l1", "--log-driver", "none", "busybox", "echo", "x")
    assert engine.fails(1, "logs", "l1").strip() == "configured logging driver does not support reading"
    assert stored(engine, "l1") == []


def test_one_that_never_ran(engine):
    engine.ok("create", "--name", "l1", "busybox", "true")
    assert engine.ok("logs", "l1") == "" == engine.ok("logs", "-f", "l1")
    assert engine.fails(1, "logs", "nosuch").strip() == "No such container: nosuch"


@pytest.mark.parametrize("options, message", [
    (["max-size=x"], "failed to create task for container: failed to initialize logging driver: invalid size: 'x'"),
    (["nosuch=1"], "unknown log opt 'nosuch' for json-file log driver"),
    (["compress=true", "max-file=1"], "compress cannot be true when max-file is less than 2"),
    (["labels-regex=a("], "error parsing regexp"),
    (["labels-regex=\\d"], "is not understood"),
    (["tag={{.Nosuch}}"], "Nosuch"),
    (["mode=maybe"], "logger: logging mode not supported: maybe")])
def test_wrong_options(engine, options, message):
    words = [word for option in options for word in ("--log-opt", option)]
    assert message in engine.fails(125, "run", *words, "busybox", "true")
    assert engine.ok("ps", "-aq") == ""


# ---- following ----

def test_following_ends_with_the_container(engine, driver):
    engine.run("--name", "l1", "--log-driver", driver, "busybox", "sh", "-c", "trap 'echo bye; exit' TERM; echo up; while :; do sleep 0.01; done")
    client = engine.start("logs", "-f", "l1")
    assert client.stdout.readline() == b"up\n"
    engine.ok("stop", "l1")
    assert client.communicate(timeout=30) == (b"bye\n", b"") and client.returncode == 0


def test_following_from_the_end(engine):
    engine.run("--name", "l1", "busybox", "sh", "-c", "echo old; cat /proc/self/mounts >/dev/null; while ! test -e /go; do sleep 0.01; done; echo new")
    eventually(lambda: engine.ok("logs", "l1") == "old\n")
    client = engine.start("logs", "-f", "--tail", "0", "l1")
    eventually(lambda: is_watching(client.pid))
    engine.call("exec", "l1", "touch", "/go")  # which may be killed by the end that it brings about
    assert client.communicate(timeout=30)[0] == b"new\n"


def test_following_until(engine):
    engine.run("--name", "l1", "busybox", "sh", "-c", "echo x; sleep 1000")
    eventually(lambda: engine.ok("logs", "l1") == "x\n")
    assert engine.ok("logs", "-f", "--until=-0.3s", "l1") == "x\n"


def test_following_ends_with_its_reader(engine):
    engine.run("--name", "l1", "busybox", "sh", "-c", "echo x; sleep 1000")
    client = engine.start("logs", "-f", "l1")
    assert client.stdout.readline() == b"x\n"
    client.stdout.close()
    assert client.wait(30) == 0


def test_following_a_killed_monitor(engine):
    engine.run("--name", "l1", "busybox", "sh", "-c", "echo x; sleep 1000")
    client = engine.start("logs", "-f", "l1")
    assert client.stdout.readline() == b"x\n"
    kill(engine.monitor_of("l1"))
    assert client.communicate(timeout=30)[0] == b""


@pytest.mark.parametrize("options", [["max-size=100k", "max-file=200"], ["max-size=300k", "max-file=50", "compress=true"]])
def test_rotation_is_exact_while_following(engine, driver, options):
    words = [word for option in options for word in ("--log-opt", option)]
    engine.ok("create", "--name", "l1", "--log-driver", driver, *words, "busybox", "seq", str(COUNT))
    engine.ok("start", "l1")
    clients = [engine.start("logs", "-f", "l1") for _ in range(2)]
    for client in clients:
        assert numbers(client.communicate(timeout=60)[0]) == list(range(1, COUNT + 1))
    assert len(stored(engine, "l1")) > 3
    assert numbers(engine.ok("logs", "l1")) == list(range(1, COUNT + 1))
    assert numbers(engine.ok("logs", "--tail", "70000", "l1")) == list(range(COUNT - 69999, COUNT + 1))


def test_what_is_rotated_away(engine, driver):
    engine.ok("run", "--name", "l1", "--log-driver", driver, "--log-opt", "max-size=10k", "--log-opt", "max-file=3", "--log-opt", "compress=false",
              "busybox", "seq", "20000")
    assert len(stored(engine, "l1")) == 3
    kept = numbers(engine.ok("logs", "l1"))
    assert kept == list(range(kept[0], 20001)) and 1 < kept[0] < 20000


def test_rotated_files_are_compressed(engine, driver):
    engine.run("--name", "l1", "--log-driver", driver, "--log-opt", "max-size=50k", "--log-opt", "max-file=4", "--log-opt", "compress=true", "busybox",
               "sh", "-c", "seq 20000; sleep 1000")
    eventually(lambda: engine.ok("logs", "--tail", "1", "l1") == "20000\n")
    eventually(lambda: len(stored(engine, "l1")) == 4 and sum(name.endswith(".gz") for name in stored(engine, "l1")) == 3)
    assert not any("tmp" in name for name in stored(engine, "l1"))
    kept = numbers(engine.ok("logs", "l1"))
    assert kept == list(range(kept[0], 20001))
    name = next(name for name in stored(engine, "l1") if name.endswith(".1.gz"))
    with gzip.open(os.path.join(engine.directory(engine.inspect("l1")["Id"]), name)) as f:
        assert len(f.read()) >= 50000
    assert numbers(engine.ok("logs", "--tail", "1500", "l1")) == list(range(18501, 20001))


# ---- what is killed ----

def test_a_killed_monitor_leaves_whole_lines(engine, driver):
    for _ in range(5):
        identity = engine.run("--name", "l1", "--log-driver", driver, "busybox", "sh", "-c", "i=0; while :; do echo $i; i=$((i+1)); done")
        eventually(lambda: len(engine.ok("logs", "--tail", "200", "l1").splitlines()) == 200)
        kill(engine.monitor_of("l1"))
        eventually(lambda: engine.status("l1") == "exited")
        said = numbers(engine.ok("logs", "l1"))
        assert said == list(range(len(said)))
        engine.ok("start", identity)
        eventually(lambda: numbers(engine.ok("logs", "l1"))[len(said):][:3] == [0, 1, 2])
        engine.ok("rm", "-f", "l1")


def test_a_torn_line(engine, driver):
    engine.ok("run", "--name", "l1", "--log-driver", driver, "busybox", "echo", "whole")
    path = os.path.join(engine.directory(engine.inspect("l1")["Id"]), stored(engine, "l1")[0])
    with open(path, "rb") as f:
        line = f.read()
    for length in (1, 7, 9, len(line) - 1):
        with open(path, "wb") as f:
            f.write(line + line[:length])
        assert engine.ok("logs", "l1") == "whole\n" == engine.ok("logs", "-n", "5", "l1")
    engine.ok("start", "-a", "l1")
    assert engine.ok("logs", "l1") == "whole\nwhole\n"


# ---- drivers that send ----

class Collector:
    """A socket that keeps what comes."""

    def __init__(self, family, kind, address):
        self.socket = socket.socket(family, kind)
        self.socket.bind(address)
        self.socket.settimeout(30)
        self.stream = kind == socket.SOCK_STREAM
        if self.stream:
            self.socket.listen()

    def lines(self, n):
        data = b""
        connection = self.socket.accept()[0] if self.stream else self.socket
        connection.settimeout(30)
        while data.count(b"\n") < n:
            data += connection.recv(65536)
        if self.stream:
            connection.close()
        return data.decode().splitlines()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()


STAMP = r"[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d"
HOST = re.escape(socket.gethostname())
RFC3339 = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(Z|[+-]\d\d:\d\d)"


@pytest.mark.parametrize("scheme", ["udp", "tcp", "unix", "unixgram"])
@pytest.mark.parametrize("form, pattern", [
    ("", rf"<(\d+)>{STAMP} tag\[\d+\]: (.*)"),
    ("rfc3164", rf"<(\d+)>{STAMP} {HOST} tag\[\d+\]: (.*)"),
    ("rfc5424", rf"<(\d+)>1 {RFC3339} {HOST} tag \d+ tag - (.*)")])
def test_syslog(engine, tmp_path, scheme, form, pattern):
    kind = socket.SOCK_STREAM if scheme in ("tcp", "unix") else socket.SOCK_DGRAM
    path = str(tmp_path / "log")
    with Collector(socket.AF_UNIX if scheme.startswith("unix") else socket.AF_INET, kind, path if scheme.startswith("unix") else ("127.0.0.1", 0)) as c:
        address = path if scheme.startswith("unix") else f"127.0.0.1:{c.socket.getsockname()[1]}"
        engine.run("--name", "l1", "--log-driver", "syslog", "--log-opt", f"syslog-address={scheme}://{address}", "--log-opt", "tag=tag",
                   "--log-opt", "syslog-facility=local1", *(["--log-opt", f"syslog-format={form}"] if form else []),
                   "busybox", "sh", "-c", "echo out; echo err >&2")
        found = sorted(re.fullmatch(pattern, line).groups()[::len(re.fullmatch(pattern, line).groups()) - 1] for line in c.lines(2))
    assert found == [("139", "err"), ("142", "out")]
    assert engine.fails(1, "logs", "l1").strip() == "configured logging driver does not support reading"


def test_a_syslog_that_is_not_there(engine):
    message = engine.fails(125, "run", "--name", "l1", "--log-driver", "syslog", "--log-opt", "syslog-address=tcp://127.0.0.1:1", "busybox", "true")
    assert "failed to initialize logging driver: syslog: dial 127.0.0.1:1: connection refused" in message
    assert "speaks no TLS" in engine.fails(125, "run", "--log-driver", "syslog", "--log-opt", "syslog-address=tcp+tls://127.0.0.1:1", "busybox", "true")


def test_a_syslog_that_comes_back(engine):
    with Collector(socket.AF_INET, socket.SOCK_STREAM, ("127.0.0.1", 0)) as c:
        engine.run("--name", "l1", "--log-driver", "syslog", "--log-opt", f"syslog-address=tcp://127.0.0.1:{c.socket.getsockname()[1]}", "busybox",
                   "sh", "-c", "i=0; while :; do echo $i; i=$((i+1)); sleep 0.01; done")
        first = c.lines(3)  # which closes the connection
        again = c.lines(3)
    assert [line.rsplit(" ", 1)[1] for line in first][:3] == ["0", "1", "2"] and int(again[0].rsplit(" ", 1)[1]) > 2


def journal_fields(data):
    fields = {}
    while data:
        key, data = re.split(rb"[=\n]", data, maxsplit=1) if data.find(b"=") < 0 or 0 <= data.find(b"\n") < data.find(b"=") else data.split(b"=", 1)
        value, data = data.split(b"\n", 1)
        fields[key.decode()] = value.decode()
    return fields


def test_journald(engine, tmp_path):
    """In a mount namespace with a journal of the test's own."""
    where = tmp_path / "journal"
    where.mkdir()
    with Collector(socket.AF_UNIX, socket.SOCK_DGRAM, str(where / "socket")) as c:
        c.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        script = ('mount -t tmpfs none /run && mkdir -p /run/systemd/journal && mount --bind "$1" /run/systemd/journal && shift && exec "$@"')
        done = subprocess.run(["unshare", "-m", "sh", "-c", script, "sh", str(where), *engine.base, "run", "--name", "l1", "-l", "my.label=7",
                               "--log-driver", "journald", "--log-opt", "labels=my.label", "busybox", "sh", "-c",
                               "echo out; head -c 20000 /dev/zero | tr '\\0' x; echo; echo err >&2"], env=engine.env, capture_output=True, timeout=60, check=False)
        assert done.returncode == 0, done.stderr
        found = [journal_fields(c.socket.recv(1 << 20)) for _ in range(4)]
    identity = engine.inspect("l1")["Id"]
    by_message = {f["MESSAGE"][:3]: f for f in found if "CONTAINER_PARTIAL_ID" not in f}
    out, err = by_message["out"], by_message["err"]
    assert out["CONTAINER_ID"] == identity[:12] == out["CONTAINER_TAG"] == out["SYSLOG_IDENTIFIER"] and out["CONTAINER_ID_FULL"] == identity
    assert (out["CONTAINER_NAME"], out["IMAGE_NAME"], out["MY_LABEL"], out["PRIORITY"], err["PRIORITY"]) == ("l1", "busybox", "7", "6", "3")
    pieces = sorted((f for f in found if "CONTAINER_PARTIAL_ID" in f), key=lambda f: int(f["CONTAINER_PARTIAL_ORDINAL"]))
    assert len({f["CONTAINER_PARTIAL_ID"] for f in pieces}) == 1 and sum(len(f["MESSAGE"]) for f in pieces) == 20000
    assert [(f.get("CONTAINER_PARTIAL_MESSAGE"), f["CONTAINER_PARTIAL_LAST"]) for f in pieces] == [("true", "false"), (None, "true")]
    assert sorted(int(f["CONTAINER_LOG_ORDINAL"]) for f in found) == [1, 2, 3, 4]


# ---- blocking or not ----

def log_process(engine, name):
    """The process of its log driver."""
    monitor = engine.monitor_of(name)
    with open(f"/proc/{monitor}/task/{monitor}/children", encoding="ascii") as f:
        for pid in f.read().split():
            try:
                with open(f"/proc/{pid}/comm", encoding="ascii") as comm:
                    if comm.read() == "skep-log\n":
                        return int(pid)
            except OSError:
                pass  # the one that had started it has ended meanwhile
    raise AssertionError("there is no such process")


def test_non_blocking_loses_instead_of_waiting(engine, driver):
    engine.run("--name", "l1", "--log-driver", driver, "--log-opt", "mode=non-blocking", "--log-opt", "max-buffer-size=64k", "busybox",
               "sh", "-c", "while ! test -e /go; do sleep 0.01; done; seq 200000; touch /said; i=200000; "
               "while ! test -e /end; do i=$((i + 1)); echo $i; sleep 0.01; done")
    helper = log_process(engine, "l1")
    os.kill(helper, signal.SIGSTOP)
    engine.ok("exec", "l1", "touch", "/go")
    eventually(lambda: engine.call("exec", "l1", "test", "-e", "/said").returncode == 0)  # nobody took it, and it went on
    os.kill(helper, signal.SIGCONT)
    eventually(lambda: "DroppedLogBytes" in engine.state("l1"))
    eventually(lambda: numbers(engine.ok("logs", "--tail", "1", "l1")) > [200000])  # it has caught up: nothing is lost any more
    engine.call("exec", "l1", "touch", "/end")  # which may be killed by the end that it brings about
    eventually(lambda: engine.status("l1") == "exited")
    kept = numbers(engine.ok("logs", "l1"))
    assert kept == sorted(set(kept)) and sum(i <= 200000 for i in kept) < 200000  # whole lines, in order
    lost = sum(len(f"{i}\n") for i in set(range(1, kept[-1])) - set(kept))
    assert engine.state("l1")["DroppedLogBytes"] == lost


def test_blocking_waits(engine):
    """A syslog that reads nothing holds up the container, and loses nothing."""
    server = socket.socket()
    server.bind(("127.0.0.1", 0))
    server.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    server.listen()
    engine.run("--name", "l1", "--log-driver", "syslog", "--log-opt", f"syslog-address=tcp://127.0.0.1:{server.getsockname()[1]}", "busybox",
               "sh", "-c", "seq 1000000; touch /said; sleep 1000")
    connection = server.accept()[0]
    helper = log_process(engine, "l1")
    eventually(lambda: open(f"/proc/{helper}/wchan", encoding="ascii").read() not in ("0", ""))
    assert engine.call("exec", "l1", "test", "-e", "/said").returncode == 1  # and the monitor answers
    received, lines = [], 0

    def drain():
        nonlocal lines
        while lines < 1000000:
            piece = connection.recv(1 << 20)
            received.append(piece)
            lines += piece.count(b"\n")

    reader = threading.Thread(target=drain)
    reader.start()
    reader.join(80)
    assert [int(line.rsplit(b" ", 1)[1]) for line in b"".join(received).splitlines()] == list(range(1, 1000001))
    eventually(lambda: engine.call("exec", "l1", "test", "-e", "/said").returncode == 0)
    assert "DroppedLogBytes" not in engine.state("l1")
    connection.close()
    server.close()


def test_a_killed_log_process_is_told(engine):
    engine.run("--name", "l1", "--log-opt", "mode=non-blocking", "busybox", "sh", "-c", "echo first; while ! test -e /go; do sleep 0.01; done; echo lost")
    eventually(lambda: engine.ok("logs", "l1") == "first\n")
    kill(log_process(engine, "l1"))
    engine.call("exec", "l1", "touch", "/go")  # which may be killed by the end that it brings about
    eventually(lambda: engine.status("l1") == "exited")
    assert engine.ok("logs", "l1") == "first\n" and engine.state("l1")["DroppedLogBytes"] == len("lost\n")
