"""The caller gives the write token and the name of the staged file, so a resumed transfer can keep them."""

from __future__ import annotations

import pytest

from bucketry._core.options import WriteOptions
from bucketry._transfer.one.download import DownloadTransfer
from bucketry._transfer.one.staging import is_staged, staged_name
from bucketry._transfer.one.upload import UploadTransfer
from bucketry.errors import TransientError
from bucketry.testing import Fault, FaultyProvider
from tests.transfer.doubles import PART, Bench, noise

TOKEN = "0123456789abcdef" * 2


@pytest.mark.parametrize("size", [10, 3 * PART], ids=["one request", "parts"])
async def test_an_upload_is_marked_as_it_is_told(bench: Bench, size: int) -> None:
    """After retries, the object has the token that the caller gave."""
    conflict = TransientError("another write got in between", code="ConditionalRequestConflict")
    faults = (Fault(operation="complete_multipart", error=conflict), Fault(operation="put_object", error=conflict))
    provider = FaultyProvider(bench.memory(), faults)
    manager = bench.manager(provider)
    options = WriteOptions(if_none_match="*")
    transfer = UploadTransfer(provider, manager.config, manager._limits.get(), "key", options, token=TOKEN)
    result = await transfer.of_file(bench.file(noise(size)))
    assert result.retries == 1
    assert (await provider.head("key")).write_token == TOKEN


async def test_a_download_is_staged_under_the_name_it_is_told(bench: Bench) -> None:
    """The bytes are written to the staged file of this name, next to the target."""
    seen: list[list[str]] = []

    async def look() -> None:
        seen.append(bench.files())

    provider = FaultyProvider(bench.memory(), (Fault(operation="fetch_range", nth=2, hook=look),))
    await provider.put("key", noise(2 * PART))
    manager = bench.manager(provider)
    name = staged_name()
    assert is_staged(name)
    await DownloadTransfer(provider, manager.config, manager._limits.get(), "key", name).to(bench.target())
    assert seen == [[name]]
    assert bench.files() == ["target.bin"]
