"""Experiments, simulated: false alarms of somebody who looks all the time, power, pages to a verdict.

Every page is a query of its own with 30 candidates whose attractiveness is drawn anew; rankers see it through
noise. People follow the position-based model, come back as often as heavy tails have it, and click more or
less than others. Somebody looks 24 times, from 100 pages on. `no difference`: both rankers see equally badly.
`better`: the new one sees better. A canary of half of the people judges pages with a click; an interleaving
judges whose items were clicked. `plain`: the same looks at intervals of fixed size.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from benchmarks.harness import Row
from cascade.experiments.draft import drafted, seeded
from features.columns import Doubles, Flags, Rows
from training.experiments.always import Sample, difference, mean
from training.offpolicy.intervals import Interval
from training.simulate.constants import POSITION_BIAS

SHORT = False
RUNS = 100
PAGES, CANDIDATES, PLACES, PEOPLE, LOOKS = 5_000, 30, 10, 2_500, 24
ALPHA, PLAIN = 0.05, 1.96
OLD_NOISE, NEW_NOISE = 0.25, 0.12


@dataclass(frozen=True, slots=True, eq=False)
class World:
    """What one run draws.

    Attributes:
        attractive: float64[p, 30]. `person`: int64[p]. `eager`: float64[p], of the page's person.
        orders: int64[2, p, 30]: the rankings of the old and the new one.
        random: for clicks.
    """

    attractive: Doubles
    person: Rows
    eager: Doubles
    orders: Rows
    random: np.random.Generator

    @classmethod
    def drawn(cls, seed: int, noise: tuple[float, float]) -> "World":
        """A world by its seed and the noise of both rankers."""
        random = np.random.default_rng([seed, 1 << 22])
        attractive = random.beta(1.0, 4.0, (PAGES, CANDIDATES))
        seen = (attractive + spread * random.standard_normal(attractive.shape) for spread in noise)
        orders = np.stack([np.argsort(-each, axis=1) for each in seen])
        sizes = np.minimum(random.zipf(1.8, PEOPLE), 200)
        person = random.permutation(np.repeat(np.arange(PEOPLE), sizes))
        person = np.concatenate([person, random.integers(0, PEOPLE, PAGES)])[:PAGES]
        eager = np.exp(0.5 * random.standard_normal(PEOPLE) - 0.125)[person]
        return cls(attractive, person, eager, orders, random)

    def clicks(self, shown: Rows) -> Flags:
        """bool[p, 10]: clicks on the first places of the pages shown."""
        top = np.take_along_axis(self.attractive, shown[:, :PLACES], axis=1)
        chance = POSITION_BIAS[:PLACES] * np.minimum(top * self.eager[:, None], 1.0)
        return np.asarray(self.random.random(chance.shape) < chance)


Look = Callable[[int], tuple[Sample, Interval | None]]
"""(what a plain interval goes by, the interval that holds at every look) of the first so many pages."""


def canary(world: World) -> Look:
    """Half of the people have the new ranker."""
    new = (world.random.random(PEOPLE) < 0.5)[world.person]
    clicked = world.clicks(np.where(new[:, None], world.orders[1], world.orders[0])).any(axis=1).astype(float)

    def look(pages: int) -> tuple[Sample, Interval | None]:
        sides = (
            Sample.of(clicked[:pages][side], world.person[:pages][side])
            for side in (new[:pages], ~new[:pages])
        )
        mine, control = sides
        error = float(np.hypot(mine.error, control.error))
        both = Sample(mine.mean - control.mean, error, 0.0, pages, 0, 0, 0)
        return both, difference(mine, control, ALPHA)

    return look


def interleaving(world: World) -> Look:
    """Every page is drafted from both."""
    draws = world.random.integers(0, 1 << 62, PAGES).tolist()
    made = [
        drafted([old, new], PLACES, seeded(draw)) for old, new, draw in zip(*world.orders, draws, strict=True)
    ]
    shown, teams = (np.stack([getattr(draft, name) for draft in made]) for name in ("rows", "teams"))
    clicked, teams = world.clicks(shown), teams[:, :PLACES]
    credit = [(clicked & (teams == team)).sum(axis=1) for team in (0, 1)]
    told = (credit[0] + credit[1]) > 0
    value = np.sign(credit[1] - credit[0]).astype(float)

    def look(pages: int) -> tuple[Sample, Interval | None]:
        kept = told[:pages]
        sample = Sample.of(value[:pages][kept], world.person[:pages][kept])
        return sample, mean(sample, ALPHA)

    return look


def run() -> Iterator[Row]:
    """Both kinds in both worlds."""
    for name, begin in (("canary", canary), ("interleaving", interleaving)):
        same = [watched(begin(World.drawn(seed, (OLD_NOISE, OLD_NOISE)))) for seed in range(RUNS)]
        yield Row("no difference", f"false alarms, {name}", share(each[0] for each in same), "%")
        yield Row("no difference", f"false alarms, {name}, plain", share(each[1] for each in same), "%")
        better = [watched(begin(World.drawn(seed, (OLD_NOISE, NEW_NOISE)))) for seed in range(RUNS)]
        yield Row("better", f"found, {name}", share(each[0] for each in better), "%")
        ends = [each[0] or PAGES for each in better]
        yield Row("better", f"pages to the verdict, {name}", float(np.median(ends)), "pages (median)")


def watched(look: Look) -> tuple[int, int]:
    """(pages at which the interval, and at which a plain one, first excluded 0; 0 = never)."""
    first, plain = 0, 0
    for pages in np.unique(np.geomspace(100, PAGES, LOOKS).astype(int)).tolist():
        sample, found = look(pages)
        if found and not found.low <= 0 <= found.high:
            first = first or pages
        if abs(sample.mean) > PLAIN * sample.error > 0:
            plain = plain or pages
    return first, plain


def share(found: Iterator[int]) -> float:
    """Percent of those that are not 0."""
    return 100 * float(np.mean([pages > 0 for pages in found]))
