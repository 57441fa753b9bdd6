"""Completion of words in a shell: what is offered, in real shells too, and what it costs."""

from __future__ import annotations

import os
import shlex
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from bucketry._cli.args import Arguments
from bucketry._cli.commands import all_commands
from bucketry._cli.completion import KEYS, is_path, listed, local_paths, parser_of, timeout_of
from bucketry._cli.parser import verb_parser
from bucketry._cli.verb import load
from bucketry.providers.places import PlaceFile, read_places
from bucketry.testing import EmbeddedS3, embedded_s3
from tests.cli.conftest import ENVIRON, Shell

pytest.importorskip("argcomplete")
pytestmark = pytest.mark.slow  # most tests start processes

WORDBREAKS = " \t\n\"'><=;|&(:"
"""The characters at which bash splits words by default; it replaces what follows the last of them."""
NO_PLACES = PlaceFile("config.toml", {})
FREE = {"name", "of", "tag"}
"""Arguments that are neither paths nor keys; for a name, datasets or models are offered."""


@pytest.fixture
def store(bucketry: Shell) -> Shell:
    """Return the command line with the place `prod`, and objects there and in the usual store."""
    for name in ("store/data/a b.txt", "store/data/q", "store/deep/x", "data/storage/k1/y", "data/storage/kx"):
        bucketry.write(name, b"payload")
    for name in ("models/resnet/latest", "models/net/latest", "datasets/cats/a", "datasets/dogs/a"):
        bucketry.write(f"named/{name}", b"")
    config = bucketry.write(
        "config.toml",
        (
            f'[places.prod]\nurl = "file://{bucketry.directory}/store"\n'
            f'[places.named]\nurl = "file://{bucketry.directory}/named"\n'
        ).encode(),
    )
    config.chmod(0o600)
    bucketry.environ |= {"BUCKETRY_CONFIG": str(config), "BUCKETRY_COMPLETION_TIMEOUT": "30"}
    return bucketry


def offered(shell: Shell, line: str) -> list[str]:
    """Return what bash would get for a line, with the cursor at its end."""
    out = shell.directory / "out"
    asked = {
        "COMP_LINE": line,
        "COMP_POINT": str(len(line)),
        "_ARGCOMPLETE": "1",
        "_ARGCOMPLETE_COMP_WORDBREAKS": WORDBREAKS,
        "_ARGCOMPLETE_IFS": "\n",
        "_ARGCOMPLETE_SHELL": "bash",
        "_ARGCOMPLETE_STDOUT_FILENAME": str(out),
        "_ARGCOMPLETE_SUPPRESS_SPACE": "1",
    }
    ran = Shell(shell.directory, environ=shell.environ | asked)()
    assert (ran.code, ran.out, ran.err) == (0, b"", "")
    return out.read_text().splitlines()


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("bucketry dow", ["download"]),
        ("bucketry --json dow", ["download"]),
        ("bucketry l", ["list", "ls"]),
        ("bucketry models ver", ["versions", "verify"]),
        ("bucketry list --pre", ["--prefix"]),
        ("bucketry --url prod: list --pre", ["--prefix"]),
        ("bucketry list --addressing-style v", ["virtual"]),
        ("bucketry completion z", ["zsh"]),
        ("bucketry list --region ", []),
        ("bucketry list --provider loc", ["local"]),
        ("bucketry models info --url named: ", ["net", "resnet"]),
        ("bucketry datasets ensure --url named: c", ["cats"]),
        ("bucketry list --url pr", ["prod:"]),
        ("bucketry cat pr", ["prod:"]),
        ("bucketry cat wa", ["wasabi://"]),
        ("bucketry cat k", ["k1/", "kx"]),
        ("bucketry cat prod:d", ["data/", "deep/"]),
        ("bucketry cat prod:data/", [r"data/a\ b.txt", "data/q"]),
        ('bucketry cat "prod:data/a', ["prod:data/a b.txt"]),
        ("bucketry cat prdo:", []),
        ("bucketry cat x4://b/", []),
        ("bucketry cat --url prod:data ", ["prod:", "named:", r"a\ b.txt", "q"]),
        ("bucketry --url prod:data cat q", ["q"]),
        ("bucketry list --url prod: --prefix de", ["deep/"]),
        ("bucketry list --url prod:da", ["data/"]),
        ("bucketry list --env-file s", ["store/"]),
        ("bucketry list --ca-bundle c", ["config.toml"]),
        ("bucketry models backup s", ["store/"]),
        ("bucketry sync s", ["store/", "s3://", "spaces://"]),
        ("bucketry sync ./store prod:de", ["deep/"]),
        ("bucketry list s", ["s3://", "spaces://"]),
    ],
)
def test_what_is_offered(store: Shell, line: str, expected: list[str]) -> None:
    """Verbs, options, choices, places, URLs, keys and local paths are offered where they can stand."""
    assert offered(store, line) == expected


def test_a_url_of_the_disk(store: Shell) -> None:
    """The keys of a URL are offered; bash replaces only what follows the last colon."""
    assert offered(store, f"bucketry cat file://{store.directory}/store/data/q") == [
        f"//{store.directory}/store/data/q"
    ]
    assert offered(store, f"bucketry cat file://{store.directory}/store/data") == [f"//{store.directory}/store/data/"]


def test_a_broken_configuration_is_silent(store: Shell) -> None:
    """A file of places that is malformed gives no names and no message."""
    Path(store.environ["BUCKETRY_CONFIG"]).write_text("not toml")
    assert offered(store, "bucketry cat prod:d") == []
    assert offered(store, "bucketry li") == ["list"]


def test_every_argument_is_classified() -> None:
    """Each positional argument of a verb is a path, a key or both, has choices, or is known to be free."""
    for command in all_commands():
        for action in verb_parser(command, load(command))._actions:
            if not action.option_strings and action.choices is None:
                assert is_path(action) or action.dest in KEYS | FREE, f"{command.name}: {action.dest}"


def test_the_words_before_the_verb() -> None:
    """The verb's own parser completes, with the options that are given before the verb."""
    parser, above, used = parser_of(["--url", "prod:", "models", "--json", "backup", "--part-size"])
    assert (parser.prog, above and above.name, used) == ("bucketry models backup", "models backup", 5)
    assert (parser.get_default("url"), parser.get_default("json")) == ("prod:", True)
    for words in ([], ["--json"], ["lst"], ["--url"], ["--help"]):
        parser, above, used = parser_of(words)
        assert (parser.prog, above, used) == ("bucketry", None, 0)
    parser, above, used = parser_of(["models", "backpu"])
    assert (parser.prog, above and above.name, used) == ("bucketry models", "models", 1)


def test_local_paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Names are sorted, directories end in `/`, and hidden files are offered only after a dot."""
    for name in ("b/x", "a c", ".hidden"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.touch()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert list(local_paths("")) == ["a c", "b/"]
    assert list(local_paths(".")) == [".hidden"]
    assert list(local_paths("b/")) == ["b/x"]
    assert list(local_paths("~/a")) == ["~/a c"]
    assert list(local_paths(f"{tmp_path}/b")) == [f"{tmp_path}/b/"]
    assert list(local_paths("no/such/")) == []


async def test_how_keys_are_written(tmp_path: Path) -> None:
    """Characters with a meaning in URLs and globs are written so that the word names the key."""
    (tmp_path / "50% a#b?*[").touch()
    (tmp_path / "line\nbreak").touch()
    url = f"file://{tmp_path}/"
    environ = {"BUCKETRY_CONFIG": str(tmp_path / ".config.toml")}
    (tmp_path / ".config.toml").write_text(f'[places.prod]\nurl = "{url}"\n')
    (tmp_path / ".config.toml").chmod(0o600)
    named = read_places(environ)
    assert await listed(f"{url}5", "key", Arguments(), {}, NO_PLACES, within=20) == [f"{url}50%25 a%23b[?][*][[]"]
    assert await listed("prod:5", "key", Arguments(), environ, named, within=20) == ["prod:50% a#b[?][*][[]"]
    assert await listed(f"{url}*", "key", Arguments(), {}, NO_PLACES, within=20) == []
    assert f"{url}line" not in "".join(await listed(url, "key", Arguments(), {}, NO_PLACES, within=20))


async def test_at_most_a_hundred_names(tmp_path: Path) -> None:
    """A large directory gives the first hundred names."""
    for number in range(120):
        (tmp_path / f"{number:03}").touch()
    found = await listed(f"file://{tmp_path}/", "key", Arguments(), {}, NO_PLACES, within=20)
    assert found == [f"file://{tmp_path}/{number:03}" for number in range(100)]


async def test_a_server_that_does_not_answer() -> None:
    """The listing is given up after a time, and nothing is offered."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        options = Arguments()
        options.endpoint_url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        environ = {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b"}
        assert await listed("s3://my-bucket/", "key", options, environ, NO_PLACES, within=0.2) == []


def test_nothing_waits_for_ever(store: Shell) -> None:
    """The process ends by itself, also if it waits for something that cannot be cancelled."""
    config = Path(store.environ["BUCKETRY_CONFIG"])
    config.unlink()
    os.mkfifo(config, 0o600)
    asked = {"COMP_LINE": "bucketry cat prod:", "COMP_POINT": "18", "_ARGCOMPLETE": "1"}
    asked |= {"_ARGCOMPLETE_STDOUT_FILENAME": "/dev/null", "BUCKETRY_COMPLETION_TIMEOUT": "0.5"}
    ran = Shell(store.directory, environ=store.environ | asked)()
    assert (ran.code, ran.out, ran.err) == (1, b"", "")


@pytest.mark.parametrize(
    ("text", "seconds"), [(None, 2), ("5", 5), ("0.5", 0.5), ("x", 2), ("0", 2), ("-1", 2), ("nan", 2), ("inf", 2)]
)
def test_the_time_that_a_completion_may_take(text: str | None, seconds: float) -> None:
    """The variable gives the seconds; what is not a sensible number counts as not set."""
    assert timeout_of({} if text is None else {"BUCKETRY_COMPLETION_TIMEOUT": text}) == seconds


def test_an_env_file_configures_the_completion(store: Shell) -> None:
    """The variables of --env-file name the provider whose keys are offered."""
    store.write("my.env", b"LOCAL_STORAGE_PATH=store/data\n")
    assert offered(store, "bucketry cat --env-file my.env q") == ["q"]


def test_the_scripts(bucketry: Shell) -> None:
    """Each shell gets its script; other shells are refused with the known ones."""
    for shell, part in (("bash", "complete -o nospace"), ("zsh", "#compdef bucketry"), ("fish", "complete --command")):
        ran = bucketry("completion", shell)
        assert (ran.code, ran.err) == (0, "")
        assert part in ran.text
        assert bucketry("completion", shell, "--json").document == {
            "shell": shell,
            "script": ran.text.removesuffix("\n"),
        }
    ran = bucketry("completion", "tcsh")
    assert ran.code == 2
    assert "bash" in ran.err


def test_without_argcomplete(bucketry: Shell) -> None:
    """The verb names the command that installs argcomplete; a shell that still has the script gets nothing."""
    without = bucketry.scripted("import sys\nsys.modules['argcomplete'] = None")
    ran = without("completion", "bash")
    assert ran.code == 2
    assert 'pip install "bucketry[cli]"' in ran.err
    without.environ["_ARGCOMPLETE"] = "1"
    ran = without()
    assert (ran.code, ran.out, ran.err) == (1, b"", "")


def test_completion_costs_nothing_at_the_start(bucketry: Shell) -> None:
    """Other commands do not load argcomplete."""
    script = "import sys\nfrom bucketry._cli.main import main\nmain(['list'])\nprint('argcomplete' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=bucketry.directory,
        env={**os.environ, **ENVIRON},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "False\n"


SHELLS = {
    "bash": (("bash", "--norc", "--noprofile", "-i"), 'eval "$(bucketry completion bash)"'),
    "zsh": (("zsh", "-f", "-i"), 'autoload -U compinit; compinit -u; eval "$(bucketry completion zsh)"'),
    "fish": (("fish", "--no-config", "-i"), "bucketry completion fish | source"),
}


@pytest.fixture(scope="module")
def server() -> Iterator[EmbeddedS3]:
    """Return a running server with one bucket."""
    pytest.importorskip("moto")
    with embedded_s3() as running:
        yield running


TERMINAL = """
import os, pty, sys
sys.exit(os.waitstatus_to_exitcode(pty.spawn(sys.argv[1:])))
"""
"""Runs a program in a pseudo-terminal, in a process of its own, because a fork in a process with threads may hang."""


def typed(shell: str, lines: list[str], directory: Path, environ: dict[str, str]) -> str:
    """Type lines in a shell with a terminal, after its script; return everything that the terminal shows."""
    command, script = SHELLS[shell]
    if shutil.which(command[0]) is None:
        pytest.skip(f"{shell} is not installed")
    program = directory / "bin" / "bucketry"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m bucketry "$@"\n')
    program.chmod(0o755)
    ours = {"HOME": str(directory), "PATH": f"{program.parent}:{os.environ['PATH']}", "TERM": "xterm", "PS1": "$ "}
    done = subprocess.run(
        [sys.executable, "-c", TERMINAL, *command],
        input="\n".join([script, *lines, "exit", ""]).encode(),
        cwd=directory,
        env={**os.environ, **ENVIRON, **ours, **environ},
        capture_output=True,
        check=False,
    )
    return done.stdout.decode(errors="replace")


@pytest.mark.timeout(110)
@pytest.mark.parametrize("shell", SHELLS)
def test_the_tab_key_in_a_real_shell(shell: str, server: EmbeddedS3, store: Shell) -> None:
    """The tab key completes a place, a key with a blank, and keys of a server; the completed commands read the objects.

    In bash the words hold colons, at which it splits words.
    """
    store.write("store/data/a b.txt", b"payload of a b\n")
    store.environ |= {
        "AWS_ACCESS_KEY_ID": "embedded",
        "AWS_SECRET_ACCESS_KEY": "embedded",
        "AWS_ENDPOINT_URL": server.endpoint_url,
    }
    stored = ("upload", "--local", "-", "--remote", "data/model.bin", "--url", f"s3://{server.bucket}")
    assert store(*stored, stdin=b"payload of a model\n").code == 0
    lines = [f"bucketry cat s3://{server.bucket}/da\tmo\t", "bucketry ca\tpr\tdata/a\t"]
    shown = typed(shell, lines, store.directory, store.environ)
    assert shown.count("payload of a model") == 1, shown
    assert shown.count("payload of a b") == 1, shown
    assert "error" not in shown
