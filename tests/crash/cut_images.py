"""The image store and power cuts: what users do with it, and what must be there afterwards."""
import contextlib
import hashlib
import io
import json
import os
import random
import shutil
import sqlite3
import tarfile
import threading

from blockdisk import Neighbour
from images import OCI_MANIFEST, Made, Skep, tar_of
from promises import Expected, Promises
from registry_double import Registry, digest_of

SIZES = (100, 3000, 30000, 120000, 400000, 900000, 5000000, 20000)  # of layers' files; a tar above 4 MiB is freed by a process left behind
PORT = 5001  # in a network namespace of our own: names hold it, and a recording may be replayed
EROFS = bytes.fromhex("e2e1f5e0")
HARMLESS = ("file-stray", "ingest-stale")  # room that is lost until `image check --repair`: nothing of it is ever served


class Content:
    """Images with layers in common, and who serves them."""

    def __init__(self, rand):
        layers = [{f"d{i}/f{j}": rand.randbytes(size // 4 + j) for j in range(4)} for i, size in enumerate(SIZES)]
        self.images = [Made(*(layers[k] for k in sorted(rand.sample(range(len(layers)), rand.randint(1, 4))))) for _ in range(7)]
        self.double = Registry(port=PORT)
        self.host = f"127.0.0.1:{self.double.port}"
        for i, image in enumerate(self.images):
            image.serve(self.double, f"i{i}")

    def close(self):
        self.double.close()


def archive_of(image, name):
    """An OCI layout in a tar."""
    index = {"schemaVersion": 2, "manifests": [{"mediaType": OCI_MANIFEST, "digest": image.digest, "size": len(image.manifest),
                                                "annotations": {"org.opencontainers.image.ref.name": name}}]}
    files = {"oci-layout": b'{"imageLayoutVersion":"1.0.0"}', "index.json": json.dumps(index).encode()}
    for data in (image.manifest, image.config, *image.layers):
        files["blobs/sha256/" + digest_of(data)[7:]] = data
    return tar_of(files)


class Client(Skep):
    """skep on a store that a test says where it is."""

    def __init__(self, top, name, root, prefix=()):
        super().__init__(top, name)
        self.root, self.prefix = root, list(prefix)

    def command(self, *args):
        return self.prefix + super().command(*args)

    def query(self, sql):
        """Leaves nothing open on a disk that is about to be unmounted."""
        with contextlib.closing(sqlite3.connect(f"file:{self.root}/skep.db?mode=ro", uri=True)) as db:
            return db.execute(sql).fetchall()

    def ask(self, *args):
        """(status, output and errors)"""
        process = self.start(*args)
        text = process.communicate(timeout=60)[0].decode(errors="replace")
        return process.returncode, text


# ---- the load ----

class Worker:
    """Does one thing after another with names of its own; layers are shared with all others."""

    def __init__(self, load, number, seed):
        self.load, self.number, self.rand = load, number, random.Random(seed)
        self.skep, self.promises, self.content = load.skep, load.promises, load.content
        self.repository = f"{load.content.host}/w{number}"

    def names(self):
        return self.promises.keys(lambda key, _: key.startswith(self.repository + "/"))

    def pull(self):
        i = self.rand.randrange(len(self.content.images))
        name = f"{self.repository}/p:i{i}"
        with self.promises.operation(f"pull {name}", {name: self.content.images[i].id}):
            if self.rand.random() < 0.3:
                process = self.skep.start("pull", "-q", name)
                self.load.moment(self.rand.random() * 0.03)
                process.kill()
                process.communicate()
            self.skep.run("pull", "-q", name)

    def pull_what_moved(self):
        """A name that means another image each time."""
        image, tag = self.rand.choice(self.content.images), f"latest{self.number}"
        self.content.double.add_manifest(image.manifest, tag, media_type=image.media_type)
        name = f"{self.repository}/p:{tag}"
        with self.promises.operation(f"pull {name}", {name: image.id}):
            self.skep.run("pull", "-q", name)

    def tag(self):
        names = self.names()
        if not names:
            return self.pull()
        name, to = self.rand.choice(names), f"{self.repository}/t:{self.rand.randrange(4)}"
        with self.promises.operation(f"tag {name} {to}", {to: self.promises.get(name)}):
            self.skep.run("tag", name, to)
        return None

    def untag(self):
        names = self.names()
        if not names:
            return self.load_archive()
        name = self.rand.choice(names)
        with self.promises.operation(f"rmi {name}", {name: None}):
            self.skep.run("rmi", name)
        return None

    def remove(self):
        """By id: all its names go, unless others have it, too."""
        names = self.names()
        if not names:
            return self.import_tar()
        victim = self.promises.get(self.rand.choice(names))
        mine = [name for name in names if self.promises.get(name) == victim]
        with self.promises.operation(f"rmi {' '.join(mine)}", {name: None for name in mine}):
            self.skep.run("rmi", *mine)
        return None

    def load_archive(self):
        i = self.rand.randrange(len(self.content.images))
        name = f"{self.repository}/l:{self.rand.randrange(3)}"
        with self.promises.operation(f"load {name}", {name: self.content.images[i].id}):
            self.skep.run("load", "-q", stdin=archive_of(self.content.images[i], name))

    def import_tar(self):
        name = f"{self.repository}/m:{self.rand.randrange(3)}"
        tar = tar_of({"file": self.rand.randbytes(self.rand.choice((10, 50000)))})
        with self.promises.operation(f"import {name}", {name: "?"}) as operation:
            operation.effects = {name: self.skep.run("import", "-", name, stdin=tar).strip()}

    def push(self):
        names = self.names()
        if not names:
            return self.pull()
        name, to = self.rand.choice(names), f"{self.repository}/t:push"
        with self.promises.operation(f"tag {name} {to}", {to: self.promises.get(name)}):
            self.skep.run("tag", name, to)
        self.skep.run("push", "-q", to)
        return None

    def mount(self):
        """Makes a merged index, or a tree."""
        names = self.names()
        if not names:
            return self.pull()
        where = f"{self.skep.top}/mount{self.number}"
        os.makedirs(where, exist_ok=True)
        self.skep.run("image", "mount", "--kind", self.rand.choice(("auto", "tree")), self.rand.choice(names), where)
        self.skep.run("image", "unmount", where)
        return None

    def prune(self):
        """What no name leads to; or compressed layers."""
        self.skep.run("image", "prune", "-f", *(["--blobs"] if self.rand.random() < 0.3 else []))

    def work(self, n):
        kinds = {self.pull: 6, self.pull_what_moved: 3, self.tag: 3, self.untag: 4, self.remove: 3, self.load_archive: 3, self.import_tar: 2, self.push: 1,
                 self.mount: 2, self.prune: 1}
        try:
            for _ in range(n):
                self.rand.choices(list(kinds), kinds.values())[0]()
        except BaseException as e:  # told by the one that waits
            self.load.failures.append(e)


class Load:
    """Runs on a recorded disk."""

    name = "images"

    def __init__(self, top, seed, operations, alone=False):
        self.top, self.seed, self.operations, self.alone = top, seed, operations, alone
        self.content = Content(random.Random(seed))
        self.moment, self.failures = threading.Event().wait, []
        self.skep = self.promises = None

    def prepare(self, where):
        """Before the recording, for half of the seeds: a store with a past. Its database writes over an old log, where a commit makes no file grow."""
        if self.seed % 2:
            skep = Client(self.top, "prepare", os.path.join(where, "store"))
            skep.run("pull", "-q", f"{self.content.host}/before:i0")
            for i in range(60):
                skep.run("tag", f"{self.content.host}/before:i0", f"{self.content.host}/before:{i}")
            skep.run("rmi", "-f", self.content.images[0].id)

    def run(self, where, mark, prefix):
        rand = random.Random(self.seed)
        self.skep = Client(self.top, "load", os.path.join(where, "store"), prefix)
        self.promises = Promises(mark)
        neighbour = Neighbour(where, random.Random(self.seed)) if rand.random() < 0.5 and not self.alone else None
        workers = [Worker(self, number, rand.random()) for number in range(rand.choice((1, 2)))]
        threads = [threading.Thread(target=worker.work, args=(self.operations // len(workers),)) for worker in workers]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if neighbour:
            neighbour.close()
        if self.failures:
            raise self.failures[0]

    def check(self, where, marks, rand):
        return Check(self, where, marks, rand).all()

    def close(self):
        self.content.close()


# ---- after a cut ----

class Check:
    """Complaints about one disk."""

    def __init__(self, load, where, marks, rand):
        self.content, self.rand, self.expected = load.content, rand, Expected(marks)
        shutil.rmtree(os.path.join(load.top, "check"), ignore_errors=True)
        self.skep = Client(load.top, "check", os.path.join(where, "store"))
        self.bad = []

    def must(self, *args):
        status, text = self.skep.ask(*args)
        if status:
            self.bad.append(f"skep {' '.join(args)}: status {status}: {text.strip()[-400:]}")
        return text

    def names(self):
        lines = self.must("images", "--no-trunc", "--format", "{{.Repository}}:{{.Tag}} {{.ID}}").splitlines()
        return dict(line.split(" ") for line in lines if "<none>" not in line)

    def files_of_others(self):
        """What other programs read of the store, before skep has had a word."""
        for name, member in (("oci-layout", "imageLayoutVersion"), ("index.json", "manifests")):
            try:
                with open(os.path.join(self.skep.root, name), "rb") as f:
                    data = f.read()
            except FileNotFoundError:
                continue
            try:
                json.loads(data)[member]
            except (ValueError, KeyError):
                self.bad.append(f"{name}: {len(data)} bytes that are none: {data[:40]!r}")

    def index(self, names):
        try:
            with open(os.path.join(self.skep.root, "index.json"), "rb") as f:
                listed = {entry["annotations"]["org.opencontainers.image.ref.name"] for entry in json.loads(f.read())["manifests"]}
        except (OSError, ValueError) as e:
            self.bad.append(f"index.json, after a command: {e}")
            return
        if listed != set(names):
            self.bad.append(f"index.json: too many {sorted(listed - set(names))}, missing {sorted(set(names) - listed)}")

    def bytes_are(self, path, digest, size=None):
        try:
            with open(os.path.join(self.skep.root, path), "rb") as f:
                data = f.read()
        except FileNotFoundError:
            self.bad.append(f"{path}: missing")
            return
        if digest is None and data[1024:1028] != EROFS:
            self.bad.append(f"{path}: {len(data)} bytes without an EROFS superblock")
        if digest and digest_of(data) != digest:
            self.bad.append(f"{path}: {len(data)} bytes that are not those of its digest")
        if size is not None and len(data) != size:
            self.bad.append(f"{path}: {len(data)} bytes instead of {size}")

    def rows(self):
        """Each row's file is there and is what the row says; and no image lacks anything."""
        query = self.skep.query
        contents, layers = dict(query("SELECT digest, size FROM contents")), {row[0]: row[1:] for row in query("SELECT diff_id, tar_size, index_size FROM layers")}
        for digest, size in contents.items():
            self.bytes_are(os.path.join("blobs", *digest.split(":")), digest, size)
        for diff_id, (tar, index) in layers.items():
            self.bytes_are(f"layers/{diff_id[7:]}/tar", diff_id, tar)
            self.bytes_are(f"layers/{diff_id[7:]}/index", None, index)
        for kind, chain, size, manifest in query("SELECT kind, chain_id, size, min(manifest) FROM snapshots JOIN image_chains USING(chain_id) GROUP BY 1, 2"):
            if kind == "merged":
                self.bytes_are(f"merged/{chain[7:]}", None, size)
            else:
                self.files_are(os.path.join(self.skep.root, f"trees/{chain[7:]}/root"), manifest)
        for manifest, config in query("SELECT manifest, id FROM images"):
            self.bad += [f"image {manifest}: no row of {d}" for d in (manifest, config) if d not in contents]
        for manifest, diff_id in query("SELECT manifest, diff_id FROM image_layers"):
            if diff_id not in layers:
                self.bad.append(f"image {manifest}: no row of layer {diff_id}")

    def findings(self):
        """skep's own opinion. The status tells whether there is anything."""
        status, text = self.skep.ask("image", "check")
        kinds = [line.split(":")[0] for line in text.splitlines() if ":" in line and not line.startswith(("Checked", "Found", "skep", "image check"))]
        if status not in (0, 1) or (status == 1) != bool(kinds):
            self.bad.append(f"skep image check: status {status}: {text[-400:]}")
        self.bad += [f"skep image check: {line}" for line in text.splitlines() if line.split(":")[0] in kinds and line.split(":")[0] not in HARMLESS]

    def mounted(self, names):
        """One image's file system, as the kernel shows it."""
        by_id = {image.id: image for image in self.content.images}
        known = sorted(name for name, ident in names.items() if ident in by_id)
        if not known:
            return
        name = self.rand.choice(known)
        where = self.must("image", "mount", name).strip()
        if os.path.isdir(where):
            self.files_are(where, by_id[names[name]].digest)
            self.must("image", "unmount", where)

    def files_are(self, where, manifest):
        """A file system is that of an image whose files we know."""
        image = next((image for image in self.content.images if image.digest == manifest), None)
        if not image:
            return
        found, wanted = {}, {}
        for at, _, files in os.walk(where):
            for file in files:
                with open(os.path.join(at, file), "rb") as f:
                    found[os.path.relpath(os.path.join(at, file), where)] = hashlib.sha256(f.read()).hexdigest()
        for layer in image.layers:
            with tarfile.open(fileobj=io.BytesIO(layer)) as t:
                wanted.update((m.name, hashlib.sha256(t.extractfile(m).read()).hexdigest()) for m in t if m.isfile())
        if found != wanted:
            self.bad.append(f"{where}: other files: {sorted(k for k in set(found) | set(wanted) if found.get(k) != wanted.get(k))[:8]}")

    def next_pulls(self):
        """Of what was being pulled, and of something else."""
        wanted = [name for mark in self.expected.under_way if mark["what"].startswith("pull ") for name in mark["effects"]]
        wanted.append(f"{self.content.host}/after:i{self.rand.randrange(len(self.content.images))}")
        for name in wanted:
            if name.rpartition(":")[2] not in self.content.double.manifests:  # of a replayed recording
                self.content.double.add_manifest(self.content.images[0].manifest, name.rpartition(":")[2])
            self.must("pull", "-q", name)

    def away(self):
        """All that is there can be removed, and leaves nothing."""
        ids = sorted({row[0] for row in self.skep.query("SELECT id FROM images")})
        if ids:
            self.must("rmi", "-f", *ids)
        left = [os.path.relpath(os.path.join(at, file), self.skep.root) for folder in ("blobs", "layers", "merged", "trees", "ingest")
                for at, _, files in os.walk(os.path.join(self.skep.root, folder)) for file in files if folder != "ingest" or file.startswith("new-")]  # the rest of ingest/ is gone on with
        self.bad += [f"left behind: {path}" for path in left]

    def all(self):
        self.files_of_others()
        names = self.names()
        self.bad += self.expected.complaints(names)
        if self.bad and not os.path.exists(os.path.join(self.skep.root, "skep.db")):
            return self.bad
        self.rows()
        if names:
            self.index(names)
        self.mounted(names)
        self.next_pulls()
        self.findings()
        self.must("image", "check", "--repair")
        self.rows()
        if "Found" in self.must("image", "check"):
            self.bad.append("skep image check: finds something after a repair")
        self.away()
        return self.bad
