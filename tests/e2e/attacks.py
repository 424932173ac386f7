"""What attacks on images are made of: archives byte by byte, images of any bytes, and skep as their victim, watched from outside."""
import base64
import gzip
import io
import json
import os
import shutil
import subprocess
import tarfile
import tempfile

import pytest

from canary import Canary
from images import OCI_MANIFEST, SKEP, Skep
from registry_double import Registry, digest_of
from test_erofs import VIEW, parse, shell

CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar"
END = bytes(1024)
CANARY = os.path.join(tempfile.gettempdir(), f"skep-canary-{os.getpid()}")  # one path, so that archives can name it
MEASURE = os.path.join(os.path.dirname(SKEP), "tests", "image", "measure")
SANITIZED = "SAN_OPTIONS" in " ".join(os.environ)
MEMORY = 160 << 20  # what any refusal may take: skep itself, its worker with two threads a layer, and their buffers

# ---- archives ----


def octal(n, width):
    """A number field; base-256 when it is too large or negative."""
    if 0 <= n < 8 ** (width - 1):
        return b"%0*o\0" % (width - 1, n)
    return bytes([0xff if n < 0 else 0x80]) + n.to_bytes(width - 1, "big", signed=True)


def raw(value):
    return value if isinstance(value, bytes) else value.encode("utf-8", "surrogateescape")


def padded(data):
    return data + bytes(-len(data) % 512)


def record(key, value):
    """A record of an extended header: its length counts its own digits."""
    body = b" " + raw(key) + b"=" + raw(value) + b"\n"
    n = len(body) + 1
    while len(str(n)) + len(body) != n:
        n += 1
    return str(n).encode() + body


def header(name, kind=b"0", size=0, mode=0o644, uid=0, gid=0, mtime=1000, link="", magic=b"ustar\x0000", prefix="", device=(0, 0), bad_sum=False):
    block = bytearray(512)

    def put(at, value):
        block[at:at + len(value)] = value
    put(0, raw(name)[:100])
    for at, width, value in (100, 8, mode), (108, 8, uid), (116, 8, gid), (124, 12, size), (136, 12, mtime), (329, 8, device[0]), (337, 8, device[1]):
        put(at, value if isinstance(value, bytes) else octal(value, width))
    put(156, raw(kind))
    put(157, raw(link)[:100])
    put(257, magic)
    put(345, raw(prefix))
    put(148, b"        ")
    put(148, b"%06o\0 " % (sum(block) + bad_sum))
    return bytes(block)


def pax(*records, kind=b"x", name="pax"):
    data = b"".join(r if isinstance(r, bytes) else record(*r) for r in records)
    return header(name, kind, len(data)) + padded(data)


def member(name, data=b"", kind=b"0", size=None, long=None, longlink=None, records=(), **more):
    """One member with all that belongs to it; size: what the header says, when that is a lie."""
    out = b""
    for extra, letter in (long, b"L"), (longlink, b"K"):
        if extra is not None:
            text = raw(extra) + b"\0"
            out += header("././@LongLink", letter, len(text), magic=b"ustar  \0") + padded(text)
    if records:
        out += pax(*records)
    return out + header(name, kind, len(data) if size is None else size, **more) + padded(data)


def tar(*members):
    return b"".join(members) + END


def tar_of(files):
    """name to bytes, or to a TarInfo, as Python writes it"""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for name, data in files.items():
            info = data if isinstance(data, tarfile.TarInfo) else tarfile.TarInfo(name)
            if data is not info:
                info.size = len(data)
            archive.addfile(info, None if data is info else io.BytesIO(data))
    return out.getvalue()


# ---- images ----


def pack(data):
    return gzip.compress(data, 1, mtime=0)


class Image:
    """An image of any tars; what it says of itself may be changed before it is served."""

    def __init__(self, *tars, blobs=None, media_type=LAYER + "+gzip", algorithm="sha256", **config):
        self.tars = tars
        self.blobs = blobs or [pack(t) for t in tars]
        self.algorithm = algorithm
        self.document = {"architecture": "amd64", "os": "linux", "config": {}, "rootfs": {"type": "layers", "diff_ids": [digest_of(t) for t in tars]}, **config}
        self.config = json.dumps(self.document).encode()
        self.manifest = {"schemaVersion": 2, "mediaType": OCI_MANIFEST, "config": self.describe(self.config, CONFIG),
                         "layers": [self.describe(b, media_type) for b in self.blobs]}

    def describe(self, data, media_type, **more):
        return {"mediaType": media_type, "digest": digest_of(data, self.algorithm), "size": len(data), **more}

    def serve(self, double, tag="1", media_type=OCI_MANIFEST, text=None):
        for data in (self.config, *self.blobs):
            double.blobs[digest_of(data, self.algorithm)] = data
        return double.add_manifest(json.dumps(self.manifest).encode() if text is None else text, tag, media_type=media_type)

    def layout(self, **more):
        """Members of an OCI image layout."""
        text = json.dumps(self.manifest).encode()
        return {"oci-layout": b'{"imageLayoutVersion":"1.0.0"}',
                "index.json": json.dumps({"schemaVersion": 2, "manifests": [self.describe(text, OCI_MANIFEST, annotations={
                    "io.containerd.image.name": "docker.io/library/x:1"})]}).encode(),
                **{f"blobs/sha256/{digest_of(data)[7:]}": data for data in (text, self.config, *self.blobs)}, **more}


# ---- the victim ----


class Outcome:
    def __init__(self, status, out, err, memory):
        self.status, self.out, self.err, self.memory = status, out, err, memory


class Victim(Skep):
    """skep, and things beside it that it has to leave alone. Its working directory is the canary, so that names which it would take as
    those of the host lead there."""

    def __init__(self, top):
        super().__init__(top)
        shutil.rmtree(CANARY, ignore_errors=True)
        self.canary = Canary(CANARY)

    def close(self):
        while subprocess.run(["rm", "-rf", self.top, CANARY], check=False).returncode:  # trees that are too deep for Python
            pass  # a process that skep left behind is at it, too

    def measured(self, *args, stdin=b"", deadline=20):
        """One run: its status, output, and the most memory that it or its worker had."""
        kib = os.path.join(self.top, "kib")
        with tempfile.TemporaryFile() as given, tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
            given.write(stdin)
            given.seek(0)
            done = subprocess.run([MEASURE, kib, *self.command(*args)], stdin=given, stdout=out, stderr=err, env=self.env, cwd=self.canary.path,
                                  timeout=deadline, check=False)
            out.seek(0)
            err.seek(0)
            with open(kib, encoding="ascii") as f:
                return Outcome(done.returncode, out.read(), err.read(), int(f.read()) << 10)

    def refuses(self, *args, stdin=b"", memory=MEMORY, status=1, parts=False):
        """The line with which it refuses: one line of printable text, and nothing left but (parts) what a later pull would go on with."""
        done = self.measured(*args, stdin=stdin)
        text = done.err.decode()
        assert done.status == status, (done.status, text, done.out[-1000:])
        assert text.endswith("\n") and text.count("\n") == 1 and len(text) < 1100, text
        assert all(c.isprintable() for c in text[:-1]), text
        assert SANITIZED or done.memory < memory, f"{done.memory >> 20} MiB: {text}"
        self.untouched(parts)
        return text[:-1]

    def takes(self, *args, stdin=b"", memory=MEMORY, deadline=20):
        done = self.measured(*args, stdin=stdin, deadline=deadline)
        assert done.status == 0, done.err.decode()
        assert SANITIZED or done.memory < memory, f"{done.memory >> 20} MiB"
        self.canary.intact()
        return done.out.decode()

    def untouched(self, parts=False):
        """No row, no file of an image, no mount; and the host is as it was."""
        self.canary.intact()
        with open("/proc/self/mountinfo", encoding="utf-8") as f:
            assert self.top not in f.read()
        if not os.path.exists(f"{self.root}/skep.db"):
            return
        for table in "images", "names", "contents", "layers", "image_layers", "repo_digests", "snapshots":
            assert self.query(f"SELECT * FROM {table}") == [], table
        left = [name for name in self.ingest() if not (parts and name.endswith(".blob"))]
        assert left == [] and self.faults() == []

    # ---- what an image shows ----

    def view_all(self, names, kinds=("erofs", "tree")):
        """The files of images, mounted in a namespace of its own: by name and kind, what tree_view.py tells of each path."""
        at = os.path.join(self.top, "mnt")
        for kind in kinds:
            for name in names:
                os.makedirs(os.path.join(at, kind, name.replace("/", "_")), exist_ok=True)
        script = """
            view=$1 at=$2 names=$3 kinds=$4; shift 4
            for name in $names; do for kind in $kinds; do "$@" --kind "$kind" "$name" "$at/$kind/$(echo "$name" | tr / _)" >&2; done; done
            cd "$at" && exec "$view" .
        """
        out = shell(script, VIEW, at, " ".join(names), " ".join(kinds), *self.command("image", "mount"))
        self.canary.intact()
        found = {(name, kind): {} for name in names for kind in kinds}
        images = {name.replace("/", "_"): name for name in names}
        for line in parse(out):
            parts = line.pop("name").split("/", 2)
            if len(parts) < 2:
                continue  # a directory above the mounts
            line.pop("path")
            if "same_as" in line:
                line["same_as"] = bytes.fromhex(line["same_as"]).split(b"/", 2)[2]
            found[images[parts[1]], parts[0]][parts[2] if len(parts) > 2 else ""] = line
        return found

    def view(self, name, kind):
        return self.view_all([name], [kind])[name, kind]

    def views(self, name):
        """As EROFS and as a directory: the same."""
        mounted, unpacked = self.view_all([name]).values()
        assert mounted == unpacked
        return mounted


def basic(user, password):
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


def log_in(skep, host, user, password):
    with open(os.path.join(skep.config, "config.json"), "w", encoding="utf-8") as f:
        json.dump({"auths": {host: {"auth": basic(user, password)[6:]}}}, f)


# ---- fixtures, for the files that import them ----

built = pytest.mark.skipif(not os.access(MEASURE, os.X_OK), reason=f"no {MEASURE}: run ./dev build")


@pytest.fixture
def skep(quick_disk):
    made = Victim(os.path.join(quick_disk, "victim"))
    yield made
    made.close()


def make_double():
    made = Registry()
    made.host = f"127.0.0.1:{made.port}"
    made.name = f"{made.host}/x:1"
    yield made
    made.close()


double = pytest.fixture(make_double, name="double")
other = pytest.fixture(make_double, name="other")
