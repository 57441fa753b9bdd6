"""A program that syncs a directory, and stops in the middle of its work until it is killed; the tests run it.

Its argument is a JSON object: `config` of the S3 provider, `other` (another one, or null), `directory`, `prefix`,
`direction`, and `after`, the number of finished entries after which it stops.
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
    """Sync, print the path of each finished entry, and wait for the signal."""
    async with S3Provider(task["config"]) as provider:
        manager = StorageManager(provider)
        other = S3Provider(task["other"]) if task["other"] else None
        if other is None:
            plan = await manager.plan_sync(task["directory"], task["prefix"], direction=task["direction"])
        else:
            plan = await manager.plan_sync_to(other, task["prefix"], task["prefix"])
        left = task["after"]
        async with aclosing(manager.apply_each(plan, other=other)) as outcomes:
            async for path, outcome in outcomes:
                assert not isinstance(outcome, StorageError), outcome
                print(json.dumps(path), flush=True)
                left -= 1
                if not left:
                    print(flush=True)  # from here on, transfers are under way, and nobody takes their results
                    await asyncio.get_running_loop().create_future()


if __name__ == "__main__":
    asyncio.run(main(json.loads(sys.argv[1])))
