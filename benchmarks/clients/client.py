"""What every client is asked to do. A client opens in `async with`; each method is one job of a row."""

from __future__ import annotations

from types import TracebackType
from typing import Protocol, Self

from benchmarks.harness.task import Task


class Client(Protocol):
    """A client under measurement; methods that no row asks of it may be missing."""

    def __init__(self, task: Task) -> None: ...

    async def __aenter__(self) -> Self: ...

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    async def head(self, key: str) -> int:
        """Give the object's size."""
        ...

    async def get(self, key: str) -> int:
        """Read the object into memory and give its length."""
        ...

    async def put(self, key: str, data: bytes) -> None:
        """Store the bytes."""
        ...

    async def list(self) -> tuple[int, int]:
        """Look at key and size of every object of the bucket; give their number, and the sum of their sizes."""
        ...

    async def download(self, key: str, path: str) -> None:
        """Put the object into a new file, in parallel ranges."""
        ...

    async def upload(self, path: str, key: str) -> None:
        """Store a file, in parallel parts."""
        ...

    async def download_tree(self, prefix: str, path: str) -> None:
        """Put every object below the prefix, which ends in `/`, into a new directory."""
        ...

    async def upload_tree(self, path: str, prefix: str) -> None:
        """Store every file below the directory."""
        ...
