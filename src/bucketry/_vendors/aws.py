"""What bucketry knows of AWS S3: limits, features, endpoints, prices. For unknown servers, see `generic`.

The project Cmdr is a file manager whose authors tested this vendor on a real account; see `row`.
"""

from __future__ import annotations

from datetime import date
from decimal import Decimal

from bucketry._core.capabilities import Capabilities
from bucketry._core.units import GiB, KiB, MiB
from bucketry._vendors.prices import (
    DELETES,
    GB,
    MILLION,
    READS,
    TB,
    WRITES,
    Price,
    PricePage,
    Prices,
    RequestPrice,
    StorageClass,
)
from bucketry._vendors.row import Vendor

_PAGE = PricePage(url="https://aws.amazon.com/s3/pricing/", as_of=date(2026, 9, 25))

# The page says "GB". Whether that is 10**9 or 2**30 bytes, no source says; 10**9 gives the higher figure.
_PRICES = Prices(
    classes=(
        StorageClass(
            name="STANDARD",
            storage=Price(dollars=Decimal("0.023"), per=GB, unit="GB", source=_PAGE),
            holds_up_to=50 * TB,
            requests=(
                RequestPrice(
                    name="PUT, COPY, POST, LIST",
                    kinds=WRITES,
                    price=Price(dollars=Decimal("5.00"), per=MILLION, unit="million", source=_PAGE),
                ),
                RequestPrice(
                    name="GET, HEAD",
                    kinds=READS,
                    price=Price(dollars=Decimal("0.40"), per=MILLION, unit="million", source=_PAGE),
                ),
                RequestPrice(
                    name="DELETE",
                    kinds=DELETES,
                    price=Price(dollars=Decimal(0), per=MILLION, unit="million", source=_PAGE),
                ),
            ),
        ),
        # Unverified: the smallest billed size; no source was read for it. Prices of these classes are in no source.
        StorageClass(name="STANDARD_IA", minimum_days=30, minimum_object_size=128 * KiB),
        StorageClass(name="ONEZONE_IA", minimum_days=30, minimum_object_size=128 * KiB),
    ),
    other_classes=True,
    egress=Price(dollars=Decimal("0.09"), per=GB, unit="GB", source=_PAGE),
    free_egress=100 * GB,
    notes=(
        "prices of us-east-1; other regions differ",
        "the 100 GB of free egress are one allowance for all AWS services of the account",
    ),
    missing=(
        "lower prices for more than 50 TB stored, and for large egress",
        "the prices of storage classes other than STANDARD",
        "requests for encryption with KMS keys",
    ),
)

VENDOR = Vendor(
    name="s3",
    title="AWS S3",
    scheme="s3",
    capabilities=Capabilities(
        # The limit is 10,000 parts of 5 GiB, which the user guide calls "50 TB". Until late 2025 it was 5 TiB.
        max_object_size=10_000 * 5 * GiB,
        max_put_size=5 * GiB,
        max_copy_size=5 * GiB,
        multipart=True,
        min_part_size=5 * MiB,
        max_part_size=5 * GiB,
        max_parts=10_000,
        max_list_keys=1_000,
        max_delete_keys=1_000,  # 1,001 keys get MalformedXML (seen by the project Cmdr, 2026-10)
        max_key_length=1_024,
        max_metadata_size=2_048,
        # AWS enforces these four conditions for concurrent writes, too: the second write gets 412, or 409
        # ConditionalRequestConflict (seen by the project Cmdr, 2026-10).
        put_if_none_match=True,
        complete_if_none_match=True,
        put_if_match=True,
        complete_if_match=True,
        get_if_match=True,
        copy_source_if_match=True,
        # crc32, because zlib computes it, the checksums of parts can be combined, and S3 stores the combined one as
        # FULL_OBJECT, a checksum of the whole object.
        put_checksum="crc32",
        multipart_checksum="crc32",
        full_object_checksum=True,
        # crc64nvme is first, because S3 computes it for every object that is sent without a checksum.
        stored_checksums=("crc64nvme", "crc32c", "crc32"),
        stable_multipart_etag=True,
        copy=True,
        copy_between_buckets=True,
        presign_methods=("GET", "HEAD", "PUT", "DELETE"),
        presign_post=True,
        max_presign_expiry=604_800,  # a URL signed with temporary credentials ends with them, if that is earlier
        versions=True,
        tags=True,
        encryption=("AES256", "aws:kms", "customer"),
        request_payer=True,
        expected_bucket_owner=True,
    ),
    # The data plane uses this URL in regions whose host names have this form. In all other cases botocore chooses the
    # endpoint, because it knows partitions, FIPS and dual stack.
    endpoint_template="https://s3.{region}.amazonaws.com",
    endpoint_host=(
        r"(?:"
        r"(?:bucket\.vpce-[a-z0-9-]+\.)?s3(?:-fips)?(?:\.dualstack)?[.-]"
        r"(?P<region>[a-z]{2,4}(?:-[a-z]+){1,2}-[0-9]+)(?:\.vpce)?"
        r"|s3|s3-external-1|s3-accelerate(?:\.dualstack)?"
        r")\.amazonaws\.(?:com|com\.cn|eu)"
    ),
    regions=(
        "af-south-1",
        "ap-east-1",
        "ap-east-2",
        "ap-northeast-1",
        "ap-northeast-2",
        "ap-northeast-3",
        "ap-south-1",
        "ap-south-2",
        "ap-southeast-1",
        "ap-southeast-2",
        "ap-southeast-3",
        "ap-southeast-4",
        "ap-southeast-5",
        "ap-southeast-6",
        "ap-southeast-7",
        "ca-central-1",
        "ca-west-1",
        "eu-central-1",
        "eu-central-2",
        "eu-north-1",
        "eu-south-1",
        "eu-south-2",
        "eu-west-1",
        "eu-west-2",
        "eu-west-3",
        "il-central-1",
        "me-central-1",
        "me-south-1",
        "mx-central-1",
        "sa-east-1",
        "us-east-1",
        "us-east-2",
        "us-west-1",
        "us-west-2",
        "cn-north-1",
        "cn-northwest-1",
        "us-gov-east-1",
        "us-gov-west-1",
        "eusc-de-east-1",
    ),
    signing_region="{region}",
    # Virtual, because AWS has announced the end of path style (without a date).
    addressing_style="virtual",
    sdk_checksum_header=True,
    autodelete_days=None,
    write_rate="at least 3,500 writes and 5,500 reads a second for each partitioned prefix",
    prices=_PRICES,
    sources={
        "endpoints": "https://docs.aws.amazon.com/AmazonS3/latest/userguide/VirtualHosting.html",
        "limits": "https://docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html",
        "conditions": "https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html",
        "checksums": "https://docs.aws.amazon.com/AmazonS3/latest/userguide/checking-object-integrity.html",
        "encryption": "https://docs.aws.amazon.com/AmazonS3/latest/userguide/UsingEncryption.html",
        "presign": "https://docs.aws.amazon.com/AmazonS3/latest/userguide/using-presigned-url.html",
        "rates": "https://docs.aws.amazon.com/AmazonS3/latest/userguide/optimizing-performance.html",
        "prices": _PAGE.url,
    },
)
