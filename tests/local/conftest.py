"""The providers for the tests of the local disk."""

from __future__ import annotations

from pathlib import Path

import pytest

from bucketry._core.config import LocalConfig
from bucketry._providers.local.requests import LocalRequests
from bucketry._vendors.local import VENDOR


@pytest.fixture
def base(tmp_path: Path) -> Path:
    """Give the base directory, which does not exist yet."""
    return tmp_path / "base"


@pytest.fixture
async def local(base: Path) -> LocalRequests:
    """Give a provider with an empty directory."""
    provider = LocalRequests(LocalConfig(base_path=base), VENDOR)
    await provider.connect()
    return provider
