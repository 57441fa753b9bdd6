"""Fixtures for the tests of `bucketry doctor`: servers, and the set of checks that found a problem."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from bucketry._core.entries import given_by
from bucketry._doctor.examine import Wanted, examine
from bucketry._doctor.values import PROBLEMS, Check
from bucketry.providers.factory import Configured
from tests.contract import servers

QUICK = Wanted(throughput=False)


@pytest.fixture(scope="session")
def moto() -> Iterator[servers.S3Server]:
    """Run moto for the session."""
    with servers.moto() as server:
        yield server


@pytest.fixture(scope="session")
def rclone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[servers.S3Server]:
    """Run rclone's S3 server for the session."""
    with servers.rclone(tmp_path_factory.mktemp("rclone")) as server:
        yield server


def configured(config: Mapping[str, Any], kind: str = "s3") -> Configured:
    """Give the configuration of a provider, as the command line does."""
    return Configured(kind=kind, entries=given_by("a test", config), environ={})


async def checks_of(config: Mapping[str, Any], wanted: Wanted = QUICK, kind: str = "s3") -> list[Check]:
    """Examine a provider, and give all checks."""
    made: list[Check] = []
    await examine(configured(config, kind), wanted, made.append)
    return made


def problems(checks: list[Check]) -> set[str]:
    """Give the names of the checks that found a problem."""
    return {check.name for check in checks if check.outcome in PROBLEMS}


def left_in(server: servers.S3Server, bucket: str) -> list[str]:
    """Give everything that a bucket of moto or rclone holds: objects, versions, open uploads."""
    found = [entry["Key"] for entry in server.client.list_objects_v2(Bucket=bucket).get("Contents", [])]
    found += [upload["Key"] for upload in server.client.list_multipart_uploads(Bucket=bucket).get("Uploads", [])]
    return found
