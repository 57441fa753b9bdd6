"""The configuration of transfers, of the local disk and of the memory: frozen dataclasses, checked at construction.

Those of the clouds are in `s3_config`, so that a program for the local disk does not load them.
"""

from __future__ import annotations

import os

from bucketry._core.entries import ProviderConfig, check_path, wrong_entry
from bucketry._core.frozen import dataclass
from bucketry._core.retry import FIRST_DELAY, MAX_ATTEMPTS
from bucketry._core.units import GiB, KiB, MiB

MAX_CONNECTIONS = 80  # the default max_concurrency and 16, so that other calls get connections during transfers
PART_SIZE = 8 * MiB  # an object of up to 78 GiB has fewer than 10 000 parts; see docs/explanation/part-size
MAX_CONCURRENCY = 64
"""Small requests in flight. 20 ms away these are 3,200 requests a second: what one core can make, and below the 3,500
that AWS accepts for a prefix. A vendor that accepts fewer refuses some, and the number falls."""
LARGE_CONCURRENCY = 32  # large bodies in flight: 20 Gbit/s with 80 MB/s for each connection, and 16 MiB of buffers
FIXED_CONCURRENCY = 16  # where nothing finds the best number: for a disk, and for deletes one by one
MEMORY_BUDGET = 256 * MiB  # 16 parts of 8 MiB, with two copies of each
MIN_PART_SIZE = 1 * KiB  # small, so that tests can make many parts; vendors require more (`min_part_size`)
MAX_PART_SIZE = 5 * GiB
_LONGEST_DELAY = 60.0


def check_delay(where: str, value: object) -> None:
    """Raise an error for a value that is no delay before a retry."""
    if not isinstance(value, (int, float)) or isinstance(value, bool) or not 0 <= value <= _LONGEST_DELAY:
        raise wrong_entry(where, "retry_delay", f"must be a number of seconds, 0 to 60, not {value!r}")


@dataclass(frozen=True, slots=True, kw_only=True)
class TransferConfig:
    """How transfers are split into parts, and how many run at once.

    One TransferManager uses at most `memory_budget` bytes (or one part, if an object needs larger parts) plus 1 MiB for
    each of `max_concurrency` bodies, whatever the size and number of transfers.

    How many requests are in flight is found while they run; `max_concurrency` is the largest number. There are more
    while that raises the throughput, and fewer if the CPU is saturated, if the server asks for fewer, or if they would
    only wait longer. All managers of one endpoint in one event loop share the number. A provider without a network,
    such as the local disk, always uses `max_concurrency`.

    Attributes:
        part_size: Bytes of a part; `None`: 8 MiB, or more if the object would have too many parts for the vendor.
        multipart_threshold: Objects with more bytes are sent in parts; `None`: `capabilities.multipart_threshold`.
        max_concurrency: The largest number of bodies transferred at once, by the whole manager. Default: 64, or the
            provider's number of connections if that is less, or 16 for a provider without connections. Of bodies larger
            than 1 MiB, at most 32 are transferred at once, or half of `max_concurrency` if that is more.
        memory_budget: The largest number of bytes of bodies in memory, for the whole manager; default: 256 MiB.
        max_bandwidth: Average bytes per second for the bodies of all transfers of the manager. Each body moves at full
            speed, and the next bodies wait; `None`: no limit.
        max_attempts: How often one body is attempted before its transfer fails; default: 10.
        retry_delay: Average seconds before a body is requested again; doubles with each retry, but not above 2.5
            seconds, or not at all if `retry_delay` is more than 2.5; default: 0.1.
        verify: Compare checksums if the provider stores or checks one; lengths are always compared.
        resume: Reserved for transfers with a journal; this version accepts only `False`.
        fsync: Flush a downloaded file to the disk before it gets its final name.
    """

    part_size: int | None = None
    multipart_threshold: int | None = None
    max_concurrency: int = MAX_CONCURRENCY
    memory_budget: int = MEMORY_BUDGET
    max_bandwidth: int | None = None
    max_attempts: int = MAX_ATTEMPTS
    retry_delay: float = FIRST_DELAY
    verify: bool = True
    resume: bool = False
    fsync: bool = False

    @property
    def large_concurrency(self) -> int:
        """The largest number of bodies of more than 1 MiB that are transferred at once."""
        return min(self.max_concurrency, max(LARGE_CONCURRENCY, self.max_concurrency // 2))

    def __post_init__(self) -> None:
        """Check each value, and that the values fit together."""
        for name, low, high in (
            ("part_size", MIN_PART_SIZE, MAX_PART_SIZE),
            ("multipart_threshold", 0, None),
            ("max_concurrency", 1, 1_000),
            ("memory_budget", MIN_PART_SIZE, None),
            ("max_bandwidth", KiB, None),
            ("max_attempts", 1, 100),
        ):
            value = getattr(self, name)
            if value is None and name in {"part_size", "multipart_threshold", "max_bandwidth"}:
                continue
            if not isinstance(value, int) or isinstance(value, bool):
                raise wrong_entry("TransferConfig", name, f"must be an int, not {type(value).__name__}")
            if value < low or (high is not None and value > high):
                raise wrong_entry("TransferConfig", name, f"{value} is not within {low} and {high or 'no upper limit'}")
        check_delay("TransferConfig", self.retry_delay)
        if self.part_size is not None and self.part_size > self.memory_budget:
            raise wrong_entry(
                "TransferConfig",
                "part_size",
                f"{self.part_size} is more than memory_budget {self.memory_budget}",
            )
        for name in ("verify", "resume", "fsync"):
            if not isinstance(getattr(self, name), bool):
                problem = f"must be a bool, not {type(getattr(self, name)).__name__}"
                raise wrong_entry("TransferConfig", name, problem)
        if self.resume:
            raise wrong_entry(
                "TransferConfig", "resume", "resuming across processes is not in this version; leave it False"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalConfig(ProviderConfig):
    """A directory of the local disk."""

    provider = "local"
    environment = {"base_path": ("LOCAL_STORAGE_PATH",)}  # noqa: RUF012 - a ClassVar of the base

    base_path: str | os.PathLike[str] = "data/storage"

    def __post_init__(self) -> None:
        """Check the type."""
        check_path(self.provider, "base_path", self.base_path)


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryConfig(ProviderConfig):
    """A store in this process's memory; it has no configuration entries."""

    provider = "memory"
