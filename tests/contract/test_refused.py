"""Features that a row does not promise are refused before any request, and the error names the capability."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from bucketry._core.options import ReadOptions, WriteOptions
from bucketry._core.values import ByteRange, MultipartUpload, ObjectSource
from bucketry.errors import UnsupportedError
from bucketry.providers import StorageProvider
from tests.contract.conftest import Sink

pytestmark = pytest.mark.asyncio(loop_scope="session")

OPEN = MultipartUpload(key="k", upload_id="0" * 32)
ELSEWHERE = ObjectSource("a server", "another-bucket", "k")
PLAIN = WriteOptions()
TAGGED = WriteOptions(tags={"a": "1"})
Request = Callable[[StorageProvider], Awaitable[object]]


async def _versions(provider: StorageProvider) -> None:
    async for _ in provider.list_versions("k"):
        pass


async def _body(provider: StorageProvider) -> None:
    async with provider.open_body("k", ReadOptions(version_id="v")):
        pass


async def _chunks() -> AsyncIterator[bytes]:
    yield b"x"


OPTIONAL: dict[str, tuple[str, Request]] = {
    "create_multipart": ("multipart", lambda p: p.create_multipart("k", PLAIN)),
    "put_part": ("multipart", lambda p: p.put_part(OPEN, 1, b"x")),
    "complete_multipart": ("multipart", lambda p: p.complete_multipart(OPEN, [], PLAIN)),
    "abort_multipart": ("multipart", lambda p: p.abort_multipart(OPEN)),
    "list_parts": ("multipart", lambda p: p.list_parts(OPEN)),
    "list_multiparts": ("multipart", lambda p: p.list_multiparts("k")),
    "copy_object": ("copy", lambda p: p.copy_object("k", "to")),
    "copy_part": ("copy", lambda p: p.copy_part(OPEN, 1, "k", ByteRange(0, 1), if_match='"e"')),
    "copy_object_from": ("copy_between_buckets", lambda p: p.copy_object_from(ELSEWHERE, "k")),
    "copy_part_from": (
        "copy_between_buckets",
        lambda p: p.copy_part_from(OPEN, 1, ELSEWHERE, ByteRange(0, 1), if_match='"e"'),
    ),
    "copy": ("copy", lambda p: p.copy("k", "to")),
    "presign": ("presign_methods", lambda p: p.presign("k")),
    "presign_post": ("presign_post", lambda p: p.presign_post("k")),
    "list_versions_page": ("versions", lambda p: p.list_versions_page("k")),
    "list_versions": ("versions", _versions),
    "head a version": ("versions", lambda p: p.head("k", version_id="v")),
    "get a version": ("versions", lambda p: p.get("k", version_id="v")),
    "get a range of a version": ("versions", lambda p: p.get_range("k", 0, 1, version_id="v")),
    "open a version": ("versions", _body),
    "fetch a version": (
        "versions",
        lambda p: p.fetch_range("k", Sink(-1, 0, needs_bytes=True), ReadOptions(version_id="v")),
    ),
    "delete a version": ("versions", lambda p: p.delete("k", version_id="v")),
    "get_tags": ("tags", lambda p: p.get_tags("k")),
    "put_tags": ("tags", lambda p: p.put_tags("k", {})),
    "put with tags": ("tags", lambda p: p.put("k", b"x", tags={"a": "1"})),
    "upload with tags": ("tags", lambda p: p.transfer.upload(__file__, "k", tags={"a": "1"})),
    "upload_stream with tags": ("tags", lambda p: p.transfer.upload_stream(_chunks(), "k", tags={"a": "1"})),
    "put_object with tags": ("tags", lambda p: p.put_object("k", b"x", TAGGED)),
    "create_multipart with tags": ("tags", lambda p: p.create_multipart("k", TAGGED)),
    "copy_object with tags": ("tags", lambda p: p.copy_object("from", "k", options=TAGGED)),
}
"""The calls that need a capability, and the capability."""
ALSO_NEEDS = {"create_multipart with tags": "multipart", "copy_object with tags": "copy"}
"""Another capability that a call needs; without it, the error names that one."""


@pytest.mark.parametrize(
    "wanted",
    [pytest.param(wanted, marks=pytest.mark.needs(*filter(None, [ALSO_NEEDS.get(wanted)]))) for wanted in OPTIONAL],
)
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
