"""Makes directory trees with difficult names and mixed sizes, the same ones each time, and compares such trees."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random

from bucketry._core.units import GiB, KiB, MiB
from bucketry._transfer.one.staging import is_staged

NAMES = (
    " blank before",
    "blank after ",
    "two  blanks",
    "quo'te",
    'double"quote',
    "per%cent",
    "per%20cent",
    "per%2Fcent",
    "plus+sign",
    "hash#tag",
    "question?",
    "amper&sand",
    "semi;colon",
    "col:on",
    "star*",
    "less<more>",
    "pi|pe",
    "back`tick",
    "back\\slash",
    "dollar$HOME",
    "exclamation!",
    "at@sign",
    "equals=sign",
    "til~de",
    "brack[1]ets",
    "bra{c}es",
    "com,ma",
    "(round)",
    "caf\u00e9",  # normalization form C
    "cafe\u0301",  # the same text in form D, another name
    "\u65e5\u672c\u8a9e",
    "\U0001f680 rocket",
    "\U0001f468\u200d\U0001f469\u200d\U0001f467",
    "\u202eright to left",
    "\u2028line separator",
    "\u00a0hard blank",
    "\ufeffmark",
    "\ud7ff",  # sorts before the next one by code points, after it by UTF-16
    "\U0010ffff",
    "\uff0fslash",
    ".hidden",
    "..two dots",
    "...",
    "dot after.",
    "-dash",
    "--delete",
    "~",
    "CON",
    "UPPER",
    "upper",
    "x" * 255,
    "." + "y" * 254,
    "\u00e9" * 127,
)
"""Names that programs get wrong. Without control characters: `rclone serve s3` lists them as other characters, and moto
refuses a line feed."""

NEIGHBOURS = ("n/1", "n!/1", "n!a", "n.", "n0", "n-/1", "n/.1", "n\u00e9/1", "N/1")
"""Paths whose order by keys is not the order of the names in a directory: `n` is before `n!a`, but `n/1` after it."""

DEEP = "/".join(f"deep {level}" for level in range(40))
SMALL = 64 * KiB
LARGEST = 40 * MiB
_NOISE = Random(0).randbytes(MiB)
_EMPTY = 0.02  # of the small files
_LONGEST = 700  # bytes of a path, so that a prefix and S3's limit of 1,024 bytes leave room
_ROUNDED = 100  # ns, so that a file system or a program that rounds a little is not taken for a change
_FIRST, _LAST = 1_000_000_000, 1_700_000_000  # seconds since 1970: the times of the files lie between 2001 and 2023


@dataclass(frozen=True, slots=True)
class Kept:
    """What a tree has of one file."""

    size: int
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Edits:
    """Changes of a tree, by path.

    Attributes:
        resized: Files with another content of another size.
        rewritten: Files with another content of the same size, and another time.
        removed: Files that are gone.
        renamed: Old path → new path; content and time stay.
    """

    resized: tuple[str, ...]
    rewritten: tuple[str, ...]
    removed: tuple[str, ...]
    renamed: dict[str, str]


FULL = (20_000, 3 * GiB)
"""Files and bytes of the large tree."""


def write_tree(root: Path, files: int, total: int, *, seed: int = 0, names: Sequence[str] = NAMES) -> None:
    """Write a tree below a new directory.

    Most files have 0 to 64 KiB, more of them little than much; the others have 1 to 40 MiB, as many as it needs for the
    total. Every file has its own content and its own time.

    Args:
        root: The directory to make.
        files: The number of files; at least 200.
        total: The sum of their sizes.
        seed: Another seed gives another tree.
        names: The difficult names.
    """
    random = Random(f"{seed} {files} {total}")
    paths = _paths(random, files, names)
    sizes = _sizes(random, files, total)
    made = set()
    for path, size in zip(paths, sizes, strict=True):
        file = root / path
        if file.parent not in made:
            file.parent.mkdir(parents=True, exist_ok=True)
            made.add(file.parent)
        _write(random, file, size)


def edit_tree(root: Path, changed: int, removed: int, renamed: int, seed: int = 0) -> Edits:
    """Change files of a tree: half of `changed` get another size, the other half only another content and time."""
    random = Random(seed)
    chosen = random.sample(sorted(files_below(root)), changed + removed + renamed)
    resized, rewritten = chosen[: changed // 2], chosen[changed // 2 : changed]
    gone, old = chosen[changed : changed + removed], chosen[changed + removed :]
    # The content of an empty file cannot change without its size.
    rewritten = [path for path in rewritten if (root / path).stat().st_size]
    for path in resized:
        _write(random, root / path, (root / path).stat().st_size + random.choice((1, 1_000)))
    for path in rewritten:
        _write(random, root / path, (root / path).stat().st_size)
    for path in gone:
        (root / path).unlink()
    new = {path: f"{os.path.dirname(path)}/new {number}".lstrip("/") for number, path in enumerate(old)}
    for path, other in new.items():
        (root / path).rename(root / other)
    return Edits(resized=tuple(resized), rewritten=tuple(rewritten), removed=tuple(gone), renamed=new)


def files_below(root: Path) -> Iterator[str]:
    """Yield the path of every file below a directory, with `/` between the names, in no order.

    Files that a killed download had staged are left out, as a sync leaves them out.
    """
    top = len(str(root)) + 1
    for directory, _, names in os.walk(root):
        for name in names:
            if not is_staged(name):
                yield os.path.join(directory, name)[top:]


def tree_of(root: Path) -> dict[str, Kept]:
    """Return size and checksum of each file, by its path."""
    return {path: _kept(root / path) for path in files_below(root)}


def times_of(root: Path) -> dict[str, int]:
    """Return the time of each file's last change in nanoseconds, by its path."""
    return {path: (root / path).stat().st_mtime_ns for path in files_below(root)}


def digest_of(root: Path) -> str:
    """Return one checksum of the paths, sizes and contents of all files."""
    total = hashlib.sha256()
    for path, kept in sorted(tree_of(root).items()):
        total.update(f"{path}\0{kept.size}\0{kept.sha256}\n".encode())
    return total.hexdigest()


def _paths(random: Random, files: int, names: Sequence[str]) -> list[str]:
    """Return different paths: every difficult name as a file and as a directory, then random ones."""
    paths = [*names, *(f"directories/{name}/file" for name in names), *NEIGHBOURS, f"{DEEP}/bottom"]
    directories = ["", "directories"]
    while len(paths) < files:
        if random.random() < 0.05:  # a new directory for 20 files in the mean
            path = _join(random.choice(directories), f"{random.choice(names)[:40]} {len(directories)}")
            if len(path.encode()) <= _LONGEST:
                directories.append(path)
        # The number makes the name another one than all others.
        paths.append(_join(random.choice(directories[-200:]), f"{random.choice(names)[:40]} {len(paths)}.bin"))
    random.shuffle(paths)
    return paths


def _join(directory: str, name: str) -> str:
    return f"{directory}/{name}" if directory else name


def _sizes(random: Random, files: int, total: int) -> list[int]:
    """Return sizes with the given sum."""
    small = [0 if random.random() < _EMPTY else int(SMALL * random.random() ** 2) for _ in range(files)]
    left = total - sum(small)
    if left < 3 * MiB:
        message = f"{files} files of 0 to 64 KiB leave no room for larger ones in {total} bytes"
        raise ValueError(message)
    large = [min(LARGEST, left * 2 // 3)]
    while (rest := left - sum(large)) > 0:
        large.append(rest if rest < 2 * MiB else random.randint(MiB, min(LARGEST, rest - MiB)))
    # Large files replace the first small ones; what those had is added to one of the large ones.
    large[-1] += sum(small[: len(large)])
    sizes = [*large, *small[len(large) :]]
    random.shuffle(sizes)
    return sizes


def _write(random: Random, file: Path, size: int) -> None:
    file.unlink(missing_ok=True)  # another tree may have a hard link to it
    # Making random bytes takes longer than the rest, so each MiB gets its own first bytes and the same others.
    with file.open("wb") as opened:
        for start in range(0, size, MiB):
            length = min(MiB, size - start)
            opened.write(random.randbytes(min(16, length)) + _NOISE[16:length])
    time = random.randrange(_FIRST * 10**9, _LAST * 10**9, _ROUNDED)
    os.utime(file, ns=(time, time))


def _kept(file: Path) -> Kept:
    with file.open("rb") as opened:
        return Kept(file.stat().st_size, hashlib.file_digest(opened, "sha256").hexdigest())
