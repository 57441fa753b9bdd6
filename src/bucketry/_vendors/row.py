"""The shape of a vendor's row: every fact about a cloud that code or docs use, and nothing that acts."""

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
        as_of: The day the vendor's page was read.
        source: Its address.
        storage: Per month and `storage_unit`.
        storage_unit: Bytes: 10**9 for a GB, 2**30 for a GiB.
        free_storage: Bytes stored that cost nothing (or that `minimum_charge` covers).
        egress: Per `storage_unit` sent out.
        free_egress: Bytes sent out a month that cost nothing.
        free_egress_ratio: Egress that costs nothing as a multiple of what is stored; `None`: no such rule.
        egress_limit_ratio: Egress beyond this multiple of what is stored breaks the vendor's policy; `None`: no limit.
        write_requests: Per million PUT, COPY, POST and LIST.
        read_requests: Per million GET and HEAD.
        free_write_requests: A month.
        free_read_requests: A month.
        minimum_charge: A month, whatever is stored.
        minimum_storage_days: Days billed for an object even when it is deleted or overwritten before.
        minimum_object_size: Bytes billed for a smaller object.
        note: What the figures leave out, in one sentence.
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
    """One cloud.

    Attributes:
        name: The provider's name in messages and the factory, such as `"wasabi"`.
        title: As the vendor writes itself.
        scheme: Of the URLs that name objects in messages and in `open_storage`, such as `"r2"`.
        capabilities: Limits and promises.
        endpoint_template: With `{region}` or `{account_id}` and `{jurisdiction}`; empty: an endpoint must be given.
        endpoint_host: Pattern of the vendor's own endpoint hosts, with a group `region` where they name one.
        regions: Known ones; others are accepted with a warning.
        signing_region: With `{region}`; what SigV4 signs for.
        addressing_style: `"path"` or `"virtual"`.
        throttle_codes: Error codes that mean "fewer requests", beyond those common to all.
        throttle_statuses: HTTP statuses that mean it, whatever the code.
        wrong_region_as_missing_bucket: A bucket of another region is answered as if there were none.
        denied_hint: What else than missing rights a refusal may mean there; empty: nothing.
        sdk_checksum_header: Takes `x-amz-sdk-checksum-algorithm` beside a checksum header.
        autodelete_days: After which an open multipart upload is removed by the vendor; `None`: never.
        write_rate: Published limits of writes and reads, in the vendor's words; empty: none published.
        prices: List prices; `None` where there are none (self-hosted).
        sources: What each kind of fact was read from.
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
