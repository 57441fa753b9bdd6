"""The configurations as typed dictionaries, so that editors complete the entries of a dictionary literal.

The classes in `_core/config.py` describe and check the entries; a test compares these classes with the dictionaries.
"""

from __future__ import annotations

import os
from typing import Required, TypedDict

from bucketry._core.choices import AddressingStyle, Server, Transport
from bucketry._core.request_entries import Encryption


class S3FamilyConfigDict(TypedDict, total=False):
    """The entries that all S3-compatible providers share."""

    bucket_name: Required[str]
    endpoint_url: str | None
    addressing_style: AddressingStyle
    transport: Transport
    ca_bundle: str | os.PathLike[str] | None
    allow_http: bool
    connect_timeout: float
    read_timeout: float
    pool_timeout: float | None
    total_timeout: float | None
    max_attempts: int
    retry_delay: float
    max_connections: int | None
    hedge: bool
    server: Server
    anonymous: bool
    request_payer: bool
    expected_bucket_owner: str | None
    server_side_encryption: Encryption | None
    kms_key_id: str | None
    bucket_key: bool
    sse_customer_key: str | bytes | None


class S3ConfigDict(S3FamilyConfigDict, total=False):
    """The entries of `S3Provider`."""

    access_key_id: str | None
    secret_access_key: str | None
    session_token: str | None
    profile: str | None
    region: str


class DigitalOceanConfigDict(S3FamilyConfigDict, total=False):
    """The entries of `DigitalOceanProvider`; it needs `access_key_id` and `secret_access_key`, or `anonymous`."""

    access_key_id: str | None
    secret_access_key: str | None
    region: str


class WasabiConfigDict(S3FamilyConfigDict, total=False):
    """The entries of `WasabiProvider`; it needs `access_key_id` and `secret_access_key`, or `anonymous`."""

    access_key_id: str | None
    secret_access_key: str | None
    region: str


class BackblazeConfigDict(S3FamilyConfigDict, total=False):
    """The entries of `BackblazeProvider`.

    The provider needs `key_id` and `application_key`, or `anonymous`. It also needs `endpoint_url` or `region`.
    """

    key_id: str | None
    application_key: str | None
    region: str | None


class CloudflareR2ConfigDict(S3FamilyConfigDict, total=False):
    """The entries of `CloudflareR2Provider`; it needs `access_key_id` and `secret_access_key`, or `anonymous`."""

    account_id: Required[str]
    access_key_id: str | None
    secret_access_key: str | None
    jurisdiction: str | None


class LocalConfigDict(TypedDict, total=False):
    """The entries of `LocalProvider`."""

    base_path: str | os.PathLike[str]


class MemoryConfigDict(TypedDict, total=False):
    """The entries of `MemoryProvider`, which has none."""
