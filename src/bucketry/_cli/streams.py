"""Standard input and output as streams that can be cancelled: no thread waits long in a system call."""

from __future__ import annotations

import os
import select
import stat
import sys
import time
from collections.abc import AsyncGenerator, AsyncIterable

from bucketry._cli.exits import DONE
from bucketry._cli.output import Output, shown_rate, shown_size
from bucketry._core.provider import IStorageProvider
from bucketry._core.units import MiB
from bucketry._runtime.threads import in_thread

_WAIT = 0.1  # seconds that a thread waits before it checks for a cancellation; too short to be noticed
_CHUNK = MiB


async def read_stdin() -> AsyncGenerator[bytes, None]:
    """Yield the bytes of standard input as they arrive."""
    source = sys.stdin.fileno()
    while (chunk := await in_thread(_read, source)) != b"":
        if chunk is not None:
            yield chunk


def _read(source: int) -> bytes | None:
    """Read the available bytes; `None`: no bytes arrived. Blocks for a short time."""
    ready, _, _ = select.select([source], [], [], _WAIT)
    return os.read(source, _CHUNK) if ready else None


async def object_to_stdout(provider: IStorageProvider, key: str, output: Output) -> int:
    """Write an object's bytes, and note their number and rate on standard error; return the exit code.

    Raises:
        NotFoundError: There is no such object; nothing was written.
        BrokenPipeError: The reader has closed the pipe.
    """
    started = time.monotonic()
    async with provider.stream(key) as chunks:
        size = await write_stdout(chunks)
    seconds = time.monotonic() - started
    output.note(f"{output.verb}: {shown_size(size)} in {seconds:.2f} s, {shown_rate(size, seconds)}")
    return DONE


async def write_stdout(chunks: AsyncIterable[bytes]) -> int:
    """Write all chunks, and return the number of bytes.

    Raises:
        BrokenPipeError: The reader has closed the pipe.
    """
    sys.stdout.flush()
    sink, total = sys.stdout.fileno(), 0
    # A ready pipe takes PIPE_BUF bytes without blocking; a file takes any number of bytes.
    piece = _CHUNK if stat.S_ISREG(os.fstat(sink).st_mode) else select.PIPE_BUF
    async for chunk in chunks:
        rest = memoryview(chunk)
        while rest:
            rest = rest[await in_thread(_write, sink, rest, piece) :]
        total += len(chunk)
    return total


def _write(sink: int, data: memoryview, piece: int) -> int:
    """Write until all bytes are written or the pipe is full; return the number written. Blocks for a short time."""
    written = 0
    while written < len(data) and select.select([], [sink], [], _WAIT)[1]:
        written += os.write(sink, data[written : written + piece])
    return written
