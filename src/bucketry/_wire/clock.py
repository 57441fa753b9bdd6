"""The time that requests are signed with."""

from __future__ import annotations

import time

MAX_SKEW = 900.0  # seconds: https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html, RequestTimeTooSkewed


class Clock:
    """This machine's clock, corrected by a server that refused it; every signature for the endpoint uses it."""

    def __init__(self) -> None:
        """Begin with this machine's clock as it is."""
        self.ahead = 0.0

    def now(self) -> float:
        """Give the seconds since 1970 to sign with."""
        return time.time() + self.ahead

    def is_off(self, server: float) -> bool:
        """Tell whether a server with this time refuses what is signed now."""
        return abs(self.now() - server) > MAX_SKEW

    def follow(self, server: float) -> None:
        """Sign by the server's clock from now on."""
        self.ahead = server - time.time()
