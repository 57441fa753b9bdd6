"""What a write sends: its bytes, and their checksum as the vendor's row wants it."""

from __future__ import annotations

import base64
import os
from typing import Any

from bucketry._core import checksums
from bucketry._core.values import Body, FileRange
from bucketry.errors import IntegrityError


def load(body: Body, algorithm: str | None, where: str) -> tuple[bytes, str | None]:
    """Bring a body into memory and sum it. Blocks: runs in a worker thread."""
    data = _read(body, where) if isinstance(body, FileRange) else bytes(body)
    return data, checksums.of(algorithm, data) if algorithm else None


def _read(body: FileRange, where: str) -> bytes:
    pieces, at = [], body.start
    while at < body.end:
        piece = os.pread(body.fd, body.end - at, at)
        if not piece:
            message = f"{where}: the file ended at byte {at}, {body.end - at} early: it was cut while it was uploaded"
            raise IntegrityError(message)
        pieces.append(piece)
        at += len(piece)
    return pieces[0] if len(pieces) == 1 else b"".join(pieces)


def checksum_argument(algorithm: str | None, digest: str | None) -> dict[str, Any]:
    if algorithm is None or digest is None:
        return {}
    encoded = base64.b64encode(bytes.fromhex(digest)).decode()
    return {"ContentMD5" if algorithm == "md5" else f"Checksum{algorithm.upper()}": encoded}
