"""Downloads of a prefix that keep existing files."""

from __future__ import annotations

from pathlib import Path

from bucketry.errors import UnsafeKeyError
from bucketry.testing import FaultyProvider
from tests.transfer.doubles import Bench


async def test_existing_files_are_not_fetched(bench: Bench, tmp_path: Path) -> None:
    """With `overwrite=False` a file that exists stays, costs no fetch, and is in `succeeded` without a result."""
    memory = bench.memory()
    for key in ("r/old", "r/sub/new", "r/../evil"):
        await memory.put(key, b"fetched")
    (tmp_path / "old").write_bytes(b"mine")
    provider = FaultyProvider(memory)
    manager = bench.manager(provider)
    batch = await manager.download_tree("r", tmp_path, overwrite=False)
    assert (sorted(batch.succeeded), list(batch.results)) == (["r/old", "r/sub/new"], ["r/sub/new"])
    assert isinstance(batch.failed["r/../evil"], UnsafeKeyError)
    assert (tmp_path / "old").read_bytes() == b"mine"
    assert (tmp_path / "sub/new").read_bytes() == b"fetched"
    assert provider.calls["fetch_range"] + provider.calls["open_body"] == 1
    again = await manager.download_tree("r", tmp_path, overwrite=False)
    assert (len(again.succeeded), dict(again.results)) == (2, {})
