"""A whole provider of your own: objects in one SQLite file, with the required part of the contract only."""

from __future__ import annotations

# --8<-- [start:provider]
import asyncio
import json
import sqlite3
import tempfile
import uuid
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

from bucketry import Capabilities, ObjectInfo, StorageError, StorageProviderFactory, TransferConfig
from bucketry.errors import NotFoundError
from bucketry.providers import (
    Body,
    ListPage,
    ReadOptions,
    StorageProvider,
    WriteOptions,
    check_key,
    cut_range,
    judge_read,
    last_seen,
    read_body,
    take_page,
)

T = TypeVar("T")
TABLE = "CREATE TABLE IF NOT EXISTS objects (key TEXT PRIMARY KEY, size, etag, modified, kept, data BLOB)"
READING = "SELECT key, size, etag, modified, kept, rowid FROM objects WHERE key = ?"
LISTING = "SELECT key, size, etag, modified FROM objects WHERE key > ? AND substr(key, 1, ?) = ? ORDER BY key"
WHOLE = ReadOptions()
KEPT = ("content_type", "cache_control", "content_disposition", "content_encoding", "content_language", "storage_class")


class SqliteProvider(StorageProvider):
    """Objects as rows of a table. The row of facts promises little: no parts, no copies, no conditional writes."""

    name = "sqlite"
    capabilities = Capabilities(max_object_size=10**9, max_put_size=10**9, get_if_match=True)

    def __init__(
        self, config: Mapping[str, Any], *, pool: object = None, transfer: TransferConfig | None = None
    ) -> None:
        self._path = str(config["path"])  # no I/O in a constructor
        super().__init__(transfer)

    def locate(self, key: str = "") -> str:
        return f"sqlite://{self._path}/{key}"

    async def connect(self) -> None:
        await self._run("SELECT 1")

    async def disconnect(self) -> None:
        pass  # nothing stays open

    async def head(self, key: str, *, version_id: str | None = None) -> ObjectInfo:
        return (await self._read(key, None))[0]

    @asynccontextmanager
    async def open_body(self, key: str, options: ReadOptions = WHOLE) -> AsyncIterator[SqliteBody]:
        yield SqliteBody(*await self._read(key, options))

    async def put_object(self, key: str, body: Body, options: WriteOptions) -> ObjectInfo:
        check_key(key, self.capabilities, self.locate())
        data = await asyncio.to_thread(read_body, body, self.locate(key))
        kept = json.dumps({name: getattr(options, name) for name in KEPT} | {"metadata": dict(options.metadata)})
        row = (key, len(data), f'"{uuid.uuid4().hex}"', str(datetime.now(UTC)), kept)
        await self._run("REPLACE INTO objects VALUES (?, ?, ?, ?, ?, ?)", *row, data)
        return self._info(*row)

    async def delete(self, remote_path: str, *, version_id: str | None = None) -> None:
        check_key(remote_path, self.capabilities, self.locate())
        await self._run("DELETE FROM objects WHERE key = ?", remote_path)

    async def list_page(
        self,
        prefix: str = "",
        *,
        delimiter: str | None = None,
        start_after: str | None = None,
        token: str | None = None,
    ) -> ListPage:
        after = last_seen(start_after, token)
        found = await self._run(LISTING, after, len(prefix), prefix)
        objects = (self._info(*row) for row in found)
        limit = self.capabilities.max_list_keys
        return take_page(objects, prefix=prefix, delimiter=delimiter, after=after, limit=limit)

    def _info(self, key: str, size: int, etag: str, modified: str, kept: str = "{}") -> ObjectInfo:
        when = datetime.fromisoformat(modified)
        return ObjectInfo(key=key, size=size, etag=etag, last_modified=when, **json.loads(kept))

    async def _read(self, key: str, options: ReadOptions | None) -> tuple[ObjectInfo, bytes]:
        def read(connection: sqlite3.Connection) -> tuple[ObjectInfo, bytes]:
            connection.execute("BEGIN")  # facts and bytes are of one version
            for *facts, rowid in connection.execute(READING, (key,)):
                info = self._info(*facts)
                if options is None:
                    return info, b""
                judge_read(info, options, self.locate(key))
                wanted = cut_range(info, options.byte_range, self.locate(key))
                with connection.blobopen("objects", "data", rowid, readonly=True) as data:
                    data.seek(wanted.start)
                    return info, data.read(wanted.size)  # reads only these; substr() would load the whole object
            raise NotFoundError(f"{self.locate(key)}: there is no such object", key=key)

        check_key(key, self.capabilities, self.locate())
        return await self._connected(read)

    async def _run(self, statement: str, *values: object) -> list[Any]:
        return await self._connected(lambda connection: connection.execute(statement, values).fetchall())

    async def _connected(self, work: Callable[[sqlite3.Connection], T]) -> T:
        def run() -> T:
            with closing(sqlite3.connect(self._path, timeout=60)) as connection, connection:
                connection.execute(TABLE)
                return work(connection)

        try:
            return await asyncio.to_thread(run)
        except sqlite3.Error as error:
            raise StorageError(f"{self.locate()}: {error}") from error


class SqliteBody:
    """The open body of one read: its bytes are here already, so one chunk is enough."""

    verified = None  # no checksum is stored

    def __init__(self, info: ObjectInfo, data: bytes) -> None:
        self.info, self._data = info, data

    async def read(self) -> bytes:
        return self._data

    async def __aiter__(self) -> AsyncGenerator[bytes, None]:
        if self._data:
            yield self._data


# --8<-- [end:provider]


# --8<-- [start:use]
async def main() -> None:
    StorageProviderFactory.register("sqlite", SqliteProvider)
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory, "objects.db")
        async with StorageProviderFactory.create({"provider_type": "sqlite", "path": path}) as storage:
            await storage.put("a/report.txt", b"It works.\n", metadata={"owner": "me"})
            await storage.upload(__file__, "a/source.py")
            await storage.download("a/source.py", Path(directory, "copy.py"))
            print(storage.locate("a/report.txt").removeprefix(f"sqlite://{path}"), await storage.list_files())
            try:
                await storage.presign("a/report.txt")
            except StorageError as error:
                print(type(error).__name__, "presign_methods" in str(error))


if __name__ == "__main__":
    asyncio.run(main())
# --8<-- [end:use]
