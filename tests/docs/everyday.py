"""Runs the everyday work of an example, `python everyday.py docs/examples/with_s3fs.py`; prints what it saw as JSON.

Each example has the same functions, so one program runs all of them. It runs in its own process, because the other
libraries have threads and warnings of their own.
"""

from __future__ import annotations

import asyncio
import inspect
import json
import os
import runpy
import sys
import urllib.request
from pathlib import Path
from typing import Any

from bucketry import S3Provider
from bucketry.testing import EmbeddedS3, embedded_s3

LOGS = ("1/a.log", "1/b.log", "2/c.log", "3/d.log")


async def settled(result: Any) -> Any:
    """Wait for a result if it must be waited for: s3fs is synchronous."""
    return await result if inspect.isawaitable(result) else result


def read(url: str) -> str:
    """Read a URL of our own server."""
    with urllib.request.urlopen(url, timeout=10) as answer:  # noqa: S310 - as said
        return str(answer.read().decode())


def files(directory: str) -> dict[str, str]:
    """Give the names and the contents of the files below a directory."""
    found = (path for path in Path(directory).rglob("*") if path.is_file())
    return {path.relative_to(directory).as_posix(): path.read_text() for path in found}


async def work(side: dict[str, Any], client: Any, server: EmbeddedS3) -> dict[str, Any]:
    """Run every function of the example, and give what each returned or made."""
    seen: dict[str, Any] = {}

    async def call(name: str) -> Any:
        return await settled(side[name](client))

    async with S3Provider(server.config) as storage:
        for key in LOGS:
            await storage.put(f"logs/{key}", b"line\n")
        for number in range(100):
            await storage.put(f"small/{number}", bytes(number))
        seen["put_get"] = (await call("put_get")).decode()
        info = await storage.head("notes.txt")
        seen["stored"] = [info.content_type, dict(info.metadata)]
        for name in ("head", "list_keys", "list_directories"):
            seen[name] = await call(name)
        await call("delete")
        await call("file")
        seen["file"] = Path("copy.bin").read_bytes() == Path("model.bin").read_bytes()  # noqa: ASYNC240 - small
        await call("directory")
        seen["directory"] = files("data-copy")
        seen["stream"] = await call("stream")
        await call("generate")
        seen["ranges"] = [data.decode() for data in await call("ranges")]
        await call("parts")
        seen["presign"] = await asyncio.to_thread(read, await call("presign"))
        await call("copy")
        seen["create"] = await call("create")
        seen["errors"] = (await call("errors")).decode()
        seen["many"] = await call("many")
        seen["objects"] = {entry.key: entry.size async for entry in storage.list()}
        seen["open uploads"] = [upload.key async for upload in storage.list_uploads()]
    return seen


def run(example: str) -> dict[str, Any]:
    """Run the everyday work of an example in the working directory."""
    Path("model.bin").write_bytes(bytes(9_000_000))
    Path("data/deep").mkdir(parents=True)
    Path("data/one.txt").write_bytes(b"1")
    Path("data/deep/two.txt").write_bytes(b"2")
    os.environ |= {"AWS_ACCESS_KEY_ID": "example", "AWS_SECRET_ACCESS_KEY": "example"}
    side = runpy.run_path(example)
    seen: dict[str, Any] = {}
    with embedded_s3("my-bucket") as server:

        async def note(client: Any) -> None:
            seen.update(await work(side, client, server))

        connect = side["connect"]
        if inspect.iscoroutinefunction(connect):
            asyncio.run(connect(server.endpoint_url, note))
        else:
            connect(server.endpoint_url, lambda client: asyncio.run(note(client)))
    return seen


if __name__ == "__main__":
    json.dump(run(sys.argv[1]), sys.stdout)
