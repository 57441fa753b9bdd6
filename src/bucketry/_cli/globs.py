"""Globs over keys: `run-*/` selects everything below run-1/, run-2/, …; the search lists as little as it can."""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing

from bucketry._cli.commands import UsageError
from bucketry._core.frozen import dataclass
from bucketry._core.provider import IStorageProvider
from bucketry._core.values import ObjectInfo
from bucketry._transfer.listing import every_object

# These two are compiled when a glob is first read: that takes 1.5 ms, and few command lines have a glob.
_PIECE = r"""(?xs)
        (?P<deep>(?<![^/])\*\*/)        # at the start of a segment: any number of directories, also none
      | (?P<all>\*\*+)                  # any characters
      | (?P<star>\*)                    # any characters except /
      | (?P<one>\?)                     # one character except /
      | \[(?P<set>[!^]?[^/][^\]/]*)\]   # one of these characters; never /
      | (?P<literal>.)"""
_MEMBER = r"(?s).-.|."
_PATTERNS = {"deep": "(?:.*/)?", "all": ".*", "star": "[^/]*", "one": "[^/]"}
_STARTS = {"deep": "(?>(?:.*?/)??", "all": "(?>.*?", "star": "(?>[^/]*?"}
LARGE = 50  # a page of 1,000 objects then shows at most 20 directories


@dataclass(frozen=True, slots=True)
class _Token:
    """A piece of a glob.

    Attributes:
        pattern: The regular expression.
        literal: The character that the piece stands for; `None`: a wildcard.
        start: How a group begins that matches the wildcard and what follows it; `None`: it matches one character.
        across: Whether the wildcard matches `/`.
    """

    pattern: str
    literal: str | None = None
    start: str | None = None
    across: bool = False


@dataclass(frozen=True, slots=True)
class _Segment:
    """The part of a glob between two `/`."""

    tokens: tuple[_Token, ...]

    @property
    def head(self) -> str:
        """The characters before the first wildcard."""
        return _head(self.tokens)

    @property
    def is_literal(self) -> bool:
        return len(self.head) == len(self.tokens)

    @property
    def across(self) -> bool:
        """Whether a wildcard matches `/`."""
        return any(token.across for token in self.tokens)

    @property
    def is_open(self) -> bool:
        """Whether every name that begins with the head matches."""
        return [token.pattern for token in self.tokens[len(self.head) :]] == [_PATTERNS["star"]]

    @property
    def regex(self) -> re.Pattern[str]:
        """The compiled tokens; the caller keeps them for all names."""
        return _compiled(self.tokens)


class Glob:
    """A glob over keys.

    `*` and `?` match all characters but `/`, `**` matches all characters, `[abc]`, `[a-z]` and `[!abc]` match one
    character. `[*]` is a plain `*`. A glob that ends in `/` matches all keys below the directories it names.

    Attributes:
        text: The glob.
        literal: The characters before the first wildcard.
    """

    def __init__(self, text: str) -> None:
        """Parse the glob.

        Raises:
            UsageError: A range in brackets is reversed.
        """
        self.text = text
        self._tokens = _tokens(text)
        self.literal = _head(self._tokens)

    @property
    def is_plain(self) -> bool:
        """Whether there is no wildcard, so the glob names the one key `literal`."""
        return len(self.literal) == len(self._tokens)

    @property
    def across(self) -> bool:
        """Whether the glob selects below directories: it ends in `/`, or holds `**`."""
        return self.text.endswith("/") or any(token.across for token in self._tokens)

    def matcher(self, *, below: bool = False) -> Callable[[str], bool]:
        """Return a function that returns whether a key matches; with `below`, also keys below matching directories."""
        regex = self._regex(below=below)
        return lambda key: regex.fullmatch(key) is not None

    async def search(
        self, provider: IStorageProvider, *, below: bool = False, large: int = LARGE
    ) -> AsyncGenerator[ObjectInfo, None]:
        """Yield the objects that match, in the order of their keys.

        Args:
            provider: The provider.
            below: Also yield the objects below directories that match.
            large: How many objects a directory has on average if it is better to list the directories' names first.

        Cost: at least 1 request. Directories that do not match are not listed if they are large: the first page of a
        listing shows whether they are. Memory for 2 pages for each wildcard.
        """
        search = _Search(provider, self._regex(below=below), below=below, large=large)
        async with aclosing(search.walk("", _split(self._tokens))) as found:
            async for entry in found:
                yield entry

    def _regex(self, *, below: bool) -> re.Pattern[str]:
        end = ".*" if self.text.endswith("/") else "(?:/.*)?" if below else ""
        return _compiled(self._tokens, end)


class _Search:
    """One search for the keys that match a glob.

    Args:
        provider: The provider.
        regex: Matches the keys to yield.
        below: Whether everything below a matching directory is selected.
        large: As in `Glob.search`.
    """

    def __init__(self, provider: IStorageProvider, regex: re.Pattern[str], *, below: bool, large: int) -> None:
        self._provider = provider
        self._regex = regex
        self._below = below
        self._large = large

    async def walk(self, prefix: str, segments: Sequence[_Segment]) -> AsyncGenerator[ObjectInfo, None]:
        """Yield the objects below a directory whose keys match the rest of the glob."""
        first, rest = segments[0], segments[1:]
        while first.is_literal and rest:
            prefix, first, rest = f"{prefix}{first.head}/", rest[0], rest[1:]
        start = prefix + first.head
        whole = len(rest) == 1 and not rest[0].tokens if rest else self._below  # all that is below a match is selected
        if first.is_literal:
            found = under(self._provider, start, below=self._below)
        elif first.across or (first.is_open and whole):
            found = self._list_all(start)
        elif rest or self._below:
            found = self._list_as_is_cheaper(prefix, first, rest)
        else:
            found = self._list_level(prefix, first, ())
        async with aclosing(found):
            async for entry in found:
                yield entry

    async def _list_all(self, start: str, *, after: str | None = None) -> AsyncGenerator[ObjectInfo, None]:
        """List all keys that begin with `start`, and yield the objects that match."""
        async with aclosing(every_object(self._provider, start, start_after=after)) as listing:
            async for entry in listing:
                if isinstance(entry, ObjectInfo) and self._regex.fullmatch(entry.key):
                    yield entry

    async def _list_as_is_cheaper(
        self, prefix: str, segment: _Segment, rest: Sequence[_Segment]
    ) -> AsyncGenerator[ObjectInfo, None]:
        """List all keys if the directories are small; else list only the directories that match.

        A listing of each directory costs a request each; a listing of all keys also has those that do not match.
        """
        start = prefix + segment.head
        page = await self._provider.list_page(start)
        found = [entry for entry in page.entries if isinstance(entry, ObjectInfo)]
        names = {entry.key[len(prefix) :].partition("/")[0] for entry in found}
        if page.next_token is not None and len(found) >= self._large * len(names):
            others = self._list_level(prefix, segment, rest)
        else:
            for entry in found:
                if self._regex.fullmatch(entry.key):
                    yield entry
            if page.next_token is None or not found:
                return
            others = self._list_all(start, after=found[-1].key)
        async with aclosing(others):
            async for entry in others:
                yield entry

    async def _list_level(
        self, prefix: str, segment: _Segment, rest: Sequence[_Segment]
    ) -> AsyncGenerator[ObjectInfo, None]:
        """List one level, and search each directory on it that matches."""
        inner = rest or ((_Segment(()),) if self._below else ())
        regex = segment.regex
        async with aclosing(every_object(self._provider, prefix + segment.head, delimiter="/")) as listing:
            async for entry in listing:
                if isinstance(entry, ObjectInfo):
                    if not rest and regex.fullmatch(entry.key[len(prefix) :]):
                        yield entry
                elif inner and regex.fullmatch(entry.prefix[len(prefix) : -1]):
                    async with aclosing(self.walk(entry.prefix, inner)) as found:
                        async for one in found:
                            yield one


async def under(provider: IStorageProvider, key: str, *, below: bool = True) -> AsyncGenerator[ObjectInfo, None]:
    """Yield the object with this key; if the key is empty or ends in `/`, all objects that begin with it.

    Args:
        provider: The provider.
        key: The key; `run-1` does not select `run-10`.
        below: Also yield the objects below the key as a directory.

    Cost: 1 request for each 1,000 objects; 1 more if more than 1,000 keys begin with the key.
    """
    if key and not key.endswith("/"):
        directory = f"{key}/"
        page = await provider.list_page(key)
        whole = page.next_token is None
        for entry in page.entries:
            if isinstance(entry, ObjectInfo) and (
                entry.key == key or (below and whole and entry.key.startswith(directory))
            ):
                yield entry
        if whole or not below:
            return
        key = directory
    async with aclosing(every_object(provider, key)) as listing:
        async for entry in listing:
            if isinstance(entry, ObjectInfo):
                yield entry


def _tokens(text: str) -> tuple[_Token, ...]:
    found = []
    for match in re.finditer(_PIECE, text):
        kind = match.lastgroup
        if kind == "literal":
            found.append(_Token(re.escape(match[0]), match[0]))
        elif kind == "set":
            found.append(_set(match["set"], text))
        elif kind is not None:
            found.append(_Token(_PATTERNS[kind], start=_STARTS.get(kind), across=kind in {"deep", "all"}))
    return tuple(found)


def _set(inside: str, text: str) -> _Token:
    """Return the token of a set of characters, without its brackets."""
    if len(inside) == 1:
        return _Token(re.escape(inside), inside)  # [*] is a plain *
    negated = inside[0] in "!^"
    members = re.sub(_MEMBER, _escaped, inside[1:] if negated else inside)
    pattern = f"(?!/)[{'^' if negated else ''}{members}]"
    try:
        re.compile(pattern)
    except re.error as error:
        message = f"{text}: [{inside}] is not a set of characters; write the lower end of a range first, such as [a-z]"
        raise UsageError(message) from error
    return _Token(pattern)


def _escaped(member: re.Match[str]) -> str:
    return "-".join(map(re.escape, member[0][::2])) if len(member[0]) > 1 else re.escape(member[0])


def _split(tokens: Sequence[_Token]) -> tuple[_Segment, ...]:
    """Split the tokens at each `/`; what follows `**` stays in one segment."""
    segments: list[list[_Token]] = [[]]
    for token in tokens:
        if token.literal == "/" and not any(one.across for one in segments[-1]):
            segments.append([])
        else:
            segments[-1].append(token)
    return tuple(_Segment(tuple(segment)) for segment in segments)


def _head(tokens: Sequence[_Token]) -> str:
    literal = ""
    for token in tokens:
        if token.literal is None:
            break
        literal += token.literal
    return literal


def _compiled(tokens: Sequence[_Token], end: str = "") -> re.Pattern[str]:
    """Compile the tokens so that the time of a match does not grow exponentially with the number of wildcards.

    A wildcard takes as few characters as it can until what follows it matches, up to the next wildcard. To take more
    later would not help, because the next wildcard can take them as well. So each is an atomic group, which is not
    tried again; only one that matches `/` tries again what is in it, up to the next such wildcard.
    """
    pattern, inner, outer = "", "", ""
    for token in tokens:
        if token.start is None:
            pattern += token.pattern
            continue
        pattern += inner
        inner = ")"
        if token.across:
            pattern += outer
            inner, outer = "", ")"
        pattern += token.start
    return re.compile(f"{pattern}{end}\\Z{inner}{outer}", re.DOTALL)
