"""Secrets from commands, variables and the keyring."""

from __future__ import annotations

import asyncio
import os
import select
import sys
from pathlib import Path

import pytest

from bucketry._runtime.threads import in_steps, run_steps
from bucketry.errors import ConfigError
from bucketry.providers.secret_sources import SecretSource, read_source

WHERE = "/f: place prod: secret_access_key"


def python(code: str) -> SecretSource:
    """Return a source that runs Python code."""
    return read_source(WHERE, {"command": [sys.executable, "-c", code]})


def sh(code: str) -> SecretSource:
    """Return a source that runs a script."""
    return read_source(WHERE, {"command": ["sh", "-c", code]})


@pytest.mark.parametrize("printed", ["s3cret", "s3cret\n", "s3cret\r\n"])
def test_a_command_prints_the_secret(printed: str) -> None:
    """The output without the end of its line is the secret."""
    assert run_steps(python(f"print({printed!r}, end='')").steps(os.environ)) == "s3cret"


def test_a_command_is_no_shell_line() -> None:
    """The words reach the program unchanged, and the variables are the given ones."""
    source = read_source(WHERE, {"command": [sys.executable, "-c", "import sys; print(sys.argv[1])", "$HOME; `ls`"]})
    assert run_steps(source.steps(os.environ)) == "$HOME; `ls`"
    assert run_steps(sh("echo $MINE").steps({"MINE": "given", "PATH": os.environ["PATH"]})) == "given"


def test_a_command_does_not_read_what_the_program_reads() -> None:
    """Standard input is empty, because it may be the data of an upload."""
    assert run_steps(sh("test -z $(cat) && echo empty").steps(os.environ)) == "empty"


@pytest.mark.parametrize(
    ("source", "hint"),
    [
        (sh("echo canary; echo canary >&2; exit 3"), "the command 'sh' ended with status 3; run it by hand"),
        (sh("kill -9 $$"), "the command 'sh' ended with signal 9"),
        (sh("true"), "the command printed nothing"),
        (sh("echo; echo ' '"), "the command printed nothing"),
        (sh("echo canary; echo canary"), "the command printed more than one line"),
        (sh(r"printf 'canary\377'"), "the command printed bytes that are not UTF-8"),
        (
            read_source(WHERE, {"command": ["/no/such/program", "canary"]}),
            "'/no/such/program' cannot be started: No such",
        ),
        (read_source(WHERE, {"command": ["/dev/null"]}), "cannot be started: Permission denied"),
        (read_source(WHERE, {"command": ["sh", "a\0b"]}), "'sh' cannot be started: it holds a NUL"),
        (read_source(WHERE, {"env": "NOT_SET"}), "the variable NOT_SET is not set"),
        (read_source(WHERE, {"env": "EMPTY"}), "the variable EMPTY is not set"),
    ],
)
def test_there_is_no_secret(source: SecretSource, hint: str, capfd: pytest.CaptureFixture[str]) -> None:
    """The error says where and why, and what the command printed is shown nowhere."""
    with pytest.raises(ConfigError) as caught:
        run_steps(source.steps({**os.environ, "EMPTY": ""}))
    assert str(caught.value).startswith(f"{WHERE}: ")
    assert hint in str(caught.value)
    assert "canary" not in str(caught.value) + repr(source)
    assert capfd.readouterr() == ("", "")


def test_a_command_that_does_not_end() -> None:
    """After the time limit the command is killed, also if a child of its own holds the pipe."""
    source = sh("sleep 1000 & echo $$; sleep 1000")
    with pytest.raises(ConfigError, match=r"'sh' has not ended after 0\.2 seconds"):
        run_steps(source.steps(os.environ, timeout=0.2))


def test_what_the_command_has_started_is_ended(tmp_path: Path) -> None:
    """If the command is ended early, a process that it started in the background is ended, too."""
    fifo = tmp_path / "open"
    os.mkfifo(fifo)
    reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    try:
        steps = sh(f"(echo started; exec sleep 60) > {fifo} & sleep 60").steps(os.environ)
        while not select.select([reader], [], [], 0)[0]:
            next(steps)
        assert os.read(reader, 100) == b"started\n"
        steps.close()
        ended, _, _ = select.select([reader], [], [], 10)  # the end of the data comes when no process has it open
        assert ended
        assert os.read(reader, 100) == b""
    finally:
        os.close(reader)


async def test_a_cancelled_command_is_ended(tmp_path: Path) -> None:
    """A cancellation ends the command before it is raised."""
    fifo = tmp_path / "pid"
    os.mkfifo(fifo)
    source = python(f"import os, time; open({str(fifo)!r}, 'w').write(str(os.getpid())); time.sleep(1000)")
    task = asyncio.create_task(in_steps(source.steps(os.environ)))
    pid = int(await asyncio.to_thread(fifo.read_text))
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


KEYRING = """
class KeyringLocked(Exception): ...
def get_password(service, user):
    if service == "locked":
        raise KeyringLocked("locked by its user")
    return "from keyring" if (service, user) == ("bucketry", "ada") else None
"""


@pytest.fixture
def keyring(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Install a module with the interface of keyring, with one password."""
    (tmp_path / "keyring.py").write_text(KEYRING)
    monkeypatch.delitem(sys.modules, "keyring", raising=False)
    monkeypatch.syspath_prepend(tmp_path)


@pytest.mark.usefixtures("keyring")
def test_the_keyring_has_the_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    """Service and user name a password of the keyring; errors say what to do."""
    assert run_steps(read_source(WHERE, {"keyring": ["bucketry", "ada"]}).steps({})) == "from keyring"
    with pytest.raises(ConfigError, match="store it with `keyring set bucketry bob`"):
        run_steps(read_source(WHERE, {"keyring": ["bucketry", "bob"]}).steps({}))
    with pytest.raises(ConfigError, match=r"cannot be read \(KeyringLocked: locked by its user\)"):
        run_steps(read_source(WHERE, {"keyring": ["locked", "ada"]}).steps({}))
    monkeypatch.delitem(sys.modules, "keyring")


def test_keyring_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the package the error names the command that installs it."""
    monkeypatch.setitem(sys.modules, "keyring", None)
    with pytest.raises(ConfigError, match="needs the package keyring: python -m pip install keyring"):
        run_steps(read_source(WHERE, {"keyring": ["bucketry", "ada"]}).steps({}))
