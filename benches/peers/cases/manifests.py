"""Manifests whose decision is cached: by digest, by tag within `tag_ttl`, HEAD, and over TLS 1.3."""

from goals import Row, at_least, at_most
from load import own, wrk

EVERYBODY = ["portcullis", "proxy_cache", "static", "varnish", "distribution", "registry"]
TLS = ["portcullis", "proxy_cache", "static"]


def cases():
    for connections in (1, 32, 256):
        yield by_digest(connections)
    yield by_tag()
    yield head()
    yield over_tls()


def path(bench, reference=None):
    return f"/v2/signed/app/manifests/{reference or bench.image}"


def by_digest(connections):
    name = f"manifest GET by digest, {connections} conn."
    rate = Row(name, "req/s", (at_least(1.2, "proxy_cache"), at_least(1.0, "static"), at_least(8, "distribution")))
    p99 = Row(f"{name}: p99", "ms", (at_most(2, "static"),))

    def run(bench):
        loaded(bench, EVERYBODY, connections, path(bench), rate, p99)

    return name, [rate, p99], run, connections == 32


def by_tag():
    name = "manifest GET by tag, 32 conn."
    rate = Row(name, "req/s", (at_least(1.2, "proxy_cache"), at_least(100, "distribution")))
    p99 = Row(f"{name}: p99", "ms", (at_most(2, "static"),))
    return name, [rate, p99], lambda bench: loaded(bench, EVERYBODY, 32, path(bench, "v1"), rate, p99)


def over_tls():
    name = "manifest GET by digest, TLS, 32 conn."
    rate = Row(name, "req/s", (at_least(1.2, "proxy_cache"),))
    p99 = Row(f"{name}: p99", "ms", (at_most(2, "static"),))
    return name, [rate, p99], lambda bench: loaded(bench, TLS, 32, path(bench), rate, p99, tls=True)


def loaded(bench, names, connections, path, rate, p99, tls=False):
    for contender in bench.turns(names, tls):
        bench.prepare(contender, path)
        load = wrk(contender, path, connections, bench.options.seconds)
        bench.record(rate, contender.name, load.rate)
        bench.record(p99, contender.name, load.p99 * 1e3)


def head():
    name = "manifest HEAD by digest, 32 conn."
    row = Row(name, "req/s", (at_least(1.1, "proxy_cache"),))

    def run(bench):
        for contender in bench.turns(EVERYBODY[:3]):
            bench.prepare(contender, path(bench))
            load = own(contender, "HEAD", path(bench), 32, f"{bench.options.seconds}s")
            bench.record(row, contender.name, load.rate)

    return name, [row], run
