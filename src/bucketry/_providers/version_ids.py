"""The one check of version ids: where the row has no versions, one that is given is refused before any request."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import wraps
from typing import Any

from bucketry._core.facts import filled
from bucketry._core.optional import RangeSink
from bucketry._core.options import WHOLE, ReadOptions
from bucketry._core.requests import ObjectRequests, RequiredRequests
from bucketry.errors import UnsupportedError


def check_version_ids(kind: type[ObjectRequests], checked: type[Any]) -> None:
    """Put the check around the requests of a provider's class that take a version id, so that none can forget it.

    Args:
        kind: The class.
        checked: The base of the classes that have the check already, for what they wrote or inherited.
    """
    checks = {"head": _by_id, "delete": _by_id, "open_body": _open_body, "fetch_range": _fetch_range}
    for name, around in checks.items():
        owner = next(base for base in kind.__mro__ if name in vars(base))
        if owner is kind or not (issubclass(owner, checked) or issubclass(RequiredRequests, owner)):
            setattr(kind, name, around(getattr(kind, name)))


def _by_id(method: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
    @wraps(method)
    async def request(self: ObjectRequests, *key: str, version_id: str | None = None, **named: str) -> Any:  # noqa: ANN401 - as the method's own
        if version_id is None:
            return await method(self, *key, **named)
        _refuse(self, version_id, method.__name__, *key, *named.values())
        return await method(self, *key, **named, version_id=version_id)

    return request


def _open_body(method: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(method)
    def open_body(self: ObjectRequests, key: str, options: ReadOptions = WHOLE) -> Any:  # noqa: ANN401 - as above
        if options.version_id is not None:
            _refuse(self, options.version_id, "get", key)
        return method(self, key, options)

    return open_body


def _fetch_range(method: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
    @wraps(method)
    async def fetch_range(self: ObjectRequests, key: str, sink: RangeSink, options: ReadOptions = WHOLE) -> Any:  # noqa: ANN401 - as above
        if options.version_id is not None:
            _refuse(self, options.version_id, "get", key)
        return await method(self, key, sink, options)

    return fetch_range


def _refuse(provider: ObjectRequests, version_id: str, operation: str, key: str) -> None:
    if not provider.capabilities.versions:
        message = (
            f"{provider.locate(key)}: this provider has no versions (capabilities.versions is False); "
            f"leave version_id={version_id!r} out"
        )
        raise filled(UnsupportedError(message, key=key), provider.name, operation)
