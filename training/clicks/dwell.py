"""Dwell as evidence: how much longer a visit was than this document, query and user would lead one to expect.

ln s = μ + β·ln(1 + length) + u_query + u_user + ε, with u drawn from normal distributions (a mixed model with
crossed random intercepts, fitted by EM-like rounds of best linear unbiased prediction: Robinson, 1991). The
evidence is the residual in deviations. Seconds that the browser measured and those that the server infers
from the next request are two quantities with two models. A tab left open says nothing: seconds are capped.

Whether dwell earns anything has to be shown on judged data (`python -m benchmarks dwell`); it is off by
default.
"""

from dataclasses import dataclass

import numpy as np

from features.columns import Doubles, Rows
from features.errors import InvalidInput
from training.clicks.sums import summed

CAP_S = 600.0
LEAST_S = 0.1
UNKNOWN = -1
ROUNDS = 50


@dataclass(frozen=True, slots=True, eq=False)
class Visits:
    """Clicks with their dwell, measured by one side.

    Attributes:
        seconds: float64[n]; NaN = not measured.
        length: float64[n]: of the document, in any unit; NaN = unknown.
        query, user: int64[n]; -1 = unknown.
    """

    seconds: Doubles
    length: Doubles
    query: Rows
    user: Rows


@dataclass(frozen=True, slots=True, eq=False)
class DwellModel:
    """The fitted model; unknown queries and users have the mean of all.

    Attributes:
        mean, slope, middle: μ, β, and the mean log length, which unknown lengths have.
        of_query, of_user: float64[q + 1], float64[u + 1]: intercepts, the last one 0 for unknown ones.
        deviation: of ε.
        cap_s: longer visits count as this long.
    """

    mean: float
    slope: float
    middle: float
    of_query: Doubles
    of_user: Doubles
    deviation: float
    cap_s: float

    def expected(self, visits: Visits) -> Doubles:
        """float64[n]: the usual ln seconds."""
        base = self.mean + self.slope * (self._log_length(visits) - self.middle)
        usual: Doubles = base + taken(self.of_query, visits.query) + taken(self.of_user, visits.user)
        return usual

    def evidence(self, visits: Visits) -> Doubles:
        """float64[n]: deviations above the usual; NaN where dwell was not measured."""
        z: Doubles = (logged(visits.seconds, self.cap_s) - self.expected(visits)) / self.deviation
        return z

    def _log_length(self, visits: Visits) -> Doubles:
        return np.where(np.isfinite(visits.length), np.log1p(visits.length), self.middle)


def logged(seconds: Doubles, cap_s: float) -> Doubles:
    """ln of seconds between a tenth and the cap; NaN stays, and so does what is below 0: no measurement."""
    measured = np.where(seconds >= 0, seconds, np.nan)
    nats: Doubles = np.log(np.clip(measured, LEAST_S, cap_s))
    return nats


def fit_dwell(
    visits: Visits,
    *,
    cap_s: float = CAP_S,
    by_query: bool = True,
    by_user: bool = True,
    by_length: bool = True,
) -> DwellModel:
    """The model of the visits whose dwell was measured.

    Raises:
        InvalidInput: if there are fewer than three.
    """
    y = logged(visits.seconds, cap_s)
    known = np.isfinite(y)
    if known.sum() < 3:
        raise InvalidInput("needs at least three measured visits", path="dwell")
    y, length = y[known], np.log1p(visits.length[known])
    middle = float(np.nanmean(length)) if np.isfinite(length).any() else 0.0
    x = np.where(np.isfinite(length), length, middle) - middle
    groups = [visits.query[known], visits.user[known]]
    sizes = [int(each.max(initial=-1)) + 1 for each in groups]
    effects = [np.zeros(size + 1) for size in sizes]
    used = (by_query, by_user)
    ratio, slope, mean = [1.0, 1.0], 0.0, float(y.mean())
    for _ in range(ROUNDS):
        rest = y - sum(taken(one, group) for one, group in zip(effects, groups, strict=True))
        slope = float(x @ (rest - rest.mean()) / max(float(x @ x), 1e-9)) if by_length else 0.0
        mean = float((rest - slope * x).mean())
        for at in (at for at in range(2) if used[at]):
            others = y - mean - slope * x - taken(effects[1 - at], groups[1 - at])
            effects[at], ratio[at] = predicted(others, groups[at], sizes[at], ratio[at])
    left = y - mean - slope * x - sum(taken(one, group) for one, group in zip(effects, groups, strict=True))
    return DwellModel(mean, slope, middle, effects[0], effects[1], max(float(left.std()), 1e-3), cap_s)


def either_side(client: Visits, server: Visits, *, cap_s: float = CAP_S) -> Doubles:
    """float64[n]: evidence of the same n clicks by each side's own model: the browser's where it measured.

    A side with fewer than three measurements has no model and says nothing.
    """
    told = []
    for visits in (client, server):
        enough = np.isfinite(logged(visits.seconds, cap_s)).sum() >= 3
        nothing = np.full(len(visits.seconds), np.nan)
        told.append(fit_dwell(visits, cap_s=cap_s).evidence(visits) if enough else nothing)
    return np.where(np.isfinite(told[0]), told[0], told[1])


def predicted(rest: Doubles, group: Rows, size: int, ratio: float) -> tuple[Doubles, float]:
    """Shrunken means by group, 0 behind them, and the new ratio of variances σ²/τ².

    u_g = Σ rest / (n_g + σ²/τ²); τ² is the mean of u² + its posterior variance σ²/(n_g + σ²/τ²).
    """
    known = group >= 0
    count = np.bincount(group[known], minlength=size).astype(np.float64)
    total = summed(group[known], rest[known], size)
    effect = total / (count + ratio)
    noise = float(np.var(rest[known] - effect[group[known]])) if known.any() else 1.0
    between = float(np.mean(effect**2 + noise / (count + ratio))) if size else noise
    return np.append(effect, 0.0), float(np.clip(noise / max(between, 1e-9), 0.1, 1e6))


def taken(effects: Doubles, group: Rows) -> Doubles:
    """The effect of each row's group; 0 for groups that are unknown (-1) or new."""
    new = group >= len(effects) - 1
    return effects[np.where(new, UNKNOWN, group)]
