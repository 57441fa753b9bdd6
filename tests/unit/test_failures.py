"""Vendors' answers and botocore's exceptions become errors of the right class, with attributes and no secret."""

from __future__ import annotations

import copy
import errno
import importlib
import pickle
import pkgutil
from collections.abc import Callable
from typing import Any

import aiohttp
import botocore
import pytest
from botocore import exceptions as boto

from bucketry import errors
from bucketry._core.os_errors import local_error
from bucketry._core.retry import MAX_RETRY_AFTER, RetryPolicy
from bucketry._providers.s3.failures import CODES, HINTS, STATUSES, error_class, refusal_error
from bucketry._session.botocore_errors import BORDER, EXCEPTIONS, description_of, exception_class, refusal_of
from bucketry._vendors import aws, backblaze, generic, r2, spaces, wasabi
from bucketry._vendors.row import Vendor
from bucketry.errors import (
    AccessDeniedError,
    AlreadyExistsError,
    AuthenticationError,
    BucketNotFoundError,
    ConfigError,
    ConnectionFailedError,
    IncompleteBodyError,
    IntegrityError,
    InvalidMetadataError,
    InvalidRangeError,
    InvalidRequestError,
    NotFoundError,
    PreconditionFailedError,
    RequestTimeoutError,
    StorageError,
    ThrottledError,
    TransientError,
    UnreachableError,
    UnsupportedError,
    UploadNotFoundError,
)

AWS, SPACES, WASABI, B2, R2, GENERIC = (row.VENDOR for row in (aws, spaces, wasabi, backblaze, r2, generic))
ALL = (AWS, SPACES, WASABI, B2, R2, GENERIC)
CLASSES = [getattr(errors, name) for name in errors.__all__]

ANSWERS: list[tuple[Vendor, str | None, int, type[StorageError]]] = [
    # the codes that all vendors use
    *((row, "NoSuchKey", 404, NotFoundError) for row in ALL),
    *((row, "NoSuchBucket", 404, BucketNotFoundError) for row in ALL),
    *((row, "NoSuchUpload", 404, UploadNotFoundError) for row in ALL),
    *((row, "AccessDenied", 403, AccessDeniedError) for row in ALL),
    *((row, "InvalidAccessKeyId", 403, AuthenticationError) for row in ALL),
    *((row, "SignatureDoesNotMatch", 403, AuthenticationError) for row in ALL),
    *((row, "RequestTimeTooSkewed", 403, AuthenticationError) for row in ALL),
    *((row, "PreconditionFailed", 412, PreconditionFailedError) for row in ALL),
    *((row, "InvalidRange", 416, InvalidRangeError) for row in ALL),
    *((row, "BadDigest", 400, IntegrityError) for row in ALL),
    *((row, "InternalError", 500, TransientError) for row in ALL),
    *((row, "SlowDown", 503, ThrottledError) for row in ALL),
    *((row, "ServiceUnavailable", 503, ThrottledError) for row in ALL),
    *((row, "EntityTooSmall", 400, InvalidRequestError) for row in ALL),
    *((row, "EntityTooLarge", 400, InvalidRequestError) for row in ALL),
    *((row, "InvalidPart", 400, InvalidRequestError) for row in ALL),
    *((row, "MalformedXML", 400, InvalidRequestError) for row in ALL),
    *((row, "NotImplemented", 501, UnsupportedError) for row in ALL),
    *((row, "RequestTimeout", 400, RequestTimeoutError) for row in ALL),
    # answers without a body: HEAD, and proxies
    *((row, None, 304, PreconditionFailedError) for row in ALL),
    *((row, None, 403, AccessDeniedError) for row in ALL),
    *((row, None, 404, NotFoundError) for row in ALL),
    *((row, None, 408, RequestTimeoutError) for row in ALL),
    *((row, None, 411, InvalidRequestError) for row in ALL),
    *((row, None, 412, PreconditionFailedError) for row in ALL),
    *((row, None, 416, InvalidRangeError) for row in ALL),
    *((row, None, 429, ThrottledError) for row in ALL),
    *((row, None, 500, TransientError) for row in ALL),
    *((row, None, 502, TransientError) for row in ALL),
    *((row, None, 503, ThrottledError) for row in ALL),
    *((row, None, 504, TransientError) for row in ALL),
    *((row, None, 520, TransientError) for row in ALL),
    *((row, None, 301, BucketNotFoundError) for row in ALL),
    # codes of single vendors
    (AWS, "ConditionalRequestConflict", 409, TransientError),
    (AWS, "OperationAborted", 409, TransientError),
    (AWS, "InvalidObjectState", 403, AccessDeniedError),
    (AWS, "PermanentRedirect", 301, BucketNotFoundError),
    (AWS, "TemporaryRedirect", 307, TransientError),
    (AWS, "AuthorizationHeaderMalformed", 400, AuthenticationError),
    (AWS, "ExpiredToken", 400, AuthenticationError),
    (AWS, "MetadataTooLarge", 400, InvalidMetadataError),
    (AWS, "XAmzContentChecksumMismatch", 400, IntegrityError),
    (R2, "TooManyRequests", 429, ThrottledError),
    (R2, "Unauthorized", 401, AuthenticationError),
    (R2, "ExpiredRequest", 400, AuthenticationError),
    (R2, "ObjectLockedByBucketPolicy", 403, AccessDeniedError),
    (R2, "ClientDisconnect", 400, TransientError),
    (R2, "MissingContentLength", 411, InvalidRequestError),
    (WASABI, "RequestRateLimitExceeded", 400, ThrottledError),
    (WASABI, "RequestRateLimitExceeded", 403, ThrottledError),
    (WASABI, "TemporarilyUnavailable", 503, ThrottledError),
    (WASABI, "Unavailable", 503, ThrottledError),
    (WASABI, "AuthenticationLockout", 403, AuthenticationError),
    (WASABI, "AccountProblem", 403, AccessDeniedError),
    (WASABI, "AccountNotActivated", 403, AccessDeniedError),
    (WASABI, "AuthorizationHeaderMalformed", 400, AuthenticationError),
    (B2, "InvalidRequest", 400, InvalidRequestError),
    (
        B2,
        "AccessDenied",
        403,
        AccessDeniedError,
    ),  # also for a used-up daily cap, and retries do not help
    (SPACES, "NoSuchBucket", 404, BucketNotFoundError),
    # unknown codes: the status decides
    (AWS, "SomethingNew", 400, InvalidRequestError),
    (AWS, "SomethingNew", 404, NotFoundError),
    (AWS, "SomethingNew", 418, InvalidRequestError),
    (AWS, "SomethingNew", 500, TransientError),
    (AWS, "SomethingNew", 599, TransientError),
    (R2, "SomethingNew", 429, ThrottledError),
]


def answer(code: str | None, status: int, message: str = "", **headers: str) -> boto.ClientError:
    """Make the exception that botocore raises for an answer; without a body, botocore uses the status as the code."""
    response: dict[str, Any] = {
        "Error": {"Code": code or str(status), "Message": message},
        "ResponseMetadata": {"HTTPStatusCode": status, "RequestId": "REQ7", "HTTPHeaders": headers},
    }
    return boto.ClientError(response, "GetObject")


def translated(exc: BaseException, vendor: Vendor = AWS, **facts: Any) -> StorageError:
    """Translate an exception from a read of `s3://logs/a.bin`."""
    given = {"operation": "get", "bucket": "logs", "key": "a.bin"} | facts
    if (refusal := refusal_of(exc)) is not None:
        return refusal_error(refusal, vendor, "s3://logs/a.bin", **given)
    return exception_class(exc)(description_of(exc), provider=vendor.name)


def below(kind: type[BaseException]) -> set[type[BaseException]]:
    """Give all subclasses of a class."""
    return {kind for child in kind.__subclasses__() for kind in {child, *below(child)}}


def every_botocore_exception() -> list[type[BaseException]]:
    """Give all exception classes that botocore may raise, after importing the modules that define them."""
    for module in pkgutil.iter_modules(botocore.__path__):
        if module.name not in {"vendored", "crt", "docs"}:
            importlib.import_module(f"botocore.{module.name}")
    for name in ("aiobotocore.httpsession", "aiobotocore.response", "aiobotocore.session"):
        importlib.import_module(name)
    found = {kind for kind in below(Exception) if kind.__module__.split(".")[0] in {"botocore", "aiobotocore"}}
    return sorted((kind for kind in found if ".vendored" not in kind.__module__), key=lambda kind: kind.__name__)


class TestAnswers:
    """The table of codes and statuses."""

    @pytest.mark.parametrize(
        ("vendor", "code", "status", "kind"),
        ANSWERS,
        ids=[f"{row.name}-{code}-{status}" for row, code, status, _ in ANSWERS],
    )
    def test_class(self, vendor: Vendor, code: str | None, status: int, kind: type[StorageError]) -> None:
        """Every documented answer of every vendor has its class and its attributes."""
        error = translated(answer(code, status), vendor)
        assert type(error) is kind
        assert (error.status, error.code, error.request_id) == (status, code, "REQ7")
        assert (error.provider, error.bucket, error.key, error.operation) == (vendor.name, "logs", "a.bin", "get")
        assert str(error).startswith("s3://logs/a.bin: get was answered")

    def test_tables_name_errors_only(self) -> None:
        """The tables contain only our classes, and hints only for codes in the table."""
        assert all(issubclass(kind, StorageError) for kind in [*CODES.values(), *STATUSES.values()])
        assert set(HINTS) <= set(CODES)

    @pytest.mark.parametrize("status", [400, 403])
    @pytest.mark.parametrize("vendor", [AWS, SPACES, WASABI, GENERIC], ids=lambda row: row.title)
    def test_a_refusal_without_a_reason_says_how_to_find_it(self, vendor: Vendor, status: int) -> None:
        """A response without a body, as to HEAD, gives an error that names the possible reasons and the next step."""
        message = str(translated(answer(None, status), vendor))
        assert "the server gave no reason" in message
        assert message.endswith("`bucketry doctor` finds it")

    def test_a_redirect_without_a_region_is_about_the_region(self) -> None:
        """A redirect means another region, also if it has no body and no header that names the region."""
        message = str(translated(answer(None, 301), key=None))
        assert message.endswith("the bucket is in another region; set region to it")

    def test_a_denied_request_says_what_to_do(self) -> None:
        """A refusal says what to do next; where the vendor's row knows another reason, the message has that reason."""
        assert str(translated(answer("AccessDenied", 403))).endswith("`bucketry doctor` shows what they allow")
        assert str(translated(answer("AccessDenied", 403), R2)).endswith(R2.denied_hint)
        assert str(translated(answer(None, 403), B2)).endswith(B2.denied_hint)

    @pytest.mark.parametrize("vendor", ALL, ids=lambda row: row.title)
    def test_no_answer_is_unknown(self, vendor: Vendor) -> None:
        """Every status has a class; 5xx are retried except 501, and 4xx are not, except temporary ones."""
        for status in range(300, 600):
            kind = error_class(None, status, vendor)
            passing = status in {307, 408, 409, 429} or (status >= 500 and status != 501)
            assert kind.retryable == passing, status

    @pytest.mark.parametrize(
        ("vendor", "code", "status"),
        [
            (AWS, "SlowDown", 503),
            (SPACES, "SlowDown", 503),
            (WASABI, "RequestRateLimitExceeded", 403),
            (WASABI, "TemporarilyUnavailable", 503),
            (B2, "SlowDown", 503),
            (R2, "TooManyRequests", 429),
            (R2, None, 429),
            (R2, "ServiceUnavailable", 503),
        ],
        ids=str,
    )
    def test_throttling_of_every_vendor(self, vendor: Vendor, code: str | None, status: int) -> None:
        """Each vendor's answer for too many requests is a ThrottledError with its wait."""
        error = translated(answer(code, status, **{"retry-after": "7"}), vendor)
        assert isinstance(error, ThrottledError)
        assert error.retry_after == 7

    @pytest.mark.parametrize(
        ("text", "seconds"),
        [
            ("3", 3.0),
            ("0", 0.0),
            ("-1", 0.0),
            ("Wed, 21 Oct 2026 07:28:09 GMT", 9.0),
            ("Wed, 21 Oct 2026 07:27:00 GMT", 0.0),
            ("tomorrow", None),
            ("", None),
        ],
    )
    def test_retry_after(self, text: str, seconds: float | None) -> None:
        """`Retry-After` may be seconds, or a date by the server's clock; for other text the policy decides."""
        headers = {"retry-after": text, "date": "Wed, 21 Oct 2026 07:28:00 GMT"}
        assert translated(answer("SlowDown", 503, **headers)).retry_after == seconds

    def test_a_date_without_the_servers_clock(self) -> None:
        """Without the server's clock, a date in the past gives no wait."""
        headers = {"retry-after": "Wed, 21 Oct 2020 07:28:00 GMT"}
        assert translated(answer("SlowDown", 503, **headers)).retry_after == 0

    @pytest.mark.parametrize("operation", ["put", "create_multipart"])
    def test_a_write_that_finds_nothing(self, operation: str) -> None:
        """404 to a write means a missing bucket or a malformed key, or with `if_match` a failed condition."""
        error = translated(answer(None, 404), operation=operation)
        assert type(error) is BucketNotFoundError
        assert "bucket" in str(error)
        assert "form" in str(error)
        assert "no such object" not in str(error)
        held = translated(answer("NoSuchKey", 404), operation=operation, replaces=True)
        assert type(held) is PreconditionFailedError
        assert "nothing was written" in str(held)

    @pytest.mark.parametrize("text", ["nan", "inf", "1e400", "99999999"])
    def test_a_nonsense_wait_is_not_slept(self, text: str) -> None:
        """For a `Retry-After` that is not sensible, the request is retried soon, or fails; it never waits for ever."""
        delay = RetryPolicy().delay(translated(answer("SlowDown", 503, **{"retry-after": text})), 1)
        assert delay is None or 0 <= delay <= MAX_RETRY_AFTER

    def test_a_permanent_error_has_no_wait(self) -> None:
        """`Retry-After` is read only for errors that are retried."""
        assert translated(answer("AccessDenied", 403, **{"retry-after": "3"})).retry_after is None

    def test_a_failed_creation_says_that_the_object_exists(self) -> None:
        """412 after `if_none_match="*"` means that the object exists; otherwise that the condition failed."""
        assert type(translated(answer("PreconditionFailed", 412), creates=True)) is AlreadyExistsError
        assert type(translated(answer("PreconditionFailed", 412))) is PreconditionFailedError

    def test_a_bodyless_404_without_a_key_is_the_bucket(self) -> None:
        """HEAD of a bucket has no code: its 404 means a missing bucket, and the message names it."""
        error = translated(answer(None, 404), key=None)
        assert type(error) is BucketNotFoundError
        assert "'logs'" in str(error)

    def test_a_skewed_clock_is_named(self) -> None:
        """The message says which clock is wrong, and what to do."""
        assert "this machine's clock" in str(translated(answer("RequestTimeTooSkewed", 403)))

    def test_spaces_answers_a_wrong_region_as_a_missing_bucket(self) -> None:
        """For Spaces, the message names both possibilities: a missing bucket, or another region."""
        assert "another region" in str(translated(answer("NoSuchBucket", 404), SPACES))


class TestExceptions:
    """The table of botocore's exceptions."""

    @pytest.mark.parametrize(
        "kind", sorted(below(boto.BotoCoreError), key=lambda kind: kind.__name__), ids=lambda kind: kind.__name__
    )
    def test_every_class_has_a_line_of_its_own(self, kind: type[BaseException]) -> None:
        """Each class is mapped by a class below the roots, so this test fails for a new class of botocore."""
        found = next((base for base in kind.__mro__ if base in EXCEPTIONS), None)
        assert found is not None, f"{kind.__name__} is not in EXCEPTIONS"
        assert found not in {boto.BotoCoreError, Exception, OSError, BaseException}
        assert exception_class(kind.__new__(kind)) is EXCEPTIONS[found]

    def test_what_is_not_below_the_root(self) -> None:
        """Exceptions outside BotoCoreError are caught at the border, too, except those that no call raises."""
        exempt = {
            "botocore.model": "faults of a service model that ships with botocore",
            "botocore.eventstream": "of SelectObjectContent, which is not called",
            "botocore.utils": "raised and caught inside botocore",
        }
        outside = [
            kind.__name__
            for kind in every_botocore_exception()
            if not issubclass(kind, (*BORDER, Warning, boto.UndefinedModelAttributeError))
            and kind.__module__ not in exempt
        ]
        assert outside == []

    @pytest.mark.parametrize(
        ("exc", "kind"),
        [
            (boto.EndpointConnectionError(endpoint_url="https://h", error="refused"), UnreachableError),
            (boto.ConnectTimeoutError(endpoint_url="https://h"), RequestTimeoutError),
            (boto.ReadTimeoutError(endpoint_url="https://h"), RequestTimeoutError),
            (boto.ConnectionClosedError(endpoint_url="https://h"), ConnectionFailedError),
            (boto.ProxyConnectionError(proxy_url="https://h"), UnreachableError),
            (boto.SSLError(endpoint_url="https://h", error="expired"), ConfigError),
            (boto.IncompleteReadError(actual_bytes=1, expected_bytes=2), IncompleteBodyError),
            (boto.ResponseStreamingError(error="cut"), IncompleteBodyError),
            (boto.NoCredentialsError(), AuthenticationError),
            (boto.PartialCredentialsError(provider="env", cred_var="x"), AuthenticationError),
            (boto.ProfileNotFound(profile="p"), ConfigError),
            (boto.ParamValidationError(report="bad"), InvalidRequestError),
            (boto.FlexibleChecksumError(error_msg="differs"), IntegrityError),
            (aiohttp.ClientPayloadError("cut"), IncompleteBodyError),
            (aiohttp.ServerDisconnectedError(), ConnectionFailedError),
            (TimeoutError(), RequestTimeoutError),
            (ConnectionResetError("reset"), ConnectionFailedError),
            (OSError(5, "io"), ConnectionFailedError),
        ],
        ids=lambda value: type(value).__name__ if isinstance(value, BaseException) else value.__name__,
    )
    def test_class(self, exc: BaseException, kind: type[StorageError]) -> None:
        """The transport's exceptions are caught at the border, and retried only if that may help."""
        assert isinstance(exc, BORDER)
        assert type(translated(exc)) is kind


class TestErrors:
    """Errors as values."""

    @pytest.mark.parametrize("kind", CLASSES, ids=lambda kind: kind.__name__)
    def test_they_pickle(self, kind: type[StorageError]) -> None:
        """Class, message and all attributes are kept in a process pool."""
        facts: dict[str, Any] = {
            "provider": "s3", "bucket": "b", "key": "k", "operation": "get", "status": 503, "code": "SlowDown",
            "request_id": "R", "retry_after": 1.5, "path": "/tmp/x",  # noqa: S108 - never opened
        }  # fmt: skip
        error = kind("s3://b/k: failed", **facts)
        cloned = pickle.loads(pickle.dumps(error))
        assert type(cloned) is kind
        assert str(cloned) == str(error) == "s3://b/k: failed"
        assert {name: getattr(cloned, name) for name in facts} == facts

    @pytest.mark.parametrize("kind", CLASSES, ids=lambda kind: kind.__name__)
    @pytest.mark.parametrize("clone", [copy.copy, copy.deepcopy, lambda error: pickle.loads(pickle.dumps(error))])
    def test_they_keep_their_notes(self, kind: type[StorageError], clone: Callable[[Any], Any]) -> None:
        """A pickled or copied error has the same notes; later notes belong to one of them only."""
        error = kind("s3://b/k: failed", key="k")
        error.add_note("and 3 more failed")
        cloned = clone(error)
        cloned.add_note("here")
        assert (type(cloned), cloned.key) == (kind, "k")
        assert (error.__notes__, cloned.__notes__) == (["and 3 more failed"], ["and 3 more failed", "here"])

    def test_a_local_error_keeps_its_number(self) -> None:
        """The operating system's error number is kept after pickling."""
        error = local_error(OSError(errno.ENAMETOOLONG, "File name too long"), "/x")
        assert pickle.loads(pickle.dumps(error)).errno == errno.ENAMETOOLONG

    @pytest.mark.parametrize("kind", CLASSES, ids=lambda kind: kind.__name__)
    def test_they_are_documented_and_rooted(self, kind: type[StorageError]) -> None:
        """Each error is a StorageError, is in the tree of the module's docstring, and has a docstring."""
        assert issubclass(kind, StorageError)
        assert kind.__name__ in (errors.__doc__ or "")
        assert kind.__doc__

    @pytest.mark.parametrize(
        ("kind", "builtin"),
        [
            (ConfigError, ValueError),
            (NotFoundError, FileNotFoundError),
            (AlreadyExistsError, FileExistsError),
            (AccessDeniedError, PermissionError),
            (AuthenticationError, PermissionError),
            (InvalidRangeError, ValueError),
            (RequestTimeoutError, TimeoutError),
            (ConnectionFailedError, ConnectionError),
        ],
        ids=lambda kind: kind.__name__,
    )
    def test_the_builtin_beside_them(self, kind: type[StorageError], builtin: type[Exception]) -> None:
        """Our errors are caught by their built-in classes."""
        with pytest.raises(builtin):
            raise kind("x")

    def test_no_signed_url_in_a_message(self) -> None:
        """The text of a transport error with a signed URL is left out, for every place of the signature."""
        url = "https://h/b/k?X-Amz-Credential=AKIA&X-Amz-Signature=deadbeef"
        for exc in (
            boto.EndpointConnectionError(endpoint_url=url, error="x"),
            boto.ReadTimeoutError(endpoint_url=url),
            aiohttp.InvalidURL(url),
            OSError(f"cannot reach {url}"),
        ):
            error = translated(exc)
            assert "deadbeef" not in f"{error!s}{error!r}{error.args}"
