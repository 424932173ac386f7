"""What only podman does: pods, builds, user namespaces."""
import os

from daemons import IMAGE
from engine import command, wait_until
from world import cgroup_path, hierarchies


def test_build(podman, tmp_path):
    (tmp_path / "Dockerfile").write_text(f"FROM {IMAGE}\nRUN echo wax >/comb && chown 1000 /comb\nUSER bee\nCMD cat /comb; id -u\n")
    podman("build", "--network", "none", "-t", "comb", tmp_path).ok()
    assert podman.run("comb").ok().lines == ["wax", "1000"]
    (tmp_path / "Dockerfile").write_text(f"FROM {IMAGE}\nRUN exit 3\n")
    assert podman("build", "--network", "none", tmp_path).code in (3, 125)


def test_a_pod_shares_namespaces(podman):
    podman("pod", "create", "--name", "meadow", "--hostname", "meadow", "--infra-image", IMAGE, "--infra-command", "sleep 1000").ok()
    try:
        first = podman.start("--pod", "meadow", IMAGE, "httpd", "-f", "-p", "8080", "-h", "/etc")
        second = podman.start("--pod", "meadow", IMAGE, "sleep", "1000")
        wait_until(lambda: "bee" in podman("exec", second, "wget", "-q", "-O", "-", "http://127.0.0.1:8080/passwd").out, "an answer of the first")
        assert podman("exec", first, "hostname").ok().text == "meadow"
        podman("pod", "pause", "meadow").ok()
        podman("pod", "unpause", "meadow").ok()
        podman("pod", "stop", "-t", "0", "meadow").ok()
        podman("pod", "start", "meadow").ok()
        assert {podman.status(first), podman.status(second)} == {"running"}
    finally:
        podman("pod", "rm", "-f", "-t", "0", "meadow").ok()


def test_a_user_namespace(podman):
    done = podman.run("--uidmap", "0:200000:65536", "--gidmap", "0:300000:65536", "--network", "none", IMAGE, "sh", "-c",
                      "cat /proc/self/uid_map /proc/self/gid_map; touch /tmp/x; stat -c '%u %g' /tmp/x /etc/passwd; id -u").ok()
    assert [line.split() for line in done.lines] == [["0", "200000", "65536"], ["0", "300000", "65536"], ["0", "0"], ["0", "0"], ["0"]]
    name = podman.start("--uidmap", "0:200000:65536", "--network", "none", IMAGE, "sleep", "1000")
    assert os.stat(f"/proc/{podman.pid(name)}").st_uid == 200000
    assert podman("exec", "-u", "bee", name, "id", "-u").ok().text == "1000"
    podman("stop", "-t", "0", name).ok()


def test_preserved_descriptors(podman, tmp_path):
    (tmp_path / "text").write_text("by descriptor\n")
    name = podman.start("--network", "none", IMAGE, "sleep", "1000")
    for words in (["run", "--rm", "--network", "none", "--preserve-fds", "1", IMAGE], ["exec", "--preserve-fds", "1", name]):
        done = command("sh", "-c", f'exec 3<{tmp_path}/text; exec "$@"', "sh", *podman.argv, *words, "sh", "-c", "cat <&3")
        assert done.ok().text == "by descriptor"


def test_umask_and_oom_score(podman):
    assert podman.run("--network", "none", "--umask", "0027", "--oom-score-adj", "300", IMAGE, "sh", "-c", "umask; cat /proc/self/oom_score_adj").ok().lines == ["0027", "300"]


def test_paths_masked_on_request(podman):
    assert podman.run("--network", "none", "--security-opt", "mask=/etc/group", IMAGE, "sh", "-c", "wc -c </etc/group").ok().text == "0"
    assert podman.run("--network", "none", "--security-opt", "unmask=/proc/timer_list", IMAGE, "sh", "-c", "wc -c </proc/timer_list").ok().text != "0"


def test_without_control_groups(named):
    name = named.start("--network", "none", "--cgroups", "disabled", IMAGE, "sleep", "1000")
    for at, kind, options in hierarchies():
        assert cgroup_path(named.pid(name), kind, options) == cgroup_path("self", kind, options), at
    assert named("exec", name, "echo", "free").ok().text == "free"
    named("stop", "-t", "0", name).ok()


def test_a_runtime_known_by_name(named):
    """podman then asks it for messages in JSON, and takes its exit codes from those."""
    assert named.run("--network", "none", IMAGE).ok().text == "hello from a skep"
    named.run("--network", "none", IMAGE, "no-such-program").exits(127, "no-such-program")
    named.run("--network", "none", IMAGE, "/etc/passwd").exits(126, "permission denied")
    name = named.start("--network", "none", IMAGE, "sleep", "1000")
    named("exec", name, "no-such-program").exits(127, "no-such-program")
    named("exec", name, "/etc/passwd").exits(126, "permission denied")


def test_a_container_without_a_terminal_can_be_attached(podman):
    name = podman.create("-i", "--network", "none", IMAGE, "sort")
    assert podman("start", "-ai", name, stdin="b\na\n").ok().lines == ["a", "b"]


def test_init_containers_wait_and_exit_codes(podman):
    first, second = podman.start(IMAGE, "sh", "-c", "exit 3"), podman.start(IMAGE, "sh", "-c", "sleep 0.2; exit 4")
    assert podman("wait", first, second).ok().lines == ["3", "4"]
