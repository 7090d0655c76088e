"""Resident memory: at rest just after the start, and the peak while 64 clients stream stored blobs."""

import time

from contenders import portcullis
from goals import Row, at_most
from load import own, wrk


def cases():
    yield idle()
    small = Row("64 streams of 30 MB: peak RSS", "MB", (at_most(64),))
    large = Row("64 streams of 200 MB: peak RSS", "MB", (at_most(64), at_most(1.1, small)))
    secret = Row("64 streams of 200 MB, TLS: peak RSS", "MB", (at_most(96),))
    yield "memory, 64 streams", [small, large, secret], lambda bench: streams(bench, small, large, secret), False


def idle():
    row = Row("idle RSS", "MB", (at_most(20),))

    def run(bench):
        server = portcullis(bench, f"idle-{bench.round}", bench.origin)
        time.sleep(1)
        bench.record(row, "portcullis", server.process.resident())
        server.process.stop()

    return "memory, idle", [row], run


def streams(bench, small, large, secret):
    names, seconds = ["portcullis", "static", "varnish"], bench.options.seconds
    for row, megabytes in ((small, 30), (large, 200)):
        for contender in bench.turns(names):
            peak(bench, row, contender, megabytes, lambda path: own(contender, "GET", path, 64, f"{seconds}s"))
    for contender in bench.turns(["portcullis", "static"], tls=True):
        peak(bench, secret, contender, 200, lambda path: wrk(contender, path, 64, seconds))


def peak(bench, row, contender, megabytes, load):
    path = bench.blob(megabytes)
    bench.prepare(contender, path)
    contender.process.forget_peak()
    load(path)
    bench.record(row, contender.name, contender.process.peak())
