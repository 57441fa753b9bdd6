"""Fixtures for every test: no test sees this machine's configuration."""

from __future__ import annotations

import os
from uuid import uuid4

import pytest
from hypothesis import settings

# "ci" repeats fixed examples, so that only a change of the code can fail; "nightly" tries 20 times as many new ones,
# and more where a test has numbers of its own (`tests/amounts.py`).
settings.register_profile("ci", max_examples=100, derandomize=True, deadline=None)
settings.register_profile("nightly", max_examples=2_000, derandomize=False, deadline=None)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci"))

_PREFIXES = ("AWS_", "B2_", "BACKBLAZE_", "BUCKETRY_", "CLOUDFLARE_R2_", "DO_SPACES_", "SPACES_", "WASABI_")
_NAMES = ("LOCAL_STORAGE_PATH", "STORAGE_PROVIDER")


@pytest.fixture(autouse=True)
def no_configuration(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Hide the user's credentials, endpoints and configuration files."""
    for name in [*os.environ]:
        if name.startswith(_PREFIXES) or name in _NAMES:
            monkeypatch.delenv(name)
    nowhere = tmp_path_factory.getbasetemp() / "nowhere"
    for name in ("HOME", "AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, str(nowhere / name.lower()))
    # Of each test alone: what one test remembers of an object must not change another test's requests.
    monkeypatch.setenv("XDG_CACHE_HOME", str(nowhere / "cache" / uuid4().hex))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(nowhere / "config"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option that runs the contract suite on a real bucket."""
    parser.addoption("--live", metavar="NAME", help="a provider's factory name, configured by its own variables")
