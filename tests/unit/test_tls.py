"""TLS without sockets: which sessions are resumed, and when a certificate is verified."""

from __future__ import annotations

import asyncio
import ssl
from pathlib import Path

import pytest

from bucketry._wire.connect import tls_context
from bucketry._wire.tls import Rounds, TlsClient, TlsEngine
from tests.wire.certificates import certificate

HOST = "127.0.0.1"


def connect(client: TlsClient, server: ssl.SSLContext) -> tuple[TlsEngine, ssl.SSLObject]:
    """Make a handshake in memory, and receive one response."""
    engine = client.engine()
    peer = server.wrap_bio(engine.outgoing, engine.incoming, server_side=True)
    complete = False
    while not complete:
        complete = engine.handshake()
        try:
            peer.do_handshake()
        except ssl.SSLWantReadError:
            continue
    peer.write(b"a response")
    assert engine.tls.read(100) == b"a response"
    engine.keep_session()
    return engine, peer


@pytest.fixture(scope="module")
def trusted(tmp_path_factory: pytest.TempPathFactory) -> tuple[ssl.SSLContext, str]:
    """Make a certificate for the loopback."""
    return certificate(tmp_path_factory.mktemp("certificates"))


class TestSessions:
    """Sessions that are kept and resumed."""

    def test_the_second_connection_resumes(self, trusted: tuple[ssl.SSLContext, str]) -> None:
        """Every connection after the first one resumes the session of the first one."""
        context, pem = trusted
        client = TlsClient(tls_context(pem), HOST)
        assert [connect(client, context)[1].session_reused for _ in range(4)] == [False, True, True, True]

    def test_versions_before_1_3(self, trusted: tuple[ssl.SSLContext, str], tmp_path: Path) -> None:
        """A session of TLS 1.2 is resumed, too."""
        context, pem = certificate(tmp_path)
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        client = TlsClient(tls_context(pem), HOST)
        assert [connect(client, context)[1].session_reused for _ in range(2)] == [False, True]

    def test_a_server_that_forgot(self, trusted: tuple[ssl.SSLContext, str], tmp_path: Path) -> None:
        """If the server does not know the session, the handshake is a full one, and verifies the certificate."""
        context, pem = trusted
        restarted = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        restarted.load_cert_chain(pem, pem.removesuffix("pem") + "key")
        client = TlsClient(tls_context(pem), HOST)
        connect(client, context)
        assert not connect(client, restarted)[1].session_reused
        with pytest.raises(ssl.SSLCertVerificationError):
            connect(client, certificate(tmp_path)[0])

    def test_an_old_session(self, trusted: tuple[ssl.SSLContext, str]) -> None:
        """An old session is not resumed, so that the certificate is verified again."""
        context, pem = trusted
        client = TlsClient(tls_context(pem), HOST, session_age=0)
        assert [connect(client, context)[1].session_reused for _ in range(2)] == [False, False]

    def test_a_resumed_connection_does_not_prolong_the_session(self, trusted: tuple[ssl.SSLContext, str]) -> None:
        """The session of a resumed connection is not kept, because its handshake verified no certificate."""
        context, pem = trusted
        client = TlsClient(tls_context(pem), HOST)
        connect(client, context)
        kept = client._kept
        assert kept is not None
        assert connect(client, context)[1].session_reused
        assert client._kept is kept

    def test_another_host(self, trusted: tuple[ssl.SSLContext, str]) -> None:
        """A session of one host is of no use for another host with the same context."""
        context, pem = trusted
        ours = tls_context(pem)
        connect(TlsClient(ours, HOST), context)
        with pytest.raises(ssl.SSLCertVerificationError, match="not valid for"):
            connect(TlsClient(ours, "other.example"), context)

    def test_a_server_without_tickets(self, tmp_path: Path) -> None:
        """If the server sends no ticket, each handshake is a full one."""
        context, pem = certificate(tmp_path)
        context.num_tickets = 0
        client = TlsClient(tls_context(pem), HOST)
        assert [connect(client, context)[1].session_reused for _ in range(2)] == [False, False]


async def test_one_function_each_round() -> None:
    """Functions run one after the other, each in a round of the loop of its own, in their order."""
    rounds, ran = Rounds(), list[int]()
    for number in range(3):
        rounds.add(lambda number=number: ran.append(number))  # type: ignore[misc]  # the default is a number
    seen = []
    for _ in range(4):
        await asyncio.sleep(0)
        seen.append([*ran])
    assert seen == [[0], [0, 1], [0, 1, 2], [0, 1, 2]]
    rounds.add(lambda: ran.append(3))
    await asyncio.sleep(0)
    assert ran == [0, 1, 2, 3]


class TestContext:
    """The TLS context, which all pools of the process share."""

    def test_the_file_is_read_once(self, trusted: tuple[ssl.SSLContext, str]) -> None:
        """While a file does not change, every call returns the same context, also for the system's authorities."""
        _, pem = trusted
        assert tls_context(pem) is tls_context(pem)
        assert tls_context(None) is tls_context(None)
        assert tls_context(pem) is not tls_context(None)

    def test_a_changed_file_is_read_again(self, tmp_path: Path) -> None:
        """When the file has other authorities, the next pool trusts them."""
        first = certificate(tmp_path)[1]
        old = tls_context(first)
        (tmp_path / "other").mkdir()
        context, second = certificate(tmp_path / "other")
        Path(first).write_bytes(Path(second).read_bytes())
        assert tls_context(first) is not old
        connect(TlsClient(tls_context(first), HOST), context)
