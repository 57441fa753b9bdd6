"""Turns configuration entries from a mapping, environment variables or a URL's query into checked values."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import MISSING, field, fields
from functools import wraps
from typing import Any, ClassVar, ParamSpec, Self, TypeVar

from bucketry._core.frozen import change_constructor, dataclass
from bucketry.errors import ConfigError

P = ParamSpec("P")
T = TypeVar("T")
C = TypeVar("C", bound="ProviderConfig")
_YES = ("1", "true", "yes", "on")
CLOSE = 0.7
"""How similar a verb or an option must be to be suggested; below, the words have little in common."""
_NO = ("0", "false", "no", "off")


def wrong_entry(owner: str, name: str, problem: str) -> ConfigError:
    """Return the error for one wrong configuration entry."""
    return ConfigError(f"{owner}: {name}: {problem}")


def check_path(owner: str, name: str, value: object) -> None:
    """Raise an error for a value that is not a path, is empty, or contains a NUL."""
    text = os.fspath(value) if isinstance(value, (str, os.PathLike)) else None
    if not isinstance(text, str) or not text or "\0" in text:
        raise wrong_entry(owner, name, f"must be a path, not {value!r}")


def without_locals(function: Callable[P, T]) -> Callable[P, T]:
    """Remove the frames of a function from its `ConfigError`.

    Error reports may show the local variables of a frame, and the variables of such a function contain secrets.
    """

    @wraps(function)
    def call(*args: P.args, **entries: P.kwargs) -> T:
        try:
            return function(*args, **entries)
        except ConfigError as exc:
            error = exc.with_traceback(None)
        del args, entries
        raise error

    return call


def with_secrets(config_class: type[C]) -> type[C]:
    """Apply `without_locals` to the constructor of a configuration class, and return the class."""
    change_constructor(config_class, without_locals)
    return config_class


def nearest(word: str, known: tuple[str, ...], *, cutoff: float = 0.6, listing: bool = True) -> str:
    """Return the end of an error message: the most similar known words, or all known words.

    Args:
        word: The unknown word.
        known: The known words.
        cutoff: How similar a word must be, from 0 to 1.
        listing: If no word is similar, return the known words; else nothing.
    """
    import difflib  # noqa: PLC0415 - only error messages need it

    close = difflib.get_close_matches(word, known, n=2, cutoff=cutoff)
    if close:
        return f"did you mean {' or '.join(map(repr, close))}?"
    if not listing:
        return ""
    return f"known are {', '.join(known)}" if known else "none is known here"


@dataclass(frozen=True, slots=True)
class Given:
    """The value of one configuration entry, and what gave it.

    Attributes:
        value: The value; it may be a secret.
        source: A variable such as `"AWS_REGION"`, an option such as `"--region"`, `"the URL"` or `"an argument"`.
    """

    value: Any = field(repr=False)
    source: str


def given_by(source: str, entries: Mapping[str, Any]) -> dict[str, Given]:
    """Return the entries with what gave them all."""
    return {name: Given(value, source) for name, value in entries.items()}


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderConfig:
    """The base class of every provider's configuration; makes it from a mapping or from environment variables."""

    provider: ClassVar[str] = ""
    environment: ClassVar[Mapping[str, tuple[str, ...]]] = {}
    """The vendor's own environment variables for each entry; the first variable that is set is used."""
    credentials: ClassVar[tuple[str, ...]] = ()
    """The names of the entries with credentials."""
    needs_credentials: ClassVar[bool] = True
    """Whether all `credentials` must be given, unless `anonymous` is true."""

    @classmethod
    @without_locals
    def of(cls, config: Mapping[str, Any] | Self) -> Self:
        """Turn a mapping into the dataclass; an entry `provider_type` is for the factory and is ignored here.

        Raises:
            ConfigError: An entry is missing, unknown or malformed; the message names the entry and a similar valid one.
        """
        if isinstance(config, cls):
            return config
        if not isinstance(config, Mapping):
            problem = f"must be a mapping or {cls.__name__}, not {type(config).__name__}"
            raise wrong_entry(cls.provider, "config", problem)
        known = tuple(entry.name for entry in fields(cls))
        given = {name: value for name, value in config.items() if name != "provider_type"}
        for name in given:
            if name not in known:
                raise wrong_entry(cls.provider, str(name), f"unknown configuration entry; {nearest(str(name), known)}")
        for entry in fields(cls):
            required = entry.default is MISSING and entry.default_factory is MISSING
            required = required or (entry.name in cls._required_credentials() and given.get("anonymous") is not True)
            if required and given.get(entry.name) in (None, ""):
                raise cls._missing(entry.name)
        return cls(**{name: value for name, value in given.items() if value is not None})

    @classmethod
    def variables(cls) -> dict[str, tuple[str, ...]]:
        """Return the environment variables for each entry, in the order of use: the first that is set gives the value.

        The variable `BUCKETRY_<ENTRY>` exists for every entry without a variable of the vendor, and for `endpoint_url`
        and `region`.
        """
        found = {}
        for entry in fields(cls):
            own = tuple(cls.environment.get(entry.name, ()))
            general = not own or entry.name in {"endpoint_url", "region"}
            found[entry.name] = (*own, f"BUCKETRY_{entry.name.upper()}") if general else own
        return found

    @classmethod
    def entries(cls, environ: Mapping[str, str]) -> dict[str, Given]:
        """Return the entries that environment variables set; an empty variable counts as not set.

        Raises:
            ConfigError: A variable's text is not valid for its entry; the message names the variable.
        """
        found = {}
        for name, variables in cls.variables().items():
            variable = next((variable for variable in variables if environ.get(variable)), None)
            if variable is not None:
                found[name] = Given(cls.from_text(name, environ[variable], variable), variable)
        return found

    @classmethod
    def from_environment(cls, environ: Mapping[str, str]) -> Self:
        """Make the configuration from environment variables alone."""
        return cls.of({name: given.value for name, given in cls.entries(environ).items()})

    @classmethod
    def from_text(cls, name: str, text: str, said_by: str) -> str | bool | float:
        """Convert the text of a variable, a query entry or an option into the entry's type.

        Args:
            name: The entry.
            text: The text.
            said_by: Where the text is from, for the error message: a variable, a query entry or an option.

        Raises:
            ConfigError: The text is not a value of that type.
        """
        hint = next(entry.type for entry in fields(cls) if entry.name == name)
        kinds = re.findall(r"\w+", hint.__name__ if isinstance(hint, type) else str(hint))
        if "bool" in kinds:
            word = text.strip().lower()
            if word not in (*_YES, *_NO):
                raise wrong_entry(cls.provider, said_by, f"{text!r} is neither yes nor no; give 1 or 0")
            return word in _YES
        for kind, what in ((int, "a whole number"), (float, "a number")):
            if kind.__name__ in kinds:
                try:
                    return kind(text)
                except ValueError:
                    raise wrong_entry(cls.provider, said_by, f"{text!r} is not {what}") from None
        return text

    @classmethod
    def laid_over(cls, lower: Mapping[str, Given], upper: Mapping[str, Given]) -> dict[str, Given]:
        """Return the entries of both mappings; if both have an entry, the value of `upper` is used.

        If `upper` has credentials, `profile` or `anonymous`, none of these entries is taken from `lower`, because a
        token or a profile from the environment belongs to the keys from the environment.
        """
        hidden: tuple[str, ...] = ()
        if any(name in upper and upper[name].value for name in (*cls.credentials, "anonymous", "profile")):
            hidden = (*cls.credentials, "anonymous", "profile")
        return {**{name: given for name, given in lower.items() if name not in hidden}, **upper}

    @classmethod
    def _required_credentials(cls) -> tuple[str, ...]:
        return cls.credentials if cls.needs_credentials else ()

    @classmethod
    def _missing(cls, name: str) -> ConfigError:
        variables = cls.variables()[name]
        hint = f" (in the environment: {' or '.join(variables)})" if variables else ""
        return wrong_entry(cls.provider, name, f"required configuration entry is missing{hint}")

    def _one_of(self, name: str, words: tuple[str, ...]) -> None:
        value = getattr(self, name)
        if value not in words:
            raise wrong_entry(self.provider, name, f"{value!r} is unknown; {nearest(str(value), words)}")

    def _number(self, name: str, high: int) -> None:
        value = getattr(self, name)
        if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= high:
            raise wrong_entry(self.provider, name, f"must be an int within 1 and {high}, not {value!r}")

    def _bool(self, *names: str) -> None:
        for name in names:
            value = getattr(self, name)
            if not isinstance(value, bool):
                raise wrong_entry(self.provider, name, f"must be a bool, not {type(value).__name__}")

    def _text(self, *names: str) -> None:
        defaults = {entry.name: entry.default for entry in fields(self)}
        for name in names:
            value = getattr(self, name)
            if value is None and defaults[name] is None:
                continue  # `None` is valid only for entries whose default is `None`
            if not isinstance(value, str):
                raise wrong_entry(self.provider, name, f"must be a str, not {type(value).__name__}")
            if not value or value != value.strip() or not value.isprintable():
                problem = "is empty, or holds blanks at its ends or control characters"
                raise wrong_entry(self.provider, name, problem)
