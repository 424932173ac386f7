"""Containers of images whose configuration or files would harm whoever starts them, group 15 of docs/attacks.md."""
import os
import shutil

import pytest

from attacks import CANARY, Image, built, member, tar, tar_of
from canary import Canary
from engines import Engine

pytestmark = built

LINK = b"2"
# links of the image to things of the host; the second has more dots than anything is deep
LINKS = tar(member("way", kind=LINK, link=CANARY), member("dots", kind=LINK, link="../" * 20 + CANARY[1:]), member("proc-way", kind=LINK, link="/proc/self/cwd"))


@pytest.fixture(scope="module")
def engine(quick_disk):
    where = os.path.join(quick_disk, "engine")
    os.mkdir(where)
    made = Engine(where)
    made.ok("image", "bootstrap", "busybox")
    made.busybox = made.call("image", "export", "busybox").stdout
    yield made
    made.close()
    assert made.remains() == {"runtime": [], "monitors": []}
    shutil.rmtree(where)


@pytest.fixture
def canary(engine):
    shutil.rmtree(CANARY, ignore_errors=True)
    made = Canary(CANARY)
    yield made
    engine.close()
    made.intact()
    assert engine.remains() == {"runtime": [], "monitors": []}
    shutil.rmtree(CANARY)


def load(engine, *layers, **config):
    engine.ok("load", stdin=tar_of(Image(engine.busybox, LINKS, *layers, config={"Env": ["PATH=/bin"], "Cmd": ["sh"], **config}).layout()))


def run(engine, script):
    """What the container printed; or the one line that says why there was none."""
    done = engine.call("run", "--rm", "x:1", "sh", "-c", script)
    text = done.stderr.decode()
    if done.returncode == 125:
        assert text.count("\n") <= 4 and all(c.isprintable() or c == "\n" for c in text), text
        return ""
    return done.stdout.decode()


@pytest.mark.parametrize("path", ["/.." * 20 + CANARY, "/way/dir", "/dots/dir", "/way", "/x/../../../.." + CANARY])
def test_a_volume_out_of_the_image(engine, canary, path):
    """CVE-2022-23648: what a volume begins with is what the image has there, and never what the host has."""
    load(engine, Volumes={path: {}})
    out = run(engine, f"cat {path}/file {path}/deep/file {CANARY}/file {CANARY}/dir/file; echo owned >{path}/made; ls {path}")
    assert out in ("", "made\n"), out


@pytest.mark.parametrize("path", ["/.." * 20 + CANARY, "/way", "/dots/dir", "/way/new", "/proc-way/new"])
def test_a_working_directory_out_of_the_image(engine, canary, path):
    load(engine, WorkingDir=path)
    assert run(engine, "cat file deep/file; echo owned >made; ls") in ("", "made\n")


@pytest.mark.parametrize("user", ["evil", "0:evil", "root\nevil:x:0:0", "../../etc/passwd", "-1", "4294967296", "99999999999999999999"])
def test_users_that_are_none(engine, canary, user):
    """Names are looked up in the container's own file, wherever a link in its place leads; what is neither name nor number is an error."""
    load(engine, tar(member("etc/passwd", kind=LINK, link=CANARY + "/file"), member("etc/group", kind=LINK, link="/way/file")), User=user)
    assert run(engine, "id") == ""
    load(engine)
    assert run(engine, "id").startswith("uid=0")


HARMFUL = {
    "signal": {"StopSignal": "SIGKILL; touch " + CANARY + "/owned"},
    "ports": {"ExposedPorts": {"99999/tcp": {}, "-1/evil": {}}},
    "environment": {"Env": ["PATH=/bin", "NOEQUALS", "=", "LD_PRELOAD=" + CANARY + "/file", "A=" + "x" * 100000]},
    "onbuild": {"OnBuild": ["RUN touch " + CANARY + "/owned"]},
    "labels": {"Labels": {f"label{i}": "v" * 100 for i in range(2000)}},
    "program": {"Entrypoint": [CANARY + "/file"]},
    "a program through a link": {"Entrypoint": ["/way/file"]},
    "terminal": {"Entrypoint": ["\x1b]0;owned\x07", "\x1b[2J\n\x9b31m"]},
}


@pytest.mark.parametrize("what", HARMFUL)
def test_a_configuration_that_would_harm(engine, canary, what):
    """Taken, or refused; what is said of it commands no terminal."""
    load(engine, **HARMFUL[what])
    assert run(engine, "true") == ""
    engine.call("create", "x:1", "true")
    for args in ["ps", "-a"], ["ps", "-a", "--no-trunc"], ["image", "history", "x:1"]:
        assert all(c.isprintable() or c == "\n" for c in engine.ok(*args))
