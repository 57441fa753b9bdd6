"""Makes the servers' data: small objects, big ones, directories, and the pages of a listing."""

from __future__ import annotations

import hashlib
import random
import re
from pathlib import Path

from benchmarks.harness.task import MiB

PAGE = 1_000
_SIZE = 16_384
_CHUNK = re.compile(rb"([0-9a-f]+)(?:;[^\r\n]*)?\r\n")
_HEAD = (
    '<?xml version="1.0" encoding="UTF-8"?>\n<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
    "<Name>{bucket}</Name><Prefix></Prefix>{token}{following}<KeyCount>{count}</KeyCount><MaxKeys>1000</MaxKeys>"
    "<EncodingType>url</EncodingType><IsTruncated>{truncated}</IsTruncated>"
)
_ENTRY = (
    "<Contents><Key>{key}</Key><LastModified>2026-0{month}-1{day}T08:{minute:02}:{second:02}.000Z</LastModified>"
    "<ETag>&quot;{etag}&quot;</ETag><Size>{size}</Size><StorageClass>STANDARD</StorageClass></Contents>"
)


def write_big(path: Path, size: int) -> None:
    """Write a file of random bytes in which all MiB differ, so that a wrong order of parts is found."""
    noise = random.Random(size).randbytes(MiB)
    with path.open("wb") as file:
        for number in range(-(-size // MiB)):
            file.write((number.to_bytes(8, "big") + noise[8:])[: size - number * MiB])


def write_sparse(path: Path, size: int) -> None:
    """Make a file of zeros that uses no disk space."""
    with path.open("wb") as file:
        file.truncate(size)


def write_small(bucket: Path, prefix: str, size: int, count: int) -> None:
    """Write `<prefix>0`, `<prefix>1`, … below a bucket."""
    Path(f"{bucket}/{prefix}0").parent.mkdir(parents=True, exist_ok=True)
    for number in range(count):
        Path(f"{bucket}/{prefix}{number}").write_bytes(random.Random(number).randbytes(size))


def write_tree(directory: Path, count: int, size: int) -> None:
    """Write files into subdirectories of 100."""
    for number in range(count):
        path = directory / f"shard-{number // 100:03}" / f"sample-{number:05}.bin"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(random.Random(number).randbytes(size))


def write_pages(directory: Path, bucket: str, pages: int) -> tuple[int, int]:
    """Write a listing as `page000.xml`, `page001.xml`, …; give the number of keys and the sum of their sizes."""
    for page in range(pages):
        last = page == pages - 1
        entries = (_entry(page * PAGE + number) for number in range(PAGE))
        head = _HEAD.format(
            bucket=bucket,
            token=f"<ContinuationToken>page{page:03}</ContinuationToken>" if page else "",
            following="" if last else f"<NextContinuationToken>page{page + 1:03}</NextContinuationToken>",
            count=PAGE,
            truncated=str(not last).lower(),
        )
        (directory / f"page{page:03}.xml").write_text(f"{head}{''.join(entries)}</ListBucketResult>")
    return pages * PAGE, sum(_SIZE + number for number in range(pages * PAGE))


def _entry(number: int) -> str:
    return _ENTRY.format(
        key=f"datasets/imagenet/train/shard-{number // 500:05}/sample-{number:09}.tar",
        month=1 + number % 9,
        day=number % 10,
        minute=number % 60,
        second=number // 60 % 60,
        etag=hashlib.md5(str(number).encode(), usedforsecurity=False).hexdigest(),
        size=_SIZE + number,
    )


def digest(path: Path) -> str:
    """Give the checksum of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def stored_digest(paths: list[Path]) -> str:
    """Give the checksum of the stored bodies, one after the other."""
    return hashlib.sha256(b"".join(_payload(path.read_bytes()) for path in paths)).hexdigest()


def _payload(body: bytes) -> bytes:
    """Remove `aws-chunked`, which aiobotocore uses for parts over TLS; a file of `write_big` begins differently."""
    if not (first := _CHUNK.match(body)):
        return body
    pieces = []
    while size := int(first[1], 16):
        pieces.append(body[first.end() : first.end() + size])
        first = _CHUNK.match(body, first.end() + size + len(b"\r\n"))
        assert first is not None
    return b"".join(pieces)


def tree_digest(directory: Path) -> str:
    """Give a checksum of the names and contents of all files below a directory."""
    total = hashlib.sha256()
    for path in sorted(path for path in directory.rglob("*") if path.is_file()):
        total.update(f"{path.relative_to(directory)}\0{digest(path)}\n".encode())
    return total.hexdigest()


def parts(bucket: Path, key: str) -> list[Path]:
    """Give the files of an upload to the limit server's `check` bucket, in the order of their numbers."""
    if (bucket / key).exists():
        return [bucket / key]
    found = bucket.glob(f"{key}.part-*")
    return sorted(found, key=lambda path: int(path.name.rpartition("-")[2]))
