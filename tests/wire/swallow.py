"""A fast server that stores no bytes, run as a process: gives objects of zeros and long listings, drops uploads.

`GET /bucket/zeros-<size>` gives so many zeros, or a range of them. Uploaded bytes are counted and dropped.
`?list-type=2&prefix=keys-<count>/` lists so many keys, 1,000 a page. It uses only the standard library, so that it
starts at once. Signatures are not checked.
"""

from __future__ import annotations

import contextlib
import os
import re
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import parse_qs, unquote, urlsplit

ETAG = '"0123456789abcdef0123456789abcdef"'
CHUNK = 4 << 20
PAGE = 1000
_MODIFIED = "Wed, 21 Oct 2026 07:28:00 GMT"


class Store:
    """The uploaded objects: sizes and metadata only."""

    def __init__(self) -> None:
        self.sizes: dict[str, int] = {}
        self.parts: dict[str, int] = {}
        self.marks: dict[str, dict[str, str]] = {}
        self.lock = threading.Lock()
        self.zeros = tempfile.TemporaryFile()  # noqa: SIM115 - open until the process ends
        os.truncate(self.zeros.fileno(), CHUNK)

    def size(self, key: str) -> int | None:
        """Give an object's size; `None`: there is none."""
        found = re.fullmatch(r"zeros-([0-9]+)", key)
        return int(found[1]) if found else self.sizes.get(key)


class Serving(threading.Thread):
    """One connection."""

    def __init__(self, store: Store, connected: socket.socket, tls: ssl.SSLContext | None) -> None:
        super().__init__(daemon=True)
        self._store = store
        self._tls = tls
        self._socket = connected
        self._buffer = memoryview(bytearray(CHUNK))
        self._rest = b""

    def run(self) -> None:
        """Serve until the client closes the connection."""
        with contextlib.suppress(OSError, ValueError), self._socket:
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self._tls is not None:
                self._socket = self._tls.wrap_socket(self._socket, server_side=True)
            while self._serve():
                pass

    def _serve(self) -> bool:
        head = self._rest
        while b"\r\n\r\n" not in head:
            more = self._socket.recv(65536)
            if not more:
                return False
            head += more
        head, _, self._rest = head.partition(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").split("\r\n")
        method, target, _ = first.split(" ")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        parts = urlsplit(target)
        key = unquote(parts.path).removeprefix("/").partition("/")[2]
        query = {name: values[0] for name, values in parse_qs(parts.query, keep_blank_values=True).items()}
        length = int(headers.get("content-length", "0"))
        body = self._take(length, keep=method == "POST")
        getattr(self, f"answer_{method.lower()}")(key, query, headers, length, body)
        return True

    def _take(self, length: int, *, keep: bool) -> bytes:
        if keep:
            while len(self._rest) < length:
                self._rest += self._socket.recv(65536)
            body, self._rest = self._rest[:length], self._rest[length:]
            return body
        left = length - len(self._rest)
        self._rest = self._rest[length:] if left < 0 else b""
        # The kernel drops the bytes without copying them.
        flags = 0 if self._tls is not None or not hasattr(socket, "MSG_TRUNC") else socket.MSG_TRUNC
        while left > 0:
            taken = self._socket.recv_into(self._buffer, min(left, CHUNK), flags)
            if not taken:
                raise ValueError("the client has gone")
            left -= taken
        return b""

    def _answer(self, status: int, body: bytes = b"", headers: dict[str, str] | None = None, size: int = -1) -> None:
        lines = [f"HTTP/1.1 {status} X", f"Content-Length: {len(body) if size < 0 else size}"]
        lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
        self._socket.sendall("\r\n".join([*lines, "", ""]).encode() + body)

    def answer_put(self, key: str, query: dict[str, str], headers: dict[str, str], length: int, _: bytes) -> None:
        """Count the uploaded bytes."""
        marks = {name: value for name, value in headers.items() if name.startswith("x-amz-meta-")}
        with self._store.lock:
            if "uploadId" in query:
                self._store.parts[key] = self._store.parts.get(key, 0) + length
            else:
                self._store.sizes[key], self._store.marks[key] = length, marks
        self._answer(200, b"", {"ETag": ETAG})

    def answer_post(self, key: str, query: dict[str, str], headers: dict[str, str], _length: int, body: bytes) -> None:
        """Open or complete an upload, or delete many."""
        if "uploads" in query:
            marks = {name: value for name, value in headers.items() if name.startswith("x-amz-meta-")}
            with self._store.lock:
                self._store.parts[key], self._store.marks[key] = 0, marks
            answer = "<InitiateMultipartUploadResult><UploadId>u1</UploadId></InitiateMultipartUploadResult>"
        elif "uploadId" in query:
            with self._store.lock:
                self._store.sizes[key] = self._store.parts.pop(key, 0)
            answer = f"<CompleteMultipartUploadResult><ETag>{ETAG}</ETag></CompleteMultipartUploadResult>"
        else:
            deleted = re.findall(r"<Key>[^<]*</Key>", body.decode())
            answer = f"<DeleteResult>{''.join(f'<Deleted>{name}</Deleted>' for name in deleted)}</DeleteResult>"
        self._answer(200, answer.encode())

    def answer_delete(self, key: str, *_: object) -> None:
        """Remove the object."""
        with self._store.lock:
            self._store.sizes.pop(key, None)
        self._answer(204)

    def answer_head(self, key: str, _query: dict[str, str], _headers: dict[str, str], *_: object) -> None:
        """Answer a HEAD."""
        size = self._store.size(key)
        if key and size is None:
            self._answer(404)
            return
        headers = {"ETag": ETAG, "Last-Modified": _MODIFIED, **self._store.marks.get(key, {})}
        self._answer(200, b"", headers, size or 0)

    def answer_get(self, key: str, query: dict[str, str], headers: dict[str, str], *_: object) -> None:
        """Give zeros, or a page of a listing."""
        if not key:
            self._answer(200, page(query) if "list-type" in query else b"<ListMultipartUploadsResult/>")
            return
        size = self._store.size(key)
        if size is None:
            self._answer(404, b"<Error><Code>NoSuchKey</Code></Error>")
            return
        start, end, status = 0, size, 200
        more = {"ETag": ETAG, "Last-Modified": _MODIFIED}
        if found := re.fullmatch(r"bytes=([0-9]+)-([0-9]+)", headers.get("range", "")):
            start, end, status = int(found[1]), min(int(found[2]) + 1, size), 206
            more["Content-Range"] = f"bytes {start}-{end - 1}/{size}"
        self._answer(status, b"", more, end - start)
        left = end - start
        while left > 0:
            count = min(left, CHUNK)
            if self._tls is None:
                left -= os.sendfile(self._socket.fileno(), self._store.zeros.fileno(), 0, count)
            else:
                left -= self._socket.send(self._buffer[: min(count, 1 << 18)])


def page(query: dict[str, str]) -> bytes:
    """Give a page of a listing."""
    found = re.match(r"keys-([0-9]+)/", query.get("prefix", ""))
    count, start = int(found[1]) if found else 0, int(query.get("continuation-token", "0"))
    end = min(start + PAGE, count)
    entries = "".join(
        f"<Contents><Key>keys-{count}/some/directories/on/the/way/{number:08}.parquet</Key>"
        f"<LastModified>2026-10-21T07:28:00.000Z</LastModified><ETag>&quot;{number:032x}&quot;</ETag>"
        f"<Size>{number}</Size><StorageClass>STANDARD</StorageClass></Contents>"
        for number in range(start, end)
    )
    more = f"<NextContinuationToken>{end}</NextContinuationToken>" if end < count else ""
    return (
        '<?xml version="1.0"?><ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
        f"<EncodingType>url</EncodingType><IsTruncated>{'true' if more else 'false'}</IsTruncated>{more}{entries}"
        "</ListBucketResult>"
    ).encode()


def main(certificate: str = "", key: str = "") -> None:
    """Print a free port, and serve on it until standard input ends."""
    tls = None
    if certificate:
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(certificate, key)
    store = Store()
    listening = socket.create_server(("127.0.0.1", 0), backlog=512)
    threading.Thread(target=lambda: (sys.stdin.read(), os._exit(0)), daemon=True).start()
    print(listening.getsockname()[1], flush=True)  # noqa: T201 - the parent reads it
    while True:
        connected, _ = listening.accept()
        Serving(store, connected, tls).start()


@contextmanager
def swallow(*arguments: str) -> Iterator[int]:
    """Run it as a process, and give its port.

    Args:
        arguments: A certificate and its key; none: plain HTTP.
    """
    command = [sys.executable, "-I", __file__, *arguments]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        yield int(process.stdout.readline())
    finally:
        process.stdin.close()
        process.stdout.close()
        process.wait(10)


if __name__ == "__main__":
    main(*sys.argv[1:])
