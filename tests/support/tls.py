"""A certificate authority and a server certificate for loopback, made with openssl for one test run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.support.daemons import run

if TYPE_CHECKING:
    from pathlib import Path

_NEW_KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
_EXTENSIONS = """subjectAltName=DNS:localhost,DNS:mail.example.com,IP:127.0.0.1
extendedKeyUsage=serverAuth
basicConstraints=CA:FALSE
authorityKeyIdentifier=keyid
"""


@dataclass(frozen=True)
class Certificates:
    """Files in PEM form."""

    authority: Path
    certificate: Path
    key: Path


def make_certificates(folder: Path) -> Certificates:
    """A new authority, and a certificate by it for localhost and 127.0.0.1."""
    made = Certificates(folder / "ca.pem", folder / "server.pem", folder / "server.key")
    authority_key = folder / "ca.key"
    request = folder / "server.csr"
    extensions = folder / "extensions"
    extensions.write_text(_EXTENSIONS)
    run(["openssl", "req", "-x509", *_NEW_KEY, "-days", "30", "-subj", "/CN=Gatepost test authority", "-keyout", authority_key, "-out", made.authority,
         "-addext", "keyUsage=critical,keyCertSign,cRLSign"])  # fmt: skip
    run(["openssl", "req", *_NEW_KEY, "-subj", "/CN=mail.example.com", "-keyout", made.key, "-out", request])
    run(["openssl", "x509", "-req", "-in", request, "-CA", made.authority, "-CAkey", authority_key, "-CAcreateserial",
         "-days", "30", "-out", made.certificate, "-extfile", extensions])  # fmt: skip
    made.key.chmod(0o644)  # nginx reads it as root, a test as anyone
    return made
