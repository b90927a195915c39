"""How often each place of a page is looked at, by whichever estimate the log allows, with its interval."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from features.columns import Doubles, Flags, Floats, Rows
from features.errors import InvalidInput
from training.clicks.cells import Cells, gather
from training.clicks.impressions import Impressions, parts
from training.clicks.intervals import bootstrap
from training.clicks.interventions import Harvest
from training.clicks.latent import fit_latent
from training.clicks.pairs import SHIFT, Pairs
from training.clicks.position_based import ranks
from training.clicks.regression import RegressionEm
from training.from_log.pages import LogPages
from training.from_log.settings import Learning
from training.progress import Track

SWAPS = 300.0
"""Swaps that a place takes part in, by their precision, for them to tell θ there within a fifth or so."""
TOP = 5
"""Places that swaps have to link, if there are as many."""
REPEATED = 20.0
"""Impressions of a query's document, on average: from here on repeated clicks tell relevance."""
LEAST = 1e-3
REGRESSION = "regression_em"
FEW_TREES = RegressionEm(trees=60)

Fit = Callable[[Impressions], Doubles]


@dataclass(frozen=True, slots=True, eq=False)
class Examination:
    """θ, the first one 1.

    Attributes:
        method: what told it, by its name in `training/clicks`; "declared".
        propensity: float64[K]. `low`, `high`: its 95 % interval, by resampled pages; empty where none was
            asked for.
        segments, apart: names, and float64[g, K]: a curve for the pages of each; empty = one for all.
        moved: share of impressions whose document was seen at other places too.
        repeated: impressions of a query's document, on average.
    """

    method: str
    propensity: Doubles
    low: Doubles
    high: Doubles
    moved: float
    repeated: float
    segments: tuple[str, ...] = ()
    apart: Doubles | None = None

    @property
    def identified(self) -> bool:
        """Whether more than features tells it apart from relevance."""
        return self.method != REGRESSION

    def at(self, pages: LogPages, clip: float) -> Doubles:
        """float64[n]: clipped, along the rows of pages; beyond the last place as at the last."""
        place = np.minimum(pages.place, len(self.propensity) - 1)
        theta: Doubles = self.propensity[place]
        if self.apart is not None and pages.segment is not None:
            theta = self.apart[pages.segment[pages.page_of_row], place]
        return np.maximum(theta, clip)

    def told(self) -> dict[str, Any]:
        """For the manifest."""
        return {
            "method": self.method,
            "propensity": rounded(self.propensity),
            "low": rounded(self.low),
            "high": rounded(self.high),
            "level": 0.95,
            "moved": round(self.moved, 4),
            "impressions_a_pair": round(self.repeated, 2),
            **self._told_apart(),
        }

    def _told_apart(self) -> dict[str, Any]:
        """The curve of each segment, where there are any."""
        if self.apart is None:
            return {}
        return {"segments": dict(zip(self.segments, map(rounded, self.apart), strict=True))}


def rounded(values: Doubles) -> list[float]:
    """Four digits behind the point."""
    return [round(float(value), 4) for value in values]


def fit_examination(pages: LogPages, learning: Learning, seed: int, track: Track) -> Examination:
    """θ of a log.

    Documents that stood at several places tell it by what they earned at each, whatever they are worth
    (`interventions`). Where hardly any did, documents shown again and again tell it by what relevant ones
    earn at each place (`latent`); where queries hardly repeat either, features do (regression-EM). On small
    simulated logs swaps came twice as near to the truth as the position-based model, which has to tell what
    every single document is worth.
    """
    shown = pages.impressions()
    pairs = Pairs.of(parts(shown))
    cells = gather(parts(shown), pairs, shown.positions, ranks)
    moved, repeated = moved_share(cells), float(cells.shown.sum() / len(pairs))
    nothing = np.empty(0)
    if learning.propensities:
        declared = np.array(learning.propensities)
        return Examination("declared", declared / declared[0], nothing, nothing, moved, repeated)
    method, fit = chosen(pages, cells, repeated)
    value = fit(shown)
    if not learning.resamples:
        return Examination(method, value, nothing, nothing, moved, repeated)
    draws = max(5, learning.resamples // 5) if method == REGRESSION else learning.resamples
    found = bootstrap(fit, shown, unit="page", resamples=draws, seed=seed, track=track)
    if method == REGRESSION:
        return Examination(method, value, found.low**2, np.ones(len(value)), moved, repeated)
    return Examination(method, value, found.low, found.high, moved, repeated)


def chosen(pages: LogPages, cells: Cells, repeated: float) -> tuple[str, Fit]:
    """The method, and its fit."""
    width = cells.contexts
    known = known_by_swaps(Harvest.of(cells))
    if known[:TOP].all():
        return "interventions", partial(by_swaps, known=known)
    if repeated >= REPEATED:
        return "latent", partial(by_repetition, width=width)
    keys, features = features_of_pairs(pages)
    return REGRESSION, partial(by_features, width=width, keys=keys, features=features)


def moved_share(cells: Cells) -> float:
    """The share of impressions whose pair was seen at two places or more."""
    places = np.bincount(cells.pair, minlength=cells.pairs)
    return float(cells.shown[places[cells.pair] > 1].sum() / max(cells.shown.sum(), LEAST))


def known_by_swaps(found: Harvest) -> Flags:
    """bool[K]: places that enough swaps link to the first."""
    enough: Flags = np.asarray(found.linked, bool) & (found.impressions.sum(axis=1) >= SWAPS)
    return enough


def by_swaps(shown: Impressions, known: Flags) -> Doubles:
    """float64[K] by swaps; a place that they do not tell has the value of the last known one above it."""
    source = parts(shown)
    theta = Harvest.of(gather(source, Pairs.of(source), len(known), ranks)).propensity()
    above = np.maximum.accumulate(np.where(known & np.isfinite(theta), np.arange(len(known)), 0))
    return relative(theta[above], len(known))


def by_repetition(shown: Impressions, width: int) -> Doubles:
    """float64[width] by the mixture of relevant and other documents."""
    source = parts(shown)
    return relative(fit_latent(gather(source, Pairs.of(source), shown.positions, ranks)).propensity, width)


def by_features(shown: Impressions, width: int, keys: Rows, features: Floats) -> Doubles:
    """float64[width]: the square root of what regression-EM finds.

    A ranker that puts what is relevant first leaves features little to tell it from the place by, and places
    get the blame for both. The truth lies between that and no bias at all: here half way, by its logarithm.
    """
    source = parts(shown)
    pairs = Pairs.of(source)
    rows = features[np.searchsorted(keys, pairs.keys)]
    theta = FEW_TREES.fit(gather(source, pairs, shown.positions, ranks), rows).theta
    return np.sqrt(relative(theta, width))


def features_of_pairs(pages: LogPages) -> tuple[Rows, Floats]:
    """int64[m] rising keys of every query's document, and float32[m, k]: its features when last shown."""
    keys = (pages.query[pages.page_of_row] << SHIFT) + pages.document
    latest = np.lexsort((pages.time_us[pages.page_of_row], keys))
    ends = np.flatnonzero(np.append(keys[latest][1:] != keys[latest][:-1], True))
    rows = latest[ends]
    return keys[rows], pages.values[rows]


def relative(theta: Doubles, width: int) -> Doubles:
    """θ over the first one, above 0, continued by its last value."""
    if not np.isfinite(theta[0]) or theta[0] <= 0:
        raise InvalidInput("nothing was clicked at the first place, so no place can be compared with it")
    curve: Doubles = np.maximum(np.nan_to_num(theta / theta[0]), LEAST)
    padded: Doubles = np.pad(curve, (0, width - len(curve)), mode="edge")
    return padded
