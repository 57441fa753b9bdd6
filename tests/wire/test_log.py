"""The logger `bucketry` logs every request with its status, and every retry with its reason, but no secret."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from bucketry import ObjectInfo
from bucketry._core.units import MiB
from tests.wire.conftest import Provide
from tests.wire.scripted import Answer, Request, completed, content, created, error, serving

DATA = b"some bytes"


def answer(request: Request) -> Answer:
    """Answer as a bucket does."""
    if request.method in {"GET", "HEAD"}:
        return content(DATA, request)
    if request.method == "POST":
        return created("u1") if request.query.startswith("uploads") else completed('"e1"')
    return Answer(headers={"ETag": '"e1"'})


def lines(caplog: pytest.LogCaptureFixture) -> list[str]:
    """Give what was logged."""
    return [record.getMessage() for record in caplog.records if record.name == "bucketry"]


async def test_every_request_is_told(provide: Provide, caplog: pytest.LogCaptureFixture, tmp_path: Path) -> None:
    """Requests of the event loop and of lanes, in both directions, are logged."""
    (tmp_path / "large").write_bytes(bytes(6 * MiB))
    async with serving(answer) as server:
        provider = provide(server)
        await provider.head("key")  # loads all modules first
        with caplog.at_level(logging.DEBUG, "bucketry"):
            await provider.get("a key")
            await provider.put("key", DATA)
            await provider.download("key", tmp_path / "file")
            await provider.upload(tmp_path / "large", "large")
        asked, url = server.requests[1:], server.url
    told = [line for line in lines(caplog) if url in line]  # without those about the number of requests in flight
    assert len(told) == len(asked)
    for request in asked:
        assert any(line.startswith(f"{request.method} {url}{request.path}") for line in told), request
    assert all(line.endswith((": 200", ": 206")) for line in told)
    assert not [line for line in told if "SECRET" in line or "Signature" in line]


async def test_every_repeat_is_told(provide: Provide, caplog: pytest.LogCaptureFixture) -> None:
    """Each retry is logged with its error."""
    answers = iter([error("SlowDown", 503, "please")])
    async with serving(lambda request: next(answers, None) or content(DATA, request)) as server:
        with caplog.at_level(logging.DEBUG, "bucketry"):
            found = await provide(server).head("key")
    assert isinstance(found, ObjectInfo)
    (repeated,) = [line for line in lines(caplog) if line.startswith("attempt 1 failed")]
    assert "status 503" in repeated


async def test_nothing_is_told_otherwise(provide: Provide, caplog: pytest.LogCaptureFixture) -> None:
    """At the level WARNING nothing is logged."""
    async with serving(answer) as server:
        await provide(server).get("key")
    assert lines(caplog) == []
