"""moto's server, with the one part of KMS' API that it lacks: signing what is a digest already."""

import sys
from contextvars import ContextVar

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from moto.kms import responses, utils
from moto.server import main

HASHES = {"256": hashes.SHA256, "384": hashes.SHA384, "512": hashes.SHA512}
message_type = ContextVar("MessageType", default=None)


def noting(answer):
    def sign(self):
        message_type.set(self._get_param("MessageType"))
        return answer(self)

    return sign


def prehashed(raw, parameters):
    def sign(self, message, algorithm):
        if message_type.get() != "DIGEST":
            return raw(self, message, algorithm)
        digest = Prehashed(HASHES[algorithm[-3:]]())
        return self.private_key.sign(message, *parameters(algorithm, digest))

    return sign


def of_rsa(algorithm, digest):
    assert algorithm.startswith("RSASSA_PKCS1_V1_5")
    return padding.PKCS1v15(), digest


responses.KmsResponse.sign = noting(responses.KmsResponse.sign)
utils.ECDSAPrivateKey.sign = prehashed(utils.ECDSAPrivateKey.sign, lambda _, digest: [ec.ECDSA(digest)])
utils.RSAPrivateKey.sign = prehashed(utils.RSAPrivateKey.sign, of_rsa)
sys.exit(main(sys.argv[1:]))
