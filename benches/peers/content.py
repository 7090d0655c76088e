"""What is served: blobs, images and signatures, in memory. Sizes are bytes, digests are `sha256:` and hex."""

import hashlib
import json
import os
import threading

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar"

# All large blobs are this block over and over and a tail of their own, so that gigabytes of fresh content
# need no place. It is far larger than a processor's caches: what is sent comes from memory, as from a page cache.
BLOCK = memoryview(os.urandom(256 << 20))
PIECE = 1 << 20


def digest_of(data):
    return "sha256:" + hashlib.sha256(data).hexdigest()


class Blob:
    """A blob as the pieces it is sent in."""

    def __init__(self, size):
        self.size = size
        self.tail = os.urandom(min(size, 32))
        hashed = hashlib.sha256()
        for piece in self.pieces(PIECE):
            hashed.update(piece)
        self.digest = "sha256:" + hashed.hexdigest()

    def pieces(self, most):
        """All of it, in pieces of at most `most` bytes."""
        at, end = 0, self.size - len(self.tail)
        while at < end:
            start = at % len(BLOCK)
            piece = BLOCK[start : start + min(most, end - at)]
            at += len(piece)
            yield piece
        yield memoryview(self.tail)


class Part:
    """The bytes of `whole` from `first` on, before `end`."""

    def __init__(self, whole, first, end):
        self.whole, self.first, self.end = whole, first, min(end, whole.size)
        self.size = self.end - self.first

    def pieces(self, most):
        at = 0
        for piece in self.whole.pieces(most):
            wanted = piece[max(0, self.first - at) : max(0, self.end - at)]
            at += len(piece)
            if wanted:
                yield wanted


class Bytes:
    """A small blob, held as it is."""

    def __init__(self, data):
        self.data, self.size, self.digest = data, len(data), digest_of(data)

    def pieces(self, _most):
        yield memoryview(self.data)


class Content:
    """Everything a registry holds. Repositories share their blobs, as digests name them."""

    def __init__(self):
        self.blobs = {}
        self.manifests = {}  # (repository, tag or digest) → (media type, bytes)
        self.referrers = {}  # (repository, digest) → descriptors
        self.lock = threading.Lock()

    def add_blob(self, blob):
        self.blobs[blob.digest] = blob
        return blob

    def add_manifest(self, repository, reference, media_type, data):
        """Keeps a manifest by its digest and by `reference`; one with a subject becomes a referrer of it."""
        digest = digest_of(data)
        with self.lock:
            for name in (digest, reference):
                self.manifests[repository, name] = (media_type, data)
            manifest = json.loads(data)
            subject = manifest.get("subject")
            if subject:
                self.referrers.setdefault((repository, subject["digest"]), []).append({
                    "mediaType": media_type,
                    "digest": digest,
                    "size": len(data),
                    "artifactType": manifest.get("artifactType") or manifest["config"]["mediaType"],
                    "annotations": manifest.get("annotations", {}),
                })
        return digest

    def add_image(self, repository, tag, blobs=()):
        """An image with these layers, unlike every other; gives back its digest."""
        config = self.add_blob(Bytes(json.dumps({
            "architecture": "amd64", "os": "linux", "rootfs": {"type": "layers", "diff_ids": []},
            "author": os.urandom(8).hex(),
        }).encode()))
        manifest = json.dumps({
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": {"mediaType": CONFIG, "digest": config.digest, "size": config.size},
            "layers": [{"mediaType": LAYER, "digest": blob.digest, "size": blob.size} for blob in blobs],
        }).encode()
        return self.add_manifest(repository, tag, MANIFEST, manifest)
