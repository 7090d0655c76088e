#!/usr/bin/env python3
"""Puts an RFC 3161 authority (openssl ts) and a folder of files on loopback.

    authority.py PORT FOLDER

POST /tsa/NAME answers a timestamp query by the section NAME of FOLDER/tsa.cnf. Any other request, GET or
POST, answers with the file FOLDER/www/FIRST/SECOND of its path's first two segments: OCSP requests by GET
have the query behind them. A request for an absolute URI is answered alike, so that this can stand for
any host by being the client's proxy. Says nothing; ends with its caller's signal.
"""

import os
import subprocess
import sys
import tempfile
import urllib.parse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

PORT, FOLDER = int(sys.argv[1]), sys.argv[2]


def timestamp(section, query):
    """What openssl answers to the query."""
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "query")
        with open(path, "wb") as file:
            file.write(query)
        command = ["openssl", "ts", "-reply", "-config", os.path.join(FOLDER, "tsa.cnf"), "-section", section]
        return subprocess.run(
            command + ["-queryfile", path], cwd=FOLDER, check=True, capture_output=True
        ).stdout


class Authority(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        self.answer(b"")

    def do_POST(self):
        self.answer(self.rfile.read(int(self.headers.get("Content-Length", 0))))

    def answer(self, body):
        segments = urllib.parse.urlsplit(self.path).path.split("/")[1:3]
        try:
            if segments[0] == "tsa":
                self.send(200, "application/timestamp-reply", timestamp(segments[1], body))
            elif ".." not in segments:
                with open(os.path.join(FOLDER, "www", *segments), "rb") as file:
                    kind = "application/ocsp-response" if segments[0] == "ocsp" else "application/pkix-crl"
                    self.send(200, kind, file.read())
            else:
                self.send(400, "text/plain", b"")
        except (OSError, IndexError):
            self.send(404, "text/plain", b"")

    def send(self, status, kind, body):
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


ThreadingHTTPServer(("127.0.0.1", PORT), Authority).serve_forever()
