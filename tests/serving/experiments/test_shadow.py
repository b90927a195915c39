"""Shadow rankings: how they are compared, and what becomes of those that fail."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry
from scipy import stats

from cascade.experiments.shadows import ShadowLog, read_shadows
from cascade.ranker import Ranker
from cascade.request import RankRequest
from cascade.testing import prices
from serving.experiments.metrics import ExperimentMetrics
from serving.experiments.shadow import Shadow, Task, overlap_of, tau_of
from serving.settings import Shadows
from serving.testing import Broken, ByColumn, Gate, ranker

REQUEST = RankRequest(prices([1.0, 2.0, 3.0]))
CONTROL = ranker(version="old").rank(REQUEST)


@given(order=st.permutations(range(14)), top=st.integers(1, 14))
@settings(max_examples=60, deadline=None)
def test_tau_is_kendalls(order: list[int], top: int) -> None:
    """Over the first items of either ranking it is what scipy computes of their places."""
    control, other = np.arange(14), np.array(order)
    rows = sorted({*control[:top].tolist(), *other[:top].tolist()})
    places = [other.tolist().index(row) for row in rows]
    wanted = stats.kendalltau(rows, places).statistic if len(rows) > 1 else 1.0
    assert tau_of(control, other, top) == pytest.approx(wanted)


def test_overlap_is_a_share_of_the_first() -> None:
    """The control's first items that are among the other's first; nothing to compare is all alike."""
    assert overlap_of(np.arange(6), np.array([2, 1, 5, 4, 3, 0]), 3) == pytest.approx(2 / 3)
    assert overlap_of(np.empty(0, np.int64), np.empty(0, np.int64)) == 1.0
    assert tau_of(np.empty(0, np.int64), np.empty(0, np.int64)) == 1.0


def outcomes(metrics: ExperimentMetrics) -> dict[str, float]:
    """What became of shadows."""
    samples = (sample for metric in metrics.shadows.collect() for sample in metric.samples)
    return {each.labels["outcome"]: each.value for each in samples if each.name.endswith("_total")}


def run(tmp_path: Path, *rankers: Ranker, log: Any = None, **how: Any) -> dict[str, float]:
    """The outcomes of a shadow of each ranker, once all have ended."""
    metrics = ExperimentMetrics(CollectorRegistry())
    store = log or ShadowLog(tmp_path, lambda: "p")
    shadow = Shadow(Shadows(**{"queue": 10, **how}), metrics, store, lambda: 5.0)
    gate = Gate()
    shadow.offer(task(ranker(gate, version="last")))
    assert gate.entered.acquire(timeout=20)
    for one in rankers:
        shadow.offer(task(one))
    last = Gate()
    shadow.offer(task(ranker(last, version="very_last")))
    gate.opened.release()
    assert last.entered.acquire(timeout=20)
    last.opened.release()
    shadow.close()
    return outcomes(metrics)


def task(shadow: Ranker) -> Task:
    """The request for a shadow."""
    return Task("demo", "test", "r", shadow, REQUEST, CONTROL)


def test_a_shadow_that_fails_is_a_result(tmp_path: Path) -> None:
    """It is counted and told by its error's name, and the next one is ranked."""
    broken = ranker(Broken(), version="new", on_error="fail")
    found = run(tmp_path, broken, ranker(ByColumn(), version="new"))
    assert found == {"failed": 1.0, "ran": 3.0}
    lines = [line for line in read_shadows(tmp_path, "demo", "test") if line.version == "new"]
    assert sorted((line.failed, line.overlap) for line in lines) == [("", 1.0), ("RuntimeError", 0.0)]
    assert {line.time for line in lines} == {5.0}


def test_a_log_that_cannot_be_written_hurts_nobody(tmp_path: Path, logs: list[dict[str, Any]]) -> None:
    """The figures stay in the metrics, and the server's log says why they are nowhere else."""

    class Full:
        def append(self, *_: Any) -> None:
            raise OSError("No space left on device")

    assert run(tmp_path, log=Full()) == {"ran": 2.0}
    assert len([each for each in logs if each["event"] == "shadow_not_logged"]) == 2


def test_shadows_end_with_the_server(tmp_path: Path) -> None:
    """What is offered after the end is dropped."""
    metrics = ExperimentMetrics(CollectorRegistry())
    shadow = Shadow(Shadows(), metrics, None, lambda: 5.0)
    shadow.close()
    gate = Gate()
    gate.opened.release()
    shadow.offer(task(ranker(gate, version="new")))
    assert gate.entered.acquire(timeout=20)
    shadow.close()
    shadow.offer(task(ranker(version="new")))
    assert outcomes(metrics) == {"ran": 1.0, "dropped": 1.0}
