"""Row 16: rows 3, 7 and 15 with bucketry's generic row of facts, compared with AWS's row."""

from __future__ import annotations

from benchmarks.harness.bench import Bench
from benchmarks.harness.figures import Measure, compare
from benchmarks.rows import put_small, upload, upload_tls
from benchmarks.rows.big_objects import throughput, upload_pairs
from benchmarks.rows.row import Row
from benchmarks.rows.small_requests import small_requests

_OURS, _PEER = "generic", "bucketry_aws"
TARGET = 0.9


def measure(bench: Bench) -> list[Measure]:
    """Measure the default row of a custom endpoint against `server="aws"`, for every choice of the run."""
    measures = []
    for tls, name in ((False, put_small.WORK), (True, f"{put_small.WORK} over TLS")):
        measures += small_requests(bench, name, "put", put_small.SIZE, {_PEER: TARGET}, tls=tls, server=_OURS)
    for tls, name in ((False, upload.WORK), (True, upload_tls.WORK)):
        pairs = upload_pairs(bench, name, _PEER, tls=tls, server=_OURS)
        measures.append(compare(name, "MB/s", _PEER, pairs, throughput, target=TARGET))
    return measures


ROW = Row("16", "rows 3, 7 and 15: bucketry by the generic row of facts against itself by AWS's", measure)
