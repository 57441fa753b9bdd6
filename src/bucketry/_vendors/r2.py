"""What bucketry knows of Cloudflare R2: limits, features, endpoints, prices.

The project Cmdr is a file manager whose authors tested this vendor on a real account; see `row`.
"""

from __future__ import annotations

from datetime import date
from decimal import Decimal

from bucketry._core.capabilities import Capabilities
from bucketry._core.units import GiB, MiB, TiB
from bucketry._vendors.prices import (
    DELETES,
    GB,
    MILLION,
    READS,
    WRITES,
    Price,
    PricePage,
    Prices,
    RequestPrice,
    StorageClass,
)
from bucketry._vendors.row import Vendor

_PAGE = PricePage(url="https://developers.cloudflare.com/r2/pricing/", as_of=date(2026, 10, 1))


def _per_million(dollars: str) -> Price:
    return Price(dollars=Decimal(dollars), per=MILLION, unit="million", source=_PAGE, rounded_up=True)


def _per_gb(dollars: str) -> Price:
    return Price(dollars=Decimal(dollars), per=GB, unit="GB", source=_PAGE, rounded_up=True)


_DELETES = RequestPrice(name="DELETE", kinds=DELETES, price=_per_million("0"))

_PRICES = Prices(
    classes=(
        StorageClass(
            name="STANDARD",
            storage=_per_gb("0.015"),
            free=10 * GB,
            requests=(
                RequestPrice(name="class A", kinds=WRITES, price=_per_million("4.50"), free=1 * MILLION),
                RequestPrice(name="class B", kinds=READS, price=_per_million("0.36"), free=10 * MILLION),
                _DELETES,
            ),
        ),
        StorageClass(
            name="STANDARD_IA",
            storage=_per_gb("0.01"),
            minimum_days=30,
            retrieval=_per_gb("0.01"),
            requests=(
                RequestPrice(name="class A", kinds=WRITES, price=_per_million("9.00")),
                RequestPrice(name="class B", kinds=READS, price=_per_million("0.90")),
                _DELETES,
            ),
        ),
    ),
    egress=_per_gb("0"),
    notes=("each unit is rounded up", "writes that fail with 412 or 400 are billed, too"),
)

VENDOR = Vendor(
    name="cloudflare_r2",
    title="Cloudflare R2",
    scheme="r2",
    # If the token cannot see a bucket, R2 does not answer NoSuchBucket (seen by the project Cmdr, 2026-10), so a
    # refusal can also mean a wrong bucket name.
    denied_hint="the token may not do this, or it cannot see this bucket: check name, account and jurisdiction",
    capabilities=Capabilities(
        max_object_size=5 * TiB - 5 * GiB,  # the limits page says "4.995 TiB"
        max_put_size=5 * GiB - 5 * MiB,  # the limits page says "4.995 GiB"
        max_copy_size=5 * GiB - 5 * MiB,  # unverified; this is the limit of one PUT
        multipart=True,
        min_part_size=5 * MiB,
        max_part_size=5 * GiB - 5 * MiB,
        max_parts=10_000,
        # Unequal parts and a larger last part get InvalidPart (10048) (seen by the project Cmdr, 2026-10).
        equal_part_sizes=True,
        max_list_keys=1_000,
        max_delete_keys=1_000,  # 1,001 keys are refused (seen by the project Cmdr, 2026-10)
        max_key_length=1_024,
        max_metadata_size=8_192,
        # R2 enforces these conditions on PutObject and CompleteMultipartUpload. CopyObject ignores If-None-Match,
        # because R2 has another header for copies (seen by the project Cmdr, 2026-10).
        put_if_none_match=True,
        complete_if_none_match=True,
        put_if_match=True,
        complete_if_match=True,
        get_if_match=True,
        copy_source_if_match=True,
        put_checksum="crc32",
        # R2 checks the checksum of each part. What it stores for the object is COMPOSITE: a checksum of the parts'
        # checksums, not of the whole object.
        multipart_checksum="crc32",
        full_object_checksum=False,
        # Only objects of a single PUT are verified with crc32. For other objects the stored crc32 is COMPOSITE.
        stored_checksums=("crc64nvme", "crc32"),
        # Unverified: the vendor's page describes the etag as md5-of-md5s-N, but the project rclone saw random etags.
        stable_multipart_etag=False,
        copy=True,
        presign_methods=("GET", "HEAD", "PUT", "DELETE"),
        presign_post=False,  # the vendor's page says: not supported
        max_presign_expiry=604_800,
        versions=False,
        tags=False,  # the vendor's page on the S3 API says: not implemented
        encryption=("customer",),  # R2 encrypts everything; headers that ask for AES256 or KMS are not implemented
        request_payer=False,  # as for tags
        expected_bucket_owner=False,  # as for tags
        # A key in form NFD and the same key in form NFC name one object (the vendor's page, and the project Cmdr).
        key_normalization="NFC",
    ),
    # The text that replaces `{jurisdiction}` is empty, or begins with a dot, such as ".eu".
    endpoint_template="https://{account_id}{jurisdiction}.r2.cloudflarestorage.com",
    endpoint_host=(r"(?P<account_id>[0-9a-f]{32})(?:\.(?P<jurisdiction>eu|fedramp))?\.r2\.cloudflarestorage\.com"),
    regions=("auto",),
    signing_region="auto",
    addressing_style="path",
    # R2 sends these codes, and also a 429 without a code. botocore's standard retries recognise none of these.
    throttle_codes=("TooManyRequests", "ServiceUnavailable"),
    throttle_statuses=(429,),
    autodelete_days=7,
    write_rate="1 write a second to one key",
    prices=_PRICES,
    sources={
        "endpoints": "https://developers.cloudflare.com/r2/reference/data-location/",
        "limits": "https://developers.cloudflare.com/r2/platform/limits/",
        "parts": "https://developers.cloudflare.com/r2/objects/multipart-objects/",
        "conditions": "https://developers.cloudflare.com/r2/api/s3/conditional-operations/",
        "checksums": "https://developers.cloudflare.com/r2/api/s3/api/",
        "presign": "https://developers.cloudflare.com/r2/api/s3/presigned-urls/",
        "errors": "https://developers.cloudflare.com/r2/api/error-codes/",
        "keys": "https://developers.cloudflare.com/r2/reference/unicode-interoperability/",
        "prices": _PAGE.url,
    },
)
