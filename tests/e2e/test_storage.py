"""What containers write into their own root: after kills, and how much of it."""
import os
import subprocess

import pytest

from engines import Engine, eventually, kill
from images import SKEP

pytestmark = [pytest.mark.skipif(not os.path.exists(SKEP), reason=f"no {SKEP}"), pytest.mark.skipif(os.geteuid() != 0, reason="needs root")]


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


# ---- layers, which containers of an image share ----

KERNEL = tuple(map(int, os.uname().release.split(".")[:2]))
shares = pytest.mark.skipif(KERNEL < (6, 15), reason="this kernel cannot copy a mount of another process")


def own_pages(engine, name):
    """KiB of the container's program that no other process has in memory, too."""
    with open(f"/proc/{engine.state(name)['Pid']}/smaps_rollup", encoding="utf-8") as f:
        return sum(int(line.split()[1]) for line in f if line.startswith("Private_Clean:"))


@shares
def test_layers_are_in_memory_once(engine):
    first = engine.run("busybox", "sleep", "1000")
    eventually(lambda: own_pages(engine, first) > 300)  # busybox itself
    others = [engine.run(*options, "busybox", "sleep", "1000") for options in ([], ["--read-only"], ["--userns", "auto"], ["--rm"])]
    eventually(lambda: all(own_pages(engine, name) < 100 for name in (first, *others)))
    assert len(engine.offered_layers()) == 5


@shares
def test_layers_outlive_who_mounted_them(engine):
    first, second = [engine.run("busybox", "sleep", "1000") for _ in range(2)]
    engine.ok("rm", "-f", first)
    assert engine.ok("exec", second, "ls", "/bin/sh") == "/bin/sh\n"
    third = engine.run("busybox", "sleep", "1000")
    eventually(lambda: own_pages(engine, third) < 100 and own_pages(engine, second) < 100)
    assert len(engine.offered_layers()) == 2


@shares
def test_who_was_killed_offers_nothing(engine):
    first, second = [engine.run("busybox", "sleep", "1000") for _ in range(2)]
    kill(engine.monitor_of(first))
    kill(engine.monitor_of(second))
    third = engine.run("busybox", "sleep", "1000")  # has to mount them anew
    assert len(engine.offered_layers()) == 1
    assert engine.ok("exec", third, "ls", "/bin/sh") == "/bin/sh\n"
    assert engine.status(first) == "exited" and engine.status(third) == "running"


@shares
def test_what_is_no_offer(engine):
    """Names of other forms, of processes that are gone, and of descriptors that are no layers are passed over."""
    first = engine.run("busybox", "sleep", "1000")
    offer, = engine.offered_layers()
    where = os.path.dirname(subprocess.run(["find", engine.run_root, "-name", offer], capture_output=True, check=True).stdout.decode().strip())
    pid, start, number, space = offer.split(".")
    wrong = ("x", "1.2", f"{pid}.{start}.{number}", f"{pid}.1.3.{space}", f"{os.getpid()}.0.0.{space}", f"-1.0.0.{space}")
    passed_over = (f"{pid}.{start}.0.{space}", f"{pid}.{start}.99999.{space}", f"{pid}.{start}.{number}.1")
    for name in wrong + passed_over:
        with open(os.path.join(where, name), "wb"):
            pass
    os.rename(os.path.join(where, offer), where + ".away")  # all are looked at
    second = engine.run("busybox", "sleep", "1000")
    assert engine.ok("exec", second, "ls", "/bin/sh") == "/bin/sh\n"
    left = set(os.listdir(where))
    assert left >= set(passed_over) and not left & set(wrong)
    engine.ok("rm", "-f", first, second)
    os.unlink(where + ".away")
    for name in os.listdir(where):
        os.unlink(os.path.join(where, name))


# ---- what lies below every image ----

def test_nothing_is_written_for_a_start(engine):
    name = engine.run("busybox", "sleep", "1000")
    assert [files for _, _, files in os.walk(os.path.join(engine.directory(name), "upper"))] == [[]]
    assert engine.ok("exec", name, "readlink", "/etc/mtab") == "/proc/mounts\n" and engine.ok("exec", name, "hostname") == name[:12] + "\n"
    assert engine.ok("diff", name) == ""


def test_an_image_hides_the_skeleton(engine):
    """Its own files, owners and modes show, and what it has removed stays removed where nothing is mounted."""
    engine.ok("run", "--name", "box", "busybox", "sh", "-c", "rm /etc/mtab; echo x >/etc/mtab; chown 5:6 /etc; chmod 711 /etc; rmdir /home")
    engine.ok("commit", "box", "made:skeleton")
    assert engine.ok("run", "--rm", "made:skeleton", "sh", "-c", "cat /etc/mtab; stat -c '%u %g %a' /etc; test -e /home || echo none") == "x\n5 6 711\nnone\n"


def test_roots_without_the_skeleton(engine):
    """Where it cannot be made, and in user namespaces, places are made in the container's own root."""
    skeleton = os.path.join(engine.root, "skeleton")
    engine.ok("run", "--rm", "busybox", "true")
    os.rename(skeleton, skeleton + ".away")
    try:
        with open(skeleton, "wb"):
            pass
        assert engine.ok("run", "--rm", "busybox", "cat", "/etc/hostname").strip()
    finally:
        os.unlink(skeleton)
        os.rename(skeleton + ".away", skeleton)
    assert engine.ok("run", "--rm", "--userns", "auto", "busybox", "readlink", "/etc/mtab") == "/proc/mounts\n"


# ---- roots of --rm containers, which are never synced ----

MARK = "work/work/incompat/volatile"


@pytest.fixture
def lost(engine):
    """A --rm container whose monitor was killed: nobody removes it."""
    identity = engine.run("--rm", "--name", "lost", "busybox", "sh", "-c", "cat /kept; echo kept >/kept; sleep 1000")
    eventually(lambda: engine.call("exec", "lost", "test", "-s", "/kept").returncode == 0)
    kill(engine.monitor_of("lost"))
    eventually(lambda: engine.status("lost") == "exited")
    assert os.path.exists(os.path.join(engine.directory(identity), MARK))
    return identity


def test_it_can_be_read(engine, lost):
    assert b"kept\n" in subprocess.run([*engine.base, "cp", "lost:/kept", "-"], env=engine.env, capture_output=True, check=True).stdout
    assert not os.path.exists(os.path.join(engine.directory(lost), MARK))


def test_it_can_be_started_again(engine, lost):
    engine.ok("start", "lost")
    eventually(lambda: b"kept\n" in engine.call("logs", "lost").stdout)
    engine.ok("stop", "-t", "0", "lost")
    eventually(lambda: not os.path.exists(engine.directory(lost)))


def test_after_a_power_cut_it_is_lost(engine, lost):
    """Nothing of it was ever synced: what is there may be anything."""
    with open(os.path.join(engine.directory(lost), "volatile"), "w", encoding="ascii") as f:
        f.write("00000000-0000-0000-0000-000000000000")
    said = "the changes of a volatile overlay are lost: the machine has been started anew since it was mounted"
    assert said in engine.fails(1, "start", "lost")
    assert said in engine.fails(1, "cp", "lost:/kept", "-")
    engine.ok("rm", "lost")
    assert not os.path.exists(engine.directory(lost))


# ---- a size ----

MB = 1 << 20


def fill(name="x"):
    return f"dd if=/dev/zero of=/{name} bs=1M count=64 2>/dev/null; stat -c %s /{name}"


def loops(engine):
    """Files below the engine's root that are loop devices."""
    listed = subprocess.run(["losetup", "-nO", "BACK-FILE"], capture_output=True, check=True).stdout.decode()
    return [line for line in listed.splitlines() if engine.root in line]


def test_a_size_limits(engine):
    size = int(engine.ok("run", "--rm", "--storage-opt", "size=32m", "busybox", "sh", "-c", fill()))
    assert 16 * MB < size < 32 * MB
    assert int(engine.ok("run", "--rm", "busybox", "sh", "-c", fill())) == 64 * MB
    eventually(lambda: loops(engine) == [])


def test_what_is_written_stays(engine):
    engine.ok("run", "--name", "limited", "--storage-opt", "size=32m", "busybox", "sh", "-c", "cat /first 2>/dev/null; echo first >/first; rm -f /etc/passwd")
    assert engine.ok("start", "-a", "limited") == "first\n"
    assert sorted(engine.ok("diff", "limited").splitlines()) == ["A /first", "C /etc", "D /etc/passwd"]
    assert b"first\n" in subprocess.run([*engine.base, "cp", "limited:/first", "-"], env=engine.env, capture_output=True, check=True).stdout
    engine.ok("commit", "limited", "committed:1")
    assert engine.ok("run", "--rm", "committed:1", "cat", "/first") == "first\n"
    engine.ok("rmi", "committed:1")
    eventually(lambda: loops(engine) == [])


def test_looking_at_a_running_one(engine):
    """What the container writes is seen, and survives that we looked: it is one file system all the time."""
    identity = engine.run("--name", "busy", "--storage-opt", "size=32m", "busybox", "sh", "-c", "i=0; while :; do echo $i >/f$((i % 50)); i=$((i+1)); done")
    eventually(lambda: engine.call("exec", "busy", "test", "-e", "/f49").returncode == 0)
    for _ in range(10):
        assert "A /f1" in engine.ok("diff", "busy").splitlines()
        assert len(loops(engine)) <= 1
    engine.ok("stop", "-t", "0", "busy")
    eventually(lambda: loops(engine) == [])
    disk = os.path.join(engine.directory(identity), "disk")
    if os.path.exists(disk):
        subprocess.run(["e2fsck", "-fn", disk], check=True, capture_output=True)


def test_removing_gives_the_space_back(engine):
    identity = engine.run("--name", "space", "--storage-opt", "size=64m", "busybox", "sh", "-c", "dd if=/dev/zero of=/x bs=1M count=40; sync; rm /x; sync; touch /done; sleep 1000")
    disk = os.path.join(engine.directory(identity), "disk")
    if not os.path.exists(disk):
        pytest.skip("quotas keep no file")
    eventually(lambda: engine.call("exec", "space", "test", "-e", "/done").returncode == 0)
    assert os.stat(disk).st_size == 64 * MB
    eventually(lambda: os.stat(disk).st_blocks * 512 < 20 * MB)


def test_a_size_in_a_user_namespace(engine):
    size, owners = engine.ok("run", "--rm", "--userns", "auto", "--storage-opt", "size=32m", "busybox", "sh", "-c", fill() + "; stat -c %u:%g / /x | sort -u").split()
    assert 16 * MB < int(size) < 32 * MB and owners == "0:0"


def test_a_killed_one_with_a_size(engine):
    engine.run("--rm", "--name", "lost", "--storage-opt", "size=32m", "busybox", "sh", "-c", "cat /kept; echo kept >/kept; sleep 1000")
    eventually(lambda: engine.call("exec", "lost", "test", "-s", "/kept").returncode == 0)
    kill(engine.monitor_of("lost"))
    eventually(lambda: engine.status("lost") == "exited")
    engine.ok("start", "lost")
    eventually(lambda: b"kept\n" in engine.call("logs", "lost").stdout)


def test_a_size_that_is_too_small(engine):
    identity = engine.ok("create", "--storage-opt", "size=32m", "busybox").strip()
    if not os.path.exists(os.path.join(engine.directory(identity), "disk")):
        pytest.skip("a quota may be as small as one likes")
    engine.ok("rm", identity)
    assert "mkfs.ext4 could not make a file system of that size" in engine.fails(125, "run", "--storage-opt", "size=8k", "busybox", "true")
    assert os.listdir(os.path.join(engine.root, "containers")) == []


@pytest.mark.parametrize("option, message", [("size=x", "invalid size: 'x'"), ("nosuch=1", "Unknown option nosuch"), ("size=0", "storage option size: more than 0 is needed")])
def test_wrong_sizes(engine, option, message):
    assert message in engine.fails(125, "run", "--rm", "--storage-opt", option, "busybox", "true")
    assert os.listdir(os.path.join(engine.root, "containers")) == []
