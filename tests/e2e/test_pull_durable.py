"""skep and the disk: what a power cut may take. tests/crash/powercut tries it."""
import gzip
import io
import json
import os
import re
import shutil
import subprocess
import tarfile

import pytest
from registry_double import Registry, digest_of

HERE = os.path.dirname(os.path.abspath(__file__))
SKEP = os.path.join(os.path.dirname(os.environ.get("RUNTIME", "")) or os.path.join(HERE, "../../build"), "skep")
LAYERS = 5

pytestmark = [pytest.mark.skipif(not os.path.exists(SKEP), reason=f"no {SKEP}"),
              pytest.mark.skipif(not shutil.which("strace"), reason="no strace")]


def layer(n):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        info = tarfile.TarInfo(f"file{n}")
        info.size = 100000
        tar.addfile(info, io.BytesIO(os.urandom(info.size)))
    return out.getvalue()


@pytest.fixture
def registry():
    made = Registry()
    tars = [layer(n) for n in range(LAYERS)]
    config = json.dumps({"architecture": "amd64", "os": "linux", "rootfs": {"type": "layers", "diff_ids": [digest_of(t) for t in tars]}}).encode()
    blobs = [gzip.compress(t) for t in tars]
    oci = "application/vnd.oci.image"
    made.add_blob(config)
    made.add_manifest(json.dumps({
        "schemaVersion": 2, "mediaType": f"{oci}.manifest.v1+json",
        "config": {"mediaType": f"{oci}.config.v1+json", "digest": digest_of(config), "size": len(config)},
        "layers": [{"mediaType": f"{oci}.layer.v1.tar+gzip", "digest": made.add_blob(b), "size": len(b)} for b in blobs]}).encode(), "latest")
    yield made
    made.close()


def traced(tmp_path, calls, *command):
    """The lines of strace of a command on the store."""
    trace = tmp_path / "trace"
    subprocess.run(["strace", "-f", "-y", "-o", trace, "-e", f"trace={calls}", SKEP, "--root", tmp_path / "root", *command], check=True, timeout=60,
                   stdout=subprocess.DEVNULL)
    return trace.read_text().splitlines()


def first(lines, pattern):
    return next(i for i, line in enumerate(lines) if re.search(pattern, line))


def test_order(registry, tmp_path):
    """Data before names, names before rows, and each group together, so that the file system commits it at once."""
    trace, root = tmp_path / "trace", tmp_path / "root"
    calls = "trace=renameat,renameat2,fsync,fdatasync"
    subprocess.run(["strace", "-y", "-o", trace, "-e", calls, SKEP, "--root", root, "pull", "-q", f"127.0.0.1:{registry.port}/i"], check=True, timeout=60,
                   stdout=subprocess.DEVNULL)
    steps = []
    for line in trace.read_text().splitlines():
        if re.match(r'fdatasync\(\d+<[^>]*/ingest/', line):
            steps.append("data")
        elif re.match(r'renameat2?\(\d+<[^>]*/ingest>', line):
            steps.append("name")
        elif re.match(r'fsync\(\d+<[^>]*/(layers|blobs)(/\w+)?>', line):
            steps.append("directory")
        elif re.match(r'fdatasync\(\d+<[^>]*/skep\.db', line):
            steps.append("rows")
    files = 2 + 3 * LAYERS  # manifest, configuration; blob, tar and index
    steps = steps[steps.index("data"):]  # before: the database is made
    assert steps[:2 * files] == ["data"] * files + ["name"] * files
    directories = LAYERS + 3  # of each layer; layers, blobs, blobs/sha256
    assert steps[2 * files:2 * files + directories] == ["directory"] * directories
    assert "rows" in steps[2 * files + directories:]


def test_removal(registry, tmp_path):
    """No file goes before the disk knows that its row has gone."""
    name = f"127.0.0.1:{registry.port}/i"
    subprocess.run([SKEP, "--root", tmp_path / "root", "pull", "-q", name], check=True, timeout=60, stdout=subprocess.DEVNULL)
    lines = traced(tmp_path, "unlinkat,fdatasync", "rmi", name)
    assert sum("unlinkat" in line for line in lines) >= 2 + 3 * LAYERS
    assert first(lines, r"fdatasync\(\d+<[^>]*/skep\.db-wal") < first(lines, r"unlinkat\(\d+<[^>]*>, \"(blobs|tar)")


def test_what_other_tools_read(registry, tmp_path):
    """oci-layout and index.json are never found empty: their bytes are on the way to the disk before their names are."""
    lines = traced(tmp_path, "fdatasync,sync_file_range,renameat", "pull", "-q", f"127.0.0.1:{registry.port}/i")
    for name, sync in ("oci-layout", "fdatasync"), ("index.json", "(sync_file_range|fdatasync)"):
        temporary = rf"/root/\.{name}\.\d+\.tmp"
        assert first(lines, rf"{sync}\(\d+<[^>]*{temporary}>") < first(lines, rf'renameat\(\d+<[^>]*>, "\.{name}\.')


def test_an_index_from_before(registry, tmp_path):
    """The rename of index.json may be lost, and what the database says of it not: the next command writes it again."""
    root, name = tmp_path / "root", f"127.0.0.1:{registry.port}/i"

    def skep(*command):
        subprocess.run([SKEP, "--root", root, *command], check=True, timeout=60, stdout=subprocess.DEVNULL)

    skep("images")
    before = (root / "index.json").read_bytes()
    skep("pull", "-q", name)
    after = (root / "index.json").read_bytes()
    assert b"ref.name" in after and b"ref.name" not in before
    (root / "old").write_bytes(before)
    (root / "old").rename(root / "index.json")
    skep("images")
    assert (root / "index.json").read_bytes() == after
    (root / "index.json").unlink()
    (root / "oci-layout").write_bytes(b"")
    skep("images")
    assert (root / "index.json").read_bytes() == after and json.loads((root / "oci-layout").read_bytes()) == {"imageLayoutVersion": "1.0.0"}
    stamp = (root / "index.json").stat().st_mtime_ns
    skep("images")
    assert (root / "index.json").stat().st_mtime_ns == stamp
