"""What LightGBM is given of logged pages, by the way in which position bias is taken away."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from cascade.stages.lambdamart import LambdaMartTraining, model_name
from features.columns import Doubles, Floats, Rows
from features.errors import InvalidInput
from training.clicks.behaviour import down_to_last_click
from training.clicks.cells import gather
from training.clicks.impressions import parts
from training.clicks.latent import fit_latent
from training.clicks.pairs import Pairs
from training.clicks.position_based import ranks
from training.clicks.unbiased import DOUBT, STEPS
from training.from_log.examination import Examination, features_of_pairs
from training.from_log.held import rows_with
from training.from_log.pages import LogPages
from training.from_log.pairs import PagePairs, PairObjective, unweighted_pairs, weighted_pairs
from training.from_log.settings import Learning
from training.lambdamart import parameters

POSITION_REGULARISATION = 0.1
"""Of LightGBM's position bias, where the stage declares none."""
LONGEST = 10_000
"""Rows of a list that LightGBM takes."""


@dataclass(frozen=True, slots=True, eq=False)
class Sample:
    """n rows in lists.

    Attributes:
        values: float32[n, k], the columns `reads`. `sizes`: rows of each list.
        labels: float32[n]. `place`: int64[n] for LightGBM's position bias, else None.
        pairs: our own gradients in place of LightGBM's.
    """

    values: Floats
    reads: tuple[str, ...]
    sizes: Rows
    labels: Floats
    place: Rows | None = None
    pairs: PairObjective | None = None

    def dataset(self) -> Any:
        """As LightGBM reads it."""
        import lightgbm

        return lightgbm.Dataset(
            self.values,
            label=self.labels,
            position=self.place,
            group=self.sizes,
            feature_name=[model_name(name) for name in self.reads],
            free_raw_data=False,
        )

    def comparisons(self) -> PagePairs:
        """The pairs that it is about, with their weights."""
        if self.pairs is not None:
            return self.pairs.pairs
        return unweighted_pairs(self.labels.astype(np.float64), np.concatenate([[0], np.cumsum(self.sizes)]))

    def parameters(self, training: LambdaMartTraining) -> dict[str, Any]:
        """LightGBM's, with a gain of g / 31 for grade g, so that nDCG's gain is an item's worth."""
        found = parameters(training, [grade / STEPS for grade in range(STEPS + 1)])
        bias = training.position_regularisation or POSITION_REGULARISATION
        own = {"objective": "lambdarank" if self.pairs is None else self.pairs.gradients(), "metric": "None"}
        return {**found, **own, "lambdarank_position_bias_regularization": bias}


def sample_of(
    pages: LogPages,
    reads: Sequence[str],
    learning: Learning,
    seen: Examination,
    training: LambdaMartTraining,
) -> Sample:
    """The pages as the declared kind of training reads them.

    Raises:
        InvalidInput: if they say nothing.
    """
    if learning.unbiased == "pooled":
        return pooled(pages, reads)
    part = telling(pages, learning)
    values, sizes = part.matrix(reads).values, part.sizes
    labels = np.round(part.worth * STEPS).astype(np.float32)
    plain = Sample(values, tuple(reads), sizes, labels)
    if learning.unbiased == "none":
        return plain
    if learning.unbiased == "position":
        return Sample(values, tuple(reads), sizes, labels, part.place)
    objective = objective_of(part, learning, seen, training.truncation)
    return Sample(values, tuple(reads), sizes, labels, None, objective)


def telling(pages: LogPages, learning: Learning) -> LogPages:
    """The pages with something to learn, their rows by the rule for what was not seen."""
    kept = np.ones(len(pages.place), bool)
    if learning.unseen == "below_last_click":
        kept = down_to_last_click(pages.impressions())[pages.page_of_row, pages.place]
    part, _ = rows_with(pages, kept)
    if not len(part):
        raise InvalidInput("no page has a click and something beside it to compare it with", path="--log")
    return part


def objective_of(pages: LogPages, learning: Learning, seen: Examination, truncation: int) -> PairObjective:
    """Our own gradients, for "ips" and "joint"."""
    joint = learning.unbiased == "joint"
    theta: Doubles = seen.at(pages, learning.clip)
    pairs = unweighted_pairs(pages.worth, pages.offsets) if joint else weighted_pairs(pages, theta)
    return PairObjective(pairs, pages.offsets, pages.place, truncation, joint)


def pooled(pages: LogPages, reads: Sequence[str]) -> Sample:
    """A list a query: its documents as last shown, labelled where their clicks are sure (`decided`).

    Raises:
        InvalidInput: if clicks are sure of no document, or of no two of a query.
    """
    shown = pages.impressions()
    pairs = Pairs.of(parts(shown))
    cells = gather(parts(shown), pairs, shown.positions, ranks)
    probability = fit_latent(cells).posterior(cells)
    keys, values = features_of_pairs(pages)
    sure = (probability <= DOUBT) | (probability >= 1 - DOUBT)
    _, owner, sizes = np.unique(pairs.query[sure], return_inverse=True, return_counts=True)
    labels = (probability[sure] > 0.5).astype(np.float32)
    mixed = np.bincount(owner, labels) * (sizes - np.bincount(owner, labels)) > 0
    if not mixed.any():
        message = "clicks are sure of no two documents of any query, one relevant and one not"
        raise InvalidInput(f"{message}; queries hardly repeat: take unbiased = 'ips'", path="$.unbiased")
    kept = mixed[owner] & (places_in(sizes) < LONGEST)
    columns = [pages.names.index(name) for name in reads]
    rows = values[np.searchsorted(keys, pairs.keys[sure])][kept][:, columns]
    return Sample(rows, tuple(reads), np.minimum(sizes[mixed], LONGEST), labels[kept] * STEPS)


def places_in(sizes: Rows) -> Rows:
    """int64[n]: each row's place in its list, from 0."""
    starts = np.concatenate([[0], np.cumsum(sizes)[:-1]])
    places: Rows = np.arange(int(sizes.sum())) - np.repeat(starts, sizes)
    return places
