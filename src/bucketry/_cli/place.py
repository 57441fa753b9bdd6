"""Turns the words of a command line into providers and keys, and closes the providers at the end."""

from __future__ import annotations

import re
import warnings
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack, suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Literal, Self, TypeAlias

from bucketry._cli.args import ENCRYPTION, ENTRIES, Arguments, TransferArguments
from bucketry._cli.commands import UsageError
from bucketry._cli.url_words import glob_url, mistyped_url, names_no_bucket, plain_url, split_path
from bucketry._core.config import MAX_CONNECTIONS, MEMORY_BUDGET, TransferConfig
from bucketry._core.entries import Given
from bucketry._core.frozen import dataclass
from bucketry._core.provider import IStorageProvider
from bucketry._runtime.threads import in_steps
from bucketry._transfer.checked_config import default_config
from bucketry.errors import AccessDeniedError, ConfigError
from bucketry.providers.factory import (
    Configured,
    configured_by_place,
    configured_by_url,
    configured_from,
    is_same_class,
)
from bucketry.providers.url import StorageURL, read_url, split_name

if TYPE_CHECKING:
    from bucketry._session.pool import SessionPool
    from bucketry.providers.places import NamedPlace, PlaceFile

STREAM = "-"
"""The local path for standard input or output."""
USUAL_LOCAL, USUAL_REMOTE = "data/", "datasets/"
"""What `sync` uses if no paths are given and no place names them."""

Prove: TypeAlias = Literal["nothing", "reads", "writes"]

_ONE_LETTER = r"[A-Za-z]:(?!//)"
"""Such a word names no place, but the file may have a place of that name, which is an error to report."""
_OF_CLOUDS = ("AWS_BUCKET_NAME", "AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "BUCKETRY_ENDPOINT_URL")


@dataclass(frozen=True, slots=True)
class Remote:
    """A key or prefix of a provider.

    Attributes:
        provider: The provider; `Places` disconnects it.
        key: The key or prefix as it was written; empty: the whole place.
        is_glob: Whether `*`, `?` and `[` in the key may be wildcards, because the word was a URL or named a place.
        place: The name of the place, if the word was `NAME:path`.
    """

    provider: IStorageProvider
    key: str = ""
    is_glob: bool = False
    place: str | None = None

    @property
    def url(self) -> str:
        """The full name, for messages and for results as JSON."""
        return self.provider.locate(self.key)

    @property
    def name(self) -> str:
        """The full name in the form of the word: two places can have one URL, with two servers."""
        return self.url if self.place is None else f"{self.place}:{self.key}"

    @property
    def name_and_server(self) -> str:
        """The full name, and where it is: for a question before something is deleted."""
        return f"{self.name}{server_of(self.provider, None if self.place is None else self.url)}"


class Places:
    """Makes the providers that a command line names, each once; disconnects them at the end.

    Args:
        options: The options of every verb.
        environ: The environment variables.
        named: The named places of the configuration file, from `read_named`; `None`: the command line names none.
    """

    def __init__(self, options: Arguments, environ: Mapping[str, str], named: PlaceFile | None = None) -> None:
        self.environ = environ
        self._options = options
        self._named = named
        self._made: dict[str | None, IStorageProvider] = {}
        self._pool: SessionPool | None = None
        self._encrypted: str | None = None  # the kind of provider that the options of encryption are for; `None`: any

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc: object) -> None:
        async with AsyncExitStack() as stack:  # an error of one does not leave the others open
            if self._pool is not None:
                stack.push_async_callback(self._pool.close)
            for provider in self._made.values():
                stack.push_async_callback(provider.disconnect)

    async def open(self, word: str | None = None, *, prove: Prove = "nothing", new: bool = False) -> Remote:
        """Return the provider and the key that a word names; a `./` at the beginning of a key is left out.

        Args:
            word: A URL, or `NAME:path` with a place of the configuration file; or a key of the provider of `--url`,
                `--provider` or the environment. `None`: that provider.
            prove: Check first that the bucket and the credentials allow reads or writes.
            new: The word is a key to write.

        Raises:
            ConfigError: The provider is unknown, or its configuration is missing, malformed or contradictory. Or the
                word is a key that begins like a place of the file, and no provider is named. A key to write that has
                the form `NAME:path` is such a key if the file has places.

        The error of a list, get or delete request shows whether the bucket or the credentials are wrong, so a verb that
        begins with such a request needs no check. The error of a HEAD does not show this. In a transfer of a directory,
        each of many requests would report the same error.
        """
        if new:
            self._check_that_a_new_key_is_meant(word or "")
        remote = await self._remote(word)
        await prove_access(remote.provider, prove)
        return remote

    def configured(self, word: str | None = None) -> tuple[Configured, str]:
        """Return the configuration of the provider that a word names, and the key; no provider is made.

        The secrets of a named place are not fetched, see `Configured.with_secrets`.

        Raises:
            ConfigError: As for `open`.
        """
        found = self._find(word)
        return self._configured(found), (word or "") if found is None else found[0].key

    def is_remote(self, word: str) -> bool:
        """Return whether a word is a URL, or `NAME:path` with a place of the configuration file."""
        return is_url(word) or self._split(word) is not None

    def expect(self, words: Sequence[str]) -> None:
        """Let the options of encryption be for the destination, if the words name stores of different kinds.

        Args:
            words: The URLs and places that a command copies between, the destination last.

        Raises:
            UsageError: The stores are of different kinds, and an option is for only one of them.
        """
        named = [self._split(word) for word in words]
        kinds = [
            place[0].url.kind if place else read_url(plain_url(word)).kind
            for word, place in zip(words, named, strict=True)
        ]
        if len(set(kinds)) < 2:  # noqa: PLR2004 - one kind has no other
            return
        self._encrypted = kinds[-1]
        if given := [f"--{name.replace('_', '-')}" for name in ENTRIES if getattr(self._options, name, None)]:
            message = (
                f"{given[0]} would be for both {words[0]} and {words[-1]}; write it in a URL, or use a named place"
            )
            raise UsageError(message)

    def unknown_place(self, word: str) -> str | None:
        """Return what is wrong with a word of the form `NAME:path` that names no place; `None`: it has another form."""
        named = split_name(word)
        if named is None or self._named is None or named[0] in self._named.tables:
            return None
        return f"{self._named.path} has no place {named[0]!r}; {self._named.hint(named[0])}"

    def defaults(self) -> tuple[str, str]:
        """Return the local directory and the prefix of a sync without paths: those of the place of `--url`."""
        named = self._split(self._options.url or "")
        local, remote = (None, None) if named is None else (named[0].local, named[0].remote)
        return (USUAL_LOCAL if local is None else local, USUAL_REMOTE if remote is None else remote)

    def _split(self, word: str) -> tuple[NamedPlace, str] | None:
        """Split a word into a place and a path; `None`: it names no place of the file."""
        named = split_name(word)
        if named is None or self._named is None or named[0] not in self._named.tables:
            return None
        return self._named.place(named[0]), named[1]

    async def _remote(self, word: str | None) -> Remote:
        found = self._find(word)
        if found is None:
            name, key, place = None, _without_dot(word or ""), None
        else:
            url, place = found
            name, key = repr(_root(url)) if place is None else place.where, url.key
        if name not in self._made:
            configured = self._configured(found)
            if configured.place is not None:
                configured = await in_steps(configured.with_secrets())
            self._made[name] = self._recorded(configured.make(pool=self._shared_pool()))
        named = None if place is None else split_name(word or "")
        return Remote(self._made[name], key, is_glob=found is not None, place=named and named[0])

    def _recorded(self, provider: IStorageProvider) -> IStorageProvider:
        """Let the uploads of a provider on a server be recorded; a store on this machine needs no record."""
        if provider.capabilities.plain_paths or not provider.capabilities.multipart:
            return provider
        from bucketry._cli.journal import journaled

        return journaled(provider, self.environ)

    def _find(self, word: str | None) -> tuple[StorageURL, NamedPlace | None] | None:
        """Return the URL that a word is or means, and its place; `None`: it is a key of the usual provider."""
        named = self._split(word or "")
        if word is None:
            return None
        if named is None and not is_url(word):
            self._check_that_a_key_is_meant(word)
            return None
        if self._options.url is not None or self._options.provider is not None:
            option = "--url" if self._options.url is not None else "--provider"
            message = f"{word} names its provider; leave out {option}"
            raise UsageError(message)
        if named is not None:
            place, path = named
            return replace(place.url, key=path.lstrip("/")), place
        if problem := names_no_bucket(word):
            raise UsageError(problem)
        url = read_url(glob_url(word))
        if url.kind == "local":
            directory, key = split_path(url.place["base_path"], read_url(plain_url(word)).place["base_path"])
            return replace(url, place={"base_path": directory}, key=key), None
        return url, None

    def _configured(self, found: tuple[StorageURL, NamedPlace | None] | None) -> Configured:
        if found is None:
            return self._usual()
        url, place = found
        # Keys of a place are relative to it, so that a key that was printed can be added to its name.
        return self._by_url(_root(url) if place is None else place.url_of(""), place)

    def _by_url(self, url: StorageURL, place: NamedPlace | None) -> Configured:
        if place is None:
            return configured_by_url(url, self.environ, self._entries(url.kind))
        return configured_by_place(place, url, self.environ, self._entries(url.kind))

    def _usual(self) -> Configured:
        """Configure the provider named by `--url`, else by `--provider`, else by the environment; no I/O."""
        options = self._options
        if options.url is not None:
            if problem := self.unknown_place(options.url) or names_no_bucket(options.url):
                raise ConfigError(problem)
            named = self._split(options.url)
            url, place = (read_url(options.url), None) if named is None else (named[0].url_of(named[1]), named[0])
            if options.provider and not is_same_class(options.provider, url.kind):
                message = f"--provider {options.provider} is not the provider of --url; leave one of them out"
                raise ConfigError(message)
            return self._by_url(url, place)
        entries = self._entries()
        if not options.provider and not self.environ.get("STORAGE_PROVIDER"):
            _check_that_local_is_meant(entries, self.environ)
        return configured_from(self.environ, entries, kind=options.provider)

    def _check_that_a_key_is_meant(self, word: str) -> None:
        """Raise an error or warn if a key looks like a URL or `NAME:path`, and no option names a provider."""
        options = self._options
        if not (options.url or options.provider) and (url := mistyped_url(word)):
            message = f"{word} is not a URL; write {url} (for a key, name its provider with --provider or --url)"
            raise UsageError(message)
        problem = self.unknown_place(word)
        if problem is None or options.url or options.provider or self.environ.get("STORAGE_PROVIDER"):
            return
        if "did you mean" in problem:
            message = f"{problem} For a key of the local directory, add --provider local"
            raise ConfigError(message)
        warnings.warn(f"{word} is taken as a key of the local directory: {problem}", stacklevel=2)

    def _check_that_a_new_key_is_meant(self, word: str) -> None:
        """Raise an error if a key to write has the form `NAME:path`: an object would be written to the wrong place."""
        options = self._options
        problem = self.unknown_place(word)
        if problem is None or options.url or options.provider or self._named is None or not self._named.tables:
            return
        kind = self.environ.get("STORAGE_PROVIDER") or "local"
        message = f"{problem}{'' if problem.endswith('?') else '.'} If {word} is a key, add --provider {kind}"
        raise ConfigError(message)

    def _entries(self, kind: str | None = None) -> dict[str, Given]:
        names = ENTRIES if self._encrypted not in {None, kind} else (*ENTRIES, *ENCRYPTION)
        given = {name: getattr(self._options, name, None) for name in names}
        return {
            name: Given(value, "--" + name.replace("_", "-"))
            for name, value in given.items()
            if value is not None and value is not False
        }

    def _shared_pool(self) -> SessionPool | None:
        """Make the pool that `--concurrency` needs; without one, each provider makes its own."""
        concurrency = getattr(self._options, "concurrency", None) or 0
        if concurrency > MAX_CONNECTIONS and self._pool is None:
            from bucketry import SessionPool

            self._pool = SessionPool(max_connections=concurrency)
        return self._pool


def _without_dot(word: str) -> str:
    """Return a key without `./` at its beginning, which a shell's user writes for a path; a URL can name such a key."""
    while word.startswith("./"):
        word = word[2:].lstrip("/")
    return word


def server_of(provider: IStorageProvider, url: str | None = None) -> str:
    """Return where something is, in parentheses, to be added to its name; empty: the name says all.

    Args:
        provider: The provider; its server is shown, if it is not AWS.
        url: What a named place means; `None`: the name is a URL.
    """
    source = provider.copy_source("-")
    endpoint = None if source is None else source.endpoint
    said = [text for text in (url, endpoint) if text is not None]
    return f" ({', '.join(said)})" if said else ""


def _root(url: StorageURL) -> StorageURL:
    """Return the URL of the whole bucket."""
    return replace(url, prefix="", key="")


async def prove_access(provider: IStorageProvider, prove: Prove) -> None:
    """Check that the bucket and the credentials allow reads or writes."""
    if prove == "writes":
        with suppress(AccessDeniedError):  # the check reads, and some tokens only allow writes
            await provider.connect()
    elif prove == "reads" and not provider.capabilities.plain_paths:
        # Only for clouds, because `connect` of a local provider makes a missing directory, which a read should not.
        await provider.connect()


def is_url(word: str) -> bool:
    """Return whether a word is a URL; other words are keys or local paths."""
    return "://" in word


def read_named(options: Arguments, environ: Mapping[str, str]) -> PlaceFile | None:
    """Read the configuration file if a word of the command line may name a place; blocks for one small file.

    Raises:
        ConfigError: The file is malformed or unsafe.
    """
    words: list[object] = []
    for value in vars(options).values():
        words += value if isinstance(value, (list, tuple)) else [value]
    if not any(isinstance(word, str) and (split_name(word) or re.match(_ONE_LETTER, word)) for word in words):
        return None
    from bucketry.providers.places import read_places  # loads tomllib and subprocess

    return read_places(environ)


def _check_that_local_is_meant(entries: Mapping[str, object], environ: Mapping[str, str]) -> None:
    """Raise an error or warn if a cloud is configured but no provider is named, because the default is `local`."""
    hint = "give --url s3://BUCKET or --provider s3, or set STORAGE_PROVIDER"
    if entries:
        first = next(iter(entries))
        option = ENCRYPTION.get(first) or "--" + first.replace("_", "-")
        message = (
            f"{option} is for a store in a cloud, but no provider is named, so the local directory is used; {hint}"
        )
        raise ConfigError(message)
    found = next((name for name in _OF_CLOUDS if environ.get(name)), None)
    if found is not None:
        warnings.warn(f"{found} is set, but no provider is named, so the local directory is used; {hint}", stacklevel=2)


def transfer_config(provider: IStorageProvider, arguments: TransferArguments) -> TransferConfig:
    """Turn the transfer options into a configuration.

    Raises:
        ConfigError: A number is out of range.
    """
    usual = default_config(provider).max_concurrency
    return TransferConfig(
        part_size=arguments.part_size,
        max_concurrency=usual if arguments.concurrency is None else arguments.concurrency,
        # A larger --part-size raises the budget, so that one such part fits.
        memory_budget=max(MEMORY_BUDGET, arguments.part_size or 0),
        max_bandwidth=arguments.bwlimit,
        verify=not arguments.no_verify,
    )
