"""Options, configuration, errors and exit codes."""

from __future__ import annotations

import json

import pytest

from bucketry import errors
from bucketry._cli.args import size
from bucketry._cli.commands import COMMANDS, UsageError
from bucketry._cli.exits import exit_code
from tests.cli.conftest import Shell

VERBS = tuple(command.name for command in COMMANDS)
EXIT_CODES = {
    1: {
        errors.AlreadyExistsError,
        errors.ChecksumMismatchError,
        errors.DiskFullError,
        errors.IntegrityError,
        errors.LocalFileError,
        errors.PreconditionFailedError,
        errors.StorageError,
    },
    2: {
        errors.ConfigError,
        errors.InvalidKeyError,
        errors.InvalidMetadataError,
        errors.InvalidRangeError,
        errors.InvalidRequestError,
        errors.LocalIsADirectoryError,
        errors.LocalNotADirectoryError,
        errors.UnsafeKeyError,
        errors.UnsupportedError,
        UsageError,
    },
    3: {
        errors.BucketNotFoundError,
        errors.LocalFileNotFoundError,
        errors.NotFoundError,
        errors.UploadNotFoundError,
    },
    4: {errors.AccessDeniedError, errors.AuthenticationError, errors.LocalPermissionError},
    5: {
        errors.ConnectionFailedError,
        errors.IncompleteBodyError,
        errors.PoolTimeoutError,
        errors.RequestTimeoutError,
        errors.ThrottledError,
        errors.TransientError,
        errors.UnreachableError,
    },
}


def test_every_error_has_the_exit_code_of_its_kind() -> None:
    """The table above is right and has every error of the package; bugs give 1."""
    known = {kind for kinds in EXIT_CODES.values() for kind in kinds} - {UsageError}
    assert known == {getattr(errors, name) for name in errors.__all__}
    for code, kinds in EXIT_CODES.items():
        assert {exit_code(kind("message")) for kind in kinds} == {code}
    assert exit_code(errors.InvalidRequestError("a server refused it", status=400)) == 1
    assert exit_code(RuntimeError()) == 1


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("8388608", 8_388_608),
        ("8MiB", 8_388_608),
        ("8 mib", 8_388_608),
        ("8M", 8_388_608),
        ("64MB", 64_000_000),
        ("1.5KiB", 1_536),
        ("2GiB", 2 * 1024**3),
        ("10b", 10),
    ],
)
def test_sizes(text: str, expected: int) -> None:
    """Sizes have binary or decimal units, or none."""
    assert size(text) == expected


@pytest.mark.slow
@pytest.mark.parametrize("text", ["8 miles", "", "MiB", "-1", "1e6", "1.5", "0x10", "0", "6GiB"])
def test_sizes_that_are_none(bucketry: Shell, text: str) -> None:
    """A text that is not a size, or a size that parts cannot have, is a usage error that names the option."""
    bucketry.write("f", b"x")
    ran = bucketry("upload", "--local", "f", f"--part-size={text}")
    assert ran.code == 2
    assert "part-size" in ran.err.replace("_", "-")
    assert not bucketry.store.exists()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("words", "hint"),
    [
        ((), "VERB"),
        (("lst",), "unknown verb 'lst'; did you mean 'list'"),
        (("frobnicate", "--prefx", "a"), "unknown verb 'frobnicate'; known are"),
        (("list", "--pre", "a"), "unknown option --pre; did you mean '--prefix'"),
        (("upload", "--locl", "a"), "unknown option --locl; did you mean '--local'"),
        (("list", "--prefx=a"), "unknown option --prefx; did you mean '--prefix'"),
        (("--jsn", "list"), "unknown option --jsn; did you mean '--json'"),
        (("list", "--prefix", "a", "--prefix", "b"), "--prefix is given twice"),
        (("demo", "--region", "x"), "leave out --region"),
        (("download", "--remote", "k", "--local", "-", "--no-clobber"), "--no-clobber is for files"),
        (("upload",), "--local"),
        (("download", "--local", "x"), "--remote"),
        (("cat",), "KEY"),
        (("cat", "k", "--json"), "--json cannot be used"),
        (("upload", "--local", "f", "--concurrency", "many"), "--concurrency"),
        (("upload", "--local", "f", "--concurrency", "0"), "max_concurrency"),
        (("upload", "--local", "f", "--metadata", "novalue"), "NAME=VALUE"),
        (("demo", "--url", "memory://"), "starts its own server"),
        (("list", "--provider", "wasabbi"), "did you mean 'wasabi'"),
        (("list", "--provider", "wasabi"), "WASABI_BUCKET"),
        (("list", "--url", "s3x://bucket"), "did you mean 's3'"),
        (("list", "--url", "bucket"), "is not a URL"),
        (("list", "--env-file", "missing.env"), "--env-file missing.env: No such file"),
    ],
)
def test_usage_and_configuration_errors(bucketry: Shell, words: tuple[str, ...], hint: str) -> None:
    """A wrong or incomplete command line gives one line on stderr and exit code 2."""
    bucketry.write("f", b"x")
    ran = bucketry(*words)
    assert (ran.code, ran.out) == (2, b"")
    assert ran.err.startswith('{"error": ' if "--json" in words else "error: ")
    assert ran.err.count("\n") == 1
    assert hint in ran.err


@pytest.mark.slow
def test_help_and_version(bucketry: Shell) -> None:
    """Every verb has a help text, the version and the common options."""
    assert bucketry("--version").text.startswith("bucketry ")
    overview = bucketry("--help").text
    assert "130 interrupted" in overview
    for verb in VERBS:
        assert verb in overview
        ran = bucketry(verb, "--help")
        assert ran.code == 0
        assert all(option in ran.text for option in ("--url", "--provider", "--env-file", "--json", "--debug"))
    assert bucketry("cat", "--version").text == bucketry("--version").text


@pytest.mark.slow
def test_common_options_go_before_or_after_the_verb(bucketry: Shell) -> None:
    """`--json list` and `list --json` mean the same."""
    bucketry.write("data/storage/k", b"x")
    assert bucketry("--json", "list").lines == bucketry("list", "--json").lines


@pytest.mark.slow
def test_errors_as_json(bucketry: Shell) -> None:
    """With --json an error is a JSON object on stderr, even a usage error."""
    ran = bucketry("info", "missing", "--json")
    assert (ran.code, ran.out) == (3, b"")
    error = json.loads(ran.err)["error"]
    assert (error["type"], error["key"], error["exit_code"], error["retryable"]) == (
        "NotFoundError",
        "missing",
        3,
        False,
    )
    assert "missing" in error["message"]
    ran = bucketry("lst", "--json")
    assert (ran.code, json.loads(ran.err)["error"]["type"]) == (2, "UsageError")


@pytest.mark.slow
def test_tracebacks_are_for_debugging(bucketry: Shell) -> None:
    """A traceback is shown only with --debug; the one-line error is still the last line."""
    plain, debug = bucketry("cat", "missing"), bucketry("cat", "missing", "--debug")
    assert "Traceback" not in plain.err
    assert "Traceback" in debug.err
    assert debug.err.splitlines()[-1] == plain.err.rstrip()


def _with_fault(bucketry: Shell, error: str) -> Shell:
    return bucketry.scripted(
        "from bucketry import MemoryProvider, StorageProviderFactory, errors\n"
        "from bucketry.testing import Fault, FaultyProvider\n"
        f"faults = (Fault(operation='head', error={error}), Fault(operation='list_page', error={error}))\n"
        "StorageProviderFactory.register('faulty', lambda config, **options: FaultyProvider(MemoryProvider(), faults))"
    )


@pytest.mark.slow
@pytest.mark.parametrize(
    ("error", "code"),
    [
        ("errors.IntegrityError('broken')", 1),
        ("RuntimeError('broken')", 1),
        ("errors.UnsupportedError('broken')", 2),
        ("errors.BucketNotFoundError('broken')", 3),
        ("errors.AccessDeniedError('broken')", 4),
        ("errors.AuthenticationError('broken')", 4),
        ("errors.ThrottledError('broken')", 5),
    ],
)
def test_the_exit_code_tells_what_went_wrong(bucketry: Shell, error: str, code: int) -> None:
    """An error of a request ends the program with the exit code of its class, in one line without a traceback."""
    faulty = _with_fault(bucketry, error)
    for words in (("info", "k"), ("list",)):
        ran = faulty(*words, "--provider", "faulty")
        assert (ran.code, ran.out) == (code, b"")
        assert ran.err.startswith("error: ")
        assert ran.err.endswith("broken\n")
        assert ran.err.count("\n") == 1
