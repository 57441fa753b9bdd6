"""A command in a copy of a process that has loaded the modules does what a process of its own does."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from tests.cli import forks
from tests.cli.conftest import COMMAND, ENVIRON, Shell

pytestmark = pytest.mark.slow  # each test starts processes


@pytest.mark.parametrize(
    ("words", "stdin", "environ"),
    [
        (("upload", "-", "k", "--json", "--no-such"), b"", {}),
        (("cat", "none"), b"", {}),
        (("delete", "--keys-from", "-", "--dry-run", "--json"), b"a\nb\n", {}),
        (("info",), b"", {"LOCAL_STORAGE_PATH": "elsewhere"}),
        (("head", "--help"), b"", {"COLUMNS": "60"}),
    ],
    ids=["usage", "missing", "stdin", "environment", "help"],
)
def test_it_does_what_a_process_does(
    bucketry: Shell, words: tuple[str, ...], stdin: bytes, environ: dict[str, str]
) -> None:
    """The exit code and both outputs are those of a new process in the same directory and environment."""
    bucketry.environ |= environ
    ran = bucketry(*words, stdin=stdin)
    done = subprocess.run(
        [*COMMAND, *words],
        cwd=bucketry.directory,
        env={**os.environ, **ENVIRON, **environ},
        input=stdin,
        capture_output=True,
        check=False,
    )
    assert (ran.code, ran.out, ran.err) == (done.returncode, done.stdout, done.stderr.decode())


def test_a_shell_runs_it_as_a_program(tmp_path: Path) -> None:
    """In a pipeline of a shell, the program reads, writes and ends as any other."""
    program = tmp_path / "bin" / "bucketry"
    forks.program(program)
    line = f"printf text | {program} upload - k --quiet && {program} cat k | tr t T; {program} cat none; echo $?"
    done = subprocess.run(["/bin/sh", "-c", line], cwd=tmp_path, capture_output=True, check=False)
    assert done.stdout == b"TexT3\n"
    assert done.stderr.count(b"\n") == 1


def test_what_an_interpreter_reads_at_its_start_needs_a_new_one() -> None:
    """A command with other variables for the interpreter is not run in a copy."""
    environ = {**os.environ, **ENVIRON}
    assert forks.can_run(environ)
    assert forks.can_run(environ | {"AWS_REGION": "eu-west-1"})
    assert not forks.can_run(environ | {"PYTHONWARNINGS": "error"})
