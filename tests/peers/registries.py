"""`skep registry serve` as the peers' registry: over HTTP; over TLS with passwords; and with tokens. And the peers as its clients."""
import json
import os
import re
import ssl
import subprocess
import urllib.request

import programs
from engine import wait_until

ACCEPT = "application/vnd.oci.image.manifest.v1+json, application/vnd.oci.image.index.v1+json, application/vnd.docker.distribution.manifest.v2+json, " \
         "application/vnd.docker.distribution.manifest.list.v2+json"
USER, PASSWORD = "alice", "secret"
HASH = "$2b$04$8wXeRqxDOKaphPG9RIuxe.Xp/8Mxc4FUPh1DB6hS2mhsrXIl22vKq" # what `htpasswd -nbB -C 4` writes for it


def openssl(directory, *words):
    subprocess.run(["openssl", *words], cwd=directory, check=True, capture_output=True)


class Registry:
    """kind: "http", "basic" or "token"."""

    def __init__(self, data, kind):
        self.kind, self.directory = kind, os.path.join(data, f"registry-{kind}")
        self.tls, options = kind != "http", []
        os.makedirs(self.directory)
        if self.tls:
            options = [*self.make_certificate(), "--htpasswd", self.write("htpasswd", f"{USER}:{HASH}\n"), *(["--token"] if kind == "token" else [])]
        self.log = f"{self.directory}/log"
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen([programs.SKEP, "registry", "serve", "--root", f"{self.directory}/data", "--listen", f"{'10.99.0.1' if self.tls else '127.0.0.1'}:0", *options],
                                            stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        port = wait_until(self.listens, "the registry listens", self.read_log)
        self.host = f"registry.test:{port}" if self.tls else f"127.0.0.1:{port}"
        if self.tls:
            self.trust()

    def write(self, name, text):
        programs.write(f"{self.directory}/{name}", text)
        return f"{self.directory}/{name}"

    def read_log(self):
        with open(self.log, encoding="utf-8") as f:
            return f.read()

    def listens(self):
        assert self.process.poll() is None, self.read_log()
        found = re.search(r"\(port (\d+)\)", self.read_log())
        return found and int(found[1])

    def make_certificate(self):
        new = ["req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
        self.write("names", "subjectAltName = DNS:registry.test\n")
        openssl(self.directory, *new, "-x509", "-keyout", "ca.key", "-out", "ca.crt", "-subj", "/CN=test CA", "-days", "2")
        openssl(self.directory, *new, "-keyout", "key.pem", "-out", "csr.pem", "-subj", "/CN=registry.test")
        openssl(self.directory, "x509", "-req", "-in", "csr.pem", "-CA", "ca.crt", "-CAkey", "ca.key", "-CAcreateserial", "-out", "cert.pem", "-days", "2", "-extfile", "names")
        return ["--tls-cert", f"{self.directory}/cert.pem", "--tls-key", f"{self.directory}/key.pem"]

    def trust(self):
        """All clients find its authority where they look for it."""
        for where in "/etc/containers/certs.d", "/etc/docker/certs.d":
            os.makedirs(f"{where}/{self.host}")
            with open(f"{self.directory}/ca.crt", encoding="utf-8") as f:
                programs.write(f"{where}/{self.host}/ca.crt", f.read())

    def ask(self, name):
        """The type, digest and bytes of a manifest, "repository:tag", without any of the clients."""
        repository, _, reference = name.rpartition("@" if "@" in name else ":")
        manager = urllib.request.HTTPPasswordMgrWithPriorAuth()
        request = urllib.request.Request(f"http{'s' if self.tls else ''}://{self.host}/v2/{repository}/manifests/{reference}", headers={"Accept": ACCEPT})
        handlers = []
        if self.tls:
            manager.add_password(None, request.full_url, USER, PASSWORD, is_authenticated=True)
            handlers = [urllib.request.HTTPSHandler(context=ssl.create_default_context(cafile=f"{self.directory}/ca.crt")), urllib.request.HTTPBasicAuthHandler(manager)]
        with urllib.request.build_opener(*handlers).open(request, timeout=programs.LONG) as answer:
            return answer.headers["Content-Type"], answer.headers["Docker-Content-Digest"], answer.read()

    def stop(self):
        self.process.terminate()
        assert self.process.wait(60) == 0, self.read_log()
        done = programs.run(programs.SKEP, "registry", "check", "--root", f"{self.directory}/data").ok()
        assert "ERROR" not in self.read_log(), self.read_log()
        return done


# ---- clients: each takes an image of the library, pushes it under a name and returns its digest; or pulls one and returns its id ----

class Client:
    def __init__(self, program, library):
        self.program, self.library, self.name, self.said = program, library, program.name, ""

    def hear(self, *words):
        """A command that succeeds; what it says is kept in any case."""
        done = self.program(*words)
        self.said = done.out + done.err
        return done.ok()

    def login(self, registry, password=PASSWORD):
        return self.program("login", "--username", USER, "--password", password, registry.host)

    def logout(self, registry):
        self.program("logout", registry.host).ok()


class SkopeoClient(Client):
    def push(self, name, registry, target, **_):
        return self.copy(f"oci:{self.library.root}:{self.library.reference(name)}", f"docker://{registry.host}/{target}", f"--dest-tls-verify={registry.tls}".lower())

    def copy(self, source, target, *options):
        digest = f"{self.library.top}/digest"
        self.hear("copy", "--retry-times", "2", "--preserve-digests", "--digestfile", digest, *options, source, target)
        with open(digest, encoding="utf-8") as f:
            return f.read()

    def pull(self, registry, source):
        at = f"{self.library.top}/pulled"
        subprocess.run(["rm", "-rf", at], check=True)
        digest = self.copy(f"docker://{registry.host}/{source}", f"oci:{at}:1", f"--src-tls-verify={registry.tls}".lower())
        with open(f"{at}/blobs/sha256/{digest[7:]}", encoding="utf-8") as f:
            return json.load(f)["config"]["digest"]


class PodmanClient(Client):
    def push(self, name, registry, target, **_):
        self.program("pull", "--quiet", f"oci:{self.library.root}:{self.library.reference(name)}").ok()
        digest = f"{self.library.top}/digest"
        self.hear("push", f"--tls-verify={registry.tls}".lower(), "--digestfile", digest, self.library.id(self.library.reference(name))[7:], f"{registry.host}/{target}")
        with open(digest, encoding="utf-8") as f:
            return f.read()

    def pull(self, registry, source):
        self.program("rmi", "--all", "--force").ok()
        self.program("pull", f"--tls-verify={registry.tls}".lower(), f"{registry.host}/{source}").ok()
        return self.program.id(f"{registry.host}/{source}")


class DockerClient(Client):
    def push(self, name, registry, target, **_):
        reference = self.library.reference(name)
        programs.piped(self.library.argv("save", reference), [*self.program.argv, "load"])
        self.program("tag", reference, f"{registry.host}/{target}").ok()
        return re.search(r"digest: (\S+)", self.hear("push", f"{registry.host}/{target}").out)[1]

    def pull(self, registry, source):
        self.program("rmi", "--force", *self.program("images", "--quiet", "--no-trunc").ok().lines)
        self.program("pull", f"{registry.host}/{source}").ok()
        return self.program.id(f"{registry.host}/{source}")


class SkepClient(Client):
    """Pushes from the library; pulls into a store of its own."""

    def __init__(self, library):
        library.name = "skep"
        super().__init__(library, library)

    def push(self, name, registry, target, **_):
        self.library("tag", self.library.reference(name), f"{registry.host}/{target}").ok()
        return re.search(r"digest: (\S+)", self.hear("push", f"{registry.host}/{target}").out)[1]

    def other(self):
        subprocess.run(["rm", "-rf", f"{self.library.top}/other"], check=True)
        other = programs.Skep(f"{self.library.top}/other")
        os.rmdir(other.config)
        other.config = self.library.config
        return other

    def pull(self, registry, source):
        other = self.other()
        other("pull", f"{registry.host}/{source}").ok()
        return other.id(f"{registry.host}/{source}")


CLIENTS = {"skopeo": SkopeoClient, "podman": PodmanClient, "docker": DockerClient}
