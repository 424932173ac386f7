"""Requests and responses, by HTTP/1.1 and HTTP/2, plain and over TLS, with curl."""
import hashlib
import os
import socket
import ssl
import subprocess

import pytest

from conftest import openssl


@pytest.fixture
def data(tmp_path):
    path = tmp_path / "data"
    path.write_bytes(os.urandom(3_000_000))
    return path


def test_get(any_server):
    out = any_server.curl("/hello", "-i")
    head, body = out.replace("\r\n", "\n").split("\n\n")
    assert body == "hello\n"
    assert "200" in head.split("\n")[0]
    fields = {line.split(":")[0].lower(): line.split(": ", 1)[1] for line in head.split("\n")[1:]}
    assert fields["server"] == "skep-test" and fields["content-type"] == "text/plain" and fields["content-length"] == "6"
    assert fields["date"].endswith(" GMT") and len(fields["date"]) == 29
    assert "connection" not in fields


def test_request_is_described(any_server):
    out = any_server.curl("/info/a%2Fb%20c?q=1+2&q=%26&x", "-H", "X-Test: a", "-H", "x-test: b", "-X", "DELETE")
    got = dict(line.split("=", 1) for line in out.splitlines())
    assert got["method"] == "DELETE" and got["path"] == "/info/a/b c" and got["target"] == "/info/a%2Fb%20c?q=1+2&q=%26&x"
    assert got["q"] == "1 2" and got["q2"] == "&" and got["x-test"] == "a, b" and got["length"] == "0"
    assert got["host"] == f"127.0.0.1:{any_server.port}" and got["peer"].startswith("127.0.0.1:") and got["cert"] == "-" and got["pid"] == "0"
    assert got["version"] == {"http1": "11", "https1": "11"}.get(any_server.protocol, "20")
    assert got["tls"] == ("1" if any_server.url.startswith("https") else "0")


@pytest.mark.parametrize("path", ["/../etc", "/a/%2e%2e/b", "/a/./b", "/%00", "/%zz", "/a%", "/info?q=%0", "/info?q=%00"])
def test_bad_path(any_server, path):
    assert any_server.curl(path, "--path-as-is", "-o", "/dev/null", "-w", "%{http_code}") == "400"


def test_status_and_fields(any_server):
    out = any_server.curl("/headers", "-i").lower()
    assert " 201" in out.split("\r\n")[0] and "x-one: 1\r\n" in out and "location: /v2/7\r\n" in out and "content-length: 0\r\n" in out
    out = any_server.curl("/headers?bad=1", "-i").lower()
    assert " 500" in out.split("\r\n")[0] and "injected" not in out and "x-one" not in out


@pytest.mark.parametrize("flags", [[], ["-H", "Transfer-Encoding: chunked"], ["-H", "Expect: 100-continue"]])
def test_upload(any_server, data, flags):
    assert any_server.curl("/count", "-T", str(data), *flags) == "3000000\n"


def test_upload_is_not_wanted(any_server, tmp_path):
    """A response before the body was read reaches the client, and the connection goes on."""
    small = tmp_path / "small"
    small.write_bytes(bytes(100_000))
    assert any_server.curl("/hello", "-T", str(small), "-H", "Expect:") == "hello\n"
    assert int(any_server.curl("/count?stop=10", "-T", str(small), "-H", "Expect:")) >= 10


def test_echo(any_server, data):
    """Both ways at once, far more than any buffer holds."""
    out = any_server.curl("/echo", "-T", str(data), text=False)
    assert hashlib.sha256(out).digest() == hashlib.sha256(data.read_bytes()).digest()
    any_server.wait_for("finished", 1)


@pytest.mark.parametrize("flags", [[], ["-H", "Transfer-Encoding: chunked"]])
def test_echo_from_a_place_of_the_handlers(any_server, data, flags):
    """What can be read to its place is: all behind the head, of a body of known length over HTTP/1.1."""
    out = any_server.curl("/echo?room=50000", "-T", str(data), *flags, text=False)
    assert out == data.read_bytes()
    least, most = (0, 0) if flags or any_server.protocol not in ("http1", "https1") else (2_800_000, 3_000_000)
    assert least <= any_server.stat("placed") <= most


@pytest.mark.parametrize("sized", [0, 1])
def test_large_response(any_server, sized):
    out = any_server.curl(f"/big?n=20000000&sized={sized}")
    assert len(out) == 20_000_000 and out[:26] == "abcdefghijklmnopqrstuvwxyz"


@pytest.mark.parametrize("sized", [0, 1])
def test_file(any_server, data, sized):
    want = data.read_bytes()
    assert any_server.curl(f"/file?path={data}&sized={sized}", text=False) == want
    assert any_server.curl(f"/file?path={data}&off=1000&n=2000&sized={sized}", text=False) == want[1000:3000]
    assert any_server.curl(f"/file?path={data}&frame=1&sized={sized}", text=False) == b"[" + want + b"]"
    assert any_server.curl(f"/file?path={data}&n=0&sized={sized}", text=False) == b""


def test_large_file(any_server, tmp_path):
    """Far more than the socket takes at once, to a client that is slower than the server."""
    with open(tmp_path / "large", "wb") as f:
        f.truncate(60_000_000)
    size = any_server.curl(f"/file?path={tmp_path}/large", "-o", "/dev/null", "-w", "%{size_download}", "--limit-rate", "40M")
    assert size == "60000000"


def test_head(any_server, data):
    out = any_server.curl(f"/file?path={data}", "-I").lower()
    assert "content-length: 3000000\r\n" in out
    out = any_server.curl("/big?n=5", "-I").lower()
    assert "content-length" not in out and "transfer-encoding" not in out


def test_late_answer(any_server):
    assert any_server.curl("/late?ms=50") == "late\n"


@pytest.mark.parametrize("path", ["/broken", "/abort?begun=1", "/flood"])
def test_broken_response_is_seen(any_server, path):
    assert any_server.curl(path, check=False).returncode != 0
    any_server.wait_for("connections", 1)


def test_short_file_is_seen(any_server, data):
    assert any_server.curl(f"/file?path={data}&short=1", check=False).returncode != 0


def test_abort_before_the_head(any_server):
    assert any_server.curl("/abort", "-o", "/dev/null", "-w", "%{http_code}") == "500"


def test_too_large_head(any_server):
    assert any_server.curl("/hello", "-H", "X: " + "x" * 40000, "-o", "/dev/null", "-w", "%{http_code}") == "431"
    many = [word for i in range(150) for word in ("-H", f"X-{i}: 1")]
    assert any_server.curl("/hello", *many, "-o", "/dev/null", "-w", "%{http_code}") == "431"


def test_many_on_one_connection(any_server):
    urls = [any_server.url + "/hello"] * 50
    if any_server.protocol == "h2c":
        pytest.skip("curl 7.88 cannot reuse a connection with prior knowledge: it sends the preface again")
    assert any_server.curl("/hello", *urls) == "hello\n" * 51
    assert any_server.curl("/hello", "-Z", *urls) == "hello\n" * 51


def test_client_goes(any_server):
    """The handler is told, also when it was saying nothing."""
    for aborts, words in (1, ["/idle"]), (2, ["/big?n=1000000000", "--limit-rate", "10000"]):
        path, *options = words
        with subprocess.Popen(["curl", "-sv", *any_server.flags, *options, any_server.url + path], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as client:
            assert any(line.startswith(b"< HTTP/") for line in client.stderr)  # it is being answered
            client.kill()
        any_server.wait_for("aborts", aborts)
    any_server.wait_for("connections", 1)


def test_stop_waits_for_what_runs(any_server):
    """Asked to stop, it ends the exchanges it has; the fixture sees that it has ended."""
    import subprocess
    slow = subprocess.Popen(["curl", "-sS", *any_server.flags, any_server.url + "/late?ms=500"], stdout=subprocess.PIPE, text=True)
    any_server.wait_for("connections", 2)
    any_server.stop()
    assert slow.communicate()[0] in ("late\n", "")  # "": it had connected, not asked


def test_client_certificates(start, keys):
    options = [f"cert={keys}/server.pem", f"key={keys}/server.key", f"ca={keys}/ca.pem"]
    client = ["--cert", f"{keys}/client.pem", "--key", f"{keys}/client.key"]
    stranger = ["--cert", f"{keys}/stranger.pem", "--key", f"{keys}/stranger.key"]
    strict = start(*options, tls=True, flags=["--cacert", f"{keys}/ca.pem"])
    assert "cert=client one\n" in strict.curl("/info", *client)
    assert strict.curl("/info", check=False).returncode != 0
    assert strict.curl("/info", *stranger, check=False).returncode != 0
    lax = start(*options, "optional=1", tls=True, flags=["--cacert", f"{keys}/ca.pem"])
    assert "cert=client one\n" in lax.curl("/info", *client)
    assert "cert=-\n" in lax.curl("/info")
    assert lax.curl("/info", *stranger, check=False).returncode != 0


def test_old_tls_is_refused(start, keys):
    server = start(f"cert={keys}/server.pem", f"key={keys}/server.key", tls=True, flags=["--cacert", f"{keys}/ca.pem"])
    assert server.curl("/hello", "--tls-max", "1.1", check=False).returncode != 0
    assert server.curl("/hello", "--tls-max", "1.2") == "hello\n"


def test_unix_socket(server):
    out = server.curl("/info", "--unix-socket", server.socket)
    assert "peer=unix\n" in out and "pid=0\n" not in out


def test_v6(start):
    server = start(address=":0")
    assert server.curl("/hello") == "hello\n"
    assert "peer=127.0.0.1:" in server.curl("/info")
    server.url = f"http://[::1]:{server.port}"
    server.flags = ["-g", "-6"]
    try:
        assert "peer=[::1]:" in server.curl("/info", "-6")
    except AssertionError as e:
        if "onnect" not in str(e):
            raise
        pytest.skip("no IPv6 loopback here")


def subject_for(server, name=None):
    """The common name in the certificate that a client is shown who asks for that name."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with socket.create_connection(("127.0.0.1", server.port)) as s, context.wrap_socket(s, server_hostname=name) as tls:
        der = tls.getpeercert(True)
    text = subprocess.run(["openssl", "x509", "-inform", "DER", "-noout", "-subject"], input=der, capture_output=True, check=True).stdout.decode()
    return text.rpartition("CN = ")[2].strip()


def test_certificates_by_name(start, keys, tmp_path):
    """SNI: the first that is for the name; the first of all for who asks for none, or for another."""
    options = []
    for n, names in enumerate(["DNS:first.test", "DNS:second.test,DNS:*.wild.test", "DNS:second.test,DNS:third.test"]):
        openssl(tmp_path, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", f"{n}.key", "-out", f"{n}.pem",
                "-subj", f"/CN=number {n}", "-addext", f"subjectAltName={names}", "-days", "2")
        options += [f"cert={tmp_path}/{n}.pem", f"key={tmp_path}/{n}.key"]
    server = start(*options, f"ca={keys}/ca.pem", "optional=1", tls=True)
    shown = {name: subject_for(server, name) for name in (None, "first.test", "second.test", "SECOND.test", "a.wild.test", "b.a.wild.test", "third.test", "x.test")}
    assert shown == {None: "number 0", "first.test": "number 0", "second.test": "number 1", "SECOND.test": "number 1", "a.wild.test": "number 1",
                     "b.a.wild.test": "number 0", "third.test": "number 2", "x.test": "number 0"}
    # what else there is to TLS holds for each of them
    for name in "first.test", "third.test":
        flags = ["--resolve", f"{name}:{server.port}:127.0.0.1", "-k"]
        url = f"https://{name}:{server.port}/info"
        client = ["--cert", f"{keys}/client.pem", "--key", f"{keys}/client.key"]
        assert "cert=client one\n" in subprocess.run(["curl", "-sS", *flags, *client, url], capture_output=True, text=True, check=True).stdout
        stranger = ["--cert", f"{keys}/stranger.pem", "--key", f"{keys}/stranger.key"]
        assert subprocess.run(["curl", "-sS", *flags, *stranger, url], capture_output=True, check=False).returncode != 0
        done = subprocess.run(["curl", "-sS", *flags, "--http2", "-o", tmp_path / "x", "-w", "%{http_version}", url], capture_output=True, text=True, check=True)
        assert done.stdout == "2"
