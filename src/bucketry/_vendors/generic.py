"""What bucketry assumes of an S3-compatible server that it does not know: as few features as possible."""

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
        # A status 200 does not prove that a server enforces conditions. Wasabi, for example, ignores If-None-Match,
        # overwrites the object and answers 200. So writes with conditions are refused here, and reads compare the
        # response's etag.
        put_if_none_match=False,
        complete_if_none_match=False,
        put_if_match=False,
        complete_if_match=False,
        get_if_match=False,
        copy_source_if_match=False,
        # sha256 is the payload's hash. It is signed, so every server that checks signatures also checks the hash. Some
        # servers ignore or refuse the newer checksum headers. MD5 takes twice as long as SHA-256.
        put_checksum="sha256",
        multipart_checksum="sha256",
        stored_checksums=(),
        stable_multipart_etag=False,
        # Signing a URL sends no request, and SigV4 requires that servers accept signed GET, PUT, HEAD and DELETE.
        presign_methods=("GET", "PUT", "HEAD", "DELETE"),
        presign_post=False,
        versions=False,
        tags=False,
        encryption=(),
        # True, because the header only allows the server to charge the caller. A server that does not know the header
        # still carries out the request.
        request_payer=True,
        # False, because a server that ignores this header would also accept requests to another owner's bucket.
        expected_bucket_owner=False,
    ),
    endpoint_template="",
    endpoint_host="",
    regions=(),
    signing_region="{region}",
    addressing_style="path",  # virtual hosts need a wildcard DNS name and certificate, and few servers have both
)
