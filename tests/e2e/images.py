"""Images, a real registry to keep them in, and skep as a user calls it, each with directories of its own."""
import contextlib
import gzip
import hashlib
import io
import json
import os
import shutil
import socket
import sqlite3
import subprocess
import tarfile
import time
import urllib.error
import urllib.request

from container import DEADLINE, RUNTIME
from registry_double import digest_of

SKEP = os.path.join(os.path.dirname(os.path.abspath(RUNTIME)), "skep")
OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
OCI_INDEX = "application/vnd.oci.image.index.v1+json"
DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"


def tar_of(files):
    """A layer with these files: name to bytes."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size, info.mtime = len(data), 1700000000
            tar.addfile(info, io.BytesIO(data))
    return out.getvalue()


class Made:
    """An image in pieces: what a registry keeps of it."""

    def __init__(self, *layers, arch="amd64", variant=None, docker=False, labels=None, created="2024-03-01T12:00:00Z"):
        tars = [tar_of(files) for files in layers]
        self.layers = [gzip.compress(tar, 6, mtime=0) for tar in tars]
        self.diff_ids = [digest_of(tar) for tar in tars]
        config = {"created": created, "architecture": arch, "os": "linux",
                  "config": {"Env": ["PATH=/bin"], "Cmd": ["/bin/sh"], "Labels": labels or {}},
                  "rootfs": {"type": "layers", "diff_ids": self.diff_ids},
                  "history": [{"created": created, "created_by": f"ADD layer {i} # " + "x" * 60} for i in range(len(layers))]
                             + [{"created": created, "created_by": "CMD [\"/bin/sh\"]", "empty_layer": True, "comment": "the end"}]}
        if variant:
            config["variant"] = variant
        self.config = json.dumps(config).encode()
        vendor = "application/vnd.docker" if docker else "application/vnd.oci"
        self.media_type = DOCKER_MANIFEST if docker else OCI_MANIFEST
        layer_type = f"{vendor}.image.rootfs.diff.tar.gzip" if docker else f"{vendor}.image.layer.v1.tar+gzip"
        config_type = f"{vendor}.container.image.v1+json" if docker else f"{vendor}.image.config.v1+json"
        self.manifest = json.dumps({"schemaVersion": 2, "mediaType": self.media_type,
                                    "config": {"mediaType": config_type, "digest": digest_of(self.config), "size": len(self.config)},
                                    "layers": [{"mediaType": layer_type, "digest": digest_of(b), "size": len(b)} for b in self.layers]}).encode()
        self.id, self.digest = digest_of(self.config), digest_of(self.manifest)
        self.platform = {"architecture": arch, "os": "linux", **({"variant": variant} if variant else {})}

    def descriptor(self):
        return {"mediaType": self.media_type, "digest": self.digest, "size": len(self.manifest), "platform": self.platform}

    def serve(self, double, *tags):
        """Puts it into a registry of tests."""
        for blob in (self.config, *self.layers):
            double.add_blob(blob)
        return double.add_manifest(self.manifest, *tags, media_type=self.media_type)


def index_of(*images):
    return json.dumps({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [i.descriptor() for i in images]}).encode()


def noise(seed, n):
    """Bytes that no compression makes smaller."""
    out, block = bytearray(), str(seed).encode()
    while len(out) < n:
        block = hashlib.sha256(block).digest()
        out += block
    return bytes(out[:n])


class RealRegistry:
    """Debian's docker-registry on a port of its own."""

    def __init__(self, top):
        with socket.socket() as s:
            s.bind(("127.0.0.1", 0))
            self.port = s.getsockname()[1]
        self.host = f"127.0.0.1:{self.port}"
        config = os.path.join(top, "registry.yml")
        with open(config, "w", encoding="utf-8") as f:
            f.write(f"version: 0.1\nlog:\n  level: warn\nstorage:\n  filesystem:\n    rootdirectory: {top}/registry\n  delete:\n    enabled: true\n"
                    f"http:\n  addr: {self.host}\n")
        self.log = open(os.path.join(top, "registry.log"), "wb")
        self.process = subprocess.Popen(["docker-registry", "serve", config], stdout=self.log, stderr=self.log)
        end = time.monotonic() + DEADLINE
        while True:
            try:
                with socket.create_connection(("127.0.0.1", self.port), 1):
                    return
            except OSError:
                assert time.monotonic() < end and self.process.poll() is None, "docker-registry does not start"
                time.sleep(0.02)

    def close(self):
        self.process.terminate()
        self.process.wait(DEADLINE)
        self.log.close()

    def ask(self, method, path, data=None, **headers):
        request = urllib.request.Request(path if path.startswith("http") else f"http://{self.host}/v2/{path}", data=data, method=method,
                                         headers={k.replace("_", "-"): v for k, v in headers.items()})
        try:
            with urllib.request.urlopen(request, timeout=DEADLINE) as answer:
                return answer.status, dict(answer.headers), answer.read()
        except urllib.error.HTTPError as e:
            return e.code, dict(e.headers), e.read()

    def put_blob(self, repository, data):
        _, headers, _ = self.ask("POST", f"{repository}/blobs/uploads/", b"")
        where = headers["Location"]
        status, _, _ = self.ask("PUT", f"{where}{'&' if '?' in where else '?'}digest={digest_of(data)}", data, Content_Type="application/octet-stream")
        assert status == 201

    def put_manifest(self, repository, name, data, media_type):
        status, _, text = self.ask("PUT", f"{repository}/manifests/{name}", data, Content_Type=media_type)
        assert status == 201, text

    def put(self, repository, tag, image):
        for blob in (image.config, *image.layers):
            self.put_blob(repository, blob)
        self.put_manifest(repository, tag, image.manifest, image.media_type)

    def manifest(self, repository, name):
        """Its type, digest and bytes."""
        accept = ", ".join((OCI_MANIFEST, OCI_INDEX, DOCKER_MANIFEST, "application/vnd.docker.distribution.manifest.list.v2+json"))
        status, headers, data = self.ask("GET", f"{repository}/manifests/{name}", Accept=accept)
        return (headers["Content-Type"], digest_of(data), data) if status == 200 else None


class Skep:
    def __init__(self, top, name="skep"):
        self.top = os.path.join(top, name)
        self.root = os.path.join(self.top, "root")
        self.config = os.path.join(self.top, "config")
        os.makedirs(self.config)
        self.conf = os.path.join(self.top, "registries.conf")
        open(self.conf, "w", encoding="utf-8").close()
        self.env = {"PATH": os.environ["PATH"], "HOME": self.top, "CONTAINERS_REGISTRIES_CONF": self.conf,
                    **{k: v for k, v in os.environ.items() if k.endswith("SAN_OPTIONS")}}

    def command(self, *args):
        return [SKEP, "--root", self.root, "--run-root", os.path.join(self.top, "run"), "--config", self.config, *args]

    def run(self, *args, status=0, stdin=b"", binary=False):
        done = subprocess.run(self.command(*args), input=stdin, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=self.env, timeout=DEADLINE,
                              check=False)
        assert done.returncode == status, (args, done.returncode, done.stderr.decode(), done.stdout[:2000])
        return done.stdout if binary else done.stdout.decode()

    def fails(self, *args, status=1, stdin=b""):
        """The one line it says why."""
        done = subprocess.run(self.command(*args), input=stdin, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=self.env, timeout=DEADLINE,
                              check=False)
        assert done.returncode == status, (args, done.returncode, done.stderr.decode())
        text = done.stderr.decode()
        assert text.endswith("\n") and text.count("\n") == 1, text
        return text[:-1]

    def start(self, *args):
        return subprocess.Popen(self.command(*args), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=self.env)

    # ---- the store, looked at from outside ----

    def query(self, sql):
        with contextlib.closing(sqlite3.connect(f"file:{self.root}/skep.db?mode=ro", uri=True)) as db:
            return db.execute(sql).fetchall()

    def ingest(self):
        return sorted(os.listdir(os.path.join(self.root, "ingest")))

    def faults(self):
        """What is wrong with the store: rows without their files, files with other bytes, files without rows."""
        found = []
        contents = {row[0] for row in self.query("SELECT digest FROM contents")}
        layers = {row[0] for row in self.query("SELECT diff_id FROM layers")}
        doomed = {row[0] for row in self.query("SELECT path FROM doomed")}
        for digest in contents:
            found += self.compare(os.path.join("blobs", *digest.split(":")), digest)
        for digest in layers:
            found += self.compare(os.path.join("layers", digest.split(":")[1], "tar"), digest)
            if not os.path.exists(os.path.join(self.root, "layers", digest.split(":")[1], "index")):
                found.append(f"no index of {digest}")
        places = [os.path.join("blobs", *d.split(":")) for d in contents] + [os.path.join("layers", d.split(":")[1]) for d in layers]
        places += [os.path.join("blobs", *row[0].split(":")) for row in self.query("SELECT diff_id FROM layers JOIN forms USING (diff_id) WHERE blob = diff_id")]
        there = [f"blobs/{a}/{name}" for a in os.listdir(f"{self.root}/blobs") for name in os.listdir(f"{self.root}/blobs/{a}")]
        there += [f"layers/{name}" for name in os.listdir(f"{self.root}/layers")]
        found += [f"no row for {path}" for path in there if path not in places and path not in doomed]
        wanted = {row[0] for row in self.query("SELECT digest FROM image_contents")}
        found += [f"an image without {digest}" for digest in wanted - contents]
        found += [f"an image without layer {row[0]}" for row in self.query("SELECT diff_id FROM image_layers") if row[0] not in layers]
        return found

    def compare(self, path, digest):
        try:
            with open(os.path.join(self.root, path), "rb") as f:
                return [] if digest_of(f.read()) == digest else [f"{path} has other bytes"]
        except FileNotFoundError:
            return [f"no {path}"]

    def close(self):
        shutil.rmtree(self.top, ignore_errors=True)
