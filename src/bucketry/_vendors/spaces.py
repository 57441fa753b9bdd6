"""What bucketry knows of DigitalOcean Spaces: limits, features, endpoints, prices.

The project Cmdr is a file manager whose authors tested this vendor on a real account; see `row`.
"""

from __future__ import annotations

from datetime import date
from decimal import Decimal

from bucketry._core.capabilities import Capabilities
from bucketry._core.units import GiB, KiB, MiB
from bucketry._vendors.prices import KINDS, MILLION, Price, PricePage, Prices, RequestPrice, StorageClass
from bucketry._vendors.row import Vendor

_PAGE = PricePage(url="https://docs.digitalocean.com/products/spaces/details/pricing/", as_of=date(2026, 7, 13))

_PRICES = Prices(
    classes=(
        StorageClass(
            name="STANDARD",
            storage=Price(dollars=Decimal("0.02"), per=GiB, unit="GiB", source=_PAGE),
            free=250 * GiB,
            minimum_object_size=4 * KiB,
            requests=(
                RequestPrice(
                    name="all",
                    kinds=KINDS,
                    price=Price(dollars=Decimal(0), per=MILLION, unit="million", source=_PAGE),
                ),
            ),
        ),
    ),
    egress=Price(dollars=Decimal("0.01"), per=GiB, unit="GiB", source=_PAGE),
    free_egress=1_024 * GiB,
    monthly=Price(dollars=Decimal("5.00"), per=1, unit="month", source=_PAGE),
    notes=(
        "the monthly fee is due while any bucket exists",
        "the fee covers 250 GiB stored and 1,024 GiB sent, of all buckets together",
    ),
    missing=("buckets with cold storage",),
)

VENDOR = Vendor(
    name="digitalocean",
    title="DigitalOcean Spaces",
    scheme="spaces",
    capabilities=Capabilities(
        # The vendor's page has limits in TB and GB. Whether it means binary units is unverified. Decimal units are
        # smaller, so they are safe.
        max_object_size=5 * 10**12,
        max_put_size=5 * 10**9,
        max_copy_size=5 * 10**9,
        multipart=True,
        min_part_size=5 * MiB,
        max_part_size=5 * 10**9,
        max_parts=10_000,
        max_list_keys=1_000,
        max_delete_keys=1_000,
        max_key_length=1_024,
        max_metadata_size=2_048,  # unverified; this is AWS's limit
        # Spaces enforces If-None-Match on PutObject. CompleteMultipartUpload ignores the header and answers 200 (seen
        # by the project Cmdr, 2026-10).
        put_if_none_match=True,
        complete_if_none_match=False,
        put_if_match=False,  # unverified
        complete_if_match=False,  # unverified
        get_if_match=False,  # unverified; standard HTTP includes it
        copy_source_if_match=False,  # CopyObject and UploadPartCopy ignore it (seen by the project Cmdr, 2026-10)
        # sha256 is the hash of the payload, which is signed. crc32 is not used, because Spaces stores an object even if
        # its x-amz-checksum-crc32 is wrong (seen by the project Cmdr, 2026-10).
        put_checksum="sha256",
        multipart_checksum="sha256",
        stored_checksums=(),
        stable_multipart_etag=False,  # unverified
        copy=True,
        copy_between_buckets=True,  # if both have the same endpoint (the vendor's page on S3 compatibility)
        presign_methods=("GET", "PUT"),
        presign_post=False,  # unverified; other Ceph servers support it
        max_presign_expiry=604_800,  # unverified; this is SigV4's limit
        versions=True,
        tags=False,
        encryption=("customer",),  # the vendor's page on S3 compatibility excludes SSE-S3 and KMS
    ),
    endpoint_template="https://{region}.digitaloceanspaces.com",
    endpoint_host=r"(?P<region>[a-z]{3}[0-9]+)\.digitaloceanspaces\.com",
    regions=(
        "nyc3",
        "ams3",
        "sfo2",
        "sfo3",
        "sgp1",
        "lon1",
        "fra1",
        "tor1",
        "blr1",
        "syd1",
        "atl1",
        "ric1",
        "mkc1",
    ),
    signing_region="{region}",
    addressing_style="path",
    # A bucket in another region gets NoSuchBucket, never a redirect (seen by the project Cmdr, 2026-10).
    wrong_region_as_missing_bucket=True,
    autodelete_days=30,  # 90 before 2026
    write_rate=(
        "1,500 requests a second for each client address; 800 a second for each bucket (older ones 500, of "
        "which 300 writes and listings); 10 concurrent PUT or COPY to one object"
    ),
    prices=_PRICES,
    sources={
        "limits": "https://docs.digitalocean.com/products/spaces/details/limits/",
        "conditions": "https://github.com/vdavid/cmdr",
        "checksums": "https://github.com/vdavid/cmdr",
        "presign": "https://docs.digitalocean.com/products/spaces/reference/s3-compatibility/",
        "regions": "https://docs.digitalocean.com/products/spaces/details/availability/",
        "rates": "https://docs.digitalocean.com/products/spaces/details/limits/",
        "prices": _PAGE.url,
    },
)
