"""Errors get provider and operation in one place, so that the code that raises them need not know both."""

from __future__ import annotations

import ast
import inspect
from pathlib import Path

import pytest

import bucketry
from bucketry import TransferManager, errors
from bucketry._core.facts import Facts, filled, fills_in_facts
from bucketry._core.requests import ObjectRequests
from bucketry._core.values import BatchResult
from bucketry._providers.defaults import DefaultRequests
from bucketry._providers.local.requests import LocalRequests
from bucketry._providers.memory.requests import MemoryRequests
from bucketry._providers.wrapped import WrappedRequests
from bucketry._transfer.one.transfers import ObjectTransfers
from bucketry.errors import InvalidKeyError, NotFoundError
from bucketry.providers import StorageProvider
from bucketry.providers.reads import ReadMethods

SOURCE = Path(bucketry.__file__).parent
KINDS = {name for name in errors.__all__ if isinstance(getattr(errors, name), type)}
S3 = "s3"
"""How the modules begin whose errors `S3Bucket.error` makes, because it knows the bucket as well."""
BORDERS = (
    DefaultRequests,
    LocalRequests,
    MemoryRequests,
    WrappedRequests,
    ReadMethods,
    StorageProvider,
    ObjectTransfers,
    TransferManager,
)


def own_facts(source: str) -> list[int]:
    """Give the lines that make an error with a provider or an operation."""
    return [
        node.lineno
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id in KINDS
        and {"provider", "operation"} & {keyword.arg for keyword in node.keywords}
    ]


@pytest.mark.parametrize("package", ["_transfer", "_providers"])
def test_nobody_fills_in_facts_by_himself(package: str) -> None:
    """Only the classes with public methods set provider and operation of errors."""
    found = {
        path.name: lines
        for path in sorted((SOURCE / package).glob("*.py"))
        if not path.name.startswith(S3) and (lines := own_facts(path.read_text(encoding="utf-8")))
    }
    assert found == {}


def test_an_error_with_facts_of_its_own_is_found() -> None:
    """The check finds an error that is raised, returned or passed to a function."""
    assert own_facts('raise NotFoundError("x", key="k")') == []
    assert own_facts('raise NotFoundError("x", provider="p")') == [1]
    assert own_facts('def f():\n    return ConfigError("x", operation="o")') == [2]


@pytest.mark.parametrize("border", BORDERS, ids=lambda border: border.__name__)
def test_every_public_method_is_at_the_border(border: type) -> None:
    """Each public coroutine method, and `open_body`, sets the attributes, or is listed in `FILLS_IN_FACTS`."""
    methods = {
        name: method
        for name, method in vars(border).items()
        if not name.startswith("_")
        and (name == "open_body" or inspect.iscoroutinefunction(inspect.unwrap(method) if callable(method) else method))
    }
    assert methods
    assert {
        name for name, method in methods.items() if method.__globals__["__name__"] != fills_in_facts.__module__
    } == methods.keys() & set(getattr(border, "FILLS_IN_FACTS", ()))  # the contract suite causes these errors
    if border in (LocalRequests, MemoryRequests, WrappedRequests):
        requests = {name for kind in ObjectRequests.__mro__ for name in vars(kind) if not name.startswith("_")}
        between = {"copy_source", "copy_object_from", "copy_part_from"}
        defaults = (
            {"copy_source"}
            if border is WrappedRequests
            else {"presign", "presign_post", "list_versions_page"} | between
        )
        assert requests - methods.keys() <= {"name", "capabilities", "locate", "max_connections"} | defaults


def test_what_is_known_stays() -> None:
    """Only missing attributes of an error are set."""
    error = filled(NotFoundError("x", key="k", operation="head"), "p", "get", "other")
    assert (error.provider, error.operation, error.key) == ("p", "head", "k")
    with pytest.raises(ZeroDivisionError), Facts("p", "get", "k"):
        raise ZeroDivisionError


async def test_what_ends_an_open_body_is_its_users() -> None:
    """An error from the user of an open body does not change; an error of opening it gets the attributes."""
    provider = bucketry.MemoryProvider()
    await provider.put("k", b"1")
    mine = InvalidKeyError("mine")
    with pytest.raises(InvalidKeyError):
        async with provider.open_body("k"):
            raise mine
    assert (mine.provider, mine.operation, mine.key) == (None, None, None)


async def test_a_provider_of_ones_own_is_filled_in_too() -> None:
    """Errors that a third-party provider raises, or returns for a batch, get the attributes automatically."""

    class Own(bucketry.MemoryProvider):
        async def head(self, key: str, *, version_id: str | None = None) -> bucketry.ObjectInfo:
            raise NotFoundError("not here")

    with pytest.raises(NotFoundError) as caught:
        await Own().get_file_size("k")
    assert (caught.value.provider, caught.value.operation, caught.value.key) == ("memory", "head", "k")

    @fills_in_facts
    class Batches:
        name = "b"

        async def delete_batch(self, keys: list[str]) -> BatchResult:
            return BatchResult(failed={key: NotFoundError("x") for key in keys})

    error = (await Batches().delete_batch(["k"])).failed["k"]
    assert (error.provider, error.operation, error.key) == ("b", "delete_many", "k")
