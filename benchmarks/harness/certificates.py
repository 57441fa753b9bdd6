"""A certificate authority for one run, and its certificate for the loopback."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

_NAMES = "subjectAltName=DNS:localhost,IP:127.0.0.1"


@dataclass(frozen=True)
class Certificates:
    """PEM files: the authority that clients trust, and the server's certificate and key."""

    authority: Path
    certificate: Path
    key: Path


def make_certificates(directory: Path) -> Certificates:
    """Make an authority and a server certificate, both valid for a day, with the `openssl` command.

    Raises:
        FileNotFoundError: The command is not installed.
    """
    openssl = shutil.which("openssl")
    if openssl is None:
        message = "certificates are made with the command `openssl`, which is not installed"
        raise FileNotFoundError(message)
    authority, authority_key = directory / "ca.pem", directory / "ca.key"
    certificate, key, request = directory / "server.pem", directory / "server.key", directory / "server.csr"
    extensions = directory / "server.ext"
    extensions.write_text(f"{_NAMES}\nbasicConstraints=critical,CA:FALSE\nextendedKeyUsage=serverAuth\n")
    new_key = ["req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    usage = ["-addext", "keyUsage=critical,keyCertSign,cRLSign"]
    commands: list[list[str | Path]] = [
        [*new_key, "-x509", "-days", "1", "-subj", "/CN=benchmark authority", *usage, "-keyout", authority_key],
        [*new_key, "-subj", "/CN=localhost", "-keyout", key],
        ["x509", "-req", "-days", "1", "-CAcreateserial", "-CA", authority, "-CAkey", authority_key, "-in", request],
    ]
    outputs: list[list[str | Path]] = [
        ["-out", authority],
        ["-out", request],
        ["-extfile", extensions, "-out", certificate],
    ]
    for command, output in zip(commands, outputs, strict=True):
        subprocess.run([openssl, *command, *output], check=True, capture_output=True)
    return Certificates(authority, certificate, key)
