"""Shared by the rows that compare settings of bucketry: each setting against the best of all."""

from __future__ import annotations

import statistics
from collections.abc import Hashable, Mapping, Sequence
from typing import TypeVar

from benchmarks.harness.bench import Bench
from benchmarks.harness.figures import Measure, compare
from benchmarks.harness.task import Sample
from benchmarks.rows.big_objects import throughput

Setting = TypeVar("Setting", bound=Hashable)


def best(rounds: Sequence[Mapping[Setting, Sample]]) -> Setting:
    """Give the setting with the highest median of its throughput."""
    return max(rounds[0], key=lambda setting: statistics.median(throughput(each[setting]) for each in rounds))


def against_best(
    bench: Bench,
    name: str,
    rounds: Sequence[Mapping[Setting, Sample]],
    names: Mapping[Setting, str],
    *,
    target: float,
) -> list[Measure]:
    """Compare every setting with the best one, in the pairs of the same round."""
    top = best(rounds)
    measures = []
    for setting, called in names.items():
        pairs = [(each[setting], each[top]) for each in rounds]
        bench.series.setdefault(name, {})[called] = pairs
        measures.append(compare(f"{name}, {called}", "MB/s", f"best: {names[top]}", pairs, throughput, target=target))
    return measures
