"""The embedded S3 server of `bucketry.testing`."""

from __future__ import annotations

from contextlib import closing
from http.client import HTTPConnection
from urllib.parse import urlsplit

import pytest

from bucketry import S3Provider
from bucketry.testing import _OneServer, embedded_s3


def test_a_header_is_sent_once() -> None:
    """Every answer has one `Server` header, because strict clients refuse two."""
    with embedded_s3("once") as server, closing(HTTPConnection(urlsplit(server.endpoint_url).netloc)) as connection:
        for path, status in (("/once", 200), ("/once/missing", 404)):
            connection.request("GET", path)
            with connection.getresponse() as answer:
                answer.read()
                assert answer.status == status
                assert len(answer.headers.get_all("Server", [])) == 1


async def test_each_server_begins_empty() -> None:
    """A server's objects are gone at its end, also for the next server in the same process."""
    for _ in range(2):
        with embedded_s3("again") as server:
            provider = S3Provider(server.config)
            assert await provider.list_files() == []
            await provider.put("left", b"behind")
            await provider.disconnect()


@pytest.mark.parametrize(
    ("method", "header", "alone"),
    [
        ("PUT", "HTTP_IF_NONE_MATCH", True),
        ("POST", "HTTP_IF_MATCH", True),
        ("PUT", "HTTP_RANGE", False),
        ("GET", "HTTP_IF_MATCH", False),
    ],
)
def test_conditional_writes_are_answered_one_after_the_other(method: str, header: str, alone: bool) -> None:
    """A conditional write is answered while no other one is; all other requests do not wait."""
    seen: list[bool] = []

    def app(_environ: object, _start: object) -> list[bytes]:
        seen.append(server._writing.locked())
        return [b""]

    server = _OneServer(app)
    assert list(server({"REQUEST_METHOD": method, header: "*"}, print)) == [b""]
    assert seen == [alone]
    assert not server._writing.locked()
