"""Loading, saving, importing and exporting images; skopeo, tar and docker's own layouts as second opinions; and archives made to harm."""
import bz2
import gzip
import io
import json
import lzma
import os
import shutil
import subprocess
import tarfile

import pytest
from stores import CONFIG, ENV, INDEX, LAYER, MANIFEST, TOOL, WORKER, Made, Refused, Store, dumps, layout, link, make_tar, sha

for program in (TOOL, WORKER):
    if not os.access(program, os.X_OK):
        pytest.skip(f"no {program}", allow_module_level=True)

NAME = "docker.io/library/test:1"


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "root")


def members(data):
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        return {m.name: tar.extractfile(m).read() if m.isfile() else None for m in tar}


def one_layout(image, name=NAME):
    return layout([image.entry(name)], image)


# ---- what other programs write ----

@pytest.mark.parametrize("compress", [gzip.compress, bz2.compress, lzma.compress, lambda d: subprocess.run(["zstd", "-q"], input=d, stdout=-1, check=True).stdout,
                                      lambda d: d], ids=["gzip", "bzip2", "xz", "zstd", "plain"])
@pytest.mark.parametrize("way", ["pipe", "file"])
def test_layout(store, tmp_path, compress, way):
    image = Made()
    data = compress(make_tar(one_layout(image)))
    if way == "file":
        (tmp_path / "archive").write_bytes(data)
        out = store.run("load", tmp_path / "archive")
    else:
        out = store.load(data)
    assert out == "Loaded image: test:1\n"
    store.verify()
    (line,) = store.list()
    assert line[:4] == [image.id, "sha256:" + sha(image.manifest), "sha256:" + sha(image.manifest), "linux/amd64"] and line[5:] == [NAME]
    assert {f for f in store.files() if f.startswith("blobs/")} == set(image.documents())


@pytest.mark.parametrize("old", [True, False])
@pytest.mark.parametrize("name", ["test:1", None])
def test_docker(store, old, name):
    image = Made(compress=False)
    out = store.load(image.docker(name, old))
    assert out == ("Loaded image: test:1\n" if name else f"Loaded image ID: {image.id}\n")
    store.verify()
    config = store.run("show", image.id[7:], "config", binary=True)
    assert config == image.config
    manifest = json.loads(store.run("show", image.id[7:], "manifest"))
    assert [d["digest"] for d in manifest["layers"]] == ["sha256:" + sha(t) for t in image.tars]
    assert {d["mediaType"] for d in manifest["layers"]} == {LAYER}
    # the same archive gives the same manifest
    again = Store(store.root + "2")
    again.load(image.docker(name, old))
    assert again.list() == store.list()


def test_docker_symlinked_layers(store):
    """Docker 1.10 to 24 wrote a layer that came again as a link to the first."""
    image = Made(compress=False)
    tar, other = image.tars[0], image.tars[1]
    config = dumps({**json.loads(image.config), "rootfs": {"type": "layers", "diff_ids": ["sha256:" + sha(t) for t in (tar, other, tar)]}, "history": []})
    files = {"aa/layer.tar": tar, "bb/layer.tar": other, "cc/layer.tar": link("cc/layer.tar", "../aa/layer.tar"),
             "c.json": config, "manifest.json": dumps([{"Config": "c.json", "RepoTags": ["t:1"], "Layers": ["aa/layer.tar", "bb/layer.tar", "cc/layer.tar"]}])}
    store.load(files)
    store.verify()
    assert [r[0][7:] for r in store.rows("SELECT diff_id FROM image_layers ORDER BY position")] == [sha(tar), sha(other), sha(tar)]
    assert len(store.rows("SELECT * FROM layers")) == 2


def test_docker_compressed_layers(store):
    """go-containerregistry's programs and others put compressed layers into docker's archive: they stay what they are."""
    image = Made()
    files = {f"{sha(b)}.tar.gz": b for b in image.blobs}
    files["sha256:" + sha(image.config)] = image.config
    files["manifest.json"] = dumps([{"Config": "sha256:" + sha(image.config), "RepoTags": ["t:1"], "Layers": [f"{sha(b)}.tar.gz" for b in image.blobs]}])
    store.load(files)
    store.verify()
    manifest = json.loads(store.run("show", "t:1", "manifest"))
    assert [(d["digest"][7:], d["mediaType"]) for d in manifest["layers"]] == [(sha(b), LAYER + "+gzip") for b in image.blobs]


def test_platforms(store):
    arm, amd = Made(2, platform="arm64"), Made(3)
    inner = dumps({"schemaVersion": 2, "mediaType": INDEX, "manifests": [
        arm.entry(platform={"architecture": "arm64", "os": "linux"}), amd.entry(platform={"architecture": "amd64", "os": "linux"}),
        {**amd.entry(platform={"architecture": "unknown", "os": "unknown"}), "digest": "sha256:" + "0" * 64, "annotations": {"vnd.docker.reference.type": "attestation-manifest"}}]})
    entry = Made.describe(INDEX, inner, annotations={"io.containerd.image.name": NAME})
    files = layout([entry], arm, amd, documents=[inner])
    store.load(files)
    store.verify()
    assert store.list()[0][:3] == [amd.id, "sha256:" + sha(amd.manifest), "sha256:" + sha(inner)]
    store.load(files, env={"PLATFORM": "linux/arm64"})
    assert store.names()[NAME] == "sha256:" + sha(arm.manifest)
    store.verify()
    with pytest.raises(Refused, match="s390x"):
        store.load(files, env={"PLATFORM": "linux/s390x"})
    # side by side in index.json
    flat = layout([arm.entry(NAME, platform={"architecture": "arm64", "os": "linux"}), amd.entry(NAME, platform={"architecture": "amd64", "os": "linux"})], arm, amd)
    assert store.load(flat) == "Loaded image: test:1\n"
    assert store.names()[NAME] == "sha256:" + sha(amd.manifest)


def test_both_in_one_and_several(store):
    images = [Made(n) for n in range(3)]
    store.load(layout([i.entry(f"docker.io/user/app{n}:v{n}") for n, i in enumerate(images)], *images))
    both = store.save("docker", "user/app0:v0", "user/app1:v1", images[2].id)
    names = list(members(both))
    assert names == sorted(names) and names[-4:] == ["index.json", "manifest.json", "oci-layout", "repositories"]
    other = Store(store.root + "2")
    assert other.load(both) == "".join(f"Loaded image: user/app{n}:v{n}\n" for n in range(3))
    other.verify()
    assert other.list() == store.list() or {tuple(x) for x in other.list()} == {tuple(x) for x in store.list()}
    assert other.save("docker", "user/app0:v0", "user/app1:v1", images[2].id) == both
    # docker's half alone gives the same images (under manifests of its own)
    files = {k: v for k, v in members(both).items() if k not in ("index.json", "oci-layout") and v is not None}
    third = Store(store.root + "3")
    third.load(files)
    third.verify()
    assert {x[0] for x in third.list()} == {i.id for i in images}
    assert json.loads(files["repositories"])["user/app0"]["v0"] == sha(images[0].blobs[-1])


# ---- save ----

@pytest.mark.parametrize("kind", ["docker", "oci"])
def test_save_is_the_same_again(store, kind):
    image = Made()
    store.load(one_layout(image))
    data = store.save(kind, "test:1")
    other = Store(store.root + "2")
    other.load(data)
    other.verify()
    assert other.list() == store.list()
    assert other.save(kind, "test:1") == data
    have = members(data)
    for path, content in image.documents().items():
        assert have[path] == content
    assert ("manifest.json" in have) == (kind == "docker")
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        assert all((m.mtime, m.uid, m.gid) == (0, 0, 0) for m in tar)


def test_save_to_a_directory(store, tmp_path):
    image = Made()
    store.load(one_layout(image))
    where = tmp_path / "layout"
    store.run("save", "oci-dir", where, "test:1")
    other = Store(store.root + "2")
    assert other.run("load", where) == "Loaded image: test:1\n"
    assert other.list() == store.list()
    with pytest.raises(Refused, match="not empty"):
        store.run("save", "oci-dir", where, "test:1")
    assert sorted(os.listdir(where)) == ["blobs", "index.json", "oci-layout"]


def test_save_without_blobs(store):
    """What is not there compressed is saved as it is, and that is told."""
    image = Made()
    store.load(one_layout(image))
    store.run("drop-blobs")
    done = subprocess.run(store.command("save", "oci", "-", "test:1"), stdout=-1, stderr=-1, check=True, env=ENV)
    assert b"not compressed" in done.stderr
    have = members(done.stdout)
    assert {sha(t) for t in image.tars} <= {os.path.basename(n) for n in have}
    other = Store(store.root + "2")
    other.load(done.stdout)
    other.verify()
    assert other.list()[0][0] == image.id and other.list()[0][1] != store.list()[0][1]
    # the blobs come back with the image
    store.load(one_layout(image))
    assert set(image.documents()) <= store.files()
    store.verify()


def test_save_refuses_other_platforms(store):
    store.load(one_layout(Made()))
    with pytest.raises(Refused, match=r"test:1 was found but does not provide the specified platform \(linux/arm64\)"):
        store.run("save", "oci", "-", "test:1", env={"PLATFORM": "linux/arm64"})
    with pytest.raises(Refused, match="No such image: nothing"):
        store.run("save", "oci", "-", "nothing")


def test_save_failure_leaves_no_directory(store, tmp_path):
    image = Made()
    store.load(one_layout(image))
    os.truncate(os.path.join(store.root, "blobs/sha256", sha(image.blobs[0])), 10)
    with pytest.raises(Refused, match="10 bytes in the store"):
        store.run("save", "oci-dir", tmp_path / "out", "test:1")
    assert not (tmp_path / "out").exists()


# ---- other programs ----

skopeo = pytest.mark.skipif(not shutil.which("skopeo"), reason="no skopeo")


def run_skopeo(*args):
    return subprocess.run(["skopeo", "--insecure-policy", *map(str, args)], stdout=-1, stderr=-1, check=True, timeout=60).stdout


@skopeo
@pytest.mark.parametrize("kind", ["docker", "oci"])
def test_skopeo(store, tmp_path, kind):
    image = Made()
    store.load(one_layout(image))
    store.run("save", kind, tmp_path / "ours.tar", "test:1")
    transport = {"docker": "docker-archive", "oci": "oci-archive"}[kind]
    seen = json.loads(run_skopeo("inspect", f"{transport}:{tmp_path}/ours.tar"))
    if kind == "oci":
        assert seen["Digest"] == "sha256:" + sha(image.manifest)
        assert seen["Layers"] == ["sha256:" + sha(b) for b in image.blobs]
    assert run_skopeo("inspect", "--config", "--raw", f"{transport}:{tmp_path}/ours.tar") == image.config
    # there and back
    run_skopeo("copy", f"{transport}:{tmp_path}/ours.tar", f"oci-archive:{tmp_path}/theirs.tar:docker.io/library/back:1")
    run_skopeo("copy", f"{transport}:{tmp_path}/ours.tar", f"docker-archive:{tmp_path}/theirs2.tar:back:2")
    for n, name in (("theirs", "back:1"), ("theirs2", "back:2")):
        assert store.run("load", tmp_path / f"{n}.tar") == f"Loaded image: {name}\n"
    store.verify()
    # from docker's archive to OCI's skopeo writes another configuration: without what it does not know
    ids = {x[5]: x[0] for x in store.list()}
    assert ids["docker.io/library/back:2"] == image.id and (kind == "docker" or set(ids.values()) == {image.id})


# ---- import and export ----

def tree(data):
    """What is in a tar. Symbolic links have no mode: ours say 0777, whatever they were made with."""
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        return [(m.name, m.type, 0o777 if m.issym() else m.mode, m.uid, m.gid, m.mtime, m.linkname, m.size, {k: v for k, v in m.pax_headers.items() if "xattr" in k},
                 tar.extractfile(m).read() if m.isreg() else None) for m in tar]


def info(name, kind=tarfile.REGTYPE, data=b"", **more):
    made = tarfile.TarInfo(name)
    made.type, made.mtime, made.mode = kind, 1700000000, 0o755 if kind == tarfile.DIRTYPE else 0o644
    made.size = len(data)
    for key, value in more.items():
        setattr(made, key, value)
    return made, data


def tar_of(*members_):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for made, data in members_:
            tar.addfile(made, io.BytesIO(data))
    return out.getvalue()


EVERYTHING = tar_of(info(".", tarfile.DIRTYPE, mode=0o750), info("a", tarfile.DIRTYPE), info("a/file", data=b"x" * 1000, uid=70000, gid=5, mode=0o4755),
                    info("a/link", tarfile.SYMTYPE, linkname="../b"), info("b", data=b"", pax_headers={"SCHILY.xattr.user.k": "v"}),
                    info("d", tarfile.CHRTYPE, devmajor=1, devminor=3), info("fifo", tarfile.FIFOTYPE), info("n" * 200, data=b"long"),
                    info("z", tarfile.LNKTYPE, linkname="a/file", mode=0o4755, uid=70000, gid=5))


def test_import_and_export(store):
    image_id = store.run("import", "-", "flat:1", data=gzip.compress(EVERYTHING), env={"CREATED": "1700000000000000000"}).strip()
    store.verify()
    out = store.run("export", "flat:1", binary=True)
    assert tree(out) == tree(EVERYTHING)
    config = json.loads(store.run("show", "flat:1", "config"))
    assert config["history"] == [{"created": "2023-11-14T22:13:20Z", "comment": "Imported from -"}]
    assert config["rootfs"]["diff_ids"] == ["sha256:" + sha(EVERYTHING)] and config["os"] == "linux"
    # the same again, and its own export
    assert store.run("import", "-", "flat:1", data=EVERYTHING, env={"CREATED": "1700000000000000000"}).strip() == image_id
    store.run("import", "-", "flat:2", data=out)
    assert store.run("export", "flat:2", binary=True) == out
    store.verify()


def test_export_merges_layers(store):
    low = tar_of(info("d", tarfile.DIRTYPE), info("d/gone", data=b"1"), info("d/kept", data=b"2"), info("o", tarfile.DIRTYPE), info("o/hidden", data=b"3"),
                 info("was", data=b"file"))
    high = tar_of(info("d/.wh.gone"), info("o", tarfile.DIRTYPE), info("o/.wh..wh..opq"), info("o/new", data=b"4"), info("was", tarfile.DIRTYPE),
                  info("d/hole", data=bytes(10000)))
    store.load(one_layout(Made(layers=0, extra=[low, high])))
    have = tree(store.run("export", "test:1", binary=True))
    assert [(m[0], m[9]) for m in have] == [(".", None), ("d", None), ("d/hole", bytes(10000)), ("d/kept", b"2"), ("o", None), ("o/new", b"4"), ("was", None)]


def test_import_options(store):
    store.run("import", "-", "flat:1", 'CMD ["sh", "-c", "echo $HOME"]', "ENV A=1 B=\"two words\" C='$x' D=\\$y", "ENV A old form", "EXPOSE 80 53/UDP 8000-8002",
              'LABEL "a b"=c d=', "USER me:us", "VOLUME /a /b", 'VOLUME ["/c d"]', "WORKDIR /x/../y", "WORKDIR z", "ONBUILD RUN echo $x",
              "HEALTHCHECK --interval=1m30s --timeout=500ms --retries=3 CMD curl -f x", "STOPSIGNAL SIGQUIT", "entrypoint /init now", data=EVERYTHING,
              env={"MESSAGE": "by hand", "PLATFORM": "linux/arm64"})
    config = json.loads(store.run("show", "flat:1", "config"))
    assert config["architecture"] == "arm64" and config["history"][0]["comment"] == "by hand"
    assert config["config"] == {
        "User": "me:us", "ExposedPorts": {"53/udp": {}, "80/tcp": {}, "8000/tcp": {}, "8001/tcp": {}, "8002/tcp": {}},
        "Env": ["A=old form", "B=two words", "C=$x", "D=$y"], "Entrypoint": ["/bin/sh", "-c", "/init now"], "Cmd": ["sh", "-c", "echo $HOME"],
        "Volumes": {"/a": {}, "/b": {}, "/c d": {}}, "WorkingDir": "/y/z", "Labels": {"a b": "c", "d": ""}, "StopSignal": "SIGQUIT",
        "Healthcheck": {"Test": ["CMD-SHELL", "curl -f x"], "Interval": 90000000000, "Timeout": 500000000, "Retries": 3}, "OnBuild": ["RUN echo $x"]}
    assert list(config["config"]["ExposedPorts"]) == sorted(config["config"]["ExposedPorts"])


@pytest.mark.parametrize("change, why", [
    ("RUN x", "RUN is not a valid change command"), ("ENV A", "needs a value"), ("ENV A=1 B", "expected key=value"), ("ENV", "needs key=value"), ("ENV A=$B", "not expanded"),
    ("LABEL 'x=1", "quote is not closed"), ("EXPOSE 0", "ports from 1 to 65535"), ("EXPOSE 80/icmp", "ports from"), ("EXPOSE 9-8", "ports from"),
    ("EXPOSE 65536", "ports from"), ("USER a b", "one argument"), ("STOPSIGNAL SIGNOPE", "no such signal"), ("ONBUILD FROM x", "not allowed as triggers"),
    ("HEALTHCHECK curl", "NONE or CMD"), ("HEALTHCHECK --interval=1 CMD x", "duration"), ("HEALTHCHECK --retry=1 CMD x", "unknown option"),
    ("HEALTHCHECK NONE x", "no arguments"), ("VOLUME", "needs a path"), ("WORKDIR", "one argument"), ("CMD a\nENV b", "one line")])
def test_import_refuses_changes(store, change, why):
    with pytest.raises(Refused, match=why):
        store.run("import", "-", "x", change, data=EVERYTHING)
    store.verify(empty=True)


@pytest.mark.parametrize("data, why", [(b"no tar at all" * 100, "tar: "), (EVERYTHING[:2000], "truncated"), (gzip.compress(EVERYTHING)[:-20], "import: ")])
def test_import_refuses_bytes(store, data, why):
    with pytest.raises(Refused, match=why):
        store.run("import", "-", "x", data=data)
    store.verify(empty=True)


# ---- archives made to harm ----

IMAGE = Made()
PLAIN = Made(compress=False)


def docker_with(layers=None, config=None, extra=(), **more):
    files = PLAIN.docker()
    entry = json.loads(files["manifest.json"])[0]
    if layers is not None:
        entry["Layers"] = layers
    if config is not None:
        entry["Config"] = config
    files["manifest.json"] = dumps([{**entry, **more}])
    return [*files.items(), *extra]


def layout_with(manifest=None, config=None, entry=None, replace=(), drop=()):
    """The layout of IMAGE with some of its parts exchanged, digests put right along the way."""
    m = json.loads(IMAGE.manifest)
    if config is not None:
        m["config"] = Made.describe(CONFIG, config)
    text = manifest(m) if manifest else dumps(m)
    files = layout([{**Made.describe(MANIFEST, text), **(entry or {})}], IMAGE, documents=[text, *([config] if config is not None else [])])
    for path in drop:
        del files[path]
    files.update(dict(replace))
    return files


def with_config(**more):
    return dumps({**json.loads(IMAGE.config), **more})


def blob(data):
    return "blobs/sha256/" + sha(data)


def nested(depth):
    """An image below so many indexes."""
    entry, documents = IMAGE.entry(), []
    for _ in range(depth):
        documents.append(dumps({"schemaVersion": 2, "mediaType": INDEX, "manifests": [entry]}))
        entry = Made.describe(INDEX, documents[-1])
    return layout([entry], IMAGE, documents=documents)


def indexed(text, **more):
    return {**one_layout(IMAGE), "index.json": text, **more}


OTHER_LAYER = gzip.compress(make_tar({"other": b"other"}), mtime=0)
SPOILED = bytearray(IMAGE.blobs[0])
SPOILED[-6] ^= 1  # the checksum inside of the compressed form

ATTACKS = {
    "nothing": (b"", "neither index.json nor manifest.json"),
    "no archive": (b"hello" * 500, "tar: "),
    "other tar": ({"etc/passwd": b"x"}, "neither index.json nor manifest.json"),
    "docker before 1.10": ({"repositories": b"{}", "aa/json": b"{}", "aa/layer.tar": b""}, "docker before 1.10"),
    # docker's archive
    "absolute layer": (docker_with(["/etc/passwd", "/etc/shadow"]), '"/etc/passwd" is an absolute path'),
    "layer above": (docker_with(["../../etc/passwd", "b"]), "leads out of the archive"),
    "layer through dots": (docker_with(["a/../../b", "b"]), "leads out of the archive"),
    "layer linked out": (docker_with(["l", "l"], extra=[("l", link("l", "../../../etc/passwd"))]), "leads out of the archive"),
    "layer linked to root": (docker_with(["l", "l"], extra=[("l", link("l", "/etc/passwd"))]), "leads out of the archive"),
    "layer linked nowhere": (docker_with(["l", "l"], extra=[("l", link("l", "nothing"))]), '"nothing" is missing'),
    "links in a circle": (docker_with(["l", "m"], extra=[("l", link("l", "m")), ("m", link("m", "l"))]), "more than 16 links"),
    "layer is a directory": (docker_with(["dir", "dir"], extra=[("dir", info("dir", tarfile.DIRTYPE)[0])]), "is a directory, expected a plain file"),
    "layer is a device": (docker_with(["dev", "dev"], extra=[("dev", info("dev", tarfile.CHRTYPE)[0])]), "expected a plain file"),
    "missing layer": (docker_with(["gone/layer.tar", "x"]), '"gone/layer.tar" is missing'),
    "missing config": (docker_with(config="gone.json"), '"gone.json" is missing'),
    "config above": (docker_with(config="../../etc/passwd"), "leads out of the archive"),
    "empty path": (docker_with(["", ""]), "names no file"),
    "too few layers": (docker_with([PLAIN.docker().keys().__iter__().__next__()]), "has 2 diff_ids, manifest.json 1 layers"),
    "wrong layers": (docker_with([f"{sha(PLAIN.tars[1])}1/layer.tar", f"{sha(PLAIN.tars[0])}0/layer.tar"]), "digest mismatch"),
    "config digest": ([*[(k, v) for k, v in PLAIN.docker().items() if not k.endswith(".json") or k == "manifest.json"],
                       (sha(PLAIN.config) + ".json", PLAIN.config + b" ")], "digest mismatch"),
    "config is no config": (docker_with(config="c", extra=[("c", b"[]")]), "image config"),
    "two members": (docker_with(extra=[("manifest.json", b"[]")]), 'two members are called "manifest.json"'),
    "two members by another name": (docker_with(extra=[("./manifest.json", b"[]")]), 'two members are called "manifest.json"'),
    "member above": (docker_with(extra=[("../x", b"")]), "tar: "),
    "bad name": (docker_with(RepoTags=["Nope:1"]), "RepoTags"),
    "name without tag": (docker_with(RepoTags=["nope"]), "has no tag"),
    "name is a path": (docker_with(RepoTags=["../../x:1"]), "RepoTags"),
    "manifest.json is an object": ({"manifest.json": b"{}"}, "expected an array, got object"),
    "manifest.json is no JSON": ({"manifest.json": b"[{]"}, "manifest.json"),
    "keys twice": ({"manifest.json": b'[{"Config":"a","Config":"b","Layers":[]}]'}, "manifest.json"),
    "deep JSON": ({"manifest.json": b"[" * 100000}, "manifest.json"),
    "huge manifest.json": ({"manifest.json": b"[" + b" " * (5 << 20) + b"]"}, "at most 4194304 are allowed"),
    "many images": ({"manifest.json": b"[" + b",".join([b'{"Config":"a"}'] * 1001) + b"]"}, "at most 1000 are allowed"),
    "numbers for names": ({"manifest.json": b'[{"Config":1}]'}, "expected a string"),
    # layouts
    "no blobs": ({"oci-layout": b'{"imageLayoutVersion":"1.0.0"}', "index.json": one_layout(IMAGE)["index.json"]}, "is missing"),
    "missing layer blob": (layout_with(drop=[blob(IMAGE.blobs[1])]), "is missing"),
    "missing config blob": (layout_with(drop=[blob(IMAGE.config)]), "is missing"),
    "manifest digest": (layout_with(replace={blob(IMAGE.manifest): IMAGE.manifest.replace(b"as it is", b"as it's ")}), "digest mismatch"),
    "config blob digest": (layout_with(replace={blob(IMAGE.config): IMAGE.config.replace(b"SEED", b"SAAD")}), "digest mismatch"),
    "layer blob digest": (layout_with(replace={blob(IMAGE.blobs[0]): bytes(SPOILED)}), "layer "),
    "longer layer": (layout_with(replace={blob(IMAGE.blobs[0]): IMAGE.blobs[0] + b"x"}), "its descriptor says"),
    "diffID": (layout_with(config=with_config(rootfs={"type": "layers", "diff_ids": ["sha256:" + sha(t) for t in reversed(IMAGE.tars)]})), "was expected"),
    "too many diffIDs": (layout_with(config=with_config(rootfs={"type": "layers", "diff_ids": ["sha256:" + sha(t) for t in IMAGE.tars * 2]})), "4 of them, where the manifest has 2"),
    "no rootfs": (layout_with(config=dumps({"architecture": "amd64", "os": "linux"})), "rootfs"),
    "digest is a path": (indexed(dumps({"schemaVersion": 2, "manifests": [{**IMAGE.entry(), "digest": "sha256:../../../../etc/passwd"}]})), "digest"),
    "upper case digest": (indexed(dumps({"schemaVersion": 2, "manifests": [{**IMAGE.entry(), "digest": "sha256:" + sha(IMAGE.manifest).upper()}]})), "digest"),
    "unknown algorithm": (indexed(dumps({"schemaVersion": 2, "manifests": [{**IMAGE.entry(), "digest": "md5:" + "0" * 32}]})), "digest"),
    "negative size": (indexed(dumps({"schemaVersion": 2, "manifests": [{**IMAGE.entry(), "size": -1}]})), "negative"),
    "size that lies": (indexed(dumps({"schemaVersion": 2, "manifests": [{**IMAGE.entry(), "size": 7}]})), "its descriptor says 7"),
    "manifest as index": (indexed(dumps({"schemaVersion": 2, "manifests": [{**IMAGE.entry(), "mediaType": INDEX}]})), "announced"),
    "both kinds": (layout_with(manifest=lambda m: dumps({**m, "manifests": []})), "manifest"),
    "key in other case": (layout_with(manifest=lambda m: dumps({**m, "Layers": []})), "ayers"),
    "layers twice": (layout_with(manifest=lambda m: dumps(m)[:-1] + b',"layers":[]}'), "layers"),
    "index.json is a manifest": (indexed(IMAGE.manifest), "index.json"),
    "index.json empty": (indexed(b""), "index.json"),
    "no images": (indexed(dumps({"schemaVersion": 2, "manifests": []})), "no image in it"),
    "indexes too deep": (nested(4), "more than 3 indexes"),
    "artifact": (layout_with(manifest=lambda m: dumps({**m, "config": {**m["config"], "mediaType": "application/vnd.example"}})), "not an image"),
    "strange layer type": (layout_with(manifest=lambda m: dumps({**m, "layers": [{**d, "mediaType": "text/plain"} for d in m["layers"]]})), "text/plain"),
    "bad name in a layout": (layout([IMAGE.entry("docker.io/UPPER/x:1")], IMAGE), "index.json"),
    "future layout": ({**one_layout(IMAGE), "oci-layout": b'{"imageLayoutVersion":"2.0.0"}'}, "2.0.0"),
    "huge config": (layout_with(config=with_config(pad="x" * (5 << 20))), "at most 4194304 are allowed"),
    "truncated": (make_tar(one_layout(IMAGE))[:4000], "truncated"),
    "truncated gzip": (gzip.compress(make_tar(one_layout(IMAGE)))[:1000], "archive: "),
    "garbage at the end": (make_tar(one_layout(IMAGE)) + b"garbage" * 100, "tar: "),
    "negative member size": (bytes(make_tar({"a": b"x"})[:124]) + b"-0000000001\0" + make_tar({"a": b"x"})[136:], "tar: "),
    "layer with a bad tar": (layout([Made(layers=0, extra=[tar_of(info("x"), info("x/y"))]).entry(NAME)], Made(layers=0, extra=[tar_of(info("x"), info("x/y"))])), '"x/y"'),
}


@pytest.mark.parametrize("way", ["pipe", "file"])
@pytest.mark.parametrize("name", ATTACKS)
def test_attack(store, tmp_path, name, way):
    files, why = ATTACKS[name]
    data = files if isinstance(files, bytes) else make_tar(files)
    with pytest.raises(Refused) as caught:
        if way == "pipe":
            store.load(data)
        else:
            (tmp_path / "archive").write_bytes(data)
            store.run("load", tmp_path / "archive")
    assert why in str(caught.value), str(caught.value)
    store.verify(empty=True)


@pytest.mark.parametrize("name", ["no blobs", "manifest digest", "diffID", "absolute layer", "config above", "digest is a path", "missing layer", "wrong layers"])
def test_attack_from_a_directory(store, tmp_path, name):
    files, why = ATTACKS[name]
    for path, data in dict(files).items():
        os.makedirs(os.path.dirname(tmp_path / "dir" / path), exist_ok=True)
        (tmp_path / "dir" / path).write_bytes(data)
    with pytest.raises(Refused) as caught:
        store.run("load", tmp_path / "dir")
    assert why in str(caught.value)
    store.verify(empty=True)


def test_directory_follows_no_links(store, tmp_path):
    """Not out of the directory, nor inside of it, nor into a FIFO that nobody writes."""
    for path, data in one_layout(IMAGE).items():
        os.makedirs(os.path.dirname(tmp_path / "dir" / path), exist_ok=True)
        (tmp_path / "dir" / path).write_bytes(data)
    config = tmp_path / "dir" / blob(IMAGE.config)
    shutil.move(config, tmp_path / "config")
    os.symlink(tmp_path / "config", config)
    with pytest.raises(Refused, match="symbolic link"):
        store.run("load", tmp_path / "dir")
    os.unlink(config)
    os.mkfifo(config)
    with pytest.raises(Refused, match="no plain file"):
        store.run("load", tmp_path / "dir")
    store.verify(empty=True)


def test_a_blob_is_one_layer_only(store):
    """A blob that is there, as a layer that is there, but another one: what the manifest says is checked all the same."""
    store.load(one_layout(IMAGE))
    swapped = layout_with(config=with_config(rootfs={"type": "layers", "diff_ids": ["sha256:" + sha(t) for t in reversed(IMAGE.tars)]}))
    with pytest.raises(Refused, match="another than the configuration says"):
        store.load(swapped)
    store.verify()
    assert len(store.list()) == 1


def test_earlier_images_of_an_archive_stay(store):
    bad = Made(5)
    files = layout([IMAGE.entry(NAME), bad.entry("docker.io/library/bad:1")], IMAGE, bad)
    del files[blob(bad.blobs[0])]
    with pytest.raises(Refused, match="is missing"):
        store.load(files)
    store.verify()
    assert set(store.names()) == {NAME}


@pytest.mark.parametrize("image", [Made(layers=0), Made(layers=0, extra=[bytes(1024)] * 3, compress=False), Made(layers=0, extra=[b"", make_tar({"x": b"y"}), b""])],
                         ids=["none", "the same", "no bytes"])
def test_empty_layers(store, image):
    store.load(one_layout(image))
    store.verify()
    again = Store(store.root + "2")
    again.load(store.save("docker", "test:1"))
    again.verify()
    assert again.list() == store.list()
    assert " found 0 " in again.run("check")
    store.run("export", "test:1", binary=True)


def test_many_layers(store):
    """More than there are descriptors for all of their files at once."""
    image = Made(layers=400, files=1, size=10)
    subprocess.run(["prlimit", "--nofile=1024:4096", *store.command("load", "-")], input=make_tar(one_layout(image)), env=ENV, check=True)
    store.verify()
    with tarfile.open(fileobj=io.BytesIO(store.run("export", "test:1", binary=True))) as tar:
        assert len(tar.getmembers()) == 801
