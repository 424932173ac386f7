"""The image that the engines load: Debian's static busybox in one layer, as `docker save` writes it."""
import hashlib
import io
import json
import tarfile

NAME = "skep-test/busybox"
APPLETS = """sh ash cat echo id ls mount umount ps kill true false hostname env pwd tty stat touch mkdir mknod chown chmod head tail wc grep
sed cut sort tr test sleep dd readlink nproc uname ip awk find ln rm stty sync seq df unshare ping nc wget httpd date sysctl top linux32""".split()
FILES = {
    "etc/passwd": "root:x:0:0:root:/root:/bin/sh\nbee:x:1000:1000:a bee:/home/bee:/bin/sh\n",
    "etc/group": "root:x:0:\nbee:x:1000:\nswarm:x:2000:bee\n",
    "etc/not-a-program": "no interpreter reads this\n",
}
FOLDERS = {"bin": 0o755, "dev": 0o755, "etc": 0o755, "home": 0o755, "home/bee": 0o755, "proc": 0o755, "root": 0o700, "run": 0o755, "sys": 0o755, "tmp": 0o1777}


def add(archive, name, data=b"", **fields):
    entry = tarfile.TarInfo(name)
    entry.size = len(data)
    for field, value in fields.items():
        setattr(entry, field, value)
    archive.addfile(entry, io.BytesIO(data))


def layer():
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for name, mode in FOLDERS.items():
            owner = 1000 if name == "home/bee" else 0
            add(archive, name, type=tarfile.DIRTYPE, mode=mode, uid=owner, gid=owner)
        with open("/bin/busybox", "rb") as f:
            add(archive, "bin/busybox", f.read(), mode=0o755)
        for applet in APPLETS:
            add(archive, f"bin/{applet}", type=tarfile.SYMTYPE, linkname="busybox")
        for name, text in FILES.items():
            add(archive, name, text.encode(), mode=0o644)
    return out.getvalue()


def archive(path):
    """Writes a docker-archive: docker and podman load it, ctr imports it."""
    rootfs = layer()
    digest = hashlib.sha256(rootfs).hexdigest()
    config = json.dumps({
        "architecture": "amd64",
        "os": "linux",
        "config": {"Env": ["PATH=/bin", "HIVE=straw"], "Cmd": ["echo", "hello from a skep"]},
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{digest}"]},
        "history": [{"created_by": "tests/engines/image.py"}],
    }).encode()
    name = hashlib.sha256(config).hexdigest()
    manifest = [{"Config": f"{name}.json", "RepoTags": [f"docker.io/{NAME}:latest"], "Layers": [f"{digest}/layer.tar"]}]
    with tarfile.open(path, "w") as out:
        add(out, f"{name}.json", config, mode=0o644)
        add(out, f"{digest}/layer.tar", rootfs, mode=0o644)
        add(out, "manifest.json", json.dumps(manifest).encode(), mode=0o644)
