"""One run of the benchmarks: its servers, its files, and clients measured in turn, each in a fresh process."""

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

from benchmarks.harness.figures import Pair
from benchmarks.harness.nginx import LimitServer, limit_server
from benchmarks.harness.rclone import real_server
from benchmarks.harness.results import Series
from benchmarks.harness.task import MiB, Sample, Task

GiB = 1024 * MiB
TIMEOUT = 300.0  # no task takes a tenth of it
_MEMORY = Path("/dev/shm")  # noqa: S108 - looked at, and used by mkdtemp
_FOREIGN = (
    "AWS_",
    "RCLONE_",
    "BUCKETRY_",
    "LOCAL_STORAGE",
    "STORAGE_PROVIDER",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "ALL_PROXY",
)


@dataclass(frozen=True, kw_only=True)
class Scale:
    """How much is measured.

    Attributes:
        pairs: Pairs for a peer that has a target.
        extra: Pairs for a peer that is shown for information.
        warm_up: Pairs before those.
        seconds: How long small requests are repeated.
        download: Bytes of the big download.
        upload: Bytes of the big upload.
        huge: Bytes of the object that memory must not grow with.
        pages: Pages of the listing.
        files: Files of the directory.
        starts: How often a command is started.
    """

    pairs: int = 5
    extra: int = 3
    warm_up: int = 1
    seconds: float = 1.2
    download: int = GiB
    upload: int = 512 * MiB
    huge: int = 8 * GiB
    pages: int = 100
    files: int = 2_000
    starts: int = 11


QUICK = Scale(
    pairs=1,
    extra=1,
    warm_up=0,
    seconds=0.3,
    download=64 * MiB,
    upload=64 * MiB,
    huge=256 * MiB,
    pages=5,
    files=200,
    starts=3,
)


@dataclass
class Bench:
    """What rows are given.

    Attributes:
        scale: How much to measure.
        pythons: Interpreters of clients that cannot live in this one's environment.
        server: Which row of facts bucketry's client goes by, where a task does not say.
        directory: For files that are to be in memory.
        roomy: For files that may be larger than that.
        series: What the row under way has measured.
        earlier: What other rows have measured, by their numbers.
    """

    scale: Scale
    pythons: dict[str, str]
    server: str
    directory: Path
    roomy: Path
    stack: ExitStack
    series: Series = field(default_factory=dict)
    earlier: dict[str, Series] = field(default_factory=dict)

    @cached_property
    def limit(self) -> LimitServer:
        """The limit server, started when first asked for."""
        return self.stack.enter_context(limit_server(self.new_directory("limit")))

    @cached_property
    def real_directory(self) -> Path:
        """Whose subdirectories are the real server's buckets."""
        return self.new_directory("real")

    @cached_property
    def real(self) -> str:
        """The endpoint of the real server, started when first asked for."""
        return self.stack.enter_context(real_server(self.real_directory))

    def new_directory(self, name: str) -> Path:
        """Make a directory that ends with the run."""
        path = self.directory / name
        path.mkdir()
        return path

    def has(self, client: str) -> bool:
        """Tell whether a client can be measured; `aioboto3` needs an environment of its own."""
        return client != "aioboto3" or client in self.pythons

    def run(self, task: Task, client: str) -> Sample:
        """Do a task in a fresh process of a client.

        Raises:
            RuntimeError: It failed; says its error output.
        """
        python = self.pythons.get(client, sys.executable)
        task = replace(task, client=client, server=task.server or self.server)
        command = [python, "-m", "benchmarks.harness.child", task.dumps()]
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
        return Sample(**json.loads(done.stdout.splitlines()[-1]))

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
            work: The name under which the pairs are kept.
            task: What both do.
            peer: The other client.
            extra: It is shown for information, and measured less often.
            after: Called with the client's name after each of its runs: checks, and takes away what it made.
        """
        found = []
        for number in range(-self.scale.warm_up, self.scale.extra if extra else self.scale.pairs):
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
    """Give a bench whose servers and files end with the block."""
    with ExitStack() as stack:

        def room(needed: int) -> Path:
            free = shutil.disk_usage(_MEMORY).free if _MEMORY.is_dir() else 0
            temporary = tempfile.TemporaryDirectory(prefix="bucketry-bench-", dir=_MEMORY if free > needed else None)
            path = Path(stack.enter_context(temporary))
            path.chmod(0o755)  # the limit server's workers may be another user
            return path

        big = 3 * max(scale.download, scale.upload)
        yield Bench(scale, pythons, server, room(big), room(big + scale.huge + GiB), stack)


def clean_environment() -> dict[str, str]:
    """Give the environment without what would configure a client."""
    kept = {name: value for name, value in os.environ.items() if not name.upper().startswith(_FOREIGN)}
    nowhere = {"AWS_CONFIG_FILE": os.devnull, "AWS_SHARED_CREDENTIALS_FILE": os.devnull}
    return kept | nowhere | {"AWS_EC2_METADATA_DISABLED": "true", "NO_PROXY": "127.0.0.1,localhost"}
