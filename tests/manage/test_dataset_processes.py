"""One directory and several real processes: one downloads, the others wait; a killed one is replaced."""

from __future__ import annotations

import json
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from bucketry import LocalProvider, S3Provider
from bucketry._manage.datasets.methods import DatasetMethods
from bucketry.providers.provider import StorageProvider
from bucketry.testing import embedded_s3
from tests.manage.dataset_bench import read_tree, write_tree

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]

FILES = {f"{number % 7}/{number}": str(number).encode() * 1_000 for number in range(40)} | {"large": b"l" * 9_000_000}

_ENSURE = """
import asyncio, json, sys
from bucketry import LocalProvider, S3Provider, TransferConfig
from bucketry._manage.datasets.methods import DatasetMethods
from bucketry.providers.provider import StorageProvider
from bucketry.testing import Fault, FaultyProvider

async def hang():
    print("hanging", flush=True)

async def main(kind, config, target, hang_at):
    inner = {"local": LocalProvider, "s3": S3Provider}[kind](config)
    faults = (Fault(operation="open_body", nth=hang_at, hook=hang, hang=True),) if hang_at else ()
    provider = FaultyProvider(inner, faults)
    async with provider:
        manager = DatasetMethods(provider, transfer=TransferConfig(max_concurrency=1 if hang_at else 4))
        result = await manager.ensure_dataset("d", target)
    print(json.dumps({"downloaded": len(result.downloaded), "bytes": result.downloaded_bytes,
                      "requests": provider.calls}), flush=True)

asyncio.run(main(*json.loads(sys.argv[1])))
"""


def start(kind: str, config: dict[str, Any], target: Path, *, hang_at: int = 0) -> subprocess.Popen[str]:
    """Start a process that calls `ensure_dataset`, and hangs at a read if it is told to."""
    arguments = json.dumps([kind, config, str(target), hang_at])
    return subprocess.Popen([sys.executable, "-c", _ENSURE, arguments], stdout=subprocess.PIPE, text=True)


def result(process: subprocess.Popen[str]) -> dict[str, Any]:
    """Wait for a process, and return what it printed last."""
    out, _ = process.communicate()
    assert process.returncode == 0
    printed: dict[str, Any] = json.loads(out.splitlines()[-1])
    return printed


def local_config(tmp_path: Path) -> dict[str, Any]:
    """Return the configuration of a local provider."""
    return {"base_path": str(tmp_path / "store")}


async def upload(provider: StorageProvider, tmp_path: Path) -> None:
    """Store the dataset."""
    async with provider:
        await DatasetMethods(provider).upload_dataset("d", write_tree(tmp_path / "source", FILES))


@pytest.mark.parametrize("kind", ["local", "s3"])
async def test_one_of_eight_processes_downloads(tmp_path: Path, kind: str) -> None:
    """Of eight processes that call `ensure_dataset` at once, one downloads each file once; the others only wait."""
    with ExitStack() as stack:
        if kind == "s3":
            config = stack.enter_context(embedded_s3("eight")).config
            await upload(S3Provider(config), tmp_path)
        else:
            config = local_config(tmp_path)
            await upload(LocalProvider(config), tmp_path)
        processes = [start(kind, config, tmp_path / "target") for _ in range(8)]
        results = [result(process) for process in processes]
    assert sorted(one["downloaded"] for one in results) == [0] * 7 + [len(FILES)]
    assert sum(one["bytes"] for one in results) == sum(map(len, FILES.values()))
    for one in results:
        if not one["downloaded"]:
            assert one["requests"].keys() <= {"connect", "open_body"}
            assert one["requests"]["open_body"] <= 2  # the manifest, before and after the wait
    assert read_tree(tmp_path / "target") == FILES


async def test_another_process_takes_over_from_a_killed_one(tmp_path: Path) -> None:
    """After SIGKILL of the downloading process another one continues: it verifies all, and repeats no finished file."""
    await upload(LocalProvider(local_config(tmp_path)), tmp_path)
    target = tmp_path / "target"
    with start("local", local_config(tmp_path), target, hang_at=12) as first:
        assert first.stdout is not None
        assert first.stdout.readline() == "hanging\n"
        others = [start("local", local_config(tmp_path), target) for _ in range(3)]
        assert read_tree(target) == {}
        first.kill()
    results = [result(process) for process in others]
    finished = sum(len(FILES[path]) for path in sorted(FILES)[:10])  # request 1 was of the manifest, 12 of file 11
    assert sorted(one["downloaded"] for one in results) == [0, 0, len(FILES)]
    assert sum(one["bytes"] for one in results) == sum(map(len, FILES.values())) - finished
    assert read_tree(target) == FILES
    assert {path.name for path in (target / ".bucketry").iterdir()} == {"lock", "dataset.json"}
