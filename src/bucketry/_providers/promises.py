"""Adds checks to providers: what a row does not promise (version ids, conditions, tags) is refused before a request."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import wraps
from typing import Any

from bucketry._core.checks import check_header, check_read, check_tags, check_write
from bucketry._core.facts import Facts
from bucketry._core.optional import KeepsVersions, RangeSink
from bucketry._core.options import WHOLE, ReadOptions, WriteOptions
from bucketry._core.requests import ObjectRequests
from bucketry._core.values import Body, MultipartUpload, ObjectInfo, Part, VersionPage
from bucketry.errors import UnsupportedError


def keep_promises(kind: type[ObjectRequests], kept: type[Any]) -> None:
    """Wrap the methods of a provider's class that need a check, so that no provider can forget the check.

    Args:
        kind: The provider's class.
        kept: The base class whose subclasses have these checks already.
    """
    for name, around in _CHECKS.items():
        owner = next(base for base in kind.__mro__ if name in vars(base))
        # Do not wrap methods that `kept` inherits, because `defaults.unwritten` compares methods with `is`, so a
        # wrapped method would count as implemented.
        if owner is kind or not (issubclass(owner, kept) or owner in kept.__mro__):
            setattr(kind, name, around(getattr(kind, name)))


def _by_id(method: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
    @wraps(method)
    async def request(self: ObjectRequests, *key: str, version_id: str | None = None, **named: str) -> Any:  # noqa: ANN401 - the wrapped method's types
        if version_id is None:
            return await method(self, *key, **named)
        _refuse_version(self, version_id, method.__name__, *key, *named.values())
        return await method(self, *key, **named, version_id=version_id)

    return request


def _open_body(method: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(method)
    def open_body(self: ObjectRequests, key: str, options: ReadOptions = WHOLE) -> Any:  # noqa: ANN401 - as above
        if options.version_id is not None:
            _refuse_version(self, options.version_id, "get", key)
        if options.conditional:
            with Facts(self.name, "get", key):
                check_read(options, self.locate(key))
        return method(self, key, options)

    return open_body


def _fetch_range(method: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
    @wraps(method)
    async def fetch_range(self: ObjectRequests, key: str, sink: RangeSink, options: ReadOptions = WHOLE) -> Any:  # noqa: ANN401 - as above
        if options.version_id is not None:
            _refuse_version(self, options.version_id, "get", key)
        if options.conditional:
            with Facts(self.name, "get", key):
                check_read(options, self.locate(key))
        return await method(self, key, sink, options)

    return fetch_range


def _put_object(method: Callable[..., Awaitable[ObjectInfo]]) -> Callable[..., Awaitable[ObjectInfo]]:
    @wraps(method)
    async def put_object(self: ObjectRequests, key: str, body: Body, options: WriteOptions) -> ObjectInfo:
        if options.conditional or options.tags:
            _check_options(self, "put", key, options, multipart=False)
        return await method(self, key, body, options)

    return put_object


def _create_multipart(method: Callable[..., Awaitable[MultipartUpload]]) -> Callable[..., Awaitable[MultipartUpload]]:
    @wraps(method)
    async def create_multipart(self: ObjectRequests, key: str, options: WriteOptions) -> MultipartUpload:
        if options.tags:
            _check_tags(self, "create_multipart", key, options.tags)
        return await method(self, key, options)

    return create_multipart


def _copy_object(method: Callable[..., Awaitable[ObjectInfo]]) -> Callable[..., Awaitable[ObjectInfo]]:
    @wraps(method)
    async def copy_object(
        self: ObjectRequests,
        source: str,
        destination: str,
        *,
        if_match: str | None = None,
        options: WriteOptions | None = None,
    ) -> ObjectInfo:
        if if_match is not None:
            with Facts(self.name, "copy", source):
                check_header("if_match", if_match, self.locate(source))
        if options is not None and (options.conditional or options.tags):
            _check_options(self, "copy", destination, options, multipart=False)
        return await method(self, source, destination, if_match=if_match, options=options)

    return copy_object


def _complete_multipart(method: Callable[..., Awaitable[ObjectInfo]]) -> Callable[..., Awaitable[ObjectInfo]]:
    @wraps(method)
    async def complete_multipart(
        self: ObjectRequests,
        upload: MultipartUpload,
        parts: Sequence[Part],
        options: WriteOptions,
        *,
        checksum: str | None = None,
    ) -> ObjectInfo:
        if options.conditional:
            _check_options(self, "complete_multipart", upload.key, options, multipart=True)
        return await method(self, upload, parts, options, checksum=checksum)

    return complete_multipart


def _put_tags(method: Callable[..., Awaitable[None]]) -> Callable[..., Awaitable[None]]:
    @wraps(method)
    async def put_tags(self: ObjectRequests, key: str, tags: Mapping[str, str]) -> None:
        _check_tags(self, "put_tags", key, tags)
        await method(self, key, dict(tags))

    return put_tags


def _get_tags(method: Callable[..., Awaitable[dict[str, str]]]) -> Callable[..., Awaitable[dict[str, str]]]:
    @wraps(method)
    async def get_tags(self: ObjectRequests, key: str) -> dict[str, str]:
        _check_tags(self, "get_tags", key, {})
        return await method(self, key)

    return get_tags


def _list_versions_page(method: Callable[..., Awaitable[VersionPage]]) -> Callable[..., Awaitable[VersionPage]]:
    @wraps(method)
    async def list_versions_page(self: ObjectRequests, prefix: str = "", *, token: str | None = None) -> VersionPage:
        if not self.capabilities.versions:
            await KeepsVersions.list_versions_page(self, prefix)  # raises `UnsupportedError`
        return await method(self, prefix, token=token)

    return list_versions_page


_CHECKS: dict[str, Callable[[Callable[..., Any]], Callable[..., Any]]] = {
    "head": _by_id,
    "delete": _by_id,
    "open_body": _open_body,
    "fetch_range": _fetch_range,
    "put_object": _put_object,
    "create_multipart": _create_multipart,
    "copy_object": _copy_object,
    "complete_multipart": _complete_multipart,
    "put_tags": _put_tags,
    "get_tags": _get_tags,
    "list_versions_page": _list_versions_page,
}


def _refuse_version(provider: ObjectRequests, version_id: str, operation: str, key: str) -> None:
    if not provider.capabilities.versions:
        with Facts(provider.name, operation, key):
            message = (
                f"{provider.locate(key)}: this provider has no versions (capabilities.versions is False); "
                f"leave version_id={version_id!r} out"
            )
            raise UnsupportedError(message, key=key)


def _check_tags(provider: ObjectRequests, operation: str, key: str, tags: Mapping[str, str]) -> None:
    with Facts(provider.name, operation, key):
        if not provider.capabilities.tags:
            message = f"{provider.locate(key)}: this provider has no tags (capabilities.tags is False); leave tags out"
            raise UnsupportedError(message, key=key)
        check_tags(tags, provider.locate(key))


def _check_options(
    provider: ObjectRequests, operation: str, key: str, options: WriteOptions, *, multipart: bool
) -> None:
    if options.tags and operation != "complete_multipart":  # tags were sent when the upload was opened
        _check_tags(provider, operation, key, options.tags)
    with Facts(provider.name, operation, key):
        check_write(options, provider.capabilities, provider.locate(key), multipart=multipart)
