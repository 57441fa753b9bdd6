"""`bucketry doctor` on the command line: what it prints, exit codes, interruption."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
import pytest

from bucketry import S3Provider
from bucketry._doctor.scratch import OLD, Scratch
from bucketry.testing import EmbeddedS3, embedded_s3
from tests.cli.conftest import Shell

pytestmark = pytest.mark.slow

SECRET = "canary-of-a-secret-key"
KEY_ID = "AKIAEXAMPLE7KEY1"


@pytest.fixture(scope="module")
def server() -> Iterator[EmbeddedS3]:
    """Return a running server with one bucket."""
    with embedded_s3("doctor-bucket") as running:
        yield running


@pytest.fixture
def at_server(bucketry: Shell, server: EmbeddedS3) -> Shell:
    """Return the command line, configured for the server."""
    bucketry.environ |= {
        "AWS_ACCESS_KEY_ID": KEY_ID,
        "AWS_SECRET_ACCESS_KEY": SECRET,
        "BUCKETRY_ENDPOINT_URL": server.endpoint_url,
        "BUCKETRY_SERVER": "aws",
    }
    return bucketry


@pytest.fixture
def client(server: EmbeddedS3) -> Any:
    """Return a client of boto3 for the server."""
    return boto3.client(
        "s3",
        endpoint_url=server.endpoint_url,
        region_name="us-east-1",
        aws_access_key_id="a",
        aws_secret_access_key="b",
    )


def stored(client: Any, bucket: str) -> list[str]:
    """Give the keys of the bucket's objects and of its open uploads."""
    found = [entry["Key"] for entry in client.list_objects_v2(Bucket=bucket).get("Contents", [])]
    return found + [entry["Key"] for entry in client.list_multipart_uploads(Bucket=bucket).get("Uploads", [])]


def test_the_page(at_server: Shell, server: EmbeddedS3, client: Any) -> None:
    """One line for each check, with a sign, what was seen and what to do; exit code 1, because moto is not AWS."""
    ran = at_server("doctor", f"s3://{server.bucket}", "--no-throughput", "--region", "us-east-1")
    lines = ran.text.splitlines()
    assert ran.code == 1
    assert lines[0] == "configuration of s3"
    assert "  region             us-east-1  (--region)" in lines
    assert "  access_key_id      …KEY1  (AWS_ACCESS_KEY_ID)" in lines
    assert "  secret_access_key  set  (AWS_SECRET_ACCESS_KEY)" in lines
    assert "  bucket_name        doctor-bucket  (the URL)" in lines
    assert "  ✓ put_if_none_match: If-None-Match: * on an existing key is refused with 412" in lines
    assert "  – max_parts: not tested: would need as many parts" in lines
    assert (
        "  – 3 checks from max_object_size to max_copy_size: not tested: would need an object of this size" in lines
    )  # one line, because there may be many of them
    (at,) = [number for number, line in enumerate(lines) if line.startswith("  ✗ complete_if_match: different: ")]
    assert lines[at + 1] == '      → server = "generic" (--server generic)'
    assert SECRET not in ran.text + ran.err
    assert KEY_ID not in ran.text + ran.err
    assert stored(client, server.bucket) == []


def test_a_server_that_does_more(at_server: Shell, server: EmbeddedS3) -> None:
    """What a server does beyond its row has a sign of its own, and is not shown as a problem."""
    at_server.environ["BUCKETRY_SERVER"] = "generic"
    ran = at_server("doctor", f"s3://{server.bucket}", "--no-throughput", "--region", "us-east-1")
    lines = ran.text.splitlines()
    assert any(line.startswith("  ↑ put_if_none_match: more: ") for line in lines)
    assert not any(line.startswith("  ✗") and "more" in line for line in lines)
    assert " more" in lines[-1] or " more" in lines[-2]  # the counts


def test_the_document(at_server: Shell, server: EmbeddedS3) -> None:
    """The document has the documented fields, and no secrets."""
    ran = at_server("doctor", f"s3://{server.bucket}/team", "--read-only", "--json")
    assert ran.code == 0, ran.err
    found = ran.document
    assert {name: type(value).__name__ for name, value in found.items()} == {
        "bucketry": "str",
        "python": "str",
        "system": "str",
        "provider": "str",
        "place": "str",
        "read_only": "bool",
        "configuration": "list",
        "checks": "list",
        "counts": "dict",
        "server": "NoneType",
    }
    assert found["place"] == f"s3://{server.bucket}/"
    assert {tuple(entry) for entry in found["configuration"]} == {("name", "value", "source")}
    assert {tuple(check) for check in found["checks"]} == {("group", "name", "outcome", "text", "advice", "promised")}
    assert sum(found["counts"].values()) == len(found["checks"])
    assert SECRET not in ran.text
    assert KEY_ID not in ran.text


def test_a_named_place(at_server: Shell, server: EmbeddedS3) -> None:
    """A place of the configuration file is examined, and its entries are shown as given by the place."""
    file = at_server.write(
        "config.toml",
        f"""
        [places.prod]
        url = "s3://{server.bucket}/base"
        endpoint_url = "{server.endpoint_url}"
        secret_access_key = {{ env = "PROD_SECRET" }}
        access_key_id = "{KEY_ID}"
        """.encode(),
    )
    file.chmod(0o600)
    at_server.environ |= {"BUCKETRY_CONFIG": str(file), "PROD_SECRET": SECRET}
    ran = at_server("doctor", "prod:run-1/", "--read-only", "--json")
    assert ran.code == 0, ran.err
    sources = {entry["name"]: (entry["value"], entry["source"]) for entry in ran.document["configuration"]}
    assert sources["endpoint_url"] == (server.endpoint_url, "place prod")
    value, source = sources["secret_access_key"]
    assert value == "set"
    assert source.startswith("place prod")
    assert SECRET not in ran.text


def test_a_local_directory(bucketry: Shell) -> None:
    """The directory of a file URL is examined itself, and nothing is left in it."""
    directory = bucketry.directory / "objects"
    directory.mkdir()
    ran = bucketry("doctor", f"file://{directory}")
    assert ran.code == 0, ran.text
    assert f"  ✓ directory: {directory} is a directory that can be read and written" in ran.text.splitlines()
    assert list(directory.iterdir()) == []


def test_a_terminal_without_unicode(bucketry: Shell) -> None:
    """The signs are ASCII if the output's encoding is; a store that keeps its promises gives exit code 0."""
    bucketry.environ["PYTHONIOENCODING"] = "ascii"
    ran = bucketry("doctor", "--provider", "memory")
    assert ran.code == 0, ran.err
    assert ran.out.isascii()
    assert "  + tags: tags are stored\n" in ran.text
    assert "  - max_parts: not tested: would need as many parts\n" in ran.text


def test_exit_codes(at_server: Shell) -> None:
    """A missing bucket, a server that is not there, missing credentials and a wrong command line have their codes."""
    assert at_server("doctor", "s3://no-such-bucket").code == 3
    assert at_server("doctor", "s3://bucket", "--endpoint-url", "http://127.0.0.1:9").code == 5
    assert at_server("doctor", "s3://bucket", "--url", "s3://bucket").code == 2
    assert "is a glob" in at_server("doctor", "s3://bucket/a*").err
    at_server.environ |= {"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": ""}
    without = at_server("doctor", "s3://bucket", "--json")
    assert without.code == 4
    failed = [check["name"] for check in json.loads(without.out)["checks"] if check["outcome"] == "failed"]
    assert failed == ["credentials"]


@pytest.mark.usefixtures("interruptible")
def test_an_interrupted_examination(at_server: Shell, server: EmbeddedS3, client: Any) -> None:
    """Interrupted after its first objects were stored, it removes them, and exits as interrupted."""
    running = at_server.start("doctor", f"s3://{server.bucket}")
    while not stored(client, server.bucket):
        assert running.poll() is None
    running.send_signal(signal.SIGINT)
    running.communicate()
    assert running.returncode == 130
    assert stored(client, server.bucket) == []


async def test_a_killed_examination(at_server: Shell, server: EmbeddedS3, client: Any) -> None:
    """What a killed examination has left is removed by one that begins more than an hour later."""
    running = at_server.start("doctor", f"s3://{server.bucket}")
    while not stored(client, server.bucket):
        assert running.poll() is None
    running.kill()
    running.communicate()
    assert stored(client, server.bucket)
    later = datetime.now(UTC) + OLD + timedelta(minutes=1)
    async with S3Provider(server.config) as provider:
        assert await Scratch(provider.trial()).remove_old(later) == 1
    assert stored(client, server.bucket) == []
