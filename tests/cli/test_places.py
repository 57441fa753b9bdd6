"""Named places of the configuration file, on the command line."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from contextlib import aclosing
from pathlib import Path

import pytest

from bucketry import MemoryProvider, StorageProviderFactory
from bucketry._cli.args import Arguments
from bucketry._cli.place import Places, read_named
from bucketry._cli.selection import SelectionArguments, selected, single_key
from bucketry.errors import ConfigError, StorageError
from tests.cli.conftest import ENVIRON, Shell, files_below

pytestmark = pytest.mark.slow  # most tests start processes


@pytest.fixture
def named(bucketry: Shell) -> Shell:
    """Return the command line with the place `prod`, the prefix `base` of a bucket on the disk, and one object."""
    bucketry.write("store/base/run-1/k", b"payload")
    configure(bucketry, f'[places.prod]\nurl = "file://{bucketry.directory}/store/base"\n')
    return bucketry


def configure(shell: Shell, text: str, mode: int = 0o600) -> Path:
    """Write the configuration file."""
    file = shell.write("config.toml", text.encode())
    file.chmod(mode)
    shell.environ["BUCKETRY_CONFIG"] = str(file)
    return file


def test_a_place_as_a_word_and_as_an_option(named: Shell) -> None:
    """`prod:key` names an object, and `--url prod:prefix` the provider of a prefix."""
    assert named("cat", "prod:run-1/k").out == b"payload"
    assert named("cat", "run-1/k", "--url", "prod:").out == b"payload"
    assert named("cat", "k", "--url", "prod:run-1").out == b"payload"
    assert named("info", "--url", "prod:", "--json").document["place"] == f"file://{named.directory}/store/base"


def test_the_usual_file(named: Shell) -> None:
    """Without the variable the file is in the user's directory of configurations."""
    file = named.directory / "config/bucketry/config.toml"
    file.parent.mkdir(parents=True)
    (named.directory / "config.toml").rename(file)
    named.environ |= {"BUCKETRY_CONFIG": "", "XDG_CONFIG_HOME": str(named.directory / "config")}
    assert named("cat", "prod:run-1/k").out == b"payload"


def test_an_env_file_may_name_the_file(named: Shell) -> None:
    """Variables of --env-file are known when the configuration file is read."""
    named.write("my.env", f"BUCKETRY_CONFIG={named.environ.pop('BUCKETRY_CONFIG')}\n".encode())
    assert named("cat", "prod:run-1/k", "--env-file", "my.env").out == b"payload"


def test_a_key_with_a_colon(named: Shell) -> None:
    """Only a name of the file is a place; other words with a colon are keys, unless they look mistyped."""
    named.write("data/storage/prdo:k", b"1")
    named.write("data/storage/other:k", b"2")
    ran = named("cat", "prdo:k")
    assert (ran.code, ran.out) == (2, b"")
    assert ran.err == (
        f"error: cat: {named.environ['BUCKETRY_CONFIG']} has no place 'prdo'; did you mean 'prod'? "
        "For a key of the local directory, add --provider local\n"
    )
    assert named("cat", "prdo:k", "--provider", "local").out == b"1"
    ran = named("cat", "other:k")
    assert (ran.code, ran.out) == (0, b"2")
    assert "warning: other:k is taken as a key of the local directory" in ran.err
    named.environ["STORAGE_PROVIDER"] = "local"
    ran = named("cat", "prdo:k")
    assert (ran.code, ran.out, ran.err) == (0, b"1", "")
    named.write("data/storage/prod:k", b"3")
    assert named("cat", "prod:k", "--provider", "local").err.endswith("leave out --provider\n")


@pytest.mark.parametrize("kind", ["", "local"])
@pytest.mark.parametrize("words", [("upload", "f", "nope:x"), ("cp", "f", "nope:x"), ("mv", "f", "prdo:x")])
def test_nothing_is_written_to_a_place_that_is_not_there(named: Shell, words: tuple[str, ...], kind: str) -> None:
    """A new key of the form NAME:path is refused if the file has places; --provider says that a key is meant."""
    named.write("f", b"1")
    named.write("data/storage/f", b"2")
    named.environ["STORAGE_PROVIDER"] = kind
    before = files_below(named.directory)
    ran = named(*words)
    assert (ran.code, ran.out, ran.err.count("\n")) == (2, b"", 1)
    assert f"has no place {words[2][:4]!r}; " in ran.err
    assert ran.err.endswith(f" If {words[2]} is a key, add --provider local\n")
    assert files_below(named.directory) == before
    assert named(*words, "--provider", "local").code == 0
    assert (named.store / words[2]).exists()


def test_a_place_with_a_name_of_one_letter(named: Shell) -> None:
    """The file's error says what a name is; without such a place the word is a key."""
    named.write("f", b"1")
    assert named("upload", "f", "p:x", "--provider", "memory").code == 0
    configure(named, '[places.p]\nurl = "memory://"\n')
    before = files_below(named.directory)
    ran = named("upload", "f", "p:y")
    assert (ran.code, ran.out) == (2, b"")
    assert "place 'p': a name is a letter, then at least one letter, digit, - or _" in ran.err
    assert files_below(named.directory) == before


def test_words_without_a_place_do_not_read_the_file(named: Shell) -> None:
    """A broken file disturbs no command that names no place."""
    named.write("data/storage/k", b"1")
    configure(named, "not toml")
    assert named("cat", "k").out == b"1"
    assert named("cat", f"file://{named.directory}/data/storage/k").code == 0
    assert "is not valid TOML" in named("cat", "prod:k").err


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        (("list", "--url", "prdo:"), "has no place 'prdo'; did you mean 'prod'?"),
        (("list", "--url", "prod:", "--provider", "s3"), "--provider s3 is not the provider of --url"),
        (("cat", "prod:k", "--url", "memory://"), "prod:k names its provider; leave out --url"),
        (("list", "--url", "prod:", "--region", "x"), "place prod: local: region: unknown"),
    ],
)
def test_a_place_that_cannot_be_used(named: Shell, words: tuple[str, ...], hint: str) -> None:
    """The error is one line, and the exit code is that of a wrong configuration."""
    ran = named(*words)
    assert (ran.code, ran.out, ran.err.count("\n")) == (2, b"", 1)
    assert hint in ran.err


def test_an_unsafe_file(named: Shell) -> None:
    """A file that others can write is refused, before anything else happens."""
    Path(named.environ["BUCKETRY_CONFIG"]).chmod(0o666)
    ran = named("delete", "prod:run-1/k")
    assert (ran.code, ran.out) == (2, b"")
    assert "others can write it (mode 0666)" in ran.err
    assert (named.directory / "store/base/run-1/k").exists()


def test_options_win_over_the_place(bucketry: Shell) -> None:
    """An option replaces an entry of the place, and secrets are shown nowhere."""
    command = json.dumps([sys.executable, "-c", "print('canary')"])
    configure(
        bucketry,
        '[places.prod]\nurl = "s3://my-bucket"\nregion = "eu-1"\nendpoint_url = "https://127.0.0.1:9"\n'
        f'max_attempts = 1\naccess_key_id = "AKID"\nsecret_access_key = {{ command = {command} }}\n',
    )
    ran = bucketry("cat", "prod:k", "--debug", "--endpoint-url", "https://127.0.0.2:9")
    assert ran.code == 5
    assert "127.0.0.2" in ran.err
    assert "127.0.0.1" not in ran.err
    assert "canary" not in ran.err


@pytest.mark.usefixtures("interruptible")
def test_a_command_of_a_place_is_ended_by_an_interrupt(bucketry: Shell) -> None:
    """Ctrl-C while a command runs ends the command and the program."""
    fifo = bucketry.directory / "pid"
    os.mkfifo(fifo)
    code = f"import os, time; open({str(fifo)!r}, 'w').write(str(os.getpid())); time.sleep(1000)"
    command = json.dumps([sys.executable, "-c", code])
    configure(
        bucketry,
        f'[places.prod]\nurl = "s3://my-bucket"\naccess_key_id = "A"\nsecret_access_key = {{ command = {command} }}\n',
    )
    with bucketry.start("cat", "prod:k") as process:
        pid = int(fifo.read_text())
        process.send_signal(signal.SIGINT)
        assert process.wait() == 130
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def places(url: str | None, config: Path, **more: str) -> Places:
    """Return the places of a command line with this `--url`."""
    options = Arguments()
    options.url = url
    environ = {"BUCKETRY_CONFIG": str(config), **more}
    return Places(options, environ, read_named(options, environ))


def test_the_doctor_examines_a_place(bucketry: Shell) -> None:
    """The doctor says what gave each entry, with secrets masked, and uses the secrets of the place."""
    configure(
        bucketry,
        '[places.prod]\nurl = "s3://my-bucket"\nendpoint_url = "http://127.0.0.1:9"\nmax_attempts = 1\n'
        'access_key_id = { env = "MY_ID" }\nsecret_access_key = { command = ["echo", "canary"] }\n',
    )
    bucketry.environ["MY_ID"] = "canary"
    ran = bucketry("doctor", "prod:", "--read-only")
    assert "(place prod, command)" in ran.text
    assert "(place prod, env)" in ran.text
    assert "cannot connect" in ran.text
    assert "canary" not in ran.text + ran.err


def test_the_defaults_of_a_sync(bucketry: Shell) -> None:
    """The place of --url gives the directory and the prefix; else they are data/ and datasets/."""
    file = configure(
        bucketry,
        '[places.prod]\nurl = "memory://"\nlocal = "here"\nremote = "there/"\n'
        '[places.half]\nurl = "memory://"\nlocal = "x"\n',
    )
    assert places("prod:", file).defaults() == ("here", "there/")
    assert places("prod:run-1/", file).defaults() == ("here", "there/")
    assert places("half:", file).defaults() == ("x", "datasets/")
    assert places("memory://", file).defaults() == ("data/", "datasets/")
    assert places(None, file).defaults() == ("data/", "datasets/")


async def test_which_words_are_remote(bucketry: Shell) -> None:
    """URLs and names of the file are remote; what is wrong with other names is said."""
    file = configure(bucketry, '[places.prod]\nurl = "memory://"\n')
    found = places("prod:", file)
    assert [word for word in ("prod:a", "s3://b", "prdo:a", "C:a", "a", "./prod:a") if found.is_remote(word)] == [
        "prod:a",
        "s3://b",
    ]
    assert (found.unknown_place("prod:a"), found.unknown_place("./prdo:a")) == (None, None)
    assert found.unknown_place("prdo:a") == f"{file} has no place 'prdo'; did you mean 'prod'?"
    with pytest.raises(ConfigError, match="leave out --url"):
        await found.open("prod:a")


async def test_an_error_at_the_end_leaves_no_connection_open() -> None:
    """If one provider cannot be disconnected, the connections of the others are closed all the same."""
    ended = asyncio.Event()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")
        await reader.read()
        ended.set()
        writer.close()

    class Broken(MemoryProvider):
        async def disconnect(self) -> None:
            message = "cannot be disconnected"
            raise StorageError(message)

    StorageProviderFactory.register("broken", lambda _, **__: Broken())
    environ = {"STORAGE_PROVIDER": "broken", "AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b"}
    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        url = f"s3://bucket?endpoint_url=http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        found = Places(Arguments(), environ)
        await found.open("a")
        assert not await (await found.open(url)).provider.exists("k")
        with pytest.raises(StorageError, match="cannot be disconnected"):
            await found.__aexit__()
        async with asyncio.timeout(10):
            await ended.wait()


async def test_two_words_of_one_place_share_a_provider(bucketry: Shell) -> None:
    """A place is opened once, so its commands run once."""
    runs = bucketry.directory / "runs"
    command = json.dumps(["sh", "-c", f"echo x >> {runs}; echo secret"])
    file = configure(
        bucketry,
        '[places.prod]\nurl = "s3://my-bucket/base"\naccess_key_id = "A"\n'
        f"secret_access_key = {{ command = {command} }}\n",
    )
    options = Arguments()
    environ = {"BUCKETRY_CONFIG": str(file), "PATH": os.environ["PATH"]}
    options.env_file = "prod:"  # any word of this form makes the file known
    async with Places(options, environ, read_named(options, environ)) as found:
        one, two = await found.open("prod:a"), await found.open("prod:b/")
        assert one.provider is two.provider
        assert (one.key, two.key, one.url) == ("a", "b/", "s3://my-bucket/base/a")
    assert runs.read_text() == "x\n"


async def test_the_path_may_be_a_glob_and_the_prefix_of_the_place_is_literal(bucketry: Shell) -> None:
    """`prod:*.txt` selects below the place's prefix only, also if the prefix holds a character of globs."""
    file = configure(bucketry, '[places.prod]\nurl = "memory:///run[1]/base*"\n')
    options = Arguments()
    options.env_file = "prod:"  # any word of this form makes the file known
    environ = {"BUCKETRY_CONFIG": str(file)}
    async with Places(options, environ, read_named(options, environ)) as found:
        remote = await found.open("prod:*.txt")
        assert remote.is_glob
        for key in ("a.txt", "b.bin", "sub/a.txt"):
            await remote.provider.put(key, b"x")
        async with aclosing(selected(remote, SelectionArguments())) as entries:
            assert [remote.provider.locate(entry.key) async for entry in entries] == ["memory:///run[1]/base*/a.txt"]
        assert single_key(await found.open("prod:a.txt")) == "a.txt"


async def test_where_each_entry_is_from(bucketry: Shell) -> None:
    """The configuration of a word says what gave each entry, without fetching a secret."""
    file = configure(
        bucketry,
        '[places.prod]\nurl = "s3://my-bucket"\nregion = "eu-1"\naccess_key_id = "A"\n'
        'secret_access_key = { command = ["/no/such/program"] }\n',
    )
    options = Arguments()
    options.url = "prod:"
    environ = {"BUCKETRY_CONFIG": str(file), "BUCKETRY_MAX_ATTEMPTS": "3"}
    configured, key = Places(options, environ, read_named(options, environ)).configured()
    assert key == ""
    assert {name: given.source for name, given in configured.entries.items()} == {
        "bucket_name": "the URL",
        "region": "place prod",
        "access_key_id": "place prod",
        "secret_access_key": "place prod",
        "max_attempts": "BUCKETRY_MAX_ATTEMPTS",
    }


def test_places_do_not_slow_the_start(bucketry: Shell) -> None:
    """A command that names no place does not load the module that reads the file, and so no parser of TOML."""
    script = (
        "import sys\nfrom bucketry._cli.main import main\nmain(['list'])\n"
        "print('bucketry.providers.places' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=bucketry.directory,
        env={**os.environ, **ENVIRON},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "False\n"
