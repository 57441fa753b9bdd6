"""The two call chains of docs/explanation/planes.md: the functions between a public method and the socket.

The tests trace them: they count the package's functions on the call stack of each thread and task, at the call of
the next task or thread or of the system.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Awaitable
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

import bucketry
from bucketry import SessionPool, TransferManager
from bucketry._core.config import TransferConfig
from bucketry._core.units import MiB
from tests.wire.certificates import certificate
from tests.wire.raw import make
from tests.wire.swallow import swallow

PACKAGE = f"{Path(bucketry.__file__).parent}{os.sep}"
PAGE = Path(__file__).parents[2] / "docs" / "explanation" / "planes.md"
LONGEST_GET = 9
LONGEST_PART = 13

GET = [
    "ReadMethods.get",
    "read",
    "WireBody.__aenter__",
    "WireCalls.opened",
    "OriginClient.open",
    "Unary.send",
    "Connection.begin",
]
PART_IN_TASK = ["ObjectTransfers.upload", "UploadTransfer.of_file", "UploadTransfer._in_parts", "run_workers"]
PART_IN_WORKER = [
    "UploadTransfer._send_parts",
    "S3Requests.put_part",
    "WirePlane.put_part",
    "WireCalls.send",
    "Lanes.exchange",
    "LaneThreads.run",
]
PART_IN_THREAD = ["Lane.exchange", "Lane._send_body"]
PART_OVER_TLS = [*PART_IN_THREAD, "Tls.send"]


class Trace:
    """Records the call stacks at the calls of chosen functions."""

    def __init__(self) -> None:
        self._stacks: set[tuple[str, ...]] = set()

    def _note(self, frame: FrameType, event: str, _: object) -> None:
        if event != "call" or not frame.f_code.co_filename.startswith(PACKAGE):
            return
        found: list[str] = []
        at: FrameType | None = frame
        while at is not None:
            if at.f_code.co_filename.startswith(PACKAGE):
                found.append(at.f_code.co_qualname)
            at = at.f_back
        self._stacks.add(tuple(reversed(found)))

    async def of(self, awaitable: Awaitable[Any]) -> None:
        """Trace this thread, and threads started meanwhile, until the awaited call is done."""
        threading.setprofile(self._note)
        sys.setprofile(self._note)
        try:
            await awaitable
        finally:
            sys.setprofile(None)
            threading.setprofile(None)

    def to(self, last: str, *, through: str = "") -> list[str]:
        """Give the longest stack that ends in one function and contains another one, without opening a connection."""
        found = (stack for stack in self._stacks if stack[-1] == last and "Lanes._open" not in stack)
        return [*max((stack for stack in found if not through or through in stack), key=len, default=())]


async def _get(port: int) -> Trace:
    trace = Trace()
    async with SessionPool() as pool:
        provider = make(port, pool)
        await provider.put("k", b"x")
        await trace.of(provider.get("k"))
    return trace


async def _upload(port: int, file: Path, **config: Any) -> Trace:
    trace = Trace()
    async with SessionPool() as pool:
        provider = make(port, pool, read_timeout=10, **config)
        await provider.put("k", b"x")  # work that is done only once is done here
        manager = TransferManager(provider, TransferConfig(max_concurrency=2))
        await trace.of(manager.upload(file, "k"))
    return trace


async def test_a_get() -> None:
    """A small read calls these functions, and not more than the limit."""
    with swallow() as port:
        trace = await _get(port)
    assert trace.to("Connection.begin") == GET
    assert len(GET) <= LONGEST_GET


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Give a file of several parts."""
    path = tmp_path / "file"
    path.write_bytes(bytes(20 * MiB))
    return path


@pytest.mark.parametrize(("tls", "in_thread"), [(False, PART_IN_THREAD), (True, PART_OVER_TLS)])
async def test_a_part(tmp_path: Path, file: Path, *, tls: bool, in_thread: list[str]) -> None:
    """A part of an upload calls these functions in its three tasks and threads, and not more than the limit."""
    arguments: tuple[str, ...] = ()
    config: dict[str, Any] = {}
    if tls:
        _, pem = certificate(tmp_path)
        arguments, config = (pem, pem.removesuffix("pem") + "key"), {"scheme": "https", "ca_bundle": pem}
    with swallow(*arguments) as port:
        trace = await _upload(port, file, **config)
    assert trace.to("run_workers") == PART_IN_TASK
    assert trace.to("LaneThreads.run", through="WirePlane.put_part") == PART_IN_WORKER
    assert trace.to(in_thread[-1], through="Lane._send_body") == in_thread
    assert len(PART_IN_TASK) + len(PART_IN_WORKER) + len(in_thread) <= LONGEST_PART


def test_the_page_names_them() -> None:
    """The page on the two planes shows the call chains in their present order."""
    text = PAGE.read_text(encoding="utf-8")
    _, _, walks = text.partition("## The two walks")
    assert walks
    at = 0
    for name in [*GET, *PART_IN_TASK, *PART_IN_WORKER, *PART_OVER_TLS]:
        found = walks.find(f"`{name}`", at)
        assert found >= 0, name
        at = found
