"""The features and limits of a provider, which transfer code reads; `_vendors` has the values for each vendor."""

from __future__ import annotations

from typing import Literal, TypeAlias

from bucketry._core.frozen import dataclass
from bucketry._core.units import GiB, MiB, TiB

UnicodeForm: TypeAlias = Literal["NFC", "NFD", "NFKC", "NFKD"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Capabilities:
    """The features and limits of one vendor. The defaults are those of a provider with the fewest features.

    If a field is false or empty, the method that needs this feature raises `UnsupportedError` before any byte is sent.

    Attributes:
        max_object_size: Largest object, bytes.
        max_put_size: Largest object of one PUT, bytes.
        max_copy_size: Largest object of one server-side copy request, bytes.
        multipart: Multipart uploads exist; without multipart uploads, every object is sent in one request.
        min_part_size: Smallest part, bytes; the last part may be smaller.
        max_part_size: Largest part, bytes.
        max_parts: Parts in one upload.
        equal_part_sizes: All parts but the last must have the same length; the last part must not be longer.
        multipart_threshold: Objects with more bytes are uploaded in parts, unless `TransferConfig` has a threshold.
        max_list_keys: Keys in one listing page.
        max_delete_keys: Keys in one bulk delete; 1 if there is no bulk delete.
        max_key_length: Bytes of UTF-8 in a key.
        max_metadata_size: Bytes of user metadata, names and values together.
        put_if_none_match: The vendor enforces `if_none_match="*"` on a single PUT.
        complete_if_none_match: The vendor enforces `if_none_match="*"` when a multipart upload is completed.
        put_if_match: The vendor enforces `if_match` on a single PUT.
        complete_if_match: The vendor enforces `if_match` when a multipart upload is completed.
        get_if_match: The vendor enforces `if_match` on reads (bucketry also compares the etag of every response).
        copy_source_if_match: The vendor refuses a copy if the source does not have the etag that the request names.
        put_checksum: The checksum that is sent with a single PUT and checked by the vendor; `"sha256"`: the body's hash
            in the signature; `None`: no checksum.
        multipart_checksum: The checksum that is sent with each part and checked by the vendor, as in `put_checksum`.
        full_object_checksum: Completing a multipart upload sends a checksum of the whole object, combined from the
            parts' checksums.
        stored_checksums: The algorithms of stored checksums that can verify reads, best first.
        stable_multipart_etag: HEAD returns the same etag as the completion of the multipart upload.
        copy: Server-side copy exists.
        copy_between_buckets: The server can copy an object from another bucket of the same account.
        presign_methods: HTTP methods for which `presign` can sign URLs; empty: none.
        presign_post: Browser uploads by a signed form exist.
        max_presign_expiry: Longest lifetime of a presigned URL, seconds.
        versions: If the bucket keeps versions, they can be listed, and read and removed by their id.
        tags: Objects have tags.
        encryption: The kinds that the configuration can request: `"AES256"`, `"aws:kms"`, and `"customer"` for the
            user's own key, sent with every request; empty: none.
        request_payer: The vendor accepts `request_payer=True`: the caller, not the bucket's owner, pays for requests.
        expected_bucket_owner: The vendor refuses a request if the account in `expected_bucket_owner` does not own the
            bucket.
        soft_delete: Deleting hides the object, and its bytes are still billed.
        key_normalization: The vendor changes keys to this Unicode form, such as `"NFC"`; `None`: no change.
        buffers_bodies: The whole body of a write is in memory while it is sent.
        buffers_parts: A whole part from a file is in memory while it is sent; if false, it needs at most 1 MiB.
        plain_paths: Keys are paths of a file system, so a key cannot also be a "directory" of another key.
    """

    max_object_size: int = 5 * TiB
    max_put_size: int = 5 * GiB
    max_copy_size: int = 5 * GiB
    multipart: bool = False
    min_part_size: int = 5 * MiB
    max_part_size: int = 5 * GiB
    max_parts: int = 10_000
    equal_part_sizes: bool = False
    multipart_threshold: int = 16 * MiB
    max_list_keys: int = 1_000
    max_delete_keys: int = 1
    max_key_length: int = 1_024
    max_metadata_size: int = 2_048
    put_if_none_match: bool = False
    complete_if_none_match: bool = False
    put_if_match: bool = False
    complete_if_match: bool = False
    get_if_match: bool = False
    copy_source_if_match: bool = False
    put_checksum: str | None = None
    multipart_checksum: str | None = None
    full_object_checksum: bool = False
    stored_checksums: tuple[str, ...] = ()
    stable_multipart_etag: bool = False
    copy: bool = False
    copy_between_buckets: bool = False
    presign_methods: tuple[str, ...] = ()
    presign_post: bool = False
    max_presign_expiry: int = 604_800
    versions: bool = False
    tags: bool = False
    encryption: tuple[str, ...] = ()
    request_payer: bool = False
    expected_bucket_owner: bool = False
    soft_delete: bool = False
    key_normalization: UnicodeForm | None = None
    buffers_bodies: bool = True
    buffers_parts: bool = True
    plain_paths: bool = False

    @property
    def conditional_put(self) -> bool:
        """Whether the vendor enforces `if_none_match` and `if_match` on writes of any size."""
        return all((self.put_if_none_match, self.complete_if_none_match, self.put_if_match, self.complete_if_match))

    @property
    def checksums(self) -> tuple[str, ...]:
        """All checksum algorithms that are used for writes or reads."""
        used = (self.put_checksum, self.multipart_checksum, *self.stored_checksums)
        return tuple(dict.fromkeys(name for name in used if name))
