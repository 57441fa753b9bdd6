"""One embedded S3 server for the tests of this folder."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from bucketry.testing import EmbeddedS3, embedded_s3


@pytest.fixture(scope="session")
def server() -> Iterator[EmbeddedS3]:
    """Run moto's server."""
    with embedded_s3("session-tests") as running:
        yield running
