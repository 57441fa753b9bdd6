"""Row 10: the longest block of the event loop during rows 1, 4, 7 and 8, and the most CPU time in one turn of it."""

from __future__ import annotations

from benchmarks.harness.bench import Bench
from benchmarks.harness.figures import Figure, Measure
from benchmarks.harness.task import Sample
from benchmarks.rows import download, get_small, listing, upload
from benchmarks.rows.row import Row

LIMIT = 3.0  # milliseconds
_WORKS = {get_small.ROW.number: "GET 4 KiB", download.ROW.number: download.WORK}
_WORKS |= {upload.ROW.number: upload.WORK, listing.ROW.number: listing.WORK}
_PEER = "aiobotocore"


def measure(bench: Bench) -> list[Measure]:
    """Read it from the samples of those rows: every run measures it."""
    measures = []
    for number, work in _WORKS.items():
        series = bench.earlier[number][work]
        for name, value in (("longest block of the loop", _blocked), ("most CPU in a turn of the loop", _worked)):
            ours = [value(pair[0]) for pairs in series.values() for pair in pairs]
            theirs = [value(pair[1]) for pair in series[_PEER]]
            measures.append(
                Measure(
                    name=f"{name}: {work}",
                    unit="ms",
                    ours=Figure.of(ours),
                    peer=_PEER,
                    theirs=Figure.of(theirs),
                    target=LIMIT,
                    at_most=True,
                    runs=len(ours),
                )
            )
    return measures


def _blocked(sample: Sample) -> float:
    assert sample.blocked is not None
    return sample.blocked


def _worked(sample: Sample) -> float:
    assert sample.work is not None, "measure rows 1, 4, 7 and 8 again: their samples are older than this figure"
    return 1e3 * sample.work


ROW = Row("10", "longest block of the event loop during rows 1, 4, 7 and 8", measure, needs=tuple(_WORKS))
