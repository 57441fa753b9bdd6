"""Build results of a CI job: kept in step with a bucket, and fetched by the next job."""

from __future__ import annotations

# --8<-- [start:store]
import asyncio
import os
import tempfile
from pathlib import Path

from bucketry import StorageManager


async def store(manager: StorageManager, build: Path, commit: str) -> None:
    report = await manager.sync(build, f"artefacts/{commit}", exclude=["*.o", "/scratch/"])
    for path, reason in report.skipped.items():
        print("not uploaded:", path, reason)
    report.raise_for_failures()
    print(report.transferred, "uploaded,", report.plan.unchanged, "were there already")


# --8<-- [end:store]


# --8<-- [start:fetch]
async def fetch(manager: StorageManager, commit: str, target: Path) -> None:
    report = await manager.sync(
        target, f"artefacts/{commit}", direction="download", include=["*.whl", "report/"], delete=True, max_delete=100
    )
    for path, reason in report.skipped.items():
        print("not downloaded:", path, reason)
    report.raise_for_failures()
    print(report.transferred, "downloaded,", report.deleted, "deleted")


# --8<-- [end:fetch]


# --8<-- [start:use]
def make_build(build: Path) -> Path:
    (build / "report").mkdir(parents=True)
    (build / "app.whl").write_bytes(bytes(1000))
    (build / "app.o").write_bytes(bytes(1000))
    (build / "report" / "index.html").write_text("<h1>passed</h1>", encoding="utf-8")
    return build


def make_target(target: Path) -> Path:
    target.mkdir()
    (target / "old.whl").write_bytes(b"from another commit")
    return target


def names(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.rglob("*") if path.is_file())


async def main() -> None:
    with tempfile.TemporaryDirectory() as directory:
        # In your CI, the job's environment names the provider and has the keys.
        os.environ |= {"STORAGE_PROVIDER": "local", "LOCAL_STORAGE_PATH": str(Path(directory, "bucket"))}
        manager = StorageManager.from_env()

        build = make_build(Path(directory, "build"))
        await store(manager, build, "3f2a")
        await store(manager, build, "3f2a")
        target = make_target(Path(directory, "target"))
        await fetch(manager, "3f2a", target)
        print(names(target))


if __name__ == "__main__":
    asyncio.run(main())
# --8<-- [end:use]
