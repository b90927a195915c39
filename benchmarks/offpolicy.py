"""Off-policy evaluation, simulated: how often intervals hold the truth, and what the gate lets through.

`cover`: share of 200 logs, each of a world of its own, in which the 95 % interval of the candidate's clicks a
page holds the truth. Worlds `position`: people follow the position-based model, pages of eight items, 40 % of
them in random order; estimators by logged propensities of each place, and by examination propensities that
are known. Worlds `reading`: people read down and stop (dynamic Bayesian), pages of three items, estimators by
propensities down the page. Worlds `places apart`: three places, each filled from three candidates of its own,
and half of what an item earns is counted as the next one's: independent items must fail there. A person sees
some four pages, and in the first two kinds clicks more or less than others.

`let through`: share of logs in which the gate, fed with a doubly robust estimate, promotes a candidate that
is truly worse than the policy that logged (at most by a tenth: one that is far worse fools nobody), and the
best there is. By labels: a candidate that is no better, nDCG differences of 200 queries with a mean of 0.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np

from benchmarks.harness import Row
from features.columns import Doubles
from training.gate import Evidence, Judged, Limits, Logged, decide
from training.offpolicy.estimate import ROBUST, Estimate, Settings, estimates
from training.offpolicy.slates import Meaning
from training.offpolicy.testing import World
from training.offpolicy.testing_factored import FactoredWorld
from training.significance import interval
from training.simulate.constants import POSITION_BIAS

SHORT = False
LOGS = 200
PAGES = 3_000
SETTINGS = Settings(resamples=500)
NEW, OLD = "new", "old"


@dataclass(frozen=True, slots=True)
class Case:
    """A kind of world: its items a page, how people click, what is logged."""

    name: str
    items: int
    reading: bool
    meaning: Meaning

    def world(self, seed: int) -> World:
        """One of them."""
        return World.drawn(seed, items=self.items, reading=self.reading)

    @property
    def curve(self) -> Doubles | None:
        """Examination by place; None where people do not follow it."""
        return None if self.reading else POSITION_BIAS[: self.items]


CASES = (Case("position", 8, False, "place"), Case("reading", 3, True, "sequential"))


def run() -> Iterator[Row]:
    """Coverage of every estimator, then what the gate lets through."""
    for case in CASES:
        yield from coverage(case.name, partial(covered, case))
    yield from coverage("places apart", apart)
    yield from gate_rows(LOGS)


def coverage(case: str, logs: Callable[[int], Iterable[tuple[Estimate, float]]]) -> Iterator[Row]:
    """How often the intervals of each estimator hold the truth, and how wide they are."""
    held: dict[str, list[bool]] = defaultdict(list)
    width: dict[str, list[float]] = defaultdict(list)
    for seed in range(LOGS):
        for each, truth in logs(seed):
            held[each.name].append(each.value.low <= truth <= each.value.high)
            width[each.name].append(each.value.high - each.value.low)
    for name, found in held.items():
        yield Row(case, f"cover, {name}", 100 * float(np.mean(found)), "%")
        yield Row(case, f"width, {name}", float(np.median(width[name])), "clicks a page")


def covered(case: Case, seed: int) -> Iterator[tuple[Estimate, float]]:
    """Every estimate of one log, and the truth."""
    world = case.world(seed)
    target = world.ranker(seed + 10_000, 0.2)
    slates = world.log(PAGES, seed + 20_000, target, case.meaning)
    truth = world.value(target)
    for each in estimates(slates, case.curve, SETTINGS):
        yield each, truth


def apart(seed: int) -> Iterator[tuple[Estimate, float]]:
    """The same of a world whose places are filled each from its own candidates, and whose credit strays."""
    world = FactoredWorld.drawn(seed, queries=30)
    noise = np.random.default_rng(seed + 10_000).normal(0, 0.2, world.attraction.shape)
    target: Doubles = world.attraction + noise
    truth = world.value(target)
    for each in estimates(world.log(PAGES, seed + 20_000, target), None, SETTINGS):
        yield each, truth


def gate_rows(logs: int) -> Iterator[Row]:
    """The gate on candidates that are worse, and on the best there is, by each family's first estimator."""
    for case in CASES:
        for kind in ("worse", "the best"):
            passed: dict[str, list[bool]] = defaultdict(list)
            for seed in range(logs):
                for family, found in promoted(case, seed, kind == "the best"):
                    passed[family].append(found)
            for family, found_all in passed.items():
                yield Row(case.name, f"let through, {kind}, {family}", 100 * float(np.mean(found_all)), "%")
    labels = [promoted_by_labels(seed) for seed in range(logs)]
    yield Row("labels", "let through, no better", 100 * float(np.mean(labels)), "%")


def promoted(case: Case, seed: int, best: bool) -> Iterator[tuple[str, bool]]:
    """(family, whether the gate lets a candidate through by it) of a simulated log."""
    world = case.world(seed)
    target = world.attraction if best else worse(world, seed)
    slates = world.log(PAGES, seed + 30_000, target, case.meaning)
    for each in estimates(slates, case.curve, SETTINGS):
        if each.method == ROBUST:
            yield each.family, decide(Evidence(NEW, OLD, log=logged(each, len(slates))), Limits()).passed


def logged(each: Estimate, pages: int) -> Logged:
    """An estimate as the gate gets it."""
    found = each.difference
    return Logged(
        "clicks a page", found.value, found.low, found.high, pages,
        NEW, "", {OLD: pages}, {"": pages}, each.refused,
    )  # fmt: skip


def worse(world: World, seed: int) -> Doubles:
    """Scores of a ranker truly worse than the policy that logs, by at most a tenth.

    Those of the ranker that logs, with some of the truth put in or taken out, until that holds.
    """
    logged = world.logged_value()
    random = np.random.default_rng(seed + 40_000)
    while True:
        mixed = world.logging + random.uniform(-2, 2) * world.attraction
        scores: Doubles = mixed + random.normal(0, 0.2, mixed.shape)
        if -0.1 < world.value(scores) / logged - 1 <= 0:
            return scores


def promoted_by_labels(seed: int, queries: int = 200) -> bool:
    """Whether the gate lets one through that is no better, by simulated differences of nDCG."""
    random = np.random.default_rng(seed + 50_000)
    changed = random.random(queries) < 0.6
    differences = np.where(changed, random.normal(0, 0.15, queries), 0.0)
    low, high = interval(differences, seed)
    gain = Judged("nDCG@10", float(differences.mean()), low, high, queries, NEW, OLD)
    return decide(Evidence(NEW, OLD, labels=gain), Limits()).passed
