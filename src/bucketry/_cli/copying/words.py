"""What the words of `copy` and `move` mean: local paths, standard streams, or keys of a place."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

from bucketry._cli.commands import UsageError
from bucketry._cli.place import STREAM, Places, Remote
from bucketry._cli.url_words import mistyped_url
from bucketry._runtime.threads import in_thread
from bucketry.providers.url import read_url

_FILE = "file://"


@dataclass(frozen=True, slots=True)
class Local:
    """A local path, or `-` for a standard stream."""

    path: str

    @property
    def url(self) -> str:
        """The path, for messages and results."""
        return self.path

    @property
    def name(self) -> str:
        """The path, for texts."""
        return self.path

    @property
    def is_stream(self) -> bool:
        """Whether the word is `-`."""
        return self.path == STREAM


End: TypeAlias = Local | Remote
"""A source or the destination."""


async def read_words(words: Sequence[str], places: Places) -> tuple[list[End], End]:
    """Return the sources and the destination that the words name.

    If a word is a URL or `NAME:path`, a word that is neither is a local path. If no word is, all are keys of the
    provider of `--url`, `--provider` or the environment. `file:///path` is a local path.

    Raises:
        UsageError: There are fewer than two words, a word is empty, all are local, or a place is unknown.
        ConfigError: A provider is unknown, or its configuration is wrong.
    """
    if len(words) < 2:  # noqa: PLR2004 - a source and a destination
        message = "needs SOURCE and DESTINATION"
        raise UsageError(message)
    if "" in words:
        message = "a word is empty; write a path, a key or a URL"
        raise UsageError(message)
    urls = any(places.is_remote(word) for word in words)
    if urls and not any(places.is_remote(word) and not word.startswith(_FILE) for word in words):
        message = f"{words[0]} and {words[-1]} are both local; copy local files with cp, or name a store"
        raise UsageError(message)
    places.expect([word for word in words if places.is_remote(word) and not word.startswith(_FILE)])
    sources = [await _end(word, places, urls=urls) for word in words[:-1]]
    return sources, await _end(words[-1], places, urls=urls, new=True)


async def _end(word: str, places: Places, *, urls: bool, new: bool = False) -> End:
    if word == STREAM:
        return Local(word)
    if word.startswith(_FILE):
        return Local(read_url(word).place["base_path"])
    if places.is_remote(word) or not urls:
        return await places.open(word, new=new)
    url, problem = mistyped_url(word), places.unknown_place(word)
    if url is not None:
        problem = f"{word} is not a URL; write {url}, or ./{word} for a local path"
    if problem is not None and not await in_thread(os.path.lexists, word):
        raise UsageError(problem)
    return Local(word)
