"""A proxy for tests: tunnels (CONNECT), plain requests, SOCKS 5. Names are its own to resolve: `hosts` says where they lead."""
import base64
import select
import socket
import socketserver
import ssl
import threading
from urllib.parse import urlsplit

DEADLINE = 30


class Handler(socketserver.BaseRequestHandler):
    def handle(self):
        self.request.settimeout(DEADLINE)
        if self.server.proxy.socks:
            self.socks()
            return
        while self.one():
            pass

    def one(self):
        """One request; is another one to follow on this connection?"""
        head = b""
        while b"\r\n\r\n" not in head:
            piece = self.request.recv(65536)
            if not piece:
                return False
            head += piece
        head, _, rest = head.partition(b"\r\n\r\n")
        first, *lines = head.decode().split("\r\n")
        method, target, _ = first.split(" ")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        proxy = self.server.proxy
        proxy.requests.append((method, target, headers))
        if proxy.answer:
            return self.say(proxy.answer)
        if proxy.users and headers.get("proxy-authorization") not in ["Basic " + base64.b64encode(u.encode()).decode() for u in proxy.users]:
            return self.say(407, 'Proxy-Authenticate: Basic realm="proxy"')
        if method == "CONNECT":
            host, _, port = target.rpartition(":")
            to = self.reach(host, int(port))
            self.request.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
            self.relay(to)
            return False
        url = urlsplit(target)
        body = rest + self.rest_of(int(headers.get("content-length", "0")) - len(rest))
        to = self.reach(url.hostname, url.port or 80)
        path = url.path + ("?" + url.query if url.query else "")
        kept = "".join(f"{line}\r\n" for line in lines if not line.lower().startswith(("proxy-", "connection:")))
        to.sendall(f"{method} {path} HTTP/1.1\r\n{kept}Connection: close\r\n\r\n".encode() + body)
        answer = b""
        while piece := to.recv(65536):
            answer += piece
        to.close()
        status, _, rest = answer.partition(b"\r\n")
        self.request.sendall(status + b"\r\nConnection: close\r\n" + rest)
        return False

    def rest_of(self, n):
        data = b""
        while len(data) < n:
            data += self.request.recv(n - len(data))
        return data

    def say(self, status, *lines):
        self.request.sendall("\r\n".join([f"HTTP/1.1 {status} Said", *lines, "Content-Length: 0", "", ""]).encode())
        return True

    def reach(self, host, port):
        return socket.create_connection(self.server.proxy.hosts.get(f"{host}:{port}", (host, port)), DEADLINE)

    def socks(self):
        """RFC 1928 without credentials: a name and a port."""
        _, n = self.request.recv(2)
        self.rest_of(n)
        self.request.sendall(b"\x05\x00")
        _, _, _, kind = self.rest_of(4)
        assert kind == 3, "it should have been left to us to find the name"
        host = self.rest_of(self.rest_of(1)[0]).decode()
        port = int.from_bytes(self.rest_of(2), "big")
        self.server.proxy.requests.append(("SOCKS", f"{host}:{port}", {}))
        to = self.reach(host, port)
        self.request.sendall(b"\x05\x00\x00\x01\x00\x00\x00\x00\x00\x00")
        self.relay(to)

    def relay(self, to):
        ends = {self.request: to, to: self.request}
        while True:
            ready = [self.request] if isinstance(self.request, ssl.SSLSocket) and self.request.pending() else select.select(list(ends), [], [], DEADLINE)[0]
            for end in ready:
                try:
                    piece = end.recv(65536)
                except OSError:
                    piece = b""
                if not piece:
                    to.close()
                    return
                ends[end].sendall(piece)


class Server(socketserver.ThreadingTCPServer):
    daemon_threads, allow_reuse_address = True, True

    def handle_error(self, request, client_address):
        pass  # clients that hang up are what the tests are about


class Proxy:
    def __init__(self, hosts=None, tls=None, socks=False):
        self.hosts, self.requests, self.users, self.answer, self.socks = hosts or {}, [], [], None, socks
        self.server = Server(("127.0.0.1", 0), Handler)
        self.server.proxy = self
        self.port = self.server.server_address[1]
        if tls:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*tls)
            self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        self.host = f"127.0.0.1:{self.port}"
        self.url = f"{'socks5' if socks else 'https' if tls else 'http'}://{self.host}"
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()

    def seen(self):
        return [f"{method} {target}" for method, target, _ in self.requests]
