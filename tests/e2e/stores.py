"""The image store as a test sees it: tests/image/store_tool, archives made by hand, and a second opinion on what the store holds."""
import gzip
import hashlib
import io
import json
import os
import random
import sqlite3
import subprocess
import tarfile

from container import DEADLINE, RUNTIME

BUILD = os.path.dirname(os.path.abspath(RUNTIME))
TOOL = os.environ.get("STORE_TOOL") or os.path.join(BUILD, "tests", "image", "store_tool")
WORKER = os.environ.get("TRANSFER") or os.path.join(BUILD, "skep-transfer")
ENV = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "TRANSFER": WORKER, **{k: v for k, v in os.environ.items() if k.endswith("SAN_OPTIONS")}}

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar"


class Refused(Exception):
    pass


def sha(data):
    return hashlib.sha256(data).hexdigest()


def make_tar(files, kind=tarfile.PAX_FORMAT):
    """files: name to bytes, or to a TarInfo that is ready."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=kind) as tar:
        for name, data in files.items() if isinstance(files, dict) else files:
            if isinstance(data, tarfile.TarInfo):
                tar.addfile(data)
                continue
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return out.getvalue()


def link(name, target, kind=tarfile.SYMTYPE):
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


def dumps(value):
    return json.dumps(value, separators=(",", ":")).encode()


class Made:
    """An image made here: layers as tars, the configuration, and the manifest of its compressed form."""

    def __init__(self, seed=1, layers=2, compress=True, platform="amd64", files=4, size=3000, extra=None):
        r = random.Random(seed)
        self.tars = [make_tar({f"d{n}/f{k}": r.randbytes(r.randrange(size)) for k in range(files)}) for n in range(layers)] + (extra or [])
        self.blobs = [gzip.compress(t, 6, mtime=0) for t in self.tars] if compress else self.tars
        self.config = dumps({"created": "2024-01-02T03:04:05Z", "architecture": platform, "os": "linux",
                             "config": {"Cmd": ["sh"], "Env": [f"SEED={seed}"], "Labels": {"b": "2", "a": "1"}},
                             "rootfs": {"type": "layers", "diff_ids": ["sha256:" + sha(t) for t in self.tars]},
                             "history": [{"created_by": f"step {n}"} for n in range(len(self.tars))], "x-unknown": {"kept": [1, 2]}})
        self.manifest = dumps({"schemaVersion": 2, "mediaType": MANIFEST, "config": self.describe(CONFIG, self.config),
                               "layers": [self.describe(LAYER + ("+gzip" if compress else ""), b) for b in self.blobs],
                               "annotations": {"kept": "as it is"}})

    @staticmethod
    def describe(kind, data, **more):
        return {"mediaType": kind, "digest": "sha256:" + sha(data), "size": len(data), **more}

    @property
    def id(self):
        return "sha256:" + sha(self.config)

    def documents(self):
        return {"blobs/sha256/" + sha(b): b for b in [self.manifest, self.config, *self.blobs]}

    def entry(self, name=None, **more):
        notes = {"io.containerd.image.name": name, "org.opencontainers.image.ref.name": name.rpartition(":")[2]} if name else {}
        return self.describe(MANIFEST, self.manifest, **({"annotations": notes} if notes else {}), **more)

    def docker(self, name="test:1", old=True):
        """Members of an archive of docker; old: as docker did until 24."""
        files, layers = {}, []
        for n, tar in enumerate(self.tars):
            path = f"{sha(tar)}{n}/layer.tar" if old else "blobs/sha256/" + sha(tar)
            files[path] = tar
            layers.append(path)
            if old:
                files[f"{sha(tar)}{n}/VERSION"] = b"1.0"
                files[f"{sha(tar)}{n}/json"] = b"{}"
        files[sha(self.config) + ".json"] = self.config
        files["manifest.json"] = dumps([{"Config": sha(self.config) + ".json", "RepoTags": [name] if name else None, "Layers": layers}])
        return files


def layout(entries, *images, documents=()):
    files = {"oci-layout": b'{"imageLayoutVersion":"1.0.0"}',
             "index.json": dumps({"schemaVersion": 2, "mediaType": INDEX, "manifests": entries})}
    for image in images:
        files.update(image.documents())
    for data in documents:
        files["blobs/sha256/" + sha(data)] = data
    return files


class Store:
    def __init__(self, root):
        self.root = str(root)

    def command(self, *args):
        return [TOOL, self.root, *map(str, args)]

    def run(self, *args, data=None, env=None, binary=False):
        done = subprocess.run(self.command(*args), input=data, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env={**ENV, **(env or {})},
                              timeout=2 * DEADLINE, check=False)
        if done.returncode:
            message = done.stderr.decode()
            assert done.returncode == 1 and message.count("\n") == 1, (done.returncode, message)
            raise Refused(message.removeprefix("store_tool: ").rstrip("\n"))
        return done.stdout if binary else done.stdout.decode()

    def load(self, files, **options):
        """members (or the bytes of an archive) through a pipe"""
        return self.run("load", "-", data=files if isinstance(files, bytes) else make_tar(files), **options)

    def save(self, kind, *names):
        return self.run("save", kind, "-", *names, binary=True)

    def list(self):
        return [line.split(" ") for line in self.run("list").splitlines()]

    def rows(self, sql):
        db = sqlite3.connect(f"file:{self.root}/skep.db?mode=ro", uri=True)
        try:
            return db.execute(sql).fetchall()
        finally:
            db.close()

    def names(self):
        return dict(self.rows("SELECT name, manifest FROM names"))

    def files(self):
        return {os.path.relpath(os.path.join(where, f), self.root) for where, _, names in os.walk(self.root) for f in names}

    def is_name_of_tar(self, blob):
        tar = os.path.join(self.root, "layers", os.path.basename(blob), "tar")
        return os.path.exists(tar) and os.path.samefile(tar, os.path.join(self.root, blob))

    def verify(self, empty=False):
        """Every row has its files with the right bytes, every file its row, every image what it consists of."""
        expected = set()
        for (digest,) in self.rows("SELECT digest FROM contents"):
            path = "blobs/" + digest.replace(":", "/")
            expected.add(path)
            with open(os.path.join(self.root, path), "rb") as f:
                assert sha(f.read()) == digest[7:], path
        for diff_id, tar_size, index_size in self.rows("SELECT diff_id, tar_size, index_size FROM layers"):
            path = f"layers/{diff_id[7:]}/"
            expected |= {path + "tar", path + "index"}
            with open(os.path.join(self.root, path + "tar"), "rb") as f:
                data = f.read()
            assert sha(data) == diff_id[7:] and len(data) == tar_size, path
            assert os.stat(os.path.join(self.root, path + "index")).st_size == index_size
        for (digest,) in self.rows("SELECT diff_id FROM layers JOIN forms USING (diff_id) WHERE blob = diff_id"):
            path = "blobs/" + digest.replace(":", "/")
            expected.add(path)  # a manifest names the tar: the layout must hold it
            with open(os.path.join(self.root, path), "rb") as f:
                assert sha(f.read()) == digest[7:], path
        doomed = {path for (path,) in self.rows("SELECT path FROM doomed")}
        have = {f for f in self.files() if f.startswith(("blobs/", "layers/", "ingest/"))}
        # the tar's second name, of one who was killed before it wrote that it needs it, goes with the layer
        expected |= {blob for blob in have - expected if blob.startswith("blobs/") and self.is_name_of_tar(blob)}
        assert have == expected, (have ^ expected, doomed)
        assert not doomed
        assert not os.listdir(os.path.join(self.root, "ingest"))
        assert not self.rows("SELECT diff_id FROM image_layers WHERE diff_id NOT IN (SELECT diff_id FROM layers)")
        assert not self.rows("SELECT manifest FROM images WHERE manifest NOT IN (SELECT digest FROM contents) OR id NOT IN (SELECT digest FROM contents)")
        assert not self.rows("SELECT * FROM names WHERE manifest NOT IN (SELECT manifest FROM images)")
        if empty:
            assert not expected and not self.rows("SELECT * FROM images")
        with open(os.path.join(self.root, "index.json"), encoding="utf-8") as f:
            listed = {m["annotations"]["org.opencontainers.image.ref.name"]: m["digest"] for m in json.load(f)["manifests"]}
        assert listed == self.names()
