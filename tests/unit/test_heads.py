"""Heads of signed requests are the same, whether a template is new or was kept."""

from __future__ import annotations

import pytest

from bucketry._wire.errors import WireError
from bucketry._wire.heads import SignedHeads
from bucketry._wire.sigv4 import EMPTY_SHA256, UNSIGNED_PAYLOAD, Credentials, Signer

PERSON = Credentials("AKID", "secret", "token")
OTHER = Credentials("AKID", "secret", "another token")
CALLS = [
    (PERSON, 10.0, "h", "GET", "/b/k", "", {"range": "bytes=0-9"}, EMPTY_SHA256, 0),
    (PERSON, 10.9, "h", "GET", "/b/l", "", {"range": "bytes=0-9"}, EMPTY_SHA256, 0),
    (PERSON, 10.9, "h", "GET", "/b/k", "a=b", {"range": "bytes=0-9"}, EMPTY_SHA256, 0),
    (PERSON, 11.0, "h", "GET", "/b/k", "", {"range": "bytes=0-9"}, EMPTY_SHA256, 0),
    (PERSON, 11.0, "h", "GET", "/b/k", "", {"range": "bytes=1-9"}, EMPTY_SHA256, 0),
    (PERSON, 11.0, "i", "GET", "/b/k", "", {"range": "bytes=1-9"}, EMPTY_SHA256, 0),
    (OTHER, 11.0, "i", "GET", "/b/k", "", {"range": "bytes=1-9"}, EMPTY_SHA256, 0),
    (OTHER, 11.0, "i", "PUT", "/b/k", "", {}, UNSIGNED_PAYLOAD, 0),
    (OTHER, 11.0, "i", "PUT", "/b/k", "", {}, UNSIGNED_PAYLOAD, 7),
    (OTHER, 11.0, "i", "DELETE", "/b/k", "", {}, EMPTY_SHA256, 0),
    (None, 11.0, "i", "GET", "/b/k", "", {}, EMPTY_SHA256, 0),
    (None, 11.0, "i", "PUT", "/b/k", "", {"a": "b"}, EMPTY_SHA256, 3),
    (PERSON, 10.0, "h", "GET", "/b/k", "", {"range": "bytes=0-9"}, EMPTY_SHA256, 0),
]


def test_a_kept_template_changes_nothing() -> None:
    """One object that makes many heads makes the same heads as a new object for each of them."""
    shared = SignedHeads(Signer("r"))
    for _ in range(2):
        assert [shared.head(*call) for call in CALLS] == [SignedHeads(Signer("r")).head(*call) for call in CALLS]


def test_the_head() -> None:
    """A head has the request line, all headers once, and the length of a body."""
    head = SignedHeads(Signer("r")).head(PERSON, 0, "h", "PUT", "/b/k", "a=b", {"x": "y"}, UNSIGNED_PAYLOAD, 5)
    first, *lines = head.decode().removesuffix("\r\n\r\n").split("\r\n")
    assert first == "PUT /b/k?a=b HTTP/1.1"
    sent = dict(line.split(": ", 1) for line in lines)
    assert len(sent) == len(lines)
    authorization = sent.pop("authorization")
    assert sent == {
        "content-length": "5",
        "host": "h",
        "user-agent": "bucketry",
        "x": "y",
        "x-amz-content-sha256": UNSIGNED_PAYLOAD,
        "x-amz-date": "19700101T000000Z",
        "x-amz-security-token": "token",
    }
    assert "SignedHeaders=host;x;x-amz-content-sha256;x-amz-date;x-amz-security-token, Signature=" in authorization


def test_an_anonymous_request() -> None:
    """Without credentials, nothing is signed."""
    head = SignedHeads(Signer("r")).head(None, 0, "h", "GET", "/b/k", "", {}, EMPTY_SHA256, 0)
    assert head == b"GET /b/k HTTP/1.1\r\nhost: h\r\nuser-agent: bucketry\r\n\r\n"


def test_few_templates_are_kept() -> None:
    """Requests that all have other headers fill no memory."""
    heads = SignedHeads(Signer("r"))
    for start in range(1_000):
        heads.head(PERSON, 0, "h", "GET", "/b/k", "", {"range": f"bytes={start}-"}, EMPTY_SHA256, 0)
        assert len(heads._kept[2]) <= 64


@pytest.mark.parametrize("wrong", ["a\r\nb: c", "a\nb", "a\0b"])
def test_a_refused_header_stays_refused(wrong: str) -> None:
    """A header that HTTP does not allow is refused each time."""
    heads = SignedHeads(Signer("r"))
    for _ in range(2):
        with pytest.raises(WireError):
            heads.head(Credentials("AKID", "secret", wrong), 0, "h", "GET", "/", "", {}, EMPTY_SHA256, 0)
        with pytest.raises(WireError):
            heads.head(Credentials(wrong, "secret"), 0, "h", "GET", "/", "", {}, EMPTY_SHA256, 0)


def test_secrets_show_nowhere() -> None:
    """What is kept shows neither secret nor token."""
    heads = SignedHeads(Signer("r"))
    shown = repr(heads.head(PERSON, 0, "h", "GET", "/", "", {}, EMPTY_SHA256, 0)) + repr(vars(heads))
    assert "token" not in shown.replace("token=None", "")
    assert "secret" not in shown
