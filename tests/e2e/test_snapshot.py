"""Images mounted: one merged index, a stack of layers, loop devices and an unpacked tree all show the same files; and the commands around them."""
import fcntl
import json
import os
import random
import shutil
import signal
import subprocess
import tarfile
import tempfile

import pytest

from container import HERE, RUNTIME
from transferring import eventually
from test_erofs import Layer, assert_same, debian, make_everything, of_files, parse, pax, random_layer, shell

BUILD = os.path.dirname(os.path.abspath(RUNTIME))
if not os.access(os.path.join(BUILD, "tests/image/snapshot_tool"), os.X_OK):  # RUNTIME names a foreign runtime
    BUILD = os.path.join(HERE, "../../build")
TOOL = os.path.join(BUILD, "tests/image/snapshot_tool")
SKEP = os.path.join(BUILD, "skep")
VIEW = os.path.join(HERE, "../erofs/tree_view.py")
CACHE = os.path.join(os.environ.get("XDG_CACHE_HOME", os.path.expanduser("~/.cache")), "skep")

pytestmark = pytest.mark.skipif(not os.access(TOOL, os.X_OK), reason=f"no {TOOL}: run ./dev build")


def tool(*args):
    run = subprocess.run([TOOL, *map(str, args)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False)
    assert run.returncode == 0, run.stderr.decode(errors="replace")
    return run.stdout.decode()


class Store:
    """A state directory, and skep on it. Mounts are made in this process' namespace, and must be gone in the end."""

    def __init__(self, top):
        self.top, self.root, self.run_root = top, os.path.join(top, "root"), os.path.join(top, "run")

    def skep(self, *args, fails=None, env=None):
        run = subprocess.run([SKEP, "--root", self.root, "--run-root", self.run_root, *map(str, args)], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                             text=True, check=False, env={**os.environ, **(env or {})})
        if fails is None:
            assert run.returncode == 0, run.stderr
            return run.stdout
        assert run.returncode != 0, f"{args} should have failed"
        assert fails in run.stderr, run.stderr
        return run.stderr

    def add(self, name, *tars):
        tool("add", self.root, f"docker.io/library/{name}:latest", *tars)

    def view(self, name, *options):
        """What an image shows when it is mounted with these options; and as what it was mounted."""
        at = os.path.join(self.top, "mnt")
        os.makedirs(at, exist_ok=True)
        out = shell('tool=$1 view=$2; shift 2; "$tool" mount "$@"; exec "$view" "$3"', TOOL, VIEW, self.root, name, at, *options)
        kind, lines = out.split("\n", 1)
        return kind, parse(lines)

    def mounts(self):
        with open("/proc/self/mountinfo", encoding="utf-8") as f:
            return [line.split(" ")[4] for line in f if self.top in line]

    def ingest(self):
        return [name for name in os.listdir(os.path.join(self.root, "ingest")) if not name.startswith("removed-")]


def make_store(top):
    store = Store(str(top))
    yield store
    left = store.mounts()
    for path in reversed(left):
        subprocess.run(["umount", "-l", path], check=False)
    assert not left, "mounts are left"


@pytest.fixture(name="store")
def on_disk(tmp_path):
    yield from make_store(tmp_path)


@pytest.fixture(name="memory_store")
def on_tmpfs():
    """Files on a tmpfs cannot be mounted without loop devices; and making trees is quick there."""
    top = tempfile.mkdtemp(prefix="skep-snapshot-", dir="/dev/shm")
    yield from make_store(top)
    shutil.rmtree(top, ignore_errors=True)


# ---- images ----

def made_of_debian(_):
    return [debian()]


def cached(name, make):
    """A file of the cache, made once, by make(path)."""
    path = os.path.join(CACHE, name)
    if not os.path.exists(path):
        signal.alarm(900)
        os.makedirs(CACHE, exist_ok=True)
        make(f"{path}.{os.getpid()}")
        os.rename(f"{path}.{os.getpid()}", path)
    return path


def package(name):
    """The files of a Debian package as a tar: a layer as good as any."""
    def fetch(path):
        with tempfile.TemporaryDirectory() as at:
            run = subprocess.run(["apt-get", "-q", "-o", "APT::Sandbox::User=root", "download", name], cwd=at, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
            if run.returncode or not os.listdir(at):
                pytest.skip(f"cannot download the package {name}")
            with open(path, "wb") as to:
                subprocess.run(["dpkg-deb", "--fsys-tarfile", os.path.join(at, os.listdir(at)[0])], stdout=to, check=True)
    return cached(f"package-{name}.tar", fetch)


def made_of_python(_):
    return [debian(), *map(package, ["libpython3.11-minimal", "libpython3.11-stdlib", "python3.11-minimal", "python3.11"])]


def made_of_packages(_):
    return [*map(package, ["perl-base", "coreutils", "tzdata", "ncurses-term", "git"])]


def made_of_npm(_):
    def install(path):
        if not shutil.which("npm"):
            pytest.skip("no npm")
        with tempfile.TemporaryDirectory() as at:
            run = subprocess.run(["npm", "install", "--ignore-scripts", "--no-audit", "--no-fund", "--silent", "express", "typescript", "eslint", "lodash"],
                                 cwd=at, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
            if run.returncode:
                pytest.skip("npm cannot install")
            subprocess.run(["tar", "-C", at, "--numeric-owner", "-cf", path, "."], check=True)
    return [cached("npm.tar", install)]


def made_of_fifty_thousand_files(tmp_path):
    dice, layer = random.Random(1), Layer(os.path.join(tmp_path, "many.tar"))
    for number in range(50000):
        layer.file(f"node_modules/@scope{number % 40}/package-{number // 20}/lib/{'deep/' * (number % 4)}module_{number}.js", "x" * dice.randrange(1000), mtime=499162500)
    return [layer.done()]


def made_of_everything(tmp_path):
    top = tmp_path / "everything"
    make_everything(top)
    tar = tmp_path / "everything.tar"
    subprocess.run(["tar", "-C", top, "--xattrs", "--xattrs-include=*", "--numeric-owner", "--format=posix", "--sparse", "-cf", tar, "."], check=True)
    shutil.rmtree(top)
    return [tar]


def made_of_whiteouts(tmp_path):
    low = Layer(tmp_path / "1.tar").dir("./", mode=0o711).file("gone", "1").file("kept", "1", pax=pax(user__x="1")).dir("d", mode=0o700).file("d/a", "a").file("d/b", "b")
    low.dir("opaque").file("opaque/low", "1").dir("replaced").file("replaced/x", "x").file("file", "f").add("hard", tarfile.LNKTYPE, link="file")
    mid = Layer(tmp_path / "2.tar").file(".wh.gone").dir("d", uid=3).file("d/.wh.a").dir("opaque", uid=9).file("opaque/.wh..wh..opq").file("opaque/mid", "2")
    mid.file("replaced", "a file now").file("file", "changed").file("both/.wh.nothing").file("both/here", "2")
    top = Layer(tmp_path / "3.tar").file("gone/is", "back").file("d/c", "c").file("opaque/top", "3").file(".wh.replaced").file("hard", "of its own").dir("empty")
    return [low.done(), mid.done(), top.done()]


def made_below_an_opaque_root(tmp_path):
    return [Layer(tmp_path / "1.tar").file("hidden", "1").done(), Layer(tmp_path / "2.tar").file(".wh..wh..opq").file("x", "2").done(),
            Layer(tmp_path / "3.tar").file("y", "3").done()]


def made_of_one_layer_twice(tmp_path):
    tar = Layer(tmp_path / "1.tar").file("x", "1").dir("d").file("d/y", "2").done()
    return [tar, Layer(tmp_path / "2.tar").file(".wh.x").done(), tar]


def made_deep(tmp_path):
    layer = Layer(tmp_path / "deep.tar")
    layer.file("d/" * 300 + "x", "deep")
    for i in range(100):
        layer.file("d/" * 150 + f"{i}/y", str(i)).add("d/" * (i + 1) + "hard", tarfile.LNKTYPE, link="d/" * 300 + "x")
    return [layer.done()]


def made_by_chance(tmp_path):
    dice = random.Random(4)
    return [random_layer(tmp_path / f"{i}.tar", dice, i) for i in range(7)]


SMALL = [made_of_everything, made_of_whiteouts, made_below_an_opaque_root, made_of_one_layer_twice, made_deep, made_by_chance]
LARGE = [made_of_debian, made_of_python, made_of_packages, made_of_npm, made_of_fifty_thousand_files]


@pytest.mark.parametrize("make", SMALL)
def test_every_view_is_the_same(store, tmp_path, make):
    signal.alarm(300)
    store.add("x", *make(tmp_path))
    kind, stack = store.view("x", "no-merged")
    assert kind == "erofs"
    kind, merged = store.view("x")
    assert kind == "erofs" and len(merged) > 1
    layers = len(os.listdir(os.path.join(store.root, "layers")))
    assert layers == 1 or len(os.listdir(os.path.join(store.root, "merged"))) == 1  # the first mount has made it
    # an overlay knows nothing of links between layers, nor that a layer has no entry for a directory
    assert_same(of_files(stack), of_files(merged), ignore=["nlink", "same_as"])
    kind, tree = store.view("x", "kind=tree")
    assert kind == "tree"
    assert_same(tree, merged)
    assert store.view("x", "kind=loop") == ("loop", merged)
    assert_same(store.view("x", "kind=loop", "no-merged")[1], stack)
    assert not store.ingest()


@pytest.mark.parametrize("make", LARGE)
def test_every_view_of_real_images_is_the_same(memory_store, tmp_path, make):
    signal.alarm(900)
    store = memory_store
    store.add("x", *make(tmp_path))
    tool("prepare", store.root, "x")
    kind, mounted = store.view("x")
    assert kind == "loop"  # a tmpfs
    assert len(mounted) > 300
    kind, tree = store.view("x", "kind=tree")
    assert kind == "tree"
    # whether a tmpfs keeps attributes of users depends on the kernel; those of other kinds it does
    assert_same(tree, mounted)
    assert_same(store.view("x", "no-merged")[1], mounted, ignore=["nlink", "same_as"])


def test_real_images_without_loop_devices(store, tmp_path):
    signal.alarm(300)
    store.add("x", *made_of_python(tmp_path))
    _, stack = store.view("x", "no-merged")
    tool("prepare", store.root, "x")
    assert_same(store.view("x")[1], stack, ignore=["nlink", "same_as"])


def test_mounts_may_be_shared(store, tmp_path):
    """As they are on every machine with systemd."""
    store.add("x", *made_of_whiteouts(tmp_path))
    (tmp_path / "mnt").mkdir()
    for kind in "tree", "erofs", "loop":
        script = '"$1" --root "$2" --run-root "$3" image mount --kind "$4" x "$5" && exec "$6" "$5"'
        run = subprocess.run(["unshare", "--mount", "--propagation", "shared", "sh", "-euc", script, "sh", SKEP, store.root, store.run_root, kind, tmp_path / "mnt", VIEW],
                             stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, check=False)
        assert run.returncode == 0, (kind, run.stderr)
        assert_same(parse(run.stdout.split("\n", 1)[1]), store.view("x")[1])


# ---- writing ----

@pytest.mark.parametrize("options", [[], ["no-merged"], ["kind=tree"], ["kind=loop"], ["volatile"]])
def test_changes_go_to_the_upper_directory(store, tmp_path, options):
    store.add("x", *made_of_whiteouts(tmp_path))
    scratch = tmp_path / "scratch"
    (scratch / "upper").mkdir(parents=True)
    (scratch / "work").mkdir()
    (tmp_path / "mnt").mkdir()
    before = store.view("x", *options)[1] if "volatile" not in options else store.view("x")[1]
    shell('"$1" mount "$2" x "$3" writable="$4" $5; cd "$3"; echo new >new; rm d/b; echo changed >kept', TOOL, store.root, tmp_path / "mnt", scratch, " ".join(options))
    assert (scratch / "upper/new").read_text() == "new\n" and (scratch / "upper/kept").read_text() == "changed\n"
    assert os.stat(scratch / "upper/d/b").st_rdev == 0
    assert_same(store.view("x", *(o for o in options if o != "volatile"))[1], before)


def test_ids_are_mapped(store, tmp_path):
    store.add("x", Layer(tmp_path / "1.tar").file("root").file("seven", uid=7, gid=8).done(), Layer(tmp_path / "2.tar").file("y", uid=1).done())
    for options in [], ["no-merged"], ["kind=tree"]:
        ids = {line["name"]: (line["uid"], line["gid"]) for line in store.view("x", "ids=100000", *options)[1]}
        assert (ids["root"], ids["seven"], ids["y"]) == ((100000, 100000), (100007, 100008), (100001, 100000)), options


# ---- mount, unmount, rm ----

def test_mount_unmount_and_rm(store, tmp_path):
    store.add("x", *made_of_whiteouts(tmp_path))
    store.add("y", Layer(tmp_path / "y.tar").file("y", "y").done())
    at = store.skep("image", "mount", "x").strip()
    assert at.startswith(store.run_root) and open(f"{at}/d/c", encoding="utf-8").read() == "c"
    assert store.skep("image", "mount", "x").strip() == at and len(store.mounts()) == 1
    own = tmp_path / "a place"
    own.mkdir()
    assert store.skep("image", "mount", "y", own).strip() == str(own)
    with pytest.raises(OSError):
        (own / "new").touch()
    assert sorted(store.skep("image", "mount").splitlines()) == [f"docker.io/library/x:latest {at}", f"docker.io/library/y:latest {own}"]
    rows = [json.loads(line) for line in store.skep("image", "mount", "--format", "json").splitlines()]
    assert {row["MountPoint"] for row in rows} == {at, str(own)}
    store.skep("rmi", "y", fails=f"image is mounted at {own}")
    store.skep("rmi", "-f", "y", fails="image is mounted at")
    assert (own / "y").read_text() == "y"
    assert store.skep("image", "unmount", own) == f"{own}\n"
    store.skep("rmi", "y")
    assert store.skep("image", "umount", "x") == f"{at}\n" and not os.path.exists(at)
    store.skep("image", "unmount", "x", fails="image x is not mounted")
    store.skep("image", "unmount", tmp_path, fails="no image is mounted at")
    store.skep("image", "unmount", fails="give images or directories, or --all")
    assert not store.skep("image", "mount") and not store.mounts()


def test_unmount_all_and_what_is_busy(store, tmp_path):
    store.add("x", Layer(tmp_path / "x.tar").file("f", "f").done())
    places = []
    for name in "one", "two":
        (tmp_path / name).mkdir()
        places.append(store.skep("image", "mount", "x", tmp_path / name).strip())
    with open(tmp_path / "two/f", encoding="utf-8"):
        store.skep("image", "unmount", places[1], fails=f"unmount {places[1]}: device or resource busy")
        assert set(store.skep("image", "unmount", "-a", "-f").splitlines()) == set(places)
    assert not store.mounts()
    store.skep("rmi", "x")


def test_what_is_unmounted_otherwise_is_forgotten(store, tmp_path):
    store.add("x", Layer(tmp_path / "x.tar").file("f", "f").done())
    at = store.skep("image", "mount", "x").strip()
    subprocess.run(["umount", at], check=True)
    assert store.skep("image", "mount") == ""
    store.skep("rmi", "x")


def test_a_mount_in_another_namespace_counts_while_that_lives(store, tmp_path):
    store.add("x", Layer(tmp_path / "x.tar").file("f", "f").done())
    (tmp_path / "mnt").mkdir()
    other = subprocess.Popen(["unshare", "--mount", "--propagation", "private", "sh", "-c", '"$0" --root "$1" image mount x "$2" && read end', SKEP, store.root,
                              str(tmp_path / "mnt")], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert other.stdout.readline() == f"{tmp_path}/mnt\n"
    store.skep("rmi", "x", fails="(in another mount namespace)")
    assert store.skep("image", "mount") == ""
    other.communicate("\n")
    store.skep("rmi", "x")


def test_forms_go_with_their_last_image(store, tmp_path):
    tars = made_of_whiteouts(tmp_path)
    store.add("x", *tars)
    store.add("again", *tars)  # another image of the same chain
    for name in "x", "again":
        tool("prepare", store.root, name)
        store.view(name, "kind=tree")
    forms = lambda: [os.listdir(os.path.join(store.root, kind)) for kind in ("merged", "trees")]
    assert [len(form) for form in forms()] == [1, 1]
    store.skep("rmi", "x")
    assert [len(form) for form in forms()] == [1, 1] and store.view("again", "kind=tree")[0] == "tree"
    store.skep("rmi", "again")
    assert forms() == [[], []] and not os.listdir(os.path.join(store.root, "layers"))


def left_tree(store, name):
    """What a remover leaves that was killed in the middle."""
    deep = os.path.join(store.root, "ingest", name, "root", *["d"] * 30)
    os.makedirs(deep)
    for n in range(50):
        with open(os.path.join(deep, f"f{n}"), "w", encoding="utf-8") as f:
            f.write("x")
    return os.path.join(store.root, "ingest", name)


@pytest.mark.parametrize("command", [["import", "-", "y"], ["rmi", "x"], ["image", "mount", "x", "MNT"], ["save", "-o", "OUT", "x"]])
def test_the_next_command_removes_what_a_killed_one_was_removing(store, tmp_path, command):
    store.add("x", *made_of_whiteouts(tmp_path))
    left, held = left_tree(store, "removed-abc-0"), left_tree(store, "removed-abc-1")
    (tmp_path / "mnt").mkdir()
    words = [{"MNT": str(tmp_path / "mnt"), "OUT": str(tmp_path / "out")}.get(word, word) for word in command]
    lock = os.open(held, os.O_RDONLY | os.O_DIRECTORY)
    fcntl.flock(lock, fcntl.LOCK_EX)  # another remover is at this one
    with open(tmp_path / "1.tar", "rb") as tar:
        subprocess.run([SKEP, "--root", store.root, "--run-root", store.run_root, *words], stdin=tar, stdout=subprocess.DEVNULL, check=True)
    eventually(lambda: not os.path.exists(left))
    assert os.path.exists(os.path.join(held, "root"))
    os.close(lock)
    store.skep("image", "check", "--repair")  # by itself, or by who is left behind when it begins
    eventually(lambda: not os.path.exists(held))
    if "mount" in command:
        store.skep("image", "unmount", "-a")


def test_check_tells_of_trees_that_nobody_makes_or_removes(store, tmp_path):
    store.add("x", *made_of_whiteouts(tmp_path))
    fresh, old = left_tree(store, "0" * 64 + ".tree"), left_tree(store, "1" * 64 + ".tree")
    os.utime(old, (0, 0))
    check = subprocess.run([SKEP, "--root", store.root, "--run-root", store.run_root, "image", "check"], capture_output=True, text=True, check=False)
    assert check.returncode == 1 and os.path.basename(old) in check.stdout and os.path.basename(fresh) not in check.stdout and os.path.exists(old)
    store.skep("image", "check", "--repair")
    assert not os.path.exists(old) and os.path.exists(fresh), "the next one who makes that tree begins with it"


def test_what_is_not_there(store, tmp_path):
    store.add("x", *made_of_whiteouts(tmp_path))
    store.skep("image", "mount", "nothing", fails="No such image: nothing")
    store.skep("image", "mount", "x", tmp_path / "nowhere", fails="no such file or directory")
    layer = os.listdir(os.path.join(store.root, "layers"))[0]
    os.unlink(os.path.join(store.root, "layers", layer, "index"))
    store.skep("image", "mount", "x", fails=layer)
    assert not store.mounts()


def test_a_tree_whose_tar_ends_early_is_not_made(store, tmp_path):
    store.add("x", Layer(tmp_path / "x.tar").file("big", "x" * 100000).done())
    layer = os.listdir(os.path.join(store.root, "layers"))[0]
    os.truncate(os.path.join(store.root, "layers", layer, "tar"), 4096)
    store.skep("image", "mount", "--kind", "tree", "x", fails='make "/big"')
    assert not store.ingest() and not store.mounts() and not os.path.exists(os.path.join(store.root, "trees"))


def test_without_privileges(tmp_path):
    """In a user namespace of one id: a tree, owned by the caller, without what he cannot make."""
    top = tempfile.mkdtemp(prefix="skep-rootless-")
    os.chmod(top, 0o755)
    try:
        layer = Layer(os.path.join(top, "x.tar")).file("f", "f", uid=7, mode=0o4711).add("null", tarfile.CHRTYPE, device=(1, 3)).dir("d", mode=0o500, uid=5)
        layer.file("d/x", "x", pax=pax(user__kept="1", trusted__gone="2")).dir("closed", mode=0).file("closed/y", "y").done()
        for path in top, os.path.join(top, "x.tar"):
            os.chown(path, 65534, 65534)
        programs = os.path.join(top, "bin")
        os.mkdir(programs)
        for program in TOOL, SKEP, VIEW:
            shutil.copy(program, programs)
        script = """
            bin/snapshot_tool add root docker.io/library/x:latest x.tar
            mkdir mnt
            unshare -Urm sh -euc 'bin/snapshot_tool mount root x mnt && exec bin/tree_view.py mnt'
            bin/skep --root root --run-root run image mount x 2>&1 || :
            bin/skep --root root --run-root run rmi x >&2
        """
        run = subprocess.run(["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "sh", "-euc", script], cwd=top, stdout=subprocess.PIPE,
                             stderr=subprocess.PIPE, text=True, check=False)
        assert run.returncode == 0, run.stderr
        kind, *lines, refusal = run.stdout.splitlines()
        view = {line["name"]: line for line in map(json.loads, lines)}
        assert kind == "tree" and sorted(view) == ["", "closed", "closed/y", "d", "d/x", "f"]
        assert {line["uid"] for line in view.values()} == {0}
        assert view["f"]["mode"] == "0o104711" and view["d"]["mode"] == "0o40500" and view["d/x"]["xattrs"] == {"user.kept": b"1".hex()}
        assert "operation not permitted" in refusal
    finally:
        shutil.rmtree(top)


# ---- bootstrap ----

def test_bootstrap_busybox_twice(store, tmp_path):
    if not os.path.exists("/bin/busybox"):
        pytest.skip("no busybox-static")
    ident = store.skep("image", "bootstrap", "busybox")
    assert store.skep("image", "bootstrap", "busybox") == ident
    assert store.skep("image", "bootstrap", "-t", "other:2", "busybox", env={"SOURCE_DATE_EPOCH": "1"}) != ident
    other = Store(str(tmp_path / "elsewhere"))
    assert other.skep("image", "bootstrap", "busybox") == ident
    config = json.loads(store.skep("image", "inspect", "busybox"))[0]
    assert config["Config"]["Cmd"] == ["sh"] and config["Config"]["Env"] == ["PATH=/bin"]
    assert "skep image bootstrap busybox" in store.skep("history", "busybox")
    at = store.skep("image", "mount", "busybox").strip()
    assert subprocess.run(["chroot", at, "/bin/sh", "-c", "echo $((6 * 7))"], stdout=subprocess.PIPE, check=True).stdout == b"42\n"
    store.skep("image", "unmount", "-a")


def test_bootstrap_runs_mmdebstrap(store, tmp_path):
    """What is asked of mmdebstrap, by a double of it: the real one takes a minute, and quickstart has it."""
    double = tmp_path / "mmdebstrap"
    tar = Layer(tmp_path / "rootfs.tar").file("etc/debian_version", "12\n").done()
    double.write_text(f'#!/bin/sh\necho "$SOURCE_DATE_EPOCH" "$@" >{tmp_path}/called\n[ ! -e {tmp_path}/broken ] || {{ echo no luck >&2; exit 25; }}\ncat {tar}\n')
    double.chmod(0o755)
    env = {"PATH": f"{tmp_path}:/usr/bin:/bin"}
    args = ["image", "bootstrap", "debian:bookworm", "--include", "git,curl", "--mirror", "file:/mirror", "-t", "mine"]
    ident = store.skep(*args, env=env)
    assert (tmp_path / "called").read_text() == "1686355200 --quiet --format=tar --variant=minbase --include=git,curl bookworm - file:/mirror\n"
    assert store.skep(*args, env=env) == ident and "mine         latest" in store.skep("images")
    image = json.loads(store.skep("image", "inspect", "mine"))[0]
    assert image["Created"] == "2023-06-10T00:00:00Z" and image["Config"]["Cmd"] == ["bash"]
    (tmp_path / "broken").touch()
    store.skep(*args, env=env, fails="mmdebstrap could not make bookworm (status 25)")
    store.skep("image", "bootstrap", "debian:bookworm", env={"PATH": "/nowhere"}, fails="mmdebstrap is not installed")
    store.skep("image", "bootstrap", "debian", fails="debian:SUITE and busybox can")
    store.skep("image", "bootstrap", "nginx:1", fails="nginx:1 cannot be made here")
    store.skep("image", "bootstrap", "debian:bookworm", "--variant=--x", fails='"--x" is no name of a variant')
    store.skep("image", "bootstrap", "busybox", env={"SOURCE_DATE_EPOCH": "x"}, fails="SOURCE_DATE_EPOCH=x: expected seconds")
    assert not store.ingest()
