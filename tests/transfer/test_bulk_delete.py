"""Bulk deletes: the outcome of each key is independent of the others."""

from __future__ import annotations

from typing import Any

from bucketry import MemoryProvider, S3Provider
from bucketry._core.values import BatchResult
from bucketry.errors import (
    InvalidKeyError,
    TransientError,
)
from bucketry.testing import embedded_s3


class PartlyDeleting(MemoryProvider):
    """A store whose first bulk delete fails for some keys with a transient error."""

    def __init__(self) -> None:
        super().__init__()
        self.batches: list[list[str]] = []

    async def delete_batch(self, keys: Any) -> BatchResult:
        """Fail every other key, the first time."""
        self.batches.append(list(keys))
        if len(self.batches) > 1:
            return await super().delete_batch(keys)
        done = await super().delete_batch(keys[::2])
        return BatchResult(succeeded=done.succeeded, failed={key: TransientError("later") for key in keys[1::2]})


async def test_a_bulk_delete_asks_again_for_what_failed_in_passing() -> None:
    """Only keys with a transient error are deleted again."""
    store = PartlyDeleting()
    for key in "abcd":
        await store.put(key, b"1")
    result = await store.delete_many(list("abcd"))
    assert (sorted(result.succeeded), dict(result.failed)) == (list("abcd"), {})
    assert store.batches == [list("abcd"), ["b", "d"]]


async def test_one_bad_key_does_not_stop_a_bulk_delete() -> None:
    """An invalid key, and a key that XML cannot hold, do not stop the deletion of other keys."""
    with embedded_s3() as server:
        provider = S3Provider(server.config)
        await provider.put("a\x01b", b"1")
        await provider.put("c", b"1")
        result = await provider.delete_many(["a\x01b", "", "x" * 2_000, "c"])
        assert sorted(result.succeeded) == ["a\x01b", "c"]
        assert {type(error) for error in result.failed.values()} == {InvalidKeyError}
        assert await provider.list_files() == []
        await provider.disconnect()
