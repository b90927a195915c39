"""Expectation-maximisation, made quick: squared extrapolation that never lowers the objective.

Varadhan and Roland, "Simple and globally convergent methods for accelerating the convergence of any EM
algorithm" (Scandinavian Journal of Statistics, 2008), scheme S3, on logits.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.special import expit, logit

from features.columns import Doubles

SURE = 1e-9

Step = Callable[[Doubles], tuple[Doubles, float]]
"""One round of EM: probabilities → better ones, and the objective at the given ones."""


@dataclass(frozen=True, slots=True)
class Patience:
    """When to stop: no probability that is watched moves by more than `tolerance` in a round, or `rounds`."""

    tolerance: float = 1e-5
    rounds: int = 500


USUAL = Patience()
LONG = Patience(rounds=4_000)
ROUGH = Patience(tolerance=1e-4, rounds=1_000)
FEW = Patience(tolerance=1e-4, rounds=120)
"""Each round is a pass over the whole log."""


@dataclass(frozen=True, slots=True, eq=False)
class Climb:
    """Where EM ended.

    Attributes:
        values: the probabilities.
        objectives: the objective before each accepted round, never falling.
        converged: within the patience.
    """

    values: Doubles
    objectives: tuple[float, ...]
    converged: bool


def climb(step: Step, start: Doubles, patience: Patience, watched: int) -> Climb:
    """Rounds of EM from `start` until the first `watched` probabilities stand still."""
    here, trace = np.clip(start, SURE, 1 - SURE), []
    spent = 0
    while spent < patience.rounds:
        first, value = step(here)
        second, _ = step(first)
        trace.append(value)
        leap = extrapolated(here, first, second)
        landed, reached = step(leap)
        _, plain = step(second)
        spent += 4
        after = landed if reached >= plain else second
        moved = float(np.abs(after - here)[:watched].max(initial=0.0))
        here = np.clip(after, SURE, 1 - SURE)
        if moved < patience.tolerance:
            return Climb(here, (*trace, step(here)[1]), True)
    return Climb(here, (*trace, step(here)[1]), False)


def extrapolated(start: Doubles, first: Doubles, second: Doubles) -> Doubles:
    """Where the rounds seem to lead to."""
    zero, one, two = (logit(np.clip(each, SURE, 1 - SURE)) for each in (start, first, second))
    change, bend = one - zero, (two - one) - (one - zero)
    size = float(np.sqrt(np.square(bend).sum()))
    if size < SURE:
        return second
    length = min(-1.0, -float(np.sqrt(np.square(change).sum())) / size)
    far: Doubles = expit(np.clip(zero - 2 * length * change + length**2 * bend, -20, 20))
    return far
