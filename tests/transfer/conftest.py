"""The bench fixture of every transfer test: made before the test, and checked after it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.transfer.doubles import Bench


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    """Give a bench; after the test, check that no upload, staged file, slot, memory or task is left."""
    bench = Bench(tmp_path)
    yield bench
    await bench.check()
