"""Every estimator that a log allows, with its interval, and a refusal where the log says too little."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from math import inf
from typing import Literal

import numpy as np

from features.columns import Doubles, Flags
from features.errors import InvalidConfig
from training.offpolicy.estimators import doubly_robust, effective_size, ips, self_normalised
from training.offpolicy.intervals import LEVEL, RESAMPLES, Interval, Resamples, bernstein
from training.offpolicy.rates import predicted
from training.offpolicy.slates import Slates
from training.offpolicy.weights import FAMILIES, examined

POSITION = "position-based"
IPS, NORMALISED, ROBUST = "ips", "self-normalised", "doubly robust"
DEFAULT_DEPTH = 10


@dataclass(frozen=True, slots=True)
class Limits:
    """What a log must have before an estimate counts.

    Attributes:
        pages, clusters: at least so many.
        effective: pages that the weighted ones are worth (Kish).
        support: how far the mean weight, which is 1 for right propensities that reach all that the target
            does, may lie from 1, interval and all.
    """

    pages: int = 500
    clusters: int = 100
    effective: float = 100.0
    support: float = 0.05


@dataclass(frozen=True, slots=True)
class Settings:
    """How to estimate.

    Attributes:
        clip: a larger weight counts as this; what it cuts is told, and makes estimates too low.
        interval: "bootstrap", or "bernstein", which needs a clip, and rewards up to 1.
    """

    clip: float = inf
    interval: Literal["bootstrap", "bernstein"] = "bootstrap"
    level: float = LEVEL
    resamples: int = RESAMPLES
    seed: int = 7
    limits: Limits = field(default_factory=Limits)

    def __post_init__(self) -> None:
        """Refuse what is no setting."""
        if not self.clip > 0:
            raise InvalidConfig("is not above 0", path="clip")
        if not 0 < self.level < 1:
            raise InvalidConfig("is not between 0 and 1", path="level")


@dataclass(frozen=True, slots=True)
class Estimate:
    """One estimator's answer.

    Attributes:
        family: what is supposed of how people behave. `method`: `ips`, `self-normalised`, `doubly robust`.
        value: reward a page of the target. `difference`: the target's less the logged one's, page by page.
        effective: pages that the weighted ones are worth.
        mean_weight: 1 with right propensities and full support; not asked of the position-based family.
        clipped: share of all weight that the clip cut.
        refused: why it does not count; empty where it does.
    """

    family: str
    method: str
    value: Interval
    difference: Interval
    effective: float
    mean_weight: Interval | None
    clipped: float
    refused: tuple[str, ...]

    @property
    def name(self) -> str:
        """Family and method."""
        return f"{self.family}, {self.method}"


@dataclass(frozen=True, slots=True, eq=False)
class Weighed:
    """A family's weights, clipped, with what tells whether they can be trusted."""

    family: str
    weights: Doubles
    effective: float
    mean: Interval | None
    clipped: float
    refused: tuple[str, ...]


def estimates(slates: Slates, curve: Doubles | None, settings: Settings) -> tuple[Estimate, ...]:
    """All that the log allows, the deciding one first; none where it has neither propensities nor a curve.

    Args:
        curve: float64[places]: examination by place, of the position-based model; None = not known.
    """
    return Estimating.of(slates, curve, settings).all() if len(slates) else ()


def mean_reward(slates: Slates, settings: Settings) -> Interval:
    """What the logged pages earned."""
    return Estimating.of(slates, None, settings).mean(slates.earned)


@dataclass(frozen=True, slots=True, eq=False)
class Estimating:
    """What estimators of one log share."""

    slates: Slates
    curve: Doubles | None
    settings: Settings
    resamples: Resamples

    @classmethod
    def of(cls, slates: Slates, curve: Doubles | None, settings: Settings) -> "Estimating":
        """With resamples of the log's clusters."""
        drawn = Resamples.of(slates.cluster, seed=settings.seed, resamples=settings.resamples)
        return cls(slates, curve, settings, drawn)

    def all(self) -> tuple[Estimate, ...]:
        """Every estimator of every family that the log identifies."""
        return tuple(each for family in self._families() for each in self._estimates(family))

    def mean(self, values: Doubles) -> Interval:
        """A mean of page values with the interval that was asked for."""
        if self.settings.interval == "bernstein":
            lowest = self.slates.depth if self.slates.meaning == "factored" else 1
            span = (self.settings.clip + lowest) * self.slates.depth
            return bernstein(values, self.slates.cluster, span, level=self.settings.level)
        return self.resamples.interval(values, self.settings.level)

    def _families(self) -> Iterator[Weighed]:
        if self.slates.logged:
            for name, weigh in FAMILIES[self.slates.meaning]:
                yield self._weighed(name, weigh(self.slates), adds_up=True)
        if self.curve is not None:
            yield self._weighed(POSITION, examined(self.curve)(self.slates), adds_up=False)

    def _weighed(self, name: str, raw: Doubles, adds_up: bool) -> Weighed:
        """Weights with their diagnosis; before the clip, a page's mean weight has the expectation 1."""
        weights, limits = np.minimum(raw, self.settings.clip), self.settings.limits
        items = np.maximum(self.slates.counts.sum(axis=1), 1)
        mean = self.resamples.interval(raw.sum(axis=1) / items) if adds_up else None
        effective = effective_size(self.slates, weights)
        why = [*too_few(self.slates, limits), *too_weak(effective, mean, limits)]
        if not adds_up and self.curve is not None:
            why += out_of_reach(self.slates, len(self.curve), limits)
        cut = float((raw - weights).sum() / raw.sum()) if raw.any() else 0.0
        return Weighed(name, weights, effective, mean, cut, tuple(why))

    def _estimates(self, family: Weighed) -> Iterator[Estimate]:
        """Doubly robust first; the self-normalised one where weights have a mean of 1.

        Doubly robust and plain position-based estimates are the same unless weights are clipped: what the
        model expects of a page then cancels. On pages whose places are filled each from its own candidates
        a target shows items that the page does not, of which the model says nothing: no doubly robust ones.
        """
        if self.slates.meaning != "factored":
            model = predicted(self.slates, self.curve)
            yield self._answered(family, ROBUST, doubly_robust(self.slates, family.weights, model))
        yield self._answered(family, IPS, ips(self.slates, family.weights))
        if family.mean is not None:
            yield self._answered(family, NORMALISED, self_normalised(self.slates, family.weights))

    def _answered(self, family: Weighed, method: str, values: Doubles) -> Estimate:
        return Estimate(
            family=family.family,
            method=method,
            value=self.mean(values),
            difference=self.mean(values - self.slates.earned),
            effective=family.effective,
            mean_weight=family.mean,
            clipped=family.clipped,
            refused=family.refused,
        )


def too_few(slates: Slates, limits: Limits) -> Iterator[str]:
    """Reasons of size."""
    clusters = len(np.unique(slates.cluster))
    if len(slates) < limits.pages:
        yield f"{len(slates)} pages; at least {limits.pages} are needed"
    if clusters < limits.clusters:
        yield f"{clusters} clusters (people, or queries) of pages; at least {limits.clusters} are needed"


def too_weak(effective: float, mean: Interval | None, limits: Limits) -> Iterator[str]:
    """Reasons of overlap."""
    if effective < limits.effective:
        needed = f"at least {limits.effective:.0f} are needed"
        yield f"worth {effective:.0f} pages (effective sample size); {needed}"
    if mean is None:
        return
    told = f"the mean weight is {mean.value:.2f} [{mean.low:.2f}, {mean.high:.2f}] instead of 1"
    if mean.high < 1 - limits.support:
        yield f"{told}: the log hardly ever shows what the candidate would; log with more exploration"
    elif mean.low > 1 + limits.support:
        yield f"{told}: the logged propensities are too small, or mean something else (--propensities)"


def out_of_reach(slates: Slates, known: int, limits: Limits) -> Iterator[str]:
    """Reasons of what the target brings up from below the places whose examination is known."""
    wanted = slates.shown & (slates.rank < slates.depth)
    share = float(wanted[:, known:].sum() / max(wanted.sum(), 1))
    if share > limits.support:
        below = f"stood below place {known}, of which no propensity is known"
        yield f"{share:.0%} of what the candidate would show {below}"


def moved(slates: Slates) -> Flags:
    """bool[p]: pages that the target would show otherwise, as far as they count."""
    place = np.arange(slates.rank.shape[1])
    changed = slates.shown & (slates.rank != place) & (np.minimum(slates.rank, place) < slates.depth)
    differs: Flags = changed.any(axis=1)
    return differs
