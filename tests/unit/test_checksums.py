"""Checksums of parts, combined into the checksum of the whole, with and without the extra `fast`."""

from __future__ import annotations

import binascii
import hashlib
import importlib.util
import sys
import zlib
from types import ModuleType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bucketry._core import checksums

CRCS = [name for name in ("crc32", "crc32c", "crc64nvme") if checksums.combinable(name)]
EXTRA = ("awscrt", "isal", "isal.isal_zlib")
"""The libraries of the extra `fast`."""
KNOWN = {"crc32": "cbf43926", "crc32c": "e3069283", "crc64nvme": "ae8b14860a799888", "md5": None}

pieces = st.lists(st.binary(max_size=300), max_size=8)


def cut(data: bytes, sizes: list[int]) -> list[bytes]:
    """Cut the data at the given lengths, the rest last."""
    found, at = [], 0
    for size in sizes:
        found.append(data[at : at + size])
        at += size
    return [*found, data[at:]]


@pytest.fixture(params=["bare", "installed"])
def module(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The module without the extra `fast`, and with this installation's libraries."""
    if request.param == "installed":
        return checksums
    for name in EXTRA:
        monkeypatch.setitem(sys.modules, name, None)  # its import fails
    spec = importlib.util.spec_from_file_location("checksums_without_extra", checksums.__file__)
    assert spec is not None
    assert spec.loader is not None
    bare = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(bare)
    return bare


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


def test_large_lengths_need_few_steps(module: ModuleType) -> None:
    """Combining 5 GiB takes about a dozen steps, not one for each byte, and repeated doubling gives the same result."""
    crc, length = module.of("crc32", b"bucketry"), 8
    pieces = [(crc, length)]
    while length < 5 * 2**30:
        crc, length = module.combine("crc32", [(crc, length), (crc, length)]), 2 * length
        pieces.append((crc, length))
    lengths = [size for _, size in pieces]
    # All pieces before the last have 8 bytes less in total than the last: the first piece, used again, adds them.
    assert module.combine("crc32", [pieces[0], *pieces[:-1]]) == crc
    assert sum(lengths[:-1]) + 8 == lengths[-1]


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


def test_what_is_available(module: ModuleType) -> None:
    """CRC-32, MD5 and SHA-256 are always available; hashes cannot be combined; an unknown name is neither."""
    asked = ("crc32", "md5", "sha256", "sha1")
    assert [name for name in asked if module.available(name)] == ["crc32", "md5", "sha256"]
    assert [name for name in asked if module.combinable(name)] == ["crc32"]


@pytest.mark.parametrize("name", ["crc32c", "crc64nvme"])
def test_what_the_extra_brings(module: ModuleType, name: str) -> None:
    """The other CRCs are available only if `awscrt` is installed."""
    there = module is checksums and importlib.util.find_spec("awscrt") is not None
    assert (module.available(name), module.combinable(name)) == (there, there)


def test_no_part_is_no_byte(module: ModuleType) -> None:
    """The checksum of no bytes has full width."""
    assert module.combine("crc32", []) == "00000000" == module.of("crc32", b"")


def test_hex_keeps_leading_zeros() -> None:
    """A checksum with leading zeros is padded to its full width."""
    data = next(text for text in (str(n).encode() for n in range(10_000)) if zlib.crc32(text) < 0x0FFFFFFF)
    assert binascii.unhexlify(checksums.of("crc32", data)) == zlib.crc32(data).to_bytes(4, "big")


def test_the_first_usable_checksum_is_chosen() -> None:
    """The row's order decides among those that are stored and can be computed; without one only the length counts."""
    row = ("sha999", "crc32", "md5")
    assert checksums.first_usable(row) == "crc32"
    assert checksums.first_usable(row, {"md5": "00", "crc32": "00"}) == "crc32"
    assert checksums.first_usable(row, {"md5": "00", "sha999": "00"}) == "md5"
    assert checksums.first_usable(row, {"sha256": "00"}) is None
    assert checksums.first_usable(row, {}) is None
    assert checksums.first_usable(()) is None
