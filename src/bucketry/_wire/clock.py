"""The time that requests are signed with."""

from __future__ import annotations

import time

MAX_SKEW = 900.0  # seconds: https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html, RequestTimeTooSkewed


class Clock:
    """This machine's clock, corrected after a server refused its time; all signatures for the endpoint use it."""

    def __init__(self) -> None:
        """Begin without a correction."""
        self.ahead = 0.0

    def now(self) -> float:
        """Give the seconds since 1970 to sign with."""
        return time.time() + self.ahead

    def is_off(self, server: float) -> bool:
        """Tell whether a server with this time refuses a signature made now."""
        return abs(self.now() - server) > MAX_SKEW

    def follow(self, server: float) -> None:
        """Sign by the server's clock from now on."""
        self.ahead = server - time.time()
