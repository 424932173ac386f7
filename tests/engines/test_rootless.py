"""podman as an ordinary user."""
import os

from daemons import IMAGE, RootlessPodman

QUIET = ("--network", "none")


def test_hello(rootless):
    assert rootless.run(*QUIET, IMAGE).ok().text == "hello from a skep"


def test_exit_codes(rootless):
    rootless.run(*QUIET, IMAGE, "sh", "-c", "exit 42").exits(42)
    rootless.run(*QUIET, IMAGE, "no-such-program").exits(127, "no-such-program")
    rootless.run(*QUIET, IMAGE, "/etc/passwd").exits(126, "permission denied")


def test_ids(rootless):
    uid, first = str(RootlessPodman.UID), str(RootlessPodman.IDS)
    done = rootless.run(*QUIET, IMAGE, "sh", "-c", "cat /proc/self/uid_map; touch /tmp/x; chown bee /tmp/x; stat -c %U /tmp/x").ok()
    assert [line.split() for line in done.lines] == [["0", uid, "1"], ["1", first, "65536"], ["bee"]]
    name = rootless.start(*QUIET, "--user", "bee", IMAGE, "sleep", "1000")
    assert os.stat(f"/proc/{rootless.pid(name)}").st_uid == RootlessPodman.IDS + 999


def test_exec_and_stop(rootless):
    name = rootless.start(*QUIET, "--hostname", "hive", IMAGE, "sh", "-c", "trap 'echo bye; exit 7' TERM; echo ready; while :; do sleep 0.05; done")
    rootless.wait_for_log(name, "ready")
    assert rootless("exec", "-u", "bee", name, "sh", "-c", "hostname; id -u").ok().lines == ["hive", "1000"]
    rootless("exec", name, "sh", "-c", "exit 42").exits(42)
    rootless("stop", "-t", "20", name).ok()
    assert rootless.inspect(name, "{{.State.ExitCode}}") == "7"


def test_a_terminal(rootless):
    terminal = rootless.terminal("run", "--rm", "-it", *QUIET, IMAGE, "sh", rows=33, columns=77)
    terminal.expect("# ").type("until [ \"$(stty size)\" = '33 77' ]; do sleep 0.05; done; tty; exit 5\n").expect("/dev/pts/0\r\n")
    assert terminal.end() == 5


def test_mounts(rootless):
    folder = f"{rootless.directory}/shared"
    os.mkdir(folder)
    os.chown(folder, RootlessPodman.UID, RootlessPodman.UID)
    rootless.run(*QUIET, "--read-only", "--tmpfs", "/scratch:size=1m", "-v", f"{folder}:/data", IMAGE, "sh", "-c", "echo inside >/data/new; echo x >/scratch/y").ok()
    assert os.stat(f"{folder}/new").st_uid == RootlessPodman.UID
    assert rootless.run(*QUIET, "-v", f"{folder}:/data:ro", IMAGE, "touch", "/data/other").code != 0
    rows = [line.split() for line in rootless.run(*QUIET, IMAGE, "cat", "/proc/mounts").ok().lines if " /sys/fs/cgroup" in line]
    assert rows and not [row for row in rows if "ro" not in row[3].split(",")]
    assert "Seccomp:\t2" in rootless.run(*QUIET, IMAGE, "cat", "/proc/self/status").ok().out


def test_namespaces(rootless):
    name = rootless.start(*QUIET, IMAGE, "sleep", "1000")
    assert "sleep 1000" in rootless.run("--network", f"container:{name}", "--pid", f"container:{name}", IMAGE, "ps").ok().out
    assert rootless.run("--network", "host", IMAGE, "readlink", "/proc/self/ns/net").ok().text == os.readlink("/proc/self/ns/net")
    inside = rootless.run(*QUIET, "--userns", "keep-id", IMAGE, "id", "-u").ok()
    assert inside.text == str(RootlessPodman.UID)


def test_a_build(rootless):
    os.makedirs(f"{rootless.directory}/context", exist_ok=True)
    with open(f"{rootless.directory}/context/Dockerfile", "w", encoding="utf-8") as f:
        f.write(f"FROM {IMAGE}\nRUN echo wax >/comb && chown 1000 /comb\nUSER bee\nCMD cat /comb; id -u\n")
    rootless("build", "--network", "none", "-t", "comb", f"{rootless.directory}/context").ok()
    assert rootless.run(*QUIET, "comb").ok().lines == ["wax", "1000"]
