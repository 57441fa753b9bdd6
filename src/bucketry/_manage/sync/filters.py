"""Selects the entries of a sync by patterns as in `.gitignore` files; both sides have the same patterns."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable

from pathspec import GitIgnoreSpec

from bucketry._core.capabilities import UnicodeForm
from bucketry.errors import InvalidRequestError

_SPECIAL = re.compile(r"[*?\[\\]")  # characters that are not literal in a pattern


def exact_pattern(path: str) -> str:
    """Return the pattern that matches only this path; with `/` at its end, the directory and everything below it."""
    return "/" + _SPECIAL.sub(r"\\\g<0>", path)


class Filter:
    """Selects the paths that an include pattern matches (or all, if there is none) and no exclude pattern matches.

    A pattern matches a path if git would ignore it because of a `.gitignore` file with the patterns at the top of the
    directory: https://git-scm.com/docs/gitignore. So the last matching pattern decides, and a pattern that begins with
    `!` cancels earlier matches. If a directory matches, everything below it matches, without exception. Lines that are
    blank or begin with `#` do nothing. There is one difference: `?` and `[...]` match one character, but one byte in
    git.
    """

    def __init__(
        self, include: Iterable[str] = (), exclude: Iterable[str] = (), *, form: UnicodeForm | None = None
    ) -> None:
        """Compile the patterns.

        Args:
            include: Patterns of the entries to select; empty: all.
            exclude: Patterns of the entries not to select.
            form: Patterns and paths are matched in this Unicode form, because one side stores only names in this form;
                `None`: they are matched as they are.

        Raises:
            InvalidRequestError: A pattern is malformed, or `include` or `exclude` is one `str`.
        """
        self.include = _patterns("include", include)
        self.exclude = _patterns("exclude", exclude)
        self._included = _compiled("include", self.include, form)
        self._excluded = _compiled("exclude", self.exclude, form)
        if self.include and self._included is None:
            raise InvalidRequestError(f"include={self.include!r}: there is no pattern in it, so nothing would match")

    @property
    def selects_all(self) -> bool:
        """Whether every path is selected."""
        return self._included is None and self._excluded is None

    def includes(self, path: str) -> bool:
        """Return whether an include pattern matches, or there is no include pattern."""
        return self._included is None or self._included.match(path)

    def excludes(self, path: str) -> bool:
        """Return whether the path is excluded; the path of a directory ends in `/`, and covers everything below it."""
        return self._excluded is not None and self._excluded.match(path)


class _Matcher:
    """Compiled patterns, which first match each directory above a path, from the top, as git does.

    The library matches only one path. The result for the last directory is kept, because paths come sorted.
    """

    def __init__(self, patterns: list[str], form: UnicodeForm | None) -> None:
        self._form = form
        if form is not None:
            patterns = [unicodedata.normalize(form, pattern) for pattern in patterns]
        self._files = _spec(patterns)
        self._directories = _spec([pattern.rstrip("/") for pattern in patterns])  # asked about directories only
        self._directory = ""
        self._directory_matches = False

    def match(self, path: str) -> bool:
        if "\n" in path:
            path = path.replace("\n", "\0")  # because regular expressions can treat a line end as special
        if self._form is not None and not path.isascii():
            path = unicodedata.normalize(self._form, path)
        directory, _, name = path.rpartition("/")
        if directory != self._directory:
            self._directory, self._directory_matches = directory, self._match_any_of(directory)
        return self._directory_matches or (bool(name) and self._files.match_file(path, separators=()))

    def _match_any_of(self, directory: str) -> bool:
        """Return whether this directory or a directory above it matches."""
        end = 0
        while end >= 0:
            end = directory.find("/", end + 1)
            if self._directories.match_file(directory if end < 0 else directory[:end], separators=()):
                return True
        return False


def _spec(patterns: list[str]) -> GitIgnoreSpec:
    return GitIgnoreSpec.from_lines(patterns, backend="simple")  # the other backends need more libraries


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


def _compiled(name: str, patterns: tuple[str, ...], form: UnicodeForm | None) -> _Matcher | None:
    """Compile patterns; `None`: there are none."""
    wanted = [pattern for pattern in patterns if not pattern.startswith("#") and pattern.strip()]
    for pattern in wanted:
        try:
            spec = _spec([pattern])
        except (ValueError, re.error) as exc:
            raise _bad(name, pattern) from exc
        if all(compiled.include is None for compiled in spec.patterns):
            raise _bad(name, pattern)  # git ignores such a pattern without a message
    return _Matcher([_trimmed(pattern) for pattern in wanted], form) if wanted else None


def _trimmed(pattern: str) -> str:
    """Remove spaces at the end, as git does, unless the pattern ends in a backslash and a space.

    `a/**/` means all directories below `a`. The library would also match files with it; with `a/**/*/` it does not.
    """
    trimmed = pattern if pattern.endswith("\\ ") else pattern.rstrip()
    return f"{trimmed}*/" if trimmed.endswith("**/") else trimmed


def _bad(name: str, pattern: str) -> InvalidRequestError:
    return InvalidRequestError(
        f"{name}: pattern {pattern!r} is malformed, it matches nothing; see https://git-scm.com/docs/gitignore"
    )
