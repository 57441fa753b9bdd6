"""Runs the command line as users do: as a process in its own directory."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from bucketry._cli.main import main
from bucketry.testing import EmbeddedS3, embedded_s3
from tests.cli import forks
from tests.cli.forks import ENVIRON

COMMAND = (sys.executable, "-m", "bucketry")


@dataclass(frozen=True)
class Ran:
    """How a process ended, and what it printed."""

    code: int
    out: bytes
    err: str

    @property
    def text(self) -> str:
        """Standard output as text."""
        return self.out.decode()

    @property
    def document(self) -> Any:
        """The one JSON document on standard output."""
        return json.loads(self.out)

    @property
    def lines(self) -> list[Any]:
        """The JSON Lines on standard output."""
        return [json.loads(line) for line in self.out.splitlines()]


@dataclass
class Shell:
    """Runs `bucketry` in a directory; the local store there is `data/storage`."""

    directory: Path
    command: tuple[str, ...] = COMMAND
    environ: dict[str, str] = field(default_factory=dict)

    @property
    def store(self) -> Path:
        """The directory of the default local store."""
        return self.directory / "data/storage"

    def __call__(self, *words: str, stdin: bytes = b"") -> Ran:
        """Run to the end: `python -m bucketry` in a copy of a process that has loaded it, which is quicker."""
        environ = {**os.environ, **ENVIRON, **self.environ}
        if self.command == COMMAND and forks.can_run(environ):
            code, out, err = forks.run(words, self.directory, environ, stdin)
            return Ran(code, out, err.decode())
        done = subprocess.run(
            [*self.command, *words], cwd=self.directory, env=environ, input=stdin, capture_output=True, check=False
        )
        return Ran(done.returncode, done.stdout, done.stderr.decode())

    def start(self, *words: str) -> subprocess.Popen[bytes]:
        """Start, with pipes to all three streams."""
        return subprocess.Popen(
            [*self.command, *words],
            cwd=self.directory,
            env={**os.environ, **ENVIRON, **self.environ},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )

    def scripted(self, code: str) -> Shell:
        """Give a shell whose `bucketry` runs this Python code first, for example to register a provider."""
        script = f"{code}\nimport sys\nfrom bucketry.__main__ import main\nsys.exit(main())\n"
        return Shell(self.directory, (sys.executable, "-c", script), self.environ)

    def write(self, name: str, data: bytes) -> Path:
        """Make a file in the directory."""
        path = self.directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        return path


class Inside:
    """Runs `bucketry` inside this process, which is quicker than a process; the directory is the current one.

    Attributes:
        shell: The same command line as a process.
        err: What the last run printed to standard error.
    """

    def __init__(self, directory: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.directory = directory
        self.shell = Shell(directory)
        self.err = ""
        self._capsys = capsys

    def __call__(self, *words: str, code: int = 0) -> str:
        """Run to the end, which must have this exit code; return what was printed to standard output."""
        found = main(words)
        out, self.err = self._capsys.readouterr()
        assert found == code, self.err
        return out

    def document(self, *words: str, code: int = 0) -> Any:
        """Run with --json; return the one document."""
        return json.loads(self(*words, "--json", code=code))

    def lines(self, *words: str) -> list[Any]:
        """Run with --json; return the JSON Lines."""
        return [json.loads(line) for line in self(*words, "--json").splitlines()]

    def refused(self, *words: str, code: int, hint: str) -> None:
        """Run; check that there is only one line of error with the hint, and that no file was changed."""
        before = files_below(self.directory)
        assert self(*words, code=code) == ""
        assert self.err.count("\n") == 1
        assert hint in self.err
        assert files_below(self.directory) == before


@pytest.fixture
def inside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Inside:
    """Return the command line inside this process, in an empty directory."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / ".cache"))
    return Inside(tmp_path, capsys)


@pytest.fixture
def bucketry(tmp_path: Path) -> Shell:
    """Return the command line in an empty directory."""
    return Shell(tmp_path)


@pytest.fixture(scope="session")
def s3_server() -> Iterator[EmbeddedS3]:
    """Return a running S3 server with one bucket.

    All servers of a process share moto's buckets, so no other server may have this one: it would remove it at its end.
    """
    pytest.importorskip("moto")
    with embedded_s3("cli-session") as running:
        yield running


@pytest.fixture
def s3_environment(s3_server: EmbeddedS3, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Configure S3 as the provider by environment variables, for `main` in this process; work in `tmp_path`."""
    for name, value in s3_variables(s3_server).items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)


def s3_variables(server: EmbeddedS3) -> dict[str, str]:
    """Return the environment variables that make the server the provider."""
    return {
        "STORAGE_PROVIDER": "s3",
        "AWS_BUCKET_NAME": server.bucket,
        "AWS_ACCESS_KEY_ID": "embedded",
        "AWS_SECRET_ACCESS_KEY": "embedded",
        "AWS_ENDPOINT_URL": server.endpoint_url,
    }


@pytest.fixture
def interruptible() -> Iterator[None]:
    """Restore the default SIGINT for child processes: background jobs start with it ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def files_below(directory: Path) -> dict[str, bytes]:
    """Return the bytes of each file, by its path relative to the directory."""
    return {
        path.relative_to(directory).as_posix(): path.read_bytes() for path in directory.rglob("*") if path.is_file()
    }
