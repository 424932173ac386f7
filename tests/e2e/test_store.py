"""The image store under many processes, kill -9 and a full disk: no row without its files, no file without its row."""
import ctypes
import os
import random
import signal
import subprocess
import time
import traceback

import pytest
from stores import ENV, TOOL, Made, Refused, Store, layout, make_tar, sha
from transferring import eventually

if not os.access(TOOL, os.X_OK):
    pytest.skip(f"no {TOOL}", allow_module_level=True)

ROUNDS = int(os.environ.get("KILL_ROUNDS", "100"))


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "root")


@pytest.fixture(scope="module")
def archives(tmp_path_factory):
    """Images that share layers, some of them compressed, as files."""
    where, shared = tmp_path_factory.mktemp("archives"), make_tar({"shared": b"s" * 100000})
    made = []
    for n in range(4):
        image = Made(seed=n, layers=2, compress=n % 2 == 0, extra=[shared], size=30000)
        path = where / f"{n}.tar"
        path.write_bytes(make_tar(layout([image.entry(f"docker.io/library/image{n}:1")], image)))
        made.append((str(path), f"image{n}:1", image))
    return made


def test_remove(store, archives):
    for path, _, _ in archives:
        store.run("load", path)
    store.verify()
    assert len(store.list()) == 4
    store.run("tag", "image0:1", "other:2")
    assert store.run("untag", "image0:1") == "Untagged: image0:1\n"
    shared = "sha256:" + store.rows("SELECT diff_id FROM image_layers GROUP BY diff_id HAVING count(*) = 4")[0][0][7:]
    out = store.run("rm", "other:2")
    assert shared not in out and out.splitlines()[:2] == ["Untagged: other:2", "Deleted: " + archives[0][2].id]
    store.verify()
    for _, name, _ in archives[1:]:
        out = store.run("rm", name)
    assert "Deleted: " + shared in out
    store.verify(empty=True)


def test_drop_blobs(store, archives):
    path, name, image = archives[0]
    store.run("load", path)
    assert int(store.run("drop-blobs")) == sum(map(len, image.blobs))
    assert {f for f in store.files() if f.startswith("blobs/")} == {"blobs/" + d.replace(":", "/") for d in store.list()[0][:2]}
    assert "index" in store.run("check") or True
    store.verify()
    store.run("load", path)  # and it comes back
    assert len([f for f in store.files() if f.startswith("blobs/")]) == 5
    store.verify()


def worker(root, archives, seed, rounds):
    """One of many: loads, tags and removes at random; what another has taken away meanwhile is no failure."""
    r, store = random.Random(seed), Store(root)
    for _ in range(rounds):
        path, name, _ = r.choice(archives)
        step = r.randrange(5)
        try:
            if step < 2:
                store.run("load", path)
            elif step == 2:
                store.run("tag", name, f"tag{seed}:{r.randrange(3)}")
            elif step == 3:
                store.run("untag", f"tag{seed}:{r.randrange(3)}")
            else:
                store.run(r.choice(["rm", "untag"]), name)
        except Refused as e:
            assert "No such image" in str(e) or "the image is gone" in str(e), e


def test_many_processes(store, archives):
    children = []
    for n in range(8):
        pid = os.fork()
        if not pid:
            status = 1
            try:
                worker(store.root, archives, n, 12)
                status = 0
            finally:
                os._exit(status)
        children.append(pid)
    assert [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in children] == [0] * 8
    store.verify()
    assert " found 0 " in store.run("check")


def test_second_names_of_the_dead_are_swept(store, archives):
    """Who gives a tar its second name may be killed at it: the link would keep the tar's bytes for ever."""
    path, name, _ = archives[0]
    store.run("load", path)
    tar = next(f for f in store.files() if f.endswith("/tar"))
    process = subprocess.Popen(["true"])
    process.wait()
    left, alive = [os.path.join(store.root, "ingest", f"name-{pid}") for pid in (process.pid, os.getpid())]
    for link in left, alive:
        os.link(os.path.join(store.root, tar), link)
    store.run("rm", name)
    store.run("load", path)
    assert not os.path.exists(left) and os.path.exists(alive)
    os.unlink(alive)
    store.verify()


def kill_at_random(store, r, command, took):
    """Runs it and kills it, with its worker or alone, some time before its end: true when it was still running."""
    began = time.monotonic()
    child = subprocess.Popen(store.command(*command), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=ENV, start_new_session=True)
    try:
        child.wait(r.uniform(0, took.get(command[0], 0.03)))
        took[command[0]] = max(time.monotonic() - began, 0.005)
        return False
    except subprocess.TimeoutExpired:
        (os.killpg if r.randrange(2) else os.kill)(child.pid, signal.SIGKILL)
        child.wait()
        eventually(lambda: not group_lives(child.pid))  # the worker holds what it works on until it ends
        return True


def group_lives(group):
    try:
        os.killpg(group, 0)
        return True
    except ProcessLookupError:
        return False


@pytest.mark.parametrize("seed", range(4))
def test_kill(store, archives, seed):
    r, took, killed = random.Random(seed), {}, 0
    store.run("open")
    while killed < ROUNDS // 4:
        path, name, _ = r.choice(archives)
        command = r.choice([("load", path), ("load", path), ("rm", name), ("tag", name, "other:1"), ("untag", name), ("drop-blobs",)])
        killed += kill_at_random(store, r, command, took)
        store.run("open")
        # what was not put in place waits for the next one that works on contents; nothing else is left
        store.run("check", "repair")
        store.verify()
    for path, _, _ in archives:
        store.run("load", path)
    store.verify()
    assert len(store.list()) == 4


def test_killed_load_is_tidied_up(store, archives):
    store.run("open")
    left = os.path.join(store.root, "ingest", "new-0123")
    with open(left, "w", encoding="utf-8") as f:
        f.write("half a layer")
    store.run("list")
    assert os.path.exists(left)
    store.run("load", archives[0][0])
    store.verify()


def in_small_disk(kib, tool):
    """tool() in a mount namespace of its own, with a file system of that size on /mnt."""
    libc = ctypes.CDLL(None, use_errno=True)
    pid = os.fork()
    if not pid:
        status = 1
        try:
            assert libc.unshare(0x00020000) == 0  # CLONE_NEWNS
            assert libc.mount(b"none", b"/", None, 0x44000, None) == 0  # MS_REC | MS_PRIVATE
            assert libc.mount(b"tmpfs", b"/mnt", b"tmpfs", 0, f"size={kib}k".encode()) == 0
            tool()
            status = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(status)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0


@pytest.mark.parametrize("kib", [700, 780, 860, 940, 1020, 1100, 1300, 1500])
def test_full_disk(archives, kib):
    store = Store("/mnt/root")

    def may_be_full(*command):
        try:
            store.run(*command)
        except Refused as e:
            assert "no space left" in str(e) or "disk is full" in str(e), e
            return 1
        return 0

    def fill():
        if may_be_full("open"):
            return
        refused = 0
        for path, _, _ in archives:
            refused += may_be_full("load", path)
            store.run("list")
            may_be_full("check", "repair")
        assert refused or kib >= 1300
        for name in store.names():  # removing must be possible
            store.run("untag", name)
        may_be_full("check", "repair")
        store.verify(empty=True)

    in_small_disk(kib, fill)


# ---- check and repair ----

@pytest.fixture
def loaded(store, archives):
    store.run("load", archives[0][0])
    return store, archives[0][2]


def damage(store, path, change):
    full = os.path.join(store.root, path)
    if change is None:
        os.unlink(full)
        return
    with open(full, "r+b") as f:
        f.seek(change)
        byte = f.read(1)
        f.seek(change)
        f.write(bytes([byte[0] ^ 0x10]))


def outcomes(text):
    return sorted(line.split(" ", 2)[0] + " " + line.split(" ", 2)[1] for line in text.splitlines()[:-1])


def some_layer(store, image):
    return f"layers/{store.rows('SELECT diff_id FROM layers ORDER BY 1')[0][0][7:]}"


@pytest.mark.parametrize("change", [None, 700])
@pytest.mark.parametrize("file", ["tar", "index"])
def test_check_mends_layers(loaded, file, change):
    store, image = loaded
    damage(store, f"{some_layer(store, image)}/{file}", change)
    kind = f"{file}-{'missing' if change is None else 'damaged'}"
    assert outcomes(store.run("check")) == [f"{kind} 0"]
    assert outcomes(store.run("check", "repair")) == [f"{kind} 1"]
    store.verify()
    assert " found 0 " in store.run("check")


@pytest.mark.parametrize("change", [None, 100])
def test_check_fetches_blobs(loaded, tmp_path, change):
    store, image = loaded
    store.run("origin", "image0:1", "registry.example/image0")
    os.mkdir(tmp_path / "registry")
    for path, data in image.documents().items():
        (tmp_path / "registry" / os.path.basename(path)).write_bytes(data)
    for path in image.documents():
        damage(store, path, change)
    kind = "blob-missing" if change is None else "blob-damaged"
    assert outcomes(store.run("check", "repair", env={"FETCH": str(tmp_path / "registry")})) == [f"{kind} 1"] * 5
    store.verify()
    # a layer whose blob is gone as well
    store.run("drop-blobs")
    damage(store, f"{some_layer(store, image)}/tar", change)
    assert outcomes(store.run("check", "repair", env={"FETCH": str(tmp_path / "registry")})) == [f"tar-{kind[5:]} 1"]
    store.verify()


def test_check_does_not_believe_what_it_fetches(loaded, tmp_path):
    store, image = loaded
    store.run("origin", "image0:1", "registry.example/image0")
    os.mkdir(tmp_path / "registry")
    path = next(iter(image.documents()))
    (tmp_path / "registry" / os.path.basename(path)).write_bytes(b"something else")
    damage(store, path, 10)
    out = store.run("check", "repair", env={"FETCH": str(tmp_path / "registry")})
    assert "other bytes" in out and outcomes(out) == ["blob-damaged 2"]
    store.run("load", "-", data=make_tar(layout([image.entry("docker.io/library/image0:1")], image)))
    store.verify()


def test_check_drops_what_cannot_be_had(loaded, archives):
    store, image = loaded
    store.run("drop-blobs")
    damage(store, f"{some_layer(store, image)}/tar", 50)
    assert outcomes(store.run("check", "repair")) == ["tar-damaged 2"]
    assert outcomes(store.run("check")) == ["layer-unknown 0"]
    store.run("load", archives[0][0])
    assert " found 0 " in store.run("check")
    store.verify()


def plain(store, names=("plain:1",), seed=7):
    """An image whose manifest names the tars, as all that docker saves; and where its layers stand in the layout."""
    image = Made(seed, compress=False)
    for name in names:
        store.load(image.docker(name))
    return image, ["blobs/sha256/" + sha(tar) for tar in image.tars]


def test_tars_named_by_manifests_are_in_the_layout(store):
    """skopeo and umoci read the store in place: all that a manifest lists must be in blobs/, at no cost."""
    image, blobs = plain(store, ("plain:1", "plain:2"))
    store.verify()
    for blob in blobs:
        assert os.path.samefile(f"{store.root}/{blob}", f"{store.root}/layers/{os.path.basename(blob)}/tar")
    # images that do not name the tars leave the names; what goes last takes them along
    store.load(layout([Made(7).entry("docker.io/library/gzip:1")], Made(7)))
    store.run("drop-blobs")
    store.run("untag", "docker.io/library/plain:1")
    store.verify()
    assert set(blobs) <= store.files() and image.tars == Made(7).tars
    for name in "plain:2", "gzip:1":
        store.run("untag", f"docker.io/library/{name}")
    store.verify(empty=True)


def test_check_mends_names_of_tars(store):
    _, blobs = plain(store)
    damage(store, blobs[0], None)
    assert outcomes(store.run("check")) == ["blob-missing 0"]
    assert outcomes(store.run("check", "repair")) == ["blob-missing 1"]
    store.verify()
    # a copy of the store may have made two files of it
    with open(f"{store.root}/{blobs[0]}", "rb") as f:
        data = f.read()
    os.unlink(f"{store.root}/{blobs[0]}")
    with open(f"{store.root}/{blobs[0]}", "wb") as f:
        f.write(data)
    assert outcomes(store.run("check", "repair")) == ["blob-missing 1"]
    assert os.path.samefile(f"{store.root}/{blobs[0]}", f"{store.root}/layers/{os.path.basename(blobs[0])}/tar")
    # the tar is lost, its second name is not
    damage(store, f"layers/{os.path.basename(blobs[0])}/tar", None)
    assert outcomes(store.run("check")) == ["tar-missing 0"]
    assert outcomes(store.run("check", "repair")) == ["blob-missing 1", "tar-missing 1"]
    assert os.path.samefile(f"{store.root}/{blobs[0]}", f"{store.root}/layers/{os.path.basename(blobs[0])}/tar")
    store.verify()
    # damaged they are both
    damage(store, f"layers/{os.path.basename(blobs[1])}/tar", 100)
    assert outcomes(store.run("check", "repair")) == ["tar-damaged 2"]
    assert not os.path.exists(f"{store.root}/{blobs[1]}")


def test_check_finds_stray_files(loaded):
    store, _ = loaded
    for path in ["layers/" + "1" * 64, "merged", "trees/" + "4" * 64 + "/root"]:
        os.makedirs(os.path.join(store.root, path))
    for path in ["blobs/sha256/" + "2" * 64, "blobs/sha256/notes.txt", "layers/" + "1" * 64 + "/tar", "merged/" + "5" * 64, "trees/" + "4" * 64 + "/root/f",
                 "ingest/new-1"]:
        with open(os.path.join(store.root, path), "w", encoding="utf-8") as f:
            f.write("?")
    os.mkdir(os.path.join(store.root, "layers", "3" * 64))
    with open(os.path.join(store.root, "layers", "3" * 64, "diary"), "w", encoding="utf-8") as f:
        f.write("?")
    kinds = ["file-foreign", "file-foreign", "file-stray", "file-stray", "file-stray", "file-stray"]
    # the lease that the check takes has tidied up ingest/
    assert outcomes(store.run("check")) == [k + " 0" for k in kinds]
    assert outcomes(store.run("check", "repair")) == ["file-foreign 0", "file-foreign 0"] + ["file-stray 1"] * 4
    assert outcomes(store.run("check")) == ["file-foreign 0", "file-foreign 0"]
    assert os.listdir(os.path.join(store.root, "merged")) == os.listdir(os.path.join(store.root, "trees")) == []
    os.unlink(os.path.join(store.root, "layers", "3" * 64, "diary"))
    os.rmdir(os.path.join(store.root, "layers", "3" * 64))
    os.unlink(os.path.join(store.root, "blobs/sha256/notes.txt"))
    store.verify()
