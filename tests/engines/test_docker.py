"""What only docker does, or does its own way; and what remains when its daemon goes."""
import os
import signal

from daemons import IMAGE
from engine import wait_until
from world import cgroup_path, hierarchies

COUNTING = "i=0; trap 'echo bye; exit 7' TERM; while :; do i=$((i+1)); echo line $i; sleep 0.1; done"


def test_the_runtime_is_the_default(docker):
    assert docker("info", "--format", "{{.DefaultRuntime}}").ok().text == "skep"
    name = docker.create(IMAGE, "true")
    assert docker.inspect(name, "{{.HostConfig.Runtime}}") == "skep"


def test_a_runtime_with_arguments(docker):
    docker.run("--runtime", "skep-debug", IMAGE, "sh", "-c", "exit 9").exits(9)


def test_a_folder_to_work_in_is_made(docker):
    assert docker.run("-w", "/new/folder", IMAGE, "pwd").ok().text == "/new/folder"


def test_a_health_check(docker):
    name = docker.start("--health-cmd", "test -e /tmp/well", "--health-interval", "200ms", "--health-retries", "1", IMAGE, "sleep", "1000")
    wait_until(lambda: docker.inspect(name, "{{.State.Health.Status}}") == "unhealthy", "unhealthy")
    docker("exec", name, "touch", "/tmp/well").ok()
    wait_until(lambda: docker.inspect(name, "{{.State.Health.Status}}") == "healthy", "healthy")


def test_build(docker, tmp_path):
    (tmp_path / "Dockerfile").write_text(f"FROM {IMAGE}\nRUN echo wax >/comb && chown 1000 /comb\nUSER bee\nCMD cat /comb; id -u\n")
    docker.environment = dict(os.environ, DOCKER_BUILDKIT="0")
    try:
        docker("build", "-t", "comb", tmp_path).ok()
        (tmp_path / "Dockerfile").write_text(f"FROM {IMAGE}\nRUN exit 3\n")
        docker("build", tmp_path).exits(3, "returned a non-zero code: 3")
    finally:
        docker.environment = None
    assert docker.run("comb").ok().lines == ["wax", "1000"]


def test_a_cgroup_parent(docker):
    name = docker.start("--cgroup-parent", "/hive", IMAGE, "sleep", "1000")
    pid = docker.pid(name)
    paths = [cgroup_path(pid, kind, options) for _, kind, options in hierarchies()]
    assert any(path.startswith("/hive/") for path in paths)


def test_a_cgroup_namespace_of_its_own(docker):
    lines = docker.run("--cgroupns", "private", IMAGE, "cat", "/proc/self/cgroup").ok().lines
    assert {line.split(":", 2)[2] for line in lines} == {"/"}


def test_a_name_that_is_used_is_free_after_removal(docker):
    for _ in range(3):
        assert docker("run", "--rm", "--name", "again", IMAGE, "echo", "here").ok().text == "here"


def restart(docker, how):
    docker.daemon.stop(how)
    docker.daemon.start(os.path.dirname(docker.directory))


def test_containers_stay_when_the_daemon_is_restarted(docker):
    name = docker.start(IMAGE, "sh", "-c", COUNTING)
    leaving = docker.start(IMAGE, "sh", "-c", "while test ! -e /tmp/leave; do sleep 0.05; done; exit 9")
    docker.wait_for_log(name, "line 1")
    pid = docker.pid(name)
    for how in (signal.SIGTERM, signal.SIGKILL):
        restart(docker, how)
        assert (docker.status(name), docker.pid(name)) == ("running", pid)
        assert docker("exec", name, "echo", "still here").ok().text == "still here"
        last = docker("logs", name).out.count("line")
        wait_until(lambda: docker("logs", name).out.count("line") > last, "the log goes on")
    docker("exec", leaving, "touch", "/tmp/leave") # which may be killed by the end that it brings about
    assert docker("wait", leaving).ok().text == "9"
    docker("stop", "-t", "20", name).ok()
    assert docker.inspect(name, "{{.State.ExitCode}}") == "7"


def test_a_container_that_ends_while_the_daemon_is_away(docker):
    name = docker.start(IMAGE, "sleep", "1000")
    pid = docker.pid(name)
    docker.daemon.stop(signal.SIGTERM)
    os.kill(pid, signal.SIGKILL)
    docker.daemon.start(os.path.dirname(docker.directory))
    wait_until(lambda: docker.status(name) == "exited", "the daemon hears of it")
    assert docker.inspect(name, "{{.State.ExitCode}}") in ("137", "255") # from 28 on docker does not ask how it ended
    docker("start", name).ok()
    assert docker.status(name) == "running"


def test_always_running(docker):
    name = docker.start("--restart", "always", IMAGE, "sleep", "1000")
    pid = docker.pid(name)
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: docker.pid(name) not in (0, pid), "a new process")
