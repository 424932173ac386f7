"""--init: the runtime's program as the first process of a container, under the name docker-init."""
import signal

import pytest

from container import DEADLINE, OWN, is_static

INIT = "/sbin/docker-init"
pytestmark = pytest.mark.skipif(not is_static(OWN), reason="the program needs libraries, which a container has not")


@pytest.fixture
def initbox(world):
    """A container whose first process is docker-init, bound from the host as the engine does it."""
    box = world.box().mount(INIT, OWN, "bind", "bind", "ro")
    return box


def started(box, script):
    """Runs as docker-init -- sh -c script; returns once the script has said that it is up."""
    box.args(INIT, "--", "sh", "-c", script).up()
    assert box.output.line() == "up"
    return box


def processes(box):
    """Of the container: (pid, ppid, state, name), seen from inside."""
    script = "for p in /proc/[0-9]*; do read -r line < $p/stat && echo \"$line\"; done"
    found = []
    for line in box.exec("sh", "-c", script).ok().lines:
        pid, _, rest = line.partition(" (")
        name, _, rest = rest.rpartition(") ")
        state, ppid = rest.split(" ")[:2]
        found.append((int(pid), int(ppid), state, name))
    return found


def status_of(box, script):
    return box.args(INIT, "--", "sh", "-c", script).run().code


def test_the_program_is_the_second_process(initbox):
    assert initbox.args(INIT, "--", "sh", "-c", "echo $$ $PPID; cat /proc/1/comm").run().ok().lines == ["2 1", "docker-init"]


def test_without_the_dashes(initbox):
    assert initbox.args(INIT, "sh", "-c", "echo $$").run().ok().out == "2\n"


@pytest.mark.parametrize("script, code", [("exit 0", 0), ("exit 7", 7), ("exit 255", 255), ("kill -9 $$", 128 + 9), ("kill -TERM $$", 128 + 15),
                                          ("kill -SEGV $$", 128 + 11)])
def test_exit_statuses(initbox, script, code):
    assert status_of(initbox, script) == code


def test_what_cannot_be_run(initbox):
    missing = initbox.args(INIT, "--", "nothing-of-the-kind").run()
    assert missing.code == 127 and "nothing-of-the-kind: no such file or directory" in missing.err
    denied = initbox.args(INIT, "--", "/etc").run()
    assert denied.code == 126 and "/etc: permission denied" in denied.err
    none = initbox.args(INIT, "--").run()
    assert none.code == 1 and "usage: docker-init" in none.err


def test_zombies_are_reaped(initbox):
    """A daemon's way: the middle process ends, the orphan is the init's, and ends."""
    started(initbox, f"(sh -c 'exit 3' & sleep 0.01) & wait; for i in 1 2 3 4 5 6 7 8; do (true &) ; done; (sleep {DEADLINE} &); echo up; exec sleep {DEADLINE}")
    left = processes(initbox)
    while any(state == "Z" for _, _, state, _ in left):  # they are reaped as soon as the init is scheduled; the watchdog ends this
        left = processes(initbox)
    orphans = [p for p in left if p[1] == 1 and p[3] == "sleep"]
    assert len(orphans) == 2, left  # the program itself and the one it left behind
    initbox.kill("KILL").ok()


@pytest.mark.parametrize("name", ["TERM", "HUP", "INT", "QUIT", "USR1", "USR2", "WINCH", "CONT", "RTMIN+3"])
def test_signals_are_forwarded(initbox, name):
    number = signal.SIGRTMIN + 3 if name == "RTMIN+3" else getattr(signal, f"SIG{name}")
    started(initbox, f"trap 'echo got {int(number)}; exit 9' {int(number)}; echo up; while :; do sleep {DEADLINE} & wait; done")
    end = initbox.pidfd()
    initbox.kill(name).ok()
    assert initbox.output.line() == f"got {int(number)}"
    initbox.wait(end)


def test_the_default_effect_of_a_signal(initbox):
    """As the first process the program would be deaf to it; as the second it is not."""
    started(initbox, f"echo up; exec sleep {DEADLINE}")
    end = initbox.pidfd()
    initbox.kill("TERM").ok()
    initbox.wait(end)


def test_signals_are_as_they_were(initbox):
    """What the init blocks for itself it does not block for others."""
    result = initbox.args(INIT, "--", "grep", "-E", "^Sig(Blk|Ign)", "/proc/self/status").run().ok()
    assert [line.split(":\t")[1] for line in result.lines] == ["0" * 16] * 2


def test_it_is_a_subreaper_where_it_is_not_the_first(box):
    box.mount(INIT, OWN, "bind", "bind", "ro")
    box.sh(f"{INIT} -- sh -c '(sleep {DEADLINE} &); echo up; exec sleep {DEADLINE}'; echo ended").up()
    assert box.output.line() == "up"
    by_name = {name: pid for pid, _, _, name in processes(box)}
    assert [ppid for _, ppid, _, name in processes(box) if name == "sleep"] == [by_name["docker-init"]] * 2
    box.kill("KILL").ok()


def test_the_foreground_is_the_programs(initbox):
    initbox.process["terminal"] = True
    result = initbox.args(INIT, "--", "sh", "-c", "cut -d ' ' -f 1,5,8 /proc/$$/stat").run().ok()
    pid, group, foreground = result.out.split()
    assert pid == group == foreground == "2"
