"""What verifying costs a first pull: images that are signed beside images whose policy is `allow`, each asked for
once, at a Portcullis that has just started."""

import time

from client import Client
from contenders import portcullis
from goals import Row, at_most
from origin import Origin

# Long beside all else in a pull, so that time divided by it counts the round trips that wait for each other.
DELAY = 0.1
LAYOUTS = [("tag layout", False, 2), ("referrers", True, 3)]


def cases():
    for layout, bundle, trips in LAYOUTS:
        yield case(layout, bundle, trips)


def case(layout, bundle, most):
    name = f"first pull, {layout}"
    trips = Row(f"{name}: more round trips", "", (at_most(most),))
    requests = Row(f"{name}: more requests", "")
    cpu = Row(f"{name}: CPU a signature", "ms", (at_most(1),))

    def run(bench):
        count = 4 if bench.options.smoke else 50
        signed, plain = images(bench, layout, bundle, count)
        far = Origin(bench.content, referrers=bundle, delay=DELAY)
        server = started(bench, far)
        seconds, asked = pulled(server, far, plain[:10])
        more_seconds, more_asked = pulled(server, far, signed[:10])
        bench.record(trips, "portcullis", round((more_seconds - seconds) / DELAY))
        bench.record(requests, "portcullis", more_asked - asked)
        server.process.stop()
        near = Origin(bench.content, referrers=bundle)
        server = started(bench, near)
        base = spent(server, plain)
        bench.record(cpu, "portcullis", (spent(server, signed) - base) / count * 1e3)
        server.process.stop()

    return name, [trips, requests, cpu], run


def images(bench, layout, bundle, count):
    """The paths of signed images and of as many others, made once a run."""
    repository = f"signed/{layout.replace(' ', '-')}"
    if ("open/plain", f"{count - 1}") not in bench.content.manifests:
        for tag in range(count):
            bench.content.add_image("open/plain", f"{tag}")
    if (repository, "0") not in bench.content.manifests:
        registry = Origin(bench.content, referrers=True)
        digests = [bench.content.add_image(repository, f"{tag}") for tag in range(count)]
        bench.keys.sign(registry, repository, digests, bundle)
    return [[f"/v2/{one}/manifests/{tag}" for tag in range(count)] for one in (repository, "open/plain")]


def started(bench, origin):
    """One that has its connections to the upstream and has asked what it is."""
    server = portcullis(bench, f"first-pull-{time.monotonic_ns()}", origin)
    bench.content.add_image("open/warm", "v1")
    Client(server).pull("/v2/open/warm/manifests/v1")
    return server


def pulled(server, origin, paths):
    """Seconds and upstream requests a pull, each the median of these pulls."""
    client, times = Client(server), []
    for path in paths:
        begun, before = time.monotonic(), origin.requests
        client.pull(path)
        times.append((time.monotonic() - begun, origin.requests - before))
    return (sorted(column)[len(times) // 2] for column in zip(*times))


def spent(server, paths):
    client, before = Client(server), server.process.cpu()
    for path in paths:
        client.pull(path)
    return server.process.cpu() - before
