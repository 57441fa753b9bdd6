"""Adds provider, operation and key to errors from code that does not know them.

Code that checks a key or reads a local file knows neither provider nor operation. It raises an error with a message,
and perhaps a key or a path. Only the classes with public methods add the missing attributes.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Container
from contextlib import AbstractAsyncContextManager
from functools import wraps
from inspect import iscoroutinefunction
from types import FunctionType, TracebackType
from typing import Any, Protocol, TypeVar

from bucketry._core.values import BatchResult, MultipartUpload
from bucketry.errors import StorageError

C = TypeVar("C", bound=type)
T = TypeVar("T")
E = TypeVar("E", bound=StorageError)

_OPERATIONS = {
    "open_body": "get",
    "fetch_range": "get",
    "put_object": "put",
    "put_stream": "put",
    "list_page": "list",
    "delete_batch": "delete_many",
    "copy_object": "copy",
    "copy_object_from": "copy",
    "copy_part_from": "copy_part",
}
"""For each internal method, the public method that its errors name; the S3 providers use the same names."""

_KEYS = ("key", "remote_path", "upload", "source")
"""Names of parameters that can hold the key; if a method has several, the first in this list is used."""


class _Named(Protocol):
    @property
    def name(self) -> str:
        """The provider's name."""


def filled(error: E, provider: str, operation: str, key: str | None = None) -> E:
    """Set the attributes that an error does not have yet, and return the error."""
    error.provider = error.provider or provider
    error.operation = error.operation or operation
    error.key = key if error.key is None else error.key
    return error


class Facts:
    """`with Facts(provider, operation, key):` sets these three attributes on errors that leave the block."""

    __slots__ = ("_key", "_operation", "_provider")

    def __init__(self, provider: str, operation: str, key: str | None = None) -> None:
        """Store the attributes."""
        self._provider = provider
        self._operation = operation
        self._key = key

    def __enter__(self) -> None:
        """Do nothing."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Set the attributes that the error does not have yet."""
        if isinstance(error, StorageError):
            filled(error, self._provider, self._operation, self._key)


def fills_in_facts(cls: C, names: Container[str] | None = None) -> C:
    """Make every public coroutine method of the class, and its `open_body`, set provider, operation and key on errors.

    The class has a `name`, or a `provider` with a `name`. Methods named in `FILLS_IN_FACTS` set the attributes
    themselves, because a wrapper costs 1 µs, which matters for a million calls.

    Args:
        cls: The class.
        names: The methods to change; `None`: all public methods.
    """
    for name, method in list(vars(cls).items()):
        if name in getattr(cls, "FILLS_IN_FACTS", ()) or (names is not None and name not in names):
            continue
        if name == "open_body":
            setattr(cls, name, _opening(method))
        elif not name.startswith("_") and iscoroutinefunction(method):
            setattr(cls, name, _with_facts(method))
    return cls


def _with_facts(method: FunctionType) -> Callable[..., Awaitable[Any]]:
    operation = _OPERATIONS.get(method.__name__, method.__name__)
    key_of = _key_of(method)

    @wraps(method)
    async def wrapper(self: Any, *args: Any, **options: Any) -> Any:  # noqa: ANN401 - as the method's own
        try:
            result = await method(self, *args, **options)
        except StorageError as error:
            filled(error, _name_of(self), operation, key_of(args, options))
            raise
        if type(result) is BatchResult:
            for key, failure in result.failed.items():
                filled(failure, _name_of(self), operation, key)
        return result

    return wrapper


def _opening(method: FunctionType) -> Callable[..., AbstractAsyncContextManager[Any]]:
    key_of = _key_of(method)

    @wraps(method)
    def opening(self: _Named, *args: Any, **options: Any) -> _Opening:  # noqa: ANN401 - as the method's own
        return _Opening(self, key_of(args, options), method(self, *args, **options))

    return opening


class _Opening:
    """A context manager that sets attributes on errors raised when it is entered.

    Later errors are left unchanged, because they may come from the caller's own code.
    """

    __slots__ = ("_key", "_opening", "_provider")

    def __init__(self, provider: _Named, key: str | None, opening: AbstractAsyncContextManager[Any]) -> None:
        self._provider = provider
        self._key = key
        self._opening = opening

    async def __aenter__(self) -> Any:  # noqa: ANN401 - as the context's own
        try:
            return await self._opening.__aenter__()
        except StorageError as error:
            filled(error, self._provider.name, "get", self._key)
            raise

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        return await self._opening.__aexit__(kind, error, trace)


def _key_of(method: FunctionType) -> Callable[[tuple[Any, ...], dict[str, Any]], str | None]:
    """Return a function that finds the key in a call's arguments."""
    code = getattr(method, "__wrapped__", method).__code__
    names = code.co_varnames[1 : code.co_argcount]
    name = next((name for name in _KEYS if name in names), None)
    if name is None:
        return lambda _, __: None
    at = names.index(name)

    def key_of(args: tuple[Any, ...], options: dict[str, Any]) -> str | None:
        given = args[at] if at < len(args) else options.get(name)
        if isinstance(given, MultipartUpload):
            return given.key
        return given if isinstance(given, str) else None

    return key_of


def _name_of(owner: Any) -> str:  # noqa: ANN401 - of the classes above
    return str(getattr(owner, "provider", owner).name)
