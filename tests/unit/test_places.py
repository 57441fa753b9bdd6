"""The configuration file with named places: what it may hold, and what `open_storage` makes of it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import traceback
from pathlib import Path
from typing import Any

import pytest

import bucketry as bucketry_package
from bucketry import IStorageProvider, LocalProvider, S3Provider, open_storage
from bucketry._core.entries import Given
from bucketry.errors import ConfigError
from bucketry.providers.places import read_places
from bucketry.providers.url import split_name

PROD = """
[places.prod]
url = "s3://my-bucket/base?server=aws"
region = "eu-central-1"
access_key_id = "AKID"
secret_access_key = "canary"
connect_timeout = 5
allow_http = true
"""
WITHOUT_SECRET = '[places.prod]\nurl = "memory://"\n'


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the path of the configuration file, which is not there yet."""
    path = tmp_path / "config.toml"
    monkeypatch.setenv("BUCKETRY_CONFIG", str(path))
    return path


def write(path: Path, text: str, mode: int = 0o600) -> None:
    """Make the configuration file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    path.chmod(mode)


def place_of(provider: IStorageProvider) -> str:
    """Return the full name of the provider's root."""
    return provider.locate()


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("prod:", ("prod", "")),
        ("prod:run-1/", ("prod", "run-1/")),
        ("my_place-2:a:b", ("my_place-2", "a:b")),
        ("prod:a\nb", ("prod", "a\nb")),
        ("prod://bucket", None),
        ("s3:bucket", None),
        ("FILE:/etc", None),
        (r"C:\data", None),
        ("c:/data", None),
        ("2x:y", None),
        ("a b:c", None),
        ("data/x:y", None),
        ("prod", None),
        ("", None),
    ],
)
def test_the_form_of_a_named_place(word: str, expected: tuple[str, str] | None) -> None:
    """A place is at least two characters before a colon; URLs, schemes, drives and paths are none."""
    assert split_name(word) == expected


def test_a_place_is_opened_with_its_entries(file: Path) -> None:
    """The URL, its query and the entries of the table configure the provider."""
    write(file, PROD)
    provider: Any = open_storage("prod:")
    assert place_of(provider) == "s3://my-bucket/base/"
    config = provider.inner._config
    assert isinstance(provider.inner, S3Provider)
    assert (config.region, config.access_key_id, config.secret_access_key) == ("eu-central-1", "AKID", "canary")
    assert (config.connect_timeout, config.allow_http, config.server) == (5, True, "aws")
    assert "canary" not in repr(provider) + repr(read_places(os.environ)) + repr(read_places(os.environ).place("prod"))


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("prod:", "s3://my-bucket/base/"),
        ("prod:run-1", "s3://my-bucket/base/run-1/"),
        ("prod:/run-1/", "s3://my-bucket/base/run-1/"),
        ("prod:a%20b?c", "s3://my-bucket/base/a%20b?c/"),
        ("root:", "s3://my-bucket/"),
        ("root:run-1/", "s3://my-bucket/run-1/"),
    ],
)
def test_a_path_is_added_literally(file: Path, word: str, expected: str) -> None:
    """What follows the colon is added to the prefix of the place's URL, and is not decoded."""
    write(file, PROD + '[places.root]\nurl = "s3://my-bucket"\n')
    assert place_of(open_storage(word)) == expected


def test_a_place_on_the_disk(file: Path, tmp_path: Path) -> None:
    """A place may be a directory; a path below it is a prefix there."""
    write(file, f'[places.disk]\nurl = "file://{tmp_path}/store"\n')
    assert isinstance(open_storage("disk:"), LocalProvider)
    assert place_of(open_storage("disk:")) == f"file://{tmp_path}/store"
    assert place_of(open_storage("disk:run-1")) == f"file://{tmp_path}/store/run-1/"


def test_arguments_win_over_the_place_and_the_place_over_variables(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An argument replaces an entry of the file, and the file's entries replace variables; the rest is a variable's."""
    write(file, PROD)
    monkeypatch.setenv("AWS_REGION", "us-west-2")
    monkeypatch.setenv("AWS_SESSION_TOKEN", "of other keys")
    monkeypatch.setenv("BUCKETRY_READ_TIMEOUT", "7")
    config = open_storage("prod:")
    assert isinstance(config, bucketry_package.providers.PrefixedProvider)
    found: Any = config.inner
    assert (found._config.region, found._config.session_token) == ("eu-central-1", None)
    assert found._config.read_timeout == 7
    given: Any = open_storage("prod:", region="eu-north-1", connect_timeout=9)
    assert (given.inner._config.region, given.inner._config.connect_timeout) == ("eu-north-1", 9)


def test_credentials_in_arguments_hide_those_of_the_place(file: Path, tmp_path: Path) -> None:
    """With `anonymous` or other keys, the command of the place is not run."""
    mark = tmp_path / "ran"
    source = f'{{ command = ["touch", "{mark}"] }}'
    write(file, f'[places.prod]\nurl = "s3://my-bucket"\naccess_key_id = "AKID"\nsecret_access_key = {source}\n')
    found: Any = open_storage("prod:", anonymous=True)
    assert (found._config.anonymous, found._config.access_key_id) == (True, None)
    assert not mark.exists()
    with pytest.raises(ConfigError, match="printed nothing"):
        open_storage("prod:")
    assert mark.exists()


def test_secrets_come_from_a_variable_and_a_command(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each secret, and the id of a key, may have its own source; the file may then be readable by others."""
    command = json.dumps([sys.executable, "-c", "print('from command')"])
    write(
        file,
        '[places.prod]\nurl = "s3://my-bucket"\naccess_key_id = { env = "MY_ID" }\n'
        f"secret_access_key = {{ command = {command} }}\n",
        0o644,
    )
    monkeypatch.setenv("MY_ID", "from variable")
    found: Any = open_storage("prod:")
    assert (found._config.access_key_id, found._config.secret_access_key) == ("from variable", "from command")


@pytest.mark.parametrize(
    ("variables", "path"),
    [
        ({"XDG_CONFIG_HOME": "{tmp}/xdg", "HOME": "{tmp}/home"}, "xdg/bucketry/config.toml"),
        ({"XDG_CONFIG_HOME": "relative", "HOME": "{tmp}/home"}, "home/.config/bucketry/config.toml"),
        ({"HOME": "{tmp}/home"}, "home/.config/bucketry/config.toml"),
        ({"BUCKETRY_CONFIG": "{tmp}/mine.toml", "XDG_CONFIG_HOME": "{tmp}/xdg"}, "mine.toml"),
        ({"BUCKETRY_CONFIG": "", "HOME": "{tmp}/home"}, "home/.config/bucketry/config.toml"),
    ],
)
def test_where_the_file_is(tmp_path: Path, variables: dict[str, str], path: str) -> None:
    """The variable names the file; else it is in the directory that XDG_CONFIG_HOME or HOME gives."""
    environ = {name: value.replace("{tmp}", str(tmp_path)) for name, value in variables.items()}
    write(tmp_path / path, WITHOUT_SECRET)
    found = read_places(environ)
    assert (found.path, list(found.tables)) == (str(tmp_path / path), ["prod"])


def test_without_a_file_there_is_no_place(tmp_path: Path) -> None:
    """A missing file is empty, unless the variable names it."""
    assert read_places({}).tables == {}
    assert read_places({"HOME": str(tmp_path)}).tables == {}
    with pytest.raises(ConfigError, match=r"gone\.toml: No such file or directory \(BUCKETRY_CONFIG names it\)"):
        read_places({"BUCKETRY_CONFIG": str(tmp_path / "gone.toml")})
    with pytest.raises(ConfigError, match="Is a directory"):
        read_places({"BUCKETRY_CONFIG": str(tmp_path)})
    with pytest.raises(ConfigError, match="is not a path"):
        read_places({"BUCKETRY_CONFIG": "a\0b"})


@pytest.mark.parametrize(
    ("word", "hint"),
    [
        ("prdo:x", "no place 'prdo'; did you mean 'prod'?"),
        ("elsewhere:", "no place 'elsewhere'; known are prod"),
    ],
)
def test_a_place_that_is_missing(file: Path, word: str, hint: str) -> None:
    """The error names the file and the nearest place."""
    write(file, PROD)
    with pytest.raises(ConfigError) as caught:
        open_storage(word)
    assert str(caught.value) == f"{file} has {hint}"
    assert caught.value.path == str(file)


def test_a_place_without_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a configuration file the error says where to write the place."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    with pytest.raises(
        ConfigError, match=r"bucketry/config\.toml has no place 'prod'; write \[places\.prod\] with url"
    ):
        open_storage("prod:")


def test_a_mistyped_url_is_no_place(file: Path) -> None:
    """A scheme without its slashes is reported as a malformed URL, and no file is read."""
    with pytest.raises(ConfigError, match="'s3:bucket' is not a URL such as"):
        open_storage("s3:bucket")
    with pytest.raises(ConfigError, match="a PosixPath is not a URL"):
        open_storage(Path("prod:"))  # type: ignore[arg-type]
    assert not file.exists()


@pytest.mark.parametrize("mode", [0o620, 0o602, 0o666])
def test_a_file_that_others_can_write(file: Path, mode: int) -> None:
    """A file that its group or others can write is refused, because it can name commands."""
    write(file, WITHOUT_SECRET, mode)
    with pytest.raises(ConfigError, match=rf"others can write it \(mode {mode:04o}\).*run `chmod 600 "):
        open_storage("prod:")


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o644, 0o610])
@pytest.mark.parametrize("other", [False, True])
def test_a_secret_that_others_can_read(file: Path, mode: int, other: bool) -> None:
    """A file with a secret in it must be its user's alone, also if another place of the file is used."""
    write(file, PROD + ('[places.mem]\nurl = "memory://"\n' if other else ""), mode)
    with pytest.raises(ConfigError, match=rf"place prod: secret_access_key is in the file.*mode {mode:04o}") as caught:
        open_storage("mem:" if other else "prod:")
    assert "canary" not in str(caught.value)


@pytest.mark.parametrize("mode", [0o400, 0o444, 0o600, 0o644])
def test_a_file_that_is_safe(file: Path, mode: int) -> None:
    """Without a secret in it, others may read the file; the id of a key is no secret."""
    write(file, '[places.prod]\nurl = "s3://b"\naccess_key_id = "AKID"\n', mode)
    assert read_places(os.environ).place("prod").entries == {"access_key_id": Given("AKID", "place prod")}


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_a_file_of_another_user(file: Path) -> None:
    """A file that belongs to another user is refused; root's is accepted."""
    write(file, WITHOUT_SECRET)
    os.chown(file, 12_345, -1)
    with pytest.raises(ConfigError, match=r"belongs to another user \(uid 12345\)"):
        open_storage("prod:")


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ('[places.prod]\nurl = "s3://b\n', "is not valid TOML: .*line 2"),
        (
            '[places.prod]\nurl = "s3://b"\nsecret_access_key = canary\n',
            r"is not valid TOML: .*\(at line 3, column 21\)",
        ),
        ('[place.prod]\nurl = "s3://b"', "place: unknown entry; did you mean 'places'"),
        ("places = 3", "places must be tables"),
        ('[places]\nprod = "s3://b"', r"place prod must be a table; write \[places.prod\]"),
        ('[places."a b"]\nurl = "s3://b"', "place 'a b': a name is"),
        ('[places.x]\nurl = "s3://b"', "place 'x': a name is"),
        ('[places.s3]\nurl = "s3://b"', "place s3 is named like the scheme of a URL"),
        ('[places.FILE]\nurl = "s3://b"', "place FILE is named like the scheme of a URL"),
        ("[places.prod]\n", "place prod: url is missing"),
        ("[places.prod]\nurl = 3", "place prod: url must be text"),
        ('[places.prod]\nurl = "s4://b"', "place prod: url: scheme 's4' is unknown; known are s3"),
        ('[places.prod]\nurl = "prod:x"', "place prod: url: 'prod:x' is not a URL"),
        ('[places.prod]\nurl = "s3://b"\nregoin = "x"', "place prod: regoin: unknown entry; did you mean 'region'"),
        ('[places.prod]\nurl = "memory://"\nregion = "x"', "place prod: region: unknown entry"),
        ('[places.prod]\nurl = "s3://b"\nlocale = "x"', "did you mean 'local'"),
        ('[places.prod]\nurl = "s3://b"\nbucket_name = "x"', "bucket_name: the URL gives it; leave it out"),
        ('[places.prod]\nurl = "s3://b?region=x"\nregion = "x"', "region: the URL gives it; leave it out"),
        ('[places.prod]\nurl = "s3://b"\nlocal = 3', "local must be text"),
        ('[places.prod]\nurl = "s3://b"\nlocal = ""', "local is empty"),
        ('[places.prod]\nurl = "s3://b"\nremote = []', "remote must be text"),
        ('[places.prod]\nurl = "s3://b"\nregion = 3', "config.toml: place prod: s3: region: must be a str"),
        ('[places.prod]\nurl = "s3://b"\nregion = { env = "X" }', "place prod: s3: region: must be a str"),
        ('[places.prod]\nurl = "s3://b?secret_access_key=canary"', "place prod: s3: secret_access_key: is a secret"),
        ('[places.prod]\nurl = "wasabi://b"', "place prod: wasabi: access_key_id: required"),
        ('[places.prod]\nurl = "s3://b"\nsecret_access_key = {}', "secret_access_key: name one source"),
        ('[places.prod]\nurl = "s3://b"\nsecret_access_key = { env = "A", command = ["b"] }', "name one source"),
        ('[places.prod]\nurl = "s3://b"\nsecret_access_key = { comand = ["b"] }', "did you mean 'command'"),
        ('[places.prod]\nurl = "s3://b"\nsecret_access_key = { command = "b" }', "command is malformed"),
        ('[places.prod]\nurl = "s3://b"\nsecret_access_key = { command = [] }', "command is malformed"),
        ('[places.prod]\nurl = "s3://b"\nsecret_access_key = { command = ["b", 3] }', "command is malformed"),
        ('[places.prod]\nurl = "s3://b"\nsecret_access_key = { env = 3 }', "env is malformed"),
        ('[places.prod]\nurl = "s3://b"\nsecret_access_key = { env = "" }', "env is malformed"),
        ('[places.prod]\nurl = "s3://b"\nsecret_access_key = { keyring = ["b"] }', "keyring is malformed"),
    ],
)
def test_a_file_that_is_wrong(file: Path, text: str, hint: str) -> None:
    """The error is one line that names the file, the place and the entry, and shows no secret."""
    write(file, text)
    with pytest.raises(ConfigError, match=hint) as caught:
        open_storage("prod:")
    message = str(caught.value)
    assert message.startswith(str(file))
    assert "\n" not in message
    assert "canary" not in message


def test_a_file_that_is_not_text(file: Path) -> None:
    """The error names the line of the first byte that is not UTF-8."""
    file.write_bytes(b"[places.prod]\n# caf\xe9\n")
    file.chmod(0o600)
    with pytest.raises(ConfigError, match=r"is not UTF-8 text \(at line 2\)"):
        open_storage("prod:")


def test_only_the_place_that_is_used_is_checked_in_full(file: Path) -> None:
    """A wrong entry of another place is no error."""
    write(file, WITHOUT_SECRET + '[places.other]\nurl = "s4://b"\n')
    assert place_of(open_storage("prod:")).startswith("memory://")


def write_with_secret(path: Path, old: str, new: str) -> None:
    """Make the configuration file with a change; a function of its own, so that the test's frame has no secret."""
    write(path, PROD.replace(old, new))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"eu-central-1"', "3"),
        ("connect_timeout = 5", "connect_timeout = -5"),
        ("AKID", "AKID "),
        ("region", "regoin"),
        ("allow_http = true", 'session_token = { env = "NOT_SET" }'),
        ("allow_http = true", "allow_http ="),
        ("s3:", "s4:"),
        ("allow_http = true", 'session_token = { command = ["sh", "-c", "echo canary; exit 1"] }'),
        ("allow_http = true", 'session_token = { command = ["echo", "canary\\ncanary"] }'),
    ],
)
def test_an_error_report_shows_no_secret(file: Path, old: str, new: str) -> None:
    """Reports with the variables of each function, as some services send them, hold no secret of the file."""
    write_with_secret(file, old, new)
    del new
    with pytest.raises(ConfigError) as caught:
        open_storage("prod:")
    report = traceback.TracebackException.from_exception(caught.value, capture_locals=True)
    assert "canary" not in "".join(report.format())


def test_places_cost_nothing_before_they_are_used(tmp_path: Path) -> None:
    """Importing the package and opening a URL do not load the module that reads the file, and so no parser of TOML."""
    script = (
        "import sys, bucketry\nbucketry.open_storage('memory://')\nprint('bucketry.providers.places' in sys.modules)"
    )
    environ = {**os.environ, "PYTHONPATH": str(Path(bucketry_package.__file__).parents[1])}
    done = subprocess.run(
        [sys.executable, "-c", script], env=environ, cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert done.stdout == "False\n"


def test_defaults_for_a_sync(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A place may name the directory and the prefix of a sync; `~` is the user's directory."""
    monkeypatch.setenv("HOME", "/home/ada")
    write(file, '[places.prod]\nurl = "s3://b"\nlocal = "~/data"\nremote = ""\n')
    place = read_places(os.environ).place("prod")
    assert (place.local, place.remote) == ("/home/ada/data", "")
