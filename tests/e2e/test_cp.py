"""cp and diff: files between a container and the host, also when the container is hostile."""
import io
import os
import stat
import subprocess
import tarfile

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


@pytest.fixture(name="tree")
def a_tree(tmp_path):
    src = tmp_path / "src"
    (src / "sub").mkdir(parents=True)
    (src / "one").write_text("one")
    (src / "sub" / "two").write_text("two")
    os.link(src / "one", src / "same")
    os.symlink("one", src / "link")
    os.mkfifo(src / "pipe")
    os.chmod(src / "sub", 0o750)
    os.chmod(src / "one", 0o4711)
    os.chown(src / "sub" / "two", 1234, 5678)
    os.setxattr(src / "one", "user.note", b"kept")
    os.utime(src / "sub", (1000000000, 1000000000))
    return src


def described(top):
    """What matters of a tree: type, mode, owner, contents, time."""
    found = {}
    for where, dirs, files in os.walk(top):
        for name in dirs + files:
            path = os.path.join(where, name)
            st = os.lstat(path)
            data = os.readlink(path) if stat.S_ISLNK(st.st_mode) else open(path, "rb").read() if stat.S_ISREG(st.st_mode) else None
            found[os.path.relpath(path, top)] = (oct(st.st_mode), st.st_uid, st.st_gid, data, st.st_nlink if data else 0, st.st_mtime_ns)
    return found


@pytest.mark.parametrize("running", [False, True])
def test_there_and_back(engine, tree, tmp_path, running):
    engine.ok("create", "--name", "box", "busybox", "sleep", "1000")
    if running:
        engine.ok("start", "box")
    engine.ok("cp", str(tree), "box:/tmp")
    engine.ok("cp", "-a", "box:/tmp/src", str(tmp_path / "back"))
    assert described(tree) == described(tmp_path / "back")
    assert os.getxattr(tmp_path / "back" / "one", "user.note") == b"kept"


def test_to_the_host_files_become_ours(engine, tree, tmp_path):
    engine.ok("create", "--name", "box", "busybox", "true")
    engine.ok("cp", str(tree), "box:/tmp")
    engine.ok("cp", "box:/tmp/src", str(tmp_path / "back"))
    assert os.stat(tmp_path / "back" / "sub" / "two").st_uid == os.geteuid()
    assert stat.S_IMODE(os.stat(tmp_path / "back" / "one").st_mode) == 0o711, "a set-id bit for another owner"


def test_what_is_there_stays_what_it_is(engine, tree, tmp_path):
    engine.ok("create", "--name", "box", "busybox", "true")
    engine.ok("cp", str(tree) + "/.", "box:/tmp/new")
    os.mkdir(tmp_path / "x")
    (tmp_path / "x" / "sub").write_text("file")
    assert "cannot overwrite directory" in engine.fails(1, "cp", str(tmp_path / "x") + "/.", "box:/tmp/new")
    (tmp_path / "y").mkdir()
    (tmp_path / "y" / "one").mkdir()
    assert "cannot overwrite non-directory" in engine.fails(1, "cp", str(tmp_path / "y") + "/.", "box:/tmp/new")


def test_volumes_of_a_stopped_container(engine, tmp_path):
    (tmp_path / "bound").mkdir()
    (tmp_path / "file").write_text("text")
    engine.ok("create", "--name", "box", "-v", "copied:/v", "-v", f"{tmp_path}/bound:/b", "-v", f"{tmp_path}/bound:/ro:ro", "busybox", "cat", "/v/file")
    engine.ok("cp", str(tmp_path / "file"), "box:/v/")
    engine.ok("cp", str(tmp_path / "file"), "box:/b/new")
    assert (tmp_path / "bound" / "new").read_text() == "text"
    assert engine.ok("start", "-a", "box") == "text"
    assert engine.fails(1, "cp", str(tmp_path / "file"), "box:/ro/x").strip().endswith("mounted volume is marked read-only")
    with tarfile.open(fileobj=io.BytesIO(engine.call("cp", "box:/ro/new", "-").stdout)) as archive:
        assert archive.getnames() == ["new"]


def test_a_read_only_root(engine, tmp_path):
    (tmp_path / "file").write_text("text")
    engine.ok("create", "--name", "box", "--read-only", "busybox", "true")
    assert engine.fails(1, "cp", str(tmp_path / "file"), "box:/x").strip().endswith("container rootfs is marked read-only")


# ---- hostile containers ----

@pytest.mark.parametrize("target", ["/etc", "../../../../../../../../etc", "/proc/1/root/etc", "/proc/self/root/etc"])
def test_links_stay_inside(engine, tmp_path, target):
    """A link in the container means a place in the container, whichever way it goes."""
    canary = f"canary-{os.getpid()}"
    (tmp_path / canary).write_text("new")
    engine.run("--name", "box", "busybox", "sh", "-c", f"mkdir -p /a; ln -s {target} /a/way; touch /ready; sleep 1000")
    eventually(lambda: engine.call("cp", "box:/ready", "-").returncode == 0)
    engine.call("cp", str(tmp_path / canary), "box:/a/way/")
    assert not os.path.exists(f"/etc/{canary}")
    done = engine.call("cp", "box:/a/way/hostname", "-")
    if done.returncode == 0:
        with tarfile.open(fileobj=io.BytesIO(done.stdout)) as archive, open("/etc/hostname", "rb") as mine:
            assert archive.extractfile("hostname").read() != mine.read()


def test_a_tar_does_not_leave_its_directory(engine, tmp_path):
    """Names with "..", and files through a link that the archive itself has made."""
    engine.ok("create", "--name", "box", "busybox", "true")
    for names in (["../up"], ["way", "way/file"]):
        out = io.BytesIO()
        with tarfile.open(fileobj=out, mode="w") as archive:
            for name in names:
                member = tarfile.TarInfo(name)
                if name == "way":
                    member.type, member.linkname = tarfile.SYMTYPE, "/etc"
                archive.addfile(member)
        engine.fails(1, "cp", "-", "box:/tmp", stdin=out.getvalue())
    assert engine.ok("diff", "box").splitlines() == ["C /tmp", "A /tmp/way"]


def test_special_files_are_not_opened(engine, tmp_path):
    """A FIFO does not hold cp up, a device is not read, and none appears on the host unless asked for."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for name, kind in (("d", tarfile.DIRTYPE), ("d/pipe", tarfile.FIFOTYPE), ("d/zero", tarfile.CHRTYPE), ("d/file", tarfile.REGTYPE)):
            member = tarfile.TarInfo(name)
            member.type, member.devmajor, member.devminor, member.mode = kind, 1, 5, 0o755
            archive.addfile(member)
    engine.run("--name", "box", "busybox", "sleep", "1000")
    engine.ok("cp", "-", "box:/", stdin=out.getvalue())
    done = engine.call("cp", "box:/d", str(tmp_path / "other"))
    assert done.returncode == 0 and b"1 device nodes were not copied" in done.stderr
    assert sorted(os.listdir(tmp_path / "other")) == ["file", "pipe"]
    engine.ok("cp", "-a", "box:/d", str(tmp_path / "all"))
    assert stat.S_ISCHR(os.stat(tmp_path / "all" / "zero").st_mode)


def test_exchanged_while_copied(engine, tmp_path):
    """Directories and links change places all the time: nothing of the host is read or written."""
    canary = tmp_path / "canary"
    canary.mkdir()
    (canary / "secret").write_text("host")
    (tmp_path / "new").write_text("from cp")
    engine.run("--name", "box", "busybox", "sh", "-c",
               f"mkdir -p /w/d /w/e; echo inside >/w/e/secret; ln -s {canary} /w/l; touch /ready;"
               "while true; do mv /w/d /w/x; mv /w/l /w/d; mv /w/d /w/l; mv /w/x /w/d; done")
    eventually(lambda: engine.call("cp", "box:/ready", "-").returncode == 0)
    for i in range(30):
        engine.call("cp", str(tmp_path / "new"), "box:/w/d/")
        done = engine.call("cp", "box:/w", "-")
        assert b"host" not in done.stdout
    assert sorted(os.listdir(canary)) == ["secret"] and (canary / "secret").read_text() == "host"


def test_a_terminal_gets_no_archive(engine):
    engine.ok("create", "--name", "box", "busybox", "true")
    with engine.typed("cp", "box:/etc/passwd", "-") as client:
        assert client.wait() == 1


# ---- diff ----

def test_diff(engine):
    engine.ok("run", "--name", "box", "busybox", "sh", "-c",
              "echo x >>/etc/passwd; touch /new; mkdir -p /a/b; rm /etc/group; rm -r /root; mkdir /root; chmod 700 /home 2>/dev/null; true")
    lines = engine.ok("diff", "box").splitlines()
    assert set(lines) >= {"C /etc", "C /etc/passwd", "D /etc/group", "A /new", "A /a", "A /a/b"}
    assert lines == sorted(lines, key=lambda line: line[2:].split("/"))
    assert not [line for line in lines if line[2:].startswith(("/proc", "/sys", "/dev", "/etc/h", "/etc/resolv"))]


def test_diff_of_a_directory_made_anew(engine):
    """What was in it is gone, though no whiteout says so."""
    engine.ok("run", "--name", "box", "busybox", "sh", "-c", "rm -r /etc; mkdir /etc; touch /etc/mine")
    lines = engine.ok("diff", "box").splitlines()
    assert "D /etc/passwd" in lines and "A /etc/mine" in lines and "C /etc" in lines


def test_diff_sees_nothing_in_a_fresh_container(engine):
    engine.ok("create", "--name", "box", "busybox", "true")
    assert engine.ok("diff", "box") == ""
    assert subprocess.run([SKEP, "--root", engine.root, "diff", "nosuch"], capture_output=True, check=False).stderr.strip().endswith(b"No such container: nosuch")
