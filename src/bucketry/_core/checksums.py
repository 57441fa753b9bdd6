"""Checksums by name, in hex: for bytes, in steps, and combined from parts.

`zlib` computes CRC-32, `hashlib` MD5 and SHA-256. If the extra `fast` is installed, `awscrt` computes CRC-32C and
CRC-64/NVME, and `isal` computes CRC-32: at 50 GB/s. `zlib` reaches 1 to 6 GB/s, depending on its build, and `awscrt`
3 GB/s.
"""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Callable, Container, Iterable
from typing import Protocol

try:
    from awscrt import checksums as _crt
except ImportError:
    _crt = None

try:
    from isal.isal_zlib import crc32 as _crc32
except ImportError:
    _crc32 = zlib.crc32

Buffer = bytes | bytearray | memoryview
_Step = Callable[[Buffer, int], int]


_HASHES = frozenset({"md5", "sha256"})
_CRCS: dict[str, tuple[_Step, int]] = {"crc32": (_crc32, 4)}
if _crt is not None:
    _CRCS |= {"crc32c": (_crt.crc32c, 4), "crc64nvme": (_crt.crc64nvme, 8)}


class Digest(Protocol):
    """A running checksum."""

    def update(self, data: Buffer) -> None:
        """Add the next bytes."""

    def hexdigest(self) -> str:
        """Give the checksum of all bytes so far."""


class _Crc:
    def __init__(self, step: _Step, width: int) -> None:
        self._step = step
        self._width = width
        self._value = 0

    def update(self, data: Buffer) -> None:
        self._value = self._step(data, self._value)

    def hexdigest(self) -> str:
        return _hex(self._value, self._width)


def available(name: str) -> bool:
    """Tell whether this installation can compute the checksum."""
    return name in _CRCS or name in _HASHES


def first_usable(preferred: Iterable[str], stored: Container[str] | None = None) -> str | None:
    """Choose the checksum to verify bytes by, which is the first of the preferred that can be used.

    Args:
        preferred: Names, best first: a row's `stored_checksums`.
        stored: Those that are known of the object; `None`: it is not known yet which there are.

    Returns:
        Its name; `None`: only the length can be compared.
    """
    return next((name for name in preferred if (stored is None or name in stored) and available(name)), None)


def combinable(name: str) -> bool:
    """Tell whether the checksums of parts can be combined into the checksum of the whole."""
    return name in _CRCS


def new(name: str) -> Digest:
    """Begin a checksum; `available(name)` must be true."""
    if name in _HASHES:
        return hashlib.new(name, usedforsecurity=False)
    return _Crc(*_CRCS[name])


def of(name: str, data: Buffer) -> str:
    """Give the checksum of bytes in memory."""
    if name in _HASHES:
        return hashlib.new(name, data, usedforsecurity=False).hexdigest()
    step, width = _CRCS[name]
    return _hex(step(data, 0), width)


def combine(name: str, parts: Iterable[tuple[str, int]]) -> str:
    """Give the checksum of the whole from the pairs (hex checksum, length in bytes) of its parts, in order.

    Source: Mark Adler's description of combining CRCs, https://stackoverflow.com/a/23126768
    """
    _, width = _CRCS[name]
    joined = {"crc32": _combine_crc32}
    if _crt is not None:
        joined = {
            "crc32": _crt.combine_crc32,
            "crc32c": _crt.combine_crc32c,
            "crc64nvme": _crt.combine_crc64nvme,
        }
    total = 0
    for value, length in parts:
        total = joined[name](total, int(value, 16), length)
    return _hex(total, width)


def _hex(value: int, width: int) -> str:
    return f"{value:0{2 * width}x}"


_POLYNOMIAL = 0xEDB88320  # CRC-32, bits reversed


def _multiply(a: int, b: int) -> int:
    """Multiply two polynomials over GF(2), bits reversed, modulo the CRC's polynomial."""
    product = 0
    for bit in range(31, -1, -1):
        if a >> bit & 1:
            product ^= b
        b = b >> 1 ^ (_POLYNOMIAL if b & 1 else 0)
    return product


def _combine_crc32(first: int, second: int, length: int) -> int:
    """Combine two CRC-32s: append `length` zero bytes to the first, then add the second, which has `length` bytes."""
    shift, power = 0x80000000, 0x00800000  # x**0 and x**8: one byte
    while length:
        if length & 1:
            shift = _multiply(shift, power)
        power = _multiply(power, power)
        length >>= 1
    return _multiply(shift, first) ^ second
