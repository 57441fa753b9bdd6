"""What one fresh process is told to do, and what it reports: both travel as JSON."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass

MiB = 1024 * 1024
ACCESS_KEY = "benchmark-access-key"
SECRET_KEY = "benchmark-secret-key"
REGION = "us-east-1"
PART_SIZE = 8 * MiB
BIG = 8
"""Concurrency for big objects, the same for all clients."""
SMALL = 32
"""Concurrency for small objects, the same for all clients."""


@dataclass(frozen=True, kw_only=True)
class Task:
    """One piece of work for one client.

    Attributes:
        work: What to do: a method of `clients.client.Client`.
        client: A name in `harness.child.CLIENTS`.
        endpoint: URL of the server.
        ca_bundle: PEM file to trust, for an `https` endpoint.
        real: The server is a whole S3 server, not the limit server.
        server: Which row of facts bucketry's client goes by, its setting of that name; empty: the run's choice.
        bucket: The bucket.
        key: An object, or a prefix ending in `/`.
        keys: How many objects `<key>0`, `<key>1`, … are asked for in turn.
        path: A local file or directory.
        size: Bytes expected of a body; of all bodies together for a file or directory.
        count: Entries expected of a listing, files of a directory.
        concurrency: Requests at once.
        seconds: How long small requests are repeated.
        warm: An object that exists, for the request that opens the client before the clock starts.
    """

    work: str
    client: str = ""
    endpoint: str
    ca_bundle: str = ""
    real: bool = False
    server: str = ""
    bucket: str = "bench"
    key: str = ""
    keys: int = 1
    path: str = ""
    size: int = 0
    count: int = 0
    concurrency: int
    seconds: float = 0.0
    warm: str = "warm"

    def dumps(self) -> str:
        """Give it as JSON."""
        return json.dumps(asdict(self))

    @classmethod
    def loads(cls, text: str) -> Task:
        """Read it from JSON."""
        return cls(**json.loads(text))


@dataclass(frozen=True, kw_only=True)
class Sample:
    """What one run measured, from when the client was open to when the work was done.

    Attributes:
        seconds: Wall time.
        count: Requests, listed keys or files.
        size: Bytes of bodies.
        cpu: CPU seconds, user and system, of the client and its child processes.
        memory: Bytes of resident memory at the peak, above those before the work.
        block: Longest turn of the event loop, seconds; `None` where the client has no event loop.
        late: Longest delay of a timer of the event loop, seconds.
    """

    seconds: float
    count: int
    size: int
    cpu: float
    memory: int
    block: float | None
    late: float | None

    @property
    def rate(self) -> float:
        """Requests, keys or files a second."""
        return self.count / self.seconds

    @property
    def throughput(self) -> float:
        """Millions of bytes a second."""
        return self.size / 1e6 / self.seconds

    @property
    def blocked(self) -> float | None:
        """Milliseconds for which other tasks were kept waiting at most."""
        return None if self.block is None or self.late is None else 1e3 * max(self.block, self.late)
