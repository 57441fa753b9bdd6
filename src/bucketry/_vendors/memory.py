"""What bucketry knows of a store in the memory of this process: limits and features."""

from __future__ import annotations

from bucketry._core.capabilities import Capabilities
from bucketry._core.units import MiB
from bucketry._vendors.row import Vendor

_LARGEST = 2**63 - 1  # as on the local disk; in practice the machine's memory is the limit

VENDOR = Vendor(
    name="memory",
    title="Memory",
    scheme="memory",
    capabilities=Capabilities(
        max_object_size=_LARGEST,
        max_put_size=_LARGEST,
        max_copy_size=_LARGEST,
        multipart=True,
        min_part_size=1,  # so that tests can make many small parts
        max_part_size=_LARGEST,
        multipart_threshold=16 * MiB,  # as in the clouds, so that tests run the same code
        max_delete_keys=1_000,
        max_key_length=1_024,
        max_metadata_size=8_192,
        put_if_none_match=True,
        complete_if_none_match=True,
        put_if_match=True,
        complete_if_match=True,
        get_if_match=True,
        copy_source_if_match=True,
        put_checksum="crc32",
        multipart_checksum="crc32",
        full_object_checksum=True,
        stored_checksums=("crc32",),
        stable_multipart_etag=True,
        copy=True,
        presign_methods=(),
        presign_post=False,
        versions=False,
        tags=True,
        plain_paths=False,
    ),
)
