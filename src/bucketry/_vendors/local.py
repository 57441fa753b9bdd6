"""What bucketry knows of a directory on the local disk: limits and features."""

from __future__ import annotations

from bucketry._core.capabilities import Capabilities
from bucketry._vendors.row import Vendor

_LARGEST = 2**63 - 1  # the largest `off_t`, the type of file sizes

VENDOR = Vendor(
    name="local",
    title="Local disk",
    scheme="file",
    capabilities=Capabilities(
        max_object_size=_LARGEST,
        max_put_size=_LARGEST,
        max_copy_size=_LARGEST,
        multipart=True,
        min_part_size=1,
        max_part_size=_LARGEST,
        multipart_threshold=_LARGEST,  # never in parts, because parts are not faster on a disk
        max_delete_keys=1_000,
        max_key_length=1_024,  # as in the clouds, so that objects can be copied there
        max_metadata_size=8_192,
        # The package itself enforces these; the contract tests check them.
        put_if_none_match=True,
        complete_if_none_match=True,
        put_if_match=True,
        complete_if_match=True,
        get_if_match=True,
        copy_source_if_match=True,
        put_checksum=None,  # none, because no network is between the program and the file system
        multipart_checksum=None,
        stored_checksums=(),
        stable_multipart_etag=True,
        copy=True,
        presign_methods=(),
        presign_post=False,
        versions=False,
        tags=True,
        buffers_bodies=False,  # the kernel copies files; without kernel support, blocks of 1 MiB are copied
        buffers_parts=False,  # as above
        plain_paths=True,
    ),
)
