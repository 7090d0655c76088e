"""moto's server, with what it lacks: KMS signing what is a digest already, and STS asking nobody for a signature who brings
the token of a web identity."""

import sys
from contextvars import ContextVar

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from moto.kms import responses, utils
from moto.server import main
from moto.sts.responses import TokenResponse

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
    if algorithm.startswith("RSASSA_PKCS1_V1_5"):
        return padding.PKCS1v15(), digest
    mask = padding.MGF1(HASHES[algorithm[-3:]]())
    return padding.PSS(mgf=mask, salt_length=padding.PSS.DIGEST_LENGTH), digest


responses.KmsResponse.sign = noting(responses.KmsResponse.sign)
utils.ECDSAPrivateKey.sign = prehashed(utils.ECDSAPrivateKey.sign, lambda _, digest: [ec.ECDSA(digest)])
utils.RSAPrivateKey.sign = prehashed(utils.RSAPrivateKey.sign, of_rsa)
signature_checked = TokenResponse._authenticate_and_authorize_normal_action


def unless_identified(self, resource="*"):
    if self._get_action() != "AssumeRoleWithWebIdentity":
        signature_checked(self, resource)


TokenResponse._authenticate_and_authorize_normal_action = unless_identified
sys.exit(main(sys.argv[1:]))
