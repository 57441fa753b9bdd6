"""The entries of the S3 family that go with requests as headers: who pays, whose bucket it is, encryption."""

from __future__ import annotations

import base64
from dataclasses import dataclass, field
from typing import Any, Literal, SupportsIndex, TypeAlias, get_args

from bucketry._core.entries import ProviderConfig, wrong_entry
from bucketry.errors import UnsupportedError

Encryption: TypeAlias = Literal["AES256", "aws:kms"]

CUSTOMER_KEY_SIZE = 32  # AES-256
_ACCOUNT_DIGITS = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class S3RequestEntries(ProviderConfig):
    """What the configuration of an S3-compatible provider adds to its requests.

    Attributes:
        request_payer: Say with every request that whoever asks pays for it, as buckets of "requester pays" want it.
        expected_bucket_owner: The 12 digits of the account that must own the bucket, else every request is refused.
        server_side_encryption: Have objects encrypted: `"AES256"` (a key of S3's) or `"aws:kms"` (a key of AWS KMS).
            `None`: as the bucket does by default.
        kms_key_id: With `"aws:kms"`, the key's id, ARN or alias; `None`: AWS's own key for S3.
        bucket_key: With `"aws:kms"`: use a key of the bucket, which saves requests to KMS.
        sse_customer_key: 32 bytes, or their base64: objects are encrypted with them (SSE-C), and every request for an
            object's bytes or facts carries them, so that other objects cannot be read. Whoever loses the key loses the
            objects. A configuration that holds it cannot be pickled.
    """

    request_payer: bool = False
    expected_bucket_owner: str | None = None
    server_side_encryption: Encryption | None = None
    kms_key_id: str | None = None
    bucket_key: bool = False
    sse_customer_key: str | bytes | None = field(default=None, repr=False)

    def __reduce_ex__(self, protocol: SupportsIndex) -> str | tuple[Any, ...]:
        """Pickle, unless there is a key that whoever reads the pickle could take.

        Raises:
            UnsupportedError: There is a `sse_customer_key`.
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
        if not self._is_customer_key():  # neither it nor what is wrong with it is shown
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
