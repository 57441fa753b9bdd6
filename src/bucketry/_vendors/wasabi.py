"""What bucketry knows of Wasabi: limits, features, endpoints, prices.

The project Cmdr is a file manager whose authors tested this vendor on a real account; see `row`.
"""

from __future__ import annotations

from datetime import date

from bucketry._core.capabilities import Capabilities
from bucketry._core.units import GiB, KiB, MiB, TiB
from bucketry._vendors.row import Prices, Vendor

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
    prices=Prices(
        as_of=date(2026, 10, 1),
        source="https://wasabi.com/pricing/faq",
        storage=7.99 / 1_024,  # $7.99 a TB, which Wasabi counts as 1,024 GiB; $6.99 until 2026-06-30
        storage_unit=GiB,
        free_storage=1 * TiB,
        egress=0.0,
        egress_limit_ratio=1.0,
        minimum_charge=7.99,
        minimum_storage_days=90,
        minimum_object_size=4 * KiB,
        note=(
            "Pay as you go: 1 TB is the least that is billed; overwriting or deleting an object bills the "
            "rest of its 90 days (30 with reserved capacity)."
        ),
    ),
    sources={
        "endpoints": "https://docs.wasabi.com/docs/service-urls-for-wasabis-storage-regions",
        "errors": "https://docs.wasabi.com/docs/rest-api-introduction",
        "conditions": "https://github.com/vdavid/cmdr",
        "checksums": "https://docs.wasabi.com/docs/how-do-i-use-aws-cli-with-wasabi",
        "prices": "https://wasabi.com/pricing/faq",
    },
)
