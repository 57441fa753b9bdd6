"""`StorageManager` as a whole: its constructor, its prefixes, and what it holds."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import pytest

from bucketry import LocalProvider, MemoryProvider, StorageManager, TransferConfig
from bucketry.errors import ConfigError, InvalidRequestError, UnsafeKeyError
from tests.manage.dataset_bench import write_tree


async def test_datasets_and_models_have_their_own_prefixes(tmp_path: Path) -> None:
    """All keys of datasets and models are below the prefixes that the constructor was given."""
    manager = StorageManager(MemoryProvider(), datasets="team/data/", models="team/data2")
    source = write_tree(tmp_path / "source", {"a": b"x"})
    await manager.upload_dataset("d", source)
    await manager.backup_model(source, "m")
    assert (await manager.list_datasets(), await manager.list_models()) == (["d"], ["m"])
    keys = await manager.provider.list_files()
    assert {key.split("/m/")[0].split("/d/")[0] for key in keys} == {"team/data", "team/data2"}


@pytest.mark.parametrize(
    ("roots", "error"),
    [
        ({"datasets": ""}, InvalidRequestError),
        ({"models": "/"}, InvalidRequestError),
        ({"datasets": None}, InvalidRequestError),
        ({"models": "../x"}, UnsafeKeyError),
        ({"datasets": "/abs"}, UnsafeKeyError),
        ({"datasets": "a//b"}, UnsafeKeyError),
        ({"datasets": "same", "models": "same/"}, InvalidRequestError),
        ({"datasets": "models/net"}, InvalidRequestError),
        ({"models": "datasets/cats"}, InvalidRequestError),
    ],
)
def test_prefixes_that_cannot_be_used_are_refused(roots: dict[str, Any], error: type[Exception]) -> None:
    """An empty or unsafe prefix is refused, and one that is also the prefix of the other kind or below it."""
    with pytest.raises(error, match=r"datasets|models"):
        StorageManager(MemoryProvider(), **roots)


def test_what_is_no_provider_is_refused() -> None:
    """A wrong provider and limits that do not fit its connections are errors of the configuration."""
    with pytest.raises(ConfigError, match="provider"):
        StorageManager("s3://bucket")  # type: ignore[arg-type]  # the error is what is tested


def test_it_pickles(tmp_path: Path) -> None:
    """Another process gets a manager of the same provider, limits and prefixes."""
    manager = StorageManager(
        LocalProvider({"base_path": tmp_path}), transfer=TransferConfig(max_concurrency=3), datasets="d", models="m"
    )
    copy = pickle.loads(pickle.dumps(manager))
    assert copy.provider.locate() == manager.provider.locate()
    assert copy.transfers.config == manager.transfers.config
    assert (copy.datasets_root, copy.models_root) == ("d", "m")


async def test_the_environment_names_the_provider(tmp_path: Path) -> None:
    """`from_env` reads the variables that it is given, and passes the limits on."""
    environ = {"STORAGE_PROVIDER": "local", "LOCAL_STORAGE_PATH": str(tmp_path)}
    manager = StorageManager.from_env(environ, transfer=TransferConfig(max_concurrency=3))
    assert manager.provider.locate() == f"file://{tmp_path}"
    assert manager.transfers.config.max_concurrency == 3
    with pytest.raises(ConfigError, match="none"):
        StorageManager.from_env({"STORAGE_PROVIDER": "none"})
