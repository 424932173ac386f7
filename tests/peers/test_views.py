"""What images show once podman, containerd and docker have unpacked them: the same as Skep, whose layers are not unpacked."""
import subprocess

import pytest

import programs
import samples
import views

every_tree = samples.each(samples.TREES, large="python node odd")


def overlaid(directories, at):
    """What overlayfs shows of directories, the highest first."""
    at.mkdir()
    subprocess.run(["mount", "-t", "overlay", "overlay", "-o", "lowerdir=" + ":".join([*directories, *([str(at)] if len(directories) == 1 else [])]), at], check=True)
    try:
        return views.look(at)
    finally:
        subprocess.run(["umount", at], check=True)


@every_tree
def test_podman(library, podman, name):
    """From the store, in place."""
    podman("pull", "--quiet", f"oci:{library.root}:{library.reference(name)}").ok()
    ident = library.id(library.reference(name))
    at = podman("image", "mount", ident).ok().text
    try:
        theirs = views.look(programs.inside(at))
    finally:
        podman("image", "unmount", ident).ok()
    views.compare(name, library.view(name), theirs, "podman", podman.version)


@every_tree
def test_docker(library, docker, skopeo, scratch, name):
    """From an archive that skep has saved, through a pipe."""
    reference = library.reference(name)
    if docker.version < (23, 0) and library.zstd(name): # it cannot read these
        skopeo.copy(f"oci:{library.root}:{reference}", f"oci:{scratch}/gzip:1", "--dest-compress", "--dest-compress-format", "gzip")
        skopeo.copy(f"oci:{scratch}/gzip:1", f"docker-archive:{scratch}/image.tar:{reference}")
        docker("load", "-i", scratch / "image.tar").ok()
    else:
        programs.piped(library.argv("save", reference), [*docker.argv, "load"])
        assert docker.id(reference) == library.id(reference)
    views.compare(name, library.view(name), overlaid(docker.layers(reference), scratch / "mnt"), "docker", docker.version)


@every_tree
def test_containerd(library, containerd, scratch, name):
    """From an OCI archive."""
    reference, at = library.reference(name), scratch / f"mnt-{name}"
    library("save", "--format", "oci-archive", "-o", scratch / "image.tar", reference).ok()
    containerd("images", "import", "--all-platforms", scratch / "image.tar").ok()
    at.mkdir()
    containerd("images", "mount", reference, at).ok()
    try:
        theirs = views.look(at)
    finally:
        containerd("images", "unmount", "--rm", at).ok()
    views.compare(name, library.view(name), theirs, "containerd", containerd.version)
