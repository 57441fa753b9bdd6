"""The command line: measures rows, writes the report, or only runs the servers."""

from __future__ import annotations

import argparse
import os
import signal
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.harness import results
from benchmarks.harness.bench import QUICK, SHORT, Bench, Scale, open_bench
from benchmarks.harness.chart import svg
from benchmarks.harness.environment import environment
from benchmarks.harness.latency_chart import latency_svg
from benchmarks.harness.serve import serve
from benchmarks.harness.table import markdown, summary
from benchmarks.rows.catalogue import ROWS, chosen
from benchmarks.rows.row import Row

RESULTS = Path(__file__).parent / "results"
PAGE = Path(__file__).parents[1] / "docs" / "explanation" / "performance.md"
BEGIN, END = "<!-- results -->\n", "<!-- end of results -->\n"


def main() -> None:
    """Run the command of the arguments."""
    arguments = _arguments()
    # On SIGTERM, too, the blocks end, which stops the servers and removes the files.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("terminated"))
    if arguments.rows == ["report"]:
        if not (arguments.results / "latest.json").exists():
            sys.exit(f"benchmarks: {arguments.results} holds no results")
        report(arguments.results)
    elif arguments.rows == ["serve"]:
        with open_bench(_scale(arguments), {}, arguments.server) as bench:
            serve(bench, arguments.round_trip)
    else:
        run(arguments)


def run(arguments: argparse.Namespace) -> None:
    """Measure the chosen rows, and write the report after each; gives 1 if a row could not be measured."""
    pythons = {"aioboto3": arguments.aioboto3_python} if arguments.aioboto3_python else {}
    quick: bool = arguments.quick
    # Published results are measured in full, with the row of facts that a custom endpoint gets by default.
    published = not quick and arguments.server == "generic"
    directory: Path | None = arguments.results if published or arguments.results != RESULTS else None
    rows = results.load(directory / "latest.json") if directory else {}
    try:
        selected = chosen(arguments.rows, rows)
        described = environment(pythons, arguments.server)
    except (ValueError, FileNotFoundError) as error:
        sys.exit(f"benchmarks: {error}")
    failed = []
    with open_bench(_scale(arguments), pythons, arguments.server) as bench:
        for row in selected:
            bench.earlier = {number: known.series for number, known in rows.items()}
            try:
                rows[row.number] = _measure(row, bench, described)
            except (AssertionError, RuntimeError) as error:  # the other rows are still measured
                print(f"  failed: {error}", file=sys.stderr, flush=True)
                failed.append(row.number)
                continue
            print(summary(rows[row.number]), flush=True)
            if directory:
                results.save(directory / "latest.json", rows, list(ROWS))
                report(directory)
    if failed:
        sys.exit(f"benchmarks: failed: {', '.join(failed)}")


def report(directory: Path) -> None:
    """Write table and charts from the results; committed results are also written to the documentation."""
    rows = list(results.load(directory / "latest.json").values())
    (directory / "latest.md").write_text(markdown(rows))
    (directory / "latest.svg").write_text(svg(rows))
    (directory / "latest-latency.svg").write_text(latency_svg(rows))
    if directory == RESULTS and PAGE.exists():
        before, _, rest = PAGE.read_text().partition(BEGIN)
        table = markdown(rows).replace("# Results", "## The last run", 1).replace("\n## ", "\n### ")
        PAGE.write_text(f"{before}{BEGIN}{table}{END}{rest.partition(END)[2]}")
        PAGE.with_suffix(".svg").write_text(svg(rows))
        PAGE.with_name(f"{PAGE.stem}-latency.svg").write_text(latency_svg(rows))


def _measure(row: Row, bench: Bench, described: dict[str, object]) -> results.RowResult:
    print(f"{row.number}: {row.title}", flush=True)
    if missing := [number for number in row.needs if number not in bench.earlier]:
        message = f"it needs the samples of {', '.join(missing)}"
        raise RuntimeError(message)
    bench.series = {}
    measured, started, load = datetime.now(UTC), time.monotonic(), os.getloadavg()[0]
    measures = row.measure(bench)
    return results.RowResult(
        number=row.number,
        title=row.title,
        measured=measured.isoformat(timespec="seconds"),
        seconds=time.monotonic() - started,
        quick=bench.scale is QUICK,
        load=load,
        environment=described,
        measures=measures,
        series=bench.series,
    )


def _scale(arguments: argparse.Namespace) -> Scale:
    if arguments.quick:
        return QUICK
    return SHORT if arguments.short else Scale()


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("rows", nargs="*", help=f"of {', '.join(ROWS)}; all, if none is named; or: report, serve")
    length = parser.add_mutually_exclusive_group()
    length.add_argument(
        "--quick", action="store_true", help="one pair of small sizes, to see that all works; keeps no results"
    )
    length.add_argument(
        "--short", action="store_true", help="five pairs where there is a target, one where there is none"
    )
    parser.add_argument(
        "--server",
        choices=("generic", "aws"),
        default="generic",
        help="bucketry's row of facts: what a custom endpoint gets by default, or AWS's, which keeps no results",
    )
    parser.add_argument("--results", type=Path, default=RESULTS, help="directory of latest.json, .md and the charts")
    parser.add_argument("--round-trip", type=float, default=0.0, help="of serve: seconds between client and server")
    parser.add_argument("--aioboto3-python", help="interpreter that has aioboto3, which pins an older aiobotocore")
    return parser.parse_args()


if __name__ == "__main__":
    main()
