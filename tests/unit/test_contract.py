"""The contract for third-party providers: required methods, methods that a row requires, and docstrings."""

from __future__ import annotations

import inspect
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from bucketry import Capabilities, MemoryProvider, ObjectVersion
from bucketry._core.options import WHOLE, ReadOptions, WriteOptions
from bucketry._core.values import VersionPage
from bucketry._providers.defaults import DefaultRequests
from bucketry._providers.local.details import Details
from bucketry.errors import InvalidRequestError, UnsupportedError
from bucketry.providers import PrefixedProvider, StorageProvider
from bucketry.testing import FaultyProvider

HEADERS = (
    "content_type",
    "cache_control",
    "content_disposition",
    "content_encoding",
    "content_language",
    "storage_class",
)


class Versioned(MemoryProvider):
    """A memory whose row promises versions, of which it lists two pages."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str | None]] = []
        self.deleted: list[tuple[str, str | None]] = []
        super().__init__()

    @property
    def capabilities(self) -> Capabilities:
        """The memory's row, and versions."""
        return replace(super().capabilities, versions=True)

    async def list_versions_page(self, prefix: str = "", *, token: str | None = None) -> VersionPage:
        """Give one version, and say that there is another one."""
        self.asked.append((prefix, token))
        return VersionPage((version("k", "2" if token else "1"),), None if token else "more")

    async def delete(self, remote_path: str, *, version_id: str | None = None) -> None:
        """Note what is deleted."""
        self.deleted.append((remote_path, version_id))


def version(key: str, version_id: str) -> ObjectVersion:
    """Give a version of an object."""
    return ObjectVersion(
        key=key,
        version_id=version_id,
        is_latest=version_id == "1",
        is_delete_marker=False,
        size=1,
        etag='"e"',
        last_modified=datetime(2026, 1, 1, tzinfo=UTC),
    )


def test_what_is_required_must_be_written() -> None:
    """A class without a required method cannot be made, and the error names the method."""

    class Empty(StorageProvider):
        capabilities = Capabilities()
        name = "empty"

    required = ("locate", "connect", "disconnect", "head", "open_body", "put_object", "delete", "list_page")
    with pytest.raises(TypeError, match="Empty must write") as caught:
        Empty()
    assert all(name in str(caught.value) for name in required)
    assert "put_part" not in str(caught.value)


@pytest.mark.parametrize(
    ("promise", "value", "request_"),
    [
        ("versions", True, "list_versions_page"),
        ("presign_methods", ("GET",), "presign"),
        ("presign_post", True, "presign_post"),
    ],
)
def test_what_a_row_promises_must_be_written(promise: str, value: Any, request_: str) -> None:
    """A row with a feature that the class lacks is refused when the provider is made."""

    class Boasting(MemoryProvider):
        @property
        def capabilities(self) -> Capabilities:
            return replace(super().capabilities, **{promise: value})

    with pytest.raises(TypeError, match=rf"Boasting must write {request_}: .*capabilities\.{promise}"):
        Boasting()


def test_a_minimal_row_promises_nothing() -> None:
    """The defaults are those of a provider that writes what is required and no more."""
    row = Capabilities()
    assert not any((row.multipart, row.copy, row.versions, row.tags, row.presign_methods, row.presign_post))
    assert row.max_delete_keys == 1


def test_every_public_method_says_what_it_does() -> None:
    """Each public method has its own docstring, and each that makes requests states its cost."""
    wrong = []
    for name, member in inspect.getmembers(StorageProvider):
        if name.startswith("_") or not callable(member):
            continue
        text = inspect.getdoc(member) or ""
        refused = text == "Refuse."
        if not text or text.startswith("See ") or refused:
            wrong.append(name)
        elif name not in {"connect", "disconnect", "locate"} and "Cost: " not in text:
            wrong.append(f"{name}: no cost")
    assert wrong == []


@pytest.mark.parametrize(
    ("promise", "left_out"),
    [
        ("multipart", "create_multipart"),
        ("multipart", "complete_multipart"),
        ("multipart", "list_multiparts"),
        ("copy", "copy_object"),
        ("copy", "copy_part"),
        ("tags", "put_tags"),
        ("max_delete_keys", "delete_batch"),
    ],
)
def test_each_request_of_a_promise_must_be_written(promise: str, left_out: str) -> None:
    """A class that writes all but one of the requests for a promise is told which one is missing."""
    kind = type("Partly", (MemoryProvider,), {left_out: getattr(DefaultRequests, left_out)})
    setattr(kind, left_out, getattr(DefaultRequests, left_out))
    with pytest.raises(TypeError, match=rf"Partly must write {left_out}: .*capabilities\.{promise}"):
        kind()


async def test_versions_are_listed_to_the_end() -> None:
    """`list_versions` asks for page after page, and an unprefixed name comes back through a prefix."""
    provider = Versioned()
    assert [found.version_id async for found in provider.list_versions("k")] == ["1", "2"]
    assert provider.asked == [("k", None), ("k", "more")]
    below = PrefixedProvider(provider, "k")
    assert [found.key async for found in below.list_versions()] == ["", ""]
    assert provider.asked[2:] == [("k", None), ("k", "more")]


async def test_a_version_is_deleted_by_its_id() -> None:
    """A version id reaches the request where the row has versions, through every wrapper."""
    provider = Versioned()
    await provider.delete("k", version_id="1")
    await PrefixedProvider(provider, "a/").delete(remote_path="k", version_id="2")
    assert provider.deleted == [("k", "1"), ("a/k", "2")]


async def test_a_version_id_is_refused_before_any_request() -> None:
    """If the row has no versions, every method refuses a version id before any request."""
    provider = FaultyProvider(MemoryProvider())
    for call in (
        provider.get("k", version_id="v"),
        provider.get_range("k", 0, 1, version_id="v"),
        provider.head("k", version_id="v"),
        provider.head(key="k", version_id="v"),
        provider.delete("k", version_id="v"),
    ):
        with pytest.raises(UnsupportedError, match=r"memory:///k: .*capabilities\.versions") as caught:
            await call
        assert (caught.value.provider, caught.value.key) == ("memory", "k")
        assert caught.value.operation in {"get", "get_range", "head", "delete"}
    assert not provider.calls


async def test_a_request_of_ones_own_is_checked_too() -> None:
    """A request that a subclass writes need not check version ids and conditions itself."""

    class Own(MemoryProvider):
        @property
        def capabilities(self) -> Capabilities:
            return replace(super().capabilities, put_if_match=False)

        async def put_object(self, key: str, body: Any, options: WriteOptions) -> Any:
            raise AssertionError(key)

        def open_body(self, key: str, options: ReadOptions = WHOLE) -> Any:
            raise AssertionError(key)

    with pytest.raises(UnsupportedError, match="if_match"):
        await Own().put_object("k", b"", WriteOptions(if_match='"e"'))
    with pytest.raises(UnsupportedError, match="versions"):
        Own().open_body("k", ReadOptions(version_id="v"))


def test_details_that_an_older_version_wrote() -> None:
    """A local object whose details know neither headers nor tags is read with the others; damaged ones are found."""
    record = {"key": "k", "metadata": {"a": "1"}, "content_type": "text/csv", "storage_class": None}
    assert Details.from_record(record) == Details(metadata={"a": "1"}, content_type="text/csv")
    with pytest.raises(KeyError):
        Details.from_record({"key": "k"})


@pytest.mark.parametrize("name", [*HEADERS, "if_match"])
@pytest.mark.parametrize("value", ["", "line\nbreak", "é", " outer"])
async def test_headers_that_cannot_be_sent(name: str, value: str) -> None:
    """Text that a header cannot carry is refused, and the message names the keyword."""
    keywords: dict[str, Any] = {name: value}
    with pytest.raises(InvalidRequestError, match=name):
        await MemoryProvider().put("key", b"x", **keywords)


async def test_a_misspelt_keyword() -> None:
    """An unknown keyword is a `TypeError` that names the known ones."""
    with pytest.raises(TypeError, match=r"'contenttype'.*content_type"):
        await MemoryProvider().put("key", b"x", contenttype="text/plain")  # type: ignore[call-arg]
