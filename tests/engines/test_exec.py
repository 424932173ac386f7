"""Another process in a running container."""
from concurrent.futures import ThreadPoolExecutor

import pytest
from daemons import IMAGE
from engine import wait_until


@pytest.fixture
def box(engine):
    return engine.start("--hostname", "hive", IMAGE, "sleep", "1000")


def test_output_and_exit_codes(engine, box):
    assert engine("exec", box, "hostname").ok().text == "hive"
    engine("exec", box, "sh", "-c", "exit 42").exits(42)
    engine("exec", box, "sh", "-c", "kill -KILL $$").exits(137)


def test_a_program_that_does_not_exist_is_127(engine, box):
    expected = (126, 127) if engine.name == "docker" else (127,) # docker before 23 said 126 for all that did not start
    assert engine("exec", box, "no-such-program").code in expected
    assert engine("exec", box, "/no/such/program").code in expected


def test_a_program_that_cannot_be_run_is_126(engine, box):
    assert engine("exec", box, "/etc/passwd").code == 126


def test_stdin(engine, box):
    assert engine("exec", "-i", box, "sort", stdin="b\na\n").ok().lines == ["a", "b"]


def test_a_terminal(engine, box):
    terminal = engine.terminal("exec", "-it", box, "sh", rows=31, columns=71)
    terminal.expect("# ").type("tty; until [ \"$(stty size)\" = '31 71' ]; do sleep 0.05; done; echo si''zed; exit 6\n")
    terminal.expect("/dev/pts/").expect("sized")
    assert terminal.end() == 6


def test_user_groups_environment_and_folder(engine, box):
    done = engine("exec", "-u", "bee", "-e", "HIVE=cork", "-w", "/home/bee", box, "sh", "-c", "id; pwd; echo $HIVE; echo $HOME").ok()
    assert done.lines[0].startswith("uid=1000(bee) gid=1000(bee) groups=") and "2000(swarm)" in done.lines[0]
    assert done.lines[1:] == ["/home/bee", "cork", "/home/bee"]
    assert engine("exec", "-u", "1234:5678", box, "sh", "-c", "id -u; id -g").ok().lines == ["1234", "5678"]


def test_a_folder_that_does_not_exist(engine, box):
    assert engine("exec", "-w", "/no/such", box, "true").code != 0


def test_in_the_background(engine, box):
    engine("exec", "-d", box, "sh", "-c", "echo done >/tmp/mark; sleep 1000").ok()
    wait_until(lambda: engine("exec", box, "cat", "/tmp/mark").out == "done\n", "the mark")
    assert engine("exec", box, "sh", "-c", "ps | grep -c '[s]leep 1000'").ok().text == "2"


def test_privileged(engine, box):
    words = ("ip", "link", "set", "lo", "down")
    assert engine("exec", box, *words).code != 0
    engine("exec", "--privileged", box, *words).ok()


def test_exec_shares_the_containers_limits(engine, box):
    first, second = (engine("exec", box, "sh", "-c", f"grep . /proc/{pid}/cgroup").ok().lines for pid in ("1", "self"))
    assert first == second


def test_exec_in_a_container_without_one_running(engine):
    name = engine.start(IMAGE, "true")
    engine("wait", name).ok()
    assert engine("exec", name, "true").code != 0


def test_ten_at_once(engine, box):
    with ThreadPoolExecutor(10) as pool:
        codes = list(pool.map(lambda i: engine("exec", box, "sh", "-c", f"exit {i}").code, range(10)))
    assert codes == list(range(10))
