"""The clock for the time in signatures."""

from __future__ import annotations

import time

MAX_SKEW = 900.0  # seconds: https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html, RequestTimeTooSkewed


class Clock:
    """This machine's clock, corrected by the server's clock after a server refused the time of a signature.

    All signatures for an endpoint use the same `Clock`.
    """

    def __init__(self) -> None:
        """Begin without a correction."""
        self.offset = 0.0

    def now(self) -> float:
        """Return the time for a signature, in seconds since 1970."""
        return time.time() + self.offset

    def is_off(self, server: float) -> bool:
        """Return whether a server whose clock shows `server` refuses a signature made now."""
        return abs(self.now() - server) > MAX_SKEW

    def set_from(self, server: float) -> None:
        """Correct this clock, so that it shows the server's time from now on."""
        self.offset = server - time.time()
