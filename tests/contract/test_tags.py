"""Tags of objects, read and replaced by themselves."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from bucketry.errors import InvalidRequestError, NotFoundError

pytestmark = pytest.mark.asyncio(loop_scope="session")

Make = Callable[..., Any]


async def test_tags_are_replaced_as_a_whole(on_moto: Make) -> None:
    """What is put is what is given back; tags that were there before are gone."""
    async with on_moto() as provider:
        await provider.put("a/ø b", b"data")
        for tags in ({"one": "1", "two": "a + b = c@d"}, {"three": ""}, {}):
            await provider.put_tags("a/ø b", tags)
            assert await provider.get_tags("a/ø b") == tags
        assert await provider.get("a/ø b") == b"data"


async def test_tags_of_a_missing_object(on_moto: Make) -> None:
    """An object that is not there has none, and can get none."""
    async with on_moto() as provider:
        with pytest.raises(NotFoundError) as caught:
            await provider.get_tags("missing")
        assert (caught.value.key, caught.value.operation) == ("missing", "get_tags")
        with pytest.raises(NotFoundError):
            await provider.put_tags("missing", {"a": "b"})


@pytest.mark.parametrize("tags", [{"a": 1}, {2: "b"}, {"\ud800": "c"}, {"a": "\0"}], ids=ascii)
async def test_what_is_no_tag(on_moto: Make, tags: Any) -> None:
    """A name or a value that cannot be sent is refused."""
    async with on_moto() as provider:
        await provider.put("k", b"data")
        with pytest.raises(InvalidRequestError):
            await provider.put_tags("k", tags)
        assert await provider.get_tags("k") == {}
