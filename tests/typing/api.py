"""The public surface as type checkers see it: checked by mypy and a second checker, never run."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Mapping
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import assert_type

import bucketry
import bucketry.providers
from bucketry import (
    BackblazeProvider,
    BatchResult,
    CloudflareR2Provider,
    CommonPrefix,
    CostEstimate,
    DigitalOceanProvider,
    IStorageProvider,
    LocalProvider,
    MemoryProvider,
    ObjectInfo,
    ObjectVersion,
    PlanPrice,
    Progress,
    S3Provider,
    SessionPool,
    StorageProviderFactory,
    SyncPlan,
    TransferConfig,
    TransferManager,
    TransferResult,
    Upload,
    WasabiProvider,
    compare_costs,
    open_storage,
    storage_provider_from_env,
)
from bucketry.errors import NotFoundError, StorageError, ThrottledError, TransientError
from bucketry.providers import (
    BackblazeConfigDict,
    CloudflareR2ConfigDict,
    DigitalOceanConfigDict,
    LocalConfigDict,
    MemoryConfigDict,
    MultipartUpload,
    Part,
    S3ConfigDict,
    WasabiConfigDict,
)
from bucketry.testing import FaultyProvider

KEYS = {"access_key_id": "id", "secret_access_key": "secret"}


def providers_are_made_alike(pool: SessionPool, transfer: TransferConfig) -> list[IStorageProvider]:
    """Every provider takes a mapping, a pool and a transfer configuration, and satisfies the protocol."""
    return [
        S3Provider({"bucket_name": "logs"}),
        S3Provider({"bucket_name": "logs", "max_connections": 8, "allow_http": True}, pool=pool),
        DigitalOceanProvider({"bucket_name": "logs", **KEYS}, transfer=transfer),
        WasabiProvider({"bucket_name": "logs", **KEYS}, pool=pool, transfer=transfer),
        BackblazeProvider({"bucket_name": "logs", "key_id": "id", "application_key": "key", "region": "us-west-004"}),
        CloudflareR2Provider({"bucket_name": "logs", "account_id": "account", **KEYS}),
        LocalProvider({"base_path": "data"}),
        MemoryProvider({}),
        FaultyProvider(MemoryProvider({})),
    ]


def providers_are_found(pool: SessionPool, environ: Mapping[str, str]) -> None:
    """The factory, the environment and a URL give the protocol's type."""
    assert_type(StorageProviderFactory.create({"provider_type": "s3", "bucket_name": "logs"}), IStorageProvider)
    assert_type(StorageProviderFactory.create({"provider_type": "local"}, pool=pool), IStorageProvider)
    assert_type(StorageProviderFactory.get_registered_providers(), list[str])
    StorageProviderFactory.register("mine", MemoryProvider)
    assert_type(storage_provider_from_env(), IStorageProvider)
    assert_type(storage_provider_from_env(environ, pool=pool), IStorageProvider)
    assert_type(open_storage("s3://logs/2026"), IStorageProvider)
    assert_type(open_storage("r2://logs", account_id="account"), IStorageProvider)
    assert_type(open_storage("s3://logs", transfer=TransferConfig(), pool=pool), IStorageProvider)


async def classic_methods(provider: IStorageProvider, path: os.PathLike[str]) -> None:
    """The nine classic methods take strings or paths, by position."""
    await provider.connect()
    await provider.upload("model.pt", "models/model.pt")
    await provider.upload(path, "models/model.pt", metadata={"version": "1.0"})
    await provider.download("models/model.pt", path)
    assert_type(await provider.list_files(), list[str])
    assert_type(await provider.list_files("models/"), list[str])
    assert_type(await provider.exists("models/model.pt"), bool)
    assert_type(await provider.get_file_size("models/model.pt"), int)
    details: dict[str, object] = await provider.get_metadata("models/model.pt")
    del details
    await provider.delete("models/model.pt")
    await provider.disconnect()


async def byte_methods(provider: IStorageProvider, chunks: AsyncIterator[bytes], delimiter: str | None) -> None:
    """The byte-level methods return bytes and frozen values."""
    assert_type(await provider.get("key"), bytes)
    assert_type(await provider.get("key", version_id="1", if_match='"etag"', if_none_match=None), bytes)
    assert_type(await provider.get_range("key", 0, 10, if_match='"etag"'), bytes)
    assert_type(await provider.get_ranges("key", [(0, 10), (20, 30)], coalesce=4096), list[bytes])
    async with provider.stream("key", start=5, end=None, chunk_size=65536) as reader:
        assert_type(reader.info, ObjectInfo)
        async for chunk in reader:
            assert_type(chunk, bytes)
    for data in (b"bytes", bytearray(b"bytes"), memoryview(b"bytes"), chunks):
        assert_type(await provider.put("key", data), ObjectInfo)
    await provider.put("key", b"", metadata={"a": "b"}, content_type="text/plain", if_none_match="*")
    await provider.put("key", b"", if_match='"etag"', storage_class="STANDARD")
    assert_type(await provider.head("key"), ObjectInfo)
    assert_type(provider.list("models/", start_after="models/a"), AsyncIterator[ObjectInfo])
    assert_type(provider.list(delimiter=None), AsyncIterator[ObjectInfo])
    assert_type(provider.list(delimiter=delimiter), AsyncIterator[ObjectInfo | CommonPrefix])
    async for entry in provider.list("models/", delimiter="/", start_after="models/a"):
        if isinstance(entry, CommonPrefix):
            assert_type(entry.prefix, str)
        else:
            assert_type(entry.key, str)
    outcome = await provider.delete_many(["a", "b"])
    assert_type(outcome, BatchResult)
    async for removed, problem in provider.delete_each(["a", "b"]):
        assert_type(removed, str)
        assert_type(problem, StorageError | None)
    await provider.copy("source", "destination")
    await provider.move("source", "destination")
    assert_type(await provider.presign("key"), str)
    assert_type(await provider.presign("key", method="PUT", expires_in=60), str)
    assert_type(await provider.presign("key", response_content_type="a/b", response_content_disposition="inline"), str)


def values(info: ObjectInfo, outcome: BatchResult, progress: Progress) -> None:
    """The values have the fields users were told."""
    assert_type(info.key, str)
    assert_type(info.size, int)
    assert_type(info.etag, str)
    assert_type(info.last_modified, datetime)
    assert_type(info.content_type, str | None)
    assert_type(info.storage_class, str | None)
    assert_type(info.version_id, str | None)
    metadata: Mapping[str, str] = info.metadata
    checksums: Mapping[str, str] = info.checksums
    failed: Mapping[str, StorageError] = outcome.failed
    del metadata, checksums, failed
    for key in outcome.succeeded:
        assert_type(key, str)
    outcome.raise_for_failures()
    assert_type(progress.transferred, int)
    assert_type(progress.total, int | None)
    assert_type(progress.key, str)


def configurations_are_typed(pool: SessionPool, loaded: dict[str, object]) -> list[IStorageProvider]:
    """A dictionary that is declared as a provider's is checked entry by entry; any other mapping is taken as well.

    Were the wrong ones no errors, the ignores would be.
    """
    given: S3ConfigDict = {"bucket_name": "logs", "region": "eu-central-1", "max_connections": 8}
    _: S3ConfigDict = {"bucket_name": "logs", "regoin": "eu"}  # type: ignore[typeddict-unknown-key]  # misspelt
    _ = {"bucket_name": "logs", "region": 1}  # type: ignore[typeddict-item]  # not a name
    _ = {"region": "eu-central-1"}  # type: ignore[typeddict-item]  # no bucket
    account: CloudflareR2ConfigDict = {"bucket_name": "logs", "account_id": "account", "jurisdiction": "eu"}
    key: BackblazeConfigDict = {
        "bucket_name": "logs",
        "key_id": "id",
        "application_key": "key",
        "region": "us-west-004",
    }
    space: DigitalOceanConfigDict = {"bucket_name": "logs", "anonymous": True}
    hot: WasabiConfigDict = {"bucket_name": "logs", "anonymous": True}
    directory: LocalConfigDict = {"base_path": Path("data")}
    nothing: MemoryConfigDict = {}
    return [
        S3Provider(given, pool=pool),
        CloudflareR2Provider(account),
        BackblazeProvider(key),
        DigitalOceanProvider(space),
        WasabiProvider(hot),
        LocalProvider(directory),
        MemoryProvider(nothing),
        S3Provider(loaded),
        S3Provider({"bucket_name": "logs"} | loaded),
    ]


def misspelt_names_are_refused() -> None:
    """A name that does not exist is a type error: were it not, the ignores below would be errors."""
    _ = bucketry.S3Provder  # type: ignore[attr-defined]  # misspelt
    _ = bucketry.providers.S3Provder  # type: ignore[attr-defined]  # misspelt


def values_are_frozen(info: ObjectInfo, config: TransferConfig) -> None:
    """Assigning to a value is a type error: were it not, the ignore below would be an error."""
    info.size = 0  # type: ignore[misc]  # frozen
    config.part_size = 0  # type: ignore[misc]  # frozen


async def session_pool() -> None:
    """A pool is opened once and shared."""
    async with SessionPool(max_connections=32) as pool:
        assert_type(pool, SessionPool)
        async with S3Provider({"bucket_name": "logs"}, pool=pool) as provider:
            assert_type(provider, S3Provider)


async def transfers(provider: IStorageProvider, other: IStorageProvider) -> None:
    """The transfer manager works on any provider."""
    config = TransferConfig(
        part_size=8 * 1024**2,
        multipart_threshold=16 * 1024**2,
        max_concurrency=8,
        memory_budget=64 * 1024**2,
        max_bandwidth=None,
        max_attempts=5,
        retry_delay=0.5,
        verify=True,
        resume=True,
        fsync=False,
    )
    manager = TransferManager(provider, config)

    def show(progress: Progress) -> None:
        print(progress.key, progress.transferred, progress.total)

    result = await manager.upload("model.pt", "model.pt", metadata={"a": "b"}, progress=show)
    assert_type(result, TransferResult)
    assert_type(result.size, int)
    assert_type(result.parts, int)
    assert_type(result.retries, int)
    assert_type(result.resumed_bytes, int)
    assert_type(result.seconds, float)
    verified: str = result.verified
    del verified
    assert_type(await manager.download("model.pt", Path("model.pt"), progress=show), TransferResult)
    assert_type(await manager.upload_many([("a", "a"), (Path("b"), "b")]), BatchResult)
    assert_type(await manager.download_many([("a", "a"), ("b", Path("b"))]), BatchResult)
    async for key, sent in manager.upload_each([("a", "a"), (Path("b"), "b")]):
        assert_type(key, str)
        assert_type(sent, TransferResult | StorageError)
    async for key, got in manager.download_each([("a", "a"), ("b", Path("b"))]):
        assert_type(key, str)
        assert_type(got, TransferResult | StorageError)
    await manager.upload_tree("data", "data/")
    await manager.upload_tree("data", "data/", metadata={"version": "1.0"})
    await manager.upload_tree("data", "data/", overwrite=False, cache_control="no-cache")
    await manager.download_tree("data/", Path("data"))
    async for key, body in manager.get_many(["a", "b"], ordered=False):
        assert_type(key, str)
        assert_type(body, bytes)
    async for key, found in manager.get_many(["a", "b"], on_error="yield"):
        assert_type(key, str)
        assert_type(found, bytes | StorageError)
    await manager.copy_to(other, "source", "destination")
    await manager.copy_to(
        other, "source", "destination", storage_class="STANDARD_IA", metadata={"a": "1"}, progress=show
    )


def failures(error: StorageError) -> None:
    """Errors are told apart by class, and carry facts."""
    assert_type(error.retryable, bool)
    assert_type(error.provider, str | None)
    assert_type(error.bucket, str | None)
    assert_type(error.key, str | None)
    assert_type(error.operation, str | None)
    assert_type(error.status, int | None)
    assert_type(error.code, str | None)
    assert_type(error.request_id, str | None)
    transient: type[TransientError] = ThrottledError
    missing: type[FileNotFoundError] = NotFoundError
    del transient, missing


async def listing_of_a_class(storage: LocalProvider) -> None:
    """A listing without a delimiter holds objects alone, on the classes as on the protocol."""
    assert_type([entry.size async for entry in storage.list("models/")], list[int])
    assert_type(storage.list(delimiter="/"), AsyncIterator[ObjectInfo | CommonPrefix])


async def writes_take_the_same_keywords(provider: IStorageProvider, manager: TransferManager) -> None:
    """Each method that writes takes them by name, and a misspelt one is found."""
    await provider.put("k", b"x", metadata={"a": "1"}, cache_control="no-cache", tags={"t": "1"}, if_none_match="*")
    await provider.start_upload("k", content_type="text/plain", storage_class="STANDARD_IA")
    await manager.upload("f", "k", content_disposition="inline", content_language="de", if_match='"e"')
    await provider.put("k", b"x", contenttype="text/plain")  # type: ignore[call-arg]  # no such keyword


async def uploads_in_the_callers_hands(provider: IStorageProvider, key: str, upload_id: str) -> None:
    """An upload is started or adopted, fed with parts, and committed or aborted."""
    async with await provider.start_upload(key) as upload:
        assert_type(upload, Upload)
        assert_type(await upload.put_part(1, memoryview(b"x")), Part)
        assert_type([part async for part in upload.list_parts()], list[Part])
        assert_type(await upload.commit(), ObjectInfo)
    await (await provider.adopt_upload(key, upload_id)).abort()
    assert_type([found async for found in provider.list_uploads("p/")], list[MultipartUpload])


async def versions_and_tags(provider: IStorageProvider) -> None:
    """Versions are iterated over and named by their id; tags are plain dictionaries."""
    assert_type([found async for found in provider.list_versions("p/")], list[ObjectVersion])
    await provider.delete("k", version_id="v")
    assert_type(await provider.get_tags("k"), dict[str, str])
    await provider.put_tags("k", {"t": "1"})


def costs_are_decimal_numbers(plan: SyncPlan) -> None:
    """Estimates are frozen values with exact amounts, and a plan may have no price."""
    for estimate in compare_costs(storage=10**12, egress=10**12, requests={"get": 1}, vendors=["r2", "b2"]):
        assert_type(estimate, CostEstimate)
        assert_type(estimate.total, Decimal | None)
        assert_type([item.amount for item in estimate.items], list[Decimal | None])
    assert_type(plan.price(), PlanPrice | None)
    compare_costs(10**12)  # type: ignore[call-arg]  # by name only
