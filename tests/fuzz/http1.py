"""Coverage-guided fuzzing of the reader of answers, for as long as one likes; the test suite does not run it.

    pip install atheris . httptools h11 hypothesis pytest
    PYTHONPATH=. python tests/fuzz/http1.py corpus -max_total_time=600

`corpus` is a directory, filled with a few answers if it is empty; everything else is an option of libFuzzer's. What
must hold: nothing is raised but `ProtocolError`, there is never more body than bytes, and the pieces do not matter.
"""

from __future__ import annotations

import sys
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["bucketry"]):
    from tests.unit.test_http1 import INTERIM, Answer, bytewise, read, split

SEEDS = [
    Answer(chunks=(b"abc",), interim=(INTERIM[0],), connection=b"close"),
    Answer(framing="chunked", chunks=(b"abc", b"\r\n"), chunk_extension=b";a=b", trailer=b"a: b\r\n", extra=b"x"),
    Answer(framing="end", version="1.0", connection=b"keep-alive", chunks=(b"abc",)),
    Answer(method="HEAD", status=206, headers=((b"ETag", b'"\xff"'),), chunks=(b"abc",)),
]


def fuzz(data: bytes) -> None:
    """Read what the fuzzer made up: a byte that says how it is cut, and the answer."""
    if not data:
        return
    method, step, wire = ("GET", "HEAD")[data[0] & 1], 1 + (data[0] >> 1), data[1:]
    whole = read(method, [wire])
    assert read(method, bytewise(wire)) == whole
    assert read(method, split(wire, range(0, len(wire), step))) == whole


if __name__ == "__main__":
    corpus = Path(sys.argv[1])
    corpus.mkdir(exist_ok=True)
    if not any(corpus.iterdir()):
        for number, answer in enumerate(SEEDS):
            (corpus / f"seed-{number}").write_bytes(bytes([8 + (answer.method == "HEAD")]) + answer.wire)
    atheris.Setup(sys.argv, fuzz)
    atheris.Fuzz()
