"""skopeo, podman, docker and skep push to `skep registry serve` and pull from it what any of them has pushed."""
import json
import re

import pytest

import programs
import registries
import samples
import views
from registries import SkepClient, SkopeoClient
from test_layout import digest


@pytest.fixture
def skep(library, registry):
    made = SkepClient(library)
    if registry.tls:
        made.login(registry).ok()
    return made


@pytest.mark.parametrize("registry, name", [("http", "busybox"), pytest.param("http", "hardlinks", marks=pytest.mark.large), ("basic", "xattrs"), ("token", "busybox")], indirect=["registry"])
def test_push_and_pull(library, registry, client, skep, name):
    target, ident = f"{client.name}/{name}:1", library.id(library.reference(name))
    pushed = client.push(name, registry, target)
    _, told, manifest = registry.ask(target)
    assert pushed == told == digest(manifest)
    assert json.loads(manifest)["config"]["digest"] == ident
    if client.name == "skopeo":
        assert pushed == library.listed()[library.reference(name)]
    assert client.pull(registry, target) == ident
    # what it has pushed is what was there
    other = skep.other()
    other("pull", f"{registry.host}/{target}").ok()
    assert other.id(f"{registry.host}/{target}") == ident
    assert f"{registry.host}/{client.name}/{name}@{pushed}" in other.inspect(f"{registry.host}/{target}")["RepoDigests"]
    assert not views.differences(library.view(name), other.shown(f"{registry.host}/{target}"))


@pytest.mark.parametrize("registry", ["http", "token", pytest.param("basic", marks=pytest.mark.large)], indirect=True)
def test_all_pull_what_skep_has_pushed(library, registry, client, skep):
    target = f"skep/{client.name}/whiteouts:1"
    pushed = skep.push("whiteouts", registry, target)
    assert pushed == digest(registry.ask(target)[2]) == library.listed()[library.reference("whiteouts")]
    assert client.pull(registry, target) == library.id(library.reference("whiteouts"))
    assert client.pull(registry, f"skep/{client.name}/whiteouts@{pushed}") == library.id(library.reference("whiteouts"))


@pytest.mark.parametrize("registry", ["basic", "token"], indirect=True)
def test_passwords_count(registry, client):
    client.logout(registry)
    with pytest.raises(AssertionError):
        client.push("busybox", registry, f"{client.name}/refused:1")
    assert re.search("authentication required|no basic auth|denied|answered 401", client.said) and "retrying" not in client.said.lower()
    assert client.login(registry, "wrong").code != 0
    client.login(registry).ok()


@pytest.mark.parametrize("registry", ["http"], indirect=True)
@pytest.mark.parametrize("name", ["busybox", "node", "packages", "opaque", "odd", "ten"])
def test_copies_keep_every_byte(library, registry, skopeo, name):
    """Images of every kind of layers, through the registry and back: skopeo and Skep agree on each digest."""
    client, target = SkopeoClient(skopeo, library), f"all/{name}:1"
    assert client.push(name, registry, target) == library.listed()[library.reference(name)]
    assert client.pull(registry, target) == library.id(library.reference(name))
    other = SkepClient(library).other()
    other("pull", f"{registry.host}/{target}").ok()
    assert other.listed() == {f"{registry.host}/{target}": library.listed()[library.reference(name)]}


# ---- several platforms ----

def push_platforms(registry, skopeo, docker, scratch):
    """An image for amd64 and one for arm64 in the registry; their names and ids. docker: pushed by it."""
    made = {}
    for architecture in "amd64", "arm64":
        top = scratch / architecture
        top.mkdir()
        samples.write_layout(top / "layout", "x:1", samples.hardlinks(top), architecture)
        name = f"platforms/{architecture}:1"
        if docker:
            skopeo.copy(f"oci:{top}/layout:x:1", f"docker-archive:{top}/image.tar:{registry.host}/{name}")
            docker("load", "-i", top / "image.tar").ok()
            docker("push", f"{registry.host}/{name}").ok()
        else:
            skopeo.copy(f"oci:{top}/layout:x:1", f"docker://{registry.host}/{name}", f"--dest-tls-verify={registry.tls}".lower())
        made[architecture] = (f"{registry.host}/{name}", json.loads(registry.ask(name)[2])["config"]["digest"])
    return made


def made_by_skep(skep, registry, name, images):
    skep.library("manifest", "create", "--amend", f"{registry.host}/{name}", *images).ok()
    return skep.library("manifest", "push", f"{registry.host}/{name}").ok().lines[-1]


def made_by_podman(podman, registry, name, images):
    verify = f"--tls-verify={registry.tls}".lower()
    podman("manifest", "create", name).ok()
    for image in images:
        podman("manifest", "add", verify, name, f"docker://{image}").ok()
    podman("manifest", "push", "--all", verify, name, f"docker://{registry.host}/{name}").ok()
    podman("manifest", "rm", name).ok()


def made_by_docker(docker, registry, name, images):
    insecure = [] if registry.tls else ["--insecure"]
    docker("manifest", "create", *insecure, f"{registry.host}/{name}", *images).ok()
    docker("manifest", "push", "--purge", *insecure, f"{registry.host}/{name}").ok()


def made_by_buildx(docker, registry, name, images):
    """It knows of no certs.d."""
    trust = ["/usr/bin/env", f"SSL_CERT_FILE={registry.directory}/ca.crt"] if registry.tls else []
    programs.run(*programs.peer(*trust, *docker.argv[len(programs.PREFIX):], "buildx", "imagetools", "create", "--tag", f"{registry.host}/{name}", *images)).ok()


@pytest.mark.parametrize("registry", ["token", pytest.param("http", marks=pytest.mark.large)], indirect=True)
@pytest.mark.parametrize("maker", ["skep", "podman", "docker", "buildx"])
def test_lists_of_platforms(registry, skep, skopeo, podman, docker, scratch, maker):
    if maker == "buildx" and docker("buildx", "version").code:
        pytest.skip("no docker buildx")
    for client in (skopeo, podman, docker) if registry.tls else ():
        client("login", "--username", registries.USER, "--password", registries.PASSWORD, registry.host).ok()
    # older clients of docker make lists of docker's own manifests only, and write these anew in docker's way
    platforms = push_platforms(registry, skopeo, docker if maker == "docker" else None, scratch)
    name = f"lists/{maker}:1"
    images = [image for image, _ in platforms.values()]
    {"skep": made_by_skep, "podman": made_by_podman, "docker": made_by_docker, "buildx": made_by_buildx}[maker](
        {"skep": skep, "podman": podman}.get(maker, docker), registry, name, images)
    kind, told, text = registry.ask(name)
    assert "index" in kind or "list" in kind
    assert {entry["platform"]["architecture"]: entry["digest"] for entry in json.loads(text)["manifests"]} == \
        {architecture: digest(registry.ask(image.partition("/")[2])[2]) for architecture, (image, _) in platforms.items()}
    # everybody takes the one for here, or the one that is asked for
    for program in (skep.other(), podman, docker):
        for architecture in "arm64", "amd64":
            program("rmi", "--force", f"{registry.host}/{name}")
            extra = [f"--tls-verify={registry.tls}".lower()] if program is podman else []
            program("pull", *extra, *(["--platform", f"linux/{architecture}"] if architecture == "arm64" else []), f"{registry.host}/{name}").ok()
            assert program.id(f"{registry.host}/{name}") == platforms[architecture][1], (program, architecture)
    # the list as a whole
    skopeo.copy(f"docker://{registry.host}/{name}", f"docker://{registry.host}/copies/{maker}:1", "--all", "--preserve-digests",
                f"--src-tls-verify={registry.tls}".lower(), f"--dest-tls-verify={registry.tls}".lower())
    assert registry.ask(f"copies/{maker}:1")[1:] == (told, text)
