"""A program that syncs, and stops in the middle of its work until it is killed; the tests run it.

Its argument is a JSON object: `configs` of two S3 providers, `directory`, `prefix`, `direction` (`"copy"`: from the
first to the second provider), and `after`, the number of finished entries after which it stops.
"""

from __future__ import annotations

import asyncio
import json
import sys
from contextlib import aclosing
from typing import Any

from bucketry import StorageManager
from bucketry.errors import StorageError
from bucketry.providers import S3Provider


async def main(task: dict[str, Any]) -> None:
    """Sync, print the path of each finished entry, then an empty line, and wait for the signal."""
    provider, second = (S3Provider(config) for config in task["configs"])
    manager = StorageManager(provider)
    directory, prefix, left = task["directory"], task["prefix"], task["after"]
    copies = task["direction"] == "copy"
    if copies:
        plan = await manager.plan_sync_to(second, prefix, prefix)
    else:
        plan = await manager.plan_sync(directory, prefix, direction=task["direction"])
    async with aclosing(manager.apply_each(plan, other=second if copies else None)) as outcomes:
        async for path, outcome in outcomes:
            assert not isinstance(outcome, StorageError), outcome
            print(json.dumps(path), flush=True)  # noqa: T201 - the test reads it
            left -= 1
            if not left:
                print(flush=True)  # noqa: T201 - as above; other transfers are under way now
                await asyncio.get_running_loop().create_future()


if __name__ == "__main__":
    asyncio.run(main(json.loads(sys.argv[1])))
