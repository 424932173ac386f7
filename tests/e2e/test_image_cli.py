"""Images by the command line: what docker's users type, against a real registry."""
import gzip
import io
import json
import os
import pty
import re
import resource
import shutil
import subprocess
import tarfile

import pytest

from images import OCI_INDEX, OCI_MANIFEST, SKEP, Made, RealRegistry, Skep, index_of, noise, tar_of
from registry_double import Registry, digest_of

pytestmark = pytest.mark.skipif(not os.path.exists(SKEP), reason=f"no {SKEP}")

SMALL = Made({"etc/motd": b"hello\n"}, {"bin/x": b"x" * 3000}, labels={"kind": "small"})
OTHER = Made({"etc/motd": b"hello\n"}, {"bin/y": noise(1, 5000)}, docker=True, created="2023-01-01T00:00:00Z")
ARM = Made({"bin/arm": b"arm"}, arch="arm64", variant="v8")


@pytest.fixture(scope="module")
def registry(tmp_path_factory):
    made = RealRegistry(str(tmp_path_factory.mktemp("registry")))
    made.put("small", "1", SMALL)
    made.put("other", "latest", OTHER)
    made.put("many", "arm", ARM)
    for blob in (SMALL.config, *SMALL.layers):
        made.put_blob("many", blob)
    made.put_manifest("many", SMALL.digest, SMALL.manifest, SMALL.media_type)
    made.put_manifest("many", "1", index_of(SMALL, ARM), OCI_INDEX)
    yield made
    made.close()


@pytest.fixture
def skep(tmp_path):
    made = Skep(str(tmp_path))
    yield made
    made.close()


@pytest.fixture
def double():
    made = Registry()
    made.host = f"127.0.0.1:{made.port}"
    yield made
    made.close()


def test_pull_says_what_docker_says(skep, registry):
    name = f"{registry.host}/small:1"
    lines = skep.run("pull", name).splitlines()
    assert lines[0] == "1: Pulling from small" or lines[0] == f"1: Pulling from {registry.host}/small"
    assert lines[-3:] == [f"Digest: {SMALL.digest}", f"Status: Downloaded newer image for {name}", name]
    assert sum(line.endswith(": Pull complete") for line in lines) == 2
    lines = skep.run("pull", name).splitlines()
    assert lines[-2] == f"Status: Image is up to date for {name}"
    assert sum(line.endswith(": Already exists") for line in lines) == 2
    assert skep.run("pull", "-q", name) == name + "\n"
    assert skep.run("image", "pull", f"{registry.host}/other").splitlines()[0] == "Using default tag: latest"
    assert skep.faults() == [] and skep.ingest() == []


def test_pull_push_pull_keeps_every_byte(skep, registry, tmp_path):
    for image, name in (SMALL, "small:1"), (OTHER, "other:latest"):
        skep.run("pull", f"{registry.host}/{name}")
        copy = f"{registry.host}/copy/{name}"
        skep.run("tag", f"{registry.host}/{name}", copy)
        lines = skep.run("push", copy).splitlines()
        repository, tag = copy.rsplit(":", 1)
        assert lines[0] == f"The push refers to repository [{repository}]"
        assert lines[-1] == f"{tag}: digest: {image.digest} size: {len(image.manifest)}"
        assert registry.manifest(*copy.split("/", 1)[1].rsplit(":", 1)) == (image.media_type, image.digest, image.manifest)
        assert all("Layer already exists" in line or "Preparing" in line for line in skep.run("push", copy).splitlines()[1:-1])
    assert skep.run("push", "-q", copy) == copy + "\n"
    again = Skep(str(tmp_path), "again")
    again.run("pull", f"{registry.host}/copy/small:1")
    assert json.loads(again.run("inspect", f"{registry.host}/copy/small:1"))[0]["Id"] == SMALL.id
    assert again.faults() == []


def test_dropped_blobs_are_made_anew(skep, registry):
    name = f"{registry.host}/small:1"
    skep.run("pull", "--drop-blobs", name)
    assert skep.faults() == [] and len(skep.query("SELECT * FROM contents")) == 2
    skep.run("tag", name, f"{registry.host}/anew:1")
    first = skep.run("push", f"{registry.host}/anew:1").splitlines()[-1]
    assert skep.run("push", f"{registry.host}/anew:1").splitlines()[-1] == first
    _, _, data = registry.manifest("anew", "1")
    assert json.loads(data)["config"]["digest"] == SMALL.id
    skep.run("rmi", "-f", name, f"{registry.host}/anew:1")
    skep.run("pull", f"{registry.host}/anew:1")
    assert skep.faults() == []


def test_platforms(skep, registry):
    name = f"{registry.host}/many:1"
    skep.run("pull", name)
    assert skep.run("images", "-q", "--no-trunc") == SMALL.id + "\n"
    skep.run("pull", "--platform", "linux/arm64", name)
    shown = json.loads(skep.run("inspect", name))[0]
    assert shown["Architecture"] == "arm64" and shown["Id"] == ARM.id
    index = digest_of(index_of(SMALL, ARM))
    assert shown["RepoDigests"] == [f"{registry.host}/many@{index}"]
    assert "linux/s390x" in skep.fails("pull", "--platform", "linux/s390x", name)
    skep.run("pull", f"{registry.host}/many@{index}")


def test_push_of_several_platforms(skep, registry):
    """The index goes along when all that it names is here; else what is here goes alone, and that is said."""
    name, index = f"{registry.host}/many:1", index_of(SMALL, ARM)
    skep.run("pull", name)
    skep.run("tag", name, f"{registry.host}/index:1")
    done = subprocess.run(skep.command("push", f"{registry.host}/index:1"), env=skep.env, capture_output=True, check=True)
    assert b"only the available single-platform image was pushed" in done.stderr and registry.manifest("index", "1")[1] == SMALL.digest
    skep.run("pull", "--platform", "linux/arm64", name)
    skep.run("tag", name, f"{registry.host}/index:2")
    assert skep.run("push", f"{registry.host}/index:2").splitlines()[-1] == f"2: digest: {digest_of(index)} size: {len(index)}"
    assert registry.manifest("index", "2") == (OCI_INDEX, digest_of(index), index)
    assert registry.manifest("index", ARM.digest)[2] == ARM.manifest and registry.manifest("index", SMALL.digest)[2] == SMALL.manifest
    skep.run("push", "--platform", "linux/amd64", f"{registry.host}/index:2")
    assert registry.manifest("index", "2")[1] == SMALL.digest
    assert "linux/s390x" in skep.fails("push", "--platform", "linux/s390x", f"{registry.host}/index:2")
    skep.run("image", "prune", "--blobs", "-f")
    done = subprocess.run(skep.command("push", f"{registry.host}/index:2"), env=skep.env, capture_output=True, check=True)
    assert b"only the available single-platform image was pushed" in done.stderr


def test_images(skep, registry):
    small, other = f"{registry.host}/small", f"{registry.host}/other"
    skep.run("pull", small + ":1")
    skep.run("pull", other)
    skep.run("tag", small + ":1", "mine")
    lines = skep.run("images").splitlines()
    assert re.split(" {3,}", lines[0]) == ["REPOSITORY", "TAG", "IMAGE ID", "CREATED", "SIZE"]
    assert sorted(line.split()[0] for line in lines[1:]) == sorted([small, other, "mine"])
    one = json.loads(skep.run("images", "--format", "json", "mine"))
    assert one["ID"] == SMALL.id[7:19] and one["Tag"] == "latest" and one["Size"] == "3.01kB" and one["CreatedAt"] == "2024-03-01 12:00:00 +0000 UTC"
    assert skep.run("images", "-q", "--no-trunc", small) == SMALL.id + "\n"
    assert skep.run("images", "--digests", "--format", "{{.Digest}}", small) == SMALL.digest + "\n"

    def names(*args):
        return sorted(skep.run("images", "--format", "{{.Repository}}", *args).split())

    assert names("-f", "reference=mine*") == ["mine"]
    assert names("-f", "label=kind") == sorted([small, "mine"]) == names("-f", "label=kind=small")
    assert names("-f", "label=kind=big") == []
    assert names("-f", "before=mine") == [other] and names("-f", f"since={other}") == sorted([small, "mine"])
    assert names("-f", "dangling=true") == [] and len(names("-f", "dangling=false")) == 3
    assert names("nothing") == []
    assert "invalid filter" in skep.fails("images", "-f", "color=red")


def test_inspect_and_history(skep, registry):
    name = f"{registry.host}/small:1"
    skep.run("pull", name)
    shown = json.loads(skep.run("inspect", name))[0]
    assert shown["Id"] == SMALL.id and shown["RepoTags"] == [name] and shown["RepoDigests"] == [f"{registry.host}/small@{SMALL.digest}"]
    assert shown["Config"]["Cmd"] == ["/bin/sh"] and shown["RootFS"] == {"Type": "layers", "Layers": SMALL.diff_ids}
    assert shown["Size"] == 3006 and shown["Created"] == "2024-03-01T12:00:00Z"
    assert skep.run("image", "inspect", "-f", "{{.Os}}/{{.Architecture}}", SMALL.id[7:19]) == "linux/amd64\n"
    assert skep.fails("inspect", "nothing").endswith("Error: No such object: nothing")
    assert skep.fails("image", "inspect", "nothing").endswith("No such image: nothing:latest")
    lines = skep.run("history", name).splitlines()
    assert re.split(" {3,}", lines[0]) == ["IMAGE", "CREATED", "CREATED BY", "SIZE", "COMMENT"]
    assert lines[1].startswith(SMALL.id[7:19]) and lines[1].endswith("the end") and lines[2].startswith("<missing>")
    assert lines[2].split("   ")[-1].strip() == "" or "3kB" in lines[2]
    assert skep.run("history", "--no-trunc", "--format", "{{.CreatedBy}}", name).splitlines()[1] == "ADD layer 1 # " + "x" * 60


def test_tag_rmi_prune_df(skep, registry):
    name = f"{registry.host}/small:1"
    skep.run("pull", name)
    skep.run("tag", name, "two:b")
    assert skep.fails("tag", "nothing", "x").endswith("No such image: nothing:latest")
    assert "invalid reference format" in skep.fails("tag", name, "A B")
    assert skep.run("rmi", "two:b") == "Untagged: two:b\n"
    skep.run("tag", name, "two:b")
    assert "must be forced" in skep.fails("rmi", SMALL.id[7:19])
    df = dict(line.split(":") for line in skep.run("system", "df", "--layers", "--format", "{{.Type}}:{{.TotalCount}}").splitlines())
    assert df["Images"] == "1" and df["Layers"] == "2" and df["Blobs"] == "4"
    assert skep.run("image", "prune", "-f") == "Total reclaimed space: 0B\n"
    assert "y/N" in skep.run("image", "prune", stdin=b"n\n")
    assert skep.run("image", "prune", "-af", "--filter", "until=2024-02-01") == "Total reclaimed space: 0B\n"
    assert skep.run("image", "prune", "-af", "--filter", "label!=kind") == "Total reclaimed space: 0B\n"
    assert skep.fails("image", "prune", "-af", "--filter", "nosuch=1") == "invalid filter 'nosuch'"
    out = skep.run("image", "prune", "-af", "--filter", "label=kind=small", "--filter", "until=2025-01-01").splitlines()
    assert out[0] == "Deleted Images:" and f"deleted: {SMALL.id}" in out and out[-1].startswith("Total reclaimed")
    assert skep.run("images", "-q") == "" and skep.query("SELECT * FROM contents") == [] and os.listdir(f"{skep.root}/layers") == []
    assert skep.fails("rmi", "nothing").endswith("No such image: nothing:latest") and skep.run("rmi", "-f", "nothing") == ""


def test_all_tags(skep, registry):
    registry.put("tags", "a", SMALL)
    registry.put("tags", "b", OTHER)
    skep.run("pull", "-a", f"{registry.host}/tags")
    assert sorted(skep.run("images", "--format", "{{.Tag}}").split()) == ["a", "b"]
    assert skep.fails("pull", "-a", f"{registry.host}/tags:a") == "tag can't be used with --all-tags/-a"
    skep.run("tag", f"{registry.host}/tags:a", f"{registry.host}/tags2:a")
    skep.run("tag", f"{registry.host}/tags:b", f"{registry.host}/tags2:b")
    skep.run("push", "-a", f"{registry.host}/tags2")
    assert registry.manifest("tags2", "a")[1] == SMALL.digest and registry.manifest("tags2", "b")[1] == OTHER.digest


@pytest.mark.parametrize("args, text", [
    (["pull", "{host}/none:1"], "manifest unknown"),
    (["pull", "A/b"], "invalid reference format"),
    (["push", "{host}/small:1"], "An image does not exist locally with the tag: {host}/small"),
    (["pull", "127.0.0.1:1/x"], "127.0.0.1"),
])
def test_what_is_not_there(skep, registry, args, text):
    assert text.format(host=registry.host) in skep.fails(*[a.format(host=registry.host) for a in args], *TUNED)


TUNED = ["--tuning", "attempts=1", "--tuning", "connect-ms=2000"]


# ---- login ----

def stored(skep):
    with open(os.path.join(skep.config, "config.json"), encoding="utf-8") as f:
        return json.load(f)["auths"]


def test_login_and_logout(skep, double):
    double.users = {"me": "secret"}
    image = Made({"a": b"b"})
    image.serve(double, "1")
    assert "unauthorized" in skep.fails("login", "-u", "me", "--password-stdin", double.host, stdin=b"wrong\n")
    assert not os.path.exists(os.path.join(skep.config, "config.json"))
    done = subprocess.run(skep.command("login", "-u", "me", "--password-stdin", double.host), input=b"secret\r\n", env=skep.env, capture_output=True,
                          check=True)
    assert done.stdout == b"Login Succeeded\n" and b"WARNING! Your credentials are stored unencrypted in '" in done.stderr
    assert os.stat(os.path.join(skep.config, "config.json")).st_mode & 0o777 == 0o600
    assert stored(skep) == {double.host: {"auth": "bWU6c2VjcmV0"}}
    skep.run("pull", f"{double.host}/x:1")
    again = subprocess.run(skep.command("login", f"http://{double.host}/v2/"), stdin=subprocess.DEVNULL, env=skep.env, capture_output=True, check=True)
    assert again.stdout == b"Login Succeeded\n" and again.stderr.startswith(b"Authenticating with existing credentials... [Username: me]\n")
    double.users = {"me": "changed"}
    again = subprocess.run(skep.command("login", double.host), stdin=subprocess.DEVNULL, env=skep.env, capture_output=True, check=False)
    assert again.returncode == 1 and b"Stored credentials invalid or expired\nError: Cannot perform an interactive login from a non TTY device" in again.stderr
    assert skep.run("logout", double.host) == f"Removing login credentials for {double.host}\n"
    assert stored(skep) == {}
    assert "401" in skep.fails("pull", f"{double.host}/x:1", *TUNED)


@pytest.mark.parametrize("args, text", [
    (["-u", "", "-p", "x"], "username is empty"),
    (["-u", "x", "-p", ""], "password is empty"),
    (["-u", "x", "--password-stdin"], "password is empty"),
    (["--password-stdin"], "the --password-stdin option requires --username to be set"),
    (["-u", "x", "-p", "y", "--password-stdin"], "conflicting options: cannot specify both --password and --password-stdin"),
    ([], "Error: Cannot perform an interactive login from a non TTY device"),
    (["not a host"], "\"not a host\" is not the name of a registry"),
])
def test_login_is_told_wrong(skep, args, text):
    assert skep.fails("login", *args) == text


def test_login_on_a_terminal(skep, double):
    double.users = {"me": "secret"}
    pid, fd = pty.fork()
    if not pid:
        os.execve(SKEP, skep.command("login", double.host), skep.env)
    seen = b""

    def until(text):
        nonlocal seen
        while text not in seen:
            seen += os.read(fd, 1000)

    until(b"Username: ")
    os.write(fd, b"me\n")
    until(b"Password: ")
    os.write(fd, b"secret\n")
    try:
        until(b"Login Succeeded")
    finally:
        _, status = os.waitpid(pid, 0)
        os.close(fd)
    assert status == 0 and b"secret" not in seen
    assert stored(skep) == {double.host: {"auth": "bWU6c2VjcmV0"}}


def test_login_keeps_a_token_instead_of_the_password(skep, double):
    """A token server that gives a refresh token: that one is kept and used, the password is forgotten."""
    double.users, double.realm = {"me": "secret"}, f"{double.url}/token"
    asked = []

    def token(h):
        body = h.body().decode()
        asked.append((h.command, h.path, body, h.headers.get("Authorization")))
        if h.command == "POST" and "refresh_token=keep-me" not in body:
            h.refuse(401, "UNAUTHORIZED")
            return True
        double.tokens.add("t")
        extra = {"refresh_token": "keep-me"} if "offline_token=true" in h.path else {}
        h.answer(200, json.dumps({"token": "t", **extra}).encode(), Content_Type="application/json")
        return True

    double.on("/token", *[token] * 5)
    skep.run("login", "-u", "me", "--password-stdin", double.host, stdin=b"secret")
    assert stored(skep) == {double.host: {"auth": "bWU6", "identitytoken": "keep-me"}}
    double.tokens.clear()
    Made({"a": b"b"}).serve(double, "1")
    skep.run("pull", f"{double.host}/x:1")
    assert asked[-1][0] == "POST" and "refresh_token=keep-me" in asked[-1][2] and asked[-1][3] is None


# ---- search ----

def test_search(skep, registry, double):
    lines = skep.run("search", f"{registry.host}/sma").splitlines()
    assert re.split(" {3,}", lines[0]) == ["NAME", "DESCRIPTION", "STARS", "OFFICIAL"]
    assert [f"{registry.host}/small", "0"] in [line.split() for line in lines[1:]] and not any("other" in line for line in lines)
    with open(skep.conf, "w", encoding="utf-8") as f:
        f.write(f'[[registry]]\nprefix = "docker.io"\nlocation = "{double.host}"\ninsecure = true\n')
    results = [{"name": "debian", "description": "Debian\nis " + "é" * 60, "star_count": 5000, "is_official": True},
               {"name": "me/debian", "description": "mine", "star_count": 2, "is_official": False}]
    double.on("/v1/search", *[lambda h: h.answer(200, json.dumps({"results": results}).encode()) or True] * 9)
    rows = [json.loads(line) for line in skep.run("search", "--format", "json", "deb ian").splitlines()]
    assert [row["Name"] for row in rows] == ["debian", "me/debian"] and rows[0]["IsOfficial"] == "[OK]" and rows[0]["StarCount"] == "5000"
    assert rows[0]["Description"] == "Debian is " + "é" * 34 + "…"
    assert double.requests[-1][1] == "/v1/search?q=deb%20ian&n=25"
    assert skep.run("search", "--filter", "is-official=true", "--format", "{{.Name}}", "x") == "debian\n"
    assert skep.run("search", "--filter", "stars=3", "--no-trunc", "--format", "{{.Description}}", "x") == "Debian is " + "é" * 60 + "\n"
    assert skep.run("search", "--limit", "1", "--format", "{{.Name}}", "x") == "debian\n"
    assert skep.fails("search", "--limit", "101", "x") == "Limit 101 is outside the range of [1, 100]"
    assert skep.fails("search", "-f", "color=red", "x") == "invalid filter 'color'"


# ---- archives ----

def test_save_load_and_back(skep, registry, tmp_path):
    small, other = f"{registry.host}/small:1", f"{registry.host}/other:latest"
    skep.run("pull", small)
    skep.run("pull", other)
    skep.run("tag", small, "mine:a")
    skep.run("tag", small, "mine:b")
    path = str(tmp_path / "all.tar")
    assert skep.run("save", "-o", path, "mine", other) == ""
    piped = skep.run("save", "mine", other, binary=True)
    with open(path, "rb") as f:
        assert f.read() == piped
    assert os.listdir(tmp_path) == ["all.tar", "skep"] or sorted(os.listdir(tmp_path)) == ["all.tar", "skep"]
    again = Skep(str(tmp_path), "again")
    lines = again.run("load", "-i", path).splitlines()
    assert sorted(lines) == sorted(["Loaded image: mine:a", "Loaded image: mine:b", f"Loaded image: {other}"])
    assert again.faults() == [] and again.ingest() == []
    assert again.run("save", "mine", other, binary=True) == piped
    again.run("tag", "mine:a", f"{registry.host}/loaded:1")
    again.run("push", "-q", f"{registry.host}/loaded:1")
    assert registry.manifest("loaded", "1")[1] == SMALL.digest
    third = Skep(str(tmp_path), "third")
    assert "Loaded image: mine:a" in third.run("load", stdin=piped)
    assert third.run("load", stdin=skep.run("save", SMALL.id[7:19], binary=True)).startswith("Loaded image")


def test_more_layers_than_descriptors(skep, double):
    """The limit that a shell has is for programs that know no better; three files a layer are open until an image is whole."""
    image, name = Made(*[{f"f{n}": b"%d" % n} for n in range(100)]), f"{double.host}/x:1"
    image.serve(double, "1")

    def few():
        resource.setrlimit(resource.RLIMIT_NOFILE, (64, 4096))

    def run(*args, **more):
        done = subprocess.run(skep.command(*args), env=skep.env, capture_output=True, check=False, preexec_fn=few, **more)
        assert done.returncode == 0, done.stderr
        return done.stdout
    run("pull", "-q", name)
    where = run("image", "mount", name).decode().strip()
    assert len([f for f in os.listdir(where) if f.startswith("f")]) == 100
    run("image", "unmount", where)
    archive = run("save", name)
    double.blobs.clear()
    run("push", "-q", name)
    assert digest_of(image.layers[99]) in double.blobs
    run("rmi", name)
    run("load", "-q", input=archive)
    assert skep.faults() == [] and skep.ingest() == []


def members(archive):
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        return {m.name: tar.extractfile(m).read() for m in tar if m.isfile()}


def test_save_of_several_platforms(skep, registry, tmp_path):
    """As docker has it: the index it came from when all of it is here, the image alone when not and when a platform is asked for."""
    name, index = f"{registry.host}/many:1", index_of(SMALL, ARM)
    skep.run("pull", name)
    alone = members(skep.run("save", name, binary=True))
    assert [m["digest"] for m in json.loads(alone["index.json"])["manifests"]] == [SMALL.digest]
    skep.run("pull", "--platform", "linux/arm64", name)
    archive = skep.run("save", name, binary=True)
    whole = members(archive)
    for data in (index, SMALL.manifest, SMALL.config, *SMALL.layers, ARM.manifest, ARM.config, *ARM.layers):
        assert whole["blobs/sha256/" + digest_of(data)[7:]] == data
    assert json.loads(whole["index.json"])["manifests"] == [
        {"mediaType": OCI_INDEX, "digest": digest_of(index), "size": len(index),
         "annotations": {"io.containerd.image.name": name, "org.opencontainers.image.ref.name": "1"}}]
    docker = json.loads(whole["manifest.json"])
    assert [(m["Config"], m["RepoTags"]) for m in docker] == [("blobs/sha256/" + ARM.id[7:], [name])]
    for platform, image in (("linux/amd64", SMALL), ("linux/arm64", ARM), ("linux/arm64/v8", ARM)):
        one = members(skep.run("save", "--platform", platform, name, binary=True))
        entry, = json.loads(one["index.json"])["manifests"]
        assert entry["digest"] == image.digest and entry["platform"] == image.platform
        assert "blobs/sha256/" + digest_of(index)[7:] not in one and len(one) == 6 + len(image.layers)
    assert "does not provide the specified platform (linux/s390x)" in skep.fails("save", "--platform", "linux/s390x", "-o", str(tmp_path / "x"), name)
    # it comes back with the digest that it had
    other = Skep(str(tmp_path), "other")
    for platform in ("linux/arm64", "linux/amd64"):
        other.run("load", "--platform", platform, stdin=archive)
    assert members(other.run("save", name, binary=True))["index.json"] == whole["index.json"]
    # and what cannot be given as it came is not
    skep.run("image", "prune", "--blobs", "-f")
    assert [m["mediaType"] for m in json.loads(members(skep.run("save", name, binary=True))["index.json"])["manifests"]] == [OCI_MANIFEST]


@pytest.mark.skipif(not shutil.which("skopeo"), reason="no skopeo")
def test_skopeo_reads_an_archive_of_several_platforms(skep, registry, tmp_path):
    name = f"{registry.host}/many:1"
    skep.run("pull", "--platform", "linux/arm64", name)
    skep.run("pull", name)
    for kind, scheme in (("oci-archive", "oci-archive"), ("docker-archive", "docker-archive")):
        skep.run("save", "--format", kind, "-o", str(tmp_path / kind), name)
        target = tmp_path / ("copy-" + kind)
        subprocess.run(["skopeo", "copy", "-q", "--override-arch", "amd64", f"{scheme}:{tmp_path}/{kind}", f"dir:{target}"], check=True)
        manifest = json.loads((target / "manifest.json").read_bytes())
        assert manifest["config"]["digest"] == SMALL.id


def test_a_platform_of_an_image(skep, registry):
    name = f"{registry.host}/many:1"
    skep.run("pull", "--platform", "linux/arm64", name)
    skep.run("pull", name)

    def shown(*options):
        return json.loads(skep.run("image", "inspect", *options, name))[0]["Id"]
    assert shown() == shown("--platform", "linux/amd64") == SMALL.id and shown("--platform", "linux/arm64") == ARM.id
    assert skep.run("history", "-q", "--no-trunc", "--platform", "linux/arm64", name).splitlines()[0] == ARM.id
    for command in ("image", "inspect"), ("history",):
        assert skep.fails(*command, "--platform", "linux/s390x", name).endswith(
            f"image with reference {name} was found but does not provide the specified platform (linux/s390x)")
        skep.fails(*command, "--platform", "foo/bar/baz/x", name)


def test_save_and_load_say_what_is_wrong(skep, registry, tmp_path):
    skep.run("pull", f"{registry.host}/small:1")
    path = str(tmp_path / "x.tar")
    assert skep.fails("save", "-o", path, "nothing").endswith("No such image: nothing") and not os.path.exists(path)
    assert "invalid output path" in skep.fails("save", "-o", str(tmp_path / "no/x.tar"), f"{registry.host}/small:1")
    assert "open" in skep.fails("load", "-i", path)
    skep.fails("load", stdin=b"no archive at all")
    assert skep.ingest() == []


def test_import_and_export(skep, tmp_path):
    path = str(tmp_path / "fs.tar")
    with open(path, "wb") as f:
        f.write(tar_of({"etc/hello": b"world"}))
    out = skep.run("import", "-c", "CMD [\"/bin/hi\"]", "-c", "ENV A=b", "-m", "from a file", path, "imported:1")
    assert re.fullmatch(r"sha256:[0-9a-f]{64}\n", out)
    shown = json.loads(skep.run("inspect", "imported:1"))[0]
    assert shown["Id"] == out.strip() and shown["Config"]["Cmd"] == ["/bin/hi"] and shown["Config"]["Env"] == ["A=b"] and shown["Comment"] == "from a file"
    with open(path, "rb") as f:
        skep.run("import", "-", stdin=f.read())
    assert "cannot import digest reference" in skep.fails("import", path, "a@sha256:" + "0" * 64)
    exported = skep.run("image", "export", "imported:1", binary=True)
    with tarfile.open(fileobj=io.BytesIO(exported)) as tar:
        assert tar.extractfile("etc/hello").read() == b"world"
    skep.run("image", "export", "-o", str(tmp_path / "out.tar"), "imported:1")
    with open(tmp_path / "out.tar", "rb") as f:
        assert f.read() == exported


PATIENT = [x for pair in ("attempts=3", "backoff-ms=1", "stall-ms=2000", "connect-ms=2000") for x in ("--tuning", pair)]
TREE = {"etc/hello": b"world", "big": noise(7, 300000)}


def test_import_of_a_url(skep, double):
    url, tar = f"http://{double.host}/some/root.tgz?token=x", tar_of(TREE)
    double.on("GET /some", lambda h: h.answer(302, Location="/there") or True)
    double.on("GET /there", lambda h: h.answer(200, gzip.compress(tar)) or True)
    first, last = skep.run("import", *PATIENT, url, "fetched:1").splitlines()
    assert first == f"Downloading from {url}"
    shown = json.loads(skep.run("inspect", "fetched:1"))[0]
    assert shown["Id"] == last and shown["Comment"] == f"Imported from {url}" and shown["RootFS"]["Layers"] == [digest_of(tar)]
    assert skep.faults() == [] and skep.ingest() == []
    assert double.headers("Authorization") == []


def test_import_of_a_url_is_tried_again_before_its_first_byte(skep, double):
    double.on("GET /x", lambda h: h.answer(503) or True, lambda h: h.cut() or True, lambda h: h.answer(200, tar_of(TREE)) or True)
    skep.run("import", *PATIENT, f"http://{double.host}/x", "fetched:1")
    assert double.count("GET /x") == 3


def broken_off(h):
    h.send_response(200)
    h.send_header("Content-Length", "1000000")
    h.end_headers()
    h.wfile.write(tar_of(TREE)[:200000])
    h.cut()
    return True


@pytest.mark.parametrize("answer, words, asked", [
    (lambda h: h.answer(404, b"<html>no</html>") or True, "the server answered 404", 1),
    (lambda h: h.answer(500) or True, "the server answered 500", 3),
    (lambda h: h.answer(200, b"<html>" + b"x" * 5000) or True, "tar", 1),
    (broken_off, "bytes remaining", 1),
    (lambda h: h.answer(302, Location="file:///etc/passwd") or True, "no http or https URL", 1),
])
def test_import_of_a_url_that_has_none(skep, double, answer, words, asked):
    double.on("GET /x", *[answer] * 9)
    done = subprocess.run(skep.command("import", *PATIENT, f"http://{double.host}/x", "fetched:1"), env=skep.env, capture_output=True, text=True, check=False)
    assert done.returncode == 1 and words in done.stderr and done.stderr.count("\n") == 1, done.stderr
    assert double.count("GET /x") == asked
    assert skep.ingest() == [] and skep.faults() == [] and skep.run("images", "-q") == ""


def test_import_of_a_url_keeps_no_password(skep, double):
    done = subprocess.run(skep.command("import", f"http://me:pa55@{double.host}/x", "fetched:1"), env=skep.env, capture_output=True, text=True, check=False)
    assert done.returncode == 1 and "history" in done.stderr and "pa55" not in done.stdout + done.stderr and not double.requests


# ---- check ----

def test_check_and_repair(skep, registry):
    name = f"{registry.host}/many:1"
    skep.run("pull", name)
    assert skep.run("image", "check").startswith("Checked: ")
    places = [os.path.join(skep.root, "blobs", "sha256", d.split(":")[1]) for d in
              (SMALL.digest, SMALL.id, digest_of(SMALL.layers[0]), digest_of(index_of(SMALL, ARM)))]
    os.unlink(places[0])
    with open(places[1], "r+b") as f:
        f.write(b"damage")
    os.unlink(places[2])
    os.unlink(places[3])
    layer = os.path.join(skep.root, "layers", SMALL.diff_ids[1].split(":")[1])
    os.unlink(f"{layer}/index")
    done = subprocess.run(skep.command("image", "check"), env=skep.env, capture_output=True, check=False)
    assert done.returncode == 1 and len(done.stdout.splitlines()) == 7, done.stdout
    assert skep.run("image", "check", "--repair").splitlines()[-1] == "Found: 5, repaired: 5, dropped: 0"
    assert skep.faults() == [] and len(skep.run("image", "check").splitlines()) == 1
    os.unlink(f"{layer}/tar")
    skep.run("image", "check", "--repair")
    assert skep.faults() == []


# ---- manifest lists ----

def test_manifest_list(skep, registry):
    registry.put("amd", "1", SMALL)
    registry.put("arm", "1", ARM)
    registry.put("old", "1", OTHER)
    amd, arm, every = f"{registry.host}/amd:1", f"{registry.host}/arm:1", f"{registry.host}/all:1"
    assert skep.run("manifest", "create", every, amd, arm) == f"Created manifest list {every}\n"
    assert skep.fails("manifest", "create", every, amd) == "refusing to amend an existing manifest list with no --amend flag"
    skep.run("manifest", "annotate", every, arm, "--variant", "v9", "--os-features", "a,b")
    shown = skep.run("manifest", "inspect", every)
    assert shown.startswith('{\n   "schemaVersion": 2,\n   "mediaType": "' + OCI_INDEX + '",\n   "manifests": [\n      {\n')
    listed = json.loads(shown)["manifests"]
    assert [m["digest"] for m in listed] == [SMALL.digest, ARM.digest]
    assert listed[1]["platform"] == {"architecture": "arm64", "os": "linux", "variant": "v9", "os.features": ["a", "b"]}
    verbose = json.loads(skep.run("manifest", "inspect", "-v", every))
    assert [v["Ref"] for v in verbose] == [amd, arm] and verbose[0]["OCIManifest"] == json.loads(SMALL.manifest)
    assert json.loads(skep.run("manifest", "inspect", every, arm)) == json.loads(ARM.manifest)
    lines = skep.run("manifest", "push", every).splitlines()
    assert lines[:2] == [f"Pushed ref {registry.host}/all@{i.digest} with digest: {i.digest}" for i in (SMALL, ARM)]
    media_type, digest, data = registry.manifest("all", "1")
    assert media_type == OCI_INDEX and lines[2:] == [digest] and data + b"\n" == shown.encode()
    assert skep.run("manifest", "push", "-p", every).splitlines()[-1] == digest
    assert skep.fails("manifest", "push", every) == f"No such manifest: {every}"
    assert json.loads(skep.run("manifest", "inspect", every)) == json.loads(data)  # of the registry now
    assert [v["Descriptor"]["digest"] for v in json.loads(skep.run("manifest", "inspect", "-v", every))] == [SMALL.digest, ARM.digest]
    assert json.loads(skep.run("manifest", "inspect", amd)) == json.loads(SMALL.manifest)
    skep.run("pull", "--platform", "linux/arm64/v9", every)
    skep.run("pull", every)
    assert skep.faults() == []


def test_manifest_list_of_docker(skep, registry):
    registry.put("old", "1", OTHER)
    skep.run("manifest", "create", f"{registry.host}/old:list", f"{registry.host}/old:1")
    assert json.loads(skep.run("manifest", "inspect", f"{registry.host}/old:list"))["mediaType"].endswith("docker.distribution.manifest.list.v2+json")
    assert len(skep.run("manifest", "push", f"{registry.host}/old:list").splitlines()) == 1
    assert skep.run("manifest", "rm", f"{registry.host}/old:list") == ""


def test_manifest_list_without_mounts(skep, double):
    """A registry that mounts nothing: what the other repository has goes through here."""
    ARM.serve(double, "1")
    gone = []

    def forget(h):
        """The blobs are not in the target's repository."""
        name = h.url.path.rsplit("/", 1)[1]
        if name in gone:
            return False
        gone.append(name)
        h.answer(404)
        return True

    double.on("HEAD /v2/all/blobs/", *[forget] * 9)
    skep.run("manifest", "create", f"{double.host}/all:1", f"{double.host}/arm:1")
    skep.run("manifest", "push", f"{double.host}/all:1")
    assert double.count("POST /v2/all/blobs/uploads/.*mount=") == 2 and double.count("DELETE /v2/all/blobs/uploads/") == 2
    assert double.count("GET /v2/arm/blobs/") >= 3 and skep.ingest() == []


@pytest.mark.parametrize("args, text", [
    (["rm", "foo", "bar:1"], "No such manifest: docker.io/library/foo:latest No such manifest: docker.io/library/bar:1"),
    (["annotate", "foo", "bar", "--arch", "arm"], "manifest for image bar does not exist in foo"),
    (["push", "foo"], "No such manifest: docker.io/library/foo:latest"),
    (["create", "A B", "c"], "error parsing name for manifest list A B: invalid reference format: repository name (library/A B) must be lowercase"),
    (["create", "{host}/l", "{host}/many:1"], "{host}/many:1 is a manifest list: name one of its manifests by digest"),
    (["inspect", "{host}/none"], "no such manifest: {host}/none:latest"),
])
def test_manifest_list_says_what_is_wrong(skep, registry, args, text):
    assert skep.fails("manifest", *[a.format(host=registry.host) for a in args]) == text.format(host=registry.host)
    assert not os.path.exists(f"{skep.root}/skep.db") or skep.query("SELECT * FROM list_entries") == []


def test_manifest_list_stays_at_its_registry(skep, registry):
    skep.run("manifest", "create", "elsewhere.example/x:1", f"{registry.host}/many:arm")
    skep.run("manifest", "annotate", "elsewhere.example/x:1", f"{registry.host}/many:arm", "--os", "linux")
    assert skep.fails("manifest", "annotate", "elsewhere.example/x:1", f"{registry.host}/many:arm", "--os", "nothing") \
        == "manifest entry for image has unsupported os/arch combination: nothing/arm64"
    assert skep.fails("manifest", "push", "elsewhere.example/x:1") \
        == f"cannot use source images from a different registry than the target image: {registry.host} != elsewhere.example"
