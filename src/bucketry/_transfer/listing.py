"""Whole listings, made of one request for each page."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Coroutine
from typing import Any

from bucketry._core.facts import filled
from bucketry._core.requests import ObjectRequests
from bucketry._core.values import CommonPrefix, ListPage, ObjectInfo
from bucketry._transfer.workers import stop
from bucketry.errors import TransientError


def as_directory(prefix: str) -> str:
    """Return the prefix of the keys "in" a directory: `"models/"` for `"models"`, which excludes `"models-old"`."""
    return prefix if not prefix or prefix.endswith("/") else f"{prefix}/"


async def every_object(
    provider: ObjectRequests,
    prefix: str = "",
    *,
    delimiter: str | None = None,
    start_after: str | None = None,
) -> AsyncGenerator[ObjectInfo | CommonPrefix, None]:
    """Iterate over a listing; the next page is requested when the second entry of a page is taken.

    Cost: 1 request for each page of `capabilities.max_list_keys` entries, 1 more if the iteration is left early; memory
    for 2 pages.
    """

    def page_from(token: str | None) -> Coroutine[Any, Any, ListPage]:
        return provider.list_page(prefix, delimiter=delimiter, start_after=start_after, token=token)

    page = await page_from(None)
    marker = None
    pages = 0
    ahead: tuple[asyncio.Task[ListPage], ...] = ()
    try:
        while True:
            entries = iter(page.entries)
            for entry in entries:
                yield entry
                break  # a caller that only checks whether an object exists takes no second entry
            token = page.next_token
            if token is not None and token != marker:
                # A plain task, because an async generator must not yield inside a task group. `finally` ends the task.
                ahead = (asyncio.get_running_loop().create_task(page_from(token)),)
                await asyncio.sleep(0)  # starts the request even if the consumer never awaits
            for entry in entries:
                yield entry
            if token is None:
                return
            if token == marker:
                message = f"{provider.locate(prefix)}: the listing never ends: the server repeated a page token"
                raise filled(TransientError(message), provider.name, "list")
            pages += 1
            if pages & (pages - 1) == 0:
                marker = token  # of page 1, 2, 4, 8, …; in an endless listing, one of these tokens comes again
            await asyncio.wait(ahead)
            page = ahead[0].result()
    finally:
        await stop(ahead)
