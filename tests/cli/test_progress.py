"""The text of the progress display, with a clock of the test."""

from __future__ import annotations

import asyncio
import io
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from bucketry import MemoryProvider, StorageManager, SyncProgress, TransferConfig
from bucketry._cli.counts import Counts
from bucketry._cli.expected import counting, measure
from bucketry._cli.output import shown_duration
from bucketry._core.units import KiB, MiB
from bucketry._core.values import Progress
from bucketry._runtime.threads import in_steps
from bucketry.errors import AccessDeniedError
from bucketry.testing import Fault, FaultyProvider


class Clock:
    """A clock that the test sets."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        """Give the time."""
        return self.now


@pytest.fixture
def clock() -> Clock:
    """Return a clock that stands still."""
    return Clock()


def reporting(counts: Counts, key: str, total: int | None) -> Callable[[int], None]:
    """Give a function that reports more bytes of a key, as a transfer does; it begins at zero."""
    transferred = 0

    def add(count: int) -> None:
        nonlocal transferred
        transferred += count
        counts.report(Progress(transferred, total, key, count))

    add(0)
    return add


def test_a_file_shows_bytes_percent_rate_and_time_left(clock: Clock) -> None:
    """The size is shown before the first byte; rate and time left are calculated from the moved bytes."""
    counts = Counts(clock)
    counts.expect(8 * MiB, 1)
    assert counts.text() == "0 %  0 B of 8.0 MiB  files 0 of 1"
    add = reporting(counts, "k", 8 * MiB)
    clock.now = 2.0
    add(2 * MiB)
    assert counts.text() == "25 %  2.0 MiB of 8.0 MiB  1.0 MiB/s  0:06 left  files 0 of 1"
    add(6 * MiB)
    assert counts.text() == "100 %  8.0 MiB of 8.0 MiB  4.0 MiB/s  0:00 left  files 1 of 1"


def test_a_download_learns_its_size_from_the_first_report(clock: Clock) -> None:
    """The size of one object is known from its first report."""
    counts = Counts(clock)
    reporting(counts, "k", 3 * KiB)
    assert counts.text() == "0 %  0 B of 3.0 KiB  files 0 of 1"


def test_a_stream_of_unknown_length_has_no_end(clock: Clock) -> None:
    """Without a size only bytes and rate are shown."""
    counts = Counts(clock)
    add = reporting(counts, "k", None)
    clock.now = 1.0
    add(KiB)
    assert counts.text() == "1.0 KiB  1.0 KiB/s"


def test_a_part_that_is_sent_again_counts_once(clock: Clock) -> None:
    """A negative increment subtracts bytes, and the file no longer counts as complete."""
    counts = Counts(clock)
    counts.expect(2 * KiB, 2)
    one, two = reporting(counts, "a", KiB), reporting(counts, "b", KiB)
    one(KiB)
    two(KiB)
    assert counts.text().endswith("files 2 of 2")
    two(-KiB)
    assert (counts.moved, counts.text().partition("%")[0]) == (KiB, "50 ")
    assert counts.text().endswith("files 1 of 2")


@pytest.mark.parametrize("reports", [1, 2])
def test_an_empty_file_counts_once(reports: int, clock: Clock) -> None:
    """An empty object is complete when it begins, and is not counted again when it ends."""
    counts = Counts(clock)
    counts.expect(0, 1)
    for _ in range(reports):
        counts.report(Progress(0, 0, "k", 0))
    assert counts.text() == "0 B of 0 B  files 1 of 1"


def test_a_total_that_grows_has_a_plus(clock: Clock) -> None:
    """While a listing still counts, a plus marks total, time left and files as minimum values."""
    counts = Counts(clock)
    counts.expect(0, 0, complete=False)
    assert counts.text() == "0 B  files 0"  # no total that is smaller than what is done
    counts.expect(4 * KiB, 4, complete=False)
    add = reporting(counts, "k", KiB)
    clock.now = 1.0
    add(KiB)
    assert counts.text() == "25 %  1.0 KiB of 4.0 KiB+  1.0 KiB/s  0:03 left+  files 1 of 4+"
    counts.expect(4 * KiB, 4)
    assert "+" not in counts.text()


def test_the_rate_is_of_the_last_seconds(clock: Clock) -> None:
    """The rate of a stalled transfer falls to zero within ten seconds, for every rate before."""
    counts = Counts(clock)
    counts.expect(100 * MiB, 1)
    add = reporting(counts, "k", 100 * MiB)
    for second in range(1, 31):
        clock.now = float(second)
        add(MiB)
    assert "1.0 MiB/s" in counts.text()
    clock.now = 60.0
    assert "  0 B/s" in counts.text()
    assert "left" not in counts.text()


@pytest.mark.parametrize("size", [999, 1_000, 10_000, 5 * MiB, 3 * 1024**3])
def test_there_is_one_system_of_units(size: int, clock: Clock) -> None:
    """Bytes and rates have binary units, such as MiB."""
    counts = Counts(clock)
    clock.now = 1.0
    reporting(counts, "k", None)(size)
    assert re.fullmatch(r"[\d.]+ (B|KiB|MiB|GiB)  [\d.]+ (B|KiB|MiB|GiB)/s", counts.text())


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0:00"), (0.1, "0:01"), (59.5, "1:00"), (61, "1:01"), (3_600, "1:00:00"), (3_723, "1:02:03")],
)
def test_durations(seconds: float, text: str) -> None:
    """Durations are whole seconds, minutes and hours, rounded up."""
    assert shown_duration(seconds) == text


async def test_a_directory_is_measured_as_it_is_uploaded(tmp_path: Path) -> None:
    """Links to files are counted; links to directories, broken links and staged files are not."""
    (tmp_path / "sub/deep").mkdir(parents=True)
    (tmp_path / "sub/deep/f").write_bytes(bytes(100))
    (tmp_path / "empty").touch()
    (tmp_path / "link").symlink_to("sub/deep/f")
    (tmp_path / "tree").symlink_to("sub")
    (tmp_path / "broken").symlink_to("nowhere")
    (tmp_path / ".bucketry-0123456789abcdef.part").write_bytes(bytes(7))
    assert await in_steps(measure(str(tmp_path))) == (200, 3)


async def test_a_prefix_is_counted_meanwhile(clock: Clock) -> None:
    """While the context is open, a listing counts the objects without directory markers."""
    provider, counts = MemoryProvider(), Counts(clock)
    for key, data in (("a/1", b"12"), ("a/2", b""), ("a/sub/", b""), ("b", b"1234")):
        await provider.put(key, data)
    async with counting(provider, "a/", counts):
        assert counts.text() == "0 B  files 0"  # no total that is smaller than what is done
        for _ in range(100):  # the listing needs a few rounds of the loop
            await asyncio.sleep(0)
    assert counts.text() == "0 %  0 B of 2 B  files 0 of 2"


async def test_a_count_that_fails_or_is_left_is_no_error(clock: Clock) -> None:
    """After an error of the listing, or a transfer that ends before it, the total stays marked as incomplete."""
    told = asyncio.Event()

    async def tell() -> None:
        told.set()

    denied = Fault(operation="list_page", hook=tell, error=AccessDeniedError("no"))
    for fault in (denied, Fault(operation="list_page", hook=tell, hang=True)):
        told.clear()
        counts = Counts(clock)
        provider = FaultyProvider(MemoryProvider(), (fault,))
        async with counting(provider, "", counts):
            await told.wait()
        assert counts.text() == "0 B  files 0"  # no total that is smaller than what is done


LONG = "data/run-1/a-rather-long-directory/of-a-rather-long-experiment/checkpoint-00012345.safetensors"


def test_the_largest_running_transfers_are_known(clock: Clock) -> None:
    """The largest come first; those that are complete or ended are left out, and so are those that fell silent."""
    counts = Counts(clock)
    counts.expect(100 * MiB, 9)
    for number, size in enumerate((3, 9, 1, 7)):
        reporting(counts, f"k{number}", size * MiB)(MiB)
    assert [step.key for step in counts.largest(5)] == ["k1", "k3", "k0"]
    assert [step.key for step in counts.largest(2)] == ["k1", "k3"]
    assert counts.largest(0) == []
    counts.ended("k1")
    assert [step.key for step in counts.largest(5)] == ["k3", "k0"]
    clock.now = 50.0
    reporting(counts, "k4", None)(MiB)
    clock.now = 61.0
    assert [step.key for step in counts.largest(5)] == ["k4"]


def test_a_single_file_needs_no_lines(clock: Clock) -> None:
    """The line of the whole transfer says everything about one file."""
    counts = Counts(clock)
    reporting(counts, "k", MiB)(KiB)
    assert counts.largest(5) == []


def drawn(counts: Counts, width: int, height: int) -> list[str]:
    """Return the lines that a terminal of this size shows."""
    console = pytest.importorskip("rich.console")
    screen = pytest.importorskip("bucketry._cli.screen")
    file = io.StringIO()
    console.Console(file=file, width=width, height=height, force_terminal=True, color_system=None).print(
        screen.Screen("upload", counts), end=""
    )
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", file.getvalue()).splitlines()


@pytest.mark.parametrize(
    ("width", "height", "lines"), [(80, 24, 6), (200, 24, 6), (80, 4, 3), (40, 24, 7), (12, 24, 9)]
)
def test_the_drawing_fits_into_the_terminal(width: int, height: int, lines: int, clock: Clock) -> None:
    """Every line is shorter than the terminal is wide; there are as many lines as fit, at most 5 for files."""
    counts = Counts(clock)
    counts.expect(100 * MiB, 9)
    for number in range(8):
        reporting(counts, LONG.replace("1", str(number)), (number + 2) * MiB)(MiB)
    clock.now = 2.0
    shown = drawn(counts, width, height)
    assert all(len(line) < width for line in shown)
    if width > 12:
        assert len(shown) == lines
        assert shown[0].startswith("upload ")
    if width >= 80:
        assert shown[0].endswith("8 %  8.0 MiB of 100.0 MiB  4.0 MiB/s  0:23 left  files 0 of 9")
        assert re.fullmatch(r"  data/run-7/a.+safetensors +11 % +1\.0 MiB of 9\.0 MiB", shown[1])
        assert ("…" in shown[1]) == (width == 80)


def test_keys_cannot_change_the_terminal(clock: Clock) -> None:
    """Control characters in keys are escaped, and square brackets are not taken for colours."""
    counts = Counts(clock)
    counts.expect(MiB, 2)
    reporting(counts, "a\x1b[2Jb", KiB)(1)
    reporting(counts, "[red]c[/red]", 2 * KiB)(1)
    shown = drawn(counts, 80, 24)
    assert "  [red]c[/red]" in shown[1]
    assert r'"a\u001b[2Jb"' in shown[2]


async def test_a_sync_knows_its_running_transfers(tmp_path: Path, clock: Clock) -> None:
    """The reports of a sync name the transfers under way with their bytes, and the display shows them."""
    for name in ("a", "b"):
        (tmp_path / name).write_bytes(bytes(3 * MiB))
    reports: list[SyncProgress] = []
    transfer = TransferConfig(part_size=MiB, multipart_threshold=MiB)
    manager = StorageManager(MemoryProvider(), transfer=transfer)
    await manager.sync(tmp_path, "p/", direction="upload", progress=reports.append)
    assert {one.key for report in reports for one in report.running} <= {"a", "b"}
    assert all(one.total == 3 * MiB for report in reports for one in report.running)
    assert reports[0].running
    counts = Counts(clock)
    counts.report_all(reports[0])
    assert counts.largest(5) == sorted(reports[0].running, key=lambda one: one.key)
