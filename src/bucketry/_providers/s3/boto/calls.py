"""Makes a request through aiobotocore, repeats it if that may help, reads the response, and translates errors."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack, contextmanager, suppress
from io import BytesIO
from types import TracebackType
from typing import Any, TypeVar

from bucketry._core.options import WriteOptions
from bucketry._core.values import Body
from bucketry._providers.s3.boto.bodies import load
from bucketry._providers.s3.boto.parameters import parameters
from bucketry._providers.s3.bucket import S3Bucket
from bucketry._runtime.threads import in_thread
from bucketry._session.botocore_errors import BORDER, description_of, exception_class, refusal_of, without_quotes
from bucketry._session.frames import without_frames
from bucketry._session.pool import SessionPool
from bucketry._session.versions import fitting
from bucketry._wire.errors import WireError
from bucketry._wire.slots import Slots
from bucketry.errors import StorageError

T = TypeVar("T")
_UNKNOWN_PARAMETERS = {("head_bucket", "RequestPayer"), ("delete_object_tagging", "RequestPayer")}
"""Methods of the client, each with a parameter that it does not have, although the other methods have it."""


class BotoCalls:
    """Requests to one bucket through the pool's client for its endpoint.

    Attributes:
        bucket: The bucket.
        pool: The pool with the endpoint's client and slots.
        capabilities: The vendor's limits and promises.
    """

    def __init__(self, bucket: S3Bucket, pool: SessionPool) -> None:
        """Store the arguments; no I/O."""
        self.bucket = bucket
        self.pool = pool
        self.capabilities = bucket.vendor.capabilities
        self._every = parameters(bucket.headers.every)
        self._existing = parameters(bucket.headers.existing)
        self._new = parameters(bucket.headers.new)
        self._source = parameters(bucket.headers.source)

    async def load(self, operation: str, key: str, body: Body, algorithm: str | None) -> tuple[bytes, str | None]:
        """Read a body into memory, and return it with its checksum."""
        try:
            return await in_thread(load, body, algorithm, self.bucket.locate(key))
        except StorageError as error:
            raise self.bucket.with_facts(error, operation, key) from None

    async def send(
        self,
        operation: str,
        method: str,
        read: Callable[..., T],
        *,
        key: str | None = None,
        repeatable: bool = True,
        options: WriteOptions | None = None,
        held: AsyncExitStack | None = None,
        **params: Any,  # noqa: ANN401 - botocore border
    ) -> T:
        """Make a request, repeat it if that is safe and may help, and return the result of `read`.

        Args:
            operation: The provider's method, for errors.
            method: The client's method.
            read: A function that reads the response; if it raises an error, the request is repeated.
            key: The object.
            repeatable: See `S3Bucket.attempts`.
            options: The options of a write; its conditions decide what a refusal means.
            held: If given, this stack later closes the body and returns the slot, and `read` also gets the slots.
            params: The method's parameters; a parameter that is `None` is left out.
        """
        bucket = self.bucket
        arguments = {name: value for name, value in params.items() if value is not None} | {"Bucket": bucket.name}
        arguments |= {name: value for name, value in self._every.items() if (method, name) not in _UNKNOWN_PARAMETERS}
        if key is not None:
            arguments["Key"] = key
        bucket.check(operation, key, **{name: value for name, value in params.items() if isinstance(value, str)})
        body = arguments.pop("Body", None)

        attempts = bucket.attempts(operation, key, repeatable=repeatable)
        while True:
            async with attempts:
                with self._translating(operation, key, options):
                    async with AsyncExitStack() as stack:
                        client, slots = await stack.enter_async_context(self.pool.request(bucket.endpoint))
                        sent = {"Body": stack.enter_context(_sending(body, slots))} if body is not None else {}
                        with fitting(), bucket.reading(operation, key, (LookupError, ValueError)):
                            answer = await getattr(client, method)(**arguments, **sent)
                        with bucket.reading(operation, key):
                            if held is None:
                                return read(answer)
                            stack.callback(answer["Body"].close)
                            found = read(answer, slots)
                        await held.enter_async_context(stack.pop_all())
                        return found

    async def sign(self, operation: str, method: str, key: str, *args: Any, **options: Any) -> Any:  # noqa: ANN401 - botocore border
        """Call a method of the client that signs; such a method makes no request."""
        with self._translating(operation, key):
            async with self.pool.client(self.bucket.endpoint) as client:
                with fitting():
                    return await getattr(client, method)(*args, **options)

    def _translating(self, operation: str, key: str | None, options: WriteOptions | None = None) -> _Translating:
        return _Translating(self.bucket, operation, key, options)


class _Sent(BytesIO):
    """The body of one attempt. Each read reports to the slots that bytes move."""

    def __init__(self, data: bytes, slots: Slots) -> None:
        super().__init__(data)
        self._slots = slots

    def read(self, size: int | None = -1, /) -> bytes:
        """Return the next bytes."""
        self._slots.note()
        return super().read(size)


@contextmanager
def _sending(data: bytes, slots: Slots) -> Iterator[_Sent]:
    sent = _Sent(data, slots)
    try:
        yield sent
    finally:
        with suppress(BufferError):
            sent.close()  # because reference cycles of the client keep the object in memory for longer


class _Translating:
    """Turns exceptions of aiobotocore into errors of this package, and removes other libraries' frames from tracebacks.

    It is a class, because `contextmanager` would add the frames to the exception again.
    """

    def __init__(self, bucket: S3Bucket, operation: str, key: str | None, options: WriteOptions | None) -> None:
        self._bucket = bucket
        self._operation = operation
        self._key = key
        self._options = options
        self._outer: BaseException | None = None

    def __enter__(self) -> None:
        """Store the exception that is being handled outside the block, if there is one."""
        self._outer = sys.exception()

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Raise an error of this package from the exception of aiobotocore."""
        if exc is None:
            return
        without_frames(exc, self._outer)
        if (error := self._translated(exc)) is not None:
            raise error from exc

    def _translated(self, exc: BaseException) -> StorageError | None:
        """Return an error of this package; `None`: the exception is not from aiobotocore.

        This is a separate method, so that its local variables, which error reports would show, are gone when the error
        is raised.
        """
        bucket, key, operation = self._bucket, self._key, self._operation
        context = exc.__context__  # aiobotocore reports an error in a hook of this package as a lost connection
        failed = exc if isinstance(exc, WireError) else context if isinstance(context, WireError) else None
        if failed is not None:
            return bucket.error(failed.kind, key, operation, f"{operation} failed: {failed.problem}")
        if not isinstance(exc, BORDER):
            return None
        if (refusal := refusal_of(exc)) is not None:
            without_quotes(exc)
            return bucket.refused(refusal, operation, key, self._options)
        return bucket.error(exception_class(exc), key, operation, f"{operation} failed: {description_of(exc)}")


def nothing(answer: dict[str, Any]) -> None:
    """Read nothing, because only the success of the request matters."""
