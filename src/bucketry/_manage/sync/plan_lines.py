"""Writes and reads the lines of a saved plan, each of which is one JSON value. No I/O.

The first line is the header, the last line is the summary, and every line between them is an action.
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict, fields, replace
from datetime import datetime
from typing import Any, get_args

from bucketry._core.checks import local_parts
from bucketry._manage.sync.values import (
    Compare,
    Direction,
    EntryState,
    Kind,
    PlanHeader,
    PlanSummary,
    SideUsage,
    SyncAction,
)
from bucketry._vendors.prices import KINDS
from bucketry.errors import IntegrityError, InvalidRequestError, UnsafeKeyError, UnsupportedError

FORMAT = 2  # since 2, the summary has the use of each side
_READ = (1, FORMAT)
_MARK = "bucketry-plan"
_SUMMARY = "summary"
_TRANSFERS = frozenset({"upload", "download", "copy"})
_TEXTS = frozenset({"source", "target", "prefix", "source_prefix"})
_SIDES = "sides"
_TOTALS = tuple(field.name for field in fields(PlanSummary) if field.name != _SIDES)

# Only ASCII is written, because a path that is not UTF-8 has lone surrogates, which JSON can store only as escapes.
_encode = json.JSONEncoder(ensure_ascii=True, separators=(",", ":")).encode


class PlanTotals:
    """Counts the actions of a plan while it is made or read."""

    __slots__ = ("deletion_bytes", "deletions", "skipped", "transfer_bytes", "transfers")

    def __init__(self) -> None:
        """Set all counts to zero."""
        self.transfers = self.transfer_bytes = self.deletions = self.deletion_bytes = self.skipped = 0

    def add(self, action: SyncAction) -> None:
        """Count one action."""
        if action.kind == "delete":
            self.deletions += 1
            self.deletion_bytes += action.target.size if action.target is not None else 0
        elif action.kind == "skip":
            self.skipped += 1
        else:
            self.transfers += 1
            self.transfer_bytes += action.source.size if action.source is not None else 0

    def of(self, summary: PlanSummary) -> PlanSummary:
        """Return the summary with these totals."""
        return replace(summary, **{name: getattr(self, name) for name in self.__slots__})


def header_line(header: PlanHeader) -> bytes:
    """Return the first line of a plan."""
    values = asdict(header) | {"created": header.created.isoformat()}
    return f"{_encode({_MARK: FORMAT, **values})}\n".encode()


def action_line(action: SyncAction) -> bytes:
    """Return the line of an action."""
    line: dict[str, Any] = {"kind": action.kind, "path": action.path, "reason": action.reason}
    if action.source is not None:
        line["source"] = _state_values(action.source)
    if action.target is not None:
        line["target"] = _state_values(action.target)
    return f"{_encode(line)}\n".encode()


def summary_line(summary: PlanSummary) -> bytes:
    """Return the last line of a plan."""
    return f"{_encode({_SUMMARY: asdict(summary)})}\n".encode()


def read_header(line: bytes, where: str) -> PlanHeader:
    """Return the header in the first line of a plan.

    Args:
        line: The line.
        where: The file and the line, for the beginning of messages.

    Raises:
        InvalidRequestError: The line is no header.
        UnsupportedError: A newer version of the package wrote the plan.
    """
    values = _values(line, where)
    version = values.pop(_MARK, None)
    if version is None:
        raise InvalidRequestError(f"{where}: this is no plan of a sync; give a file that a plan was saved to")
    if version not in _READ:
        raise UnsupportedError(f"{where}: the plan has the format {version!r}, this version reads {FORMAT}; upgrade it")
    try:
        created = datetime.fromisoformat(values.pop("created"))
        for name in ("include", "exclude"):
            values[name] = tuple(values[name])
        header = PlanHeader(**values, created=created)
    except (KeyError, TypeError, ValueError) as exc:
        raise _malformed(where, f"the header cannot be read ({exc!r})") from exc
    texts = (*(getattr(header, name) for name in _TEXTS), *header.include, *header.exclude)
    if (
        header.direction not in get_args(Direction)
        or header.compare not in get_args(Compare)
        or not all(isinstance(text, str) for text in texts)
        or not (header.max_delete is None or _is_count(header.max_delete))
        or not isinstance(header.delete, bool)
        or created.utcoffset() is None
    ):
        raise _malformed(where, "the header has a value of the wrong kind")
    local = {"upload": header.source, "download": header.target}.get(header.direction)
    if local is not None and not os.path.isabs(local):
        raise _malformed(where, f"the local directory {local!r} is no absolute path")
    return header


def read_line(line: bytes, direction: Direction, where: str) -> SyncAction | PlanSummary:
    """Return the action or the summary in a line, which is not the first line.

    Args:
        line: The line.
        direction: The direction of the plan, which decides which actions and which paths are allowed.
        where: The beginning of messages.

    Raises:
        InvalidRequestError: The line is malformed, or its action does not fit the plan.
        UnsafeKeyError: The path would be outside the local directory.
    """
    values = _values(line, where)
    if _SUMMARY in values:
        return _summary(values, where)
    try:
        action = SyncAction(
            kind=values.pop("kind"),
            path=values.pop("path"),
            reason=values.pop("reason"),
            source=_state(values.pop("source", None)),
            target=_state(values.pop("target", None)),
        )
    except (KeyError, TypeError) as exc:
        raise _malformed(where, f"the action cannot be read ({exc!r})") from exc
    if values or not isinstance(action.path, str) or not isinstance(action.reason, str):
        raise _malformed(where, "the action has values that it should not have")
    _check_kind(action.kind, action, direction, where)
    return action


def check_totals(found: PlanTotals, summary: PlanSummary, where: str) -> None:
    """Check that the summary of a plan has the totals of its actions.

    Raises:
        IntegrityError: Lines are missing, or were added.
    """
    if found.of(summary) != summary:
        raise IntegrityError(
            f"{where}: the plan has other actions than its summary says: lines were removed or added; plan again"
        )


def _check_kind(kind: Kind, action: SyncAction, direction: Direction, where: str) -> None:
    if kind not in get_args(Kind) or (kind in _TRANSFERS and kind != direction):
        raise _malformed(where, f"a plan for {direction!r} has no action {kind!r}")
    if kind == "skip":
        return
    if kind == "delete" and action.target is None:
        raise _malformed(where, "a deletion needs the state of its target")
    if kind != "delete" and action.source is None:
        raise _malformed(where, "a transfer needs the state of its source")
    if not action.path:
        raise _malformed(where, "the path is empty")
    if kind == "download":
        local_parts(action.path, where)
    elif (direction, kind) in {("upload", "upload"), ("download", "delete")}:
        _check_inside(action.path, where)


def _check_inside(path: str, where: str) -> None:
    """Check the path of a file that exists: a directory can have names that a download refuses, such as `c:x`.

    Raises:
        UnsafeKeyError: The path would be outside the directory, or no file can have it.
    """
    if "\0" in path or any(name in ("", ".", "..") for name in path.split("/")):
        raise UnsafeKeyError(f"{where}: path {path!r} is no file below the local directory; plan again", key=path)


def _summary(values: dict[str, Any], where: str) -> PlanSummary:
    totals = values[_SUMMARY]
    if len(values) != 1 or not isinstance(totals, dict):
        raise _malformed(where, "the summary cannot be read")
    sides = totals.pop(_SIDES, [])  # not in format 1
    if sorted(totals) != sorted(_TOTALS):
        raise _malformed(where, "the summary cannot be read")
    if not all(_is_count(total) for total in totals.values()):
        raise _malformed(where, "the summary has a value that is no number")
    try:
        return PlanSummary(**totals, sides=tuple(_side(**side) for side in sides))
    except TypeError as exc:
        raise _malformed(where, f"the use of a side cannot be read ({exc!r})") from exc


def _side(*, vendor: Any, requests: Any, egress: Any) -> SideUsage:  # noqa: ANN401 - what a file contains
    counts_are_right = isinstance(requests, dict) and all(
        kind in KINDS and _is_count(count) for kind, count in requests.items()
    )
    if not isinstance(vendor, str) or not counts_are_right or not _is_count(egress):
        raise TypeError(f"a value of the wrong kind: {vendor!r}, {requests!r}, {egress!r}")
    return SideUsage(vendor=vendor, requests=requests, egress=egress)


def _values(line: bytes, where: str) -> dict[str, Any]:
    try:
        values = json.loads(line)
    except ValueError as exc:
        raise _malformed(where, "the line is no JSON") from exc
    if not isinstance(values, dict):
        raise _malformed(where, "the line is no JSON object")
    return values


def _state_values(state: EntryState) -> dict[str, Any]:
    values: dict[str, Any] = {"size": state.size}
    if state.mtime is not None:
        values["mtime"] = state.mtime
    if state.etag is not None:
        values["etag"] = state.etag
    return values


def _state(values: Any) -> EntryState | None:  # noqa: ANN401 - what a file contains
    if values is None:
        return None
    state = EntryState(**values)
    etag_is_text = state.etag is None or isinstance(state.etag, str)
    if not _is_count(state.size) or not isinstance(state.mtime, int | None) or not etag_is_text:
        raise TypeError(f"a state has a value of the wrong kind: {values!r}")
    return state


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _malformed(where: str, problem: str) -> InvalidRequestError:
    return InvalidRequestError(f"{where}: {problem}; plan again")
