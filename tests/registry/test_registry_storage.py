"""What is on the disk: restarts, kills, collections, checks, quotas."""
import http.client
import os
import random
import resource
import signal
import subprocess
import threading
import time

import pytest
from conftest import MANIFEST, SERVER, Client, digest, wait_for

BLOB = random.Random(1).randbytes(3 << 20)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_upload_goes_on_after_a_restart(registry, number):
    c = registry.client()
    where = c.session("a")
    assert c("PATCH", where, BLOB[:1000000]).status == 202
    registry.stop(number)
    c = registry.start().client()
    a = c("GET", where)
    assert (a.status, a["Range"]) == (204, "0-999999")
    assert c("PATCH", where, BLOB[:10], Content_Range="0-9").status == 416
    assert c("PATCH", where, BLOB[1000000:], Content_Range=f"1000000-{len(BLOB) - 1}").status == 202
    assert c("PUT", f"{where}?digest={digest(BLOB)}").status == 201
    assert c("GET", f"/v2/a/blobs/{digest(BLOB)}").body == BLOB
    registry.stop()
    registry.sound()


def test_everything_is_there_after_a_restart(registry):
    c = registry.client()
    it = c.image("a", "latest", (BLOB,))
    registry.stop(signal.SIGKILL)
    c = registry.start().client()
    assert c("GET", "/v2/a/manifests/latest")["Docker-Content-Digest"] == it
    assert c("GET", f"/v2/a/blobs/{digest(BLOB)}").body == BLOB
    assert c("GET", "/v2/a/tags/list").json()["tags"] == ["latest"]


def send_half(port, where, data):
    """A client that goes away in the middle of its body."""
    c = http.client.HTTPConnection("127.0.0.1", port)
    c.putrequest("PATCH", where)
    c.putheader("Content-Length", str(2 * len(data)))
    c.endheaders()
    c.send(data)
    return c


def test_what_arrived_before_the_client_went_is_kept(registry, client):
    where = client.session("a")
    half = send_half(registry.port, where, BLOB[:600000])
    wait_for(lambda: registry.metric("skep_registry_received_bytes_total") == 600000)
    half.close()
    wait_for(lambda: client("GET", where)["Range"] == "0-599999")
    wait_for(lambda: client("PATCH", where, BLOB[600000:]).status == 202)
    assert client("PUT", f"{where}?digest={digest(BLOB)}").status == 201


def test_second_writer_takes_over(registry, client):
    where = client.session("a")
    half = send_half(registry.port, where, BLOB[:600000])
    wait_for(lambda: registry.metric("skep_registry_received_bytes_total") == 600000)
    a = client("PATCH", where, BLOB[:5])
    assert (a.status, a.code()) == (409, "BLOB_UPLOAD_INVALID")
    wait_for(lambda: client("PATCH", where, BLOB[600000:], Content_Range=f"600000-{len(BLOB) - 1}").status == 202)
    assert client("PUT", f"{where}?digest={digest(BLOB)}").status == 201
    half.close()


@pytest.mark.parametrize("flags", [["--http1.1"], ["--http2-prior-knowledge"]])
def test_little_memory_for_each_of_many(registry, client, tmp_path, flags):
    """A thousand bodies at once: HTTP/2 then brings more of one than its ring has room for."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, 4096), hard))
    halves = [send_half(registry.port, client.session("a"), BLOB[:1000]) for _ in range(1100)]
    wait_for(lambda: registry.metric("skep_registry_received_bytes_total") == 1100 * 1000)
    data = BLOB * 5
    (tmp_path / "blob").write_bytes(data)
    where = f"http://127.0.0.1:{registry.port}{client.session('b')}?digest={digest(data)}"
    with open(tmp_path / "blob", "rb") as blob:  # from a pipe: of unknown length
        cat = subprocess.Popen(["cat"], stdin=blob, stdout=subprocess.PIPE)
        curl = ["curl", "-sS", *flags, "-o", tmp_path / "answer", "-w", "%{http_code}", "-T", "-", where]
        assert subprocess.run(curl, stdin=cat.stdout, capture_output=True, text=True, check=True).stdout == "201"
        assert cat.wait() == 0
    assert client("GET", f"/v2/b/blobs/{digest(data)}").body == data
    for half in halves:
        half.close()


def push_until(stop, port, seed, pushed):
    random_ = random.Random(seed)
    c = Client(port)
    try:
        while not stop.is_set():
            layer = random_.randbytes(random_.randrange(200000))
            tag = f"t{random_.randrange(5)}"
            pushed.append((c.image(f"r{seed}", tag, (layer,)), layer))
    except (OSError, http.client.HTTPException):
        pass  # killed


def test_kill_during_pushes(registry):
    for turn in range(3):
        stop, pushed = threading.Event(), []
        threads = [threading.Thread(target=push_until, args=(stop, registry.port, n + 10 * turn, pushed)) for n in range(4)]
        for t in threads:
            t.start()
        wait_for(lambda: len(pushed) > 8)
        registry.stop(signal.SIGKILL)
        stop.set()
        for t in threads:
            t.join()
        registry.sound()
        registry.start()
    problems, counts = [], None
    registry.stop()
    registry.command("gc")
    problems, counts = registry.command("check")
    assert problems == [] and counts["manifests"] > 0
    assert len(registry.blobs()) == counts["blobs"]


def test_second_process_is_refused(registry):
    done = subprocess.run([SERVER, "--config", registry.config, "gc"], capture_output=True, text=True, check=False)
    assert done.returncode == 1 and "in use by another registry process" in done.stderr


def test_check_finds_and_repairs(registry):
    c = registry.client()
    c.image("a", "x", (b"one", b"two"))
    registry.stop()
    blobs = registry.root / "blobs" / "sha256"
    (blobs / digest(b"one")[7:]).unlink()
    (blobs / digest(b"two")[7:]).write_bytes(b"owt")
    problems, _ = registry.command("check")
    assert len(problems) == 2 and "no such file" in problems[0] + problems[1] and "its bytes are others" in problems[0] + problems[1]
    _, counts = registry.command("repair")
    assert counts["repaired"] == 2
    c = registry.start().client()
    assert c("HEAD", f"/v2/a/blobs/{digest(b'one')}").status == 404
    c.image("a", "x", (b"one", b"two"))
    registry.stop()
    registry.sound()


def test_blobs_are_stored_once(registry, client):
    for name in "abc":
        client.push(name, BLOB)
    assert registry.blobs() == [digest(BLOB)[7:]]


# ---- collection ----


def test_collection_takes_what_nobody_holds(make):
    registry = make(gc={"grace": 0, "disabled": True}).start()
    c = registry.client()
    c.image("a", "kept", (b"kept",))
    lost = c.push("a", b"nobody refers to this")
    deleted = c.image("a", "deleted", (b"deleted",))
    c("DELETE", f"/v2/a/manifests/{deleted}")
    registry.collect()
    assert c("HEAD", f"/v2/a/blobs/{lost}").status == 404
    assert sorted(registry.blobs()) == sorted(digest(x)[7:] for x in (b"kept", b'{"os":"linux"}'))
    assert c("GET", f"/v2/a/blobs/{digest(b'kept')}").body == b"kept"
    registry.stop()
    registry.sound()


def test_grace_keeps_what_was_just_pushed(make):
    registry = make(gc={"grace": 3600, "disabled": True}).start()
    c = registry.client()
    it = c.push("a", b"a manifest will follow")
    registry.collect()
    assert c("HEAD", f"/v2/a/blobs/{it}").status == 200


def test_untagged_and_dangling(make):
    registry = make(gc={"grace": 0, "disabled": True, "untagged": True, "dangling": True}).start()
    c = registry.client()
    child = c.image("a", None, (b"child",))
    index = {"schemaVersion": 2, "manifests": [{"mediaType": MANIFEST, "digest": child, "size": 1}]}
    a, _ = c.manifest("a", "index", index, "application/vnd.oci.image.index.v1+json")
    assert a.status == 201
    subject = c.image("a", "subject")
    referrer = c.image("a", None, (b"referrer",), subject={"mediaType": MANIFEST, "digest": subject, "size": 1})
    untagged = c.image("a", None, (b"untagged",))
    registry.collect()
    for it, status in ((child, 200), (subject, 200), (referrer, 200), (untagged, 404)):
        assert c("HEAD", f"/v2/a/manifests/{it}").status == status
    c("DELETE", "/v2/a/manifests/index")
    c("DELETE", f"/v2/a/manifests/{subject}")
    registry.collect()
    for it in (child, subject, referrer):
        assert c("HEAD", f"/v2/a/manifests/{it}").status == 404
    assert registry.blobs() == []


def test_retention(make):
    rules = [{"repositories": ["team/**"], "tags": ["v*"], "keepLast": 2}]
    registry = make(gc={"grace": 0, "disabled": True, "retention": rules}).start()
    c = registry.client()
    for name in ("team/app", "other"):
        for i in range(4):
            c.image(name, f"v{i}", (f"{name}{i}".encode(),))
        c.image(name, "latest")
    assert c("HEAD", "/v2/team/app/manifests/v0").status == 200  # now it is in the cache
    registry.collect()
    assert c("GET", "/v2/team/app/tags/list").json()["tags"] == ["latest", "v2", "v3"]
    assert c("HEAD", "/v2/team/app/manifests/v0").status == 404
    assert len(c("GET", "/v2/other/tags/list").json()["tags"]) == 5


def test_collections_race_with_pushes(make):
    registry = make(gc={"grace": 0, "disabled": True, "untagged": True}).start()
    stop, failures, done = threading.Event(), [], [0]

    def push(seed):
        random_, c = random.Random(seed), Client(registry.port)
        shared = [random.Random(n).randbytes(2000) for n in range(4)]
        while not stop.is_set():
            layers = [shared[random_.randrange(4)], random_.randbytes(500)]
            try:
                it = c.image("r", f"t{seed}", layers)
            except AssertionError as e:
                # without a grace a blob may be collected before its manifest comes: that must be said
                if "MANIFEST_BLOB_UNKNOWN" not in str(e):
                    failures.append(str(e))
                continue
            for layer in layers:
                a = c("GET", f"/v2/r/blobs/{digest(layer)}")
                if a.status != 200 or a.body != layer:
                    failures.append(f"{it}: {digest(layer)}: {a.status}")
            done[0] += 1

    threads = [threading.Thread(target=push, args=(n,)) for n in range(4)]
    for t in threads:
        t.start()
    for _ in range(15):
        registry.collect()
    wait_for(lambda: done[0] > 20)
    stop.set()
    for t in threads:
        t.join()
    assert failures == []
    registry.stop()
    registry.sound()


def test_head_renews_the_lease(make):
    registry = make(gc={"grace": 2, "disabled": True}).start()
    c = registry.client()
    it, other = c.push("a", b"asked for"), c.push("a", b"not asked for")
    end = time.monotonic() + 2.5
    while time.monotonic() < end:
        assert c("HEAD", f"/v2/a/blobs/{it}").status == 200
    registry.collect()
    assert c("HEAD", f"/v2/a/blobs/{it}").status == 200
    assert c("HEAD", f"/v2/a/blobs/{other}").status == 404


def test_old_uploads_and_lost_files_go(make):
    registry = make(gc={"grace": 0, "disabled": True}, uploadExpiry=1).start()
    c = registry.client()
    where = c.session("a")
    c("PATCH", where, b"begun")
    registry.stop()
    for f in (registry.root / "uploads").iterdir():
        os.utime(f, (1, 1))
    (registry.root / "blobs" / "sha256" / ("0" * 64)).write_bytes(b"lost")
    registry.start().collect()
    assert registry.client()("GET", where).status == 404
    assert registry.blobs() == [] and list((registry.root / "uploads").iterdir()) == []


# ---- limits ----


def test_quotas(make):
    registry = make(quotas=[{"prefix": "team", "bytes": 10000}, {"prefix": "", "bytes": 30000}], maxRepositories=3).start()
    c = registry.client()
    c.push("team/a", b"x" * 6000)
    a = c("POST", f"/v2/team/b/blobs/uploads/?digest={digest(b'y' * 6000)}", b"y" * 6000)
    assert (a.status, a.code()) == (403, "DENIED") and "quota" in a.json()["errors"][0]["message"]
    c.push("team/b", b"y" * 3000)
    c.push("teamwork", b"y" * 20000)
    assert c("POST", f"/v2/team/a/blobs/uploads/?mount={digest(b'y' * 20000)}&from=teamwork").status == 403
    assert c("POST", f"/v2/fourth/blobs/uploads/?digest={digest(b'z')}", b"z").status == 403
    c("DELETE", f"/v2/team/a/blobs/{digest(b'x' * 6000)}")
    c.push("team/b", b"z" * 6000)
    registry.stop()
    registry.sound()


def test_largest_blob(make):
    c = make(maxBlob=1000).start().client()
    c.push("a", b"x" * 1000)
    assert c("POST", f"/v2/a/blobs/uploads/?digest={digest(b'x' * 1001)}", b"x" * 1001).code() == "SIZE_INVALID"
    where = c.session("a")
    c("PATCH", where, b"x" * 600)
    assert c("PATCH", where, b"x" * 600).status == 400


def test_an_upload_beyond_its_quota_ends_early(make):
    """What cannot be kept is not taken in first, whatever the client says of its length."""
    registry = make(quotas=[{"prefix": "team", "bytes": 10000}]).start()
    c = registry.client()
    where = c.session("team/a")
    a = c("PATCH", where, iter([bytes(8000)] * 500), Transfer_Encoding="chunked")
    assert (a.status, a.code()) == (403, "DENIED") and "repositories below team may hold 10000 bytes" in a.json()["errors"][0]["message"]
    assert c("POST", f"/v2/team/a/blobs/uploads/?digest={digest(bytes(20000))}", bytes(20000)).status == 403
    assert sum(x.stat().st_size for x in (registry.root / "uploads").iterdir()) <= 10000
    c.push("teams/a", bytes(20000))  # beside the prefix
    registry.stop()
    registry.sound()


def test_readonly_and_no_delete(make):
    registry = make().start()
    it = registry.client().image("a", "x")
    registry.stop()
    registry.configure(readonly=True)
    c = registry.start().client()
    assert c("GET", "/v2/a/manifests/x").status == 200
    for method, path in (("POST", "/v2/a/blobs/uploads/"), ("DELETE", f"/v2/a/manifests/{it}"), ("PUT", "/v2/a/manifests/y")):
        a = c(method, path)
        assert (a.status, a.code()) == (405, "UNSUPPORTED")
    registry.stop()
    registry.configure(noDelete=True)
    c = registry.start().client()
    assert c("DELETE", f"/v2/a/manifests/{it}").status == 405
    c.push("a", b"x")


def test_sparse(make):
    c = make(sparse=True).start().client()
    missing = {"mediaType": MANIFEST, "digest": digest(b"x"), "size": 1}
    a, _ = c.manifest("a", "x", {"schemaVersion": 2, "mediaType": MANIFEST, "config": missing, "layers": []})
    assert a.status == 201


@pytest.fixture
def small_disk(tmp_path):
    if os.geteuid() != 0:
        pytest.skip("mounting a small file system needs root")
    place = tmp_path / "root"
    place.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "small", place], check=True)
    yield place
    subprocess.run(["umount", place], check=True)


def test_full_disk(small_disk, make):
    registry = make().start()
    c = registry.client()
    c.image("a", "x", (BLOB[:1000000],))
    for _ in range(3):
        a = c("POST", f"/v2/a/blobs/uploads/?digest={digest(BLOB)}", BLOB)
        assert (a.status, a.json()["errors"][0]["message"]) == (507, "no space left in the registry")
        where = c.session("a")
        assert c("PATCH", where, BLOB[:100]).status == 202
        assert c("PATCH", where, BLOB).status == 507
        assert c("GET", where)["Range"].startswith("0-")
        assert c("DELETE", where).status == 204
    assert c("GET", f"/v2/a/blobs/{digest(BLOB[:1000000])}").body == BLOB[:1000000]
    c.push("a", b"there is room for this")
    registry.stop()
    registry.sound()
    assert list((small_disk / "uploads").iterdir()) == []
