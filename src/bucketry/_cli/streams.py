"""Standard input and output as streams that can be cancelled: a thread never waits long in a system call."""

from __future__ import annotations

import os
import select
import stat
import sys
from collections.abc import AsyncGenerator, AsyncIterable

from bucketry._core.units import MiB
from bucketry._runtime.threads import in_thread

_PATIENCE = 0.1  # seconds a thread waits before it looks whether it was cancelled; nobody notices so little
_CHUNK = MiB


async def read_stdin() -> AsyncGenerator[bytes, None]:
    """Give what comes in, as it comes."""
    source = sys.stdin.fileno()
    while (chunk := await in_thread(_read, source)) != b"":
        if chunk is not None:
            yield chunk


def _read(source: int) -> bytes | None:
    """Read what is there; `None` where nothing came. Blocks a little."""
    ready, _, _ = select.select([source], [], [], _PATIENCE)
    return os.read(source, _CHUNK) if ready else None


async def write_stdout(chunks: AsyncIterable[bytes]) -> int:
    """Write all chunks, and give the number of bytes.

    Raises:
        BrokenPipeError: Nobody reads any more.
    """
    sys.stdout.flush()
    sink, total = sys.stdout.fileno(), 0
    # A pipe that is ready takes this much without blocking; a file takes anything.
    piece = _CHUNK if stat.S_ISREG(os.fstat(sink).st_mode) else select.PIPE_BUF
    async for chunk in chunks:
        rest = memoryview(chunk)
        while rest:
            rest = rest[await in_thread(_write, sink, rest, piece) :]
        total += len(chunk)
    return total


def _write(sink: int, data: memoryview, piece: int) -> int:
    """Write until all is written or nothing more goes, and give the number of bytes. Blocks a little."""
    written = 0
    while written < len(data) and select.select([], [sink], [], _PATIENCE)[1]:
        written += os.write(sink, data[written : written + piece])
    return written
