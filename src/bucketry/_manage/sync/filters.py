"""Which entries a sync selects: patterns as in `.gitignore` files, for both sides alike."""

from __future__ import annotations

import re
from collections.abc import Iterable

from pathspec import GitIgnoreSpec

from bucketry.errors import InvalidRequestError


class Filter:
    """Selects the paths that an include pattern matches, or all if there is none, without those excluded.

    A pattern matches a path if git would ignore it because of a `.gitignore` file with the patterns at the top of the
    directory: https://git-scm.com/docs/gitignore. So the last pattern that matches decides, one that begins with `!`
    takes back what earlier ones match, and a directory that matches has everything below it match, without exception.
    Lines that are blank or begin with `#` do nothing. In one thing it differs: `?` and `[...]` match one character,
    where git matches one byte.
    """

    def __init__(self, include: Iterable[str] = (), exclude: Iterable[str] = ()) -> None:
        """Compile the patterns.

        Raises:
            InvalidRequestError: A pattern is malformed, or `include` or `exclude` is one `str`.
        """
        self.include = _patterns("include", include)
        self.exclude = _patterns("exclude", exclude)
        self._included = _compiled("include", self.include)
        self._excluded = _compiled("exclude", self.exclude)
        if self.include and self._included is None:
            raise InvalidRequestError(f"include={self.include!r}: there is no pattern in it, so nothing would match")

    @property
    def selects_all(self) -> bool:
        """Whether every path is selected."""
        return self._included is None and self._excluded is None

    def includes(self, path: str) -> bool:
        """Tell whether the include patterns match; true if there is none."""
        return self._included is None or self._included.match(path)

    def excludes(self, path: str) -> bool:
        """Tell whether the path is excluded; that of a directory ends in `/`, and then all below it is excluded."""
        return self._excluded is not None and self._excluded.match(path)


class _Matcher:
    """Compiled patterns. It remembers the last directory, because paths come sorted.

    The library decides about one name; git decides about each directory above it first, from the top.
    """

    def __init__(self, patterns: list[str]) -> None:
        self._files = _spec([pattern for pattern in patterns if not pattern.endswith("/")])
        self._directories = _spec([pattern.rstrip("/") for pattern in patterns])
        self._directory = ""
        self._directory_matches = False

    def match(self, path: str) -> bool:
        if "\n" in path:
            path = path.replace("\n", "\0")  # a pattern must treat a line end as any other character of a name
        directory, _, name = path.rpartition("/")
        if directory != self._directory:
            self._directory, self._directory_matches = directory, self._match_any_of(directory)
        return self._directory_matches or (bool(name) and self._files.match_file(path, separators=()))

    def _match_any_of(self, directory: str) -> bool:
        """Tell whether a directory or one above it matches."""
        end = 0
        while end >= 0:
            end = directory.find("/", end + 1)
            if self._directories.match_file(directory if end < 0 else directory[:end], separators=()):
                return True
        return False


def _spec(patterns: list[str]) -> GitIgnoreSpec:
    return GitIgnoreSpec.from_lines(patterns, backend="simple")  # other backends are other libraries


def _patterns(name: str, given: Iterable[str]) -> tuple[str, ...]:
    if isinstance(given, str):
        raise InvalidRequestError(f"{name}={given!r} is one pattern; give a list of patterns, such as [{given!r}]")
    patterns = tuple(given)
    for pattern in patterns:
        if not isinstance(pattern, str):
            raise InvalidRequestError(f"{name}: a pattern is a str, not {type(pattern).__name__}")
        if "\n" in pattern.rstrip("\n") or "\0" in pattern:
            raise InvalidRequestError(f"{name}: pattern {pattern!r}: give each line as a pattern of its own")
    return tuple(pattern.rstrip("\n") for pattern in patterns)


def _compiled(name: str, patterns: tuple[str, ...]) -> _Matcher | None:
    """Compile patterns; `None`: there is none."""
    wanted = [pattern for pattern in patterns if not pattern.startswith("#") and pattern.strip()]
    for pattern in wanted:
        try:
            spec = _spec([pattern])
        except (ValueError, re.error) as exc:
            raise _bad(name, pattern) from exc
        if all(compiled.include is None for compiled in spec.patterns):
            raise _bad(name, pattern)  # git ignores such a pattern silently
    return _Matcher([_trimmed(pattern) for pattern in wanted]) if wanted else None


def _trimmed(pattern: str) -> str:
    """Remove blanks at the end, as git does, unless a backslash is before them."""
    return pattern if pattern.endswith("\\ ") else pattern.rstrip()


def _bad(name: str, pattern: str) -> InvalidRequestError:
    return InvalidRequestError(
        f"{name}: pattern {pattern!r} is malformed, it matches nothing; see https://git-scm.com/docs/gitignore"
    )
