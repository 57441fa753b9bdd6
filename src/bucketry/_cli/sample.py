"""Makes, lists and compares the files of `demo`. The functions block: call them in a worker thread."""

from __future__ import annotations

import os
from pathlib import Path

from bucketry._core.units import KiB, MiB

SMALL_FILES = 120
LARGE_FILE = 24 * MiB + 123  # large enough for parts, and not a multiple of the part size
_DIRECTORIES = 6
_BLOCK = MiB


def make_sample(directory: str) -> None:
    """Make many small files, a large one, and some with unusual names or sizes."""
    root = Path(directory)
    for number in range(SMALL_FILES):
        path = root / f"part {number % _DIRECTORIES}" / f"sample-{number:03}.bin"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(os.urandom(number * KiB // 4 + number))
    (root / "empty").touch()
    (root / "größe & 100% +.txt").write_text("a name that a URL must quote\n", encoding="utf-8")
    with (root / "large.bin").open("wb") as file:
        for start in range(0, LARGE_FILE, _BLOCK):
            file.write(os.urandom(min(_BLOCK, LARGE_FILE - start)))


def files_below(directory: str) -> dict[str, int]:
    """Return the size of each file, by the file's path relative to the directory."""
    root = Path(directory)
    return {path.relative_to(root).as_posix(): path.stat().st_size for path in root.rglob("*") if path.is_file()}


def differences(one: str, other: str) -> list[str]:
    """Return the paths of files that are missing in one of the directories, or have different bytes."""
    here, there = files_below(one), files_below(other)
    return sorted(
        name
        for name in here.keys() | there.keys()
        if here.get(name) != there.get(name) or not _same_bytes(Path(one, name), Path(other, name))
    )


def _same_bytes(one: Path, other: Path) -> bool:
    with one.open("rb") as left, other.open("rb") as right:
        while block := left.read(_BLOCK):
            if block != right.read(_BLOCK):
                return False
        return not right.read(1)
