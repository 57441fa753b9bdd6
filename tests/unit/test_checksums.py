"""Checksums of parts, combined into the checksum of the whole, with and without the extra `fast`."""

from __future__ import annotations

import binascii
import hashlib
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bucketry._core import checksums

CRCS = [name for name in ("crc32", "crc32c", "crc64nvme") if checksums.combinable(name)]
KNOWN = {"crc32": "cbf43926", "crc32c": "e3069283", "crc64nvme": "ae8b14860a799888", "md5": None}

pieces = st.lists(st.binary(max_size=300), max_size=8)


def cut(data: bytes, sizes: list[int]) -> list[bytes]:
    """Cut the data at the given lengths, the rest last."""
    found, at = [], 0
    for size in sizes:
        found.append(data[at : at + size])
        at += size
    return [*found, data[at:]]


@pytest.fixture(params=["fallback", "installed"])
def implementation(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """The checksums with zlib only, and with this installation's libraries."""
    if request.param == "fallback":
        monkeypatch.setattr(checksums, "_crt", None)
        monkeypatch.setattr(checksums, "_CRCS", {"crc32": (zlib.crc32, 4)})
    return str(request.param)


@pytest.mark.parametrize("name", CRCS)
@given(parts=pieces)
def test_combined_is_that_of_the_whole(name: str, parts: list[bytes]) -> None:
    """The combined checksum of any pieces, also empty ones, equals the checksum of all their bytes."""
    joined = checksums.combine(name, [(checksums.of(name, part), len(part)) for part in parts])
    assert joined == checksums.of(name, b"".join(parts))


@given(parts=pieces)
def test_the_fallback_combines_as_zlib_sums(parts: list[bytes]) -> None:
    """The package's own combination of CRC-32 gives the same as zlib for the whole."""
    total = 0
    for part in parts:
        total = checksums._combine_crc32(total, zlib.crc32(part), len(part))
    assert total == zlib.crc32(b"".join(parts))


def test_large_lengths_need_few_steps(implementation: str) -> None:
    """Combining 5 GiB takes about a dozen steps, not one for each byte, and repeated doubling gives the same result."""
    crc, length = checksums.of("crc32", b"bucketry"), 8
    pieces = [(crc, length)]
    while length < 5 * 2**30:
        crc, length = checksums.combine("crc32", [(crc, length), (crc, length)]), 2 * length
        pieces.append((crc, length))
    lengths = [size for _, size in pieces]
    # All pieces before the last have 8 bytes less in total than the last: the first piece, used again, adds them.
    assert checksums.combine("crc32", [pieces[0], *pieces[:-1]]) == crc
    assert sum(lengths[:-1]) + 8 == lengths[-1]
    assert implementation in {"fallback", "installed"}


@pytest.mark.parametrize("name", [name for name in KNOWN if checksums.available(name)])
def test_known_values(name: str) -> None:
    """For the digits 1 to 9, each algorithm gives the check value of its catalogue entry."""
    wanted = KNOWN[name] or hashlib.md5(b"123456789", usedforsecurity=False).hexdigest()
    assert checksums.of(name, b"123456789") == wanted


@pytest.mark.parametrize("name", [name for name in KNOWN if checksums.available(name)])
@given(data=st.binary(max_size=2_000), sizes=st.lists(st.integers(0, 400), max_size=5))
def test_updates_add_up(name: str, data: bytes, sizes: list[int]) -> None:
    """A running checksum is the same for all pieces of the bytes, also for views of a buffer."""
    digest = checksums.new(name)
    for piece in cut(data, sizes):
        digest.update(memoryview(bytearray(piece)))
    assert digest.hexdigest() == checksums.of(name, data)


def test_what_is_available(implementation: str) -> None:
    """CRC-32 and MD5 are always available; MD5 cannot be combined; an unknown name is neither."""
    assert checksums.available("crc32")
    assert checksums.available("md5")
    assert checksums.combinable("crc32")
    assert not checksums.combinable("md5")
    assert not checksums.available("sha1")
    if implementation == "fallback":
        assert not checksums.available("crc64nvme")


def test_no_part_is_no_byte(implementation: str) -> None:
    """The checksum of no bytes has full width."""
    assert checksums.combine("crc32", []) == "00000000" == checksums.of("crc32", b"")
    assert implementation


def test_hex_keeps_leading_zeros() -> None:
    """A checksum with leading zeros is padded to its full width."""
    data = next(text for text in (str(n).encode() for n in range(10_000)) if zlib.crc32(text) < 0x0FFFFFFF)
    assert binascii.unhexlify(checksums.of("crc32", data)) == zlib.crc32(data).to_bytes(4, "big")
