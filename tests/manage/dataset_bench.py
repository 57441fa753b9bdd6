"""Shared by the tests of datasets: local trees, and a manager whose requests are counted."""

from __future__ import annotations

from pathlib import Path

from bucketry import MemoryProvider, TransferConfig
from bucketry._manage.datasets.methods import DatasetMethods
from bucketry.providers.provider import StorageProvider
from bucketry.testing import Fault, FaultyProvider

FILES = {
    "a": b"one",
    "a!": b"",
    "deep/er/ü b+c%20.txt": b"two" * 100,
    "deep/x": b"three",
    "z~": b"four" * 1_000,
}
"""A small dataset: nested, with an empty file and with names that URLs must encode."""


def write_tree(root: Path, files: dict[str, bytes]) -> Path:
    """Write files below a directory, and return it."""
    for path, data in files.items():
        target = root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data)
    return root


def read_tree(root: Path) -> dict[str, bytes]:
    """Return the bytes of all files below a directory but the package's own."""
    found = (path for path in root.rglob("*") if path.is_file())
    return {
        path.relative_to(root).as_posix(): path.read_bytes()
        for path in found
        if ".bucketry" not in path.relative_to(root).parts
    }


class Bench(DatasetMethods):
    """The methods of datasets on a provider with faults and counted requests."""

    provider: FaultyProvider

    def __init__(self, inner: StorageProvider | None = None, *faults: Fault, width: int = 2) -> None:
        provider = FaultyProvider(MemoryProvider() if inner is None else inner, faults)
        super().__init__(provider, transfer=TransferConfig(retry_delay=0, max_concurrency=width))

    def with_faults(self, *faults: Fault) -> Bench:
        """Return a bench for the same objects with faults; it transfers one file at a time, in the order of paths."""
        inner = self.provider.inner
        assert isinstance(inner, StorageProvider)
        return Bench(inner, *faults, width=1)

    def requests(self) -> dict[str, int]:
        """Return the number of requests by method since the last call, without those that were not made."""
        made = dict(self.provider.calls)
        self.provider.calls.clear()
        return made

    async def stored(self) -> dict[str, bytes]:
        """Return the bytes of all objects but manifests by key; the reads are not counted."""
        inner = self.provider.inner
        assert isinstance(inner, StorageProvider)
        keys = [entry.key async for entry in inner.list() if not entry.key.endswith(".bucketry-dataset.json")]
        return {key: await inner.get(key) for key in keys}
