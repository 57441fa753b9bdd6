"""A FastAPI service that reads and writes objects as streams, and how to try it without a server."""

from __future__ import annotations

# --8<-- [start:app]
import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated

import httpx
from fastapi import Depends, FastAPI, Request
from fastapi.responses import JSONResponse, StreamingResponse

from bucketry import IStorageProvider, SessionPool, storage_provider_from_env
from bucketry.errors import NotFoundError


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    async with SessionPool() as pool, storage_provider_from_env(pool=pool) as storage:
        app.state.storage = storage  # one for the whole service
        yield


app = FastAPI(lifespan=lifespan)


@app.exception_handler(NotFoundError)
async def missing(_: Request, error: NotFoundError) -> JSONResponse:
    return JSONResponse({"detail": f"there is no {error.key}"}, status_code=404)


def storage_of(request: Request) -> IStorageProvider:
    storage: IStorageProvider = request.app.state.storage
    return storage


Storage = Annotated[IStorageProvider, Depends(storage_of)]
# --8<-- [end:app]


# --8<-- [start:read]
async def opened(key: str, storage: Storage) -> AsyncIterator[StreamingResponse]:
    async with storage.stream(key) as chunks:  # raises NotFoundError here, before the first byte
        headers = {"Content-Length": str(chunks.info.size), "ETag": chunks.info.etag}
        yield StreamingResponse(chunks, media_type=chunks.info.content_type, headers=headers)


@app.get("/objects/{key:path}", response_class=StreamingResponse)
async def read(response: Annotated[StreamingResponse, Depends(opened)]) -> StreamingResponse:
    return response


# --8<-- [end:read]


# --8<-- [start:write]
@app.put("/objects/{key:path}", status_code=201)
async def write(key: str, request: Request, storage: Storage) -> dict[str, str | int]:
    info = await storage.put(key, request.stream(), content_type=request.headers.get("content-type"))
    return {"key": info.key, "size": info.size, "etag": info.etag}


# --8<-- [end:write]


# --8<-- [start:try]
async def main() -> None:
    os.environ["STORAGE_PROVIDER"] = "memory"
    transport = httpx.ASGITransport(app)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://test") as client,
    ):
        stored = await client.put("/objects/notes/a.txt", content=b"It works.\n")
        assert stored.status_code == 201, stored.text

        answer = await client.get("/objects/notes/a.txt")
        assert answer.content == b"It works.\n"

        answer = await client.get("/objects/notes/b.txt")
        assert answer.status_code == 404
        print(answer.json()["detail"])


if __name__ == "__main__":
    asyncio.run(main())
# --8<-- [end:try]
