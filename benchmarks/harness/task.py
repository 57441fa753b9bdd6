"""The task for one new process, and the sample that it reports; both are sent as JSON."""

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
    """Work for one client.

    Attributes:
        work: The name of a method of `clients.client.Client`.
        client: A name in `harness.child.CLIENTS`.
        endpoint: URL of the server.
        ca_bundle: PEM file to trust, for an `https` endpoint.
        real: Whether the server is a complete S3 server, not the limit server.
        server: The row of facts for bucketry's client, its setting `server`; empty: the run's choice.
        bucket: The bucket.
        key: An object, or a prefix that ends in `/`.
        keys: The number of objects `<key>0`, `<key>1`, … that are requested in turn; of a plan, of its transfers.
        path: A local file or directory.
        size: Expected bytes of a body; for a file or directory, of all bodies together.
        count: Expected entries of a listing, or files of a directory.
        concurrency: Requests at the same time; 0: the client's default for this and for the size of parts.
        seconds: How long small requests are repeated.
        warm: An existing object, for a first request before the measurement; empty: there is no request.
        warm_endpoint: Of `first_get`: the server from which another client has read the object before.
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
    warm_endpoint: str = ""

    def dumps(self) -> str:
        """Give the task as JSON."""
        return json.dumps(asdict(self))

    @classmethod
    def loads(cls, text: str) -> Task:
        """Read a task from JSON."""
        return cls(**json.loads(text))


@dataclass(frozen=True, kw_only=True)
class Sample:
    """The measured values of one run, from the opened client to the end of the work.

    Attributes:
        seconds: Wall time.
        count: Requests, listed keys or files.
        size: Bytes of bodies.
        cpu: CPU seconds, user and system, of the client and its child processes.
        memory: Peak of resident memory in bytes, above that before the work.
        block: Longest turn of the event loop, seconds; `None`: not measured, or the client has no event loop.
        late: Longest delay of a timer of the event loop, seconds; `None`: as `block`.
        work: The most CPU seconds of the event loop's thread in one turn; `None`: as `block`.
        proxy: CPU seconds of the delay proxy, if the run went through one.
    """

    seconds: float
    count: int
    size: int
    cpu: float
    memory: int
    block: float | None
    late: float | None
    work: float | None = None
    proxy: float = 0.0

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
        """The longest time that other tasks had to wait, in milliseconds."""
        return None if self.block is None or self.late is None else 1e3 * max(self.block, self.late)
