"""`system df`, the prunes and `info`, of containers, images and volumes."""
import json
import os
import re
import subprocess

import pytest

from engines import Engine, eventually
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
    engine.ok("volume", "prune", "-af")


FILL = "head -c 100000 /dev/zero >/f; ln /f /g; head -c 30000 /dev/zero >/v/f"  # two names of one file are one


def rows(engine):
    return {row["Type"]: row for row in map(json.loads, engine.ok("system", "df", "--format", "json").splitlines())}


def other_image(engine, name, *changes):
    """An image of another layer."""
    engine.ok("create", "--name", "source", "busybox", "true")
    archive = subprocess.run([*engine.base, "export", "source"], capture_output=True, check=True, env=engine.env).stdout
    engine.ok("rm", "source")
    return engine.ok("import", *[x for c in changes for x in ("-c", c)], "-", name, stdin=archive).strip()


# ---- df ----

def test_df_counts_what_is_used(engine):
    assert [rows(engine)[x]["Active"] for x in ("Images", "Containers", "Local Volumes", "Build Cache")] == ["0"] * 4
    engine.ok("run", "--name", "ended", "-v", "data:/v", "busybox", "sh", "-c", FILL)
    now = rows(engine)
    assert (now["Containers"]["TotalCount"], now["Containers"]["Active"], now["Containers"]["Size"]) == ("1", "0", "100kB")
    assert now["Containers"]["Reclaimable"] == "100kB (100%)"
    assert (now["Local Volumes"]["Active"], now["Local Volumes"]["Size"], now["Local Volumes"]["Reclaimable"]) == ("1", "30kB", "0B (0%)")
    assert (now["Images"]["Active"], now["Images"]["Reclaimable"]) == ("1", "0B (0%)")
    engine.ok("rm", "ended")
    now = rows(engine)
    assert now["Local Volumes"]["Reclaimable"] == "30kB (100%)" and now["Images"]["Reclaimable"].endswith("(100%)")
    disk = subprocess.run(["du", "-sbc", f"{engine.root}/blobs", f"{engine.root}/layers"], capture_output=True, check=True).stdout
    disk = int(disk.splitlines()[-1].split()[0])
    size = float(re.fullmatch(r"([\d.]+)MB", now["Images"]["Size"])[1]) * 1e6
    assert abs(size - disk) < disk / 20  # du counts the directories, too


def test_df_in_detail(engine):
    engine.ok("run", "--name", "ended", "-v", "data:/v", "busybox", "sh", "-c", FILL)
    text = engine.ok("system", "df", "-v")
    images, containers, volumes, cache = re.split(r"\n(?=\S+ ?\S* (?:space )?usage:)", text)
    assert images.startswith("Images space usage:\n\nREPOSITORY") and re.search(r"^busybox +latest .* 1$", images, re.M)
    assert re.search(r"^CONTAINER ID +IMAGE +COMMAND +LOCAL VOLUMES +SIZE +CREATED +STATUS +NAMES$", containers, re.M)
    assert re.search(r"\"sh -c 'head -c 1000…\" +1 +100kB +.*Exited \(0\).* ended$", containers, re.M)
    assert re.search(r"^data +1 +30kB$", volumes, re.M) and cache.startswith("Build cache usage: 0B")



def test_sizes_of_containers(engine):
    engine.ok("run", "--name", "ended", "-v", "data:/v", "busybox", "sh", "-c", FILL)
    inspected = json.loads(engine.ok("container", "inspect", "-s", "ended"))[0]
    assert inspected["SizeRw"] == 100000 and inspected["SizeRootFs"] > 1000000 and "SizeRw" not in engine.inspect("ended")
    assert re.fullmatch(r"100kB \(virtual \d\.\d+MB\)\n", engine.ok("ps", "-a", "--format", "{{.Size}}"))
    assert engine.ok("ps", "-as").splitlines()[0].endswith("NAMES     SIZE")


def test_a_container_with_a_size(engine):
    identity = engine.ok("create", "--storage-opt", "size=20m", "busybox", "sh", "-c", "head -c 100000 /dev/zero >/f; sleep 1000").strip()
    engine.ok("start", identity)
    eventually(lambda: engine.ok("ps", "--format", "{{.Size}}").startswith("100kB"))
    engine.ok("kill", identity)
    assert rows(engine)["Containers"]["Size"] == "100kB"


# ---- prune ----

def test_system_prune_asks(engine):
    engine.ok("create", "--name", "stays", "busybox", "true")
    question = engine.ok("system", "prune", "-a", "--volumes", "--filter", "label=x", stdin=b"n\n")
    assert question == ("WARNING! This will remove:\n  - all stopped containers\n  - all networks not used by at least one container\n"
                        "  - all anonymous volumes not used by at least one container\n"
                        "  - all images without at least one container associated to them\n  - all build cache\n\n"
                        "  Items to be pruned will be filtered with:\n  - label=x\n\nAre you sure you want to continue? [y/N] ")
    assert engine.ok("ps", "-a", "--format", "{{.Names}}") == "stays\n"


def test_system_prune(engine):
    before = len(engine.events())
    unnamed = other_image(engine, "other:1")
    engine.ok("run", "-d", "--name", "runs", "other:1", "/bin/busybox", "sleep", "1000")
    engine.ok("run", "--name", "kept", "-l", "keep", "busybox", "true")
    ended = engine.run("--name", "ended", "-v", "/anonymous", "-v", "named:/v", "busybox", "sh", "-c", FILL)
    engine.ok("wait", "ended")
    engine.ok("rmi", "-f", "other:1")  # its container keeps it
    out = engine.ok("system", "prune", "-f", "--volumes", "--filter", "label!=keep")
    assert out.startswith(f"Deleted Containers:\n{ended}\n\nDeleted Volumes:\n") and out.endswith("\nTotal reclaimed space: 100kB\n")
    assert engine.ok("volume", "ls", "-q") == "named\n" and engine.ok("ps", "-aq").count("\n") == 2
    engine.ok("rm", "-f", "runs")
    out = engine.ok("system", "prune", "-f", "--filter", "until=1h")
    assert out == "Total reclaimed space: 0B\n"  # nothing is that old
    out = engine.ok("system", "prune", "-f")
    assert "Deleted Containers:\n" in out and f"\nDeleted Images:\ndeleted: {unnamed}\n" in out
    assert engine.ok("images", "--format", "{{.Repository}}") == "busybox\n"
    pruned = [(x["Type"], int(x["Actor"]["Attributes"]["reclaimed"]) > 0) for x in engine.events()[before:] if x["Action"] == "prune"]
    assert pruned[:4] == [("container", True), ("network", False), ("volume", False), ("image", False)] and pruned[-1] == ("image", True)


def test_all_images_but_those_in_use(engine):
    other_image(engine, "unused:1", "LABEL a=b")
    engine.ok("create", "--name", "user", "busybox", "true")
    assert engine.ok("image", "prune", "-af", "--filter", "label!=a") == "Total reclaimed space: 0B\n"
    out = engine.ok("image", "prune", "-af", "--filter", "label=a=b")
    assert out.startswith("Deleted Images:\nuntagged: unused:1\ndeleted: sha256:")
    assert engine.ok("images", "--format", "{{.Repository}}") == "busybox\n"


@pytest.mark.parametrize("arguments, message", [
    (["system", "prune", "-f", "--filter", "nosuch=1"], "invalid filter 'nosuch'"),
    (["container", "prune", "-f", "--filter", "all=1"], "invalid filter 'all'"),
    (["volume", "prune", "-f", "--filter", "until=1h"], "invalid filter 'until'"),
    (["image", "prune", "-f", "--filter", "until=soon"], 'failed to parse value as time or duration: "soon"'),
    (["system", "prune", "-f", "--volumes", "--filter", "until=1h"], 'ERROR: The "until" filter is not supported with "--volumes"'),
])
def test_wrong_filters_remove_nothing(engine, arguments, message):
    engine.ok("create", "--name", "stays", "busybox", "true")
    assert message in engine.fails(1, *arguments)
    assert engine.ok("ps", "-a", "--format", "{{.Names}}") == "stays\n"


@pytest.mark.parametrize("command", [["ps"], ["images"], ["events"], ["volume", "ls"], ["system", "prune", "-f"], ["image", "prune", "-f"]], ids=" ".join)
def test_what_is_no_filter(engine, command):
    message = engine.fails(125, *command, "--filter", "label")
    assert 'flag: bad format of filter (expected name=value)' in message and "Usage:" in message


@pytest.mark.parametrize("command, filters, message", [
    (["ps"], ["nosuch=1"], "invalid filter 'nosuch'"), (["ps"], ["is-task=x"], "invalid filter 'is-task=[x]'"), (["ps"], ["status=x"], "invalid filter 'status=x'"),
    (["ps"], ["name=a", "exited=x"], "invalid filter 'exited=x'"), (["ps", "-a"], ["since=nosuch"], "No such container: nosuch"),
    (["volume", "ls"], ["nosuch=1"], "invalid filter 'nosuch'"), (["volume", "ls"], ["name=a", "dangling=x"], "invalid filter 'dangling=[x]'"),
], ids=lambda v: " ".join(v) if isinstance(v, list) else "")
def test_wrong_filters_where_nothing_is(engine, command, filters, message):
    assert message in engine.fails(1, *command, *[x for f in filters for x in ("--filter", f)])


def test_volumes_that_are_pruned_are_measured(engine):
    engine.ok("run", "--rm", "-v", "data:/v", "busybox", "sh", "-c", FILL)
    assert engine.ok("volume", "prune", "-f") == "Total reclaimed space: 0B\n"
    assert engine.ok("volume", "prune", "-af") == "Deleted Volumes:\ndata\n\nTotal reclaimed space: 30kB\n"


# ---- info ----

def test_info_counts(engine):
    for name in "r1", "r2", "p1":
        engine.run("--name", name, "busybox", "sleep", "1000")
    engine.ok("pause", "p1")
    engine.ok("create", "--name", "c1", "busybox", "true")
    info = json.loads(engine.ok("info", "--format", "json"))
    assert [info[x] for x in ("Containers", "ContainersRunning", "ContainersPaused", "ContainersStopped", "Images")] == [4, 2, 1, 1, 1]
    assert info["Driver"] == "erofs" and info["CgroupDriver"] in ("cgroupfs", "systemd") and info["DefaultRuntime"] in info["Runtimes"]
    text = engine.ok("info")
    assert " Containers: 4\n  Running: 2\n  Paused: 1\n  Stopped: 1\n Images: 1\n" in text and "\n Storage Driver: erofs\n" in text


def test_looking_makes_nothing(tmp_path):
    nothing = Engine(str(tmp_path))
    assert json.loads(nothing.ok("info", "--format", "json"))["Containers"] == 0 and not os.path.exists(nothing.root)
