"""Translates exceptions of botocore, aiobotocore and aiohttp into errors of this package."""

from __future__ import annotations

import asyncio

import aiohttp
from botocore import exceptions as boto
from botocore.discovery import EndpointDiscoveryException
from botocore.parsers import ResponseParserError

from bucketry._session.versions import present
from bucketry._wire.errors import Refusal
from bucketry.errors import (
    AuthenticationError,
    ConfigError,
    ConnectionFailedError,
    IncompleteBodyError,
    IntegrityError,
    InvalidRequestError,
    RequestTimeoutError,
    StorageError,
    TransientError,
    UnreachableError,
    UnsupportedError,
)

_CONFIGURATION = (
    boto.ApiVersionNotFoundError,
    boto.BaseEndpointResolverError,
    boto.ConfigNotFound,
    boto.ConfigParseError,
    boto.DataNotFoundError,
    boto.EndpointProviderError,
    EndpointDiscoveryException,
    boto.InvalidChecksumConfigError,
    boto.InvalidConfigError,
    boto.InvalidDNSNameError,
    boto.InvalidDefaultsMode,
    boto.InvalidEndpointConfigurationError,
    boto.InvalidEndpointDiscoveryConfigurationError,
    boto.InvalidHostLabelError,
    boto.InvalidIMDSEndpointError,
    boto.InvalidIMDSEndpointModeError,
    boto.InvalidProxiesConfigError,
    boto.InvalidRegionError,
    boto.InvalidRetryConfigurationError,
    boto.InvalidS3AddressingStyleError,
    boto.InvalidS3UsEast1RegionalEndpointConfigError,
    boto.InvalidSTSRegionalEndpointsConfigError,
    boto.ProfileNotFound,
    boto.ServiceNotInRegionError,
    boto.UnknownCredentialError,
    boto.UnknownRegionError,
    boto.UnknownServiceStyle,
    *present(boto, "UnknownTokenProviderError"),
)
_CREDENTIALS = (
    boto.CredentialRetrievalError,
    *present(boto, "LoginError"),
    boto.MetadataRetrievalError,
    boto.NoAuthTokenError,
    boto.NoCredentialsError,
    boto.PartialCredentialsError,
    boto.RefreshWithMFAUnsupportedError,
    boto.SSOError,
    boto.TokenRetrievalError,
)
_UNSUPPORTED = (
    boto.CapacityNotAvailableError,
    boto.MD5UnavailableError,
    boto.MissingDependencyException,
    boto.OperationNotPageableError,
    boto.UnknownSignatureVersionError,
    boto.UnsupportedOutpostResourceError,
    boto.UnsupportedS3AccesspointConfigurationError,
    boto.UnsupportedS3ArnError,
    boto.UnsupportedS3ConfigurationError,
    boto.UnsupportedS3ControlArnError,
    boto.UnsupportedS3ControlConfigurationError,
    boto.UnsupportedServiceProtocolsError,
    boto.UnsupportedSignatureVersionError,
)
_REFUSED = (
    boto.AwsChunkedWrapperError,
    boto.InvalidExpressionError,
    boto.MissingParametersError,
    boto.PaginationError,
    boto.ParamValidationError,
    boto.StubResponseError,
    boto.UnknownClientMethodError,
    boto.UnseekableStreamError,
    boto.ValidationError,
    boto.WaiterConfigError,
    boto.WaiterError,
)

EXCEPTIONS: dict[type[BaseException], type[StorageError]] = {
    **dict.fromkeys(_CONFIGURATION, ConfigError),
    **dict.fromkeys(_CREDENTIALS, AuthenticationError),
    **dict.fromkeys(_UNSUPPORTED, UnsupportedError),
    **dict.fromkeys(_REFUSED, InvalidRequestError),
    boto.ReadTimeoutError: RequestTimeoutError,
    boto.ConnectTimeoutError: RequestTimeoutError,
    boto.ResponseStreamingError: IncompleteBodyError,
    boto.IncompleteReadError: IncompleteBodyError,
    boto.ConnectionError: ConnectionFailedError,
    boto.EndpointConnectionError: UnreachableError,
    boto.ProxyConnectionError: UnreachableError,
    boto.ConnectionClosedError: ConnectionFailedError,
    boto.HTTPClientError: ConnectionFailedError,
    boto.SSLError: ConfigError,  # a retry does not help, because a wrong or untrusted certificate stays wrong
    boto.ChecksumError: IntegrityError,
    boto.FlexibleChecksumError: IntegrityError,
    ResponseParserError: TransientError,  # the response is not XML; it is a proxy's page, or it is incomplete
    aiohttp.ClientPayloadError: IncompleteBodyError,
    aiohttp.ClientSSLError: ConfigError,
    aiohttp.ClientError: ConnectionFailedError,
    asyncio.TimeoutError: RequestTimeoutError,
    OSError: ConnectionFailedError,
}
"""The error class of this package for each exception class; the most specific class of an exception is used."""

_HINTS: dict[type[BaseException], str] = {
    boto.NoCredentialsError: (
        "give access_key_id and secret_access_key, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY in the environment, "
        "or a profile"
    ),
    boto.SSLError: "is it an https server, and its certificate trusted? ca_bundle names the authorities to trust",
    boto.ProfileNotFound: "profiles are in ~/.aws/config and ~/.aws/credentials",
}

BORDER = (
    boto.BotoCoreError,
    boto.ClientError,
    boto.HTTPClientError,
    ResponseParserError,
    aiohttp.ClientError,
    asyncio.TimeoutError,
    OSError,
)
"""The exceptions that a call through aiobotocore can raise, except a cancellation."""


def exception_class(exc: BaseException) -> type[StorageError]:
    """Return the error class of this package for an exception that does not come from an error response."""
    for kind in type(exc).__mro__:
        if kind in EXCEPTIONS:
            return EXCEPTIONS[kind]
    return InvalidRequestError


def description_of(exc: BaseException) -> str:
    """Describe an exception that does not come from an error response, with a hint and without a signed URL."""
    # Only the text of a `BotoCoreError` or `OSError` is shown, and only without a signature. Any other exception shows
    # only its class name, because its text may quote a signed URL.
    detail = str(exc) if isinstance(exc, (boto.BotoCoreError, OSError)) and "Signature" not in str(exc) else ""
    hint = next((words for border, words in _HINTS.items() if isinstance(exc, border)), "")
    said = "; ".join(filter(None, (detail, hint)))
    return f"{type(exc).__name__}{': ' if said else ''}{said}"


def without_quotes(exc: BaseException) -> None:
    """Remove the fields of an error response that may quote the request, which contains a token."""
    if isinstance(exc, boto.ClientError):
        fields = exc.response.get("Error", {})
        for name in fields.keys() - {"Code", "Message", "Region", "RequestId"}:
            del fields[name]


def refusal_of(exc: BaseException) -> Refusal | None:
    """Return the error response that an exception contains; `None`: no response came."""
    if not isinstance(exc, boto.ClientError):
        return None
    answer = exc.response
    error, meta = answer.get("Error", {}), answer.get("ResponseMetadata", {})
    fields = {name: str(value) for name, value in error.items()}
    if fields.get("Code", "").isdigit():  # if the response has no body, botocore stores the status as its code
        del fields["Code"]
    return Refusal(
        status=meta.get("HTTPStatusCode"),
        headers=meta.get("HTTPHeaders", {}),
        fields=fields | {"RequestId": meta.get("RequestId") or ""},
    )
