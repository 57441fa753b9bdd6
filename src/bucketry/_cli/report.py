"""Reports the results of a transfer, as text or as JSON, and says how to continue."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from bucketry._cli.exits import DONE, FAILED, NOT_FOUND, USAGE, exit_code
from bucketry._cli.output import Output, counted, error_facts, shown, shown_exactly, shown_rate
from bucketry._core.values import BatchResult, TransferResult
from bucketry._runtime.walk import can_never_be_read
from bucketry.errors import StorageError


def batch_of_one(result: TransferResult) -> BatchResult:
    """Return the result of a single transfer as a batch."""
    return BatchResult(succeeded=(result.key,), results={result.key: result})


def again_with(*, no_clobber: bool) -> str:
    """Return how to continue a transfer of many files: what is complete was stored whole, so it can be skipped."""
    return "run the same command again" if no_clobber else "run the same command again with --no-clobber"


@contextmanager
def told_to_continue(output: Output, again: str) -> Iterator[None]:
    """Say how to continue if the user interrupts a transfer of many files.

    Args:
        output: The command's output.
        again: What to do: `"run the same command again"`.
    """
    try:
        yield
    except asyncio.CancelledError:
        output.note(f"{output.verb}: what is complete was kept; to continue, {again}")
        raise


def report(
    output: Output,
    verb: str,
    ends: tuple[str, str],
    batch: BatchResult,
    seconds: float,
    again: str = "run the same command again",
) -> int:
    """Print the results; return the exit code.

    Args:
        output: The command's output.
        verb: The name of the verb.
        ends: The names of source and destination.
        batch: The results.
        seconds: The duration of the whole transfer.
        again: How to try what failed once more.
    """
    results = list(batch.results.values())
    size, parts = sum(one.size for one in results), sum(one.parts for one in results)
    retries = sum(one.retries for one in results)
    verified = Counter(one.verified for one in results)
    # Keys without a result were skipped, except keys that end in "/", for which directories were made.
    skipped = sum(key not in batch.results and not key.endswith("/") for key in batch.succeeded)
    output.failures(batch)
    if output.as_json:
        output.document(
            {
                "verb": verb,
                "source": ends[0],
                "destination": ends[1],
                "files": len(results),
                "skipped": skipped,
                "bytes": size,
                "parts": parts,
                "retries": retries,
                "verified": verified,
                "seconds": round(seconds, 3),
                "bytes_per_second": round(size / seconds) if seconds > 0 else None,
                "objects": [_object(one) for one in results],
                "failed": [{"key": key, **error_facts(error)} for key, error in batch.failed.items()],
            }
        )
    elif not output.quiet:
        output.line(f"{verb}: {shown(ends[0])} → {shown(ends[1])}")
        rest = f" ({skipped:,} skipped: already there)" if skipped else ""
        rows = [
            ("files", f"{len(results):,}{rest}"),
            ("bytes", shown_exactly(size)),
            ("parts", f"{parts:,}"),
            ("retries", f"{retries:,}"),
            ("verified", ", ".join(f"{kind} ({counted(n, 'file')})" for kind, n in verified.items()) or "–"),
            ("time", f"{seconds:.2f} s{f' ({shown_rate(size, seconds)})' if size else ''}"),
        ]
        if batch.failed:
            hint = f"; to try only these again, {again}" if any(map(_may_end_well, batch.failed.values())) else ""
            rows.append(("failed", f"{len(batch.failed):,}{hint}"))
        output.table((f"  {name}", value) for name, value in rows)
    return FAILED if batch.failed else DONE


def _may_end_well(error: StorageError) -> bool:
    """Return whether a second try can succeed: not for what does not exist, or can never be copied."""
    return exit_code(error) not in {NOT_FOUND, USAGE} and not can_never_be_read(error)


def _object(result: TransferResult) -> dict[str, object]:
    names = ("key", "size", "etag", "version_id", "parts", "verified", "concurrency")
    return {name: getattr(result, name) for name in names}
