"""Compares what a server does with what its row promises, and finds the row that fits best."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields
from types import MappingProxyType

from bucketry._core.capabilities import Capabilities
from bucketry._doctor.values import Check, Finding, Outcome

NEEDED: Mapping[str, str] = MappingProxyType(
    {
        "listing_order": "listings are in UTF-8 binary order",
        "listing_keys": "listings return every key exactly",
        "listing_delimiter": "listings with a delimiter return common prefixes",
        "listing_pages": "listings continue with their token",
        "listing_start_after": "listings begin after the key in start-after",
        "control_characters": "keys with control characters are stored and listed",
        "stored_headers": "metadata and headers are stored",
        "ranges": "reads of a range return exactly the range",
        "missing_objects": "a read of a missing object is answered with 404",
        "multipart_abort": "an aborted upload and its parts are gone",
        "multipart_listing": "open uploads and their parts are listed",
        "copy_part": "parts are copied on the server",
    }
)
"""What bucketry needs of every server, and what that means. Such a promise is in no row."""

NOT_TESTED: Mapping[str, str] = MappingProxyType(
    {
        "max_object_size": "would need an object of this size",
        "max_put_size": "would need an object of this size",
        "max_copy_size": "would need an object of this size",
        "max_part_size": "would need a part of this size",
        "max_parts": "would need as many parts",
        "max_list_keys": "would need as many objects",
        "copy_between_buckets": "would need a second bucket",
        "request_payer": "would need a bucket whose reader pays",
        "soft_delete": "depends on the rules of the bucket",
    }
)
"""Promises that no check tests, and why."""

NOT_OF_SERVER = frozenset({"multipart_threshold", "buffers_bodies", "buffers_parts"})
"""Fields of a row that say what bucketry does, not what a server does."""

_SAFETY = frozenset(
    {
        "put_if_none_match",
        "complete_if_none_match",
        "put_if_match",
        "complete_if_match",
        "copy_source_if_match",
        "versions",
    }
)
"""A server that breaks one of these promises may lose data, because bucketry relies on them."""

_LIMITATIONS = frozenset({"equal_part_sizes", "plain_paths", "key_normalization"})
"""Fields that say what a server cannot do: a server with more of these does less."""

_ANY_OF = frozenset({"put_checksum", "multipart_checksum", "stored_checksums", "encryption"})
"""A check of these shows one value that the server supports, or several, but never all of them."""


def agrees(name: str, promised: object, found: object) -> bool:
    """Return whether a finding is what a row promises."""
    if name in NEEDED:
        return bool(found)
    if name in _ANY_OF:
        known = found if isinstance(found, (tuple, frozenset)) else ()
        wanted = promised if isinstance(promised, tuple) else (promised,) if promised else ()
        return not known if not wanted else any(each in known for each in wanted)
    if isinstance(promised, tuple):
        return isinstance(found, tuple) and set(promised) == set(found)
    if isinstance(promised, bool):
        return promised is bool(found)
    if found is False:
        return promised in (None, 1)  # 1 is the least that a limit can be
    return not found if promised is None else promised == found


def compared(findings: Iterable[Finding], row: Capabilities, rows: Mapping[str, Capabilities]) -> list[Check]:
    """Return one check for each finding, and one for each promise that cannot be tested.

    Args:
        findings: What was seen.
        row: The row in use.
        rows: The rows that the configuration can name, by the value of the entry `server`.
    """
    seen = list(findings)
    better = best_row(seen, row, rows)
    checks = [_check(finding, row, better, rows) for finding in seen]
    tested = {finding.name for finding in seen}
    for field in fields(Capabilities):
        if field.name not in tested and field.name not in NOT_OF_SERVER:
            reason = NOT_TESTED.get(field.name, "no check was made")
            checks.append(_not_tested(field.name, reason, getattr(row, field.name)))
    return checks


def best_row(findings: Sequence[Finding], row: Capabilities, rows: Mapping[str, Capabilities]) -> str | None:
    """Return the name of the row that fits better than `row`; `None`: none does.

    A promise that protects data counts more than any number of other promises. If a server breaks such a promise, a row
    with fewer promises is better, because bucketry then refuses what the server cannot do.
    """

    def faults(of: Capabilities) -> tuple[int, int]:
        wrong = [finding for finding in findings if not _fits(finding, of)]
        broken = sum(finding.name in _SAFETY and bool(getattr(of, finding.name)) for finding in wrong)
        return broken, len(wrong)

    found = {name: faults(each) for name, each in rows.items()}
    best = min(found, key=lambda name: found[name], default=None)
    return best if best is not None and found[best] < faults(row) else None


def _fits(finding: Finding, row: Capabilities) -> bool:
    return finding.found is None or agrees(finding.name, getattr(row, finding.name, True), finding.found)


def _check(finding: Finding, row: Capabilities, better: str | None, rows: Mapping[str, Capabilities]) -> Check:
    name, promised = finding.name, getattr(row, finding.name, True)
    if finding.found is None:
        return _not_tested(name, finding.text, promised)
    if agrees(name, promised, finding.found):
        text = finding.text if promised else f"{finding.text}, as the row says"
        return Check(group="promises", name=name, outcome="kept", text=text, promised=promised)
    more = not promised and name not in _LIMITATIONS
    outcome: Outcome = "more" if more else "refused" if finding.refused and promised else "different"
    if better is not None and _fits(finding, rows[better]):
        advice = f'server = "{better}" (--server {better})'
    elif more:
        advice = "the server does more than the row says; bucketry does not use it, so nothing breaks"
    else:
        advice = (
            "no entry of the configuration says so; report it to bucketry, with the output of `bucketry doctor --json`"
        )
    text = f"{finding.text}; {_expected(name, promised)}"
    return Check(group="promises", name=name, outcome=outcome, text=text, advice=advice, promised=promised)


def _not_tested(name: str, reason: str, promised: object) -> Check:
    return Check(group="promises", name=name, outcome="not tested", text=reason, promised=promised)


def _expected(name: str, promised: object) -> str:
    if name in NEEDED:
        return f"bucketry needs that {NEEDED[name]}"
    if isinstance(promised, bool):
        return f"the row says {'yes' if promised else 'no'}"
    if isinstance(promised, tuple):
        return f"the row says {', '.join(map(str, promised)) or 'none'}"
    return f"the row says {'none' if promised is None else promised}"
