"""Endpoints: hosts are built from checked parts, and dangerous endpoints are refused."""

from __future__ import annotations

import copy
import pickle
import warnings
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bucketry import S3Provider, WasabiProvider
from bucketry._core.s3_config import (
    BackblazeConfig,
    CloudflareR2Config,
    DigitalOceanConfig,
    S3Config,
    S3FamilyConfig,
    WasabiConfig,
)
from bucketry._core.timeouts import Timeouts
from bucketry._providers.s3.endpoint import check_bucket, check_url, resolve
from bucketry._session.endpoint import Endpoint
from bucketry._vendors import aws, backblaze, generic, r2, spaces, wasabi
from bucketry.errors import ConfigError

if TYPE_CHECKING:
    from bucketry._vendors.row import Vendor

ACCOUNT = "0123456789abcdef0123456789abcdef"
ACCESS = "AKIA-ACCESS-HALF"
SECRET = "s3cret/half+of=it"
TOKEN = "t0ken/of+session=="
KEYS = {"bucket_name": "my-bucket", "access_key_id": ACCESS, "secret_access_key": SECRET}
ARN = "arn:aws:s3:us-west-2:123456789012:accesspoint/my-point"

CLOUDS: dict[str, tuple[type[S3FamilyConfig], Vendor, dict[str, Any], str]] = {
    "s3": (S3Config, aws.VENDOR, {**KEYS, "session_token": TOKEN}, "amazonaws.com"),
    "generic": (
        S3Config,
        generic.VENDOR,
        {**KEYS, "session_token": TOKEN, "endpoint_url": "https://minio.example"},
        "minio.example",
    ),
    "spaces": (DigitalOceanConfig, spaces.VENDOR, KEYS, "digitaloceanspaces.com"),
    "wasabi": (WasabiConfig, wasabi.VENDOR, KEYS, "wasabisys.com"),
    "b2": (
        BackblazeConfig,
        backblaze.VENDOR,
        {"bucket_name": "my-bucket", "key_id": ACCESS, "application_key": SECRET, "region": "us-west-004"},
        "backblazeb2.com",
    ),
    "r2": (CloudflareR2Config, r2.VENDOR, {**KEYS, "account_id": ACCOUNT}, "r2.cloudflarestorage.com"),
}
EACH = pytest.mark.parametrize("cloud", CLOUDS)
WITH_REGION = pytest.mark.parametrize("cloud", ["s3", "spaces", "wasabi", "b2"])


def endpoint(cloud: str, **entries: object) -> Endpoint:
    """Resolve a cloud's minimal configuration with changed entries; None removes an entry."""
    kind, vendor, minimal, _ = CLOUDS[cloud]
    return resolve(kind.of({**minimal, **entries}), vendor)


def _known(cloud: str, entries: dict[str, Any]) -> dict[str, Any]:
    """Give those of the entries that a cloud has."""
    return {name: value for name, value in entries.items() if name in CLOUDS[cloud][2]}


class TestBuilt:
    """Endpoints from the row's template."""

    @pytest.mark.parametrize(
        ("cloud", "entries", "url", "region"),
        [
            ("s3", {}, None, "us-east-1"),
            ("s3", {"region": "eu-central-1"}, None, "eu-central-1"),
            ("spaces", {}, "https://nyc3.digitaloceanspaces.com", "nyc3"),
            ("spaces", {"region": "fra1"}, "https://fra1.digitaloceanspaces.com", "fra1"),
            ("wasabi", {}, "https://s3.us-east-1.wasabisys.com", "us-east-1"),
            ("wasabi", {"region": "eu-west-1"}, "https://s3.eu-west-1.wasabisys.com", "eu-west-1"),
            ("b2", {}, "https://s3.us-west-004.backblazeb2.com", "us-west-004"),
            ("r2", {}, f"https://{ACCOUNT}.r2.cloudflarestorage.com", "auto"),
            ("r2", {"account_id": ACCOUNT.upper()}, f"https://{ACCOUNT}.r2.cloudflarestorage.com", "auto"),
            ("r2", {"jurisdiction": "eu"}, f"https://{ACCOUNT}.eu.r2.cloudflarestorage.com", "auto"),
            (
                "r2",
                {"jurisdiction": "fedramp"},
                f"https://{ACCOUNT}.fedramp.r2.cloudflarestorage.com",
                "auto",
            ),
        ],
    )
    def test_url_and_region(self, cloud: str, entries: dict[str, str], url: str | None, region: str) -> None:
        """Region, account and jurisdiction are put into the vendor's host."""
        found = endpoint(cloud, **entries)
        assert (found.url, found.region) == (url, region)

    @WITH_REGION
    @pytest.mark.parametrize(
        "region",
        [
            "x.evil.com/",
            "evil.com#",
            "evil.com?",
            "us-east-1/",
            "us-east-1.evil.com",
            "user@evil",
            "US-EAST-1",
            "us_east_1",
            "-us-east-1",
            "us-east-1-",
            "us east 1",
            "{account_id}",
            "{0.__class__}",
            "us-east-1\\",
            "%2e",
            "é",
            "\u0661",
            "a" * 64,
        ],
    )
    def test_refuses_a_malformed_region(self, cloud: str, region: str) -> None:
        """A region that cannot be one label of a host is refused before a URL is built."""
        with pytest.raises(ConfigError, match=rf"^{CLOUDS[cloud][1].name}: region: "):
            endpoint(cloud, region=region)

    @WITH_REGION
    def test_unknown_region_warns(self, cloud: str) -> None:
        """A well-formed region that this version does not know is used, with a warning."""
        with pytest.warns(UserWarning, match="'zz-new-9' is not known"):
            assert endpoint(cloud, region="zz-new-9").region == "zz-new-9"

    @WITH_REGION
    def test_known_regions_do_not_warn(self, cloud: str) -> None:
        """Every region of the row is used without a warning."""
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            for region in CLOUDS[cloud][1].regions:
                assert endpoint(cloud, region=region).region == region

    @WITH_REGION
    @given(region=st.text(min_size=1, max_size=80) | st.from_regex(r"[a-z0-9.@:/\\#?%-]{1,40}", fullmatch=True))
    def test_any_region_is_refused_or_harmless(self, cloud: str, region: str) -> None:
        """For every text as the region, the URL has the vendor's host and nothing else, or it is refused."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)
            try:
                found = endpoint(cloud, region=region)
            except ConfigError:
                return
        built = found.url or CLOUDS[cloud][1].endpoint_template.format(region=found.region)
        assert_harmless(built, CLOUDS[cloud][3])
        assert region in (urlsplit(built).hostname or "").split(".")

    @given(
        account=st.text(min_size=1, max_size=40) | st.from_regex(r"[0-9a-fA-F]{31}[0-9a-fA-F./@:#?\n]", fullmatch=True),
        jurisdiction=st.none() | st.sampled_from(["eu", "fedramp"]) | st.text(max_size=20),
    )
    def test_any_account_is_refused_or_harmless(self, account: str, jurisdiction: str | None) -> None:
        """For every text as account and jurisdiction, the host is Cloudflare's, or the text is refused."""
        try:
            found = endpoint("r2", account_id=account, jurisdiction=jurisdiction)
        except ConfigError:
            return
        assert_harmless(found.url or "", CLOUDS["r2"][3])
        assert (found.url or "").startswith(f"https://{account.lower()}.")


def assert_harmless(url: str, domain: str) -> None:
    """Assert that the URL is the vendor's host over https and nothing more."""
    parts = urlsplit(url)
    assert parts.scheme == "https"
    assert (parts.hostname or "").endswith(f".{domain}")
    assert parts.netloc == parts.hostname
    assert (parts.path, parts.query, parts.fragment) == ("", "", "")


class TestGiven:
    """Endpoints from the configuration."""

    @EACH
    def test_overrides_the_vendors(self, cloud: str) -> None:
        """A configured endpoint is used, without a slash at its end."""
        assert endpoint(cloud, endpoint_url="https://minio.example:9000/").url == "https://minio.example:9000"

    def test_the_scheme_of_a_vendors_host_may_be_missing(self) -> None:
        """One of the vendor's hosts without a scheme, as B2 shows it, gets https."""
        host = "s3.us-west-004.backblazeb2.com"
        assert endpoint("b2", endpoint_url=host).url == f"https://{host}"

    @EACH
    def test_the_scheme_of_another_host_may_not(self, cloud: str) -> None:
        """Another host without a scheme is refused: TLS is not guessed."""
        with pytest.raises(ConfigError, match=r"has no scheme; give https://minio\.example:9000"):
            endpoint(cloud, endpoint_url="minio.example:9000")

    @EACH
    def test_custom_region_does_not_warn(self, cloud: str) -> None:
        """With a custom endpoint, every region is accepted without a warning."""
        entries = {"region": "garage"} if cloud != "r2" else {}
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            endpoint(cloud, endpoint_url="https://minio.example", **entries)

    def test_base_path_is_kept(self) -> None:
        """A gateway below a path of its host can be used."""
        assert endpoint("generic", endpoint_url="https://h.example/s3/").url == "https://h.example/s3"

    def test_generic_needs_one(self) -> None:
        """A row without hosts needs an endpoint from the configuration."""
        with pytest.raises(ConfigError, match="s3: endpoint_url: is missing"):
            endpoint("generic", endpoint_url=None)

    @pytest.mark.parametrize(
        ("cloud", "url", "region"),
        [
            ("b2", "https://s3.eu-central-003.backblazeb2.com", "eu-central-003"),
            ("b2", "s3.eu-central-003.backblazeb2.com", "eu-central-003"),
            ("b2", "https://S3.EU-Central-003.BackblazeB2.com", "eu-central-003"),
            ("b2", "https://s3.eu-central-003.backblazeb2.com./", "eu-central-003"),
            ("s3", "https://s3.eu-west-1.amazonaws.com", "eu-west-1"),
            ("s3", "https://s3.amazonaws.com", "us-east-1"),
            ("spaces", "https://fra1.digitaloceanspaces.com", "fra1"),
            ("wasabi", "https://s3.eu-west-1.wasabisys.com", "eu-west-1"),
            ("wasabi", "https://s3.wasabisys.com", "us-east-1"),
        ],
    )
    def test_region_of_the_host_is_signed_for(self, cloud: str, url: str, region: str) -> None:
        """If a vendor's host names a region, requests are signed for that region."""
        assert endpoint(cloud, endpoint_url=url, region=None).region == region

    @pytest.mark.parametrize(
        ("cloud", "url"),
        [
            ("b2", "https://s3.eu-central-003.backblazeb2.com"),
            ("s3", "https://s3.eu-west-1.amazonaws.com"),
            ("spaces", "https://fra1.digitaloceanspaces.com"),
            ("wasabi", "https://s3.eu-west-1.wasabisys.com"),
        ],
    )
    def test_refuses_two_regions(self, cloud: str, url: str) -> None:
        """A region that contradicts the endpoint is refused: the signature would fail."""
        with pytest.raises(ConfigError, match="region: 'us-west-9' is not the endpoint's region"):
            endpoint(cloud, endpoint_url=url, region="us-west-9")

    def test_same_region_twice_is_fine(self) -> None:
        """A region that repeats the endpoint's is accepted."""
        found = endpoint("b2", endpoint_url="s3.us-west-004.backblazeb2.com", region="us-west-004")
        assert found.region == "us-west-004"

    @pytest.mark.parametrize(
        "url",
        [
            "https://minio.example",
            "https://s3.us-west-004.backblazeb2.com.evil.com",
            "https://backblazeb2.com",
        ],
    )
    def test_no_region_from_foreign_hosts(self, url: str) -> None:
        """Only B2's own hosts name B2's region; elsewhere it has to be given."""
        with pytest.raises(ConfigError, match="backblaze: region: cannot be read from the endpoint"):
            endpoint("b2", endpoint_url=url, region=None)

    @pytest.mark.parametrize(
        ("entries", "name"),
        [
            ({"endpoint_url": f"https://{'f' * 32}.r2.cloudflarestorage.com"}, "account_id"),
            (
                {"endpoint_url": f"https://{ACCOUNT}.r2.cloudflarestorage.com", "jurisdiction": "eu"},
                "jurisdiction",
            ),
        ],
    )
    def test_r2_refuses_two_places(self, entries: dict[str, str], name: str) -> None:
        """An account or jurisdiction that contradicts the endpoint is refused."""
        with pytest.raises(ConfigError, match=f"cloudflare_r2: {name}: "):
            endpoint("r2", **entries)

    def test_r2_takes_its_own_endpoint(self) -> None:
        """The endpoint that the dashboard shows may be given, with its jurisdiction."""
        url = f"https://{ACCOUNT}.eu.r2.cloudflarestorage.com"
        assert endpoint("r2", endpoint_url=url).url == url

    @pytest.mark.parametrize(
        ("cloud", "url", "hint"),
        [
            (
                "spaces",
                "https://my-bucket.fra1.digitaloceanspaces.com",
                "https://fra1.digitaloceanspaces.com",
            ),
            ("s3", "https://my-bucket.s3.eu-west-1.amazonaws.com", "https://s3.eu-west-1.amazonaws.com"),
            ("r2", f"https://{ACCOUNT}.r2.cloudflarestorage.com/my-bucket", f"https://{ACCOUNT}.r2.cloud"),
            (
                "b2",
                "https://s3.us-west-004.backblazeb2.com/my-bucket",
                "https://s3.us-west-004.backblazeb2.com",
            ),
        ],
    )
    def test_refuses_the_bucket_in_the_endpoint(self, cloud: str, url: str, hint: str) -> None:
        """An endpoint with the bucket, as dashboards show it, is refused, and the error gives the right one."""
        with pytest.raises(ConfigError, match=r"endpoint_url: .* holds (the bucket|a path)") as caught:
            endpoint(cloud, endpoint_url=url)
        assert f"give {hint}" in str(caught.value)


class TestCheckUrl:
    """Valid and invalid endpoints."""

    @pytest.mark.parametrize(
        "url",
        [
            "https://minio.example",
            "https://minio.example:9000",
            "https://minio.example/base/path",
            "https://minio.example.",
            "https://10.0.0.7:9000",
            "https://[2001:db8::1]:9000",
            "https://my_container:9000",
            "HTTPS://MINIO.example",
            "http://localhost:9000",
            "http://LOCALHOST:9000",
            "http://localhost.:9000",
            "http://bucket.localhost:9000",
            "http://127.0.0.1:9000",
            "http://127.8.9.10",
            "http://[::1]:9000",
            "http://[::ffff:127.0.0.1]:9000",
        ],
    )
    def test_takes(self, url: str) -> None:
        """Names and addresses with https, and plain http on the loopback, are accepted."""
        assert check_url(url, allow_http=False, owner="s3") == urlsplit(url)

    @pytest.mark.parametrize(
        "url",
        [
            "",
            "minio.example",
            "//minio.example",
            "https:",
            "https://",
            "https:///bucket",
            "https:minio.example",
            "https://:9000",
            "https://minio.example:",
            "https://minio.example:0",
            "https://minio.example:99999",
            "https://minio.example:x",
            "https://minio.example:0443",
            "https://[::1",
            "https://[::1]evil.com",
            "https://[evil.com]",
            "https://..",
            "https://.minio.example",
            "https://minio..example",
            "https://-minio.example",
            f"https://{'a' * 64}.example",
            f"https://{'a.' * 127}example",
            "https://mi nio.example",
            "https://minio.example\n.evil.com",
            "https://minio.example\t",
            "https://minio.example\0",
            "https://minio.example\\@evil.com",
            "https://minio.example\\evil",
            "https://minio.example/a\\b",
            "https://minio.exämple",
            "https://minio%2eexample",
            "https://minio.example/../x",
            "https://minio.example//x",
            "https://minio.example/%2e%2e",
            "https://minio.example?",
            "https://minio.example/?x=1",
            "https://minio.example#",
            "https://minio.example/#x",
            "ftp://minio.example",
            "file:///etc/passwd",
            "javascript://minio.example",
            "s3://bucket",
        ],
    )
    @pytest.mark.parametrize("allow_http", [False, True])
    def test_refuses_malformed(self, url: str, *, allow_http: bool) -> None:
        """An endpoint that is not a plain http or https URL of a host is refused, and the error names the entry."""
        with pytest.raises(ConfigError, match=r"^s3: endpoint_url: "):
            check_url(url, allow_http=allow_http, owner="s3")

    @pytest.mark.parametrize(
        "host",
        [
            "169.254.169.254",
            "169.254.169.254.",
            "169.254.169.254:80",
            "169.254.170.2",
            "[fe80::1]",
            "[fe80::1%25eth0]",
            "[::ffff:169.254.169.254]",
            "[::ffff:a9fe:a9fe]",
            "[64:ff9b::a9fe:a9fe]",
            "[2002:a9fe:a9fe::]",
            "[fd00:ec2::254]",
            "100.100.100.200",
            "192.0.0.192",
            "2852039166",
            "0xa9fea9fe",
            "0xA9FEA9FE",
            "169.254.43518",
            "169.16689662",
            "0251.0376.0251.0376",
            "0xa9.0xfe.0xa9.0xfe",
        ],
    )
    @pytest.mark.parametrize("scheme", ["http", "https"])
    def test_refuses_where_instance_secrets_live(self, scheme: str, host: str) -> None:
        """Link-local addresses are refused in every spelling, even if plain http is allowed."""
        with pytest.raises(ConfigError, match=r"^s3: endpoint_url: "):
            check_url(f"{scheme}://{host}/", allow_http=True, owner="s3")

    @pytest.mark.parametrize(
        "host",
        [
            "minio.example",
            "10.0.0.7",
            "192.168.0.1",
            "localhost.evil.com",
            "xlocalhost",
            "127.0.0.1.evil.com",
        ],
    )
    def test_refuses_plain_http(self, host: str) -> None:
        """Plain http outside the loopback is refused, and the error says how to allow it."""
        with pytest.raises(ConfigError, match=r"plain http .* allow_http=True, --allow-http or BUCKETRY_ALLOW_HTTP=1"):
            check_url(f"http://{host}", allow_http=False, owner="s3")
        assert check_url(f"http://{host}", allow_http=True, owner="s3").hostname == host

    @EACH
    def test_allow_http_is_the_configurations(self, cloud: str) -> None:
        """The entry `allow_http` decides, and the error names the provider."""
        with pytest.raises(ConfigError, match=rf"{CLOUDS[cloud][1].name}: endpoint_url: .*plain http"):
            endpoint(cloud, endpoint_url="http://minio.example")
        found = endpoint(cloud, endpoint_url="http://minio.example", allow_http=True)
        assert found.url == "http://minio.example"

    def test_scheme_and_host_are_in_lower_case(self) -> None:
        """Other code asks whether a URL begins with `http://`; the path stays as it is."""
        found = endpoint("generic", endpoint_url="HTTP://MINIO.Example:9000/Base", allow_http=True)
        assert found.url == "http://minio.example:9000/Base"

    @pytest.mark.parametrize(
        "url",
        [
            f"https://user:{SECRET}@minio.example",
            f"https://{SECRET}@minio.example",
            f"https://user:{SECRET}@minio.example:99999",
            f"https://minio.example/?X-Amz-Signature={SECRET}",
            f"https://minio.example/#{SECRET}",
            f"ftp://user:{SECRET}@minio.example",
            f"http://user:{SECRET}@169.254.169.254",
            f"user:{SECRET}@minio.example",
            "https://@minio.example",
        ],
    )
    def test_refuses_user_info_without_showing_it(self, url: str) -> None:
        """An endpoint that may hold a secret is refused by a message that does not repeat it."""
        with pytest.raises(ConfigError, match=r"^s3: endpoint_url: holds user info, a query") as caught:
            check_url(url, allow_http=True, owner="s3")
        assert SECRET not in str(caught.value)

    @given(st.text(max_size=60).map(lambda text: f"https://{text}") | st.text(max_size=60))
    def test_any_text_is_refused_or_plain(self, url: str) -> None:
        """Every accepted text is scheme, host, port and path, exactly as written."""
        try:
            parts = check_url(url, allow_http=False, owner="s3")
        except ConfigError:
            return
        port = f":{parts.port}" if parts.port is not None else ""
        host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
        assert url.lower() == f"{parts.scheme}://{host}{port}{parts.path.lower()}"

    @given(st.ip_addresses(network="169.254.0.0/16") | st.ip_addresses(network="fe80::/10"))
    def test_any_link_local_address_is_refused(self, address: object) -> None:
        """The whole link-local range is refused, not only the well-known address."""
        host = f"[{address}]" if ":" in str(address) else str(address)
        with pytest.raises(ConfigError, match="link-local"):
            check_url(f"https://{host}", allow_http=True, owner="s3")

    @given(st.ip_addresses(v=4))
    def test_plain_http_by_address(self, address: Any) -> None:
        """Of all IPv4 addresses, only those of the loopback may use plain http."""
        try:
            check_url(f"http://{address}", allow_http=False, owner="s3")
        except ConfigError:
            assert not address.is_loopback
        else:
            assert address.is_loopback


class TestCheckBucket:
    """Valid and invalid bucket names."""

    @pytest.mark.parametrize(
        "name", ["abc", "my-bucket", "my.bucket.v1", "Old_Bucket", "1bucket", "v1.2", "a" * 63, "1.2.3.4.5"]
    )
    def test_takes(self, name: str) -> None:
        """Names that a vendor allows are accepted."""
        check_bucket(name, wasabi.VENDOR)

    @pytest.mark.parametrize(
        "name",
        [
            "",
            "ab",
            "a" * 64,
            "-abc",
            "abc-",
            ".abc",
            "abc.",
            "a..b",
            "a/b",
            "../etc",
            "a b c",
            "abc?",
            "abc#",
            "abc@evil.com",
            "abc%2f",
            "abc\n",
            "a\\bc",
            "bücket",
            "192.168.0.1",
            "999.1.1.1",
            "s3://bucket",
            "https://bucket",
        ],
    )
    def test_refuses(self, name: str) -> None:
        """Names that no vendor allows, or that would change the URL, are refused by name."""
        with pytest.raises(ConfigError, match=r"^wasabi: bucket_name: .* is not a bucket name"):
            check_bucket(name, wasabi.VENDOR)

    @EACH
    def test_is_checked_by_resolve(self, cloud: str) -> None:
        """`resolve` refuses a malformed bucket."""
        with pytest.raises(ConfigError, match="bucket_name"):
            endpoint(cloud, bucket_name="evil.com/x")

    @pytest.mark.parametrize(
        "arn",
        [
            ARN,
            "arn:aws-cn:s3:cn-north-1:123456789012:accesspoint:my-point",
            "arn:aws:s3-outposts:us-west-2:123456789012:outpost/op-1/accesspoint/my-point",
            "arn:aws:s3::123456789012:accesspoint/mfzwi23gnjvgw.mrap",
        ],
    )
    def test_access_points_of_aws(self, arn: str) -> None:
        """Only AWS has access points, which are named by an ARN."""
        check_bucket(arn, aws.VENDOR)
        with pytest.raises(ConfigError, match="bucket_name"):
            check_bucket(arn, r2.VENDOR)

    @pytest.mark.parametrize(
        "arn",
        [
            "arn:aws:s3:::my-bucket",
            "arn:evil:s3:us-west-2:123456789012:accesspoint/x",
            "arn:aws:s3:us-west-2:12:accesspoint/x",
            "arn:aws:s3:us-west-2:123456789012:accesspoint/../x",
            "arn:aws:s3:x.evil.com/:123456789012:accesspoint/x",
            "arn:aws:sqs:us-west-2:123456789012:queue",
            f"{ARN}\n",
        ],
    )
    def test_refuses_other_arns(self, arn: str) -> None:
        """An ARN of something other than an access point is refused."""
        with pytest.raises(ConfigError, match="bucket_name"):
            check_bucket(arn, aws.VENDOR)

    @given(st.text(max_size=70))
    def test_any_name_is_refused_or_harmless(self, name: str) -> None:
        """Every accepted name is one path segment of plain characters."""
        try:
            check_bucket(name, r2.VENDOR)
        except ConfigError:
            return
        assert name.isascii()
        assert not set(name) & set("/\\?#@:% \t\r\n")
        assert name not in {".", ".."}


class TestAddressing:
    """Path or virtual host."""

    @pytest.mark.parametrize(
        ("cloud", "bucket", "asked", "style"),
        [
            ("s3", "my-bucket", "auto", "virtual"),
            ("s3", "my.bucket", "auto", "path"),
            ("s3", "My_Bucket", "auto", "path"),
            ("s3", "my-bucket", "path", "path"),
            ("s3", "my-bucket", "virtual", "virtual"),
            ("s3", ARN, "virtual", "virtual"),
            ("generic", "my-bucket", "auto", "path"),
            ("generic", "my-bucket", "virtual", "virtual"),
            ("minio as aws", "my-bucket", "auto", "path"),
            ("minio as aws", "my-bucket", "virtual", "virtual"),
            ("spaces", "my-bucket", "auto", "path"),
            ("wasabi", "my-bucket", "auto", "path"),
            ("b2", "my-bucket", "virtual", "virtual"),
            ("r2", "my-bucket", "auto", "path"),
        ],
    )
    def test_style(self, cloud: str, bucket: str, asked: str, style: str) -> None:
        """By default the row decides for the vendor's hosts; a name with a dot, or another host, uses path style."""
        elsewhere = {"endpoint_url": "https://minio.example"} if cloud == "minio as aws" else {}
        cloud = "s3" if elsewhere else cloud
        assert endpoint(cloud, bucket_name=bucket, addressing_style=asked, **elsewhere).addressing_style == style

    @pytest.mark.parametrize("bucket", ["my.bucket", "My-Bucket", "my_bucket"])
    @EACH
    def test_refuses_an_impossible_host(self, cloud: str, bucket: str) -> None:
        """A configured virtual host that no certificate covers is refused; path style is not used instead."""
        with pytest.raises(ConfigError, match="addressing_style: 'virtual' needs"):
            endpoint(cloud, bucket_name=bucket, addressing_style="virtual")


class TestWarning:
    """The warning for an unknown region."""

    @pytest.mark.parametrize("provider", [S3Provider, WasabiProvider])
    def test_it_points_at_the_caller(self, provider: type[S3Provider | WasabiProvider]) -> None:
        """The warning names the caller's line that makes the provider, not a line of the package."""
        keys = {"access_key_id": ACCESS, "secret_access_key": SECRET}
        with pytest.warns(UserWarning, match="mars-1") as caught:
            provider({"bucket_name": "my-bucket", "region": "mars-1", **keys})
        assert caught[0].filename == __file__


class TestEndpoint:
    """The identity of an endpoint, and the settings of one provider."""

    @EACH
    def test_carries_credentials_and_options(self, cloud: str) -> None:
        """An endpoint has its whole identity and the provider's settings."""
        found = endpoint(
            cloud, ca_bundle="/ca.pem", connect_timeout=3, read_timeout=4, total_timeout=6, max_connections=5
        )
        assert (found.access_key, found.secret_key) == (ACCESS, SECRET)
        assert found.ca_bundle == "/ca.pem"
        assert found.timeouts == Timeouts(connect=3, read=4, pool=4, total=6)
        assert found.max_connections == 5
        assert found.session_token == (TOKEN if cloud in {"s3", "generic"} else None)

    @EACH
    def test_anonymous(self, cloud: str) -> None:
        """With `anonymous`, the identity has no key and is marked as anonymous."""
        nobody = dict.fromkeys(("access_key_id", "secret_access_key", "session_token", "key_id", "application_key"))
        found = resolve(
            CLOUDS[cloud][0].of({**CLOUDS[cloud][2], **_known(cloud, nobody), "anonymous": True}), CLOUDS[cloud][1]
        )
        assert (found.anonymous, found.access_key, found.secret_key) == (True, None, None)
        assert not endpoint(cloud).anonymous

    def test_profile(self) -> None:
        """A profile of the shared configuration files is part of the identity."""
        found = resolve(S3Config(bucket_name="my-bucket", profile="work"), aws.VENDOR)
        assert (found.profile, found.access_key, found.secret_key) == ("work", None, None)

    @EACH
    def test_equal_configurations_share_a_client(self, cloud: str) -> None:
        """Two providers with the same endpoint and credentials have one identity, for all buckets."""
        one, other = endpoint(cloud), endpoint(cloud, bucket_name="other-bucket")
        assert one == other
        assert hash(one) == hash(other)

    @pytest.mark.parametrize(
        "entries",
        [
            {"secret_access_key": "other"},
            {"access_key_id": "other"},
            {"region": "eu-west-1"},
            {"endpoint_url": "https://minio.example"},
            {"ca_bundle": "/ca.pem"},
            {"anonymous": True, "access_key_id": None, "secret_access_key": None},
        ],
        ids=lambda entries: next(iter(entries)),
    )
    def test_different_ones_do_not(self, entries: dict[str, Any]) -> None:
        """Endpoints differ if their servers, certificate authorities or accounts differ."""
        assert endpoint("wasabi", **entries) != endpoint("wasabi")

    @pytest.mark.parametrize(
        "entries",
        [
            {"addressing_style": "virtual"},
            {"connect_timeout": 1.5},
            {"read_timeout": 1.5},
            {"pool_timeout": 1.5},
            {"total_timeout": 1.5},
            {"max_connections": 1},
            {"max_attempts": 1},
            {"transport": "aiobotocore"},
        ],
        ids=lambda entries: next(iter(entries)),
    )
    def test_settings_are_not_compared(self, entries: dict[str, Any]) -> None:
        """Endpoints with different settings of their providers are equal, and share connections."""
        assert endpoint("wasabi", **entries) == endpoint("wasabi")

    @EACH
    def test_hides_secrets(self, cloud: str) -> None:
        """Neither `repr` nor `str` contains a credential."""
        found = endpoint(cloud)
        assert not any(secret in f"{found!r} {found}" for secret in (ACCESS, SECRET, TOKEN))

    @EACH
    def test_pickles(self, cloud: str) -> None:
        """A pickled identity is complete."""
        found = endpoint(cloud)
        assert pickle.loads(pickle.dumps(found)) == found
        assert copy.deepcopy(found) == found
