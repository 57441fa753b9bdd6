"""What the first request of a process loads, and what comes before it on the wire: nothing that it does not need."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import textwrap
from collections.abc import Mapping
from typing import Any

import pytest

from bucketry import S3Provider
from bucketry._session.environment import Environment
from tests.wire.scripted import content, serving

NOT_NEEDED = (
    "aiobotocore",
    "aiofiles",
    "aiohttp",
    "anyio",
    "awscrt",
    "botocore",
    "csv",
    "email",
    "html",
    "http",
    "importlib.metadata",
    "isal",
    "logging.config",
    "mimetypes",
    "rich",
    "shutil",
    "tempfile",
    "typing_extensions",
    "urllib.request",
    "urllib3",
    "uvloop",
    "zipfile",
    "bucketry._cli",
    "bucketry._cost",
    "bucketry._doctor",
    "bucketry._manage",
    "bucketry._providers.local",
    "bucketry._providers.memory",
    "bucketry._providers.s3.boto",
    "bucketry._providers.s3.hedged",
    "bucketry._runtime.hedger",
    "bucketry._providers.s3.trial",
    "bucketry._session.clients",
    "bucketry._transfer.manager",
    "bucketry._transfer.one.download",
    "bucketry._transfer.one.upload",
    "bucketry.testing",
)
"""What a GET does not need; a name stands for all modules below it, too."""
OURS, OTHERS = 110, 130
"""The most modules of this package, and of others that a first GET loads, with those of asyncio."""

PROGRAM = """
    import asyncio, sys
    before = set(sys.modules)
    from bucketry import S3Provider
    async def main():
        keys = {"access_key_id": "k", "secret_access_key": "s"}
        provider = S3Provider({"bucket_name": "bucket", "endpoint_url": sys.argv[1], **keys})
        assert await provider.get("a") == b"data"
        await provider.disconnect()
    asyncio.run(main())
    print(*(set(sys.modules) - before))
"""


async def loaded_by_first_get() -> set[str]:
    """Return the modules that a process loads to read one object, beyond those that it began with."""
    async with serving(lambda request: content(b"data", request)) as server:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", textwrap.dedent(PROGRAM), server.url, stdout=subprocess.PIPE
        )
        output, _ = await process.communicate()
        assert server.asked == ["GET /bucket/a"]
    assert process.returncode == 0
    return set(output.decode().split())


@pytest.mark.slow  # it starts a process
async def test_a_first_get_loads_little() -> None:
    """A process that reads one object loads no library and no part of this package that the request does not need."""
    loaded = await loaded_by_first_get()
    assert "bucketry._wire.unary" in loaded
    assert sorted(name for name in loaded if any(f"{name}.".startswith(f"{each}.") for each in NOT_NEEDED)) == []
    ours = {name for name in loaded if name.startswith("bucketry")}
    assert len(ours) <= OURS, sorted(ours)
    assert len(loaded - ours) <= OTHERS, sorted(loaded - ours)


@pytest.mark.parametrize(
    ("variables", "may"),
    [
        ({}, False),
        ({"HOME": "/root", "PROXY_OF": "x"}, False),
        ({"https_proxy": "http://proxy:3128"}, True),
        ({"NO_PROXY": "*"}, True),
    ],
)
def test_whether_there_may_be_a_proxy(variables: Mapping[str, str], may: bool) -> None:
    """Only a variable that names a proxy, or hosts without one, needs a closer look."""
    assert Environment(variables, of_process=False).may_name_proxy is may


async def test_a_first_get_is_one_request_on_one_connection_and_starts_no_thread() -> None:
    """With configured keys and no proxy, nothing comes before the first request: no probe, and no work in a thread."""
    used: list[Any] = []
    loop = asyncio.get_running_loop()
    in_executor = loop.run_in_executor

    def watched(*args: Any) -> Any:
        used.append(args)
        return in_executor(*args)

    async with serving(lambda request: content(b"data", request)) as server:
        loop.run_in_executor = watched  # type: ignore[method-assign]  # the loop's own way into threads, watched
        keys = {"access_key_id": "k", "secret_access_key": "s"}
        provider = S3Provider({"bucket_name": "bucket", "endpoint_url": server.url, **keys}, environ={})
        assert await provider.get("a") == b"data"
        assert server.asked == ["GET /bucket/a"]
        await provider.disconnect()
    assert [args[1].func.__name__ for args in used if hasattr(args[1], "func")] == []
