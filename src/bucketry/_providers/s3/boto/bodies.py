"""The body of a write: its bytes, and the checksum that the vendor's row requires."""

from __future__ import annotations

from typing import Any

from bucketry._core import checksums
from bucketry._core.values import Body, FileRange
from bucketry._providers.s3.headers import base64_of
from bucketry._runtime.file_bodies import read_body


def load(body: Body, algorithm: str | None, where: str) -> tuple[bytes, str | None]:
    """Read a body into memory and compute its checksum. It blocks, so call it in a worker thread."""
    data = read_body(body, where) if isinstance(body, FileRange) else bytes(body)
    if algorithm is None or algorithm == "sha256":  # botocore computes SHA-256 itself
        return data, None
    return data, checksums.of(algorithm, data)


def checksum_argument(algorithm: str | None, digest: str | None) -> dict[str, Any]:
    """Return the parameter with a body's checksum; empty for SHA-256, because it is sent as the signed hash."""
    if algorithm is None or digest is None or algorithm == "sha256":
        return {}
    return {"ContentMD5" if algorithm == "md5" else f"Checksum{algorithm.upper()}": base64_of(digest)}
