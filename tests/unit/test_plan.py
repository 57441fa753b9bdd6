"""Plans for parts: every byte is in one part, and the vendor accepts all parts."""

from __future__ import annotations

from dataclasses import replace
from importlib import import_module
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bucketry._core.capabilities import Capabilities
from bucketry._core.config import MIN_PART_SIZE, PART_SIZE
from bucketry._core.units import GiB, MiB
from bucketry._core.values import ByteRange
from bucketry._transfer.one.read import coalesced
from bucketry._transfer.plan import PartPlan, plan_download, plan_upload, stream_part_size
from bucketry._vendors.row import Vendor
from bucketry.errors import ConfigError, UnsupportedError

MODULES = ("aws", "spaces", "wasabi", "backblaze", "r2", "generic", "local", "memory")
ROWS: dict[str, Vendor] = {name: import_module(f"bucketry._vendors.{name}").VENDOR for name in MODULES}
EACH = pytest.mark.parametrize("limits", [row.capabilities for row in ROWS.values()], ids=ROWS)
CLOUDS = [name for name in MODULES if name not in {"local", "memory"}]
EACH_CLOUD = pytest.mark.parametrize("limits", [ROWS[name].capabilities for name in CLOUDS], ids=CLOUDS)


def assert_accepted(plan: PartPlan, limits: Capabilities) -> None:
    """Check a plan against the vendor's limits, by arithmetic instead of iterating over its ranges."""
    last = plan.size - (plan.count - 1) * plan.part_size if plan.count else 0
    assert plan.count <= limits.max_parts
    assert plan.part_size <= limits.max_part_size
    assert plan.count <= 1 or plan.part_size >= limits.min_part_size
    assert 0 <= last <= plan.part_size
    assert bool(last) == bool(plan.size)


class TestRanges:
    """The ranges of a plan."""

    @given(size=st.integers(0, 5_000), part_size=st.integers(1, 700))
    def test_every_byte_is_in_exactly_one_range(self, size: int, part_size: int) -> None:
        """The ranges cover 0 to the size without gap or overlap, and all except the last have equal sizes."""
        plan = PartPlan(size, part_size)
        ranges = list(plan.ranges())
        edges = [0, *(one.end for one in ranges)]
        assert [one.start for one in ranges] == edges[:-1]
        assert edges[-1] == size
        assert len(ranges) == plan.count
        assert {one.size for one in ranges[:-1]} <= {part_size}
        assert all(0 < one.size <= part_size for one in ranges[-1:])

    @given(size=st.integers(0, 10**15), part_size=st.none() | st.integers(MIN_PART_SIZE, 5 * GiB))
    def test_a_download_keeps_the_part_size_asked_for(self, size: int, part_size: int | None) -> None:
        """No vendor limits ranges, so a download uses the configured part size, or 8 MiB."""
        plan = plan_download(size, part_size)
        assert plan.part_size == (part_size or PART_SIZE)
        assert (plan.count - 1) * plan.part_size < size <= plan.count * plan.part_size or plan.count == size == 0


class TestUploads:
    """Plans of uploads, for every vendor."""

    @EACH
    @given(data=st.data())
    def test_every_size_is_accepted_by_the_vendor(self, limits: Capabilities, data: st.DataObject) -> None:
        """Up to the largest object there are never too many, too small or too large parts, or a larger last part."""
        size = data.draw(st.integers(0, limits.max_object_size))
        assert_accepted(plan_upload(size, limits, None, "s3://b/k"), limits)

    @EACH_CLOUD
    @given(data=st.data())
    def test_every_allowed_part_size_is_accepted(self, limits: Capabilities, data: st.DataObject) -> None:
        """A part size within the vendor's limits is used, and is increased only if there were too many parts."""
        size = data.draw(st.integers(0, limits.max_object_size))
        part_size = data.draw(st.integers(limits.min_part_size, limits.max_part_size))
        plan = plan_upload(size, limits, part_size, "s3://b/k")
        assert_accepted(plan, limits)
        assert plan.part_size == part_size or size > part_size * limits.max_parts

    @EACH
    @pytest.mark.parametrize("distance", [-1, 0, 1])
    def test_the_edge_of_the_part_limit(self, limits: Capabilities, distance: int) -> None:
        """For one byte more than all parts of the default size, the parts are larger, and not one more."""
        size = min(PART_SIZE * limits.max_parts + distance, limits.max_object_size)
        plan = plan_upload(size, limits, None, "s3://b/k")
        assert_accepted(plan, limits)
        assert (plan.part_size > PART_SIZE) == (size > PART_SIZE * limits.max_parts)

    @EACH
    def test_the_largest_object_fits(self, limits: Capabilities) -> None:
        """The largest object of the row can be split, and one byte more is refused before any byte is sent."""
        assert_accepted(plan_upload(limits.max_object_size, limits, None, "s3://b/k"), limits)
        with pytest.raises(UnsupportedError, match=r"s3://b/k.*more than"):
            plan_upload(limits.max_object_size + 1, limits, None, "s3://b/k")

    @EACH_CLOUD
    def test_a_part_size_that_the_vendor_refuses(self, limits: Capabilities) -> None:
        """A part size just outside the vendor's limits is refused, and the message gives the limits."""
        for part_size in (limits.min_part_size - 1, limits.max_part_size + 1):
            with pytest.raises(ConfigError, match=str(limits.min_part_size)):
                plan_upload(10 * GiB, limits, part_size, "s3://b/k")
        for part_size in (limits.min_part_size, limits.max_part_size):
            assert plan_upload(10 * GiB, limits, part_size, "s3://b/k").part_size == part_size


class TestStreams:
    """Part sizes for an unknown length."""

    @pytest.mark.parametrize(
        "limits",
        [ROWS[name].capabilities for name in CLOUDS if not ROWS[name].capabilities.equal_part_sizes],
        ids=[name for name in CLOUDS if not ROWS[name].capabilities.equal_part_sizes],
    )
    def test_all_parts_hold_the_largest_object(self, limits: Capabilities) -> None:
        """A stream's parts together can hold the largest object, and all are within the limits."""
        sizes = [stream_part_size(number, limits, None) for number in range(1, limits.max_parts + 1)]
        assert sum(sizes) >= min(limits.max_object_size, 5 * 10**12)
        assert min(sizes) >= limits.min_part_size
        assert max(sizes) <= limits.max_part_size
        assert sizes == sorted(sizes)

    @given(number=st.integers(1, 10_000), part_size=st.none() | st.integers(5 * MiB, GiB))
    def test_equal_parts_stay_equal(self, number: int, part_size: int | None) -> None:
        """R2 accepts only equal parts: every part of a stream has the size of the first."""
        limits = ROWS["r2"].capabilities
        assert stream_part_size(number, limits, part_size) == stream_part_size(1, limits, part_size)

    def test_the_minimum_of_the_vendor_counts(self) -> None:
        """If the vendor's smallest part is larger than 8 MiB, the stream begins with that size."""
        assert stream_part_size(1, replace(Capabilities(), min_part_size=16 * MiB), None) == 16 * MiB


class TestCoalescing:
    """Ranges near each other share a request."""

    @given(
        ranges=st.lists(
            st.tuples(st.integers(0, 400), st.integers(0, 60)).map(lambda one: ByteRange(one[0], sum(one)))
        ),
        gap=st.integers(0, 50),
    )
    def test_every_wanted_byte_is_asked_for_once(self, ranges: list[ByteRange], gap: int) -> None:
        """The joined ranges have each wanted byte once, are further apart than the gap, and contain no longer gap."""
        joined = coalesced(ranges, gap)
        wanted = {at for one in ranges for at in range(one.start, one.end)}
        asked = [at for one in joined for at in range(one.start, one.end)]
        assert wanted <= set(asked)
        assert len(asked) == len(set(asked))
        assert all(after.start - before.end > gap for before, after in pairwise(joined))
        extra = sorted(set(asked) - wanted)
        runs = [at for at in extra if at - 1 not in extra]
        assert all(len([at for at in extra if run <= at < run + gap + 1]) <= gap for run in runs)
        assert len(joined) <= len(ranges)
