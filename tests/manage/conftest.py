"""The fixtures of the tests of plans."""

from __future__ import annotations

from pathlib import Path

import pytest

from bucketry import MemoryProvider


@pytest.fixture
def memory() -> MemoryProvider:
    """Give an empty provider."""
    return MemoryProvider()


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Give an empty directory."""
    (tmp_path / "root").mkdir()
    return tmp_path / "root"
