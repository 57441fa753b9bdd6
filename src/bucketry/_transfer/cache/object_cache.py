"""A local directory with copies of whole objects, shared by many processes; no requests are made here.

Files of the directory:

- `objects/<2 hex digits>/<62 hex digits>/<size>-<etag in hex><suffix>`: a copy of one version of an object. The digits
  are the SHA-256 of the object's URL. The suffix is that of its key, such as `.pt` or `.csv.gz`, because many libraries
  choose how to read a file by its suffix. The file's access time is the time of the last use; its modification time is
  the time when the provider was last asked. So a copy is one file, and there is no index that could disagree with the
  files.
- `incoming/`: files that are being written.
- `total`: the sum of the sizes in `objects`, or more. A process locks this file while it adds a copy and removes old
  copies.

Readers take no lock. All functions block: call them in a worker thread.
"""

from __future__ import annotations

import hashlib
import math
import os
import re
import stat
import time
from collections.abc import Generator, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import NamedTuple

from bucketry._core.entries import check_path, wrong_entry
from bucketry._core.os_errors import local_error
from bucketry._core.provider import StrPath
from bucketry._runtime.file_lock import unlock
from bucketry._transfer.cache.incoming import Fetch, StagedBytes, acquire, local_errors, remove, sweep

LONGEST_ETAG = 100  # bytes, because the etag in hex and the size must fit in a file name of 255 bytes
_SUFFIX = re.compile(r"(?<=[^/])(\.[A-Za-z0-9_]{1,15}){1,2}$")  # at most 32 bytes; the rest of the name has at most 221
_TOTAL = 20  # bytes of the stored total: the number, after spaces
_NANOSECONDS = 1_000_000_000
_READ_ONLY = 0o444  # a program that changes a copy by mistake gets an error


class KeptObject(NamedTuple):
    """A complete copy of an object in the cache.

    Attributes:
        path: The file.
        etag: The etag of the version, as the provider sent it.
        size: Length in bytes.
        checked: When the provider was last asked whether this is the current version, in nanoseconds since 1970.
        used: When the copy was last used, in nanoseconds since 1970.
    """

    path: str
    etag: str
    size: int
    checked: int
    used: int


@dataclass(frozen=True, slots=True)
class ObjectCache:
    """A local directory that keeps whole objects by URL and etag, for all processes of one user on this machine.

    Copies appear whole or not at all, also if a process is killed. A copy whose length is wrong is fetched again. All
    copies together never have more than `max_bytes` bytes. If a new copy does not fit, the least recently used copies
    are removed first, until at least a tenth of `max_bytes` is free. Objects that are being fetched need more space.
    Copies are removed only when a copy is added, so a smaller `max_bytes` takes effect then. Before copies are removed,
    all copies are counted. This takes 0.8 s for 20,000 copies; meanwhile other processes can read but not add copies.

    A copy belongs to the URL of its object (`provider.locate(key)`), which does not include a custom `endpoint_url`:
    for buckets of the same name at two endpoints, use two directories.

    The value holds configuration only, so it can be pickled and used after a fork.

    Args:
        directory: A directory only for this cache. If it is missing, it is made, and only this user can read it.
        max_bytes: The largest sum of the copies' sizes. Larger objects are not kept.
        max_age: Seconds after a request during which a copy is used without another request, also if the object was
            replaced or deleted meanwhile. `None`: each use makes a request.

    Raises:
        ConfigError: `directory` is not a path, `max_bytes` is not an `int` of at least 1, or `max_age` is not a number
            of at least 0.
    """

    directory: StrPath
    max_bytes: int
    max_age: float | None = None

    def __post_init__(self) -> None:
        """Check the values; make the path absolute, because processes may have different working directories."""
        check_path("ObjectCache", "directory", self.directory)
        object.__setattr__(self, "directory", os.path.abspath(self.directory))
        if not isinstance(self.max_bytes, int) or isinstance(self.max_bytes, bool) or self.max_bytes < 1:
            raise wrong_entry("ObjectCache", "max_bytes", f"must be an int of at least 1, not {self.max_bytes!r}")
        age = self.max_age
        is_number = isinstance(age, (int, float)) and not isinstance(age, bool)
        if age is not None and (not is_number or math.isnan(age) or age < 0):
            raise wrong_entry("ObjectCache", "max_age", f"must be None or seconds of at least 0, not {age!r}")

    def accepts(self, etag: str, size: int) -> bool:
        """Return whether an object can be kept: it is not too large, and has an etag that fits in a file name."""
        return size <= self.max_bytes and 0 < len(etag.encode()) <= LONGEST_ETAG

    def is_fresh(self, kept: KeptObject) -> bool:
        """Return whether the copy can be used without a request; `False` if the last request is in the future."""
        return self.max_age is not None and 0 <= time.time_ns() - kept.checked < self.max_age * _NANOSECONDS

    def find(self, url: str, etag: str | None = None) -> KeptObject | None:
        """Return the copy that was checked last; if `etag` is given, the copy of this version.

        Copies without the suffix are left out: an earlier release has made them, and they are removed like all others.
        """
        suffix = suffix_of(url)
        copies = [
            kept
            for kept in _copies(self._place(url))
            if etag in (None, kept.etag) and kept.path.endswith(kept.etag.encode().hex() + suffix)
        ]
        return max(copies, key=lambda kept: kept.checked, default=None)

    def use(self, kept: KeptObject, asked: int | None = None) -> bool:
        """Store the time of this use of a copy; return `False` if another process has removed the copy.

        Args:
            kept: The copy.
            asked: When the provider was asked, if it has just confirmed that the copy is current.
        """
        try:
            os.utime(kept.path, ns=(time.time_ns(), kept.checked if asked is None else asked))
        except FileNotFoundError:
            return False
        except OSError as exc:
            raise local_error(exc, kept.path, "using the cache") from exc
        return True

    def read(self, kept: KeptObject, asked: int | None = None) -> bytes | None:
        """Return the bytes of a copy, and store the time of use; `None`: it was removed, or has a wrong length."""
        try:
            with open(kept.path, "rb", buffering=0) as file:
                data = file.read()
        except FileNotFoundError:
            return None
        except OSError as exc:
            raise local_error(exc, kept.path, "reading the cache") from exc
        if len(data) != kept.size:
            return None
        self.use(kept, asked)
        return data

    def forget(self, url: str) -> None:
        """Remove all copies of an object, because the provider does not have it any more."""
        for kept in _copies(self._place(url)):
            remove(kept.path)

    def keep(self, url: str, etag: str, data: bytes, asked: int) -> Generator[None, None, None]:
        """Add a copy; a generator for `in_steps`, because it may wait for other processes.

        Args:
            url: The object.
            etag: The etag of its version; `accepts` has returned `True` for it.
            data: The object's bytes.
            asked: When the provider was asked for the bytes.

        Raises:
            LocalFileError: The copy cannot be written.
        """
        with local_errors(self._path("incoming")), StagedBytes(self._path("incoming"), data) as staged:
            yield from self.publish(staged, url, etag, len(data), asked)

    def fetch(self, url: str) -> Fetch:
        """Return the `Fetch` with which an object is downloaded into the cache."""
        return Fetch(self._path("incoming"), _digits(url))

    def sweep(self) -> None:
        """Remove the unfinished files that killed processes left behind."""
        sweep(self._path("incoming"))

    def publish(self, staged: str, url: str, etag: str, size: int, asked: int) -> Generator[None, None, str]:
        """Make room, rename a staged file to its name in the cache, and return its path. A generator for `in_steps`."""
        target = os.path.join(self._place(url), f"{size}-{etag.encode().hex()}{suffix_of(url)}")
        with local_errors(target):
            lock = os.open(self._path("total"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                yield from acquire(lock)
                total = _read_total(lock)
                if total is None or total + size > self.max_bytes:
                    total = yield from self._make_room(size)
                # Written before the rename, so that the total is too large, not too small, if this process is killed
                # in between. The next scan corrects the total.
                os.pwrite(lock, b"%*d" % (_TOTAL, total + size), 0)
                os.ftruncate(lock, _TOTAL)
                os.makedirs(os.path.dirname(target), mode=0o700, exist_ok=True)
                os.utime(staged, ns=(time.time_ns(), asked))
                os.replace(staged, target)
                with suppress(FileNotFoundError):  # another process may remove the copy of a deleted object
                    os.chmod(target, _READ_ONLY)  # not earlier, because `sweep` must be able to open staged files
            finally:
                unlock(lock)
        return target

    def _make_room(self, size: int) -> Generator[None, None, int]:
        """Count the copies, and remove the least recently used ones if there is no room; return the remaining bytes."""
        copies: list[KeptObject] = []
        objects = self._path("objects")
        for shard in _names(objects):
            for name in _names(os.path.join(objects, shard)):
                copies += _copies(os.path.join(objects, shard, name))
            yield  # so that a scan of many copies can be cancelled
        copies.sort(key=lambda kept: kept.used)
        total = sum(kept.size for kept in copies)
        if total + size <= self.max_bytes:
            return total
        goal = min(self.max_bytes - size, self.max_bytes - self.max_bytes // 10)  # so that few additions need a scan
        for kept in copies:
            if total <= goal:
                break
            remove(kept.path)
            total -= kept.size
            with suppress(OSError):  # not empty, because there is another version
                os.rmdir(os.path.dirname(kept.path))
        return total

    def _place(self, url: str) -> str:
        """Return the directory of an object's copies."""
        digits = _digits(url)
        return self._path("objects", digits[:2], digits[2:])

    def _path(self, *names: str) -> str:
        return os.path.join(self.directory, *names)


def suffix_of(url: str) -> str:
    """Return the last suffix of a URL's name, or the last two, such as `.csv.gz`; empty: there is no usual suffix."""
    found = _SUFFIX.search(url)
    return found[0] if found else ""


def _digits(url: str) -> str:
    return hashlib.sha256(url.encode(errors="surrogatepass")).hexdigest()


def _copies(place: str) -> Iterator[KeptObject]:
    """Yield each copy in a directory; remove copies whose length is wrong."""
    try:
        with os.scandir(place) as entries:
            for entry in entries:
                size, _, rest = entry.name.partition("-")
                etag, _, _ = rest.partition(".")
                try:
                    status = entry.stat(follow_symlinks=False)
                    kept = KeptObject(
                        entry.path, bytes.fromhex(etag).decode(), int(size), status.st_mtime_ns, status.st_atime_ns
                    )
                except (FileNotFoundError, ValueError):  # just removed, or not one of our files
                    continue
                if stat.S_ISREG(status.st_mode) and status.st_size == kept.size:
                    yield kept
                else:
                    remove(entry.path)
    except (FileNotFoundError, NotADirectoryError):
        return
    except OSError as exc:
        raise local_error(exc, place, "reading the cache") from exc


def _names(directory: str) -> list[str]:
    try:
        return os.listdir(directory)
    except (FileNotFoundError, NotADirectoryError):
        return []


def _read_total(lock: int) -> int | None:
    """Return the stored total; `None`: the file is new or damaged, so the copies must be counted."""
    stored = os.pread(lock, _TOTAL + 1, 0)
    return int(stored) if len(stored) == _TOTAL and stored.strip().isdigit() else None
