"""Reading and replacing tags of objects."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from bucketry.errors import InvalidRequestError, NotFoundError

pytestmark = pytest.mark.asyncio(loop_scope="session")

Make = Callable[..., Any]


async def test_tags_are_replaced_as_a_whole(on_moto: Make) -> None:
    """`get_tags` gives the tags that were put; earlier tags are removed."""
    async with on_moto() as provider:
        await provider.put("a/ø b", b"data")
        for tags in ({"one": "1", "two": "a + b = c@d"}, {"three": ""}, {}):
            await provider.put_tags("a/ø b", tags)
            assert await provider.get_tags("a/ø b") == tags
        assert await provider.get("a/ø b") == b"data"


async def test_tags_of_a_missing_object(on_moto: Make) -> None:
    """Reading or replacing the tags of a missing object is `NotFoundError`."""
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
