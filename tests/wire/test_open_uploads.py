"""What is asked of a server for its open uploads, behind one of them."""

from __future__ import annotations

from urllib.parse import parse_qs

import pytest

from bucketry._core.values import MultipartUpload
from tests.wire.conftest import Provide
from tests.wire.scripted import Answer, serving

pytestmark = pytest.mark.asyncio(loop_scope="module")

LISTING = '<?xml version="1.0"?><ListMultipartUploadsResult><Bucket>bkt</Bucket>{}</ListMultipartUploadsResult>'


def listing(*uploads: str) -> Answer:
    """Answer with uploads, of which the first letter is the key and the whole is the id."""
    inside = "".join(f"<Upload><Key>{each[0]}</Key><UploadId>{each}</UploadId></Upload>" for each in uploads)
    return Answer(200, LISTING.format(inside).encode())


async def test_the_next_page_is_asked_for_behind_the_last_upload(provide: Provide) -> None:
    """Both markers name the last upload of the page before, and an empty page is the end."""
    async with serving([listing("a1", "b2"), listing("c3"), listing()]) as server:
        found = [upload.upload_id async for upload in provide(server).list_uploads()]
    assert found == ["a1", "b2", "c3"]
    asked = [parse_qs(request.query, keep_blank_values=True) for request in server.requests]
    markers = [(query.get("key-marker"), query.get("upload-id-marker")) for query in asked]
    assert markers == [(None, None), (["b"], ["b2"]), (["c"], ["c3"])]


async def test_a_server_that_ignores_the_markers(provide: Provide) -> None:
    """The same page again is the end, not the beginning of an endless listing."""
    async with serving(lambda _: listing("a1", "b2")) as server:
        found = [upload.upload_id async for upload in provide(server).list_uploads("")]
    assert found == ["a1", "b2"]
    assert len(server.requests) == 2


async def test_a_marker_is_sent_as_it_is(provide: Provide) -> None:
    """A key that a query would change arrives unchanged."""
    async with serving([listing()]) as server:
        after = MultipartUpload(key="a&b +ü", upload_id="x/y=")
        assert await provide(server).list_multiparts("a", after=after) == ()
    query = parse_qs(server.requests[0].query, keep_blank_values=True)
    assert (query["prefix"], query["key-marker"], query["upload-id-marker"]) == (["a"], ["a&b +ü"], ["x/y="])
