"""The measurement of a connection's idle time."""

from __future__ import annotations

from bucketry._wire.pool import IdleTimer


def test_a_silence_is_as_long_as_it_lasts() -> None:
    """A request to a server that never answers ends after one read timeout; if bytes move, it continues."""
    silent, moving = IdleTimer(), IdleTimer()
    counts = iter(range(100))
    for now in (1.0, 6.0, 9.0):
        assert silent.seconds(0.5, now, 10.0, lambda: 7) <= 10.0
        assert moving.seconds(0.5, now, 10.0, lambda: next(counts)) <= 10.0
    assert silent.seconds(0.5, 11.0, 10.0, lambda: 7) > 10.0
    assert moving.seconds(0.5, 11.0, 10.0, lambda: next(counts)) == 0.0
