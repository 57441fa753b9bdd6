"""Computes checksums in hex: of bytes, of a stream in steps, and of a whole object from the checksums of its parts.

`zlib` computes CRC-32, `hashlib` computes MD5 and SHA-256. If the extra `fast` is installed, `awscrt` computes CRC-32C
and CRC-64/NVME, and `isal` computes CRC-32. The speeds are 50 GB/s for `isal`, 3 GB/s for `awscrt`, and 1 to 6 GB/s for
`zlib`, depending on its build.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable
from functools import cache
from importlib.util import find_spec
from typing import Any, Protocol

Buffer = bytes | bytearray | memoryview
_Step = Callable[[Buffer, int], int]


_HASHES = frozenset({"md5", "sha256"})
_WIDTHS = {"crc32": 4, "crc32c": 4, "crc64nvme": 8}
_CRCS = frozenset(_WIDTHS if find_spec("awscrt") is not None else {"crc32"})
"""The CRCs that can be computed here. `awscrt` is only looked for: its import takes 60 ms."""


class Digest(Protocol):
    """A checksum that is computed in steps."""

    def update(self, data: Buffer) -> None:
        """Add the next bytes."""

    def hexdigest(self) -> str:
        """Return the checksum of all bytes so far."""


class _Crc:
    def __init__(self, step: _Step, width: int) -> None:
        self._step = step
        self._width = width
        self._value = 0

    def update(self, data: Buffer) -> None:
        self._value = self._step(data, self._value)

    def hexdigest(self) -> str:
        return _hex(self._value, self._width)


_steps: dict[str, _Step] = {}  # the CRCs whose library was imported


def loaded(name: str) -> bool:
    """Return whether the library of a checksum was imported; if not, its first use takes up to 60 ms."""
    return name in _HASHES or name in _steps


def _step(name: str) -> _Step:
    """Return the function that adds bytes to a CRC; its library is imported when it is first needed."""
    step = _steps.get(name)
    if step is None:
        step = _steps[name] = _imported(name)
    return step


def _imported(name: str) -> _Step:
    if name == "crc32":
        try:
            from isal.isal_zlib import crc32  # noqa: PLC0415 - not needed by every program, and takes 1 ms
        except ImportError:
            from zlib import crc32  # noqa: PLC0415 - as above
        step: _Step = crc32
        return step
    from awscrt import checksums as crt  # noqa: PLC0415 - not needed by every program, and takes 60 ms

    found: dict[str, _Step] = {"crc32c": crt.crc32c, "crc64nvme": crt.crc64nvme}
    return found[name]


@cache
def _new_hash() -> Callable[..., Any]:
    """Return the function that begins a hash; its library is imported when it is first needed."""
    from hashlib import new as new_hash  # noqa: PLC0415 - not needed by every program, and takes 2 ms

    return new_hash


def available(name: str) -> bool:
    """Return whether this installation can compute the checksum."""
    return name in _CRCS or name in _HASHES


def first_usable(preferred: Iterable[str], stored: Container[str] | None = None) -> str | None:
    """Return the name of the checksum with which to verify an object's bytes: the first in `preferred` that is usable.

    Args:
        preferred: Names of checksums, best first, such as `capabilities.stored_checksums`.
        stored: The names of the checksums that are stored for the object; `None`: not known yet.

    Returns:
        The name; `None`: no checksum is usable, so only the length can be compared.
    """
    return next((name for name in preferred if (stored is None or name in stored) and available(name)), None)


def combinable(name: str) -> bool:
    """Return whether the checksums of parts can be combined into the checksum of the whole."""
    return name in _CRCS


def new(name: str) -> Digest:
    """Begin a checksum; `available(name)` must be true."""
    if name in _HASHES:
        digest: Digest = _new_hash()(name, usedforsecurity=False)
        return digest
    return _Crc(_step(name), _WIDTHS[name])


def of(name: str, data: Buffer) -> str:
    """Return the checksum of bytes in memory."""
    if name in _HASHES:
        return str(_new_hash()(name, data, usedforsecurity=False).hexdigest())
    return _hex(_step(name)(data, 0), _WIDTHS[name])


def combine(name: str, parts: Iterable[tuple[str, int]]) -> str:
    """Return the checksum of the whole from the pairs (hex checksum, length in bytes) of its parts, in order.

    Source: Mark Adler's description of combining CRCs, https://stackoverflow.com/a/23126768
    """
    joined = _combination(name)
    total = 0
    for value, length in parts:
        total = joined(total, int(value, 16), length)
    return _hex(total, _WIDTHS[name])


@cache
def _combination(name: str) -> Callable[[int, int, int], int]:
    """Return the function that combines two CRCs; it takes the length of the second's bytes, too."""
    if "crc32c" not in _CRCS:
        return _combine_crc32
    from awscrt import checksums as crt  # noqa: PLC0415 - as in `_step`

    combinations: dict[str, Callable[[int, int, int], int]] = {
        "crc32": crt.combine_crc32,
        "crc32c": crt.combine_crc32c,
        "crc64nvme": crt.combine_crc64nvme,
    }
    return combinations[name]


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
    """Return the CRC-32 of two joined byte strings, from the CRC-32 of each and the length of the second in bytes.

    The first CRC is changed as if `length` zero bytes followed, and then combined with the second by XOR.
    """
    shift, power = 0x80000000, 0x00800000  # x**0, and x**8 for one byte
    while length:
        if length & 1:
            shift = _multiply(shift, power)
        power = _multiply(power, power)
        length >>= 1
    return _multiply(shift, first) ^ second
