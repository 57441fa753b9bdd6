"""The bench of every transfer test: made before it, found clean after it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.transfer.doubles import Bench


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    """A place for files and providers; afterwards no upload is open, nothing staged, nothing held, nothing running."""
    bench = Bench(tmp_path)
    yield bench
    await bench.check()
