"""What a finding means for a row, and which row fits a server best."""

from __future__ import annotations

from dataclasses import fields

import pytest

from bucketry._core.capabilities import Capabilities
from bucketry._doctor.examine import PROBES
from bucketry._doctor.network import clock_check
from bucketry._doctor.promises import NEEDED, NOT_OF_SERVER, NOT_TESTED, agrees, best_row, compared
from bucketry._doctor.values import PROBLEMS, Finding, unknown
from bucketry._vendors import aws, generic, r2

ROWS = {"aws": aws.VENDOR.capabilities, "generic": generic.VENDOR.capabilities}
PROBED = [name for probe in PROBES for name in probe.names]


def test_every_promise_of_a_row_is_accounted_for() -> None:
    """Each field of a row is tested by one check, or listed as not testable, or is no promise of the server."""
    rows = {field.name for field in fields(Capabilities)}
    assert sorted(PROBED) == sorted(set(PROBED))
    assert sorted([*PROBED, *NOT_TESTED, *NOT_OF_SERVER]) == sorted({*rows, *NEEDED})


@pytest.mark.parametrize(
    ("name", "promised", "found", "agree"),
    [
        ("put_if_match", True, True, True),
        ("put_if_match", True, False, False),
        ("put_if_match", False, True, False),
        ("put_if_match", False, False, True),
        ("put_checksum", "crc32", ("crc32", "md5"), True),
        ("put_checksum", "crc32", ("md5",), False),
        ("put_checksum", None, (), True),
        ("put_checksum", None, ("md5",), False),
        ("stored_checksums", ("crc64nvme", "crc32"), ("crc32",), True),
        ("stored_checksums", ("crc64nvme",), ("crc32",), False),
        ("presign_methods", ("GET", "PUT"), ("PUT", "GET"), True),
        ("presign_methods", ("GET", "PUT"), ("GET",), False),
        ("presign_methods", (), False, False),
        ("key_normalization", None, "", True),
        ("key_normalization", None, "NFC", False),
        ("key_normalization", "NFC", "", False),
        ("max_delete_keys", 1, False, True),
        ("max_delete_keys", 1_000, False, False),
        ("max_key_length", 1_024, 1_024, True),
        ("listing_order", True, False, False),
    ],
)
def test_a_finding_agrees_with_a_promise(name: str, promised: object, found: object, *, agree: bool) -> None:
    """A finding agrees with the row if the server does exactly what the row says."""
    assert agrees(name, promised, found) is agree


def test_the_outcomes() -> None:
    """A server that refuses a promise, does other than it, and does more than it, is reported in these words."""
    findings = [
        Finding(name="tags", found=False, text="tags are refused", refused=True),
        Finding(name="put_if_match", found=False, text="ignored"),
        Finding(name="put_if_none_match", found=True, text="held"),
        unknown("versions", "no versions here"),
    ]
    made = {check.name: check for check in compared(findings, ROWS["aws"], {})}
    outcomes = [made[finding.name].outcome for finding in findings]
    assert outcomes == ["refused", "different", "kept", "not tested"]
    assert made["max_parts"].text == NOT_TESTED["max_parts"]
    assert "the row says yes" in made["tags"].text
    assert "report it" in made["put_if_match"].advice
    (more,) = [check for check in compared(findings, ROWS["generic"], {}) if check.name == "put_if_none_match"]
    assert (more.outcome, more.promised) == ("more", False)
    assert more.outcome not in PROBLEMS
    assert "does more" in more.advice


def test_a_row_that_protects_data_is_better() -> None:
    """A row whose broken promises may lose data is worse than a row with many missing features."""
    kept = [Finding(name=name, found=True, text="yes") for name in ("tags", "put_if_none_match", "get_if_match")]
    broken = Finding(name="put_if_match", found=False, text="ignored")
    assert best_row(kept, ROWS["generic"], ROWS) == "aws"
    assert best_row(kept, ROWS["aws"], ROWS) is None
    assert best_row([*kept, broken], ROWS["aws"], ROWS) == "generic"
    lines = {check.name: check.advice for check in compared([*kept, broken], ROWS["aws"], ROWS)}
    assert lines["put_if_match"] == 'server = "generic" (--server generic)'


def test_a_server_that_takes_unequal_parts() -> None:
    """If the row says that parts must be equal, a server that accepts others is different, not refused."""
    finding = Finding(name="equal_part_sizes", found=False, text="accepted")
    (check,) = [made for made in compared([finding], r2.VENDOR.capabilities, {}) if made.name == finding.name]
    assert check.outcome == "different"


@pytest.mark.parametrize(
    ("offset", "outcome", "word"),
    [
        (0.4, "ok", "agrees"),
        (-59, "ok", ""),
        (61, "warning", "behind"),
        (-899, "warning", "ahead"),
        (901, "failed", "behind"),
    ],
)
def test_the_clock(offset: float, outcome: str, word: str) -> None:
    """A difference above one minute is a warning, and above 15 minutes a failure."""
    check = clock_check(offset)
    assert check.outcome == outcome
    assert word in check.text
