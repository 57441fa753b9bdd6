"""Shared by the tests of the local provider: reading, listing, and searching for files that are left over."""

from __future__ import annotations

from pathlib import Path

from bucketry._core.options import WriteOptions
from bucketry._core.values import CommonPrefix
from bucketry._providers.local.requests import LocalRequests

PLAIN = WriteOptions()


async def read(provider: LocalRequests, key: str) -> bytes:
    """Give an object's bytes."""
    async with provider.open_body(key) as body:
        return b"".join([chunk async for chunk in body])


async def names(provider: LocalRequests, prefix: str = "", **options: str) -> list[str]:
    """List all pages."""
    found: list[str] = []
    token = None
    while True:
        page = await provider.list_page(prefix, token=token, **options)
        found += [entry.prefix if isinstance(entry, CommonPrefix) else entry.key for entry in page.entries]
        token = page.next_token
        if token is None:
            return found


def left_behind(base: Path) -> list[str]:
    """Give the names in the provider's own directory, except empty directories and locks."""
    own = base / ".bucketry"
    return sorted(
        str(path.relative_to(own))
        for path in own.rglob("*")
        if path.parent.name != "locks"
        and path.relative_to(own).as_posix() not in {"staging", "uploads", "meta", "locks"}
    )
