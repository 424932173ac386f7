"""Archives given to `skep load` that are made to harm, group 18 of docs/attacks.md: what is no member of the archive cannot be reached by it.
Those of tests/e2e/test_archive.py go through the same code without the command line."""
import gzip
import json
import os
import shutil
import subprocess
import threading

import pytest

from attacks import CANARY, OCI_MANIFEST, Image, built, digest_of, header, member, skep, tar, tar_of

pytestmark = built

LINK, HARD, DIR, FIFO = b"2", b"1", b"5", b"6"
DOTS = "../" * 20 + CANARY[1:]
IMAGE = Image(tar(member("f", b"1")))
CONFIG = digest_of(IMAGE.config)[7:] + ".json"


def docker(*members, layers=("l/layer.tar",), config=CONFIG, tags=("x:1",), layer=True, **more):
    """What `docker save` wrote, and members besides."""
    entry = [{"Config": config, "RepoTags": list(tags), "Layers": list(layers), **more}]
    return tar(member(CONFIG, IMAGE.config), *([member("l/layer.tar", IMAGE.tars[0])] if layer else []), member("manifest.json", json.dumps(entry).encode()), *members)


def layout(*entries, platform=None):
    files = IMAGE.layout()
    index = json.loads(files["index.json"])
    if platform:
        index["manifests"][0]["platform"] = platform
    index["manifests"] = [*entries, *index["manifests"]]
    return tar_of({**files, "index.json": json.dumps(index).encode()})


def entry(data, **more):
    return {"mediaType": OCI_MANIFEST, "digest": digest_of(data), "size": len(data), **more}


# 150 MiB of zeros in a few KiB
BOMB = subprocess.run(["sh", "-c", "head -c 150M /dev/zero | zstd -q -c"], stdout=subprocess.PIPE, check=True).stdout

REFUSED = {
    "an absolute layer": (docker(layers=[CANARY + "/file"]), f'"{CANARY}/file" is an absolute path: it must name a member'),
    "a layer above": (docker(layers=[DOTS + "/file"]), "leads out of the archive"),
    "a layer through dots": (docker(layers=["l/../../file"]), '"l/../../file" leads out of the archive'),
    "a layer linked out": (docker(member("m", kind=LINK, link=DOTS + "/file"), layers=["m"]), 'symbolic link "m": "../'),
    "a layer linked to the root": (docker(member("m", kind=LINK, link=CANARY + "/file"), layers=["m"]), f'symbolic link "m": "{CANARY}/file" leads out of the archive'),
    "an old layer.tar linked out": (docker(member("old/layer.tar", kind=LINK, link="../../file"), layers=["old/layer.tar"]), "leads out of the archive"),
    "a layer below a link": (docker(member("d", kind=LINK, link=CANARY), layers=["d/file"]), 'member "d/file" is missing'),
    "a layer linked in a circle": (docker(member("m", kind=LINK, link="n"), member("n", kind=LINK, link="m"), layers=["m"]), '"m": more than 16 links'),
    "a hard link out": (docker(member("m", kind=HARD, link=DOTS + "/file"), layers=["m"]), '"m": ".." in the target of a hard link'),
    "a hard link to a file of the host": (docker(member("m", kind=HARD, link=CANARY + "/file"), layers=["m"]), f'member "{CANARY[1:]}/file" is missing'),
    "a configuration linked out": (docker(member("c", kind=LINK, link=CANARY + "/file"), config="c"), "leads out of the archive"),
    "a configuration above": (docker(config=DOTS + "/file"), "leads out of the archive"),
    "manifest.json a link": (tar(member("manifest.json", kind=LINK, link=CANARY + "/file")), "leads out of the archive"),
    "index.json a link": (tar(member("index.json", kind=LINK, link="../file")), "leads out of the archive"),
    "manifest.json a fifo": (tar(member("manifest.json", kind=FIFO)), '"manifest.json" is a fifo, expected a plain file'),
    "a layer that is sparse": (docker(member("s", b"ab", records=[("GNU.sparse.size", "4096"), ("GNU.sparse.map", "0,2")]), layers=["s"]), '"s" is a sparse file'),
    "a member above": (docker(member("../file", b"x")), 'tar: "../file": ".." in a name'),
    "two members of one name": (docker(member("./l//layer.tar", b"evil")), 'two members are called "l/layer.tar"'),
    "repositories alone": (tar(member("repositories", json.dumps({"../../x": {"1": "../../" + CANARY[1:]}}).encode()), member("l/layer.tar", IMAGE.tars[0])),
                           "of docker before 1.10, which is not supported"),
    "a name that is a path": (docker(tags=["../../x:1"]), "RepoTags: invalid reference format"),
    "a name that commands a terminal": (docker(tags=["\x1b]0;x\x07:1"]), "RepoTags: invalid reference format"),
    "a layer of another digest": (docker(member("l2/layer.tar", tar(member("f", b"2"))), layers=["l2/layer.tar"]), 'layer "l2/layer.tar": '),
    "a configuration of another digest": (tar(member(CONFIG, IMAGE.config + b" "), member("l", IMAGE.tars[0]), member("manifest.json", json.dumps([
        {"Config": CONFIG, "RepoTags": ["x:1"], "Layers": ["l"]}]).encode())), f'"{CONFIG}": digest mismatch'),
    "a further entry without its blob": (layout(entry(b"missing")), f'member "blobs/sha256/{digest_of(b"missing")[7:]}" is missing'),
    "a further entry by a path": (layout({**entry(b"x"), "digest": "sha256:../../../../" + CANARY[1:]}), "manifests[0].digest: expected a digest"),
    "a further entry of negative size": (layout({**entry(b"x"), "size": -1}), "manifests[0].size: must not be negative"),
    "a further entry of a huge size": (layout({**entry(b"x"), "size": 1 << 62}), "is missing"),
    "an index.json of 5 MiB": (tar_of({"index.json": b"[" + b" " * (5 << 20) + b"]"}),
                               '"index.json": 5242882 bytes long, at most 4194304 are allowed'),
    "an index.json of brackets": (tar_of({"index.json": b"[" * (1 << 20)}), "nested too deeply"),
    "a huge number of members": (gzip.compress(header("x") * ((1 << 17) + 1), 1),
                                 "too many members"),
    "an archive that is a bomb": (BOMB, "more than the allowed 2000 to 1"),
    "a layer that is a bomb": (docker(member("bomb", BOMB), layers=["bomb"]), "more than the allowed 2000 to 1"),
    "a truncated layer": (docker(member("cut", gzip.compress(IMAGE.tars[0])[:-20]), layers=["cut"]), 'layer "cut": '),
    "a truncated archive": (docker()[:1500], "the archive is truncated"),
    "a layer with a name that leads out": (docker(member("bad", gzip.compress(tar(member("../file", b"x")))), layers=["bad"]), 'tar: "../file": ".." in a name'),
}


@pytest.mark.parametrize("what", REFUSED)
def test_an_archive_is_refused(skep, what):
    data, says = REFUSED[what]
    text = skep.refuses("load", stdin=data)
    assert says in text, text


TAKEN = {
    "repositories beside": docker(member("repositories", json.dumps({"../../x": {"1": "../../" + CANARY[1:]}}).encode())),
    "links and devices that nobody names": docker(member("m", kind=LINK, link=CANARY), member("c", kind=b"3", device=(1, 3)), member("p", kind=FIFO)),
    "an old layer.tar linked inside": docker(member("old/layer.tar", kind=LINK, link="../l/layer.tar"), layers=["old/layer.tar"]),
    "a parent that leads out": docker(Parent="../../" + CANARY[1:], LayerSources={"x": {"digest": "sha256:../.."}}),
    "a further entry for another platform": layout(entry(b"missing", platform={"os": "plan9", "architecture": "s390x"}, annotations={
        "io.containerd.image.name": "docker.io/library/x:1"}), platform={"os": "linux", "architecture": "amd64"}),
    "a further entry of no known kind": layout({**entry(b"missing"), "mediaType": "text/plain"}),
    "a further entry that is an artifact": layout(entry(b"missing", artifactType="application/x")),
    "a further entry that attests": layout(entry(b"missing", platform={"os": "unknown", "architecture": "unknown"},
                                                 annotations={"vnd.docker.reference.type": "attestation-manifest"})),
}


@pytest.mark.parametrize("what", TAKEN)
def test_an_archive_is_taken(skep, what):
    """What is in it besides the image is not looked at."""
    assert skep.takes("load", stdin=TAKEN[what]) == "Loaded image: x:1\n"
    assert skep.faults() == [] and skep.ingest() == []
    assert sorted(skep.view("x:1", "erofs")) == ["", "f"]


@pytest.mark.parametrize("what", ["layer.tar", "a folder", "manifest.json"])
def test_a_directory_whose_files_are_links(skep, tmp_path, what):
    """An unpacked archive: links are not followed, neither out of the directory nor within."""
    top = tmp_path / "unpacked"
    (top / "l").mkdir(parents=True)
    (top / "l/layer.tar").write_bytes(IMAGE.tars[0])
    (top / CONFIG).write_bytes(IMAGE.config)
    (top / "manifest.json").write_bytes(json.dumps([{"Config": CONFIG, "RepoTags": ["x:1"], "Layers": ["l/layer.tar"]}]).encode())
    victim = {"layer.tar": "l/layer.tar", "a folder": "l", "manifest.json": "manifest.json"}[what]
    shutil.move(top / victim, tmp_path / "moved")
    os.symlink(tmp_path / "moved", top / victim)
    assert "leads over a symbolic link" in skep.refuses("load", "-i", str(top))


def test_links_exchanged_while_a_directory_is_read(skep, tmp_path):
    """What was a file a moment ago may be a link now: no moment lets a file from outside in."""
    top, outside = tmp_path / "unpacked", tmp_path / "outside"
    (top / "l").mkdir(parents=True)
    outside.mkdir()
    listed = json.dumps([{"Config": CONFIG, "RepoTags": ["x:1"], "Layers": ["l/layer.tar"]}]).encode()
    for path, data in {CONFIG: IMAGE.config, "manifest.json": listed, "l/layer.tar": IMAGE.tars[0]}.items():
        (top / path).write_bytes(data)
        (outside / os.path.basename(path)).write_bytes(data)
    (outside / "manifest.json").write_bytes(listed.replace(b"x:1", b"owned:1"))
    stop = threading.Event()

    def exchange():
        while not stop.is_set():
            for path in CONFIG, "manifest.json", "l/layer.tar":
                os.symlink(outside / os.path.basename(path), tmp_path / "link")
                os.rename(top / path, tmp_path / "file")
                os.rename(tmp_path / "link", top / path)
                os.rename(tmp_path / "file", top / path)

    thread = threading.Thread(target=exchange)
    thread.start()
    ends = set()
    for _ in range(40):
        done = skep.measured("load", "-i", str(top))
        line = done.err.decode()
        ends.add(line and ("link" if "leads over a symbolic link" in line or "invalid cross-device link" in line else "missing" if "missing" in line else "none" if "neither" in line else line))
    stop.set()
    thread.join()
    assert ends <= {"", "link", "missing", "none"}, ends
    assert {row[0] for row in skep.query("SELECT name FROM names")} <= {"docker.io/library/x:1"}
    skep.takes("load", "-i", str(top))
    assert skep.faults() == [] and skep.ingest() == []


def test_earlier_images_stay(skep):
    """The images of an archive are taken one by one: a bad one takes none of the others along."""
    other = Image(tar(member("g", b"2")))
    listed = [{"Config": CONFIG, "RepoTags": ["x:1"], "Layers": ["l"]}, {"Config": "c2", "RepoTags": ["y:1"], "Layers": ["bad"]}]
    done = skep.measured("load", stdin=tar(member(CONFIG, IMAGE.config), member("l", IMAGE.tars[0]), member("c2", other.config), member("bad", b"no tar"),
                                           member("manifest.json", json.dumps(listed).encode())))
    assert done.status == 1 and done.out == b"Loaded image: x:1\n" and b'layer "bad": ' in done.err
    assert [row[0] for row in skep.query("SELECT name FROM names")] == ["docker.io/library/x:1"] and skep.faults() == [] and skep.ingest() == []
