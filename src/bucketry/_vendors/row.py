"""The type of a vendor's row: all facts about a cloud that code or documentation uses; data only, no behaviour.

"Seen by the project Cmdr, 2026-10" in a row means that https://github.com/vdavid/cmdr, a file manager, tested the
vendor on a real account from 1 to 3 October 2026, and published the result. Nobody has repeated these tests for
bucketry.

"Unverified" means that no page of the vendor and no test was found. An unverified feature counts as missing, and an
unverified limit has a safe value.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from types import MappingProxyType
from typing import Literal

from bucketry._core.capabilities import Capabilities


@dataclass(frozen=True, slots=True, kw_only=True)
class Prices:
    """List prices in US dollars.

    Attributes:
        as_of: The day when the vendor's page was read.
        source: The page's URL.
        storage: The price of one `storage_unit` for one month.
        storage_unit: The number of bytes that the prices are for: 10**9 is a GB, 2**30 is a GiB.
        free_storage: Stored bytes that are free (or that `minimum_charge` covers).
        egress: The price of one `storage_unit` sent out.
        free_egress: Bytes sent out per month that are free.
        free_egress_ratio: Free egress as a multiple of the stored bytes; `None`: no such rule.
        egress_limit_ratio: More egress than this multiple of the stored bytes breaks the vendor's policy; `None`: no
            limit.
        write_requests: The price of a million PUT, COPY, POST and LIST requests.
        read_requests: The price of a million GET and HEAD requests.
        free_write_requests: Write requests per month that are free.
        free_read_requests: Read requests per month that are free.
        minimum_charge: The least that is billed per month, for any amount of stored bytes.
        minimum_storage_days: Days billed for an object, even if it is deleted or overwritten earlier.
        minimum_object_size: Bytes; a smaller object is billed as if it had this size.
        note: One sentence about what the other fields do not express.
    """

    as_of: date
    source: str
    storage: float
    storage_unit: int = 10**9
    free_storage: int = 0
    egress: float = 0.0
    free_egress: int = 0
    free_egress_ratio: float | None = None
    egress_limit_ratio: float | None = None
    write_requests: float = 0.0
    read_requests: float = 0.0
    free_write_requests: int = 0
    free_read_requests: int = 0
    minimum_charge: float = 0.0
    minimum_storage_days: int = 0
    minimum_object_size: int = 0
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Vendor:
    """One cloud, or another kind of storage.

    Attributes:
        name: The provider's name in messages and the factory, such as `"wasabi"`.
        title: The vendor's name, in the vendor's spelling.
        scheme: The scheme of URLs in messages and in `open_storage`, such as `"r2"`.
        capabilities: Limits and supported features.
        endpoint_template: The URL, with `{region}` or with `{account_id}` and `{jurisdiction}`; empty: the user must
            give an endpoint.
        endpoint_host: A pattern of the vendor's own endpoint hosts, with a group `region` if hosts contain the region.
        regions: The known regions; any other region is accepted with a warning.
        signing_region: The region in signatures; `{region}` is replaced by the configured region.
        addressing_style: `"path"` or `"virtual"`.
        throttle_codes: Error codes for too many requests, in addition to the codes that all vendors use.
        throttle_statuses: HTTP statuses for too many requests, with any error code.
        wrong_region_as_missing_bucket: For a bucket in another region, the vendor answers that there is no such bucket.
        denied_hint: What a refusal can mean other than missing rights; empty: nothing.
        sdk_checksum_header: The vendor accepts `x-amz-sdk-checksum-algorithm` together with a checksum header.
        autodelete_days: The vendor removes open multipart uploads after so many days; `None`: never.
        write_rate: Published limits on the rate of writes and reads, in words; empty: none are published.
        prices: List prices; `None`: there are no prices (self-hosted).
        sources: For each kind of fact, the page that it was read on.
    """

    name: str
    title: str
    scheme: str
    capabilities: Capabilities
    endpoint_template: str = ""
    endpoint_host: str = ""
    regions: tuple[str, ...] = ()
    signing_region: str = "{region}"
    addressing_style: Literal["path", "virtual"] = "path"
    throttle_codes: tuple[str, ...] = ()
    throttle_statuses: tuple[int, ...] = (429,)
    wrong_region_as_missing_bucket: bool = False
    denied_hint: str = ""
    sdk_checksum_header: bool = False
    autodelete_days: int | None = None
    write_rate: str = ""
    prices: Prices | None = None
    sources: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
