"""What is measured, in the order of the report. A case runs once a round and takes its contenders in turn."""

from dataclasses import dataclass
from typing import Callable

from . import blobs, cold, first_pull, manifests, memory, outage


@dataclass
class Case:
    """`rows` is what it reports; the smoke run leaves out what is not `quick`."""

    name: str
    rows: list
    run: Callable
    quick: bool = True


CASES = [Case(*case) for module in (manifests, blobs, cold, first_pull, outage, memory) for case in module.cases()]
