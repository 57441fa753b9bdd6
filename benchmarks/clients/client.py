"""The methods that clients have. A client is opened by `async with`; each method is the work of a row."""

from __future__ import annotations

from types import TracebackType
from typing import Protocol, Self

from benchmarks.harness.task import Task


class Client(Protocol):
    """A measured client; methods that no row needs from it may be missing."""

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
        """Read key and size of every object of the bucket; give the number of objects and the sum of sizes."""
        ...

    async def download(self, key: str, path: str) -> None:
        """Download the object into a new file, in parallel ranges."""
        ...

    async def upload(self, path: str, key: str) -> None:
        """Upload a file, in parallel parts."""
        ...

    async def download_tree(self, prefix: str, path: str) -> None:
        """Download every object below the prefix, which ends in `/`, into a new directory."""
        ...

    async def upload_tree(self, path: str, prefix: str) -> None:
        """Upload every file below the directory."""
        ...

    async def sync_tree(self, path: str, prefix: str) -> None:
        """Bring the objects below the prefix in step with the directory; delete nothing."""
        ...

    async def plan(self, common: int, transfers: int) -> None:
        """Compare two listings of `common + transfers` keys each, of which `common` are the same."""
        ...
