"""What bucketry knows of Wasabi: limits, features, endpoints, prices.

The project Cmdr is a file manager whose authors tested this vendor on a real account; see `row`.
"""

from __future__ import annotations

from datetime import date
from decimal import Decimal

from bucketry._core.capabilities import Capabilities
from bucketry._core.units import KiB, MiB, TiB
from bucketry._vendors.prices import KINDS, MILLION, Price, PricePage, Prices, RequestPrice, StorageClass
from bucketry._vendors.row import Vendor

_PAGE = PricePage(url="https://wasabi.com/pricing/faq", as_of=date(2026, 10, 1))

_PRICES = Prices(
    classes=(
        StorageClass(
            name="STANDARD",
            # Until 2026-06-30 it was $6.99. A TB of Wasabi has 1,024 GiB.
            storage=Price(dollars=Decimal("7.99"), per=TiB, unit="TB of 1,024 GiB", source=_PAGE),
            minimum_billed=TiB,
            minimum_days=90,
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
    egress=Price(dollars=Decimal(0), per=TiB, unit="TB of 1,024 GiB", source=_PAGE),
    egress_policy_ratio=1,
    notes=("pay as you go: at least 1 TB is billed each month",),
    missing=("reserved capacity, where an object is billed for 30 days instead of 90",),
)

VENDOR = Vendor(
    name="wasabi",
    title="Wasabi",
    scheme="wasabi",
    capabilities=Capabilities(
        # Unverified: pages mention 5 TB. A TB of 10**12 bytes is safe, because a TB of 2**40 bytes is larger.
        max_object_size=5 * 10**12,
        max_put_size=5 * 10**9,  # unverified; 5 GB is the limit of a part
        max_copy_size=5 * 10**9,  # unverified
        multipart=True,
        min_part_size=5 * MiB,
        max_part_size=5 * 10**9,
        max_parts=10_000,  # unverified; this is AWS's limit
        max_list_keys=1_000,
        max_delete_keys=1_000,  # undocumented; 1,001 keys were accepted (seen by the project Cmdr, 2026-10)
        max_key_length=1_024,
        max_metadata_size=2_048,  # unverified; this is AWS's limit
        # PutObject, CompleteMultipartUpload and CopyObject ignore If-None-Match. They overwrite the object and answer
        # 200 (seen by the project Cmdr, 2026-10).
        put_if_none_match=False,
        complete_if_none_match=False,
        put_if_match=False,  # unverified; probably ignored, because If-None-Match is ignored
        complete_if_match=False,  # unverified
        get_if_match=False,  # unverified; standard HTTP includes it
        copy_source_if_match=False,  # the header is ignored (seen by the project Cmdr, 2026-10)
        # crc32, because it is uncertain whether Wasabi accepts crc64nvme. The vendor's page says that it is refused,
        # but the project Cmdr saw that it was accepted (2026-10).
        put_checksum="crc32",
        multipart_checksum="crc32",  # for each part; one for the whole object is unverified
        stored_checksums=(),
        stable_multipart_etag=False,  # unverified
        copy=True,
        presign_methods=("GET", "PUT"),
        presign_post=False,  # unverified
        max_presign_expiry=604_800,
        versions=True,
        tags=False,  # unverified
        encryption=(),  # Wasabi encrypts everything at rest; a customer's key is unverified
    ),
    endpoint_template="https://s3.{region}.wasabisys.com",
    endpoint_host=r"s3(?:\.(?P<region>[a-z]{2}-[a-z]+-[0-9]+))?\.wasabisys\.com",  # without a region it is us-east-1
    regions=(
        "us-east-1",
        "us-east-2",
        "us-central-1",
        "us-west-1",
        "us-west-2",
        "ca-central-1",
        "eu-central-1",
        "eu-central-2",
        "eu-west-1",
        "eu-west-2",
        "eu-west-3",
        "eu-south-1",
        "ap-northeast-1",
        "ap-northeast-2",
        "ap-southeast-1",
        "ap-southeast-2",
    ),
    signing_region="{region}",
    addressing_style="path",  # recommended by the vendor
    throttle_codes=("RequestRateLimitExceeded", "TemporarilyUnavailable", "Unavailable"),
    autodelete_days=31,  # the parts are billed until then
    write_rate="",  # none published
    prices=_PRICES,
    sources={
        "endpoints": "https://docs.wasabi.com/docs/service-urls-for-wasabis-storage-regions",
        "errors": "https://docs.wasabi.com/docs/rest-api-introduction",
        "conditions": "https://github.com/vdavid/cmdr",
        "checksums": "https://docs.wasabi.com/docs/how-do-i-use-aws-cli-with-wasabi",
        "prices": _PAGE.url,
    },
)
