"""Portcullis side by side with its peers; started by `benches/peers.sh`."""

import argparse
import os
import re
import signal
import sys
import tempfile
import time
from pathlib import Path

from bench import Bench
from cases import CASES
from report import table


def options():
    parser = argparse.ArgumentParser(prog="benches/peers.sh", description=__doc__)
    parser.add_argument("--seconds", type=int, default=3, help="how long each load lasts (3)")
    parser.add_argument("--rounds", type=int, default=3, help="how often everything is measured (3)")
    parser.add_argument("--only", metavar="PATTERN", default="", help="only cases whose name has this regular expression")
    parser.add_argument("--list", action="store_true", help="print the names of the cases and end")
    parser.add_argument("--smoke", action="store_true", help="one round of one second of what is quick: does it work?")
    chosen = parser.parse_args()
    if chosen.smoke:
        chosen.seconds = chosen.rounds = 1
    return chosen


def main():
    chosen = options()
    cases = [case for case in CASES if re.search(chosen.only, case.name) and (case.quick or not chosen.smoke)]
    if chosen.list:
        print("\n".join(case.name for case in cases))
        return
    if not cases:
        raise SystemExit(f"no case is named like {chosen.only!r}; --list names them")
    with tempfile.TemporaryDirectory(prefix="portcullis-peers-") as home:
        bench = Bench(chosen, Path(home))
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
        try:
            bench.set_up()
            for bench.round in range(chosen.rounds):
                for case in cases:
                    run(bench, case)
        finally:
            bench.stop()
            if bench.values:
                print(table(bench, [row for case in cases for row in case.rows]))
    if bench.faults:
        raise SystemExit("\n".join(["not all was measured:", *bench.faults]))


def run(bench, case):
    """A fault ends the case for this round, not what else is measured; it is told at the end once more."""
    now = time.strftime("%T")
    print(f"{now} round {bench.round + 1} of {bench.options.rounds}: {case.name}", file=sys.stderr)
    # What the case before has left to the disk is not this one's to wait for.
    os.sync()
    try:
        case.run(bench)
    except SystemExit as fault:
        bench.origin.rate = None
        bench.faults.append(f"{case.name}: {fault}")
        print(bench.faults[-1], file=sys.stderr)


main()
