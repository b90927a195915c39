"""Lifts with their intervals, and why some cannot be told."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Literal

import numpy as np

from cascade.lift.tally import BAGS, Tally
from features.columns import Doubles

LEVEL = 0.95
ANY_ORDER = "any order"
"""What the first stage is compared with: all orders of a page, each as likely."""

Word = Literal["earns", "costs", "not surely other", "cannot tell"]


@dataclass(frozen=True, slots=True)
class Limits:
    """What must be there before a lift is told.

    Attributes:
        pages: that the stage scored. `people`: that saw them, roughly.
        effective: pages that the weighted ones are worth (Kish).
    """

    pages: int = 500
    people: int = 100
    effective: float = 100.0


@dataclass(frozen=True, slots=True)
class Between:
    """A value within its interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Lift:
    """What one stage earns against the one before it.

    Attributes:
        stage, against: the stages; the first one is compared with `ANY_ORDER`.
        pages: that the stage scored. `people`: who saw them, by linear counting.
        ran: share of all pages that the stage scored.
        before: clicks a page in the order before the stage.
        lift: clicks a page more after it.
        relative: the same over `before`; both lack alike what clicks this process did not see.
        effective: pages that the weighted ones are worth.
        verdict: by the interval. `refused`: why nothing can be told; empty where something can.
    """

    stage: str
    against: str
    pages: float
    people: float
    ran: float
    before: float
    lift: Between
    relative: Between
    effective: float
    verdict: Word
    refused: tuple[str, ...] = ()


def lifts(tally: Tally, limits: Limits | None = None, level: float = LEVEL) -> tuple[Lift, ...]:
    """One a stage, in the cascade's order."""
    return tuple(lift_of(tally, row, limits or Limits(), level) for row in range(len(tally.stages)))


def lift_of(tally: Tally, row: int, limits: Limits, level: float) -> Lift:
    """The lift of one stage."""
    pages, before, after = tally.pages[row], tally.before[row], tally.after[row]
    people, effective = counted(pages), effective_pages(tally, row)
    why = tuple(refusals(float(pages.sum()), people, effective, float(before.sum()), limits))
    lift = ratio(after - before, pages, level)
    return Lift(
        stage=tally.stages[row],
        against=tally.stages[row - 1] if row else ANY_ORDER,
        pages=float(pages.sum()),
        people=people,
        ran=float(pages.sum() / max(tally.seen.sum(), 1e-9)),
        before=ratio(before, pages, level).value,
        lift=lift,
        relative=ratio(after - before, before, level),
        effective=effective,
        verdict="cannot tell" if why else worded(lift),
        refused=why,
    )


def ratio(sums: Doubles, sizes: Doubles, level: float) -> Between:
    """Σs/Σn over bags by Student's t on the linearised ratio.

    se = √(c/(c - 1) Σ (s - V·n)²) / Σn over the c bags that have anything (Cochran, "Sampling Techniques",
    1977, 6.3).
    """
    there = (sizes > 0) | (sums != 0)
    count, total = int(there.sum()), float(sizes.sum())
    if total <= 0:
        return Between(0.0, -np.inf, np.inf)
    value = float(sums.sum()) / total
    if count < 2:
        return Between(value, -np.inf, np.inf)
    spread = float(((sums - value * sizes)[there] ** 2).sum()) * count / (count - 1)
    reach = student(count - 1, level) * spread**0.5 / total
    return Between(value, value - reach, value + reach)


@cache
def student(freedom: int, level: float) -> float:
    """The quantile of Student's t that an interval of this level reaches to."""
    from scipy.special import stdtrit  # 25 MB and .2 s that a server whose lifts nobody reads need not spend

    return float(stdtrit(freedom, (1 + level) / 2))


def counted(pages: Doubles) -> float:
    """About how many persons are in the bags: -b ln(empty/b); at most what so many bags can tell.

    Linear counting: Whang, Vander-Zanden and Taylor, "A Linear-time Probabilistic Counting Algorithm for
    Database Applications" (TODS 1990).
    """
    empty = max(int((pages <= 0).sum()), 1)
    return max(0.0, float(-BAGS * np.log(empty / BAGS)))


def effective_pages(tally: Tally, row: int) -> float:
    """(Σw)² / Σw² in pages, of the order before or after, whichever is worth less."""
    pages, items = float(tally.pages[row].sum()), float(tally.items[row])
    squares = tally.square[row]
    if not items or not squares.all():
        return 0.0
    return float((tally.weight[row] ** 2 / squares).min()) * pages / items


def refusals(pages: float, people: float, effective: float, before: float, limits: Limits) -> Iterator[str]:
    """Reasons not to tell a lift."""
    if pages < limits.pages:
        yield f"{pages:.0f} pages; at least {limits.pages} are needed"
    if people < limits.people:
        yield f"about {people:.0f} people; at least {limits.people} are needed"
    if pages and effective < limits.effective:
        needed = f"at least {limits.effective:.0f} are needed"
        yield f"worth {effective:.0f} pages (effective sample size); {needed}"
    if pages and before <= 0:
        yield "nothing was clicked"


def worded(lift: Between) -> Word:
    """The verdict of an interval."""
    return "earns" if lift.low > 0 else "costs" if lift.high < 0 else "not surely other"
