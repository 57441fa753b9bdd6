"""The steps of the tutorial: the local disk first, then an S3 server on this machine."""

from __future__ import annotations

# --8<-- [start:imports]
import asyncio
import tempfile
from pathlib import Path

from bucketry import LocalProvider, S3Provider, TransferConfig, TransferManager
from bucketry.testing import embedded_s3

# --8<-- [end:imports]


# --8<-- [start:local]
async def on_the_local_disk(work: Path) -> None:
    report = work / "report.txt"
    report.write_text("It works.\n")

    async with LocalProvider({"base_path": work / "storage"}) as storage:
        await storage.upload(report, "reports/2026/report.txt")
        print(await storage.list_files("reports/"))
        print(await storage.get("reports/2026/report.txt"))


# --8<-- [end:local]


# --8<-- [start:server]
async def on_an_s3_server(work: Path) -> None:
    model = work / "model.bin"
    model.write_bytes(bytes(range(256)) * 80_000)  # about 20 MB

    with embedded_s3(bucket="my-bucket") as server:
        print("a server listens at", server.endpoint_url)
        async with S3Provider(server.config) as storage:
            manager = TransferManager(storage, TransferConfig(max_concurrency=8))

            sent = await manager.upload(model, "models/v1/model.bin")
            print(f"up:   {sent.size} bytes in {sent.parts} parts, verified by {sent.verified}")

            got = await manager.download("models/v1/model.bin", work / "copy.bin")
            print(f"down: {got.size} bytes in {got.parts} parts, verified by {got.verified}")

    assert (work / "copy.bin").read_bytes() == model.read_bytes()


# --8<-- [end:server]


# --8<-- [start:missing]
async def what_is_missing(work: Path) -> None:
    async with LocalProvider({"base_path": work / "storage"}) as storage:
        try:
            await storage.download("reports/2027/report.txt", work / "report.txt")
        except FileNotFoundError as error:  # NotFoundError is a FileNotFoundError
            print(type(error).__name__, error)


# --8<-- [end:missing]


# --8<-- [start:main]
def main() -> None:
    with tempfile.TemporaryDirectory() as directory:
        work = Path(directory)
        asyncio.run(on_the_local_disk(work))
        asyncio.run(on_an_s3_server(work))
        asyncio.run(what_is_missing(work))


if __name__ == "__main__":
    main()
# --8<-- [end:main]
