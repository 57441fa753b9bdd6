"""What the answers to copies, bulk deletes and reads of versions mean, by both transports."""

from __future__ import annotations

import unicodedata

import pytest

from bucketry import CloudflareR2Provider
from bucketry._core.options import ReadOptions, WriteOptions
from bucketry._core.values import ByteRange, MultipartUpload, ObjectInfo
from bucketry.errors import (
    AccessDeniedError,
    InvalidRequestError,
    NotFoundError,
    PreconditionFailedError,
    StorageError,
    UnsupportedError,
)
from tests.wire.conftest import Provide
from tests.wire.scripted import Answer, Request, content, error, serving

UPLOAD = MultipartUpload(key="b", upload_id="u1")
COPIED = b'<CopyObjectResult><ETag>"e2"</ETag><LastModified>2026-10-21T07:28:00Z</LastModified></CopyObjectResult>'


async def test_what_was_copied_is_looked_at_by_its_version(provide: Provide) -> None:
    """The HEAD after a copy names the version that the copy made: another writer's object is not returned."""

    def script(request: Request) -> Answer:
        if request.method == "PUT":
            return Answer(200, COPIED, {"x-amz-version-id": "V1"})
        return content(b"data", request, '"e2"', **{"x-amz-version-id": "V1"})

    async with serving(script) as server:
        made = await provide(server).copy_object("a", "b")
        assert made.version_id == "V1"
        assert server.requests[-1].method == "HEAD"
        assert "versionId=V1" in server.requests[-1].query


async def test_a_copy_without_an_etag_sends_no_empty_condition(provide: Provide) -> None:
    """A source whose etag is not known is copied without a condition."""

    def script(request: Request) -> Answer:
        if request.method == "PUT":
            return Answer(200, COPIED)
        whole = content(b"data", request)
        return Answer(200, whole.body, {**whole.headers, "ETag": None})

    async with serving(script) as server:
        await provide(server).copy("a", "b")
        (put,) = (request for request in server.requests if request.method == "PUT")
        assert "x-amz-copy-source-if-match" not in put.headers


async def test_a_condition_on_the_destination_of_a_copy_is_refused(provide: Provide) -> None:
    """A condition that is not sent is refused, not dropped."""
    async with serving([]) as server:
        with pytest.raises(UnsupportedError, match="condition"):
            await provide(server).copy_object("a", "b", options=WriteOptions(if_none_match="*"))
        assert server.requests == []


@pytest.mark.parametrize(
    ("answer", "kind"),
    [(error("NoSuchKey", 404), NotFoundError), (error("PreconditionFailed", 412), PreconditionFailedError)],
)
async def test_errors_of_a_copy_name_its_source(provide: Provide, answer: Answer, kind: type[StorageError]) -> None:
    """S3 answers the request for the destination; the missing or changed object is the source."""
    async with serving(lambda _: answer) as server:
        provider = provide(server)
        with pytest.raises(kind) as whole:
            await provider.copy_object("a", "b", if_match='"e"')
        with pytest.raises(kind) as part:
            await provider.copy_part(UPLOAD, 1, "a", ByteRange(0, 5), if_match='"e"')
    for caught in (whole, part):
        assert caught.value.key == "a"
        assert str(caught.value).startswith("s3://bkt/a: ")


async def test_a_delete_marker_is_no_question_of_rights(provide: Provide) -> None:
    """S3 answers 405 for the version id of a delete marker: there is no object to read."""
    answer = Answer(405, b"", {"x-amz-delete-marker": "true"})
    async with serving(lambda _: answer) as server:
        with pytest.raises(NotFoundError, match="delete marker"):
            await provide(server).head("k", version_id="v")


async def test_a_version_that_is_gone_is_called_so(provide: Provide) -> None:
    """The message does not say that the object is missing."""
    async with serving(lambda _: error("NoSuchVersion", 404)) as server:
        with pytest.raises(NotFoundError, match="no such version"):
            await provide(server).get("k", version_id="v")


async def test_the_error_after_a_good_status_keeps_its_headers(provide: Provide) -> None:
    """An error in the body of a 200 has the request id of the answer's headers."""
    body = b"<Error><Code>InternalError</Code></Error>"
    async with serving(lambda _: Answer(200, body, {"x-amz-request-id": "RID1"})) as server:
        with pytest.raises(StorageError) as caught:
            await provide(server, max_attempts=1).complete_multipart(UPLOAD, [], WriteOptions())
    assert caught.value.request_id == "RID1"


def deleted(*, refused: str | None, done: tuple[str, ...] = ()) -> Answer:
    """Answer a bulk delete."""
    names = "".join(f"<Deleted><Key>{key}</Key></Deleted>" for key in done)
    key = "" if refused is None else f"<Key>{refused}</Key>"
    return Answer(200, f"<DeleteResult>{names}<Error>{key}<Code>AccessDenied</Code></Error></DeleteResult>".encode())


async def test_a_key_that_is_named_in_another_form_is_not_reported_as_deleted(provide: Provide) -> None:
    """R2 names keys in NFC: its error belongs to the key that was asked for, as the caller wrote it."""
    asked = unicodedata.normalize("NFD", "é")
    async with serving(lambda _: deleted(refused=unicodedata.normalize("NFC", "é"), done=("a",))) as server:
        result = await provide(server, CloudflareR2Provider).delete_batch(["a", asked])
    assert result.succeeded == ("a",)
    assert isinstance(result.failed[asked], AccessDeniedError)


async def test_an_error_that_names_no_key_is_one_of_those_not_named(provide: Provide) -> None:
    """No key is reported as deleted that may be the one which was refused."""
    async with serving(lambda _: deleted(refused=None, done=("a",))) as server:
        result = await provide(server).delete_batch(["a", "b"])
    assert result.succeeded == ("a",)
    assert isinstance(result.failed["b"], AccessDeniedError)


async def test_a_broken_body_names_its_place_once(provide: Provide) -> None:
    """The message of a broken body begins with the object, and not twice."""

    class Sink:
        fd = -1
        position = 0
        needs_bytes = True

        def begin(self, info: ObjectInfo) -> None:
            """Do nothing."""

        def write(self, data: bytes | bytearray | memoryview) -> None:
            self.position += len(data)

        def skip(self, count: int) -> None:
            self.position += count

    async with serving(lambda request: Answer(**_cut(request))) as server:
        with pytest.raises(StorageError) as caught:
            await provide(server).fetch_range("k", Sink(), ReadOptions())
    assert str(caught.value).count("s3://bkt/k") == 1


def _cut(request: Request) -> dict[str, object]:
    whole = content(bytes(1000), request)
    return {"status": 200, "body": whole.body, "headers": whole.headers, "cut": 500}


async def test_a_time_that_no_calendar_has_is_an_error_of_ours(provide: Provide) -> None:
    """A listing of versions with an impossible time cannot be read, and is no raw error."""
    page = (
        b"<ListVersionsResult><IsTruncated>false</IsTruncated><Version><Key>k</Key><VersionId>v</VersionId>"
        b"<IsLatest>true</IsLatest><LastModified>0001-01-01T00:00:00+14:00</LastModified><ETag>e</ETag><Size>1</Size>"
        b"</Version></ListVersionsResult>"
    )
    async with serving(lambda _: Answer(200, page)) as server:
        with pytest.raises(StorageError) as caught:
            await provide(server, max_attempts=1).list_versions_page()
    assert not isinstance(caught.value, InvalidRequestError)
