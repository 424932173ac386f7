"""commit and export: a container's files as an image, and as a tar."""
import io
import json
import os
import tarfile

import pytest

from engines import Engine
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


def layers(engine, name):
    return json.loads(engine.ok("image", "inspect", name))[0]["RootFS"]["Layers"]


def exported(engine, name):
    with tarfile.open(fileobj=io.BytesIO(engine.call("export", name).stdout)) as archive:
        return {m.name: (m.type, oct(m.mode), m.uid, m.linkname, m.size) for m in archive.getmembers()}


CHANGE = ("echo kept >/file; ln /file /second; ln -s file /link; rm /etc/group; rm -r /home /root; mkdir -p /root; echo mine >/root/mine;"
          "chown 12:34 /file; chmod 4755 /file; mkfifo /pipe; chmod 700 /etc")


def test_the_image_is_what_the_container_was(engine):
    engine.ok("run", "--name", "box", "busybox", "sh", "-c", CHANGE)
    image = engine.ok("commit", "box", "made:1").strip()
    assert image.startswith("sha256:")
    engine.ok("create", "--name", "other", "made:1", "true")
    theirs, ours = exported(engine, "box"), exported(engine, "other")
    assert theirs == ours and theirs["etc/hosts"][4] == 0
    place = engine.ok("image", "mount", "made:1").split()[-1]
    assert os.listdir(os.path.join(place, "etc")) == ["passwd"], "where the runtime mounts something is no change"
    engine.ok("image", "unmount", "made:1")
    assert engine.ok("diff", "other") == ""
    assert ours["file"][1] == "0o4755" and ours["file"][2] == 12 and ours["second"][3] == "file" and "etc/group" not in ours
    assert engine.ok("run", "--rm", "made:1", "sh", "-c", "cat /file; ls /root") == "kept\nmine\n"


def test_same_files_same_layer(engine):
    engine.ok("run", "--name", "box", "busybox", "sh", "-c", CHANGE)
    engine.ok("commit", "box", "made:1")
    engine.ok("commit", "-m", "again", "box", "made:2")
    assert layers(engine, "made:1") == layers(engine, "made:2") and len(layers(engine, "made:1")) == 2


def test_a_layer_upon_a_layer(engine):
    """What the first has removed, the second can have again; whiteouts go through the store."""
    engine.ok("run", "--name", "box", "busybox", "sh", "-c", "rm -r /etc; mkdir /etc; echo 1 >/etc/one")
    engine.ok("commit", "box", "made:3")
    engine.ok("run", "--name", "other", "made:3", "sh", "-c", "ls /etc; rm /etc/one; echo 2 >/etc/passwd")
    engine.ok("commit", "other", "made:4")
    assert len(layers(engine, "made:4")) == 3
    listed = engine.ok("run", "--rm", "made:4", "ls", "/etc").split()
    assert "passwd" in listed and "one" not in listed and "group" not in listed


def test_the_image_is_whole(engine, tmp_path):
    """Saved and loaded elsewhere it runs; nothing of the base is missing, and the check finds nothing."""
    engine.ok("run", "--name", "box", "busybox", "sh", "-c", "echo kept >/file")
    engine.ok("commit", "-c", 'CMD ["cat", "/file"]', "box", "made:5")
    engine.ok("save", "-o", str(tmp_path / "saved"), "made:5")
    other = Engine(str(tmp_path / "other"))
    other.ok("load", "-i", str(tmp_path / "saved"))
    assert other.ok("run", "--rm", "--network", "none", "made:5") == "kept\n"
    engine.ok("image", "check")


def test_a_running_container_is_paused_and_goes_on(engine):
    engine.run("--name", "box", "busybox", "sleep", "1000")
    engine.ok("commit", "box", "made:6")
    assert engine.status("box") == "running"
    actions = [event["Action"] for event in engine.events() if event["Type"] == "container"]
    assert actions[-3:] == ["pause", "unpause", "commit"]
    engine.ok("commit", "--pause=false", "box", "made:7")
    assert [event["Action"] for event in engine.events() if event["Type"] == "container"][-1] == "commit"


def test_a_bad_change_changes_nothing(engine):
    engine.ok("create", "--name", "box", "busybox", "true")
    before = engine.ok("image", "ls", "-aq")
    assert "RUN is not a valid change command" in engine.fails(1, "commit", "-c", "RUN x", "box")
    assert engine.ok("image", "ls", "-aq") == before


def test_export_leaves_mounts_out(engine, tmp_path):
    (tmp_path / "bound").mkdir()
    (tmp_path / "bound" / "file").write_text("text")
    engine.run("--name", "box", "-v", f"{tmp_path}/bound:/b", "busybox", "sleep", "1000")
    have = exported(engine, "box")
    assert "b" in have and "b/file" not in have and "bin/sh" in have and not [name for name in have if name.startswith(("proc/", "sys/"))]
    with tarfile.open(fileobj=io.BytesIO(engine.call("export", "box").stdout)) as archive:
        names = archive.getnames()
    assert names == sorted(names, key=lambda name: [] if name == "." else name.split("/"))
