"""The configuration entries that S3-compatible providers send as headers: payer, owner of the bucket, encryption."""

from __future__ import annotations

import base64
from dataclasses import field
from typing import Any, Literal, SupportsIndex, TypeAlias, get_args

from bucketry._core.entries import ProviderConfig, wrong_entry
from bucketry._core.frozen import dataclass
from bucketry.errors import UnsupportedError

Encryption: TypeAlias = Literal["AES256", "aws:kms"]

CUSTOMER_KEY_SIZE = 32  # AES-256
_ACCOUNT_DIGITS = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class S3RequestEntries(ProviderConfig):
    """The configuration entries that an S3-compatible provider sends with its requests.

    Attributes:
        request_payer: State in every request that its sender pays for it; "requester pays" buckets require this.
        expected_bucket_owner: The account (12 digits) that must own the bucket, else the server refuses all requests.
        server_side_encryption: How the server encrypts new objects: `"AES256"` (with a key that S3 manages) or
            `"aws:kms"` (with a key of AWS KMS). `None`: the bucket's default.
        kms_key_id: With `"aws:kms"`: the key's id, ARN or alias; `None`: AWS's own key for S3.
        bucket_key: With `"aws:kms"`: use a key of the bucket, which saves requests to KMS.
        sse_customer_key: Your own key of 32 bytes, or its base64. The server encrypts new objects with this key
            (SSE-C). Every request for an object's bytes or properties contains the key, so objects that were not
            encrypted with this key cannot be read. If you lose the key, you lose the objects. A configuration with a
            key cannot be pickled.
    """

    request_payer: bool = False
    expected_bucket_owner: str | None = None
    server_side_encryption: Encryption | None = None
    kms_key_id: str | None = None
    bucket_key: bool = False
    sse_customer_key: str | bytes | None = field(default=None, repr=False)

    def __reduce_ex__(self, protocol: SupportsIndex) -> str | tuple[Any, ...]:
        """Pickle the configuration, unless it has a customer key, which every reader of the pickle could see.

        Raises:
            UnsupportedError: The configuration has an `sse_customer_key`.
        """
        if self.sse_customer_key is not None:
            message = (
                f"{self.provider}: sse_customer_key: a pickle would hold the key in clear, so a provider that has one "
                "cannot be pickled; make the provider where it is used, for example from the variable "
                "BUCKETRY_SSE_CUSTOMER_KEY"
            )
            raise UnsupportedError(message, provider=self.provider)
        return object.__reduce_ex__(self, protocol)

    @property
    def customer_key(self) -> bytes | None:
        """The 32 bytes of `sse_customer_key`; `None`: there is none."""
        given = self.sse_customer_key
        return base64.b64decode(given, validate=True) if isinstance(given, str) else given

    def _check_request_entries(self) -> None:
        self._bool("request_payer", "bucket_key")
        self._text("expected_bucket_owner", "kms_key_id")
        owner = self.expected_bucket_owner
        if owner is not None and not (owner.isascii() and owner.isdecimal() and len(owner) == _ACCOUNT_DIGITS):
            raise wrong_entry(self.provider, "expected_bucket_owner", f"{owner!r} is not the 12 digits of an account")
        if self.kms_key_id is not None and not self.kms_key_id.isascii():
            raise wrong_entry(self.provider, "kms_key_id", f"{self.kms_key_id!r} is not ASCII, as ids and aliases are")
        if self.server_side_encryption is not None:
            self._one_of("server_side_encryption", get_args(Encryption))
        for name in ("kms_key_id", "bucket_key"):
            if getattr(self, name) and self.server_side_encryption != "aws:kms":
                raise wrong_entry(self.provider, name, "is for server_side_encryption='aws:kms'; give that as well")
        if self.sse_customer_key is None:
            return
        if not self._is_customer_key():  # the message does not show the key
            raise wrong_entry(self.provider, "sse_customer_key", "must be 32 bytes, or a str that is their base64")
        if self.server_side_encryption is not None:
            problem = "server_side_encryption is given too; leave one of them out"
            raise wrong_entry(self.provider, "sse_customer_key", problem)

    def _is_customer_key(self) -> bool:
        try:
            key = self.customer_key
        except ValueError:
            return False
        return isinstance(key, bytes) and len(key) == CUSTOMER_KEY_SIZE
