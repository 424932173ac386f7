"""An authority of the tests' own, and what it signs."""
import os
import subprocess


class Authority:
    def __init__(self, where, name="ca"):
        self.where, self.name = str(where), name
        self.ca = self.path("crt")
        self.run("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2", "-subj", f"/CN={name}",
                 "-keyout", self.path("key"), "-out", self.ca)

    def path(self, suffix, name=None):
        return os.path.join(self.where, f"{name or self.name}.{suffix}")

    def run(self, *arguments):
        subprocess.run(["openssl", *arguments], check=True, capture_output=True)

    def issue(self, name, *alternatives):
        """Files of a certificate and its key: for "DNS:…" and "IP:…", or for a client without them."""
        cert, key, request, more = (self.path(f"{name}.{suffix}") for suffix in ("cert", "key", "csr", "ext"))
        self.run("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-subj", f"/CN={name}", "-keyout", key, "-out", request)
        with open(more, "w", encoding="ascii") as f:
            f.write(f"subjectAltName={','.join(alternatives)}\n" if alternatives else "basicConstraints=CA:FALSE\n")
        self.run("x509", "-req", "-in", request, "-CA", self.ca, "-CAkey", self.path("key"), "-days", "2", "-extfile", more, "-out", cert,
                 "-CAserial", self.path("srl"), "-CAcreateserial")
        return cert, key


def text_of(path):
    with open(path, encoding="ascii") as f:
        return f.read()
