"""Pure functions that cut objects into parts and ranges."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from bucketry._core.capabilities import Capabilities
from bucketry._core.config import PART_SIZE, TransferConfig
from bucketry._core.units import MiB
from bucketry._core.values import ByteRange
from bucketry._transfer.limits import COPIES
from bucketry.errors import ConfigError, UnsupportedError

PACED_PARTS = 2  # with `max_bandwidth`, an object of up to 2 part sizes goes in one request, as on clouds by default
GROWTH_INTERVAL = 1_000  # parts of a stream of unknown length after which the part size doubles


@dataclass(frozen=True, slots=True)
class PartPlan:
    """An object of `size` bytes in parts of `part_size` bytes; the last part may be shorter."""

    size: int
    part_size: int

    @property
    def count(self) -> int:
        """The number of parts; 0 for an empty object."""
        return -(-self.size // self.part_size)

    def ranges(self) -> Iterator[ByteRange]:
        """Yield the parts in order; together they cover `[0, size)`, each byte once."""
        for start in range(0, self.size, self.part_size):
            yield ByteRange(start, min(start + self.part_size, self.size))


def check_part_size(part_size: int | None, limits: Capabilities, where: str) -> None:
    """Raise an error for a part size outside the vendor's limits; do nothing if there are no multipart uploads.

    Raises:
        ConfigError: The part size is too small or too large.
    """
    if limits.multipart and part_size is not None and not limits.min_part_size <= part_size <= limits.max_part_size:
        message = (
            f"{where}: part_size {part_size} is outside this provider's {limits.min_part_size} to "
            f"{limits.max_part_size} bytes"
        )
        raise ConfigError(message)


def plan_upload(size: int, limits: Capabilities, part_size: int | None, where: str) -> PartPlan:
    """Cut an upload into equal parts, within the vendor's limits for their number and size.

    Args:
        size: Length of the whole object in bytes.
        limits: The vendor's capabilities.
        part_size: Bytes of a part, from the user; increased if the object would need too many parts.
        where: The object's URL, for error messages.

    Raises:
        UnsupportedError: The object is too large for the vendor, or for one request if there are no multipart uploads.
        ConfigError: `part_size` is outside the vendor's limits.
    """
    if size > limits.max_object_size:
        message = f"{where}: {size} bytes are more than the {limits.max_object_size} this provider stores in an object"
        raise UnsupportedError(message)
    if not limits.multipart and size > limits.max_put_size:
        message = (
            f"{where}: {size} bytes are more than the {limits.max_put_size} this provider takes in one request, and it "
            "has no multipart uploads (capabilities.multipart is False)"
        )
        raise UnsupportedError(message)
    check_part_size(part_size, limits, where)
    wanted = part_size if part_size is not None else max(PART_SIZE, limits.min_part_size)
    needed = -(-size // limits.max_parts)
    if needed > wanted:
        wanted = min(-(-needed // MiB) * MiB, limits.max_part_size)
    return PartPlan(size, wanted)


def single_limit(limits: Capabilities, config: TransferConfig) -> int:
    """Return the largest size to send in one request; without multipart uploads, it is the vendor's limit."""
    if not limits.multipart:
        return limits.max_put_size
    wanted = config.multipart_threshold
    if wanted is None:
        wanted = limits.multipart_threshold
        if config.max_bandwidth is not None:  # bodies go at full speed, so a large object needs several
            wanted = min(wanted, PACED_PARTS * plan_upload(0, limits, config.part_size, "").part_size)
    single = min(wanted, limits.max_put_size)
    return min(single, config.memory_budget // COPIES) if limits.buffers_bodies else single


def plan_download(size: int, part_size: int | None) -> PartPlan:
    """Cut a download into ranges; vendors do not limit the size or the number of ranges."""
    return PartPlan(size, part_size or PART_SIZE)


def stream_part_size(part_number: int, limits: Capabilities, part_size: int | None) -> int:
    """Return the length in bytes of a part of a stream of unknown length.

    The length doubles every 1,000 parts, so that 10,000 parts hold more than the largest object. It does not change if
    the vendor requires equal parts.
    """
    first = part_size or max(PART_SIZE, limits.min_part_size)
    if limits.equal_part_sizes:
        return first
    return int(min(first * 2 ** ((part_number - 1) // GROWTH_INTERVAL), limits.max_part_size))
