"""The store, read in place as an OCI layout: skopeo and umoci find the digests and files that Skep shows."""
import hashlib
import json
import os

import pytest

import samples
import views
from programs import Skep

every_image = samples.each(samples.NAMES, large="debian")


def digest(data):
    return "sha256:" + hashlib.sha256(data).hexdigest()


@every_image
def test_skopeo_reads_the_store(library, skopeo, name):
    reference = library.reference(name)
    at = f"oci:{library.root}:{reference}"
    raw = skopeo.raw(at)
    assert digest(raw) == library.listed()[reference]
    assert digest(skopeo.raw(at, "--config")) == library.id(reference)
    seen = json.loads(skopeo("inspect", at).ok().out)
    assert seen["Digest"] == digest(raw)
    assert seen["Layers"] == [layer["digest"] for layer in json.loads(raw)["layers"]]


@every_image
def test_skopeo_copies_the_store(library, skopeo, scratch, name):
    """All blobs are there, with the bytes of their digests: skopeo checks that. And what it has written is the same image to Skep."""
    reference = library.reference(name)
    skopeo.copy(f"oci:{library.root}:{reference}", f"oci:{scratch}/layout:{reference}", "--preserve-digests")
    with open(scratch / "layout/index.json", encoding="utf-8") as f:
        assert [entry["digest"] for entry in json.load(f)["manifests"]] == [library.listed()[reference]]
    manifest = library.manifest(reference)
    assert set(os.listdir(scratch / "layout/blobs/sha256")) == {what["digest"][7:] for what in (manifest["config"], *manifest["layers"])} | {library.listed()[reference][7:]}
    again = Skep(scratch / "again")
    again("load", "-i", scratch / "layout").ok()
    assert (again.listed(), again.id(reference)) == ({reference: library.listed()[reference]}, library.id(reference))


def test_umoci_lists_the_store(library, umoci):
    library.reference("python") # and all that other tests have made
    assert sorted(umoci("list", "--layout", library.root).ok().lines) == sorted(library.listed())
    told = json.loads(umoci("stat", "--json", "--image", f"{library.root}:{library.reference('python')}").ok().out)
    layers = library.manifest(library.reference("python"))["layers"]
    assert [(step["layer"]["digest"], step["layer"]["size"], step["diff_id"]) for step in told["history"]] == \
        [(layer["digest"], layer["size"], diff_id) for layer, diff_id in zip(layers, library.inspect("python")["RootFS"]["Layers"])]


@samples.each(samples.TREES)
def test_umoci_unpacks_what_skep_mounts(library, umoci, skopeo, scratch, name):
    at = f"{library.root}:{library.reference(name)}"
    if umoci.version < (0, 5) and library.zstd(name): # it cannot read these
        skopeo.copy(f"oci:{at}", f"oci:{scratch}/gzip:1", "--dest-compress", "--dest-compress-format", "gzip")
        at = f"{scratch}/gzip:1"
    umoci("raw", "unpack", "--image", at, scratch / "rootfs").ok()
    views.compare(name, library.view(name), views.look(scratch / "rootfs"), "umoci", umoci.version)


@samples.each(samples.TREES, large="python odd")
def test_the_directory_is_what_the_kernel_shows(library, name):
    """The second of Skep's own views: unpacked by itself, for where nothing can be mounted."""
    views.compare(name, library.view(name), library.shown(library.reference(name), "tree"), "tree")
