"""Blobs that are stored: throughput, and the server's processor time a GB (user and system, all its processes)."""

from goals import Row, at_least, at_most
from load import own, wrk

PLAIN = ["portcullis", "proxy_cache", "static", "varnish", "distribution"]
TLS = ["portcullis", "proxy_cache", "static"]


def cases():
    yield plain(1, 8, (at_least(0.9, "static"),), ())
    for megabytes in (30, 200):
        yield plain(megabytes, 8, (at_least(0.95, "static"),), (at_most(1.15, "static"),))
        yield plain(megabytes, 1, (at_least(0.88, "static"),), (at_most(1.15, "static"),))
    for megabytes in (30, 200):
        yield over_tls(megabytes)


def plain(megabytes, connections, speed_goals, cpu_goals):
    def load(contender, path, seconds):
        return own(contender, "GET", path, connections, f"{seconds}s")

    return case(f"blob {megabytes} MB, {connections} conn.", megabytes, PLAIN, False, load, speed_goals, cpu_goals)


def over_tls(megabytes):
    def load(contender, path, seconds):
        # One thread decrypts less than a contender can send.
        return wrk(contender, path, 8, seconds, threads=2)

    goals = (at_least(1.25, "static"),), (at_most(0.75, "static"),)
    return case(f"blob {megabytes} MB, TLS, 8 conn.", megabytes, TLS, True, load, *goals)


def case(name, megabytes, names, tls, load, speed_goals, cpu_goals):
    speed = Row(name, "GB/s", speed_goals)
    cpu = Row(f"{name}: CPU", "s/GB", cpu_goals)

    def run(bench):
        path = bench.blob(megabytes)
        for contender in bench.turns(names, tls):
            bench.prepare(contender, path)
            before = contender.process.cpu()
            done = load(contender, path, bench.options.seconds)
            bench.record(cpu, contender.name, (contender.process.cpu() - before) / (done.bytes / 1e9))
            bench.record(speed, contender.name, done.bytes / 1e9 / done.seconds)

    return name, [speed, cpu], run, name == "blob 30 MB, 8 conn."
