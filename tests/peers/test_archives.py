"""Archives: what skep saves the peers load, and what they save skep loads: the same ids, the same files."""
import json
import os

import pytest

import programs
import samples
import views
from programs import Skep
from registries import Registry

IMAGES = ["busybox", "xattrs"] # one whose manifest names tars, one whose layers are compressed
several_images = pytest.mark.parametrize("name", IMAGES)


@pytest.fixture
def other(scratch):
    """A second store."""
    return Skep(scratch / "other")


def loaded_as(library, other, name, reference=None):
    """The image is the one of the library, file by file."""
    reference = reference or library.reference(name)
    assert other.id(reference) == library.id(library.reference(name))
    assert not views.differences(library.view(name), other.shown(reference))


# ---- ours ----

def test_docker_loads_several_at_once(library, docker):
    """What an image is called and what it is."""
    references = [library.reference(name) for name in IMAGES]
    docker("rmi", "--force", *references)
    programs.piped(library.argv("save", *references), [*docker.argv, "load"])
    assert [docker.id(reference) for reference in references] == [library.id(reference) for reference in references]


@pytest.mark.parametrize("kind", ["docker-archive", "oci-archive"])
@several_images
def test_podman_loads(library, podman, scratch, kind, name):
    reference = library.reference(name)
    podman("rmi", "--all", "--force").ok()
    library("save", "--format", kind, "-o", scratch / "image.tar", reference).ok()
    podman("load", "-i", scratch / "image.tar").ok()
    assert podman.id(reference) == library.id(reference)


@pytest.mark.parametrize("kind", ["docker-archive", "oci-archive", "oci-dir"])
@several_images
def test_skopeo_copies(library, skopeo, scratch, kind, name):
    reference = library.reference(name)
    library("save", "--format", kind, "-o", scratch / "image", reference).ok()
    # as docker and containerd write it, an index has the tag under this name, and the whole name under one of containerd's
    at = f"docker-archive:{scratch}/image:{reference}" if kind == "docker-archive" else f"{kind.replace('oci-dir', 'oci')}:{scratch}/image:latest"
    assert json.loads(skopeo.raw(at, "--config")) == json.loads(library.blob(library.id(reference)))
    skopeo.copy(at, f"dir:{scratch}/dir", "--preserve-digests")
    with open(scratch / "dir/manifest.json", "rb") as f:
        manifest = f.read()
    assert json.loads(manifest)["config"]["digest"] == library.id(reference)
    if kind != "docker-archive":
        assert manifest == library.blob(library.listed()[reference])


def test_all_kinds_of_compression(library, podman, skopeo, scratch):
    """Ten layers, gzip, zstd and plain."""
    reference = library.reference("ten")
    for kind in "docker-archive", "oci-archive":
        podman("rmi", "--all", "--force").ok()
        library("save", "--format", kind, "-o", scratch / kind, reference).ok()
        podman("load", "-i", scratch / kind).ok()
        assert podman.id(reference) == library.id(reference), kind
        skopeo.copy(f"{kind}:{scratch}/{kind}", f"dir:{scratch}/{kind}-dir")


def test_docker_with_images_as_containerd_keeps_them(library, snapshotter, served, other):
    """It keeps manifests and blobs as they come: digests stay the same, there and back, in archives and by the registry."""
    registry = served.get("http") or served.setdefault("http", Registry(os.path.dirname(library.top), "http"))
    for name in [*IMAGES, "ten"]:
        reference, target = library.reference(name), f"{registry.host}/containerds/{name}:1"
        programs.piped(library.argv("save", reference), [*snapshotter.argv, "load"])
        assert snapshotter.id(reference) == library.listed()[reference]
        snapshotter("tag", reference, target).ok()
        snapshotter("push", target).ok()
        assert registry.ask(target.partition("/")[2])[1] == library.listed()[reference]
        snapshotter("rmi", target, reference).ok()
        snapshotter("pull", target).ok()
        assert snapshotter.id(target) == library.listed()[reference]
        programs.piped([*snapshotter.argv, "save", target], other.argv("load"))
        assert other.listed()[target] == library.listed()[reference]
        loaded_as(library, other, name, target)


# ---- theirs ----

def test_docker_saves(library, docker, other):
    references = [library.reference(name) for name in IMAGES]
    programs.piped(library.argv("save", *references), [*docker.argv, "load"])
    programs.piped([*docker.argv, "save", *references], other.argv("load"))
    for name in IMAGES:
        loaded_as(library, other, name)


@pytest.mark.parametrize("kind", ["docker-archive", "oci-archive", "oci-dir", "docker-dir"])
@several_images
def test_podman_saves(library, podman, skopeo, other, scratch, kind, name):
    reference = library.reference(name)
    podman("pull", "--quiet", f"oci:{library.root}:{reference}").ok()
    podman("tag", library.id(reference)[7:], reference).ok()
    podman("save", "--quiet", "--format", kind, "-o", scratch / "saved", reference).ok()
    if kind == "docker-dir": # a form of skopeo's alone: to skep it comes as another
        skopeo.copy(f"dir:{scratch}/saved", f"docker-archive:{scratch}/image.tar:{reference}")
        os.rename(scratch / "saved", scratch / "unused")
        os.rename(scratch / "image.tar", scratch / "saved")
    told = other("load", "-i", scratch / "saved").ok().text
    # podman writes no name into a directory
    loaded_as(library, other, name, told.rpartition(": ")[2])
    assert reference.removeprefix(samples.DOMAIN) in told or kind == "oci-dir"


def test_podman_saves_several_in_one(library, podman, other, scratch):
    references = [library.reference(name) for name in IMAGES]
    for reference in references:
        podman("pull", "--quiet", f"oci:{library.root}:{reference}").ok()
        podman("tag", library.id(reference)[7:], reference).ok()
    podman("save", "--quiet", "--multi-image-archive", "-o", scratch / "saved", *references).ok()
    other("load", "-i", scratch / "saved").ok()
    for name in IMAGES:
        loaded_as(library, other, name)


@several_images
def test_containerd_saves(library, containerd, other, scratch, name):
    reference = library.reference(name)
    library("save", "--format", "oci-archive", "-o", scratch / "ours.tar", reference).ok()
    containerd("images", "import", "--all-platforms", scratch / "ours.tar").ok()
    containerd("images", "export", scratch / "theirs.tar", reference).ok()
    other("load", "-i", scratch / "theirs.tar").ok()
    loaded_as(library, other, name)
    assert other.listed() == {reference: library.listed()[reference]}


@pytest.mark.parametrize("kind", ["docker-archive", "oci-archive", "oci"])
@several_images
def test_skopeo_writes(library, skopeo, other, scratch, kind, name):
    reference = library.reference(name)
    skopeo.copy(f"oci:{library.root}:{reference}", f"{kind}:{scratch}/theirs:{reference}", *(["--preserve-digests"] if kind != "docker-archive" else []))
    other("load", "-i", scratch / "theirs").ok()
    loaded_as(library, other, name)
    if kind != "docker-archive":
        assert other.listed() == {reference: library.listed()[reference]}


# ---- import and export ----

@pytest.mark.parametrize("engine", ["docker", "podman"])
@several_images
def test_import_of_an_export(request, library, other, scratch, engine, name):
    """All layers as one tar, out of skep, into an engine as an image, and back with what it has saved: the files are the same."""
    program = request.getfixturevalue(engine)
    library("image", "export", "-o", scratch / "tree.tar", library.reference(name)).ok()
    ident = program("import", scratch / "tree.tar", f"docker.io/library/imported-{name}:1").ok().lines[-1]
    program("save", *(["--quiet"] if engine == "podman" else []), "-o", scratch / "saved", f"docker.io/library/imported-{name}:1").ok()
    other("load", "-i", scratch / "saved").ok()
    assert other.id(f"imported-{name}:1") == f"sha256:{ident.removeprefix('sha256:')}"
    assert not views.differences(library.view(name), other.shown(f"imported-{name}:1"))


ADDED = {"docker": {".dockerenv", "dev", "dev/console", "dev/pts", "dev/shm", "etc", "etc/hostname", "etc/hosts", "etc/mtab", "etc/resolv.conf", "proc", "sys"},
         "podman": {"dev", "etc", "proc", "run", "sys"}} # by the engine, to a container that was never started


@pytest.mark.parametrize("engine", ["docker", "podman"])
@several_images
def test_export_of_a_container(request, library, other, scratch, engine, name):
    """What an engine exports, imported by skep: the image's files."""
    program = request.getfixturevalue(engine)
    if engine == "docker":
        programs.piped(library.argv("save", library.reference(name)), [*program.argv, "load"])
    else:
        program("pull", "--quiet", f"oci:{library.root}:{library.reference(name)}").ok()
    container = program("create", "--network", "none", library.id(library.reference(name)).removeprefix("sha256:"), "sh").ok().lines[-1]
    programs.piped(program.argv + ["export", container], other.argv("import", "-", "exported:1"))
    program("rm", container).ok()
    theirs = {path: what for path, what in other.shown("exported:1").items() if path not in ADDED[engine]}
    ours = {path: what for path, what in library.view(name).items() if path not in ADDED[engine]}
    views.compare(name, ours, theirs, f"{engine}-export", program.version)
