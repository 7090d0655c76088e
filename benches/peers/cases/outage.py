"""What is cached while the upstream is dead (connections are refused) or hung (they are taken and never answered)."""

import time

from client import Client
from contenders import portcullis
from goals import Row, at_most
from load import own
from origin import Origin

# Two clients leave room: it is the wait for an upstream that is looked for, not the throughput.
CONNECTIONS, REQUESTS = 2, "2000r"


def cases():
    for state in ("dead", "hung"):
        yield case(state)


def case(state):
    name = f"upstream {state}"
    kinds = ("manifest by digest", "manifest by tag", "blob 1 MB")
    p99 = {kind: Row(f"{name}, {kind}: p99", "ms", (at_most(10),)) for kind in kinds}
    slowest = {kind: Row(f"{name}, {kind}: slowest", "ms") for kind in kinds}

    def run(bench):
        origin = Origin(bench.content)
        # A tag is past its age from the first request on, so that each would ask the upstream.
        freshness = "{ tag_ttl: 1s, stale_while_revalidate: 1s }"
        server = portcullis(bench, f"outage-{state}-{bench.round}", origin, freshness=freshness)
        manifests = "/v2/signed/app/manifests/"
        paths = dict(zip(kinds, (manifests + bench.image, manifests + "v1", bench.blob(1))))
        for path in (paths["manifest by tag"], paths["manifest by digest"], paths["blob 1 MB"]):
            Client(server).pull(path)
        origin.die() if state == "dead" else origin.hang()
        time.sleep(2.5)
        for kind, path in paths.items():
            load = own(server, "GET", path, CONNECTIONS, REQUESTS)
            bench.record(p99[kind], "portcullis", load.p99 * 1e3)
            bench.record(slowest[kind], "portcullis", load.max * 1e3)
        server.process.stop()

    return name, [row for kind in kinds for row in (p99[kind], slowest[kind])], run, state == "hung"
