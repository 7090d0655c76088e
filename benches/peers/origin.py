"""The upstream: a registry in this process, that counts what it is asked, sends as fast as it is told, and can
hang or die. It takes pushes too, since cosign brings its signatures that way."""

import collections
import json
import os
import re
import socket
import threading
import time

from content import MANIFEST, PIECE, Bytes, Part, digest_of

INDEX = "application/vnd.oci.image.index.v1+json"
OCTETS = "application/octet-stream"

# So many seconds a link goes on by itself: 2.5 MB at 4 Gbit/s, which a sender's buffer may hold by default (tcp(7)).
BUFFERED = 0.005
ROUTE = re.compile(r"/v2/(?P<repository>.+)/(?P<kind>manifests|blobs|referrers)/(?P<reference>[^/?]+)(?:\?.*)?")


class Origin:
    """Serves `content` on a port of its own.

    `delay` is the time in seconds each answer waits, `rate` bounds the bytes of bodies a second over all
    connections, and `referrers` says whether the referrers API is there.
    """

    def __init__(self, content, referrers=False, delay=0.0):
        self.content, self.referrers, self.delay, self.rate = content, referrers, delay, None
        self.gets, self.sent, self.requests = collections.Counter(), collections.Counter(), 0
        self.answering = threading.Event()
        self.answering.set()
        self.lock, self.free_at, self.connections, self.uploads = threading.Lock(), 0.0, set(), {}
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def hang(self):
        """From here on requests are taken and not answered."""
        self.answering.clear()

    def die(self):
        """From here on connections are refused, and those that are open end."""
        for one in [self.listener, *self.connections]:
            try:
                one.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            one.close()

    def _accept(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.connections.add(connection)
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection):
        stream = connection.makefile("rb")
        try:
            while line := stream.readline():
                method, target, _ = line.decode("latin-1").split(" ", 2)
                headers = _headers(stream)
                body = _body(stream, headers)
                with self.lock:
                    self.requests += 1
                self.answering.wait()
                if self.delay:
                    time.sleep(self.delay)
                self._answer(connection, method, target, body, headers.get("range"))
        except (OSError, ValueError):
            pass  # It went away, or speaks no HTTP, as cosign does first: it tries TLS.
        finally:
            self.connections.discard(connection)
            connection.close()

    def _answer(self, connection, method, target, body, wanted):
        route = ROUTE.fullmatch(target)
        if method in ("GET", "HEAD"):
            status, headers, found = self._find(route, target)
        else:
            status, headers, found = self._push(method, route, target, body)
        if wanted and status.startswith("200"):
            first, last = map(int, wanted.removeprefix("bytes=").split("-"))
            headers = {**headers, "Content-Range": f"bytes {first}-{last}/{found.size}"}
            status, found = "206 Partial Content", Part(found, first, last + 1)
        head = f"HTTP/1.1 {status}\r\nContent-Length: {found.size}\r\nDocker-Distribution-Api-Version: registry/2.0\r\n"
        head = (head + "".join(f"{name}: {value}\r\n" for name, value in headers.items()) + "\r\n").encode()
        if method == "HEAD":
            connection.sendall(head)
            return
        if method == "GET":
            with self.lock:
                self.gets[target] += 1
        self._send(connection, target, head, found)

    def _send(self, connection, target, head, found):
        """The head goes with the first piece; under a rate, pieces are half a millisecond each."""
        most = int(self.rate * 0.0005) if self.rate else PIECE
        for piece in found.pieces(most):
            self._pace(target, len(piece))
            connection.sendall(head + piece if head else piece)
            head = b""

    def _pace(self, target, count):
        """Counts the bytes before they leave, so that whoever has received them finds them counted."""
        with self.lock:
            self.sent[target] += count
            if not self.rate:
                return
            # A link goes on with what is in its sender's buffer while the sender waits, for a processor or a receiver.
            due = max(time.monotonic() - BUFFERED, self.free_at)
            self.free_at = due + count / self.rate
        time.sleep(max(0.0, due - time.monotonic()))

    def _find(self, route, target):
        """What a GET or HEAD gives: status, headers and body."""
        if target == "/v2/":
            return "200 OK", {"Content-Type": "application/json"}, Bytes(b"{}")
        kind = route and route["kind"]
        if kind == "blobs" and (blob := self.content.blobs.get(route["reference"])):
            return "200 OK", {"Content-Type": OCTETS, "Docker-Content-Digest": blob.digest}, blob
        if kind == "manifests" and (found := self.content.manifests.get((route["repository"], route["reference"]))):
            media_type, data = found
            return "200 OK", {"Content-Type": media_type, "Docker-Content-Digest": digest_of(data)}, Bytes(data)
        if kind == "referrers" and self.referrers:
            manifests = self.content.referrers.get((route["repository"], route["reference"]), [])
            index = {"schemaVersion": 2, "mediaType": INDEX, "manifests": manifests}
            return "200 OK", {"Content-Type": INDEX}, Bytes(json.dumps(index).encode())
        code = "MANIFEST_UNKNOWN" if kind == "manifests" else "NOT_FOUND"
        error = json.dumps({"errors": [{"code": code, "message": "not here"}]}).encode()
        return "404 Not Found", {"Content-Type": "application/json"}, Bytes(error)

    def _push(self, method, route, target, body):
        """Uploads in one piece or as a POST, a PATCH and a PUT."""
        nothing, path = Bytes(b""), target.split("?")[0]
        if method == "PUT" and route and route["kind"] == "manifests":
            manifest = json.loads(body)
            media_type = manifest.get("mediaType", MANIFEST)
            digest = self.content.add_manifest(route["repository"], route["reference"], media_type, body)
            subject = {"OCI-Subject": manifest["subject"]["digest"]} if "subject" in manifest else {}
            return "201 Created", {"Docker-Content-Digest": digest, **subject}, nothing
        if method == "PUT":
            blob = self.content.add_blob(Bytes(self.uploads.pop(path, b"") + body))
            return "201 Created", {"Docker-Content-Digest": blob.digest}, nothing
        if method == "PATCH":
            self.uploads[path] = body
            return "202 Accepted", {"Location": path}, nothing
        return "202 Accepted", {"Location": f"{path.rstrip('/')}/{os.urandom(8).hex()}"}, nothing


def _headers(stream):
    headers = {}
    while (line := stream.readline().decode().rstrip("\r\n")):
        name, _, value = line.partition(":")
        headers[name.lower()] = value.strip()
    return headers


def _body(stream, headers):
    if headers.get("transfer-encoding") != "chunked":
        return stream.read(int(headers.get("content-length", 0)))
    body = b""
    while size := int(stream.readline(), 16):
        body += stream.read(size)
        stream.readline()
    stream.readline()
    return body
