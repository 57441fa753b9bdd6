"""Asks another library and bucketry the same, `python differences.py s3fs`, and prints both answers as JSON.

The tables of the pages for users of the other libraries have these answers, to the letter. It runs in its own process,
because the other libraries have threads and warnings of their own.
"""

from __future__ import annotations

import asyncio
import inspect
import json
import os
import re
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

from bucketry import S3Provider, TransferConfig
from bucketry._core.config import PART_SIZE
from bucketry._core.units import MiB
from bucketry.testing import EmbeddedS3, embedded_s3

DELETE = "delete a key that does not exist"
ETAG = "the etag"
GET = "get a key that does not exist"
BUCKET = "get from a bucket that does not exist"
RANGE = "get a range that begins after the end"
REPLACE = "replace an object whose etag is not the expected one"
TARGET = "an existing file, after a download to it failed"
KIND = "the content type of an uploaded `page.html`"
NAME = "list `note`, where there is `notes.txt`"
SLASHES = "the key of `a//b`"
SLASH = "the key of `/a`"
CACHE = "list what another program has just stored"
PARTS = "parts of a file at once, at most"
SIZE = "the size of a part"
ATTEMPTS = "attempts of a request"
BROKEN = "a write whose source fails after 12 MiB"


async def outcome(step: Callable[[], Any]) -> str:
    """Say what a step raised."""
    try:
        result = step()
        if inspect.isawaitable(result):
            await result
    except Exception as error:  # noqa: BLE001 - the class is the answer
        code = getattr(error, "response", {}).get("Error", {}).get("Code")
        return f"`ClientError`, code `{code}`" if code else f"`{type(error).__name__}`"
    return "no error"


async def target(step: Callable[[], Any]) -> str:
    """Say what a download that fails leaves of an existing file."""
    path = Path("target")
    path.write_bytes(b"old")
    assert await outcome(step) != "no error"
    return {b"old": "as before", b"": "empty"}[path.read_bytes()]


def quoted(etag: str) -> str:
    """Say how an etag is written."""
    return "in quotes" if etag == '"5d41402abc4b2a76b9719d911017c592"' else etag


def found(what: object) -> str:
    """Say whether something was found."""
    return "finds it" if what else "does not find it"


async def broken(storage: S3Provider, key: str, step: Callable[[], Any]) -> str:
    """Say what a write leaves whose source fails."""
    assert await outcome(step) == "`SourceError`"
    left = [upload.key async for upload in storage.list_uploads()]
    if await storage.exists(key):
        return "stores 12 MiB"
    return "stores nothing, and leaves an open upload" if key in left else "stores nothing"


class SourceError(Exception):
    """What a source raises."""


async def chunks() -> AsyncIterator[bytes]:
    """Give 12 MiB, then fail."""
    yield bytes(6 * MiB)
    yield bytes(6 * MiB)
    raise SourceError


class Source:
    """A file with 12 MiB that then fails, as aioboto3 reads it."""

    def __init__(self) -> None:
        self._chunks = chunks()

    async def read(self, size: int) -> bytes:
        """Give the next bytes."""
        return await anext(self._chunks)


async def ours(server: EmbeddedS3, storage: S3Provider) -> dict[str, str]:
    """Ask bucketry."""
    await storage.put("notes.txt", b"hello")
    elsewhere = S3Provider({**server.config, "bucket_name": "no-such-bucket"})
    await storage.put("ours//b", b"1")
    await storage.put("/ours", b"1")
    await storage.upload("page.html", "ours.html")
    before = await storage.list_files()
    async with S3Provider(server.config) as another:
        await another.put("from another", b"1")
    answers = {
        DELETE: await outcome(lambda: storage.delete("missing")),
        ETAG: quoted((await storage.head("notes.txt")).etag),
        GET: await outcome(lambda: storage.get("missing")),
        BUCKET: await outcome(lambda: elsewhere.get("missing")),
        RANGE: await outcome(lambda: storage.get_range("notes.txt", 9, 10)),
        REPLACE: await outcome(lambda: storage.put("notes.txt", b"", if_match='"0"')),
        TARGET: await target(lambda: storage.download("missing", "target")),
        KIND: f"`{(await storage.head('ours.html')).content_type}`",
        NAME: found([entry async for entry in storage.list("note")]),
        SLASHES: "`a//b`" if await storage.exists("ours//b") else "another",
        SLASH: "`/a`" if await storage.exists("/ours") else "`a`",
        CACHE: found(await storage.list_files() == sorted([*before, "from another"])),
        BROKEN: await broken(storage, "ours.bin", lambda: storage.put("ours.bin", chunks())),
        PARTS: str(TransferConfig().large_concurrency),
        SIZE: f"{PART_SIZE // MiB} MiB",
        ATTEMPTS: str(TransferConfig().max_attempts),
    }
    await elsewhere.disconnect()
    return answers


async def aioboto3(server: EmbeddedS3, storage: S3Provider) -> dict[str, str]:
    """Ask aioboto3."""
    import aioboto3
    import botocore.session
    from boto3.s3.transfer import TransferConfig as Theirs

    async with aioboto3.Session(region_name="us-east-1").client("s3", endpoint_url=server.endpoint_url) as s3:
        retries = botocore.session.get_session().get_component("data_loader").load_data("_retry")["retry"]
        place = {"Bucket": "my-bucket", "Key": "notes.txt"}
        missing = {"Bucket": "my-bucket", "Key": "missing"}
        await s3.upload_file("page.html", "my-bucket", "theirs.html")
        page = await s3.head_object(Bucket="my-bucket", Key="theirs.html")
        return {
            DELETE: await outcome(lambda: s3.delete_object(**missing)),
            ETAG: quoted((await s3.head_object(**place))["ETag"]),
            GET: await outcome(lambda: s3.get_object(**missing)),
            BUCKET: await outcome(lambda: s3.get_object(Bucket="no-such-bucket", Key="missing")),
            RANGE: await outcome(lambda: s3.get_object(**place, Range="bytes=9-9")),
            REPLACE: await outcome(lambda: s3.put_object(**place, Body=b"", IfMatch='"0"')),
            TARGET: await target(lambda: s3.download_file("my-bucket", "missing", "target")),
            KIND: f"`{page['ContentType']}`",
            BROKEN: await broken(storage, "t.bin", lambda: s3.upload_fileobj(Source(), "my-bucket", "t.bin")),
            PARTS: str(Theirs().max_concurrency),
            SIZE: f"{Theirs().multipart_chunksize // MiB} MiB",
            ATTEMPTS: str(retries["__default__"]["max_attempts"]),
        }


async def obstore(server: EmbeddedS3, storage: S3Provider) -> dict[str, str]:
    """Ask obstore."""
    import obstore
    from obstore.store import S3Store

    def store(bucket: str) -> S3Store:
        options = {"allow_http": True}
        return S3Store(bucket, region="us-east-1", endpoint=server.endpoint_url, client_options=options)

    notes = store("my-bucket")
    await obstore.put_async(notes, "theirs.html", Path("page.html"))
    await obstore.put_async(notes, "/theirs", b"1")
    page = await obstore.get_async(notes, "theirs.html")
    declared = Path(obstore.__file__).with_name("_put.pyi").read_text()  # at run time the defaults are hidden
    return {
        DELETE: await outcome(lambda: obstore.delete_async(notes, "missing")),
        ETAG: quoted((await obstore.head_async(notes, "notes.txt"))["e_tag"]),
        GET: await outcome(lambda: obstore.get_async(notes, "missing")),
        BUCKET: await outcome(lambda: obstore.get_async(store("no-such-bucket"), "missing")),
        RANGE: await outcome(lambda: obstore.get_range_async(notes, "notes.txt", start=9, end=10)),
        REPLACE: await outcome(lambda: obstore.put_async(notes, "notes.txt", b"", mode={"e_tag": '"0"'})),
        KIND: f"`{page.attributes['Content-Type']}`",
        NAME: found([entry async for batch in obstore.list(notes, "note") for entry in batch]),
        SLASHES: await outcome(lambda: obstore.put_async(notes, "theirs//b", b"1")),
        SLASH: "`a`" if await storage.exists("theirs") else "`/a`",
        BROKEN: await broken(storage, "theirs.bin", lambda: obstore.put_async(notes, "theirs.bin", chunks())),
        PARTS: re.findall(r"max_concurrency: int = (\d+),", declared)[0],
        SIZE: re.findall(r"chunk_size: int = (\d+) \* 1024 \* 1024,", declared)[0] + " MiB",
    }


async def s3fs(server: EmbeddedS3, storage: S3Provider) -> dict[str, str]:
    """Ask s3fs."""
    from s3fs import S3FileSystem
    from s3fs.core import calculate_chunksize

    fs = S3FileSystem(endpoint_url=server.endpoint_url)
    fs.put_file("page.html", "my-bucket/theirs.html")
    fs.pipe_file("my-bucket/theirs//b", b"1")
    fs.ls("my-bucket")
    await storage.put("just stored", b"1")
    listed = "my-bucket/just stored" in fs.ls("my-bucket")
    path = "my-bucket/notes.txt"

    def write() -> None:
        with fs.open("my-bucket/theirs.bin", "wb", block_size=5 * MiB) as writer:
            writer.write(bytes(12 * MiB))
            raise SourceError

    return {
        DELETE: await outcome(lambda: fs.rm_file("my-bucket/missing")),
        ETAG: quoted(fs.info(path)["ETag"]),
        GET: await outcome(lambda: fs.cat_file("my-bucket/missing")),
        BUCKET: await outcome(lambda: fs.cat_file("no-such-bucket/missing")),
        RANGE: await outcome(lambda: fs.cat_file(path, start=9, end=10)),
        REPLACE: await outcome(lambda: fs.pipe_file(path, b"", IfMatch='"0"')),
        TARGET: await target(lambda: fs.get_file("my-bucket/missing", "target")),
        KIND: f"`{fs.info('my-bucket/theirs.html')['ContentType']}`",
        NAME: found(fs.find("my-bucket/note")),
        SLASHES: "`a//b`" if await storage.exists("theirs//b") else "another",
        CACHE: found(listed),
        BROKEN: await broken(storage, "theirs.bin", write),
        PARTS: str(fs.max_concurrency),
        SIZE: f"{calculate_chunksize(100 * MiB) // MiB} MiB",
        ATTEMPTS: str(fs.retries),
    }


async def ask(library: str) -> dict[str, list[str]]:
    """Ask both, and give the answer of each to each question."""
    with embedded_s3("my-bucket") as server:
        async with S3Provider(server.config) as storage:
            mine = await ours(server, storage)
            theirs: dict[str, str] = await globals()[library](server, storage)
    return {question: [answer, mine[question]] for question, answer in theirs.items()}


if __name__ == "__main__":
    os.environ |= {"AWS_ACCESS_KEY_ID": "example", "AWS_SECRET_ACCESS_KEY": "example"}
    Path("page.html").write_bytes(b"<p>")
    json.dump(asyncio.run(ask(sys.argv[1])), sys.stdout)
