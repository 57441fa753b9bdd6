"""A whole provider of your own: objects in one SQLite file, with the required part of the contract only."""

from __future__ import annotations

# --8<-- [start:provider]
import asyncio
import json
import sqlite3
import tempfile
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

from bucketry import Capabilities, ObjectInfo, StorageError, StorageProviderFactory, TransferConfig
from bucketry.errors import NotFoundError
from bucketry.providers import (
    Body,
    BytesBody,
    ListPage,
    ReadOptions,
    StorageProvider,
    WriteOptions,
    check_key,
    cut_range,
    in_thread,
    judge_read,
    last_seen,
    read_body,
    take_page,
)

T = TypeVar("T")
OPENING = "CREATE TABLE IF NOT EXISTS objects (key TEXT PRIMARY KEY, size, etag, modified, rest, data BLOB); BEGIN"
FINDING = "SELECT rowid, key, size, etag, modified, rest FROM objects WHERE key = ?"
STORING = "REPLACE INTO objects VALUES (?, ?, ?, ?, ?, ?)"
DELETING = "DELETE FROM objects WHERE key = ?"
LISTING = "SELECT key, size, etag, modified FROM objects WHERE key > ? AND substr(key, 1, ?) = ? ORDER BY key"
WHOLE = ReadOptions()


class SqliteProvider(StorageProvider):
    """Objects as rows of a table. The row of facts promises little: no parts, no copies, no conditional writes."""

    name = "sqlite"
    capabilities = Capabilities(max_object_size=10**9, max_put_size=10**9, get_if_match=True)

    def __init__(self, config: dict[str, Any], *, pool: object = None, transfer: TransferConfig | None = None) -> None:
        self._path = str(config["path"])  # no I/O in a constructor
        super().__init__(transfer)

    def locate(self, key: str = "") -> str:
        return f"sqlite://{self._path}/{key}"

    async def connect(self) -> None:
        await in_thread(self._run, lambda _: None)  # opens the file and makes the table

    async def disconnect(self) -> None:
        pass  # nothing stays open

    async def head(self, key: str, *, version_id: str | None = None) -> ObjectInfo:
        return await in_thread(self._run, lambda connection: self._find(connection, key)[1])

    @asynccontextmanager
    async def open_body(self, key: str, options: ReadOptions = WHOLE) -> AsyncIterator[BytesBody]:
        yield await in_thread(self._run, lambda connection: self._read(connection, key, options))

    async def put_object(self, key: str, body: Body, options: WriteOptions) -> ObjectInfo:
        check_key(key, self.capabilities, self.locate())
        data = await in_thread(read_body, body, self.locate(key))
        facts = (key, len(data), f'"{uuid.uuid4().hex}"', str(datetime.now(UTC)), json.dumps(options.properties()))
        await in_thread(self._run, lambda connection: connection.execute(STORING, (*facts, data)))
        return self._info(*facts)

    async def delete(self, remote_path: str, *, version_id: str | None = None) -> None:
        check_key(remote_path, self.capabilities, self.locate())
        await in_thread(self._run, lambda connection: connection.execute(DELETING, (remote_path,)))

    async def list_page(
        self,
        prefix: str = "",
        *,
        delimiter: str | None = None,
        start_after: str | None = None,
        token: str | None = None,
    ) -> ListPage:
        after = last_seen(start_after, token)

        def page(connection: sqlite3.Connection) -> ListPage:
            objects = (self._info(*row) for row in connection.execute(LISTING, (after, len(prefix), prefix)))
            limit = self.capabilities.max_list_keys
            return take_page(objects, prefix=prefix, delimiter=delimiter, after=after, limit=limit)

        return await in_thread(self._run, page)

    def _info(self, key: str, size: int, etag: str, when: str, rest: str = "{}") -> ObjectInfo:
        return ObjectInfo(key=key, size=size, etag=etag, last_modified=datetime.fromisoformat(when), **json.loads(rest))

    def _find(self, connection: sqlite3.Connection, key: str) -> tuple[int, ObjectInfo]:
        check_key(key, self.capabilities, self.locate())
        for rowid, *facts in connection.execute(FINDING, (key,)):
            return rowid, self._info(*facts)
        raise NotFoundError(f"{self.locate(key)}: there is no such object", key=key)

    def _read(self, connection: sqlite3.Connection, key: str, options: ReadOptions) -> BytesBody:
        rowid, info = self._find(connection, key)
        judge_read(info, options, self.locate(key))
        wanted = cut_range(info, options.byte_range, self.locate(key))
        with connection.blobopen("objects", "data", rowid, readonly=True) as data:
            data.seek(wanted.start)
            return BytesBody(info, data.read(wanted.size))  # loads only these; substr() would load the whole object

    def _run(self, request: Callable[[sqlite3.Connection], T]) -> T:
        try:
            with closing(sqlite3.connect(self._path, timeout=60)) as connection, connection:
                connection.executescript(OPENING)
                return request(connection)  # in one transaction: what it reads is of one version
        except sqlite3.Error as error:
            raise StorageError(f"{self.locate()}: {error}") from error


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
