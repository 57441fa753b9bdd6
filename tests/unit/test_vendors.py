"""The vendors' rows: consistent, with dates and sources, and without unmeasured features."""

from __future__ import annotations

import dataclasses
import re
from datetime import date
from decimal import Decimal
from importlib import import_module
from pathlib import Path
from string import Formatter
from urllib.parse import urlsplit

import pytest

from bucketry import _vendors
from bucketry._core.capabilities import Capabilities
from bucketry._core.config import MAX_PART_SIZE, PART_SIZE
from bucketry._core.units import GiB, KiB, TiB
from bucketry._cost.estimate import figures
from bucketry._vendors.prices import KINDS
from bucketry._vendors.row import Vendor
from bucketry.providers import StorageProviderFactory
from bucketry.providers.builtin import BUILTIN
from bucketry.providers.url import SCHEMES

MODULES = ("aws", "spaces", "wasabi", "backblaze", "r2", "generic", "local", "memory")
ROWS: dict[str, Vendor] = {name: import_module(f"bucketry._vendors.{name}").VENDOR for name in MODULES}
CLOUDS = ("aws", "spaces", "wasabi", "backblaze", "r2")
CONDITIONAL_WRITES = ("put_if_none_match", "complete_if_none_match", "put_if_match", "complete_if_match")
CHECKSUMS = {"crc64nvme", "crc32c", "crc32", "sha256"}
GB = 10**9
TB = 10**12

EACH = pytest.mark.parametrize("row", ROWS.values(), ids=ROWS)
EACH_CLOUD = pytest.mark.parametrize("row", [ROWS[name] for name in CLOUDS], ids=CLOUDS)


def test_every_module_is_tested() -> None:
    """Each row of the package is tested here."""
    folder = Path(next(iter(_vendors.__path__)))
    found = {path.stem for path in folder.glob("*.py")} - {"__init__", "row", "endpoint", "prices"}
    assert found == set(MODULES)


class TestNames:
    """The names of a row."""

    @EACH
    def test_the_name_is_one_of_the_factorys(self, row: Vendor) -> None:
        """A row's name, which is shown in messages, is a name of the factory for the same provider."""
        assert row.name in StorageProviderFactory.get_registered_providers()

    @EACH
    def test_the_scheme_leads_to_the_name(self, row: Vendor) -> None:
        """A row's URL, which is shown in messages, can be opened, and gives the provider of that name."""
        assert BUILTIN[SCHEMES[row.scheme]] == BUILTIN[row.name]

    def test_titles_are_unique(self) -> None:
        """The capability table in the docs has one column for each title."""
        assert len({row.title for row in ROWS.values()}) == len(ROWS)


class TestLimits:
    """The numbers of one row fit together."""

    @EACH
    def test_sizes_are_positive(self, row: Vendor) -> None:
        """Every number of the capabilities is a positive int."""
        for entry in dataclasses.fields(Capabilities):
            value = getattr(row.capabilities, entry.name)
            if isinstance(value, int) and not isinstance(value, bool):
                assert value > 0, entry.name

    @EACH
    def test_parts_reach_the_largest_object(self, row: Vendor) -> None:
        """The largest number of the largest parts can hold the largest object."""
        limits = row.capabilities
        assert limits.max_parts * limits.max_part_size >= limits.max_object_size

    @EACH
    def test_sizes_are_in_order(self, row: Vendor) -> None:
        """A part is at most as large as an object, and no limit of one request exceeds that of the object."""
        limits = row.capabilities
        assert limits.min_part_size <= limits.max_part_size <= limits.max_object_size
        assert limits.max_put_size <= limits.max_object_size
        assert limits.max_copy_size <= limits.max_object_size

    @EACH
    def test_threshold_leaves_no_gap(self, row: Vendor) -> None:
        """An object below the threshold fits in one PUT, and one at the threshold is at least one part."""
        limits = row.capabilities
        assert limits.min_part_size <= limits.multipart_threshold <= limits.max_put_size

    @EACH
    def test_default_part_size_is_allowed(self, row: Vendor) -> None:
        """Every vendor accepts the package's default part size."""
        assert row.capabilities.min_part_size <= PART_SIZE <= row.capabilities.max_part_size

    @EACH_CLOUD
    def test_configurable_parts_fit(self, row: Vendor) -> None:
        """Every cloud's largest part can be configured."""
        assert row.capabilities.max_part_size <= MAX_PART_SIZE

    @EACH
    def test_batches_are_at_most_a_thousand(self, row: Vendor) -> None:
        """S3's limits for listing and bulk delete apply everywhere, even if a vendor accepts more."""
        assert row.capabilities.max_list_keys <= 1_000
        assert row.capabilities.max_delete_keys <= 1_000

    def test_parts_never_pay_on_a_disk(self) -> None:
        """The local disk uses parts for no size by default."""
        assert ROWS["local"].capabilities.multipart_threshold >= ROWS["local"].capabilities.max_put_size


class TestConditions:
    """The conditions of a row."""

    @EACH
    def test_the_summary_is_of_all_conditional_writes(self, row: Vendor) -> None:
        """The summary is true only if all four conditional writes are enforced."""
        held = [getattr(row.capabilities, name) for name in CONDITIONAL_WRITES]
        assert row.capabilities.conditional_put is all(held)


class TestChecksums:
    """The checksums that are sent, checked and stored."""

    @EACH
    def test_algorithms_are_known(self, row: Vendor) -> None:
        """No row names an algorithm that the package cannot compute."""
        assert set(row.capabilities.checksums) <= CHECKSUMS

    @EACH
    def test_whole_sums_can_be_combined(self, row: Vendor) -> None:
        """A checksum of the whole object is declared only if the parts' checksums can be combined."""
        limits = row.capabilities
        assert not limits.full_object_checksum or (limits.multipart_checksum or "").startswith("crc")

    @EACH
    def test_checksums_lists_each_once(self, row: Vendor) -> None:
        """The summary has each sent and each stored checksum once."""
        limits = row.capabilities
        used = {limits.put_checksum, limits.multipart_checksum, *limits.stored_checksums} - {None}
        assert set(limits.checksums) == used
        assert len(limits.checksums) == len(used)


class TestPresigning:
    """The requests that can be signed."""

    @EACH
    def test_methods_are_http_methods(self, row: Vendor) -> None:
        """The methods are some of the four for an object, each once."""
        methods = row.capabilities.presign_methods
        assert set(methods) <= {"GET", "PUT", "HEAD", "DELETE"}
        assert len(methods) == len(set(methods))

    @EACH
    def test_expiry_is_within_sigv4(self, row: Vendor) -> None:
        """No row allows more than SigV4's seven days."""
        assert row.capabilities.max_presign_expiry <= 7 * 24 * 3_600


class TestEndpoints:
    """Endpoints of a row, and the vendor's hosts."""

    HOSTS = (
        ("aws", "s3.amazonaws.com", {"region": None}),
        ("aws", "s3.eu-central-1.amazonaws.com", {"region": "eu-central-1"}),
        ("aws", "s3-us-west-2.amazonaws.com", {"region": "us-west-2"}),
        ("aws", "s3.dualstack.eu-west-1.amazonaws.com", {"region": "eu-west-1"}),
        ("aws", "s3-fips.us-gov-west-1.amazonaws.com", {"region": "us-gov-west-1"}),
        ("aws", "s3-fips.dualstack.us-east-2.amazonaws.com", {"region": "us-east-2"}),
        ("aws", "s3.cn-north-1.amazonaws.com.cn", {"region": "cn-north-1"}),
        ("aws", "s3.eusc-de-east-1.amazonaws.eu", {"region": "eusc-de-east-1"}),
        ("aws", "s3-accelerate.amazonaws.com", {"region": None}),
        ("aws", "s3-accelerate.dualstack.amazonaws.com", {"region": None}),
        ("aws", "s3-external-1.amazonaws.com", {"region": None}),
        ("aws", "bucket.vpce-1a2b-5e6f.s3.us-east-1.vpce.amazonaws.com", {"region": "us-east-1"}),
        ("spaces", "nyc3.digitaloceanspaces.com", {"region": "nyc3"}),
        ("wasabi", "s3.wasabisys.com", {"region": None}),
        ("wasabi", "s3.ap-northeast-2.wasabisys.com", {"region": "ap-northeast-2"}),
        ("backblaze", "s3.us-west-004.backblazeb2.com", {"region": "us-west-004"}),
        ("r2", f"{'0a' * 16}.r2.cloudflarestorage.com", {"account_id": "0a" * 16, "jurisdiction": None}),
        ("r2", f"{'0a' * 16}.eu.r2.cloudflarestorage.com", {"account_id": "0a" * 16, "jurisdiction": "eu"}),
    )

    @pytest.mark.parametrize(("module", "host", "named"), HOSTS, ids=lambda value: str(value)[:40])
    def test_own_hosts(self, module: str, host: str, named: dict[str, str | None]) -> None:
        """The pattern matches the vendor's hosts, and reads region or account from them."""
        match = re.fullmatch(ROWS[module].endpoint_host, host)
        assert match is not None
        assert match.groupdict() == named

    @pytest.mark.parametrize(("module", "host"), [(module, host) for module, host, _ in HOSTS])
    @pytest.mark.parametrize("wrong", ["{}.evil.com", "evil{}", "{}x", "x/{}", "{}/", "{}\n", "{}."])
    def test_foreign_hosts(self, module: str, host: str, wrong: str) -> None:
        """Hosts that only resemble the vendor's do not match."""
        assert re.fullmatch(ROWS[module].endpoint_host, wrong.format(host)) is None

    @EACH
    def test_a_row_has_all_of_an_endpoint_or_nothing(self, row: Vendor) -> None:
        """A row has template, pattern, regions and prices, or, if it is not a cloud, none of them."""
        assert len({bool(one) for one in (row.endpoint_template, row.endpoint_host, row.regions, row.prices)}) == 1

    @EACH_CLOUD
    def test_dots_are_escaped(self, row: Vendor) -> None:
        """A dot in a pattern matches only a dot, so no similar domain matches."""
        domain = urlsplit(row.endpoint_template).netloc.rpartition("}")[2].lstrip(".")
        host = row.endpoint_template.format(region=row.regions[0], account_id="0" * 32, jurisdiction="").removeprefix(
            "https://"
        )
        assert re.fullmatch(row.endpoint_host, host)
        assert re.fullmatch(row.endpoint_host, host.replace(domain, domain.replace(".", "x"))) is None

    @EACH_CLOUD
    def test_template(self, row: Vendor) -> None:
        """A template is an https URL without a path, with fields that configurations have."""
        names = {name for _, name, _, _ in Formatter().parse(row.endpoint_template) if name}
        assert names in ({"region"}, {"account_id", "jurisdiction"})
        assert row.endpoint_template.startswith("https://")
        assert urlsplit(row.endpoint_template).path == ""

    @EACH_CLOUD
    def test_every_region_has_a_host_of_the_vendor(self, row: Vendor) -> None:
        """For each known region, the template gives a host that the pattern matches with the same region."""
        for region in row.regions:
            url = row.endpoint_template.format(region=region, account_id="0" * 32, jurisdiction=".eu")
            match = re.fullmatch(row.endpoint_host, urlsplit(url).hostname or "")
            assert match is not None, region
            assert match.groupdict().get("region", region) == region

    @EACH
    def test_regions(self, row: Vendor) -> None:
        """Regions are host labels, each listed once."""
        assert len(row.regions) == len(set(row.regions))
        assert all(re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", region) for region in row.regions)


class TestThrottling:
    """Answers for too many requests."""

    @EACH
    def test_429_always_counts(self, row: Vendor) -> None:
        """In every row, a 429 without a code means throttling; botocore does not treat it so."""
        assert 429 in row.throttle_statuses


class TestPrices:
    """Prices have units, dates and sources, and are plausible."""

    @EACH_CLOUD
    def test_every_figure_has_a_day_and_a_page(self, row: Vendor) -> None:
        """Each figure of a cloud was read on a day, on an https page that the row's sources name."""
        assert row.prices is not None
        for price in figures(row.prices):
            assert price.source.as_of >= date(2026, 7, 1)
            assert urlsplit(price.source.url).scheme == "https"
            assert price.source.url == row.sources["prices"]

    @EACH_CLOUD
    def test_a_unit_says_how_many_it_has(self, row: Vendor) -> None:
        """The name of each unit fits its number of bytes or requests, and prices are decimal numbers."""
        units = {"GB": GB, "GiB": GiB, "TB of 1,024 GiB": TiB, "million": 10**6, "month": 1}
        assert row.prices is not None
        for price in figures(row.prices):
            assert units[price.unit] == price.per
            assert isinstance(price.dollars, Decimal)
            assert price.dollars >= 0

    @EACH_CLOUD
    def test_numbers_are_plausible(self, row: Vendor) -> None:
        """Storage costs a few dollars a TB, and each kind of request belongs to one class of requests."""
        assert row.prices is not None
        for one in row.prices.classes:
            if one.storage is not None:
                assert 5 < one.storage.dollars * TB / one.storage.per < 30
                kinds = [kind for request in one.requests for kind in request.kinds]
                assert sorted(kinds) == sorted(KINDS)
            assert one.minimum_days in {0, 30, 90}
            assert one.minimum_object_size in {0, 4 * KiB, 128 * KiB}

    @EACH_CLOUD
    def test_remarks_are_parts_of_sentences(self, row: Vendor) -> None:
        """Notes and missing prices are written so that a sentence can have several of them."""
        assert row.prices is not None
        for text in (*row.prices.notes, *row.prices.missing):
            assert text
            assert not text.endswith((".", ";"))


class TestSources:
    """The sources of the facts."""

    @EACH_CLOUD
    def test_clouds_name_sources(self, row: Vendor) -> None:
        """Limits or endpoints, conditions, checksums and prices have a source each."""
        assert {"conditions", "checksums", "prices"} <= row.sources.keys()

    @EACH
    def test_sources_are_public_addresses(self, row: Vendor) -> None:
        """Every source is an https URL without user info."""
        for kind, address in row.sources.items():
            parts = urlsplit(address)
            assert parts.scheme == "https", kind
            assert "." in parts.netloc, kind
            assert "@" not in parts.netloc, kind


class TestRows:
    """Rows are values."""

    @EACH
    def test_rows_are_frozen(self, row: Vendor) -> None:
        """A row cannot be changed."""
        with pytest.raises(dataclasses.FrozenInstanceError):
            row.name = "other"  # type: ignore[misc]  # the test is of the refusal
        with pytest.raises(dataclasses.FrozenInstanceError):
            row.capabilities.max_parts = 1  # type: ignore[misc]  # the test is of the refusal
