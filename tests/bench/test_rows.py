"""The benchmarks' rows, their bounds, and the reports that are made from their results."""

from __future__ import annotations

import sys
from xml.etree import ElementTree as ET

import pytest

if sys.platform != "linux":
    pytest.skip("the benchmarks need Linux", allow_module_level=True)

from benchmarks.clients.cold import command
from benchmarks.harness.bench import QUICK, SHORT, Scale, clean_environment
from benchmarks.harness.child import CLIENTS
from benchmarks.harness.figures import Measure, compare
from benchmarks.harness.latency_chart import latency_svg
from benchmarks.harness.proxy import Link
from benchmarks.harness.results import RowResult
from benchmarks.harness.table import markdown
from benchmarks.harness.task import Sample, Task
from benchmarks.rows import (
    adaptive,
    cold,
    download,
    download_tls,
    facts,
    far,
    get_medium,
    get_small,
    head,
    lanes,
    listing,
    loop,
    memory,
    planning,
    put_small,
    start,
    sync,
    tree,
    upload,
    upload_tls,
)
from benchmarks.rows.catalogue import ROWS, chosen
from benchmarks.rows.settings import best

BOUNDS = [
    (get_small.TARGETS, {"aiobotocore": 15.0, "obstore": 3.0}),
    (get_medium.TARGETS, {"aiobotocore": 12.0, "obstore": 2.5}),
    (head.TARGETS, {"aiobotocore": 20.0, "obstore": 2.5}),
    (put_small.TARGETS, {"aiobotocore": 13.0, "obstore": 2.2}),
    (put_small.TLS_TARGETS, {"aiobotocore": 12.0, "obstore": 2.0}),
    (download.TARGETS, {"aiobotocore": 2.5, "s3fs": 5.0, "obstore": 1.2, "rclone": 1.2}),
    (download.CPU_TARGETS, {"obstore": 0.75}),
    (download_tls.TARGETS, {"obstore": 1.1, "aiobotocore": 2.0}),
    (upload.TARGETS, {"aiobotocore": 2.0, "obstore": 1.0}),
    (upload.CPU_TARGETS, {"obstore": 0.8}),
    (listing.TARGETS, {"aiobotocore": 30.0, "obstore": 2.5}),
    (tree.TARGETS, {"s3fs": 4.0, "rclone": 1.2, "obstore": 1.0}),
    (loop.LIMIT, 3.0),
    (memory.LIMIT, 16.0),
    (start.LIMITS, {"import": 20.0, "list": 200.0, "help": 120.0}),
    (
        {work: peers["obstore"] for work, peers in far.PEERS.items()},
        {"first GET": 1.3, "1 MiB": 1.15, "tree": 1.0, "256 MiB down": 0.9, "256 MiB up": 0.95},
    ),
    (far.LINK, Link(round_trip=0.02)),
    (cold.PEERS["obstore"], 2.0),
    (upload_tls.TARGETS, {"aiobotocore": 1.4, "obstore": 1.2}),
    (upload_tls.CPU_TARGETS, {"obstore": 0.7}),
    (facts.TARGET, 0.9),
    (lanes.TARGET, 0.8),
    (lanes.LANES, (1, 2, 4, 8, 16, 32)),
    (adaptive.TARGET, 0.9),
    ({link.round_trip for link in adaptive.LINKS.values()}, {0.001, 0.02, 0.1}),
    (sync.TARGETS["rclone"], {sync.FIRST: 1.0, sync.NOTHING: 1.5}),
    (planning.LIMIT, 64.0),
]
"""What the project has set itself to reach: a change of a row must change this table, too."""


def sample(seconds: float) -> Sample:
    """Make a sample of a run of this duration."""
    return Sample(seconds=seconds, count=1, size=1_000_000, cpu=0.1, memory=0, block=None, late=None)


def times(name: str, peer: str, ours: float, theirs: float, target: float | None = None) -> Measure:
    """Compare two times."""
    pairs = [(sample(ours), sample(theirs))]
    return compare(name, "ms", peer, pairs, far.milliseconds, target=target, at_most=True)


@pytest.mark.parametrize(("found", "expected"), BOUNDS)
def test_the_bounds_are_those_of_the_project(found: object, expected: object) -> None:
    """Each row compares with the bound that is written down for it."""
    assert found == expected


def test_every_row_is_in_the_catalogue() -> None:
    """The catalogue knows rows 1 to 20, and those that another row measures or needs."""
    numbers = [part for number in ROWS for part in number.split("+")]
    assert sorted(numbers, key=lambda number: (int(number.rstrip("b")), number)) == [
        "1",
        "1b",
        *map(str, range(2, 21)),
    ]
    assert [row.number for row in chosen(["14", "13"], [])] == ["13", "14"]
    assert [row.number for row in chosen(["5"], [])] == ["4+5"]


def test_all_scales_measure_enough_pairs() -> None:
    """A run whose results are kept has at least five pairs for each target; the quick one has one, of small sizes."""
    assert Scale().pairs >= 5
    assert SHORT.pairs >= 5
    assert SHORT.starts >= 5
    assert QUICK.pairs == 1
    assert QUICK.far_files < SHORT.far_files
    assert QUICK.adaptive < SHORT.adaptive


def test_a_cold_process_is_a_program_for_each_client() -> None:
    """Each program is valid Python with the endpoint in it, and imports nothing of the harness."""
    for peer in ("bucketry", *(peer for peer in cold.PEERS if peer != "rclone")):
        task = Task(work="cold", endpoint="https://127.0.0.1:1", ca_bundle="/ca.pem", key="cold-0", concurrency=0)
        arguments, _ = command(peer, task)
        compile(arguments[-1], peer, "exec")
        assert "https://127.0.0.1:1" in arguments[-1]
        assert "/ca.pem" in arguments[-1]
        assert "benchmarks" not in arguments[-1]


def test_the_peers_of_all_works_are_clients() -> None:
    """A peer of row 13 has a module in `clients`."""
    assert {peer for peers in far.PEERS.values() for peer in peers} <= set(CLIENTS)


def test_a_busy_proxy_is_refused() -> None:
    """A run in which the proxy used most of a core is not kept: it shows the proxy, not the client."""
    quiet = Sample(seconds=1.0, count=1, size=1, cpu=0.1, memory=0, block=None, late=None, proxy=0.3)
    far.not_the_limit([quiet])
    busy = Sample(seconds=1.0, count=1, size=1, cpu=0.1, memory=0, block=None, late=None, proxy=0.9)
    with pytest.raises(AssertionError, match="90%"):
        far.not_the_limit([quiet, busy])


def test_the_best_setting_has_the_highest_median() -> None:
    """One very quick run of another setting does not make it the best."""
    rounds = [{1: sample(1.0), 2: sample(0.5)}, {1: sample(0.1), 2: sample(0.5)}, {1: sample(1.0), 2: sample(0.5)}]
    assert best(rounds) == 2


def test_the_latency_chart_shows_every_client() -> None:
    """The chart has one bar for each client of each work, the times, and bucketry's limit; other rows are not in it."""
    measures = [
        times("first GET", "obstore", 0.15, 0.06, target=1.3),
        times("first GET", "boto3", 0.15, 0.14),
        times("1,000 files", "rclone", 1.4, 5.5),
    ]
    result = RowResult(
        number="13",
        title="20 ms away",
        measured="2026-01-01T00:00:00+00:00",
        seconds=1.0,
        quick=False,
        load=0.0,
        environment={
            "machine": {"cpu": "", "cores": 2, "memory_GiB": 1, "system": ""},
            "python": "",
            "openssl": "",
            "versions": {},
        },
        measures=measures,
        series={},
    )
    root = ET.fromstring(latency_svg([result]))  # noqa: S314 - our own
    texts = ["".join(each.itertext()) for each in root.iter("{http://www.w3.org/2000/svg}text")]
    classes = [each.get("class") for each in root.iter("{http://www.w3.org/2000/svg}rect")]
    assert classes == ["page", "missed", "peer", "peer", "ours", "peer"]
    assert [text for text in texts if text in {"obstore", "boto3", "rclone", "bucketry"}].count("bucketry") == 2
    assert {"150 ms", "60 ms", "140 ms", "1.40 s", "5.50 s"} <= set(texts)
    assert len([each for each in root.iter("{http://www.w3.org/2000/svg}line") if each.get("class") == "goal"]) == 1
    assert latency_svg([]).endswith("</svg>\n")
    assert "| first GET, ms | **150**" in markdown([result])


def test_clients_start_without_the_settings_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """No variable that configures a client, or keeps Python from storing modules, reaches a measured process."""
    for name in ("AWS_PROFILE", "RCLONE_TRANSFERS", "HTTPS_PROXY", "PYTHONDONTWRITEBYTECODE"):
        monkeypatch.setenv(name, "1")
    assert (
        not {"AWS_PROFILE", "RCLONE_TRANSFERS", "HTTPS_PROXY", "PYTHONDONTWRITEBYTECODE"} & clean_environment().keys()
    )
