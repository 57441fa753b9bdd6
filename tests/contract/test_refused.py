"""Features that a row does not promise are refused before any request, and the error names the capability."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest

from bucketry._core.options import ReadOptions, WriteOptions
from bucketry._core.values import ByteRange, MultipartUpload
from bucketry.errors import UnsupportedError
from bucketry.providers import StorageProvider

pytestmark = pytest.mark.asyncio(loop_scope="session")

OPEN = MultipartUpload(key="k", upload_id="0" * 32)
PLAIN = WriteOptions()
Request = Callable[[StorageProvider], Awaitable[object]]


async def _versions(provider: StorageProvider) -> None:
    async for _ in provider.list_versions("k"):
        pass


async def _body(provider: StorageProvider) -> None:
    async with provider.open_body("k", ReadOptions(version_id="v")):
        pass


OPTIONAL: dict[str, tuple[str, Request]] = {
    "create_multipart": ("multipart", lambda p: p.create_multipart("k", PLAIN)),
    "put_part": ("multipart", lambda p: p.put_part(OPEN, 1, b"x")),
    "complete_multipart": ("multipart", lambda p: p.complete_multipart(OPEN, [], PLAIN)),
    "abort_multipart": ("multipart", lambda p: p.abort_multipart(OPEN)),
    "list_parts": ("multipart", lambda p: p.list_parts(OPEN)),
    "list_multiparts": ("multipart", lambda p: p.list_multiparts("k")),
    "copy_object": ("copy", lambda p: p.copy_object("k", "to")),
    "copy_part": ("copy", lambda p: p.copy_part(OPEN, 1, "k", ByteRange(0, 1), if_match='"e"')),
    "copy": ("copy", lambda p: p.copy("k", "to")),
    "presign": ("presign_methods", lambda p: p.presign("k")),
    "presign_post": ("presign_post", lambda p: p.presign_post("k")),
    "list_versions_page": ("versions", lambda p: p.list_versions_page("k")),
    "list_versions": ("versions", _versions),
    "head a version": ("versions", lambda p: p.head("k", version_id="v")),
    "get a version": ("versions", lambda p: p.get("k", version_id="v")),
    "get a range of a version": ("versions", lambda p: p.get_range("k", 0, 1, version_id="v")),
    "open a version": ("versions", _body),
    "delete a version": ("versions", lambda p: p.delete("k", version_id="v")),
    "get_tags": ("tags", lambda p: p.get_tags("k")),
    "put_tags": ("tags", lambda p: p.put_tags("k", {})),
    "put with tags": ("tags", lambda p: p.put("k", b"x", tags={"a": "1"})),
}
"""The calls that need a capability, and the capability."""


@pytest.mark.parametrize("wanted", OPTIONAL)
async def test_what_is_not_promised_is_refused(provider: StorageProvider, wanted: str) -> None:
    """`UnsupportedError` names the provider, the object and the capability, and the object does not change."""
    capability, request = OPTIONAL[wanted]
    if getattr(provider.capabilities, capability):
        pytest.skip("the row says yes")
    await provider.put("k", b"data")
    with pytest.raises(UnsupportedError) as caught:
        await request(provider)
    error = caught.value
    assert (error.provider, error.key) == (provider.name, "k")
    assert error.operation
    if provider.name != "s3":  # has another message for signed forms
        assert provider.locate("k") in str(error)
        assert f"capabilities.{capability}" in str(error)
    assert await provider.list_files() == ["k"]
    assert await provider.get("k") == b"data"
