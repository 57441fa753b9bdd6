"""One run of the benchmarks: its servers and files; clients are measured in turn, each in a new process."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

from benchmarks.harness.certificates import make_certificates
from benchmarks.harness.figures import Pair
from benchmarks.harness.nginx import LimitServer, limit_server
from benchmarks.harness.proxy import Link, Proxy, proxy
from benchmarks.harness.proxy_check import check
from benchmarks.harness.rclone import real_server
from benchmarks.harness.results import Series
from benchmarks.harness.task import MiB, Sample, Task

GiB = 1024 * MiB
TIMEOUT = 1_200.0  # several times the longest task, the tree of s3fs
_MEMORY = Path("/dev/shm")  # noqa: S108 - checked, and used by mkdtemp
_FOREIGN = (
    "AWS_",
    "RCLONE_",
    "BUCKETRY_",
    "LOCAL_STORAGE",
    "STORAGE_PROVIDER",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "ALL_PROXY",
    "PYTHONDONTWRITEBYTECODE",  # users' modules are compiled once, not at each start
)


@dataclass(frozen=True, kw_only=True)
class Scale:
    """The sizes and repetitions of a run.

    Attributes:
        pairs: Number of pairs for a peer with a target.
        extra: Number of pairs for a peer that is shown for information.
        warm_up: Number of pairs before the measured ones.
        extra_warm_up: The same, for a peer that is shown for information.
        seconds: How long small requests are repeated.
        download: Bytes of the big download.
        upload: Bytes of the big upload.
        huge: Bytes of the largest object in the memory test.
        pages: Number of pages of the listing.
        files: Number of files of the directory.
        tree: Number of files of the tree to sync.
        tree_size: Bytes of the tree to sync.
        planned: Number of keys of each listing of the plan.
        starts: How often a command is started.
        far_files: Number of files of the directory behind the delay proxy.
        far_object: Bytes of the big object behind the delay proxy.
        lanes: Bytes of the download with different numbers of lanes.
        adaptive: Bytes of the download whose concurrency is found.
    """

    pairs: int = 5
    extra: int = 3
    warm_up: int = 1
    extra_warm_up: int = 1
    seconds: float = 1.2
    download: int = GiB
    upload: int = 512 * MiB
    huge: int = 8 * GiB
    pages: int = 100
    files: int = 2_000
    tree: int = 20_000
    tree_size: int = 3 * GiB
    planned: int = 1_000_000
    starts: int = 11
    far_files: int = 1_000
    far_object: int = 256 * MiB
    lanes: int = GiB
    adaptive: int = 512 * MiB


# The numbers of pairs that targets need, and no more.
SHORT = Scale(extra=1, extra_warm_up=0, seconds=0.8, starts=7, lanes=512 * MiB)
QUICK = Scale(
    pairs=1,
    extra=1,
    warm_up=0,
    extra_warm_up=0,
    seconds=0.3,
    download=64 * MiB,
    upload=64 * MiB,
    huge=256 * MiB,
    pages=5,
    files=200,
    tree=400,
    tree_size=20 * MiB,
    planned=20_000,
    starts=3,
    far_files=100,
    far_object=32 * MiB,
    lanes=64 * MiB,
    adaptive=64 * MiB,
)


@dataclass
class Bench:
    """The run that rows measure with.

    Attributes:
        scale: How much to measure.
        pythons: Interpreters of clients that need another environment than this one.
        server: The row of facts for bucketry's client, unless a task names one.
        directory: For files in memory.
        roomy: For files that are too large for memory.
        series: The samples of the present row.
        earlier: The samples of other rows, by their numbers.
        proxies: The delay proxies, by the server's endpoint and the link.
    """

    scale: Scale
    pythons: dict[str, str]
    server: str
    directory: Path
    roomy: Path
    stack: ExitStack
    series: Series = field(default_factory=dict)
    earlier: dict[str, Series] = field(default_factory=dict)
    proxies: dict[tuple[str, Link], Proxy] = field(default_factory=dict)

    @cached_property
    def limit(self) -> LimitServer:
        """The limit server, started on first use."""
        return self.stack.enter_context(limit_server(self.new_directory("limit")))

    def far(self, endpoint: str, link: Link) -> str:
        """Give the endpoint of a delay proxy in front of a server; it is checked and started on first use.

        Raises:
            RuntimeError: The proxy is not what the link asks for.
        """
        for (behind, known), found in self.proxies.items():
            if (behind, known) == (endpoint, link):
                return found.endpoint
        if all(link != known for _, known in self.proxies):
            print(f"    delay proxy checked: {check(link)}", flush=True)
        found = self.stack.enter_context(proxy(endpoint, link))
        self.proxies[endpoint, link] = found
        return found.endpoint

    @cached_property
    def real_tls(self) -> tuple[str, str]:
        """The endpoint of a second real server, which speaks TLS, and its authority; started on first use."""
        certificates = make_certificates(self.new_directory("real-certificates"))
        return self.stack.enter_context(real_server(self.real_directory, certificates)), str(certificates.authority)

    @cached_property
    def real_directory(self) -> Path:
        """The directory whose subdirectories are the real server's buckets."""
        return self.new_directory("real")

    @cached_property
    def real(self) -> str:
        """The endpoint of the real server, started on first use."""
        return self.stack.enter_context(real_server(self.real_directory))

    def new_directory(self, name: str) -> Path:
        """Make a directory that is removed at the end of the run."""
        path = self.directory / name
        path.mkdir()
        return path

    def has(self, client: str) -> bool:
        """Tell whether a client can be measured; `aioboto3` needs its own environment."""
        return client != "aioboto3" or client in self.pythons

    def run(self, task: Task, client: str) -> Sample:
        """Do a task in a new process of a client.

        Raises:
            RuntimeError: The process failed; the message has its error output.
        """
        python = self.pythons.get(client, sys.executable)
        task = replace(task, client=client, server=task.server or self.server)
        command = [python, "-m", "benchmarks.harness.child", task.dumps()]
        proxied = [each for each in self.proxies.values() if each.endpoint == task.endpoint]
        before = sum(each.cpu for each in proxied)
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            check=False,
            timeout=TIMEOUT,
            env=clean_environment(),
            cwd=Path(__file__).parents[2],
        )
        if done.returncode:
            message = f"{client}: {task.work} ended with {done.returncode}\n{done.stderr[-4_000:]}"
            raise RuntimeError(message)
        sample = Sample(**json.loads(done.stdout.splitlines()[-1]))
        return replace(sample, proxy=sum(each.cpu for each in proxied) - before)

    def pairs(
        self,
        work: str,
        task: Task,
        peer: str,
        *,
        extra: bool = False,
        after: Callable[[str], None] = lambda _: None,
    ) -> list[Pair]:
        """Run bucketry and a peer in turn.

        Args:
            work: The name under which the pairs are stored.
            task: The task of both.
            peer: The other client.
            extra: The peer is shown for information, and measured less often.
            after: Called with the client's name after each of its runs; checks and removes its files.
        """
        found = []
        scale = self.scale
        first, last = (-scale.extra_warm_up, scale.extra) if extra else (-scale.warm_up, scale.pairs)
        for number in range(first, last):
            pair = []
            for client in ("bucketry", peer):
                pair.append(self.run(task, client))
                after(client)
            if number >= 0:
                found.append((pair[0], pair[1]))
        self.series.setdefault(work, {})[peer] = found
        print(f"    {work}: {peer} done", flush=True)
        return found


@contextmanager
def open_bench(scale: Scale, pythons: dict[str, str], server: str) -> Iterator[Bench]:
    """Give a bench; its servers and files are removed at the end of the block."""
    with ExitStack() as stack:

        def room(needed: int) -> Path:
            free = shutil.disk_usage(_MEMORY).free if _MEMORY.is_dir() else 0
            temporary = tempfile.TemporaryDirectory(prefix="bucketry-bench-", dir=_MEMORY if free > needed else None)
            path = Path(stack.enter_context(temporary))
            path.chmod(0o755)  # the limit server's workers may be another user
            return path

        big = 3 * max(scale.download, scale.upload)
        usual = max(big, 3 * scale.tree_size)  # the tree, and what is stored of it, with some room
        yield Bench(scale, pythons, server, room(usual), room(big + scale.huge + GiB), stack)


def clean_environment() -> dict[str, str]:
    """Give the environment without variables that configure a client or the interpreter's cache."""
    kept = {name: value for name, value in os.environ.items() if not name.upper().startswith(_FOREIGN)}
    nowhere = {"AWS_CONFIG_FILE": os.devnull, "AWS_SHARED_CREDENTIALS_FILE": os.devnull}
    return kept | nowhere | {"AWS_EC2_METADATA_DISABLED": "true", "NO_PROXY": "127.0.0.1,localhost"}
