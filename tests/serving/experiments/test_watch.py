"""When a server notices an experiment, loads its arms, and lets go of them."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from cascade.experiments.declared import Experiment
from cascade.experiments.lifecycle import Experiments
from features.columns import Input, Kind
from features.errors import Conflict, Corrupt, NotReady
from serving.convert import reads_of
from serving.experiments.metrics import ExperimentMetrics
from serving.experiments.watch import RETRY_S, Watching, together
from serving.rankers import Served
from serving.testing import ranker


def served(version: str) -> Served:
    """A loaded ranker."""
    made = ranker(version=version)
    return Served(made, reads_of(made.inputs))


def experiment(name: str = "test", control: str = "old") -> Experiment:
    """A canary of two arms."""
    arms = (control, "new")
    return Experiment(name=name, kind="canary", arms=arms, shares=(0.5, 0.5), seed=1, started="2026-11-20")


OLD = served("old")


@dataclass
class Bench:
    """A watch whose store, clock, loads and background a test steers."""

    running: Experiment | None = None
    trouble: Exception | None = None
    broken: bool = False
    now: float = 0.0
    asked: int = 0
    loads: list[str] = field(default_factory=list)
    waiting: list[Callable[[], None]] = field(default_factory=list)
    at_once: bool = True

    def __post_init__(self) -> None:
        self.metrics = ExperimentMetrics(CollectorRegistry())
        self.watching = Watching(
            self, self.get, 1.0, self.metrics, clock=lambda: self.now, background=self.background
        )

    def experiments(self, tenant: str, ranker: str) -> Experiments:
        """What the store says."""
        self.asked += 1
        if self.trouble:
            raise self.trouble
        return Experiments(self.running)

    def get(self, tenant: str, name: str) -> Served:
        """What the catalogue has."""
        self.loads.append(f"{tenant}/{name}")
        if self.broken:
            raise NotReady("failed its checks")
        return served(name.partition("@")[2])

    def background(self, work: Callable[[], None]) -> None:
        """Now or later."""
        work() if self.at_once else self.waiting.append(work)

    def named(self, name: str = "", by: Served = OLD) -> str:
        """The experiment that a request would take part in."""
        found = self.watching.trial("demo", name, by)
        return found.experiment.name if found else ""


def test_it_is_looked_for_now_and_then() -> None:
    """The store is asked once a period, by whichever request comes first, and never for pinned versions."""
    bench = Bench()
    assert [bench.named() for _ in range(5)] == [""] * 5
    assert bench.asked == 1
    bench.running = experiment()
    assert (bench.named(), bench.asked) == ("", 1)
    bench.now = 1.0
    assert (bench.named(), bench.named("default"), bench.asked) == ("test", "test", 2)
    assert bench.loads == ["demo/default@new"]
    assert bench.named("default@old") == ""
    bench.running, bench.now = None, 2.0
    assert bench.named() == ""


def test_it_begins_once_all_arms_are_loaded() -> None:
    """Until then the control answers everybody; an experiment that ended meanwhile does not begin."""
    bench = Bench(running=experiment(), at_once=False)
    assert bench.named() == ""
    bench.waiting.pop()()
    assert bench.named() == "test"
    bench.running, bench.now = experiment("second"), 1.0
    assert bench.named() == ""
    bench.running, bench.now = experiment("third"), 2.0
    assert bench.named() == ""
    late, last = bench.waiting
    late()
    assert bench.named() == ""
    last()
    assert bench.named() == "third"


def test_an_arm_that_fails_is_tried_again_later() -> None:
    """Not at every look, since a load is dear, but once in a while, since someone may have mended it."""
    bench = Bench(running=experiment(), broken=True)
    for now in (0.0, 1.0, 2.0):
        bench.now = now
        assert bench.named() == ""
    assert len(bench.loads) == 1
    bench.broken, bench.now = False, RETRY_S
    assert bench.named() == "test"


@pytest.mark.parametrize("trouble", [OSError("gone"), Corrupt("no JSON")])
def test_a_store_out_of_reach_changes_nothing(trouble: Exception) -> None:
    """What ran goes on, and what did not does not begin."""
    bench = Bench(running=experiment())
    assert bench.named() == "test"
    bench.trouble, bench.now = trouble, 1.0
    assert bench.named() == "test"
    other = Bench(trouble=trouble)
    assert other.named() == ""


def test_a_control_that_does_not_serve_ends_it_here() -> None:
    """After a promotion the new version answers everybody; after a rollback the experiment goes on."""
    bench = Bench(running=experiment())
    assert (bench.named(), bench.named(by=served("newer")), bench.named()) == ("test", "", "test")
    other = Bench(running=experiment(control="older"))
    assert other.named() == ""
    samples = {
        sample.labels["outcome"]: sample.value
        for metric in other.metrics.begun.collect()
        for sample in metric.samples
        if sample.name.endswith("_total")
    }
    assert samples == {"failed": 1.0}


def test_rankers_have_experiments_of_their_own() -> None:
    """One that runs for a ranker is none of another's."""

    class Two(Bench):
        def experiments(self, tenant: str, ranker: str) -> Experiments:
            return Experiments(experiment() if (tenant, ranker) == ("demo", "default") else None)

    bench = Two()
    assert (bench.named(), bench.named("other")) == ("test", "")
    assert bench.watching.trial("another", "", OLD) is None


def test_columns_of_arms_are_put_together() -> None:
    """All that any arm reads; a column read as another kind than the control reads it is refused."""
    number, text = Input("price", Kind.NUMBER), Input("price", Kind.TEXT)
    title = Input("title", Kind.TEXT)
    both: Any = together([reads_of((number,)), reads_of((number, title))])
    assert both == {"price": {Kind.NUMBER}, "title": {Kind.TEXT}}
    with pytest.raises(Conflict, match="'price' is read as text"):
        together([reads_of((number,)), reads_of((text,))])
