"""The headers that a provider's configuration adds to its requests: payer, bucket owner, encryption."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from dataclasses import replace

from bucketry._core.frozen import dataclass
from bucketry._core.s3_config import S3FamilyConfig
from bucketry._session.endpoint import Endpoint
from bucketry._vendors.row import Vendor
from bucketry.errors import ConfigError

CUSTOMER_KEY = "customer"
"""The name in a row's `encryption` for encryption by a key that each request contains."""

_SSE = "server-side-encryption"


class HiddenText(str):
    """A text whose `repr` hides it, because error reports show local variables by their `repr`."""

    __slots__ = ()

    def __repr__(self) -> str:
        """Return three stars."""
        return "'***'"


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfiguredHeaders:
    """Headers by lower-case name, for each kind of request.

    Attributes:
        every: Headers of every request.
        existing: Headers of requests about the bytes or properties of an existing object or upload.
        new: Headers of requests that make an object or open an upload.
        source: Headers of copies, about the object that is copied.
    """

    every: Mapping[str, str]
    existing: Mapping[str, str]
    new: Mapping[str, str]
    source: Mapping[str, str]


def configured_headers(config: S3FamilyConfig, vendor: Vendor, endpoint: Endpoint) -> ConfiguredHeaders:
    """Return the headers that the configuration asks for.

    Raises:
        ConfigError: The vendor's row does not support an entry, or a customer's key would be sent over a network
            unencrypted.

    Source: https://docs.aws.amazon.com/AmazonS3/latest/userguide/ServerSideEncryptionCustomerKeys.html
    """
    every: dict[str, str] = {}
    source: dict[str, str] = {}
    if config.request_payer:
        _expect("request_payer", vendor, config, known=vendor.capabilities.request_payer)
        every["x-amz-request-payer"] = "requester"
    if (owner := config.expected_bucket_owner) is not None:
        _expect("expected_bucket_owner", vendor, config, known=vendor.capabilities.expected_bucket_owner)
        every["x-amz-expected-bucket-owner"] = owner
        source["x-amz-source-expected-bucket-owner"] = owner
    if config.sse_customer_key is not None:
        _expect("sse_customer_key", vendor, config, known=CUSTOMER_KEY in vendor.capabilities.encryption)
        if (endpoint.url or "").startswith("http://") and not endpoint.loopback:
            problem = "plain http would send the key unencrypted; use https"
            raise ConfigError(f"{vendor.name}: sse_customer_key: {problem}")
        key = config.customer_key or b""  # read after the checks, because error reports show local variables
        existing = _customer_headers(f"x-amz-{_SSE}", key)
        source |= _customer_headers(f"x-amz-copy-source-{_SSE}", key)
        return ConfiguredHeaders(every=every, existing=existing, new=existing, source=source)
    return ConfiguredHeaders(every=every, existing={}, new=_managed_headers(config, vendor), source=source)


def _customer_headers(name: str, key: bytes) -> dict[str, str]:
    digest = hashlib.md5(key, usedforsecurity=False).digest()
    return {
        f"{name}-customer-algorithm": "AES256",
        f"{name}-customer-key": HiddenText(base64.b64encode(key).decode()),
        f"{name}-customer-key-md5": base64.b64encode(digest).decode(),
    }


def _managed_headers(config: S3FamilyConfig, vendor: Vendor) -> dict[str, str]:
    algorithm = config.server_side_encryption
    if algorithm is None:
        return {}
    known = algorithm in vendor.capabilities.encryption
    _expect(f"server_side_encryption={algorithm!r}", vendor, config, known=known)
    headers = {f"x-amz-{_SSE}": str(algorithm)}
    if config.kms_key_id is not None:
        headers[f"x-amz-{_SSE}-aws-kms-key-id"] = config.kms_key_id
    if config.bucket_key:
        headers[f"x-amz-{_SSE}-bucket-key-enabled"] = "true"
    return headers


def _expect(entry: str, vendor: Vendor, config: S3FamilyConfig, *, known: bool) -> None:
    if not known:
        problem = f"{vendor.title} is not known to do this; leave it out"
        if config.endpoint_url is not None:
            problem += ", or give server='aws' for a server of your own that supports all that AWS supports"
        raise ConfigError(f"{vendor.name}: {entry}: {problem}")


def unsigned(vendor: Vendor) -> Vendor:
    """Return the row for unsigned requests, without SHA-256 as checksum, because it would be part of a signature."""
    row = vendor.capabilities
    put = None if row.put_checksum == "sha256" else row.put_checksum
    part = None if row.multipart_checksum == "sha256" else row.multipart_checksum
    return replace(vendor, capabilities=replace(row, put_checksum=put, multipart_checksum=part))
