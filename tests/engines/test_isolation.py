"""What a container may see and do."""
import os
from urllib.error import URLError
from urllib.request import urlopen

import pytest
from daemons import IMAGE
from engine import DEADLINE, wait_until

QUIET = ("--network", "none")


def run(engine, *words):
    return engine.run(*QUIET, *words)


def test_read_only_root(engine):
    done = run(engine, "--read-only", IMAGE, "sh", "-c", "touch /etc/x")
    assert done.code != 0 and "read-only" in done.err.lower()
    run(engine, "--read-only", "--tmpfs", "/scratch:size=1m,mode=1777", IMAGE, "sh", "-c", "echo a >/scratch/x; cat /scratch/x").ok()


def capabilities(text):
    return {line.split(":")[0]: int(line.split(":")[1], 16) for line in text.splitlines() if line.startswith("Cap")}


def test_capabilities(engine):
    seen = capabilities(run(engine, IMAGE, "cat", "/proc/self/status").ok().out)
    assert seen["CapInh"] == 0 and seen["CapEff"] == seen["CapBnd"] != 0
    assert not seen["CapEff"] & (1 << 21), "CAP_SYS_ADMIN"
    assert set(capabilities(run(engine, "--cap-drop", "ALL", IMAGE, "cat", "/proc/self/status").ok().out).values()) == {0}
    assert capabilities(run(engine, "--cap-drop", "ALL", "--cap-add", "NET_ADMIN", IMAGE, "cat", "/proc/self/status").ok().out)["CapEff"] == 1 << 12
    assert run(engine, "--cap-drop", "CHOWN", IMAGE, "chown", "1", "/tmp").code != 0


def test_an_ordinary_user_has_no_capabilities(engine):
    seen = capabilities(run(engine, "--user", "bee", IMAGE, "cat", "/proc/self/status").ok().out)
    assert (seen["CapEff"], seen["CapPrm"], seen["CapInh"], seen["CapAmb"]) == (0, 0, 0, 0)


def test_the_default_seccomp_profile(engine):
    assert "Seccomp:\t2" in run(engine, IMAGE, "cat", "/proc/self/status").ok().out
    assert "Seccomp:\t0" in run(engine, "--security-opt", "seccomp=unconfined", IMAGE, "cat", "/proc/self/status").ok().out
    run(engine, IMAGE, "linux32", "true").ok()
    randomless = ("linux32", "-R", "true") # personality(2) with a value that is not in the profile
    assert run(engine, IMAGE, *randomless).code == 1
    run(engine, "--security-opt", "seccomp=unconfined", IMAGE, *randomless).ok()
    if engine.name == "docker": # that of podman leaves both to the capabilities
        assert run(engine, IMAGE, "unshare", "-U", "true").code != 0
        assert run(engine, "--security-opt", "seccomp=unconfined", "--cap-add", "SYS_ADMIN", IMAGE, "mount", "-t", "tmpfs", "none", "/tmp").code == 0


def test_a_seccomp_profile_of_ones_own(engine, tmp_path):
    profile = tmp_path / "no-folders.json"
    profile.write_text('{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO", "errnoRet": 28}]}')
    done = run(engine, "--security-opt", f"seccomp={profile}", IMAGE, "mkdir", "/tmp/x")
    assert done.code == 1 and "No space left" in done.err


def test_no_new_privileges(engine):
    assert "NoNewPrivs:\t0" in run(engine, IMAGE, "cat", "/proc/self/status").ok().out
    assert "NoNewPrivs:\t1" in run(engine, "--security-opt", "no-new-privileges", IMAGE, "cat", "/proc/self/status").ok().out


def test_privileged(engine):
    assert run(engine, IMAGE, "sh", "-c", "echo 1 >/proc/sys/net/ipv4/ip_forward").code != 0
    run(engine, "--privileged", IMAGE, "sh", "-c", "echo 1 >/proc/sys/net/ipv4/ip_forward && mount -t tmpfs none /tmp && test -c /dev/fuse").ok()


def test_masked_paths(engine):
    assert run(engine, IMAGE, "sh", "-c", "wc -c </proc/kcore; ls /sys/firmware; cat /proc/timer_list").ok().text in ("0", "")
    assert run(engine, IMAGE, "sh", "-c", "echo b >/proc/sysrq-trigger").code != 0


def test_control_groups_are_read_only(engine):
    rows = [line.split() for line in run(engine, IMAGE, "cat", "/proc/mounts").ok().lines if " /sys/fs/cgroup" in line]
    assert rows
    assert not [row for row in rows if "ro" not in row[3].split(",")]


def test_user_and_groups(engine):
    assert run(engine, "--user", "bee", IMAGE, "id").ok().text == "uid=1000(bee) gid=1000(bee) groups=1000(bee),2000(swarm)"
    assert run(engine, "--user", "4321:8765", "--group-add", "99", IMAGE, "sh", "-c", "id -u; id -g; id -G").ok().lines == ["4321", "8765", "8765 99"]
    run(engine, "--user", "nobody-here", IMAGE, "true").exits(125 if engine.name == "docker" else 126)


def test_hostname_environment_and_folder(engine):
    assert run(engine, "--hostname", "hive", IMAGE, "sh", "-c", "hostname; cat /proc/sys/kernel/hostname").ok().lines == ["hive", "hive"]
    done = run(engine, "-e", "A=b c", "-w", "/home/bee", IMAGE, "sh", "-c", "echo $A; pwd; echo $HIVE; echo $HOME").ok()
    assert done.lines == ["b c", "/home/bee", "straw", "/root"]


def test_tmpfs(engine):
    done = run(engine, "--tmpfs", "/scratch:size=4m,mode=0700", IMAGE, "sh", "-c", "grep ' /scratch ' /proc/mounts; stat -c %a /scratch").ok()
    assert "tmpfs" in done.lines[0] and "size=4096k" in done.lines[0]
    assert done.lines[1] == "700"
    assert "size=8192k" in run(engine, "--shm-size", "8m", IMAGE, "grep", "/dev/shm", "/proc/mounts").ok().text


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "seen").write_text("from outside\n")
    return tmp_path


def test_bind_mounts(engine, folder):
    assert run(engine, "-v", f"{folder}:/data", IMAGE, "sh", "-c", "cat /data/seen; echo inside >/data/new").ok().text == "from outside"
    assert (folder / "new").read_text() == "inside\n"
    done = run(engine, "-v", f"{folder}:/data:ro", IMAGE, "sh", "-c", "cat /data/seen; touch /data/other")
    assert done.text == "from outside" and done.code != 0 and "read-only" in done.err.lower()
    assert run(engine, "-v", f"{folder}/seen:/etc/one-file:ro", IMAGE, "cat", "/etc/one-file").ok().text == "from outside"


def test_a_bind_mount_of_a_folder_over_a_file_fails(engine, folder):
    done = run(engine, "-v", f"{folder}:/etc/not-a-program", IMAGE, "true")
    assert done.code in (125, 126, 127) and "not a directory" in done.err.lower()


def test_named_volume(engine):
    for attempt in ("first", "second"):
        done = run(engine, "-v", "comb:/home/bee", IMAGE, "sh", "-c", f"echo {attempt} >>/home/bee/log; cat /home/bee/log; stat -c %u /home/bee").ok()
    assert done.lines == ["first", "second", "1000"]
    engine("volume", "rm", "comb").ok()


def test_propagation(engine, folder):
    os.mkdir(folder / "mnt")
    shared = engine.start(*QUIET, "--privileged", "-v", f"{folder}:/data:rshared", IMAGE, "sleep", "1000")
    engine("exec", shared, "mount", "-t", "tmpfs", "honey", "/data/mnt").ok()
    with open("/proc/mounts", encoding="utf-8") as f:
        assert f"honey {folder}/mnt tmpfs" in f.read()
    slave = engine.start(*QUIET, "-v", f"{folder}:/data:rslave", IMAGE, "sleep", "1000")
    engine("exec", slave, "grep", "honey /data/mnt", "/proc/mounts").ok()
    engine("exec", shared, "umount", "/data/mnt").ok()
    assert engine("exec", slave, "grep", "honey", "/proc/mounts").code == 1


def test_devices(engine):
    assert run(engine, IMAGE, "ls", "/dev/fuse").code != 0
    run(engine, "--device", "/dev/fuse:/dev/smoke:r", IMAGE, "sh", "-c", "test -c /dev/smoke && exec 3</dev/smoke").ok()
    done = run(engine, "--device", "/dev/fuse:/dev/smoke:r", IMAGE, "sh", "-c", "exec 3<>/dev/smoke")
    assert done.code != 0 and "not permitted" in done.err.lower()
    done = run(engine, "--cap-add", "MKNOD", IMAGE, "sh", "-c", "mknod /tmp/fuse c 10 229 && exec 3</tmp/fuse")
    assert done.code != 0 and "not permitted" in done.err.lower()
    assert run(engine, IMAGE, "sh", "-c", "echo x >/dev/null; head -c 3 /dev/zero | wc -c; test -c /dev/tty && test -L /dev/fd && echo yes").ok().lines == ["3", "yes"]


def test_sysctl(engine):
    assert run(engine, "--sysctl", "net.ipv4.ip_forward=1", "--sysctl", "kernel.msgmax=4242", IMAGE, "sh", "-c",
               "cat /proc/sys/net/ipv4/ip_forward /proc/sys/kernel/msgmax").ok().lines == ["1", "4242"]


def test_namespaces_of_another_container(engine):
    name = engine.start("--hostname", "hive", IMAGE, "sleep", "1000")
    assert "sleep 1000" in engine.run("--network", "none", "--pid", f"container:{name}", IMAGE, "ps").ok().out
    assert (engine.run("--network", f"container:{name}", IMAGE, "readlink", "/proc/self/ns/net").ok().text
            == engine("exec", name, "readlink", "/proc/self/ns/net").ok().text)


def test_namespaces_of_the_host(engine):
    assert run(engine, "--pid", "host", IMAGE, "readlink", "/proc/self/ns/pid").ok().text == os.readlink("/proc/self/ns/pid")
    assert engine.run("--network", "host", IMAGE, "readlink", "/proc/self/ns/net").ok().text == os.readlink("/proc/self/ns/net")
    assert run(engine, "--uts", "host", IMAGE, "readlink", "/proc/self/ns/uts").ok().text == os.readlink("/proc/self/ns/uts")
    assert run(engine, "--ipc", "host", IMAGE, "readlink", "/proc/self/ns/ipc").ok().text == os.readlink("/proc/self/ns/ipc")


def test_networks(engine):
    assert run(engine, IMAGE, "ls", "/sys/class/net").ok().lines == ["lo"]
    assert engine.run(IMAGE, "ls", "/sys/class/net").ok().lines == ["eth0", "lo"]
    name = engine.start(IMAGE, "httpd", "-f", "-p", "80", "-h", "/etc")
    address = engine.inspect(name, "{{.NetworkSettings.IPAddress}}")


    def answers():
        try:
            with urlopen(f"http://{address}/passwd", timeout=DEADLINE) as answer:
                return b"bee" in answer.read()
        except URLError:
            return False # it does not listen yet

    wait_until(answers, "an answer")


def test_no_descriptor_of_ours_is_inside(engine):
    name = engine.start("--network", "none", IMAGE, "sleep", "1000")
    wait_until(lambda: sorted(os.listdir(f"/proc/{engine.pid(name)}/fd")) == ["0", "1", "2"], "the program has been executed")
