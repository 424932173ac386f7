"""A registry for tests: it does what OCI distribution says, until a test tells it to be slow, wrong or hostile."""
import base64
import hashlib
import itertools
import json
import re
import socket
import ssl
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

DEADLINE = 30


def digest_of(data, algorithm="sha256"):
    return f"{algorithm}:{hashlib.new(algorithm, data).hexdigest()}"


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = DEADLINE
    disable_nagle_algorithm = True  # head and body are two writes: the second would wait 40 ms for the client's delayed acknowledgement

    def log_message(self, *args):
        pass

    @property
    def registry(self):
        return self.server.registry

    def handle_one(self):
        self.url = urlsplit(self.path)
        self.query = parse_qs(self.url.query)
        self.registry.requests.append((self.command, self.path, dict(self.headers.items())))
        if isinstance(self.connection, ssl.SSLSocket):
            self.registry.certificates.append(self.connection.getpeercert())
        fault = self.registry.fault(self.command, self.url.path)
        if fault and fault(self):
            return
        if self.registry.authorize(self):
            self.registry.serve(self)

    do_GET = do_HEAD = do_PUT = do_POST = do_PATCH = do_DELETE = handle_one

    def body(self, most=None):
        """The request's body; with `most`, at most so many bytes of it before the connection is cut."""
        left = int(self.headers.get("Content-Length", "0"))
        if most is not None:
            left = min(left, most)
        return self.rfile.read(left)

    def answer(self, status, data=b"", **headers):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), str(value))
        if "Content_Length" not in headers:
            self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    def refuse(self, status, code, message="", **headers):
        self.answer(status, json.dumps({"errors": [{"code": code, "message": message}]}).encode(), Content_Type="application/json", **headers)

    def cut(self):
        """The connection goes, without a word."""
        self.close_connection = True
        try:
            self.wfile.flush()
            self.connection.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass


class Registry:
    """One origin. Blobs and manifests are for all repositories alike; what is asked of it is kept in `requests`."""

    def __init__(self, tls=None, client_ca=None, port=0):
        """tls: the arguments of load_cert_chain, or one file with all of it; client_ca: who has no certificate of it is turned away."""
        self.blobs, self.manifests, self.uploads = {}, {}, {}
        self.requests, self.faults, self.certificates = [], {}, []
        self.users, self.realm, self.tokens, self.sessions = {}, None, set(), itertools.count()
        self.page, self.has_referrers, self.redirect_blobs, self.ranges, self.filters = 1000, True, None, True, True
        self.server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self.server.handle_error = lambda *args: None  # clients that hang up are what the tests are about
        self.server.daemon_threads = True
        self.server.registry = self
        self.port = self.server.server_address[1]
        scheme = "http"
        if tls:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*(tls if isinstance(tls, tuple) else (tls,)))
            if client_ca:
                context.verify_mode = ssl.CERT_REQUIRED
                context.load_verify_locations(client_ca)
            self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
            scheme = "https"
        self.url = f"{scheme}://127.0.0.1:{self.port}"
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.005}, daemon=True)
        self.thread.start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()

    # ---- what tests set and ask ----

    def add_blob(self, data):
        self.blobs[digest_of(data)] = data
        return digest_of(data)

    def add_manifest(self, data, *names, media_type="application/vnd.oci.image.manifest.v1+json"):
        for name in (digest_of(data), *names):
            self.manifests[name] = (media_type, data)
        return digest_of(data)

    def on(self, pattern, *faults):
        """The next requests "METHOD path" that match go through these, one each; a fault that returns False only looks on."""
        self.faults.setdefault(pattern, []).extend(faults)

    def fault(self, method, path):
        for pattern, faults in self.faults.items():
            if faults and re.search(pattern, f"{method} {path}"):
                return faults.pop(0)
        return None

    def count(self, pattern):
        return sum(1 for method, path, _ in self.requests if re.search(pattern, f"{method} {path}"))

    def headers(self, name, pattern=""):
        """That header of all requests that had it."""
        return [headers[name] for method, path, headers in self.requests if name in headers and re.search(pattern, f"{method} {path}")]

    # ---- authorization ----

    def authorize(self, h):
        if not self.users or h.url.path.startswith("/token") or h.url.path.startswith("/cdn"):
            return True
        said = h.headers.get("Authorization", "")
        if self.realm:
            if said.startswith("Bearer ") and said[7:] in self.tokens:
                return True
            m = re.match(r"/v2/(.+)/(blobs|manifests|tags|referrers)/", h.url.path)
            scope = f',scope="repository:{m[1]}:pull"' if m else ""
            h.body()
            h.refuse(401, "UNAUTHORIZED", "authentication required",
                     WWW_Authenticate=f'Bearer realm="{self.realm}",service="reg.test"{scope}')
            return False
        name, _, password = base64.b64decode(said[6:] or b"").decode().partition(":") if said.startswith("Basic ") else ("", "", "")
        if self.users.get(name) == password:
            return True
        h.body()
        h.refuse(401, "UNAUTHORIZED", "authentication required", WWW_Authenticate='Basic realm="reg"')
        return False

    def give_token(self, h, issuer_for):
        """As token server of `issuer_for`."""
        token = f"token-{len(issuer_for.tokens)}-{h.query.get('scope', ['-'])[0].replace(':', '.').replace('/', '_')}"
        issuer_for.tokens.add(token)
        h.answer(200, json.dumps({"token": token, "expires_in": 300}).encode(), Content_Type="application/json")
        return True

    # ---- the API ----

    def serve(self, h):
        path = h.url.path
        if path == "/v2/":
            return h.answer(200, b"{}")
        if path == "/v2/_catalog":
            return self.names(h, "repositories", sorted({"one/a", "two/b"}))
        m = re.fullmatch(r"/v2/(.+)/(manifests|blobs|tags|referrers)/(.+)", path) or re.fullmatch(r"/(cdn)()/(.+)", path)
        if not m:
            return h.refuse(404, "UNSUPPORTED")
        repository, kind, name = m.groups()
        if kind == "manifests":
            return self.manifest(h, name)
        if kind == "tags":
            return self.names(h, "tags", sorted(n for n in self.manifests if ":" not in n))
        if kind == "referrers":
            return self.referrers(h, name)
        if name.startswith("uploads/"):
            return self.upload(h, repository, name[8:])
        return self.blob(h, name)

    def names(self, h, key, names):
        n, last = int(h.query.get("n", ["1000"])[0]), h.query.get("last", [""])[0]
        rest = [name for name in names if name > last]
        page = rest[:min(n, self.page)]
        headers = {"Link": f'<{h.url.path}?n={n}&last={page[-1]}>; rel="next"'} if len(rest) > len(page) else {}
        h.answer(200, json.dumps({"name": "x", key: page}).encode(), Content_Type="application/json", **headers)

    def manifest(self, h, name):
        if h.command == "PUT":
            data = h.body()
            self.manifests[name] = self.manifests[digest_of(data)] = (h.headers["Content-Type"], data)
            subject = json.loads(data).get("subject", {}).get("digest")
            headers = {"OCI-Subject": subject} if subject and self.has_referrers else {}
            return h.answer(201, Docker_Content_Digest=digest_of(data), Location=h.path, **headers)
        if name not in self.manifests:
            return h.refuse(404, "MANIFEST_UNKNOWN", "manifest unknown")
        if h.command == "DELETE":
            del self.manifests[name]
            return h.answer(202)
        media_type, data = self.manifests[name]
        return h.answer(200, data, Content_Type=media_type, Docker_Content_Digest=digest_of(data))

    def referrers(self, h, digest):
        if not self.has_referrers:
            return h.refuse(404, "UNSUPPORTED")
        found = [{"mediaType": t, "digest": digest_of(data), "size": len(data), "artifactType": json.loads(data).get("artifactType")}
                 for name, (t, data) in sorted(self.manifests.items()) if ":" in name and json.loads(data).get("subject", {}).get("digest") == digest]
        if self.filters and "artifactType" in h.query:
            found = [f for f in found if f["artifactType"] == h.query["artifactType"][0]]
        return h.answer(200, json.dumps({"schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json", "manifests": found}).encode(),
                        Content_Type="application/vnd.oci.image.index.v1+json")

    def blob(self, h, name):
        if name not in self.blobs:
            return h.refuse(404, "BLOB_UNKNOWN", "blob unknown to registry")
        if h.command == "DELETE":
            del self.blobs[name]
            return h.answer(202)
        if self.redirect_blobs and h.command == "GET" and not h.url.path.startswith("/cdn"):
            return h.answer(307, Location=f"{self.redirect_blobs}/cdn/{name}")
        data, m = self.blobs[name], re.fullmatch(r"bytes=(\d+)-(\d*)", h.headers.get("Range", ""))
        if not m or not self.ranges:
            return h.answer(200, data, Docker_Content_Digest=name)
        first, last = int(m[1]), min(int(m[2] or len(data) - 1), len(data) - 1)
        if first >= len(data):
            return h.refuse(416, "RANGE_INVALID")
        return h.answer(206, data[first:last + 1], Content_Range=f"bytes {first}-{last}/{len(data)}")

    def upload(self, h, repository, ident):
        where = f"/v2/{repository}/blobs/uploads/"
        if h.command == "POST":
            h.body()
            mount = h.query.get("mount", [None])[0]
            if mount in self.blobs and h.query.get("from") == ["has/it"]:
                return h.answer(201, Location=f"/v2/{repository}/blobs/{mount}")
            ident = f"u{next(self.sessions)}"  # uploads run side by side
            self.uploads[ident] = bytearray()
            return h.answer(202, Location=f"{where}{ident}?_state=0", Range="0-0")
        if ident not in self.uploads:
            h.body()
            return h.refuse(404, "BLOB_UPLOAD_UNKNOWN")
        data = self.uploads[ident]
        place = {"Location": f"{where}{ident}?_state={len(data)}"}
        if h.command == "GET":
            return h.answer(204, Range=f"0-{max(len(data) - 1, 0)}", **place)
        if h.command == "DELETE":
            del self.uploads[ident]
            return h.answer(204)
        m = re.fullmatch(r"(\d+)-(\d+)", h.headers.get("Content-Range", ""))
        if m and int(m[1]) != len(data):
            h.body()
            return h.refuse(416, "BLOB_UPLOAD_INVALID", Range=f"0-{max(len(data) - 1, 0)}", **place)
        data += h.body()
        if h.command == "PATCH":
            return h.answer(202, Range=f"0-{max(len(data) - 1, 0)}", Location=f"{where}{ident}?_state={len(data)}")
        digest = h.query["digest"][0]
        if digest_of(bytes(data)) != digest:
            return h.refuse(400, "DIGEST_INVALID", "provided digest did not match uploaded content")
        self.blobs[digest] = bytes(data)
        del self.uploads[ident]
        return h.answer(201, Docker_Content_Digest=digest, Location=f"/v2/{repository}/blobs/{digest}")
