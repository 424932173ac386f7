"""The registry and power cuts: what clients push and delete, and what must be served afterwards."""
import contextlib
import http.client
import json
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import threading
import time

from blockdisk import DEADLINE, Neighbour
from cut_images import Client, archive_of
from images import OCI_MANIFEST, SKEP, Made
from promises import UNKNOWN, Expected, Promises
from registry_double import Registry as Upstream
from registry_double import digest_of

HOST, PORT = "127.0.0.1", 5000  # in a network namespace of our own
SIZES = (50, 2000, 30000, 150000, 400000, 1500000)
REPOSITORIES = ("a/one", "a/two", "b")
UPSTREAM = 5001
GC = {"grace": 0, "untagged": True, "dangling": True, "interval": 86400}


class Server:
    def __init__(self, top, root, prefix=()):
        self.root, self.config, self.log = root, os.path.join(top, "registry.json"), os.path.join(top, "registry.log")
        with open(self.config, "w", encoding="utf-8") as f:
            json.dump({"root": root, "listen": [f"{HOST}:{PORT}"], "gc": GC,
                       "proxies": [{"prefix": "hub", "upstream": f"http://{HOST}:{UPSTREAM}"}]}, f)
        self.prefix, self.process = list(prefix), None

    def start(self):
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen([*self.prefix, SKEP, "registry", "serve", "--config-file", self.config], stdin=subprocess.DEVNULL,
                                            stdout=subprocess.PIPE, stderr=log)
        if b"listens on" not in self.process.stdout.readline():
            self.process.wait(DEADLINE)
            with open(self.log, encoding="utf-8") as f:
                raise AssertionError(f"the registry does not start: {f.read()[-400:]}")
        return self

    def stop(self, number=signal.SIGTERM):
        self.process.send_signal(number)
        self.process.wait(DEADLINE)
        self.process.stdout.close()

    def offline(self, *args):
        done = subprocess.run([SKEP, "registry", *args, "--config-file", self.config], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, timeout=DEADLINE, check=False)
        return done.returncode, done.stdout.decode(errors="replace").strip()


class Http:
    def __init__(self):
        self.connection = None

    def __call__(self, method, path, body=None, **headers):
        if not self.connection:
            self.connection = http.client.HTTPConnection(HOST, PORT, timeout=DEADLINE)
        try:
            self.connection.request(method, path, body, {k.replace("_", "-"): v for k, v in headers.items()})
            answer = self.connection.getresponse()
            answer.body = answer.read()
        except BaseException:
            self.close()
            raise
        if answer.will_close:
            self.close()
        return answer

    def must(self, status, method, path, body=None, **headers):
        answer = self(method, path, body, **headers)
        assert answer.status == status, (method, path, answer.status, answer.body[:300])
        return answer

    def close(self):
        if self.connection:
            self.connection.close()
        self.connection = None


def blob(repository, digest):
    return f"{repository} blob {digest}"


def manifest(repository, digest):
    return f"{repository} manifest {digest}"


def tag(repository, name):
    return f"{repository} tag {name}"


class Content:
    def __init__(self, rand):
        layers = [{f"f{i}": rand.randbytes(size)} for i, size in enumerate(SIZES)]
        self.images = [Made(*(layers[k] for k in sorted(rand.sample(range(len(layers)), rand.randint(1, 3)))), labels={"n": str(n)}) for n in range(8)]
        self.loose = [rand.randbytes(size) for size in (10, 70000, 300000)]
        self.blobs = {digest_of(data): data for image in self.images for data in (image.config, *image.layers)}
        self.blobs.update((digest_of(data), data) for data in self.loose)
        self.manifests = {image.digest: image.manifest for image in self.images}
        self.by_digest = {image.digest: image for image in self.images}
        self.upstream = Upstream(port=UPSTREAM)
        for n, image in enumerate(self.images):
            image.serve(self.upstream, f"i{n}")


# ---- the load ----

class Worker:
    """A client. What one writes in a repository the other leaves alone."""

    def __init__(self, load, number, seed):
        self.load, self.number, self.rand = load, number, random.Random(seed)
        self.promises, self.content, self.http = load.promises, load.content, Http()
        self.repositories = [f"{name}{number}" for name in REPOSITORIES]

    def keys(self, repository, what):
        start = f"{repository} {what} "
        return [key[len(start):] for key in self.promises.keys(lambda key, value: key.startswith(start) and value != UNKNOWN)]

    def blob_whole(self, repository, data):
        self.http.must(201, "POST", f"/v2/{repository}/blobs/uploads/?digest={digest_of(data)}", data, Content_Type="application/octet-stream")

    def blob_in_chunks(self, repository, data):
        where = self.http.must(202, "POST", f"/v2/{repository}/blobs/uploads/").headers["Location"]
        step = max(1, len(data) // self.rand.randint(1, 3))
        for at in range(0, len(data), step):
            part = data[at:at + step]
            where = self.http.must(202, "PATCH", where, part, Content_Range=f"{at}-{at + len(part) - 1}").headers["Location"]
        self.http.must(201, "PUT", f"{where}?digest={digest_of(data)}", b"")

    def put_blob(self, repository, data):
        digest = digest_of(data)
        with self.promises.operation(f"blob {repository}", {blob(repository, digest): "there"}):
            others = [r for r in self.repositories if r != repository and digest in self.keys(r, "blob")]
            if others and self.rand.random() < 0.5:
                self.http.must(201, "POST", f"/v2/{repository}/blobs/uploads/?mount={digest}&from={others[0]}")
            elif self.rand.random() < 0.4:
                self.blob_in_chunks(repository, data)
            else:
                self.blob_whole(repository, data)

    def put_image(self):
        repository, image, name = self.rand.choice(self.repositories), self.rand.choice(self.content.images), f"t{self.rand.randrange(5)}"
        for data in (image.config, *image.layers):
            if digest_of(data) not in self.keys(repository, "blob") or self.rand.random() < 0.2:
                self.put_blob(repository, data)
        with self.promises.operation(f"image {repository} {name}", {manifest(repository, image.digest): "there", tag(repository, name): image.digest}):
            self.http.must(201, "PUT", f"/v2/{repository}/manifests/{name}", image.manifest, Content_Type=OCI_MANIFEST)

    def push_by_skep(self):
        repository, n = self.rand.choice(self.repositories), self.rand.randrange(len(self.content.images))
        image, name = self.content.images[n], f"{HOST}:{PORT}/{repository}:s{n}"
        effects = {blob(repository, digest_of(data)): "there" for data in (image.config, *image.layers)}
        with self.promises.operation(f"push {name}", {**effects, manifest(repository, image.digest): "there", tag(repository, f"s{n}"): image.digest}):
            self.load.skep.run("tag", self.load.local(n), name)
            self.load.skep.run("push", "-q", name)

    def delete_tag(self):
        repository = self.rand.choice(self.repositories)
        for name in self.keys(repository, "tag")[:1]:
            with self.promises.operation(f"untag {repository} {name}", {tag(repository, name): None}):
                self.http.must(202, "DELETE", f"/v2/{repository}/manifests/{name}")

    def delete_manifest(self):
        repository = self.rand.choice(self.repositories)
        for digest in self.keys(repository, "manifest")[:1]:
            tags = [name for name in self.keys(repository, "tag") if self.promises.get(tag(repository, name)) == digest]
            with self.promises.operation(f"delete {repository} {digest[:19]}", {manifest(repository, digest): None, **{tag(repository, t): None for t in tags}}):
                self.http.must(202, "DELETE", f"/v2/{repository}/manifests/{digest}")

    def loose_blob(self):
        """One that no manifest has, put and perhaps deleted."""
        repository, data = self.rand.choice(self.repositories), self.rand.choice(self.content.loose)
        self.put_blob(repository, data)
        if self.rand.random() < 0.5:
            with self.promises.operation(f"delete blob {repository}", {blob(repository, digest_of(data)): None}):
                self.http.must(202, "DELETE", f"/v2/{repository}/blobs/{digest_of(data)}")

    def half_a_blob(self):
        """A session that is left open: what it says it has it must have."""
        repository, data = self.rand.choice(self.repositories), self.rand.choice(self.content.loose)
        where = self.http.must(202, "POST", f"/v2/{repository}/blobs/uploads/").headers["Location"]
        with self.promises.operation(f"session {where} {digest_of(data)}", {}):
            self.http.must(202, "PATCH", where, data[:len(data) // 2])

    def through(self):
        """Copies of another registry. Nothing is promised of them."""
        n, repository = self.rand.randrange(len(self.content.images)), f"hub/x{self.number}"
        self.http.must(200, "GET", f"/v2/{repository}/manifests/i{n}", Accept=OCI_MANIFEST)
        for data in (self.content.images[n].config, *self.content.images[n].layers):
            self.http.must(200, "GET", f"/v2/{repository}/blobs/{digest_of(data)}")

    def work(self, n):
        kinds = {self.put_image: 6, self.through: 2, self.push_by_skep: 2, self.delete_tag: 2, self.delete_manifest: 2, self.loose_blob: 2, self.half_a_blob: 1}
        try:
            for _ in range(n):
                self.rand.choices(list(kinds), kinds.values())[0]()
        except BaseException as e:  # told by the one that waits
            self.load.failures.append(e)


class Load:
    name = "registry"

    def __init__(self, top, seed, operations, alone=False):
        self.top, self.seed, self.operations, self.alone = top, seed, operations, alone
        self.content = Content(random.Random(seed))
        self.failures, self.skep, self.promises, self.server = [], None, None, None
        self.skep = Client(top, "pusher", os.path.join(top, "pusher-store"))
        for n, image in enumerate(self.content.images):
            self.skep.run("load", "-q", stdin=archive_of(image, self.local(n)))

    @staticmethod
    def local(n):
        return f"{HOST}:{PORT}/local:{n}"

    def prepare(self, where):
        """For half of the seeds: a registry with a past; see cut_images.Load.prepare."""
        if self.seed % 2 == 0:
            return
        server, client = Server(self.top, os.path.join(where, "registry")).start(), Http()
        try:
            for i in range(120):
                data = str(i).encode()
                client.must(201, "POST", f"/v2/before/blobs/uploads/?digest={digest_of(data)}", data)
        finally:
            client.close()
            server.stop()

    def collect(self):
        """A collection, while nothing else is done. What it may take is promised no more."""
        values, effects = self.promises.values, {}
        for repository in [f"{name}{number}" for name in REPOSITORIES for number in range(2)]:
            tagged = {value for key, value in values.items() if key.startswith(f"{repository} tag ") and value}
            kept = {digest_of(data) for d in tagged for data in (self.content.by_digest[d].config, *self.content.by_digest[d].layers)}
            effects.update({key: UNKNOWN for key in values if key.startswith(f"{repository} manifest ") and key.split()[2] not in tagged and values[key]})
            effects.update({key: UNKNOWN for key in values if key.startswith(f"{repository} blob ") and key.split()[2] not in kept and values[key]})
        client = Http()

        def runs():
            lines = client.must(200, "GET", "/metrics").body.decode().splitlines()
            return next(float(line.split()[1]) for line in lines if line.startswith("skep_registry_gc_runs_total"))

        before, end = runs(), time.monotonic() + DEADLINE
        with self.promises.operation("collection", effects):
            self.server.process.send_signal(signal.SIGUSR1)
            while runs() == before:
                assert time.monotonic() < end, "the collection does not end"
        client.close()

    def restart(self, number):
        self.server.stop(number)
        self.server.start()

    def run(self, where, mark, prefix):
        rand = random.Random(self.seed)
        self.promises = Promises(mark)
        self.server = Server(self.top, os.path.join(where, "registry"), prefix).start()
        neighbour = Neighbour(where, random.Random(self.seed)) if rand.random() < 0.5 and not self.alone else None
        try:
            for _ in range(4):
                workers = [Worker(self, number, rand.random()) for number in range(rand.choice((1, 2)))]
                threads = [threading.Thread(target=worker.work, args=(self.operations // 4 // len(workers),)) for worker in workers]
                for thread in threads:
                    thread.start()
                for thread in threads:
                    thread.join()
                for worker in workers:
                    worker.http.close()
                if self.failures:
                    raise self.failures[0]
                rand.choice((self.collect, self.collect, lambda: self.restart(signal.SIGTERM), lambda: self.restart(signal.SIGKILL)))()
        finally:
            if neighbour:
                neighbour.close()
            self.server.stop()

    def check(self, where, marks, rand):
        return Check(self, where, marks, rand).all()

    def close(self):
        self.content.upstream.close()


# ---- after a cut ----

class Check:
    def __init__(self, load, where, marks, rand):
        self.load, self.content, self.rand, self.expected = load, load.content, rand, Expected(marks)
        self.server, self.http, self.bad = Server(load.top, os.path.join(where, "registry")), Http(), []

    def offline(self, wanted, *args):
        status, text = self.server.offline(*args)
        if status or wanted not in text:
            self.bad.append(f"skep registry {' '.join(args)}: status {status}: {text[-600:]}")

    def serves(self, path, wanted, what):
        """Whether it does; what it serves must be right. The media types are asked for as clients do."""
        answer = self.http("GET", path, Accept=OCI_MANIFEST)
        if answer.status == 404:
            return False
        if answer.status != 200 or answer.body != wanted:
            self.bad.append(f"{what}: {answer.status}, {len(answer.body)} bytes instead of {len(wanted)}")
        return True

    def look(self):
        """{key: value} of all there is."""
        found = {}
        for key in self.expected.allowed:
            repository, what, name = key.split(" ")
            if what == "blob" and self.serves(f"/v2/{repository}/blobs/{name}", self.content.blobs[name], key):
                found[key] = "there"
            if what == "manifest" and self.serves(f"/v2/{repository}/manifests/{name}", self.content.manifests[name], key):
                found[key] = "there"
        for repository in self.catalog():
            for name in json.loads(self.http("GET", f"/v2/{repository}/tags/list").body).get("tags") or []:
                digest = self.tagged(repository, name)
                if not repository.startswith("hub/"):  # copies: right, but not promised
                    found[tag(repository, name)] = digest
        return found

    def catalog(self):
        return json.loads(self.http("GET", "/v2/_catalog?n=1000").body)["repositories"]

    def tagged(self, repository, name):
        """What is listed is there, all of it."""
        answer = self.http("GET", f"/v2/{repository}/manifests/{name}", Accept=OCI_MANIFEST)
        digest = digest_of(answer.body)
        if answer.status != 200 or digest not in self.content.by_digest:
            self.bad.append(f"{repository}:{name} is listed, and its manifest is {answer.status}, {len(answer.body)} bytes")
            return digest
        for data in (self.content.by_digest[digest].config, *self.content.by_digest[digest].layers):
            if not self.serves(f"/v2/{repository}/blobs/{digest_of(data)}", data, f"{repository}:{name}"):
                self.bad.append(f"{repository}:{name} is listed, and its blob {digest_of(data)[:19]} is gone")
        return digest

    def sessions(self, marks):
        """An upload that is still known goes on where it says that it is."""
        for what in {json.loads(m).get("what", "") for m in marks}:
            if not what.startswith("session "):
                continue
            _, where, digest = what.split(" ")
            answer, data = self.http("GET", where), self.content.blobs[digest]
            if answer.status == 404:
                continue
            if answer.headers["Range"] == "0-0":  # nothing or one byte: one it is then, and the other case is refused
                self.http("PATCH", where, data[:1], Content_Range="0-0")
            have = int(answer.headers["Range"].split("-")[1]) + 1
            done = self.http("PUT", f"{where}?digest={digest}", data[have:])
            if done.status != 201:
                self.bad.append(f"session {where} said it has {have} of {len(data)} bytes; its end: {done.status} {done.body[:200]}")

    def push_again(self):
        """Pushes and pulls go on as if nothing had been."""
        n = self.rand.randrange(len(self.content.images))
        name = f"{HOST}:{PORT}/{self.rand.choice(REPOSITORIES)}0:again"
        shutil.rmtree(os.path.join(self.load.top, "puller"), ignore_errors=True)
        puller = Client(self.load.top, "puller", os.path.join(self.load.top, "puller", "store"))
        for skep, args in ((self.load.skep, ("tag", self.load.local(n), name)), (self.load.skep, ("push", "-q", name)), (puller, ("pull", "-q", name))):
            status, text = skep.ask(*args)
            if status:
                self.bad.append(f"skep {' '.join(args)}: status {status}: {text.strip()[-400:]}")
        self.bad += puller.faults()

    def files(self):
        """After a collection there is a file for each row, and none besides."""
        with contextlib.closing(sqlite3.connect(f"file:{self.server.root}/registry.db?mode=ro", uri=True)) as db:
            rows = {row[0] for row in db.execute("SELECT digest FROM blobs")}
        there = {f"{a}:{name}" for a in os.listdir(f"{self.server.root}/blobs") for name in os.listdir(f"{self.server.root}/blobs/{a}")}
        self.bad += [f"a file without a row: {d}" for d in sorted(there - rows)] + [f"a row without a file: {d}" for d in sorted(rows - there)]

    def all(self):
        marks = self.expected.marks
        self.offline(" 0 problems", "check")
        self.server.start()
        try:
            self.bad += self.expected.complaints(self.look())
            self.sessions(marks)
            self.push_again()
        finally:
            self.http.close()
            self.server.stop()
        self.offline("Removed", "gc")
        self.offline(" 0 problems", "check")
        self.files()
        return self.bad
