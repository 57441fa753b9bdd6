"""Wasabi Hot Cloud Storage: the row of facts."""

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
        max_object_size=5 * 10**12,  # unverified; often given as 5 TB: the smaller of the two units, 10**12 and 2**40
        max_put_size=5 * 10**9,  # unverified; the limit of a part, 5 GB
        max_copy_size=5 * 10**9,  # unverified
        multipart=True,
        min_part_size=5 * MiB,
        max_part_size=5 * 10**9,
        max_parts=10_000,  # unverified; AWS's limit
        max_list_keys=1_000,
        max_delete_keys=1_000,  # accepted 1,001 (Cmdr's run, 2026-10); undocumented
        max_key_length=1_024,
        max_metadata_size=2_048,  # unverified; AWS's limit
        # Put, Complete and Copy ignore If-None-Match: they overwrite and answer 200 (Cmdr's run, 2026-10).
        put_if_none_match=False,
        complete_if_none_match=False,
        put_if_match=False,  # unverified; probably ignored, because If-None-Match is ignored
        complete_if_match=False,  # unverified
        get_if_match=False,  # unverified; standard HTTP includes it
        copy_source_if_match=False,  # ignored (Cmdr's run, 2026-10)
        # For crc64nvme, the vendor's page says rejected, but Cmdr's run saw it accepted. crc32 is not in dispute.
        put_checksum="crc32",
        multipart_checksum="crc32",  # of each part; a combined one of the whole object is unverified
        stored_checksums=(),
        stable_multipart_etag=False,  # unverified
        copy=True,
        presign_methods=("GET", "PUT"),
        presign_post=False,  # unverified
        max_presign_expiry=604_800,
        versions=True,
        tags=False,  # unverified
        encryption=(),  # everything is encrypted at rest; a customer's key is unverified
    ),
    endpoint_template="https://s3.{region}.wasabisys.com",
    endpoint_host=r"s3(?:\.(?P<region>[a-z]{2}-[a-z]+-[0-9]+))?\.wasabisys\.com",  # no region: us-east-1
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
    autodelete_days=31,  # billed until then
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
