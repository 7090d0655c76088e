"""The keys of a run, and signatures by the real cosign."""

import os
import subprocess


class Keys:
    """Made under `home`: `cosign.key` with `cosign.pub`, and `tls.key` with `tls.crt` for all that speak TLS."""

    def __init__(self, home):
        self.home = home
        self._run("cosign", "generate-key-pair")
        self._run("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                  "-days", "2", "-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1",
                  "-keyout", "tls.key", "-out", "tls.crt")

    def sign(self, origin, repository, digests, bundle=False):
        """Signs in a layer under a tag of cosign's, or in a bundle that is a referrer."""
        images = [f"127.0.0.1:{origin.port}/{repository}@{digest}" for digest in digests]
        self._run("cosign", "sign", "--yes", "--key", "cosign.key", "--allow-http-registry", "--tlog-upload=false",
                  "--use-signing-config=false", f"--new-bundle-format={str(bundle).lower()}", *images)

    def _run(self, *command):
        environment = os.environ | {"COSIGN_PASSWORD": "", "HOME": str(self.home)}
        done = subprocess.run(command, cwd=self.home, env=environment, capture_output=True, text=True)
        if done.returncode:
            raise SystemExit(f"{' '.join(command[:2])} failed:\n{(done.stderr + done.stdout)[-2000:]}")
