"""The conditions for the use of the data plane."""

from __future__ import annotations

import os

import pytest

from bucketry._core.s3_config import S3Config
from bucketry._providers.s3.endpoint import resolve
from bucketry._session.endpoint import Endpoint
from bucketry._session.environment import Environment
from bucketry._session.standard import is_proxied, is_standard
from bucketry._vendors import aws, generic


def endpoint(url: str | None = None, bucket: str = "bucket", **config: str | bool) -> Endpoint:
    """Resolve a configuration."""
    given = S3Config.of({"bucket_name": bucket, "endpoint_url": url, **config})
    return resolve(given, aws.VENDOR if url is None or "amazonaws" in url else generic.VENDOR)


@pytest.mark.parametrize(
    "bucket", ["bucket", "x-s3", "a--b", "bucket-x-s3", "my.bucket", "s3-accelerate", "x--x-s3a", "--x-s3-bucket"[2:]]
)
def test_usual_buckets(bucket: str) -> None:
    """Names that only resemble special kinds of buckets are standard."""
    assert is_standard(endpoint(), bucket)


@pytest.mark.parametrize(
    "bucket",
    [
        "arn:aws:s3:us-east-1:123456789012:accesspoint/mine",
        "arn:aws:s3-outposts:us-east-1:123456789012:outpost/op-1/accesspoint/mine",
        "bucket--use1-az4--x-s3",
        "access-point--op-s3",
        "access-point--ol-s3",
        "id--table-s3",
    ],
)
def test_other_buckets(bucket: str) -> None:
    """Access points, express and other special buckets are not plain: they have their own hosts and signatures."""
    assert not is_standard(endpoint(), bucket)


@pytest.mark.parametrize(
    ("url", "standard"),
    [
        ("https://s3.us-east-1.amazonaws.com", True),
        ("https://s3.dualstack.us-east-1.amazonaws.com", True),
        ("https://s3-us-west-2.amazonaws.com", True),
        ("https://s3-accelerate.amazonaws.com", False),
        ("https://s3-accelerate.dualstack.amazonaws.com", False),
        ("https://s3-fips.us-east-1.amazonaws.com", False),
        ("https://s3-fips.dualstack.us-east-1.amazonaws.com", False),
        ("https://s3-outposts.us-east-1.amazonaws.com", False),
        ("https://s3-object-lambda.us-east-1.amazonaws.com", False),
        ("https://s3express-use1-az4.us-east-1.amazonaws.com", False),
        ("https://bucket.s3express-use1-az4.us-east-1.amazonaws.com", False),
        ("https://S3-Accelerate.amazonaws.com", False),
        ("https://minio.example.com:9000", True),
        ("http://127.0.0.1:9000", True),
        ("https://[::1]:9000/base", True),
    ],
)
@pytest.mark.filterwarnings("ignore:.*is not known to this version")
def test_hosts(url: str, standard: bool) -> None:
    """Hosts of AWS's other services are not standard; the regions' S3 hosts, and hosts outside AWS, are."""
    assert is_standard(endpoint(url), "bucket") is standard


@pytest.mark.filterwarnings("ignore:.*is not known to this version")
def test_a_region_whose_host_is_not_known() -> None:
    """If only botocore knows the host, the endpoint is not standard."""
    for region in ("cn-north-1", "mars-1"):
        assert not is_standard(endpoint(region=region), "bucket")


@pytest.mark.parametrize(
    ("variables", "fips", "dualstack"),
    [
        ({}, None, None),
        ({"AWS_USE_FIPS_ENDPOINT": "false"}, False, None),
        ({"AWS_USE_FIPS_ENDPOINT": ""}, None, None),
        ({"AWS_USE_FIPS_ENDPOINT": "true"}, True, None),
        ({"AWS_USE_DUALSTACK_ENDPOINT": "TRUE"}, None, True),
        ({"AWS_REGION": "eu-west-1"}, None, None),
    ],
    ids=str,
)
def test_variables(variables: dict[str, str], fips: bool | None, dualstack: bool | None) -> None:
    """AWS's variables for other endpoints are read as botocore reads them."""
    found = Environment(variables, of_process=False)
    assert (found.fips, found.dualstack) == (fips, dualstack)


@pytest.mark.parametrize(
    ("url", "variables", "proxied"),
    [
        ("https://s3.example.com", {}, False),
        ("https://s3.example.com", {"https_proxy": "http://proxy:3128"}, True),
        ("https://s3.example.com", {"HTTPS_PROXY": "http://proxy:3128"}, True),
        ("https://s3.example.com", {"http_proxy": "http://proxy:3128"}, False),
        ("http://s3.example.com", {"http_proxy": "http://proxy:3128"}, True),
        ("https://s3.example.com", {"https_proxy": "http://proxy:3128", "no_proxy": "example.com"}, False),
        ("https://s3.example.com", {"https_proxy": "http://proxy:3128", "no_proxy": "example.org"}, True),
        ("https://s3.example.com", {"https_proxy": "http://proxy:3128", "NO_PROXY": "*"}, False),
        ("https://s3.example.com", {"HTTPS_PROXY": "http://proxy:3128", "https_proxy": ""}, False),
        ("http://s3.example.com", {"HTTP_PROXY": "http://proxy:3128", "REQUEST_METHOD": "GET"}, False),
        ("http://s3.example.com", {"http_proxy": "http://proxy:3128", "REQUEST_METHOD": "GET"}, True),
        ("http://localhost:9000", {"http_proxy": "http://proxy:3128"}, False),
        ("http://127.0.0.1:9000", {"http_proxy": "http://proxy:3128"}, False),
        ("http://[::1]:9000", {"http_proxy": "http://proxy:3128"}, False),
    ],
    ids=str,
)
@pytest.mark.parametrize("of_process", [True, False])
def test_proxies(
    monkeypatch: pytest.MonkeyPatch, url: str, variables: dict[str, str], proxied: bool, of_process: bool
) -> None:
    """A proxy is used for its scheme, unless the host is excluded or is this machine; also from given variables."""
    for name in ("http_proxy", "https_proxy", "no_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    for name, value in variables.items() if of_process else ():
        monkeypatch.setenv(name, value)
    environment = Environment(os.environ if of_process else variables, of_process=of_process)
    assert is_proxied(endpoint(url, allow_http=True), environment) is proxied


def test_given_variables_take_the_place_of_the_process_s(monkeypatch: pytest.MonkeyPatch) -> None:
    """If variables are given, the process's proxies are not used."""
    monkeypatch.setenv("https_proxy", "http://proxy:3128")
    monkeypatch.setenv("AWS_CA_BUNDLE", "/ca.pem")
    given = Environment({"AWS_CA_BUNDLE": ""}, of_process=False)
    assert not is_proxied(endpoint("https://s3.example.com"), given)
    assert given.ca_bundle is None
