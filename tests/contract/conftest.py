"""One suite for all kinds of providers: a new provider adds one parameter here, and no test."""

from __future__ import annotations

import importlib.util
import itertools
import os
import secrets
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, cast

import pytest
import pytest_asyncio

from bucketry import SessionPool, storage_provider_from_env
from bucketry._core.config import TransferConfig
from bucketry._core.units import MiB
from bucketry._core.values import MultipartUpload
from bucketry.providers import LocalProvider, MemoryProvider, PrefixedProvider, S3Provider, StorageProvider
from tests.contract import servers
from tests.contract.servers import Moto


def imported(path: Path) -> Any:
    """Import a module that is not in a package, so that its classes pickle."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules[path.stem] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


EXAMPLE = Path(__file__).parents[2] / "docs" / "examples" / "sqlite_provider.py"
ENVIRONMENT = dict(os.environ)  # the environment before a fixture cleared it
# The example of the how-to: a third-party provider that implements only the required methods.
MINIMAL = imported(EXAMPLE).SqliteProvider
SHARED_MEMORY = Path("/dev/shm")  # noqa: S108 - of Linux
PART_SIZE = 5 * MiB  # the smallest part size that every vendor accepts
# A server's name alone means the default transport; another transport follows after a hyphen.
SERVERS = ("moto", "moto-aiobotocore", "rclone", "rclone-aiobotocore")
PLACES = ("memory", "local", *SERVERS, "prefixed", "minimal")


@pytest.fixture(scope="session")
def moto() -> Iterator[Moto]:
    """Run moto for the session."""
    with servers.moto() as server:
        yield server


@pytest.fixture(scope="session")
def rclone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[servers.S3Server]:
    """Run rclone's S3 server for the session."""
    with servers.rclone(tmp_path_factory.mktemp("rclone")) as server:
        yield server


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def pool() -> AsyncIterator[SessionPool]:
    """Share connections and clients: making a client of aiobotocore takes longer than a test."""
    async with SessionPool() as shared:
        yield shared


def pytest_configure(config: pytest.Config) -> None:
    """Register the mark for known gaps of a test server."""
    config.addinivalue_line("markers", "gap(**places): why the test must fail on a place, such as `moto=…`")
    config.addinivalue_line("markers", "needs(*capabilities): skip the test where the row has not all of them")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run each test on every provider, or on the real bucket that `--live` names."""
    if "provider" in metafunc.fixturenames:
        places = ("live",) if metafunc.config.getoption("--live") else PLACES
        metafunc.parametrize("provider", places, indirect=True)


def live(name: str, transfer: TransferConfig) -> StorageProvider:
    """Make a provider for a real bucket, below an unused prefix."""
    made = storage_provider_from_env(ENVIRONMENT | {"STORAGE_PROVIDER": name})
    return PrefixedProvider(cast("StorageProvider", made), f"contract-{secrets.token_hex(8)}/", transfer=transfer)


def needs_of(test: pytest.Item) -> list[str]:
    """Give the capabilities that a test needs."""
    return [name for mark in test.iter_markers("needs") for name in mark.args]


def skip_unless_promised(test: pytest.Item, provider: StorageProvider) -> None:
    """Skip a test that needs a feature that the provider's row does not promise."""
    if missing := [name for name in needs_of(test) if not getattr(provider.capabilities, name)]:
        pytest.skip(f"the row says no: {', '.join(missing)}")


async def delete_all(provider: StorageProvider, *, versions: bool) -> None:
    """Delete every object, and every version that the bucket keeps."""
    await provider.delete_many(await provider.list_files())
    if versions:
        for found in [found async for found in provider.list_versions()]:
            await provider.delete(found.key, version_id=found.version_id)


@pytest.fixture
def in_memory() -> Iterator[Path]:
    """Give an empty directory whose files are in memory, on systems that have one: SQLite flushes each write."""
    with TemporaryDirectory(dir=SHARED_MEMORY if SHARED_MEMORY.is_dir() else None) as path:
        yield Path(path)


@pytest_asyncio.fixture(loop_scope="session")
async def provider(request: pytest.FixtureRequest, pool: SessionPool, tmp_path: Path) -> AsyncIterator[StorageProvider]:
    """Give an open provider of each kind, with its own empty place; it keeps versions if the test needs them."""
    versions = "versions" in needs_of(request.node)
    server, _, transport = request.param.partition("-")
    for gap in request.node.iter_markers("gap"):
        if reason := gap.kwargs.get(server):
            request.applymarker(pytest.mark.xfail(reason=reason, strict=True))
    transfer = TransferConfig(part_size=PART_SIZE, multipart_threshold=2 * PART_SIZE)
    made: StorageProvider
    match request.param:
        case "memory":
            made = MemoryProvider(transfer=transfer)
        case "local":
            made = LocalProvider({"base_path": tmp_path / "base"}, transfer=transfer)
        case "prefixed":
            made = PrefixedProvider(MemoryProvider(transfer=transfer), "below/")
        case "minimal":
            made = MINIMAL({"path": request.getfixturevalue("in_memory") / "objects.db"}, transfer=transfer)
        case "live":
            made = live(request.config.getoption("--live"), transfer)
        case _:
            config = request.getfixturevalue(server).new_bucket(versions=versions)
            made = S3Provider(
                config | {"transport": transport or "auto", "max_attempts": 3}, pool=pool, transfer=transfer
            )
    skip_unless_promised(request.node, made)
    async with made:
        yield made
        if request.param == "live":
            await delete_all(made, versions=versions)


@pytest.fixture
def on_server(request: pytest.FixtureRequest) -> Moto | None:
    """Give moto if the provider's bucket is there: it can be filled without requests."""
    return request.getfixturevalue("moto") if request.node.callspec.params["provider"].startswith("moto") else None


def bucket_of(provider: StorageProvider) -> str:
    """Give the name of the provider's bucket."""
    return provider.locate().split("/")[2]


async def open_uploads(provider: StorageProvider) -> tuple[MultipartUpload, ...]:
    """Give the open uploads; none if the provider has no multipart uploads."""
    return await provider.list_multiparts() if provider.capabilities.multipart else ()


class Sink:
    """A position in an open file, as transfers give it to `fetch_range`."""

    def __init__(self, fd: int, position: int, *, needs_bytes: bool) -> None:
        self.fd = fd
        self.position = position
        self.needs_bytes = needs_bytes

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Write the next bytes."""
        self.position += os.pwrite(self.fd, data, self.position)

    def skip(self, count: int) -> None:
        """Count bytes written without `write`."""
        assert not self.needs_bytes
        self.position += count


OpenFile = Callable[[bytes], int]


@pytest.fixture
def open_file(tmp_path: Path) -> Iterator[OpenFile]:
    """Give a function that makes an open file with the given bytes, for reading and writing."""
    opened: list[int] = []
    numbers = itertools.count()

    def make(content: bytes = b"") -> int:
        path = tmp_path / f"open-{next(numbers)}"
        path.write_bytes(content)
        opened.append(os.open(path, os.O_RDWR))
        return opened[-1]

    yield make
    for fd in opened:
        os.close(fd)


@pytest.fixture(params=["auto", "aiobotocore"])
def on_moto(request: pytest.FixtureRequest, moto: servers.S3Server, pool: SessionPool) -> Callable[..., S3Provider]:
    """Give a function that makes a provider for a new bucket of moto."""
    transfer = TransferConfig(part_size=PART_SIZE, multipart_threshold=2 * PART_SIZE)

    def make(*, versions: bool = False, **entries: object) -> S3Provider:
        config = moto.new_bucket(versions=versions) | {"transport": request.param}
        return S3Provider(config | entries, pool=pool, transfer=transfer)

    return make
