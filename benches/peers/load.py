"""What loads the contenders: wrk for small answers and for TLS, our own `load` for all that wrk cannot measure."""

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path

from content import MANIFEST

DONE = Path(__file__).with_name("done.lua")
ACCEPT = f"Accept: {MANIFEST}, application/vnd.docker.distribution.manifest.v2+json"


@dataclass
class Load:
    """What came of one load, with times in seconds; `first_p50` is to the first byte, the others to the last."""

    requests: int
    bytes: int
    seconds: float
    p50: float
    p99: float
    max: float = 0.0
    first_p50: float = 0.0

    @property
    def rate(self):
        return self.requests / self.seconds


def wrk(contender, path, connections, seconds, threads=1):
    """Requests for `path`, one after the other over each connection."""
    url = f"{contender.scheme}://127.0.0.1:{contender.port}{path}"
    command = ["wrk", "-t", threads, "-c", connections, "-d", f"{seconds}s", "--timeout", "30s", "-s", DONE,
               "-H", ACCEPT, url]
    measured = json.loads(_output(command, contender).splitlines()[-1])
    if measured.pop("errors"):
        raise SystemExit(f"{contender.name} does not answer every request for {path}")
    return Load(**measured)


def own(contender, method, path, connections, until):
    """The same by `load`: `until` is a time (`"3s"`) or a number of requests (`"64r"`)."""
    command = ["load", method, f"127.0.0.1:{contender.port}", path, connections, until]
    return Load(**json.loads(_output(command, contender)))


def ranges(contender, path, size, number):
    """One GET of all of `size` bytes in so many parts at once, by curl."""
    step, url = -(-size // number), f"{contender.scheme}://127.0.0.1:{contender.port}{path}"
    parts = [(first, min(first + step, size)) for first in range(0, size, step)]
    clients = [
        subprocess.Popen(["curl", "-sf", "-o", "/dev/null", "-w", "%{http_code} %{size_download}",
                          "-r", f"{first}-{end - 1}", url], stdout=subprocess.PIPE, text=True)
        for first, end in parts
    ]
    for client, (first, end) in zip(clients, parts):
        if client.communicate()[0] != f"206 {end - first}":
            raise SystemExit(f"{contender.name} does not answer for the bytes {first} to {end} of {path}")


def _output(command, contender):
    done = subprocess.run([str(one) for one in command], capture_output=True, text=True)
    if done.returncode:
        words = contender.process.last_words() if contender.process else ""
        raise SystemExit(f"{contender.name}: {command[0]} says {done.stderr.strip()[:500]}\n{words}")
    return done.stdout
