"""Images whose documents lie: manifests, indexes and configurations in a registry, groups 13 and 15 of docs/attacks.md."""
import json

import pytest

from attacks import CANARY, CONFIG, LAYER, OCI_MANIFEST, Image, built, digest_of, double, member, pack, skep, tar
from images import DOCKER_MANIFEST, OCI_INDEX

pytestmark = built

TUNED = [x for pair in ("attempts=1", "backoff-ms=1", "stall-ms=2000") for x in ("--tuning", pair)]
ONE, TWO = tar(member("f", b"1")), tar(member("g", b"2"))
EVIL = "sha256:../../../.." + CANARY
HEX = "0" * 64


def manifest(media_type=OCI_MANIFEST, **changes):
    """The manifest of an image, changed; a member that is None is left out."""
    def serve(double):
        image = Image(ONE, TWO)
        image.manifest = {k: v for k, v in {**image.manifest, **changes}.items() if v is not None}
        image.serve(double, media_type=media_type)
    return serve


def layer(n=0, media_type=LAYER + "+gzip", **changes):
    """Something wrong with the descriptor of one layer, or (n None) of the configuration."""
    def serve(double):
        image = Image(ONE, TWO, media_type=media_type)
        at = image.manifest["config"] if n is None else image.manifest["layers"][n]
        at.update(changes)
        image.serve(double)
    return serve


def config(text=None, **changes):
    """The configuration, changed or another text altogether; its descriptor fits."""
    def serve(double):
        image = Image(ONE, TWO, **changes)
        if text is not None:
            image.config = text
            image.manifest["config"] = image.describe(text, CONFIG)
        image.serve(double)
    return serve


def index(*entries, media_type=OCI_INDEX, **more):
    def serve(double):
        Image(ONE).serve(double)
        double.add_manifest(json.dumps({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": list(entries), **more}).encode(), "1", media_type=media_type)
    return serve


def text(data, media_type=OCI_MANIFEST):
    return lambda double: double.add_manifest(data, "1", media_type=media_type)


def nested(depth):
    def serve(double):
        image = Image(ONE)
        image.serve(double)
        at = image.describe(json.dumps(image.manifest).encode(), OCI_MANIFEST)
        for _ in range(depth):
            data = json.dumps({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [at]}).encode()
            at = image.describe(data, OCI_INDEX)
            double.add_manifest(data, "1", media_type=OCI_INDEX)
    return serve


def other_bytes(which):
    """What the registry sends for a blob is not what its digest says, though as long."""
    def serve(double):
        image = Image(ONE, TWO)
        image.serve(double)
        data = image.config if which == "config" else image.blobs[1]
        double.blobs[digest_of(data)] = data[:-1] + bytes([data[-1] ^ 1])
    return serve


def truncated(which):
    def serve(double):
        image = Image(ONE, TWO)
        image.serve(double)
        data = image.config if which == "config" else image.blobs[1]
        double.blobs[digest_of(data)] = data[:-1]
    return serve


def entry(data=b"{}", **more):
    return {"mediaType": OCI_MANIFEST, "digest": digest_of(data), "size": len(data), **more}


MANY = [{"mediaType": LAYER, "digest": digest_of(b""), "size": 0}] * 501

# group and what: how the registry is filled, and what is said
REFUSED = {
    # 11: documents
    "11 a manifest of 5 MiB": (text(b'{"a":"' + b"x" * (5 << 20) + b'"}'), "more than the expected 4194304 bytes"),
    "11 a configuration of 5 MiB": (config(b'{"a":"' + b"x" * (5 << 20) + b'"}'), "configuration of 5242888 bytes, at most 4194304 are allowed"),
    "11 a manifest of brackets": (text(b"[" * (1 << 20)), "nested too deeply"),
    "11 a manifest of empty lists": (text(b'{"schemaVersion":2,"a":[' + b"[]," * 1390000 + b"[]]}"), "manifest: has neither"),
    "11 a configuration of brackets": (config(b'{"a":' * 100000), "nested too deeply"),
    "11 501 layers": (manifest(layers=MANY), "layers: 501 of them, at most 500 can be mounted"),
    "11 a key twice": (text(json.dumps(Image(ONE).manifest).encode()[:-1] + b',"layers":[]}'), 'duplicate key "layers"'),
    "11 a key twice in the configuration": (config(Image(ONE).config[:-1] + b',"rootfs":{}}'), 'duplicate key "rootfs"'),
    "11 a huge size": (layer(size=10 ** 30), "integer does not fit in 64 bits"),
    "11 a size in powers": (text(json.dumps(Image(ONE).manifest).replace('"size": ', '"size": 1e').encode()), "size: expected an integer"),
    "11 a number without end": (text(b'{"schemaVersion":' + b"9" * 1000 + b"}"), "integer does not fit in 64 bits"),
    "11 a negative size": (layer(1, size=-1), "layers[1].size: must not be negative"),
    "11 a negative size of the configuration": (layer(None, size=-1), "config.size: must not be negative"),
    "11 a size too small": (layer(size=1), "the answer has more than the expected 1 bytes"),
    "11 a size too large": (layer(size=1 << 40), "bytes are offered, but the blob has 1099511627776"),
    # 13: what kind of document
    "13 both kinds": (manifest(manifests=[]), "manifest: has the fields of an index, too"),
    "13 both kinds without a type": (manifest(mediaType=None, manifests=[entry()]), "manifest: has the fields of an index, too"),
    "13 both kinds as an index": (manifest(OCI_INDEX, mediaType=OCI_INDEX, manifests=[]), "manifest: has the fields of an index, too"),
    "13 without a type, announced as an index": (manifest(OCI_INDEX, mediaType=None), f'manifest: announced was "{OCI_INDEX}"'),
    "13 an index announced as a manifest": (index(entry(), media_type=OCI_MANIFEST), "announced was"),
    "13 docker's type for OCI's manifest": (manifest(DOCKER_MANIFEST), f'its mediaType is "{OCI_MANIFEST}", announced was "{DOCKER_MANIFEST}"'),
    "13 an index in an index as a manifest": (index(entry(json.dumps({"schemaVersion": 2, "manifests": []}).encode())), "manifest unknown"),
    "13 keys in other cases": (manifest(Layers=[]), 'key "Layers" would be "layers" to some readers'),
    "13 schema 1": (text(b'{"schemaVersion":1,"fsLayers":[]}'), "docker's schema 1 is not supported"),
    "13 HTML": (text(b"<html><title>Sign in</title></html>", "text/html"), "manifest: invalid JSON"),
    "13 nothing": (text(b""), "manifest: invalid JSON"),
    "13 an artifact": (layer(None, mediaType="application/vnd.oci.empty.v1+json"), "not an image: its configuration is of type"),
    "13 a layer of no known type": (layer(media_type="text/plain"), 'layers[0] is of type "text/plain"'),
    # 13: digests
    "13 a layer's digest is a path": (layer(digest=EVIL), "layers[0].digest: expected a digest"),
    "13 a configuration's digest is a path": (layer(None, digest=EVIL), "config.digest: expected a digest"),
    "13 an entry's digest is a path": (index(entry(digest=EVIL)), "manifests[0].digest: expected a digest"),
    "13 a diffID is a path": (config(rootfs={"type": "layers", "diff_ids": [EVIL, EVIL]}), "rootfs.diff_ids[0]: expected a digest"),
    "13 upper case": (layer(digest="sha256:" + "A" * 64), "layers[0].digest: expected a digest"),
    "13 too short": (layer(digest="sha256:" + "a" * 63), "layers[0].digest: expected a digest"),
    "13 sha512 of the length of sha256": (layer(digest="sha512:" + "a" * 64), "layers[0].digest: expected a digest"),
    "13 an unknown algorithm": (layer(digest="md5:" + "0" * 32), 'layers[0].digest: algorithm of "md5:'),
    "13 an algorithm that is a path": (layer(digest="../../x:" + HEX), "layers[0].digest: expected a digest"),
    "13 an unknown algorithm of a diffID": (config(rootfs={"type": "layers", "diff_ids": ["sha384:" + "0" * 96] * 2}), "rootfs.diff_ids[0]: algorithm of"),
    # 13: indexes
    "13 an index in itself": (nested(5), "indexes in indexes: more than"),
    "13 no platform fits": (index(entry(platform={"os": "plan9", "architecture": "amd64"})), "no matching manifest for linux/"),
    "13 nothing but attestations": (index(entry(annotations={"vnd.docker.reference.type": "attestation-manifest"})), "no matching manifest for linux/"),
    "13 an empty index": (index(), "no matching manifest for linux/"),
    "13 an entry of another size": (index({**entry(json.dumps(Image(ONE).manifest).encode()), "size": 1}), "bytes, its descriptor says 1"),
    # 13: what does not belong together
    "13 the configuration's bytes": (other_bytes("config"), "digest mismatch"),
    "13 a layer's bytes": (other_bytes("layer"), "digest mismatch"),
    "13 a layer cut short": (truncated("layer"), "bytes are offered, but the blob has"),
    "13 the configuration cut short": (truncated("config"), "bytes are offered, but the blob has"),
    "13 diffIDs in another order": (config(rootfs={"type": "layers", "diff_ids": [digest_of(TWO), digest_of(ONE)]}), "was expected"),
    "13 diffIDs of the blobs": (config(rootfs={"type": "layers", "diff_ids": [digest_of(pack(t)) for t in (ONE, TWO)]}), "was expected"),
    "13 too few diffIDs": (config(rootfs={"type": "layers", "diff_ids": [digest_of(ONE)]}), "1 of them, where the manifest has 2"),
    "13 too many diffIDs": (config(rootfs={"type": "layers", "diff_ids": [digest_of(ONE)] * 3}), "3 of them, where the manifest has 2"),
    "13 no rootfs": (config(b'{"architecture":"amd64","os":"linux"}'), "rootfs: required, but missing"),
    "13 the configuration is a list": (config(b"[]"), "image config: "),
    "13 something behind the configuration": (config(Image(ONE, TWO).config + b"{}"), "image config: "),
    "13 history without layers": (config(history=[{"created_by": "x"}] * 3), "history: too many non-empty layers"),
    # 15
    "15 an environment that is text": (config(config={"Env": "A=b"}), "config.Env: expected an array"),
    "15 labels that are lists": (config(config={"Labels": ["a"]}), "config.Labels: "),
    "15 volumes that are text": (config(config={"Volumes": "/x"}), "config.Volumes: "),
    "15 a health check of a negative kind": (config(config={"Healthcheck": {"Interval": "x"}}), "config.Healthcheck.Interval: "),
    "15 a NUL in a command": (config(config={"Cmd": ["a\0b"]}), "image config: "),
}


@pytest.mark.parametrize("what", REFUSED)
def test_an_image_is_refused(skep, double, what):
    serve, says = REFUSED[what]
    serve(double)
    line = skep.refuses("pull", "-q", *TUNED, double.name, parts=True)
    assert line.startswith(f"pull {double.name}: ") and says in line, line


def test_what_a_tag_stands_for(skep, double):
    """The digest that is asked for, or that the registry names, is what comes."""
    image = Image(ONE)
    it = image.serve(double)
    other = json.dumps(Image(TWO).manifest).encode()
    double.manifests[it] = (OCI_MANIFEST, other)
    assert "not what was asked for" in skep.refuses("pull", "-q", *TUNED, f"{double.host}/x@{it}")
    double.on("GET .*/manifests/1", lambda h: h.answer(200, other, Content_Type=OCI_MANIFEST, Docker_Content_Digest=it) or True)
    assert f"but the registry says {it}" in skep.refuses("pull", "-q", *TUNED, double.name)


@pytest.mark.parametrize("tag", [HEX, "sha256-" + HEX, "sha256-" + HEX + ".sig"])
def test_a_tag_that_looks_like_a_digest(skep, double, tag):
    Image(ONE).serve(double, tag)
    skep.takes("pull", "-q", f"{double.host}/x:{tag}")
    assert skep.query("SELECT name FROM names") == [(f"{double.host}/x:{tag}",)] and double.count(f"GET .*/manifests/{tag}") == 1


@pytest.mark.parametrize("tag", ["sha256:" + HEX, "../../x", "a b", "\x1b[31m", "x" * 129, ""], ids=ascii)
def test_a_list_of_tags_that_are_none(skep, double, tag):
    double.on("GET .*/tags/list", lambda h: h.answer(200, json.dumps({"tags": [tag]}).encode()) or True)
    line = skep.refuses("pull", "-a", "-q", *TUNED, f"{double.host}/x")
    assert "is no name" in line or "which is no tag" in line, line


def test_sha512(skep, double):
    """Another algorithm in every descriptor and every diffID."""
    image = Image(ONE, algorithm="sha512", rootfs={"type": "layers", "diff_ids": [digest_of(ONE, "sha512")]})
    image.serve(double)
    skep.takes("pull", "-q", double.name)
    assert {row[0][:7] for row in skep.query("SELECT digest FROM contents")} == {"sha256:", "sha512:"}
    assert sorted(skep.views(double.name)) == ["", "f"]


def test_an_ambiguous_index(skep, double):
    """Of two manifests for one platform the first counts, as with docker and containerd; the choice is by the index alone."""
    for tag, data in ("first", ONE), ("second", TWO):
        Image(data).serve(double, tag)
    platform = {"os": "linux", "architecture": "amd64"}
    entries = [entry(double.manifests[tag][1], platform=platform) for tag in ("first", "second")]
    double.add_manifest(json.dumps({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": entries}).encode(), "1", media_type=OCI_INDEX)
    skep.takes("pull", "-q", "--platform", "linux/amd64", double.name)
    assert sorted(skep.view(double.name, "erofs")) == ["", "f"]


@pytest.mark.parametrize("tars", [[b""], [bytes(1024)], [b"", ONE, b"", bytes(1024), ONE]])
def test_empty_layers(skep, double, tars):
    Image(*tars).serve(double)
    skep.takes("pull", "-q", double.name)
    assert sorted(skep.views(double.name)) == (["", "f"] if ONE in tars else [""]) and skep.faults() == []


def test_a_layer_of_the_layer_below(skep, double):
    """A hard link finds its file in its own layer only, or one layer could change another."""
    Image(ONE, tar(member("h", kind=b"1", link="f"))).serve(double)
    assert 'layer: "h": hard link to "f", which is not in the layer' in skep.refuses("pull", "-q", *TUNED, double.name, parts=True)


# ---- 15: configurations that would harm who believes them ----

HARMFUL = {
    "Volumes": {"/../../../../etc": {}, "../..": {}, CANARY: {}, "": {}},
    "WorkingDir": "/../../.." + CANARY,
    "User": "0:0\nroot::0:0",
    "Env": ["PATH=" + CANARY, "LD_PRELOAD=/evil.so", "NOEQUALS", "=", "A=" + "x" * (1 << 20)],
    "Labels": {f"label{i}": "v" * 100 for i in range(5000)},
    "OnBuild": [f"RUN touch {CANARY}/owned", "FROM evil"],
    "Healthcheck": {"Test": ["CMD-SHELL", f"touch {CANARY}/owned"], "Interval": 1, "Timeout": 1, "Retries": 2147483647},
    "StopSignal": "SIGKILL; rm -rf /",
    "ExposedPorts": {"99999/tcp": {}, "-1/evil": {}},
    "Entrypoint": ["\x1b]0;owned\x07", "\x1b[2J"],
    "Cmd": ["x"] * 10000,
    "Shell": ["/bin/sh", "-c", "evil"],
}


def test_a_configuration_that_would_harm(skep, double):
    """Nothing of it is acted on before a container is made: it is kept byte by byte, and shown without commands for the terminal."""
    escapes = "\x1b]0;owned\x07\x1b[2J\r\x9b31m"
    image = Image(ONE, config=HARMFUL, author=escapes, created="2024-01-01T00:00:00Z", history=[{"created_by": escapes, "comment": escapes, "author": escapes}])
    image.serve(double)
    skep.takes("pull", "-q", double.name)
    shown = json.loads(skep.takes("inspect", double.name))[0]
    assert {key: shown["Config"][key] for key in HARMFUL} == HARMFUL and shown["Author"] == escapes
    with open(f"{skep.root}/blobs/sha256/{digest_of(image.config)[7:]}", "rb") as f:
        assert f.read() == image.config
    for args in ["inspect", double.name], ["history", double.name], ["history", "--no-trunc", double.name], ["images"], ["image", "ls", "--format", "json"], \
            ["history", "--format", "json", double.name]:
        out = skep.takes(*args)
        assert not [c for c in out if not c.isprintable() and c != "\n"], (args, out[:300])
