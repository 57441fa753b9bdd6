"""Options, configuration, errors and exit codes."""

from __future__ import annotations

import json

import pytest

from bucketry import errors
from bucketry._cli.args import size
from bucketry._cli.commands import COMMANDS, UsageError
from bucketry._cli.exits import exit_code
from bucketry._cli.output import error_facts, error_text
from bucketry._cli.parser import parse
from bucketry.providers.url import read_url
from bucketry.testing import EmbeddedS3
from tests.cli.conftest import Shell, s3_variables

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
        (("upload", "--local", "f", "--concurrency", "0"), "--concurrency: 0 is not within"),
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


@pytest.mark.parametrize(
    "words",
    [
        ("list", "k", "--json", "--provider", "local"),
        ("--json", "--provider", "local", "list", "k"),
        ("--provider=local", "ls", "--json", "k"),
        ("--json", "ls", "--provider", "local", "--", "k"),
    ],
)
def test_options_go_anywhere(words: tuple[str, ...]) -> None:
    """Common options before the verb, after it and between its words mean the same, also for an alias."""
    command, _, options = parse(words)
    assert command.name == "list"
    assert (vars(options)["words"], options.json, options.provider) == (["k"], True, "local")


def test_the_value_of_an_option_may_be_the_name_of_a_verb() -> None:
    """`--profile list list` lists with the profile `list`."""
    for words in (("--profile", "list", "list"), ("--profile=list", "list"), ("list", "--profile", "list")):
        command, _, options = parse(words)
        assert (command.name, options.profile) == ("list", "list")
    command, _, options = parse(("--region", "models", "models", "--profile", "info", "info", "resnet"))
    assert (command.name, options.region, options.profile) == ("models info", "models", "info")


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        ((), "demo; see `bucketry --help`"),
        (("--json",), "demo; see `bucketry --help`"),
        (("models",), "prune; see `bucketry models --help`"),
        (("models", "lst"), "unknown verb 'lst' of models; did you mean 'list'"),
        (("models", "list", "--logn"), "unknown option --logn; did you mean '--long'"),
        (("--logn", "models", "list"), "unknown option --logn"),
        (("cat", "--nope"), "unknown option --nope"),
        (("list", "--sort", "colour"), "invalid choice: 'colour'"),
        (("list", "--delimiter"), "--delimiter: expected one argument"),
        (("presign", "k", "-q"), "-q: there is no -q here (results go to standard output"),
        (("rm", "-rf", "st:x"), "-rf: there is no -f here (with --yes, nothing is asked); write -r"),
        (("ls", "-la"), "-la: there is no -a here (nothing is hidden); write -l"),
        (("ls", "-lh", "st:x"), "-lh: -h shows the help, and is written alone; sizes are shown in units"),
        (("cp", "-P", "a", "b"), "-P: there is no -P here (progress is shown on a terminal only"),
        (("mb", "s3://b"), "unknown verb 'mb'; buckets are made and deleted with the vendor's own program"),
        (("rb", "s3://b"), "unknown verb 'rb'; buckets are made and deleted"),
        (("rcat", "k"), "unknown verb 'rcat'; write upload - KEY"),
        (("cp", "--acl", "private", "a", "b"), "unknown option --acl; there are no options for access lists"),
        (
            ("models", "delete", "m"),
            "of models; a version is deleted by models prune NAME --keep N",
        ),
        (
            ("models", "ls", "ceph:"),
            "ceph:; this verb takes no place as a word: write --url ceph:",
        ),
        (("cat", "--quiet", "a"), "unknown option --quiet; results go to standard output"),
        (("ls", "--human-readable"), "unknown option --human-readable; sizes are shown in units already"),
        (("cp", "--dryrun", "a", "b"), "unknown option --dryrun; did you mean '--dry-run'?"),
        (("cp", "--no-progress", "a", "b"), "unknown option --no-progress; progress is shown on a terminal only"),
        (("cp", "--progress", "a", "b"), "unknown option --progress; progress is shown on a terminal only"),
        (("ls", "--frobnicate"), "unknown option --frobnicate; see `bucketry list --help`"),
    ],
)
def test_what_the_parser_refuses(words: tuple[str, ...], hint: str) -> None:
    """An error of the command line names the word that is wrong, the mistyped option first, and where help is."""
    with pytest.raises(UsageError) as caught:
        parse(words)
    assert hint in str(caught.value)
    assert "--help`" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("words", "usage"),
    [
        (("help",), "usage: bucketry ["),
        (("help", "ls"), "usage: bucketry list "),
        (("help", "models"), "usage: bucketry models "),
        (("help", "models", "backup"), "usage: bucketry models backup "),
        (("ls", "-h"), "usage: bucketry list "),
    ],
)
def test_help_as_a_verb(words: tuple[str, ...], usage: str, capsys: pytest.CaptureFixture[str]) -> None:
    """`help VERB` prints what `VERB --help` prints."""
    with pytest.raises(SystemExit) as caught:
        parse(words)
    assert caught.value.code == 0
    assert capsys.readouterr().out.startswith(usage)


@pytest.mark.parametrize("word", ["gs", "azure", "s4"])
def test_a_scheme_that_is_not_similar(word: str) -> None:
    """An unknown scheme that is not similar to a known one is answered with all of them, without a Python name."""
    with pytest.raises(errors.ConfigError) as caught:
        read_url(f"{word}://bucket")
    assert str(caught.value).startswith(f"open_storage: scheme '{word}' is unknown; known are ")
    assert error_text(caught.value).startswith(f"scheme '{word}' is unknown; known are ")


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        (
            "s3://b/k: if_none_match='*' is not enforced",
            "s3://b/k: --if-none-match is not enforced; write --no-clobber, which looks first whether the object",
        ),
        (
            "s3://b/k: expires_in=691200 must be within 1 and 604800",
            "s3://b/k: --expires-in 691200 must be within 1 and",
        ),
        ("open_storage: the URL's query is wrong", "the URL's query is wrong"),
    ],
)
def test_messages_name_options(message: str, expected: str) -> None:
    """An error on the command line names options, not the arguments of Python functions, also as JSON."""
    error = errors.UnsupportedError(message)
    assert error_text(error).startswith(expected)
    assert str(error_facts(error)["message"]).startswith(expected)


def test_the_verb_help_of_an_unknown_verb() -> None:
    """`help` with an unknown verb is an error, as the verb itself."""
    with pytest.raises(UsageError, match="unknown verb 'lst'; did you mean 'list'"):
        parse(("help", "lst"))


@pytest.mark.slow
def test_words_that_look_like_options(bucketry: Shell) -> None:
    """After `--`, a word that begins with a dash is a key."""
    bucketry.write("data/storage/-draft.txt", b"text")
    bucketry.write("data/storage/--json", b"more")
    assert bucketry("cat", "--", "-draft.txt").out == b"text"
    assert bucketry("cat", "--", "--json").out == b"more"
    assert bucketry("delete", "--", "-draft.txt").code == 0
    assert not (bucketry.store / "-draft.txt").exists()


@pytest.mark.slow
@pytest.mark.parametrize("words", [("cat", ""), ("info", ""), ("head", ""), ("delete", ""), ("presign", "")])
def test_an_empty_word_is_no_key(bucketry: Shell, words: tuple[str, ...]) -> None:
    """An empty word, such as that of a variable that is not set, is refused, and nothing is deleted."""
    bucketry.write("data/storage/k", b"x")
    ran = bucketry(*words)
    assert (ran.code, ran.out) == (2, b"")
    assert ran.err.count("\n") == 1
    assert (bucketry.store / "k").exists()


@pytest.mark.slow
def test_debug_logs_each_request_without_secrets(bucketry: Shell, s3_server: EmbeddedS3) -> None:
    """With --debug, each request is a line on standard error; no line has a credential."""
    bucketry.environ |= s3_variables(s3_server) | {"AWS_SECRET_ACCESS_KEY": "canary-secret"}
    ran = bucketry("list", "--prefix", "nothing/", "--debug")
    assert ran.code == 0
    assert "DEBUG bucketry: " in ran.err
    assert "canary" not in ran.err
    assert "DEBUG" not in bucketry("list", "--prefix", "nothing/").err


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
