"""A small S3 server that verifies one kind of checksum of each body, that of a vendor's row.

The other test servers do not do this: moto verifies no checksum of a body, and `rclone serve s3`
verifies only `Content-MD5`, neither `x-amz-checksum-crc32` nor `x-amz-content-sha256`.
"""

from __future__ import annotations

import base64
import hashlib
import itertools
import zlib
from collections.abc import Callable, Mapping
from types import MappingProxyType
from urllib.parse import parse_qs

from bucketry._core.capabilities import Capabilities
from tests.wire.scripted import Answer, Request, completed, content, created, error


def _base64(digest: bytes) -> str:
    return base64.b64encode(digest).decode()


_PROOFS: Mapping[str, tuple[str, Callable[[bytes], str], str]] = MappingProxyType(
    {
        "md5": ("content-md5", lambda data: _base64(hashlib.md5(data, usedforsecurity=False).digest()), "BadDigest"),
        "crc32": ("x-amz-checksum-crc32", lambda data: _base64(zlib.crc32(data).to_bytes(4)), "BadDigest"),
        "sha256": (
            "x-amz-content-sha256",
            lambda data: hashlib.sha256(data).hexdigest(),
            "XAmzContentSHA256Mismatch",
        ),
    }
)
"""By its name in a row: the header, what it must be, and the code of the refusal."""
_NO_HASH = ("UNSIGNED-PAYLOAD", "STREAMING-")  # other values of x-amz-content-sha256


class Bucket:
    """A bucket in memory.

    Attributes:
        objects: What is stored.
        uploads: Parts by number, of each upload that is open.
        proofs: For each received body, the kind of checksum that was verified; `None`: it had none.
    """

    def __init__(self, row: Capabilities) -> None:
        self._row = row
        self._metadata: dict[str, dict[str, str]] = {}
        self._numbers = itertools.count()
        self.objects: dict[str, bytes] = {}
        self.uploads: dict[str, dict[int, bytes]] = {}
        self.proofs: list[str | None] = []

    def answer(self, key: str, request: Request) -> Answer:
        """Handle a request."""
        query = parse_qs(request.query, keep_blank_values=True)
        upload = query.get("uploadId", [""])[0]
        match request.method:
            case "PUT" if upload:
                found = self._put_part(upload, int(query["partNumber"][0]), request)
            case "PUT":
                found = self._put(key, request)
            case "POST" if upload:
                found = self._complete(key, upload)
            case "POST":
                found = self._create(key, request)
            case "DELETE":
                self.uploads.pop(upload, None)
                found = Answer(204)
            case _ if "uploads" in query:
                found = self._list()
            case _:
                found = self._get(key, request)
        return found

    def _get(self, key: str, request: Request) -> Answer:
        if key not in self.objects:
            return error("NoSuchKey", 404)
        data = self.objects[key]
        return content(data, request, _etag(data), **self._metadata[key])

    def _put(self, key: str, request: Request) -> Answer:
        if refused := self._verify(self._row.put_checksum, request):
            return refused
        self.objects[key] = request.body
        self._metadata[key] = _metadata(request)
        return Answer(200, b"", {"ETag": _etag(request.body)})

    def _create(self, key: str, request: Request) -> Answer:
        self._metadata[key] = _metadata(request)
        upload = f"upload-{next(self._numbers)}"
        self.uploads[upload] = {}
        return created(upload)

    def _put_part(self, upload: str, number: int, request: Request) -> Answer:
        if refused := self._verify(self._row.multipart_checksum, request):
            return refused
        self.uploads[upload][number] = request.body
        return Answer(200, b"", {"ETag": _etag(request.body)})

    def _complete(self, key: str, upload: str) -> Answer:
        parts = self.uploads.pop(upload)
        self.objects[key] = b"".join(parts[number] for number in sorted(parts))
        return completed(_etag(self.objects[key]))

    def _list(self) -> Answer:
        """List the open uploads; each bucket has uploads of only one key."""
        entries = [f"<Upload><Key>key</Key><UploadId>{upload}</UploadId></Upload>" for upload in self.uploads]
        inside = f"<Bucket>bucket</Bucket><IsTruncated>false</IsTruncated>{''.join(entries)}"
        return Answer(200, f"<ListMultipartUploadsResult>{inside}</ListMultipartUploadsResult>".encode())

    def _verify(self, proof: str | None, request: Request) -> Answer | None:
        """Verify the vendor's checksum if the request has it, and no other checksum."""
        header, expected, code = _PROOFS[proof or ""]
        found = request.headers.get(header, "")
        came = bool(found) and not found.startswith(_NO_HASH)
        self.proofs.append(proof if came else None)
        return error(code, 400) if came and found != expected(request.body) else None


class Buckets:
    """The server's request handler, with a bucket for each test."""

    def __init__(self) -> None:
        self._buckets: dict[str, Bucket] = {}

    def new(self, row: Capabilities) -> tuple[str, Bucket]:
        """Make an empty bucket that verifies the row's checksum, and give the bucket and its name."""
        name = f"bucket-{len(self._buckets)}"
        self._buckets[name] = Bucket(row)
        return name, self._buckets[name]

    def __call__(self, request: Request) -> Answer:
        """Let the bucket in the path handle the request."""
        name, _, key = request.path.lstrip("/").partition("/")
        return self._buckets[name].answer(key, request)


def _etag(data: bytes) -> str:
    return f'"{hashlib.md5(data, usedforsecurity=False).hexdigest()}"'


def _metadata(request: Request) -> dict[str, str]:
    return {name: value for name, value in request.headers.items() if name.startswith("x-amz-meta-")}
