"""What a provider can do and how much of it: the part of a vendor's row that transfer code asks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from bucketry._core.units import GiB, MiB, TiB


@dataclass(frozen=True, slots=True, kw_only=True)
class Capabilities:
    """Limits and promises of one vendor, as dated facts. The defaults are those of a provider that does the least.

    A promise is kept or refused, never silently broken: where a field says no, the method that
    needs it raises `UnsupportedError` before any byte is sent.

    Attributes:
        max_object_size: Largest object, bytes.
        max_put_size: Largest object one PUT may carry, bytes.
        max_copy_size: Largest object one server-side copy request may copy, bytes.
        multipart: Uploads in parts exist; without them every object goes in one request.
        min_part_size: Smallest part but the last, bytes.
        max_part_size: Largest part, bytes.
        max_parts: Parts in one upload.
        equal_part_sizes: All parts but the last must be of one length, the last not longer.
        multipart_threshold: Size from which parts pay, bytes; used where `TransferConfig` names none.
        max_list_keys: Keys in one listing page.
        max_delete_keys: Keys in one bulk delete; 1 where there is no bulk delete.
        max_key_length: Bytes of UTF-8 in a key.
        max_metadata_size: Bytes of user metadata, names and values together.
        put_if_none_match: `if_none_match="*"` holds on a single PUT.
        complete_if_none_match: The same for completing a multipart upload.
        put_if_match: `if_match=` holds on a single PUT.
        complete_if_match: The same for completing a multipart upload.
        get_if_match: `if_match=` holds on reads (the etag of every answer is compared as well).
        copy_source_if_match: A copy can be pinned to the source's etag.
        put_checksum: Checksum sent with, and checked by the vendor on, a single PUT; `"sha256"`: the payload's hash in
            the signature; `None`: none.
        multipart_checksum: The same for each part: the proof that it arrived whole.
        full_object_checksum: Multipart uploads declare a checksum of the whole object, combined from the parts'.
        stored_checksums: Algorithms that reads can be verified with, best first.
        stable_multipart_etag: HEAD after completion answers the etag that completion answered.
        copy: Server-side copy exists.
        presign_methods: HTTP methods that `presign` can sign; empty where there is none.
        presign_post: Browser uploads by a signed form exist.
        max_presign_expiry: Seconds.
        versions: Versions of objects can be listed, and read and removed by their id, where the bucket keeps them.
        tags: Objects have tags.
        encryption: What the configuration can ask for: `"AES256"`, `"aws:kms"`, and `"customer"` for a key of one's
            own, sent with every request; empty: nothing.
        request_payer: Takes `request_payer=True`, by which whoever asks pays for the request.
        expected_bucket_owner: Refuses a request whose `expected_bucket_owner` does not own the bucket.
        soft_delete: Deleting hides the object and its bytes stay billed.
        key_normalization: Unicode form the vendor turns keys into before storing, such as `"NFC"`; `None`: none.
        buffers_bodies: The body of a write is held in memory while it is sent.
        buffers_parts: So is a part that comes from a file; where not, it goes through a buffer of at most 1 MiB.
        plain_paths: Keys are paths of a file system: a key cannot also be a "directory" of another.
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
    presign_methods: tuple[str, ...] = ()
    presign_post: bool = False
    max_presign_expiry: int = 604_800
    versions: bool = False
    tags: bool = False
    encryption: tuple[str, ...] = ()
    request_payer: bool = False
    expected_bucket_owner: bool = False
    soft_delete: bool = False
    key_normalization: Literal["NFC", "NFD", "NFKC", "NFKD"] | None = None
    buffers_bodies: bool = True
    buffers_parts: bool = True
    plain_paths: bool = False

    @property
    def conditional_put(self) -> bool:
        """Whether create-only and compare-and-swap writes hold on objects of any size."""
        return all((self.put_if_none_match, self.complete_if_none_match, self.put_if_match, self.complete_if_match))

    @property
    def checksums(self) -> tuple[str, ...]:
        """Every checksum algorithm in use, for writes or reads."""
        used = (self.put_checksum, self.multipart_checksum, *self.stored_checksums)
        return tuple(dict.fromkeys(name for name in used if name))
