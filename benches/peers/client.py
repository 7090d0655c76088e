"""Single requests, for what is checked rather than loaded."""

import hashlib
import http.client
import ssl

from content import MANIFEST

ANYBODY = ssl.create_default_context()
ANYBODY.check_hostname, ANYBODY.verify_mode = False, ssl.CERT_NONE


class Client:
    """One connection to a contender."""

    def __init__(self, contender):
        if contender.scheme == "https":
            self.connection = http.client.HTTPSConnection("127.0.0.1", contender.port, timeout=60, context=ANYBODY)
        else:
            self.connection = http.client.HTTPConnection("127.0.0.1", contender.port, timeout=60)

    def get(self, path):
        """The answer's status, and its body as an iterator over pieces."""
        self.connection.request("GET", path, headers={"Accept": MANIFEST})
        answer = self.connection.getresponse()
        return answer.status, iter(lambda: answer.read(1 << 20), b"")

    def pull(self, path):
        """Asks for `path` and wants it."""
        status, pieces = self.get(path)
        body = b"".join(pieces)
        if status != 200:
            raise SystemExit(f"GET {path} gives {status}: {body[:500]}")


def digest_served(contender, path):
    """The digest of what a contender answers, or its status where that is not 200."""
    status, pieces = Client(contender).get(path)
    hashed = hashlib.sha256()
    for piece in pieces:
        hashed.update(piece)
    return "sha256:" + hashed.hexdigest() if status == 200 else status
