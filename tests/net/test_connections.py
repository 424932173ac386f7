"""What curl does not do: bad bytes, slow and silent clients, many of them, pipelines, hijacked connections."""
import os
import re
import resource
import socket
import ssl
import subprocess
import threading
import time

import pytest

from http_server import SERVER, receive_all, receive_until

HELLO = b"GET /hello HTTP/1.1\r\nHost: x\r\n\r\n"


def status(response):
    return int(response.split(b" ", 2)[1])


@pytest.mark.parametrize("request_, want", [
    (b"POST /count HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
    (b"POST /count HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\nabcde", 400),
    (b"POST /count HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 501),
    (b"GET /hello HTTP/1.1\r\nHost: x\r\n X: folded\r\n\r\n", 400),
    (b"GET /hello HTTP/1.1\nHost: x\n\n", 400),
    (b"GET /hello HTTP/1.1\r\n\r\n", 400),
    (b"GET /hello HTTP/3.0\r\nHost: x\r\n\r\n", 505),
    (b"CONNECT x:80 HTTP/1.1\r\nHost: x\r\n\r\n", 501),
    (b"GET hello HTTP/1.1\r\nHost: x\r\n\r\n", 400),
    (b"GET ftp://x/hello HTTP/1.1\r\nHost: x\r\n\r\n", 400),
    (b"POST /hello HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nExpect: x\r\n\r\n", 417),
    (b"GET /" + b"a" * 40000 + b" HTTP/1.1\r\nHost: x\r\n\r\n", 431),
    (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(60) + b"\n", 400),
    (b"\r\n\r\n" + HELLO, 400),
])
def test_bad_request(server, request_, want):
    """One answer, then the end: what follows is not taken for a request."""
    out = server.talk(request_ + HELLO)
    assert status(out) == want and out.count(b"HTTP/1.1 ") == 1 and b"Connection: close\r\n" in out


@pytest.mark.parametrize("body", [b"x\r\n", b"5\r\nabc\r\n0\r\n\r\n", b"3\r\nabcd", b"1\na\n0\n\n", b"ffffffffffffffff\r\n"])
def test_bad_chunks(server, body):
    out = server.talk(b"POST /count HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n" + body + b"\r\n\r\n" + HELLO)
    assert b"hello" not in out and b"200 OK" not in out
    server.wait_for("errors", 1)


def test_one_empty_line_before(server):
    assert server.talk(b"\r\n" + HELLO.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")).endswith(b"hello\n")


def test_pipeline_in_any_pieces(server):
    """Five requests with bodies between them, cut at every length."""
    post = b"POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\nT: x\r\n\r\n"
    data = HELLO + post + HELLO + b"PUT /count HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\n1234" + HELLO.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")
    for step in (1, 2, 3, 7, 50, len(data)):
        with server.connect() as s:
            for at in range(0, len(data), step):
                s.sendall(data[at:at + step])
            out = receive_all(s)
        assert out.count(b"HTTP/1.1 200 OK") == 5 and out.count(b"hello\n") == 3
        assert re.search(rb"\r\n\r\n4\n", out) and b"".join(re.findall(rb"\n[0-9a-f]\r\n([a-e]+)(?=\r\n)", out)) == b"abcde"


def test_pipeline_behind_a_body_read_to_its_place(server):
    """The place has room for the next request, which is not the body's."""
    with server.connect() as s:
        s.sendall(b"POST /echo?room=200000 HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 100000\r\n\r\n")
        assert s.recv(25, socket.MSG_WAITALL) == b"HTTP/1.1 100 Continue\r\n\r\n"
        s.sendall(b"Z" * 100000 + HELLO.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
        out = receive_all(s)
    assert out.count(b"Z") == 100000 and out.endswith(b"\r\n\r\nhello\n")
    assert server.stat("placed") == 100000


def test_pipeline_waits_for_a_late_answer(server):
    out = server.talk(b"GET /late HTTP/1.1\r\nHost: x\r\n\r\n" + b"GET /hello HTTP/1.0\r\n\r\n")
    assert out.index(b"late\n") < out.index(b"hello\n")


def test_old_http(server):
    out = server.talk(b"GET /hello HTTP/1.0\r\n\r\n")
    assert b"Connection: close\r\n" in out and out.endswith(b"hello\n")
    out = server.talk(b"GET /big?n=100000 HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
    assert b"chunked" not in out and len(out.split(b"\r\n\r\n", 1)[1]) == 100000
    with server.connect() as s:
        for _ in range(3):
            s.sendall(b"GET /hello HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
            assert b"Connection: keep-alive\r\n" in receive_until(s, b"hello\n")


def test_continue_comes_when_the_body_is_wanted(server):
    with server.connect() as s:
        s.sendall(b"PUT /count HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n")
        assert receive_until(s, b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        s.sendall(b"abc")
        assert receive_until(s, b"3\n").startswith(b"HTTP/1.1 200 OK")
        # not wanted: the answer comes at once, and nothing can be sent behind it
        s.sendall(b"PUT /hello HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n")
        out = receive_all(s)
        assert out.startswith(b"HTTP/1.1 200 OK") and b"Connection: close\r\n" in out


def test_unwanted_large_body_ends_the_connection(server):
    """The client reads the whole answer although it has not sent all."""
    with server.connect() as s:
        s.sendall(b"PUT /hello HTTP/1.1\r\nHost: x\r\nContent-Length: 100000000\r\n\r\n" + bytes(100_000))
        out = receive_all(s)
    assert out.endswith(b"hello\n") and b"Connection: close\r\n" in out


def test_slow_head(start):
    server = start("header=300")
    with server.connect() as s:
        s.sendall(b"GET /hello HT")
        assert status(receive_all(s)) == 408
    with server.connect() as s:
        assert receive_all(s) == b""
    with server.connect() as s:  # a byte now and then does not help
        try:
            for c in HELLO:
                s.sendall(bytes([c]))
                time.sleep(0.02)
        except OSError:
            pass
        assert b"200 OK" not in receive_all(s)


def test_slow_handshake(start, keys):
    server = start(f"cert={keys}/server.pem", f"key={keys}/server.key", "header=300")
    with server.connect() as s:
        s.sendall(b"\x16\x03\x01")
        assert receive_all(s) == b""
    server.wait_for("connections", 1)


def test_idle_connection_is_closed(start):
    server = start("idle=300")
    with server.connect() as s:
        s.sendall(HELLO)
        assert receive_all(s).endswith(b"hello\n")


def test_slow_body(start):
    server = start("body=300")
    with server.connect() as s:
        s.sendall(b"PUT /count HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nabc")
        assert receive_all(s) == b""
    server.wait_for("errors", 1)


def test_client_that_does_not_read(start):
    server = start("body=300")
    with server.connect() as s:
        s.sendall(b"GET /big?n=1000000000 HTTP/1.1\r\nHost: x\r\n\r\n")
        server.wait_for("aborts", 1)


def test_slow_client_is_waited_for(server):
    """Back-pressure: the server stops reading what the client does not take back, and holds little of it."""
    total = 30_000_000
    with server.connect() as s:
        s.sendall(b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % total)
        sent, s2 = threading.Event(), s.dup()

        def send():
            s2.sendall(bytes(total))
            sent.set()

        thread = threading.Thread(target=send)
        thread.start()
        assert not sent.wait(0.5)
        assert memory(server) < 12_000_000
        got = 0
        while got < total:
            got += len(s.recv(1 << 20))
        thread.join()
        s2.close()


def memory(server):
    with open(f"/proc/{server.process.pid}/smaps_rollup", encoding="ascii") as f:
        return next(int(line.split()[1]) * 1024 for line in f if line.startswith("Pss_Anon:"))


def unacknowledged(server, client):
    """Bytes that the server's socket holds for this client."""
    with open("/proc/net/tcp", encoding="ascii") as f:
        rows = [line.split() for line in f]
    ends = [f":{server.port:04X}", f":{client.getsockname()[1]:04X}"]
    return next(int(row[4].split(":")[0], 16) for row in rows if [row[1][8:], row[2][8:]] == ends)


def test_little_of_a_file_is_in_the_kernel(server, tmp_path):
    """On the same machine what is in the queue leaves the processor's cache before it is read."""
    total, got, held = 300_000_000, 0, []
    with open(tmp_path / "file", "wb") as f:
        f.truncate(total)
    with server.connect() as s:
        s.sendall(b"GET /file?path=%s HTTP/1.1\r\nHost: x\r\n\r\n" % str(tmp_path / "file").encode())
        while got < total:
            got += len(s.recv(1 << 20))
            if got >= (len(held) + 1) * 5_000_000:
                held.append(unacknowledged(server, s))
    assert len(held) == 60 and max(held) < 1_000_000


def test_thousands_of_idle_streams(server):
    """2,000 clients that wait for a stream, and 2,000 that ask nothing: a few KB each."""
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(8192, resource.getrlimit(resource.RLIMIT_NOFILE)[1]),) * 2)
    with open(f"/proc/{server.process.pid}/limits", encoding="ascii") as f:
        limit = next(int(line.split()[3]) for line in f if line.startswith("Max open files"))
    if limit < 4100:
        pytest.skip(f"the server may only open {limit} files")
    measurable = "asan" not in SERVER  # AddressSanitizer has red zones and keeps what is freed
    before = memory(server)
    streams = [server.connect() for _ in range(2000)]
    for s in streams:
        s.sendall(b"GET /idle HTTP/1.1\r\nHost: x\r\n\r\n")
    for s in streams:
        receive_until(s, b"\r\n\r\n")
    each = (memory(server) - before) / 2000
    print(f"{each:.0f} bytes a stream")
    assert each < (8192 if measurable else 32768)
    before = memory(server)
    others = [server.connect() for _ in range(2000)]
    for s in others:
        s.sendall(HELLO)
    for s in others:
        receive_until(s, b"hello\n")
    each = (memory(server) - before) / 2000
    print(f"{each:.0f} bytes a connection")
    assert each < (2048 if measurable else 32768)
    for s in streams + others:
        s.close()
    server.wait_for("aborts", 2000)
    server.wait_for("connections", 1)


def test_max_connections(start):
    """One more waits until another has gone."""
    server = start("max=2")
    first, second, third = server.connect(), server.connect(), server.connect()
    for s in first, second:
        s.sendall(HELLO)
        receive_until(s, b"hello\n")
    third.sendall(HELLO)
    third.settimeout(0.2)
    with pytest.raises(TimeoutError):
        third.recv(1)
    first.close()
    third.settimeout(20)
    receive_until(third, b"hello\n")
    second.close()
    third.close()


def test_stale_unix_socket_is_replaced(start, tmp_path):
    path = str(tmp_path / "left.sock")
    with socket.socket(socket.AF_UNIX) as s:
        s.bind(path)
    server = start(address=f"unix:{path}")
    assert os.path.exists(path) and server.port == 0
    run = subprocess.run([SERVER, f"unix:{path}"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert run.returncode == 1 and "address already in use" in run.stderr


@pytest.mark.parametrize("address", ["127.0.0.1", "127.0.0.1:x", "127.0.0.1:65536", "name:80", "[::1:80", "unix:/nonexistent/x", "1.2.3.4.5:1"])
def test_bad_address(address):
    run = subprocess.run([SERVER, address], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert run.returncode == 1 and run.stderr.startswith(f"listen on {address}: ") and run.stderr.count("\n") == 1


UPGRADE = b"POST /hijack HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n"


def check_echo(s, early):
    head = receive_until(s, b"\r\n\r\n" + early)
    assert head.startswith(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n")
    assert b"Content-Type: application/octet-stream\r\n" in head
    s.sendall(b"ping")
    assert receive_until(s, b"ping") == b"ping"
    data = os.urandom(2_000_000)
    sender = threading.Thread(target=s.sendall, args=(data,))
    sender.start()
    got = b""
    while len(got) < len(data):
        got += s.recv(1 << 16)
    sender.join()
    assert got == data


def test_hijack(server):
    with server.connect() as s:
        s.sendall(UPGRADE + b"early")
        check_echo(s, b"early")
        s.shutdown(socket.SHUT_WR)
        assert receive_all(s) == b""
    server.wait_for("finished", 1)
    server.wait_for("connections", 1)


def test_hijack_over_tls(start, keys):
    server = start(f"cert={keys}/server.pem", f"key={keys}/server.key")
    context = ssl.create_default_context(cafile=f"{keys}/ca.pem")
    with context.wrap_socket(server.connect(), server_hostname="localhost") as s:
        s.sendall(UPGRADE + b"early")
        head = receive_until(s, b"early")
        assert head.startswith(b"HTTP/1.1 101 ")
        s.sendall(b"x" * 500_000)
        got = 0
        while got < 500_000:
            got += len(s.recv(1 << 16))
    with context.wrap_socket(server.connect(), server_hostname="localhost") as s:
        s.sendall(UPGRADE.replace(b"/hijack", b"/hijack?take=1"))
        assert receive_until(s, b"refused")
    server.wait_for("connections", 1)


def test_hijacked_client_goes(server):
    with server.connect() as s:
        s.sendall(UPGRADE)
        receive_until(s, b"\r\n\r\n")
        s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
    server.wait_for("aborts", 1)
    server.wait_for("connections", 1)


def test_socket_is_handed_over(server):
    """The bare descriptor, with what the client sent too early."""
    with server.connect() as s:
        s.sendall(UPGRADE.replace(b"/hijack", b"/hijack?take=1") + b"early")
        out = receive_all(s)
    assert out.startswith(b"HTTP/1.1 101 ") and out.endswith(b"\r\n\r\ntaken:early")
    server.wait_for("connections", 1)


def test_hijack_is_refused(server):
    out = server.talk(UPGRADE.replace(b"Upgrade: tcp", b"Content-Length: 3") + b"abc" + HELLO.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
    assert status(out) == 400 and out.endswith(b"hello\n")
    server.flags = ["--http2-prior-knowledge"]
    assert server.curl("/hijack", "-o", "/dev/null", "-w", "%{http_code}") == "501"


def test_fds_do_not_run_out(start):
    """With every descriptor used up clients wait, and are served when there are some again."""
    server = start()
    used = len(os.listdir(f"/proc/{server.process.pid}/fd"))
    resource.prlimit(server.process.pid, resource.RLIMIT_NOFILE, (used + 3, 8192))
    held = [server.connect() for _ in range(3)]
    for s in held:
        s.sendall(HELLO)
        receive_until(s, b"hello\n")
    with server.connect() as s:
        s.sendall(HELLO)
        held.pop().close()
        receive_until(s, b"hello\n")
    for s in held:
        s.close()
    resource.prlimit(server.process.pid, resource.RLIMIT_NOFILE, (8192, 8192))
