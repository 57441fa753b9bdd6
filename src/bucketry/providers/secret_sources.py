"""Gets secrets of named places: from an environment variable, the output of a command, or the keyring."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Generator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any

from bucketry._core.entries import nearest, without_locals
from bucketry.errors import ConfigError

COMMAND_TIMEOUT = 60.0  # a password manager may ask its user for a passphrase in a window of its own
_STEP = 0.1  # seconds; a cancelled caller waits no longer than this
_KINDS = ("command", "env", "keyring")
_FORMS = '{ command = ["program", "argument"] }, { env = "VARIABLE" } or { keyring = ["service", "user"] }'
_KEYRING_WORDS = 2


@dataclass(frozen=True, slots=True)
class SecretSource:
    """Where one secret comes from; nothing is run or read before `steps`.

    Attributes:
        where: File, place and entry, for errors.
        kind: `"command"`, `"env"` or `"keyring"`.
        words: The command, the variable, or service and user. Not in the repr, because a command may hold a secret.
    """

    where: str
    kind: str
    words: tuple[str, ...] = field(repr=False)

    def steps(self, environ: Mapping[str, str], *, timeout: float = COMMAND_TIMEOUT) -> Generator[None, None, str]:
        """Get the secret in a few steps, as `in_steps` runs them; closing the generator ends the command.

        What a command has started is ended with it, unless the command ended in time.

        Raises:
            ConfigError: There is no secret; the message does not show what a command printed.

        Cost: one process for a command.
        """
        if self.kind == "command":
            return _checked(self.where, (yield from self._output(environ, timeout)))
        text = environ.get(self.words[0]) if self.kind == "env" else _from_keyring(self.where, *self.words)
        if text:
            return text
        missing = (
            f"the variable {self.words[0]} is not set; set it"
            if self.kind == "env"
            else f"the keyring has no password for {self.words[0]!r} and {self.words[1]!r}; "
            f"store it with `keyring set {self.words[0]} {self.words[1]}`"
        )
        raise ConfigError(f"{self.where}: {missing}")

    def _output(self, environ: Mapping[str, str], timeout: float) -> Generator[None, None, bytes]:
        named = f"{self.where}: the command {self.words[0]!r}"
        try:
            # No shell. Standard input may be the data of an upload, and what is printed beside the secret is not shown.
            process = subprocess.Popen(  # noqa: S603 - the user's own configuration names the command
                self.words,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env=dict(environ),
                start_new_session=True,  # so that the processes that it starts can be ended, too
            )
        except (OSError, ValueError) as error:
            problem = error.strerror if isinstance(error, OSError) else "it holds a NUL"
            raise ConfigError(f"{named} cannot be started: {problem}; name an installed program") from None
        with process:
            try:
                output = yield from _read(process, timeout)
            finally:
                if process.returncode is None:  # not waited for yet, so the number is still that of its group
                    with suppress(ProcessLookupError, PermissionError):  # macOS: all of them have ended
                        os.killpg(process.pid, signal.SIGKILL)
        if output is None:
            raise ConfigError(f"{named} has not ended after {timeout:g} seconds; run it by hand to see why")
        if process.returncode:
            ended = f"status {process.returncode}" if process.returncode > 0 else f"signal {-process.returncode}"
            raise ConfigError(f"{named} ended with {ended}; run it by hand to see why")
        return output


def read_source(where: str, value: Mapping[str, Any]) -> SecretSource:
    """Turn a table of the configuration file into a source; nothing is run.

    Raises:
        ConfigError: The table is malformed.
    """
    if len(value) != 1:
        raise ConfigError(f"{where}: name one source: {_FORMS}")
    ((kind, given),) = value.items()
    if kind not in _KINDS:
        raise ConfigError(f"{where}: {kind!r} is an unknown source; {nearest(kind, _KINDS)}")
    words = (given,) if kind == "env" else given
    if not isinstance(words, (list, tuple)) or not all(isinstance(word, str) for word in words):
        raise ConfigError(f"{where}: {kind} is malformed; write {_FORMS}")
    if not words or not words[0] or (kind == "keyring" and len(words) != _KEYRING_WORDS):
        raise ConfigError(f"{where}: {kind} is malformed; write {_FORMS}")
    return SecretSource(where, kind, tuple(words))


def _read(process: subprocess.Popen[bytes], timeout: float) -> Generator[None, None, bytes | None]:
    """Wait for the command's end, and return its output; `None`: it still runs."""
    ends = time.monotonic() + timeout
    while time.monotonic() < ends:
        try:
            return process.communicate(timeout=_STEP)[0]
        except subprocess.TimeoutExpired:
            yield
    return None


@without_locals
def _checked(where: str, output: bytes) -> str:
    """Return the secret that a command printed as its only line."""
    try:
        text = output.decode().removesuffix("\n").removesuffix("\r")
    except UnicodeDecodeError:
        raise ConfigError(f"{where}: the command printed bytes that are not UTF-8; make it print text") from None
    if not text.strip():
        raise ConfigError(f"{where}: the command printed nothing; make it print the secret")
    if not text.isprintable():
        raise ConfigError(f"{where}: the command printed more than one line; make it print the secret alone")
    return text


def _from_keyring(where: str, service: str, user: str) -> str | None:
    try:
        keyring = import_module("keyring")
    except ImportError:
        raise ConfigError(f"{where}: needs the package keyring: python -m pip install keyring") from None
    try:
        found: str | None = keyring.get_password(service, user)
    except Exception as error:  # noqa: BLE001 - each system has its own backend, with errors of its own
        raise ConfigError(f"{where}: the keyring cannot be read ({type(error).__name__}: {error})") from None
    return found
