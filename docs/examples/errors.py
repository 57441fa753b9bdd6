"""Which errors to catch, and what they tell."""

from __future__ import annotations

# --8<-- [start:catch]
import asyncio

from bucketry import MemoryProvider
from bucketry.errors import NotFoundError, StorageError, TransientError


async def read_or_default(storage: MemoryProvider, key: str) -> bytes | None:
    try:
        return await storage.get(key)
    except NotFoundError:
        return b""
    except TransientError:  # bucketry has already tried again
        return None
    except StorageError as error:
        print(error, error.provider, error.status, error.code, error.request_id)
        raise


# --8<-- [end:catch]


if __name__ == "__main__":
    assert asyncio.run(read_or_default(MemoryProvider(), "missing")) == b""
