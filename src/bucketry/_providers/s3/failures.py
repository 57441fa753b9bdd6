"""Translates a vendor's error responses: one table maps error codes to error classes, another maps statuses.

Sources: https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html,
https://developers.cloudflare.com/r2/api/error-codes/, https://docs.wasabi.com/docs/rest-api-introduction,
https://www.backblaze.com/docs/cloud-storage-s3-compatible-api.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from types import MappingProxyType

from bucketry._providers.s3.dates import seconds_of
from bucketry._vendors.row import Vendor
from bucketry._wire.errors import Refusal
from bucketry.errors import (
    AccessDeniedError,
    AlreadyExistsError,
    AuthenticationError,
    BucketNotFoundError,
    IntegrityError,
    InvalidKeyError,
    InvalidMetadataError,
    InvalidRangeError,
    InvalidRequestError,
    NotFoundError,
    PreconditionFailedError,
    RequestTimeoutError,
    StorageError,
    ThrottledError,
    TransientError,
    UnsupportedError,
    UploadNotFoundError,
)

CODES: Mapping[str, type[StorageError]] = MappingProxyType(
    {
        # missing
        "NoSuchKey": NotFoundError,
        "NoSuchVersion": NotFoundError,
        "NoSuchUpload": UploadNotFoundError,
        "NoSuchBucket": BucketNotFoundError,
        # credentials and permissions
        "AccessDenied": AccessDeniedError,
        "AllAccessDisabled": AccessDeniedError,
        "AccountProblem": AccessDeniedError,
        "AccountNotActivated": AccessDeniedError,
        "Forbidden": AccessDeniedError,
        "InvalidObjectState": AccessDeniedError,
        "MethodNotAllowed": AccessDeniedError,
        "NotEntitled": AccessDeniedError,
        "ObjectLockedByBucketPolicy": AccessDeniedError,
        "AuthenticationLockout": AuthenticationError,
        "AuthorizationHeaderMalformed": AuthenticationError,
        "ExpiredRequest": AuthenticationError,
        "ExpiredToken": AuthenticationError,
        "InvalidAccessKeyId": AuthenticationError,
        "InvalidSecurity": AuthenticationError,
        "InvalidToken": AuthenticationError,
        "RequestExpired": AuthenticationError,
        "RequestTimeTooSkewed": AuthenticationError,
        "SignatureDoesNotMatch": AuthenticationError,
        "TokenRefreshRequired": AuthenticationError,
        "Unauthorized": AuthenticationError,
        "UnauthorizedAccess": AuthenticationError,
        # conditions
        "PreconditionFailed": PreconditionFailedError,
        "NotModified": PreconditionFailedError,
        "ConditionalRequestConflict": TransientError,
        "OperationAborted": TransientError,
        "BucketAlreadyExists": AlreadyExistsError,
        "BucketAlreadyOwnedByYou": AlreadyExistsError,
        # the request's content
        "BadDigest": IntegrityError,
        "IncompleteBody": TransientError,
        "InvalidDigest": IntegrityError,
        "XAmzContentChecksumMismatch": IntegrityError,
        "XAmzContentSHA256Mismatch": IntegrityError,
        "EntityTooLarge": InvalidRequestError,
        "EntityTooSmall": InvalidRequestError,
        "IllegalLocationConstraintException": InvalidRequestError,
        "InvalidArgument": InvalidRequestError,
        "InvalidBucketName": InvalidRequestError,
        "InvalidEncryptionAlgorithmError": InvalidRequestError,
        "InvalidPart": InvalidRequestError,
        "InvalidPartOrder": InvalidRequestError,
        "InvalidRequest": InvalidRequestError,
        "InvalidStorageClass": InvalidRequestError,
        "InvalidTag": InvalidRequestError,
        "InvalidURI": InvalidKeyError,
        "InvalidObjectName": InvalidKeyError,
        "KeyTooLongError": InvalidKeyError,
        "MalformedXML": InvalidRequestError,
        "MissingContentLength": InvalidRequestError,
        "MissingSecurityHeader": InvalidRequestError,
        "PermanentRedirect": BucketNotFoundError,
        "Redirect": BucketNotFoundError,
        "TemporaryRedirect": TransientError,
        "InvalidRange": InvalidRangeError,
        "MetadataTooLarge": InvalidMetadataError,
        "NotImplemented": UnsupportedError,
        # throttling and temporary failures
        "Throttling": ThrottledError,
        "ThrottlingException": ThrottledError,
        "ThrottledException": ThrottledError,
        "RequestThrottled": ThrottledError,
        "RequestThrottledException": ThrottledError,
        "RequestLimitExceeded": ThrottledError,
        "BandwidthLimitExceeded": ThrottledError,
        "ProvisionedThroughputExceededException": ThrottledError,
        "SlowDown": ThrottledError,
        "SlowDownRead": ThrottledError,
        "SlowDownWrite": ThrottledError,
        "TooManyRequests": ThrottledError,
        "ServiceUnavailable": ThrottledError,
        "Busy": ThrottledError,
        "InternalError": TransientError,
        "InternalServerError": TransientError,
        "ClientDisconnect": TransientError,
        "RequestTimeout": RequestTimeoutError,
        "RequestTimeoutException": RequestTimeoutError,
    }
)

STATUSES: Mapping[int, type[StorageError]] = MappingProxyType(
    {
        301: BucketNotFoundError,
        304: PreconditionFailedError,
        307: TransientError,
        400: InvalidRequestError,
        401: AuthenticationError,
        403: AccessDeniedError,
        404: NotFoundError,
        405: AccessDeniedError,
        408: RequestTimeoutError,
        409: TransientError,
        411: InvalidRequestError,
        412: PreconditionFailedError,
        413: InvalidRequestError,
        416: InvalidRangeError,
        429: ThrottledError,
        500: TransientError,
        501: UnsupportedError,
        502: TransientError,
        503: ThrottledError,
        504: TransientError,
        507: TransientError,
        509: ThrottledError,
    }
)

HINTS: Mapping[str, str] = MappingProxyType(
    {
        "AccessDenied": "the credentials do not allow this; `bucketry doctor` shows what they allow",
        "RequestTimeTooSkewed": "this machine's clock is off by more than 15 minutes; set it",
        "InvalidAccessKeyId": "the endpoint does not know this access key id; check the credentials and the endpoint",
        "SignatureDoesNotMatch": "the secret does not belong to the access key id; check the credentials",
        "ExpiredToken": "the temporary credentials have expired; get new ones",
        "PermanentRedirect": "the bucket is in another region; set region to it",
        "AuthorizationHeaderMalformed": "the bucket is in another region; set region to it",
        "NoSuchVersion": "there is no such version of the object",
        "InvalidObjectState": "the object is archived; restore it first",
        "EntityTooSmall": "a part other than the last one is smaller than the vendor allows",
    }
)

# A response to HEAD has no body, so only its status says what was wrong.
UNEXPLAINED: Mapping[int, str] = MappingProxyType(
    {
        301: "the bucket is in another region; set region to it",
        400: "the server gave no reason: the region may be wrong, or the credentials may have expired; "
        "`bucketry doctor` finds it",
        403: "the server gave no reason: the credentials may be wrong or not allow this, or it does not exist; "
        "`bucketry doctor` finds it",
    }
)

_SERVER_ERRORS = range(500, 600)
_OF_UPLOADS = frozenset({"put_part", "list_parts", "complete_multipart", "abort_multipart"})
_MAKES_OBJECTS = frozenset({"put", "create_multipart"})  # here a 404 is about the bucket, not about the object


def error_class(code: str | None, status: int | None, vendor: Vendor) -> type[StorageError]:
    """Return the error class for an error response: by the vendor's row, then by code, then by status.

    Args:
        code: The code in the response's XML; `None`: the response has no body (HEAD).
        status: The response's status.
        vendor: The vendor's row; its throttle codes and statuses are checked first.
    """
    if code in vendor.throttle_codes or (status in vendor.throttle_statuses and status is not None):
        return ThrottledError
    known = CODES.get(code or "") or STATUSES.get(status or 0)
    if known is not None:
        return known
    return TransientError if status in _SERVER_ERRORS else InvalidRequestError


def refusal_error(
    refusal: Refusal,
    vendor: Vendor,
    where: str,
    *,
    operation: str,
    bucket: str,
    key: str | None,
    creates: bool = False,
    replaces: bool = False,
) -> StorageError:
    """Return the error for an error response.

    Args:
        refusal: The error response.
        vendor: The vendor's row, with throttle codes, statuses and hints.
        where: The beginning of the message, such as `"s3://bucket/key"`.
        operation: The provider's method.
        bucket: The bucket.
        key: The object; `None` if the request is about the bucket.
        creates: Whether the write has `if_none_match="*"`, so that a failed precondition means that the object exists.
        replaces: Whether the write has `if_match`, so that a missing object is a failed precondition.
    """
    status, headers, fields = refusal.status, refusal.headers, refusal.fields
    code = fields.get("Code") or None
    kind = error_class(code, status, vendor)
    if kind is AccessDeniedError and headers.get("x-amz-delete-marker") == "true":
        kind, hint = NotFoundError, "this version is a delete marker"  # S3 answers 405, Method Not Allowed
    else:
        kind, hint = _meaning(kind, code, operation, creates=creates, replaces=replaces)
    if code is None and status == 404 and key is None:  # noqa: PLR2004
        kind = BucketNotFoundError
    if kind is AccessDeniedError:
        hint = hint or vendor.denied_hint
    hint = hint or (HINTS.get(code, "") if code else UNEXPLAINED.get(status or 0, ""))
    region = headers.get("x-amz-bucket-region") or fields.get("Region")
    if region and (kind is BucketNotFoundError or code == "AuthorizationHeaderMalformed"):
        hint = f"the bucket is in region {region!r}; set region to it"
    elif kind is BucketNotFoundError and not hint:
        hint = f"there is no bucket {bucket!r} at this endpoint"
        if vendor.wrong_region_as_missing_bucket:
            hint += " (or it is in another region)"
        if code is None:
            hint += ", or the endpoint is not that of an S3 server"
    elif kind is ThrottledError and not hint:
        hint = "make fewer requests at once, or try again later"
    elif kind is NotFoundError and not hint:
        hint = "there is no such object"
    text = fields.get("Message", "").strip()
    words = f"{code or f'status {status}'}" + (f" ({text})" if text and text != code else "")
    return kind(
        f"{where}: {operation} was answered {words}{'; ' if hint else ''}{hint}",
        provider=vendor.name,
        bucket=bucket,
        key=key,
        operation=operation,
        status=status,
        code=code,
        request_id=headers.get("x-amz-request-id") or fields.get("RequestId"),
        retry_after=_retry_after(headers) if issubclass(kind, TransientError) else None,
    )


def _meaning(
    kind: type[StorageError], code: str | None, operation: str, *, creates: bool, replaces: bool
) -> tuple[type[StorageError], str]:
    """Return a more exact class for the error of a write, and a hint for its message."""
    if kind is PreconditionFailedError and creates:
        return AlreadyExistsError, "the object exists already, and was left as it is"
    if kind is NotFoundError and replaces:
        return PreconditionFailedError, "there is no object to replace, and nothing was written"
    if kind is NotFoundError and operation in _OF_UPLOADS and code == "NoSuchKey":
        return UploadNotFoundError, "the upload was completed or aborted"  # Ceph 16 answers so to `list_parts`
    if kind is NotFoundError and operation in _MAKES_OBJECTS:
        return BucketNotFoundError, "there is no such bucket there, or it does not accept a key of this form"
    return kind, ""


def _retry_after(headers: Mapping[str, str]) -> float | None:
    """Return the seconds to wait, from `Retry-After`: a number, or a date by the server's clock (RFC 9110 § 10.2.3)."""
    value = headers.get("retry-after", "")
    try:
        wait = float(value)
    except ValueError:
        then, now = seconds_of(value), seconds_of(headers.get("date"))
        if then is None:
            return None
        wait = then - (time.time() if now is None else now)
    return max(0.0, wait)
