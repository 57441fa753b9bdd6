"""What a vendor's answer means: one table from error code, and one from status, to an error class.

Sources: https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html,
https://developers.cloudflare.com/r2/api/error-codes/, https://docs.wasabi.com/docs/rest-api-introduction,
https://www.backblaze.com/docs/cloud-storage-s3-compatible-api.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from bucketry._vendors.row import Vendor
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
        # who asks
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
        # what was sent
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
        # later
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
        "RequestTimeTooSkewed": "this machine's clock is off by more than 15 minutes; set it",
        "InvalidAccessKeyId": "the access key id is not known there; check the credentials and the endpoint",
        "SignatureDoesNotMatch": "the secret does not belong to the access key id; check the credentials",
        "ExpiredToken": "the temporary credentials have expired; get new ones",
        "PermanentRedirect": "the bucket is in another region; set region to it",
        "AuthorizationHeaderMalformed": "the bucket is in another region; set region to it",
        "InvalidObjectState": "the object is archived; restore it first",
        "EntityTooSmall": "a part but the last is smaller than the vendor allows",
    }
)

_SERVER_ERRORS = range(500, 600)


def error_class(code: str | None, status: int | None, vendor: Vendor) -> type[StorageError]:
    """Give the class of error for an answer: by the vendor's row, then by code, then by status.

    Args:
        code: From the answer's XML; `None` or digits where there was no body (HEAD).
        status: Of the HTTP answer.
        vendor: The row, whose throttle signals come first.
    """
    if code in vendor.throttle_codes or (status in vendor.throttle_statuses and status is not None):
        return ThrottledError
    known = CODES.get(code or "") or STATUSES.get(status or 0)
    if known is not None:
        return known
    return TransientError if status in _SERVER_ERRORS else InvalidRequestError
