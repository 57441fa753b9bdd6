"""On each server, `doctor` reports exactly what the server does otherwise than its row says."""

from __future__ import annotations

import pytest

from bucketry._doctor.examine import examine
from bucketry._doctor.values import Check
from tests.contract import servers
from tests.doctor.conftest import QUICK, checks_of, configured, left_in, problems
from tests.doctor.lying import LIES, Liar
from tests.wire.scripted import serving

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.slow]

MOTO = {
    "complete_if_match",
    "copy_source_if_match",
    "put_checksum",
    "multipart_checksum",
    "full_object_checksum",
    "control_characters",  # moto answers 404 to keys with line ends
    "expected_bucket_owner",
}
"""What AWS does, and moto does not; the contract suite has the same gaps."""

RCLONE = {
    "put_checksum",
    "multipart_checksum",
    "copy_part",
    "plain_paths",  # rclone stores objects as files
    "max_metadata_size",  # rclone's limit is below that of S3
}
"""What `rclone serve s3` does otherwise than the row of an unknown server says."""


async def test_moto_against_the_row_of_aws(moto: servers.S3Server) -> None:
    """Exactly the known gaps of moto are reported, and its bucket is empty afterwards."""
    config = moto.new_bucket()
    assert problems(await checks_of(config)) == MOTO
    assert left_in(moto, config["bucket_name"]) == []


async def test_rclone_against_the_row_of_an_unknown_server(rclone: servers.S3Server) -> None:
    """Exactly the known differences of `rclone serve s3` are reported, and its bucket is empty afterwards."""
    config = rclone.new_bucket()
    checks = await checks_of(config)
    assert problems(checks) == RCLONE
    # rclone stores tags, and the row promises none; that is more than promised, and no problem.
    assert {check.name for check in checks if check.outcome == "more"} == {"tags"}
    assert left_in(rclone, config["bucket_name"]) == []


@pytest.mark.parametrize("lies", [frozenset(), LIES], ids=["none", "five"])
async def test_a_server_that_lies(moto: servers.S3Server, lies: frozenset[str]) -> None:
    """Each lie of a server that otherwise keeps all promises of the row is reported, and nothing else."""
    config = moto.new_bucket()
    made: list[Check] = []
    async with serving(Liar(moto.endpoint_url, lies)) as liar:
        better = await examine(configured(config | {"endpoint_url": liar.url}), QUICK, made.append)
    assert problems(made) == lies
    assert better == ("generic" if lies else "")  # with it, bucketry does not rely on If-None-Match
    assert left_in(moto, config["bucket_name"]) == []


async def test_the_line_for_the_configuration(moto: servers.S3Server) -> None:
    """For a server that does all that AWS does, and is taken for an unknown one, the line is `server = "aws"`."""
    config = moto.new_bucket()
    made: list[Check] = []
    async with serving(Liar(moto.endpoint_url, frozenset())) as honest:
        entries = config | {"endpoint_url": honest.url, "server": "generic"}
        assert await examine(configured(entries), QUICK, made.append) == "aws"
        advised = {check.name: check.advice for check in made}
        assert advised["put_if_none_match"] == 'server = "aws" (--server aws)'
