"""An examination leaves nothing behind, also if it ends early, and reports what it cannot examine."""

from __future__ import annotations

import asyncio
import os
import socket
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import cast

import pytest

from bucketry import S3Provider
from bucketry._doctor.examine import PROBES, Wanted, examine
from bucketry._doctor.scratch import OLD, SCRATCH, Scratch
from bucketry._doctor.subject import ONLY_AIOBOTOCORE, Subject, findings_of
from bucketry._doctor.values import Check
from bucketry.errors import AuthenticationError, BucketNotFoundError, ConfigError, LocalNotADirectoryError
from bucketry.providers import StorageProvider
from bucketry.providers.factory import Configured
from tests.contract import servers
from tests.contract.conftest import MINIMAL
from tests.doctor.conftest import QUICK, checks_of, configured, left_in, problems
from tests.doctor.lying import Liar
from tests.wire.certificates import certificate
from tests.wire.corrupting import CorruptingProxy
from tests.wire.scripted import Answer, Request, error, serving

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.slow]

HONEST: frozenset[str] = frozenset()


def locate(config: Mapping[str, object]) -> str:
    """Give the URL of a bucket."""
    return f"s3://{config['bucket_name']}/"


def outcomes(checks: list[Check]) -> dict[str, str]:
    """Give the outcome of each check by its name."""
    return {check.name: check.outcome for check in checks}


async def test_a_versioned_bucket_is_empty_afterwards(moto: servers.S3Server) -> None:
    """Versions are examined, and every version and delete marker is removed."""
    config = moto.new_bucket(versions=True)
    found = outcomes(await checks_of(config))
    assert (found["versions"], found["cleanup"]) == ("kept", "ok")
    left = moto.client.list_object_versions(Bucket=config["bucket_name"])
    assert "Versions" not in left
    assert "DeleteMarkers" not in left


async def test_versions_that_cannot_be_listed(moto: servers.S3Server) -> None:
    """Without the permission to list versions, known versions are removed, and the report says what is not sure."""
    config = moto.new_bucket(versions=True)
    honest = Liar(moto.endpoint_url, HONEST)

    def script(request: Request) -> Answer:
        listing = request.method == "GET" and "versions=" in request.query
        return error("AccessDenied", 403) if listing else honest(request)

    async with serving(script) as server:
        checks = await checks_of(config | {"endpoint_url": server.url})
    found = outcomes(checks)
    assert (found["versions"], found["old_objects"], found["cleanup"]) == ("not tested", "warning", "failed")
    assert "could not be emptied" in checks[-1].text
    assert left_in(moto, config["bucket_name"]) == []


@pytest.mark.parametrize("after", [12, 40, 70, 100])
async def test_a_cancelled_examination(moto: servers.S3Server, after: int) -> None:
    """Cancelled during any request, it removes what it made, and then ends as cancelled."""
    config = moto.new_bucket()
    honest, count = Liar(moto.endpoint_url, HONEST), 0
    running: list[asyncio.Task[str]] = []

    def script(request: Request) -> Answer:
        nonlocal count
        count += 1
        if count == after:
            running[0].cancel()
        return honest(request)

    async with serving(script) as server:
        entries = configured(config | {"endpoint_url": server.url})
        running.append(asyncio.create_task(examine(entries, QUICK, lambda _: None)))
        with pytest.raises(asyncio.CancelledError):
            await running[0]
    assert left_in(moto, config["bucket_name"]) == []


async def test_requests_that_fail_midway(moto: servers.S3Server) -> None:
    """A server that fails for one kind of request gets no less examined, and nothing is left."""
    config = moto.new_bucket()
    honest = Liar(moto.endpoint_url, HONEST)

    def script(request: Request) -> Answer:
        broken = request.method == "PUT" and "/order/" in request.path
        return error("InternalError", 500) if broken else honest(request)

    async with serving(script) as server:
        found = await checks_of(config | {"endpoint_url": server.url, "retry_delay": 0})
    assert problems(found) == {"listing_order"}
    assert outcomes(found)["listing_order"] == "refused"
    assert left_in(moto, config["bucket_name"]) == []


async def test_a_server_that_stops_answering(moto: servers.S3Server) -> None:
    """The examination ends soon, says so, and tests nothing more; what could not be removed is reported."""
    config = moto.new_bucket()
    honest = Liar(moto.endpoint_url, HONEST)
    gone = False

    def script(request: Request) -> Answer:
        nonlocal gone
        gone = gone or "/order/" in request.path
        return Answer(drop=True) if gone else honest(request)

    async with serving(script) as server:
        checks = await checks_of(config | {"endpoint_url": server.url, "retry_delay": 0})
    found = outcomes(checks)
    assert problems(checks) == {"connection", "cleanup"}
    assert (found["put_if_none_match"], found["listing_order"], found["tags"]) == ("kept", "not tested", "not tested")
    assert SCRATCH in checks[-1].text


async def test_a_configuration_with_a_key_of_the_user(moto: servers.S3Server) -> None:
    """Objects that are encrypted with the user's own key are examined, too; URLs cannot hold the key."""
    config = moto.new_bucket() | {"sse_customer_key": bytes(range(32))}
    async with serving(Liar(moto.endpoint_url, HONEST)) as server:
        checks = await checks_of(config | {"endpoint_url": server.url})
    assert problems(checks) == set()
    assert {outcomes(checks)[name] for name in ("presign_methods", "presign_post")} == {"not tested"}


async def test_a_provider_of_another_package(tmp_path: Path) -> None:
    """A provider with few features is examined by its own promises; what it does not have is no problem."""

    class Minimal(Configured):
        """Makes the provider of the how-to, without a place in the factory."""

        def make(self, **_options: object) -> StorageProvider:
            return cast("StorageProvider", MINIMAL({"path": tmp_path / "objects.db"}))

    checks: list[Check] = []
    await examine(Minimal(kind="minimal", entries={}, environ={}), QUICK, checks.append)
    assert problems(checks) == set()
    assert outcomes(checks)["multipart"] == "kept"
    assert outcomes(checks)["multipart_abort"] == "not tested"


async def test_leftovers_of_a_killed_examination(moto: servers.S3Server) -> None:
    """Objects, versions and uploads of older examinations are removed, and those of running ones are not."""
    config = moto.new_bucket(versions=True)
    async with S3Provider(config) as provider:
        trial = provider.trial()
        killed, now = Scratch(trial), Scratch(trial)
        info = await killed.put("a", b"1")
        await killed.put("a", b"2")
        await trial.delete(info.key)
        await killed.open_upload("b")
        mine = await now.put("c", b"1")
        moment = (await trial.head(mine.key)).last_modified
        assert await now.remove_old(moment) == 0
        assert left_in(moto, config["bucket_name"]) == [mine.key, killed.key("b")]
        assert await now.remove_old(moment + OLD + timedelta(minutes=1)) == 1
        assert left_in(moto, config["bucket_name"]) == [mine.key]
        left = moto.client.list_object_versions(Bucket=config["bucket_name"])
        assert [entry["Key"] for entry in left["Versions"]] == [mine.key]
        assert "DeleteMarkers" not in left


async def test_objects_of_the_user_below_the_scratch_prefix(moto: servers.S3Server) -> None:
    """Old objects whose names no examination would choose stay, although they are below the prefix of all of them."""
    config = moto.new_bucket()
    keys = sorted(f"{SCRATCH}{name}" for name in ("notes.txt", "mine/a", f"{'0' * 15}G/a", "0" * 16, f"{'0' * 17}/a"))
    async with S3Provider(config) as provider:
        for key in keys:
            await provider.put(key, b"1")
        trial = provider.trial()
        moment = (await trial.head(keys[0])).last_modified
        assert await Scratch(trial).remove_old(moment + 2 * OLD) == 0
    assert left_in(moto, config["bucket_name"]) == keys


async def test_reading_only(moto: servers.S3Server) -> None:
    """With `read_only`, only GET and HEAD are sent, and no promise is tested."""
    config = moto.new_bucket()
    async with serving(Liar(moto.endpoint_url, HONEST)) as server:
        found = await checks_of(config | {"endpoint_url": server.url}, Wanted(read_only=True))
        assert {request.method for request in server.requests} == {"GET", "HEAD"}
    assert problems(found) == set()
    assert {check.outcome for check in found if check.group == "promises"} == {"not tested"}
    assert outcomes(found)["read"] == "allowed"


@pytest.mark.parametrize("methods", [("PUT", "POST"), ("DELETE",)])
async def test_denied_permissions(moto: servers.S3Server, methods: tuple[str, ...]) -> None:
    """Each permission is reported, no promise is tested without them, and what cannot be removed is named."""
    config = moto.new_bucket()
    honest = Liar(moto.endpoint_url, HONEST)

    def script(request: Request) -> Answer:
        return error("AccessDenied", 403) if request.method in methods else honest(request)

    async with serving(script) as server:
        checks = await checks_of(config | {"endpoint_url": server.url})
    found = outcomes(checks)
    assert (found["list"], found["read"]) == ("allowed", "allowed")
    assert found["put_if_match"] == "not tested"
    if "PUT" in methods:
        assert (found["write"], found["multipart"], found["delete"]) == ("denied", "not tested", "not tested")
        assert left_in(moto, config["bucket_name"]) == []
    else:
        assert (found["write"], found["delete"], found["cleanup"]) == ("allowed", "denied", "failed")
        assert f"2 objects, versions or uploads are left below {locate(config)}{SCRATCH}" in checks[-1].text


async def test_a_missing_bucket_and_wrong_credentials(moto: servers.S3Server) -> None:
    """They are told apart, and nothing else is tried."""
    config = moto.new_bucket()
    missing = (await checks_of(config | {"bucket_name": "no-such-bucket"}))[-1]
    assert (missing.name, missing.outcome) == ("bucket", "failed")
    assert isinstance(missing.error, BucketNotFoundError)

    def script(request: Request) -> Answer:
        return Answer(403) if request.method == "HEAD" else error("SignatureDoesNotMatch", 403)

    async with serving(script) as server:
        wrong = (await checks_of(config | {"endpoint_url": server.url}))[-1]
    assert (wrong.name, wrong.outcome) == ("credentials", "failed")
    assert isinstance(wrong.error, AuthenticationError)


async def test_another_region(moto: servers.S3Server) -> None:
    """The server's answer names the bucket's region, and the line for the configuration is given."""
    found = await checks_of(moto.new_bucket() | {"region": "eu-west-1"}, Wanted(read_only=True))
    (region,) = [check for check in found if check.name == "region"]
    assert (region.outcome, region.advice) == ("failed", 'region = "us-east-1" (--region us-east-1)')


async def test_certificates(moto: servers.S3Server, tmp_path: Path) -> None:
    """An accepted certificate is described; for another one, the check says why and what to do."""
    tls, bundle = certificate(tmp_path, days=9)
    config = moto.new_bucket()
    async with CorruptingProxy(moto.endpoint_url, tls) as proxy:
        config |= {"endpoint_url": proxy.url}
        refused = (await checks_of(config, Wanted(read_only=True)))[-1]
        trusted = await checks_of(config | {"ca_bundle": bundle}, Wanted(read_only=True))
    assert (refused.name, refused.outcome) == ("tls", "failed")
    assert isinstance(refused.error, ConfigError)
    assert "self-signed" in refused.text
    assert "--ca-bundle FILE" in refused.text
    (seen,) = [check for check in trusted if check.name == "tls"]
    assert seen.outcome == "warning"  # it ends soon
    assert "TLSv1.3" in seen.text
    assert "valid for 9 more days" in seen.text


async def test_the_step_that_fails(moto: servers.S3Server) -> None:
    """A server without TLS fails in the step TLS, and a closed port in that of the connection, whatever its name."""
    config = moto.new_bucket() | {"retry_delay": 0}
    address = moto.endpoint_url.removeprefix("http://")
    plain = await checks_of(config | {"endpoint_url": f"https://{address}"}, Wanted(read_only=True))
    assert (plain[-1].name, plain[-1].outcome) == ("tls", "failed")
    assert "write http:// in the endpoint's URL" in plain[-1].advice
    assert "127.0.0.1 has" not in " ".join(check.text for check in plain)
    assert outcomes(plain)["tcp"] == "ok"
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))  # not listening, so connections are refused
        config |= {"endpoint_url": f"https://127.0.0.1:{closed.getsockname()[1]}", "bucket_name": "certificate-bucket"}
        refused = await checks_of(config, Wanted(read_only=True))
    assert (refused[-1].name, refused[-1].outcome) == ("connection", "failed")
    assert "check the endpoint's name and port" in refused[-1].advice
    assert "tcp" not in outcomes(refused)


async def test_an_endpoint_that_only_aiobotocore_reaches(moto: servers.S3Server) -> None:
    """Checks that need bucketry's own client are not made, and say so; the others are made."""
    async with S3Provider(moto.new_bucket()) as provider:
        trial = provider.trial()
        row = provider.row.capabilities
        subject = Subject(provider=provider, row=row, requests=trial, scratch=Scratch(trial), trial=trial)
        found = {one.name: one for probe in PROBES for one in await findings_of(probe, subject)}
        assert found["put_if_none_match"].found is True
        assert {name for name, one in found.items() if one.text == ONLY_AIOBOTOCORE} == {
            "put_checksum",
            "multipart_checksum",
            "presign_methods",
            "presign_post",
            "encryption",
            "expected_bucket_owner",
        }
        assert await subject.scratch.remove() == []


async def test_the_store_in_memory() -> None:
    """All promises of the memory's row are kept."""
    assert problems(await checks_of({}, QUICK, "memory")) == set()


async def test_a_local_directory(tmp_path: Path) -> None:
    """All promises of the local row are kept, nothing is left, and an old scratch directory is removed."""
    (tmp_path / "store").mkdir()
    killed, other = (tmp_path / "store" / SCRATCH / name for name in ("0" * 16, "1" * 16))
    for directory in (killed, other):
        (directory / "sub").mkdir(parents=True)
    long_ago = time.time() - 2 * OLD.total_seconds()
    for path in (killed / "sub", killed, other):
        os.utime(path, (0, long_ago))  # other/sub is new: an examination that is running
    checks = await checks_of({"base_path": tmp_path / "store"}, QUICK, "local")
    assert problems(checks) == set()
    assert {"directory", "free_space", "fsync", "case"} <= outcomes(checks).keys()
    assert [check.text for check in checks if check.name == "old_objects"] == [
        "removed what 1 killed examination had left"
    ]
    assert os.listdir(tmp_path / "store" / SCRATCH) == ["1" * 16]


async def test_a_local_directory_with_names_of_the_user(tmp_path: Path) -> None:
    """An old directory, or a link, that no examination made stays, although it is at their place."""
    scratch = tmp_path / SCRATCH
    (scratch / "mine").mkdir(parents=True)
    (tmp_path / "target").mkdir()
    (scratch / ("2" * 16)).symlink_to(tmp_path / "target")
    (scratch / ("3" * 16)).write_bytes(b"a file")
    for path in (scratch / "mine", tmp_path / "target", scratch / ("3" * 16)):
        os.utime(path, (0, time.time() - 2 * OLD.total_seconds()))
    checks = await checks_of({"base_path": tmp_path}, QUICK, "local")
    assert problems(checks) == set()
    assert sorted(os.listdir(scratch)) == ["2" * 16, "3" * 16, "mine"]
    assert "old_objects" not in outcomes(checks)


async def test_a_file_in_the_place_of_the_local_directory(tmp_path: Path) -> None:
    """A file where the examination needs a directory is a failed check, and nothing is said to be removed."""
    (tmp_path / SCRATCH.rstrip("/")).write_bytes(b"mine")
    checks = await checks_of({"base_path": tmp_path}, QUICK, "local")
    assert problems(checks) == {"write"}
    assert isinstance(checks[-1].error, LocalNotADirectoryError)
    assert SCRATCH.rstrip("/") in checks[-1].text
    assert "cleanup" not in outcomes(checks)
    assert (tmp_path / SCRATCH.rstrip("/")).read_bytes() == b"mine"


async def test_local_directories_that_cannot_be_used(tmp_path: Path) -> None:
    """A missing directory is not made, and a file is not taken for a directory."""
    missing = await checks_of({"base_path": tmp_path / "missing"}, QUICK, "local")
    assert [(check.name, check.outcome) for check in missing] == [("directory", "warning")]
    (tmp_path / "file").write_bytes(b"")
    wrong = await checks_of({"base_path": tmp_path / "file"}, QUICK, "local")
    assert [(check.name, check.outcome) for check in wrong] == [("directory", "failed")]
    assert os.listdir(tmp_path) == ["file"]


async def test_a_prefix_and_the_throughput(moto: servers.S3Server) -> None:
    """Everything is made below the prefix of the URL; the throughput is measured with 8 MiB."""
    config = moto.new_bucket()
    seen: list[Check] = []
    async with serving(Liar(moto.endpoint_url, HONEST)) as server:
        entries = replace(configured(config | {"endpoint_url": server.url}), prefix="team/")
        with suppress(asyncio.CancelledError):
            await examine(entries, Wanted(), seen.append)
        made = [request.path for request in server.requests if request.method == "PUT"]
    assert all(path.startswith(f"/{config['bucket_name']}/team/{SCRATCH}") for path in made)
    assert "MiB/s down" in next(check.text for check in seen if check.name == "throughput")
