"""Uploads that the caller controls: lost answers, cancellations, and servers with wrong listings."""

from __future__ import annotations

import asyncio

import pytest

from bucketry import MemoryProvider
from bucketry._core.options import WriteOptions
from bucketry._core.values import MultipartUpload
from bucketry._providers.s3.answers import uploads_behind
from bucketry.errors import ConnectionFailedError, InvalidRequestError, ThrottledError, UnsupportedError
from bucketry.testing import Fault, FaultyProvider
from tests.transfer.doubles import Bench

LOST = ConnectionFailedError("the answer was lost")


async def test_a_lost_answer_to_the_commit_is_settled(bench: Bench) -> None:
    """After a lost answer, `start_upload` recognizes its object by the write token."""
    provider = FaultyProvider(bench.memory(), (Fault(operation="complete_multipart", error=LOST, after=True),))
    async with await provider.start_upload("key", metadata={"a": "1"}) as upload:
        await upload.put_part(1, b"x")
        info = await upload.commit()
    assert (info.size, info.metadata) == (1, {"a": "1"})
    assert await provider.get("key") == b"x"
    assert provider.calls["complete_multipart"] == 1


async def test_a_lost_answer_to_an_adopted_commit_is_told(bench: Bench) -> None:
    """After a lost answer, an adopted upload cannot recognize its object, and the error has a note."""
    provider = FaultyProvider(bench.memory(), (Fault(operation="complete_multipart", error=LOST, after=True),))
    started = await provider.start_upload("key")
    await started.put_part(1, b"x")
    adopted = await provider.adopt_upload("key", started.upload_id)
    with pytest.raises(ConnectionFailedError) as caught:
        await adopted.commit()
    assert "completed or aborted" in "".join(caught.value.__notes__)
    assert await provider.get("key") == b"x"


async def test_a_refusal_in_passing_is_repeated(bench: Bench) -> None:
    """If an adopted upload is still open, it was not committed, so the commit is retried."""
    slow = ThrottledError("slow down")
    provider = FaultyProvider(bench.memory(), (Fault(operation="complete_multipart", error=slow),))
    started = await provider.start_upload("key")
    await started.put_part(1, b"x")
    info = await (await provider.adopt_upload("key", started.upload_id)).commit()
    assert (info.size, provider.calls["complete_multipart"]) == (1, 2)


async def test_a_part_that_another_one_replaced(bench: Bench) -> None:
    """The parts of an adopted upload are those stored at the commit, also from other processes."""
    provider = bench.memory()
    started = await provider.start_upload("key")
    adopted = await provider.adopt_upload("key", started.upload_id)
    await adopted.put_part(1, b"mine")
    await started.put_part(1, b"yours")
    await adopted.commit()
    assert await provider.get("key") == b"yours"


async def test_a_started_upload_commits_what_it_has_put(bench: Bench) -> None:
    """A commit after `start_upload` uses only its own parts; for all parts, adopt the upload."""
    provider = FaultyProvider(bench.memory())
    started = await provider.start_upload("key")
    await (await provider.adopt_upload("key", started.upload_id)).put_part(2, b"yours")
    await started.put_part(1, b"mine")
    await started.commit()
    assert await provider.get("key") == b"mine"
    assert provider.calls["list_parts"] == 0


@pytest.mark.parametrize("after", [False, True], ids=["before the request", "after it"])
async def test_a_cancellation_while_it_is_opened(bench: Bench, *, after: bool) -> None:
    """If the caller is cancelled while an upload is opened, no upload stays open."""
    tasks: list[asyncio.Task[object]] = []

    class Slow(MemoryProvider):
        async def create_multipart(self, key: str, options: WriteOptions) -> MultipartUpload:
            made = await super().create_multipart(key, options) if after else None
            tasks[0].cancel()
            await asyncio.sleep(0)
            return made or await super().create_multipart(key, options)

    provider = bench.watch(Slow())
    tasks.append(asyncio.create_task(provider.start_upload("key")))
    with pytest.raises(asyncio.CancelledError):
        await tasks[0]


async def test_conditions_are_refused_before_it_is_opened(bench: Bench) -> None:
    """A condition that completion does not enforce, or a wrong keyword, is refused before any request."""
    provider = FaultyProvider(bench.memory(complete_if_match=False))
    with pytest.raises(UnsupportedError, match="if_match"):
        await provider.start_upload("key", if_match='"e"')
    with pytest.raises(InvalidRequestError, match="cache_control"):
        await provider.start_upload("key", cache_control="é")
    assert not provider.calls


async def test_all_parts_are_listed() -> None:
    """`list_parts` pages to the end, and an adopted upload of more parts than an answer holds is committed whole."""
    provider = MemoryProvider()
    upload = await provider.start_upload("key")
    for number in range(1, 1_003):
        await upload.put_part(number, b"x")
    adopted = await provider.adopt_upload("key", upload.upload_id)
    assert [part.part_number async for part in adopted.list_parts()] == list(range(1, 1_003))
    assert (await adopted.commit()).size == 1_002


async def test_a_server_that_answers_the_same_for_ever() -> None:
    """If a server ignores the markers, the listing ends, and each upload is given once."""

    class Same(MemoryProvider):
        async def list_multiparts(
            self, prefix: str = "", *, after: MultipartUpload | None = None
        ) -> tuple[MultipartUpload, ...]:
            del after
            return await super().list_multiparts(prefix)

    provider = Same()
    for key in ("a", "b"):
        await provider.start_upload(key)
    assert [found.key async for found in provider.list_uploads()] == ["a", "b"]


def test_what_an_answer_holds_behind_an_upload() -> None:
    """If a server ignores the markers, only the uploads after the marker in its answer are new."""
    uploads = [MultipartUpload(key=key, upload_id=upload_id) for key, upload_id in ("a1", "a2", "b3")]
    a1, a2, b3 = uploads
    assert uploads_behind(uploads, None) == (a1, a2, b3)
    assert uploads_behind(uploads, a1) == (a2, b3)
    assert uploads_behind(uploads, b3) == ()
    assert uploads_behind([b3], a2) == (b3,)
    assert uploads_behind(uploads, MultipartUpload(key="b", upload_id="gone")) == (b3,)
