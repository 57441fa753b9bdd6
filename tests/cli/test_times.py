"""The times of files and objects: after any transfer, a sync of the same sides has nothing to do."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from bucketry.testing import EmbeddedS3
from tests.cli.inside import Inside, inside

__all__ = ["inside"]

LONG_AGO = 1_600_000_000_123_456_789  # ns
LARGE = bytes(100_000)  # two parts of 64 KiB


def _source(inside: Inside, name: str = "src") -> Path:
    """Make a directory of old files."""
    for path, data in (("a", b"1"), ("sub/b", b"22"), ("large", LARGE)):
        os.utime(inside.write(f"{name}/{path}", data), ns=(LONG_AGO, LONG_AGO))
    return inside.directory / name


def _unchanged(inside: Inside, source: str, destination: str) -> bool:
    """Return whether a sync of the three files has nothing to do."""
    said = inside("sync", source, destination, "--json")
    assert said.code == 0, said.err
    return (said.document["transferred"], said.document["unchanged"]) == (0, 3)


@pytest.mark.parametrize("verb", [("cp", "-r"), ("upload",)])
def test_uploads_store_the_time(inside: Inside, verb: tuple[str, ...]) -> None:
    """A directory that was copied to a store is in step for sync."""
    _source(inside)
    assert inside(*verb, "src", "st:data").code == 0
    assert _unchanged(inside, "src", "st:data")


@pytest.mark.parametrize("verb", [("cp", "-r"), ("download",), ("mv", "-r")])
def test_downloads_set_the_time(inside: Inside, verb: tuple[str, ...]) -> None:
    """A directory that was copied from a store has the times of the files from which its objects were made."""
    _source(inside)
    assert inside("upload", "src", "st:data").code == 0
    assert inside("cp", "-r", "st:data", "two:data").code == 0
    assert inside(*verb, "st:data", "out").code == 0
    assert _unchanged(inside, "two:data", "out")
    assert {(inside.directory / "out" / name).stat().st_mtime_ns // 1_000 for name in ("a", "sub/b", "large")} == {
        LONG_AGO // 1_000
    }


def test_a_move_to_a_store_stores_the_time(inside: Inside) -> None:
    """After a move, a sync with an equal directory has nothing to do."""
    _source(inside)
    _source(inside, "same")
    assert inside("mv", "-r", "src", "st:data").code == 0
    assert _unchanged(inside, "same", "st:data")


@pytest.mark.parametrize("verb", ["cp", "mv"])
def test_copies_between_stores_keep_the_time(inside: Inside, verb: str) -> None:
    """A copy to another store is in step with the files, and a copy of an object without a time with its source."""
    _source(inside)
    assert inside("upload", "src", "st:data").code == 0
    assert inside(verb, "-r", "st:data", "two:data").code == 0
    assert _unchanged(inside, "src", "two:data")
    _source(inside, "st/plain")  # files that no upload has made, as objects without metadata
    assert inside("cp", "-r", "st:plain", "two:plain").code == 0
    assert _unchanged(inside, "st:plain", "two:plain")


def test_one_file_keeps_its_time(inside: Inside) -> None:
    """A single upload and download keep the time, and a time that the user gives in the metadata is not replaced."""
    _source(inside)
    for name in ("a", "large"):
        assert inside("upload", f"src/{name}", f"st:{name}", "--part-size", "64KiB").code == 0
        assert inside("download", f"st:{name}", "out/").code == 0
        assert (inside.directory / "out" / name).stat().st_mtime_ns // 1_000 == LONG_AGO // 1_000
    assert inside("upload", "src/a", "st:given", "--metadata", "MTIME=1500000000").code == 0
    assert inside("download", "st:given", "given").code == 0
    assert (inside.directory / "given").stat().st_mtime_ns == 1_500_000_000 * 10**9


@pytest.mark.slow
@pytest.mark.usefixtures("s3_environment")
def test_times_on_s3(inside: Inside, s3_server: EmbeddedS3) -> None:
    """On a real S3 server, uploads and downloads of files of one and of several parts keep the time, too."""
    _source(inside)
    os.utime(inside.write("src/large", bytes(12 << 20)), ns=(LONG_AGO, LONG_AGO))
    for number, (up, down) in enumerate([(("cp", "-r"), ("cp", "-r")), (("upload",), ("download",))]):
        place = f"s3://{s3_server.bucket}/times-{number}"
        assert inside(*up, "src", place, "--part-size", "5MiB").code == 0
        assert _unchanged(inside, "src", place)
        assert inside(*down, place, f"out-{number}", "--part-size", "5MiB").code == 0
        assert _unchanged(inside, place, f"out-{number}")
