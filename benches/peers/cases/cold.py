"""Blobs nobody has asked for: one client beside the same client at the origin, and 64 clients at once."""

import statistics
import time

from goals import Row, at_most
from load import own, ranges

CACHES = ["portcullis", "proxy_cache", "varnish", "distribution"]


def cases():
    yield first_byte()
    yield first_byte(delay=0.02)
    yield one_client("unthrottled", 200, None, ["direct", *CACHES], 1.5)
    yield one_client("unthrottled", 1000, None, ["direct", *CACHES], 1.8)
    yield one_client("1 Gbit/s", 200, 1e9, ["direct", "portcullis", "varnish"], 1.03)
    yield one_client("4 Gbit/s", 200, 4e9, ["direct", "portcullis", "varnish"], 1.03)
    yield in_ranges(200, 4)
    yield crowd()


def first_byte(delay=0.0):
    far = f", upstream {delay * 1e3:.0f} ms away" if delay else ""
    name = f"cold 30 MB{far}: first byte"
    row, blobs = Row(name, "ms", (at_most(1.3, "direct"),)), "first byte, far" if delay else "first byte"

    def run(bench):
        admit(bench)
        bench.origin.delay = delay
        for contender in bench.turns(["direct", *CACHES]):
            bench.back(2 * 300)
            loads = [own(contender, "GET", path, 1, "1r") for path in bench.fresh(blobs, 30)]
            bench.record(row, contender.name, statistics.median(load.first_p50 for load in loads) * 1e3)
        bench.origin.delay = 0.0

    return name, [row], run


def one_client(link, megabytes, bits, names, most):
    size = f"{megabytes // 1000} GB" if megabytes >= 1000 else f"{megabytes} MB"
    name = f"cold {size}, {link}"
    total = Row(name, "ms", (at_most(most, "direct"),))
    sent = Row(f"{name}: upstream bytes", "× its size", (at_most(1),))

    def run(bench):
        admit(bench)
        [path] = bench.fresh(link, megabytes)
        bench.origin.rate = bits and bits / 8
        for contender in bench.turns(names):
            bench.back(2 * megabytes)
            before = bench.origin.sent[path]
            load = own(contender, "GET", path, 1, "1r")
            bench.record(total, contender.name, load.max * 1e3)
            bench.record(sent, contender.name, (bench.origin.sent[path] - before) / load.bytes)
            checked(bench, contender, path)
        bench.origin.rate = None

    return name, [total, sent], run, link == "1 Gbit/s" or (not bits and megabytes == 200)


def in_ranges(megabytes, number):
    """What it costs a client that takes a layer in parts at once that none of them is made of unproven bytes."""
    name = f"cold {megabytes} MB in {number} ranges at once, 1 Gbit/s"
    total = Row(name, "ms")

    def run(bench):
        admit(bench)
        [path] = bench.fresh("ranges", megabytes)
        bench.origin.rate = 1e9 / 8
        for contender in bench.turns(["direct", "portcullis"]):
            bench.back(2 * megabytes)
            start = time.monotonic()
            ranges(contender, path, megabytes * 1_000_000, number)
            bench.record(total, contender.name, (time.monotonic() - start) * 1e3)
        bench.origin.rate = None

    return name, [total], run, False


def crowd():
    name = "64 clients, one cold 200 MB"
    total = Row(name, "ms", (at_most(1, "varnish"),))
    first = Row(f"{name}: first byte, median", "ms", (at_most(20),))
    gets = Row(f"{name}: upstream GETs", "", (at_most(1),))
    peak = Row(f"{name}: peak RSS", "MB", (at_most(64),))

    def run(bench):
        admit(bench)
        [path] = bench.fresh("64 clients", 200)
        for contender in bench.turns(CACHES):
            bench.back(2 * 200)
            contender.process.forget_peak()
            before = bench.origin.gets[path]
            load = own(contender, "GET", path, 64, "64r")
            bench.record(total, contender.name, load.seconds * 1e3)
            bench.record(first, contender.name, load.first_p50 * 1e3)
            bench.record(gets, contender.name, bench.origin.gets[path] - before)
            bench.record(peak, contender.name, contender.process.peak())
            checked(bench, contender, path)

    return name, [total, first, gets, peak], run


def admit(bench):
    """The image must be known before its layers are, and its manifest counts in no time."""
    bench.prepare(bench.plain["portcullis"], "/v2/signed/cold/manifests/v1")


def checked(bench, contender, path):
    """The load does not look at what it is sent; the smoke run does."""
    if bench.options.smoke:
        bench.prepare(contender, path)
