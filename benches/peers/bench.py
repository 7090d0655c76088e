"""One run: what is served, who serves it, and what was measured of them."""

import collections
import os
import random
import time
from pathlib import Path

import contenders
from client import digest_served
from content import PIECE, Blob, Content, digest_of
from origin import Origin
from process import Process, come_to_rest
from signing import Keys

MB = 1_000_000
ZEROS = bytes(MB)

# The blobs that nobody has yet: the case that asks for them, their size in MB, and how many it needs a round.
COLD = [
    ("first byte", 30, 10),
    ("first byte, far", 30, 10),
    ("ranges", 200, 1),
    ("unthrottled", 200, 1),
    ("unthrottled", 1000, 1),
    ("1 Gbit/s", 200, 1),
    ("4 Gbit/s", 200, 1),
    ("64 clients", 200, 1),
]


class Bench:
    """Everything that a case needs: content, contenders, and a place for its results."""

    def __init__(self, options, home):
        self.options, self.home, self.www = options, home, home / "www"
        self.portcullis = Path(os.environ["PORTCULLIS"])
        self.processes, self.values, self.ready = [], collections.defaultdict(list), set()
        self.round, self.faults = 0, []
        self.content = Content()
        self.origin = Origin(self.content)

    def set_up(self):
        """Makes keys and content, and starts everybody."""
        self.keys = Keys(self.home)
        self._images()
        self.plain, self.tls = contenders.start_all(self)

    def start(self, command, name):
        process = Process([str(one) for one in command], self.home / f"{name}.log")
        self.processes.append(process)
        return process

    def stop(self):
        for process in self.processes:
            process.stop()

    def record(self, row, contender, value):
        self.values[row, contender].append(value)

    def turns(self, names, tls=False):
        """These contenders, in another order each time, since who comes behind whom makes a difference, and each when
        the one before has come to rest, with nothing left for the disk."""
        those = self.tls if tls else self.plain
        for name in random.sample(names, len(names)):
            os.sync()
            come_to_rest()
            yield those[name]

    def prepare(self, contender, path):
        """Has the contender serve `path` until it does, and twice, so that it is at hand; its bytes must be right."""
        if (contender.port, path) in self.ready:
            return
        if "/blobs/" in path:
            self.prepare(contender, path.split("/blobs/")[0] + "/manifests/v1")
        expected = self.expected(path)
        right = 0
        for _ in range(8):
            if digest_served(contender, path) != expected:
                time.sleep(0.25)
                continue
            right += 1
            if right == 2:
                self.ready.add((contender.port, path))
                return
        raise SystemExit(f"{contender.name} does not serve {path} as it is")

    def expected(self, path):
        """The digest of what is to be served at `path`."""
        repository, _, reference = path.removeprefix("/v2/").rsplit("/", 2)
        return reference if ":" in reference else digest_of(self.content.manifests[repository, reference][1])

    def blob(self, megabytes):
        """The path of the warm blob of that size."""
        return f"/v2/signed/app/blobs/{self.warm[megabytes].digest}"

    def back(self, megabytes):
        """Has pages at hand for so much to be written. The host of a virtual machine gives memory when it is first
        touched, which takes longer than what is measured; a file's pages go to what is written after it is gone."""
        file = self.home / "pages"
        with open(file, "wb") as pages:
            for _ in range(megabytes):
                pages.write(ZEROS)
        file.unlink()

    def fresh(self, case, megabytes):
        """The paths of this round's blobs that nobody has asked for; the smoke run's are a tenth of the size."""
        blobs = self.cold[case, megabytes]
        return [f"/v2/signed/cold/blobs/{blob.digest}" for blob in blobs[self.round :: self.options.rounds]]

    def _images(self):
        """One signed image with the warm blobs, and one whose layers are asked for once each."""
        self.warm = {size: self.content.add_blob(Blob(size * MB)) for size in (1, 30, 200)}
        self.image = self.content.add_image("signed/app", "v1", self.warm.values())
        part = 10 if self.options.smoke else 1
        self.cold = {
            (case, size): [self.content.add_blob(Blob(size * MB // part)) for _ in range(count * self.options.rounds)]
            for case, size, count in COLD
        }
        layers = [blob for blobs in self.cold.values() for blob in blobs]
        cold = self.content.add_image("signed/cold", "v1", layers)
        self.keys.sign(self.origin, "signed/app", [self.image])
        self.keys.sign(self.origin, "signed/cold", [cold])
        self._files()

    def _files(self):
        """The warm content as files, for nginx."""
        manifests, blobs = self.www / "v2/signed/app/manifests", self.www / "v2/signed/app/blobs"
        manifests.mkdir(parents=True)
        blobs.mkdir()
        for name in ("v1", self.image):
            (manifests / name).write_bytes(self.content.manifests["signed/app", name][1])
        for blob in self.warm.values():
            with open(blobs / blob.digest, "wb") as file:
                file.writelines(blob.pieces(PIECE))
