"""What takes long to load is loaded outside the event loop."""

from __future__ import annotations

import asyncio
import base64
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from tests.wire.scripted import Answer, Request, content, serving

SUM = base64.b64encode((7).to_bytes(8)).decode()
LIBRARY = """
    import sys, threading
    # In one call, because several threads may write.
    sys.stdout.write(f"{threading.current_thread() is not threading.main_thread()}\\n")
    def crc32c(data, value=0):
        return 7
    crc32 = crc64nvme = crc32c
"""
PROGRAM = """
    import asyncio, sys
    from bucketry import S3Provider
    async def main():
        keys = {"access_key_id": "k", "secret_access_key": "s", "server": "aws"}
        provider = S3Provider({"bucket_name": "bucket", "endpoint_url": sys.argv[1], **keys})
        if sys.argv[2] == "get":
            assert await provider.get("a") == b"data"
        elif sys.argv[2] == "stream":
            async with provider.stream("a") as chunks:
                assert [chunk async for chunk in chunks] == [b"data"]
        else:
            await provider.put("a", b"data")
        await provider.disconnect()
    asyncio.run(main())
"""


def answer(request: Request) -> Answer:
    """Send an object with a stored checksum."""
    return content(b"data", request, **{"x-amz-checksum-crc64nvme": SUM, "x-amz-checksum-type": "FULL_OBJECT"})


@pytest.mark.slow  # it starts processes
@pytest.mark.parametrize("work", ["get", "stream", "put"])
async def test_the_first_checksum_is_loaded_in_a_thread(work: str, tmp_path: Path) -> None:
    """The first read or write of a process whose checksum needs a library imports it in a worker thread."""
    for library in (tmp_path / "awscrt" / "checksums.py", tmp_path / "isal" / "isal_zlib.py"):
        library.parent.mkdir()
        (library.parent / "__init__.py").touch()
        library.write_text(textwrap.dedent(LIBRARY))
    path = os.pathsep.join([str(tmp_path), *sys.path])
    async with serving(answer) as server:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-c",
            textwrap.dedent(PROGRAM),
            server.url,
            work,
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": path},
        )
        output, _ = await process.communicate()
    assert process.returncode == 0
    assert set(output.decode().split()) == {"True"}


WRITES = """
    import asyncio, pathlib, sys, threading
    from bucketry import S3Provider, TransferManager
    def note(event, args):
        if event == "import" and args[0] == "mimetypes":
            # In one call, because several threads may write.
            sys.stdout.write(f"{threading.current_thread() is not threading.main_thread()}\\n")
    async def main():
        keys = {"access_key_id": "k", "secret_access_key": "s"}
        provider = S3Provider({"bucket_name": "bucket", "endpoint_url": sys.argv[1], **keys})
        manager, directory = TransferManager(provider), pathlib.Path(sys.argv[3])
        works = {
            "put": lambda: provider.put("a.bin", b"data"),
            "upload": lambda: manager.upload(directory / "a.bin", "a.bin"),
            "many": lambda: manager.upload_many((directory / "a.bin", f"{number}.bin") for number in range(20)),
            "tree": lambda: manager.upload_tree(directory, "to"),
        }
        sys.addaudithook(note)
        result = await works[sys.argv[2]]()
        if sys.argv[2] in ("many", "tree"):
            result.raise_for_failures()
        await provider.disconnect()
    asyncio.run(main())
"""


@pytest.mark.slow  # it starts processes
@pytest.mark.parametrize("work", ["put", "upload", "many", "tree"])
async def test_the_table_of_content_types_is_read_in_a_thread(work: str, tmp_path: Path) -> None:
    """The first write of a process reads Python's table of content types in a worker thread."""
    (tmp_path / "a.bin").write_bytes(b"data")
    async with serving(answer) as server:
        arguments = [server.url, work, str(tmp_path)]
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", textwrap.dedent(WRITES), *arguments, stdout=subprocess.PIPE
        )
        output, _ = await process.communicate()
    assert process.returncode == 0
    assert set(output.decode().split()) == {"True"}
