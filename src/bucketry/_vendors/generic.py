"""An S3-compatible server with unknown features: the row that assumes the fewest."""

from __future__ import annotations

from bucketry._core.capabilities import Capabilities
from bucketry._vendors.row import Vendor

VENDOR = Vendor(
    name="s3",
    title="S3-compatible server",
    scheme="s3",
    capabilities=Capabilities(
        multipart=True,
        max_delete_keys=1_000,
        copy=True,
        # A status 200 proves nothing: Wasabi ignores If-None-Match, overwrites and answers 200. So no condition is
        # trusted; the etag of every answer is compared instead.
        put_if_none_match=False,
        complete_if_none_match=False,
        put_if_match=False,
        complete_if_match=False,
        get_if_match=False,
        copy_source_if_match=False,
        # The payload's hash is part of the signature, so every server that checks signatures checks it. Some servers
        # ignore or refuse the newer checksum headers. MD5 takes twice as long.
        put_checksum="sha256",
        multipart_checksum="sha256",
        stored_checksums=(),
        stable_multipart_etag=False,
        # Signing needs no server, and SigV4 requires that servers accept signed GET, PUT, HEAD and DELETE.
        presign_methods=("GET", "PUT", "HEAD", "DELETE"),
        presign_post=False,
        versions=False,
        tags=False,
        encryption=(),
        # It lets a server charge; one that does not know the header does all that was asked.
        request_payer=True,
        # A server that ignores it would not protect from another owner's bucket.
        expected_bucket_owner=False,
    ),
    endpoint_template="",
    endpoint_host="",
    regions=(),
    signing_region="{region}",
    addressing_style="path",  # virtual hosts need a wildcard DNS name and certificate; few servers have both
)
