"""The type of a vendor's row: all facts about a cloud that code or documentation uses; data only, no behaviour.

"Seen by the project Cmdr, 2026-10" in a row means that https://github.com/vdavid/cmdr, a file manager, tested the
vendor on a real account from 1 to 3 October 2026, and published the result. Nobody has repeated these tests for
bucketry.

"Unverified" means that no page of the vendor and no test was found. An unverified feature counts as missing, and an
unverified limit has a safe value.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal

from bucketry._core.capabilities import Capabilities
from bucketry._core.frozen import dataclass

if TYPE_CHECKING:  # prices take long to load, and only `_cost` reads them
    from bucketry._vendors.prices import Prices


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
