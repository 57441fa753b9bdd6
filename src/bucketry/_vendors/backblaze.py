"""What bucketry knows of Backblaze B2, used through its S3-compatible API: limits, features, endpoints, prices.

The project Cmdr is a file manager whose authors tested this vendor on a real account; see `row`.
"""

from __future__ import annotations

from datetime import date
from decimal import Decimal

from bucketry._core.capabilities import Capabilities
from bucketry._core.units import MiB
from bucketry._vendors.prices import GB, KINDS, MILLION, Price, PricePage, Prices, RequestPrice, StorageClass
from bucketry._vendors.row import Vendor

_PAGE = PricePage(url="https://www.backblaze.com/cloud-storage/transaction-pricing", as_of=date(2026, 10, 1))

_PRICES = Prices(
    classes=(
        StorageClass(
            name="STANDARD",
            storage=Price(dollars=Decimal("0.00695"), per=GB, unit="GB", source=_PAGE),  # $6.95 a TB
            free=10 * GB,
            requests=(
                RequestPrice(
                    name="class A, B, C",
                    kinds=KINDS,
                    price=Price(dollars=Decimal(0), per=MILLION, unit="million", source=_PAGE),
                ),
            ),
        ),
    ),
    egress=Price(dollars=Decimal("0.01"), per=GB, unit="GB", source=_PAGE),
    free_egress_ratio=3,
    notes=(
        "pay as you go; egress is free up to three times the average of what is stored",
        "versions that overwriting or deleting has hidden count as stored; a listing does not show them",
    ),
    missing=("event notifications, $0.004 for 10,000",),
)

VENDOR = Vendor(
    name="backblaze",
    title="Backblaze B2",
    scheme="b2",
    # When a daily cap is used up, requests get 403 AccessDenied until 00:00 UTC (seen by the project Cmdr, 2026-10).
    denied_hint="the key may not do this, or a daily cap of the account is used up",
    capabilities=Capabilities(
        max_object_size=10 * 10**12,
        max_put_size=5 * 10**9,
        max_copy_size=5 * 10**9,  # unverified; this is the limit of a file that is not uploaded in parts
        multipart=True,
        min_part_size=5 * MiB,  # the vendor says 5 MB; 5 MiB works on every vendor
        max_part_size=5 * 10**9,
        max_parts=10_000,
        max_list_keys=1_000,
        max_delete_keys=1_000,  # 1,001 keys get InvalidRequest (seen by the project Cmdr, 2026-10)
        max_key_length=1_024,
        # The limit is 7,000 bytes including the percent-encoded key, but 2,048 with SSE-C. The smaller limit is used.
        max_metadata_size=2_048,
        # Every write with If-None-Match or If-Match gets 501 NotImplemented (seen by the project Cmdr, 2026-10).
        put_if_none_match=False,
        complete_if_none_match=False,
        put_if_match=False,
        complete_if_match=False,
        get_if_match=False,  # unverified; standard HTTP includes it
        copy_source_if_match=True,  # a wrong etag gets 412 (seen by the project Cmdr, 2026-10)
        # B2 has accepted the header since mid-2025; a wrong value gets BadDigest (seen by the project Cmdr, 2026-10).
        put_checksum="crc32",
        multipart_checksum="crc32",  # for each part; one for the whole object is unverified
        stored_checksums=(),  # unverified: nobody has reported that a read returns a checksum
        stable_multipart_etag=False,  # unverified
        copy=True,
        presign_methods=("GET", "PUT"),
        presign_post=False,  # not supported
        max_presign_expiry=604_800,  # not documented; 7 days worked (seen by the project Cmdr, 2026-10)
        versions=True,
        tags=False,  # x-amz-tagging is refused
        encryption=("AES256",),  # this is SSE-B2; B2 has no KMS, and a customer's key is unverified
        soft_delete=True,  # a delete writes a hide marker; the bytes are billed until a lifecycle rule removes them
    ),
    endpoint_template="https://s3.{region}.backblazeb2.com",
    endpoint_host=r"s3\.(?P<region>[a-z0-9-]+)\.backblazeb2\.com",
    # Unverified: these are from real endpoints, because no list of the vendor was found.
    regions=(
        "us-west-000",
        "us-west-001",
        "us-west-002",
        "us-west-004",
        "us-east-005",
        "eu-central-003",
        "ca-east-006",
    ),
    signing_region="{region}",
    addressing_style="path",
    # B2 refused x-amz-sdk-checksum-algorithm until mid-2025: https://github.com/boto/s3transfer/issues/327
    sdk_checksum_header=False,
    autodelete_days=None,  # only a lifecycle rule removes open uploads
    write_rate="500 requests a second for uploads and for downloads of new accounts",
    prices=_PRICES,
    sources={
        "endpoints": "https://www.backblaze.com/docs/cloud-storage-call-the-s3-compatible-api",
        "limits": "https://www.backblaze.com/docs/cloud-storage-large-files",
        "conditions": "https://github.com/vdavid/cmdr",
        "checksums": "https://github.com/vdavid/cmdr",
        "presign": "https://www.backblaze.com/docs/cloud-storage-s3-compatible-api",
        "rates": "https://www.backblaze.com/docs/cloud-storage-rate-limits",
        "prices": _PAGE.url,
    },
)
