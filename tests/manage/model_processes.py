"""What the tests of models run in other processes, and how they start them.

As a program: `python -m tests.manage.model_processes <function> <arguments as JSON>`.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar

import bucketry
from bucketry import LocalProvider, S3Provider, TransferConfig
from bucketry._manage.models.methods import ModelMethods
from bucketry._manage.models.stored import ModelConfig
from bucketry.errors import LocalFileError
from bucketry.providers import StorageProvider
from bucketry.testing import FaultyProvider

T = TypeVar("T")
ROOT = Path(__file__).parents[2]


UNSHARE = ("unshare", "--map-root-user", "--mount")
"""Runs a process with mounts of its own."""


def has_own_mounts() -> bool:
    """Say whether this system lets the tests run a process with mounts of its own."""
    if shutil.which(UNSHARE[0]) is None:
        return False
    return not subprocess.run([*UNSHARE, "/usr/bin/true"], stderr=subprocess.DEVNULL, check=False).returncode


def start(function: Callable[..., None], *arguments: object, prefix: tuple[str, ...] = ()) -> subprocess.Popen[bytes]:
    """Start a process that calls a function of this module; `prefix` is the command that runs it."""
    source = str(Path(bucketry.__file__).parents[1])
    return subprocess.Popen(
        [*prefix, sys.executable, "-m", "tests.manage.model_processes", function.__name__, json.dumps(arguments)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": os.pathsep.join((source, str(ROOT)))},
        stdout=subprocess.PIPE,
    )


def provider_for(config: dict[str, Any]) -> StorageProvider:
    """Make a provider: of a local directory, or of a bucket."""
    return LocalProvider(config) if "base_path" in config else S3Provider(config)


class DiesAt(FaultyProvider):
    """Kills its process before the n-th request of a method."""

    def __init__(self, inner: StorageProvider, operation: str, nth: int) -> None:
        super().__init__(inner)
        self.dies_at = (operation, nth)

    async def around(self, operation: str, request: Callable[[], Awaitable[T]]) -> T:
        """Make a request, unless it is the last one."""
        if self.dies_at == (operation, self.calls[operation] + 1):
            os.kill(os.getpid(), signal.SIGKILL)
        return await super().around(operation, request)


def restore_with_mount(store: str, target: str, source: str, mounted: str) -> None:
    """Mount a directory, restore `net`, and write why it was refused."""
    subprocess.run(["/usr/bin/mount", "--bind", source, mounted], check=True)
    try:
        asyncio.run(ModelMethods(LocalProvider({"base_path": store})).restore_model("net", target))
    except LocalFileError as error:
        sys.stdout.write(error.message.split(" and ")[1].split(";")[0])


def restore_and_die(store: str, target: str, at: str) -> None:
    """Restore `net`, and be killed at the n-th rename of or to the target, or before the second file."""
    renames = 0
    rename = os.rename

    def dying(source: str, destination: str) -> None:
        nonlocal renames
        if target in {destination, source}:
            renames += 1
            if str(renames) == at:
                os.kill(os.getpid(), signal.SIGKILL)
        rename(source, destination)

    os.rename = dying
    second = 4 if at == "download" else 0  # `latest`, the manifest, and the first file come before it
    provider = DiesAt(LocalProvider({"base_path": store}), "open_body", second)
    transfer = TransferConfig(max_concurrency=1)
    asyncio.run(ModelMethods(provider, transfer=transfer).restore_model("net", target))


def backup_and_die(store: str, source: str, operation: str, nth: int) -> None:
    """Back up `net`, and be killed at a request."""
    provider = DiesAt(LocalProvider({"base_path": store}), operation, nth)
    asyncio.run(ModelMethods(provider).backup_model(source, "net"))


class Contending(ModelMethods):
    """The methods with waits for a server on this machine."""

    model_config = ModelConfig(collision_delay=0.02)


def back_up_several(config: dict[str, Any], sources: list[str]) -> None:
    """Back up several directories as versions of `net`, all at once, and print each version with its directory."""

    async def main() -> None:
        async with provider_for(config) as provider:
            models = Contending(provider)
            made = await asyncio.gather(*(models.backup_model(source, "net") for source in sources))
        print(json.dumps({one.version: source for one, source in zip(made, sources, strict=True)}))  # noqa: T201

    asyncio.run(main())


if __name__ == "__main__":
    globals()[sys.argv[1]](*json.loads(sys.argv[2]))
