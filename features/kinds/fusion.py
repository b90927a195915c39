"""Several features as one: ranks or normalised scores of a query's candidates, combined."""

from typing import Annotated, ClassVar, Literal

import msgspec
import numpy as np

from features.batch import CandidateBatch
from features.columns import Doubles, Floats, Input, Kind
from features.feature import COMPUTED, Feature, State
from features.segments import best_ranks, reduce, sorted_within


class Fusion(Feature, frozen=True):
    """Σ wᵢ·f(xᵢ) over features x of this set, where f looks at a query's candidates:

    - `rrf`: 1 / (k + rank), ranks from 1 for the highest, equal values sharing the best rank. Reciprocal
      rank fusion: Cormack, Clarke and Büttcher 2009.
    - `minmax`: (x − min) / (max − min); a half where all are equal.
    - `zscore`: (x − mean) / standard deviation (of the population); 0 where all are equal.
    - `convex`: x as it is, for features already on one scale.

    The last three are convex combinations (Bruch, Gai and Ingber 2023, "An analysis of fusion functions for
    hybrid retrieval"): their weights are divided by their sum. For `rrf` they are taken as they are.

    A candidate that lacks one input is worst in it: no share of `rrf`, elsewhere the lowest value of the
    query's candidates (no share where all lack it). One that lacks every input is NaN.

    Attributes:
        features: names of feature outputs declared before this one.
        method: f, above.
        weights: one a feature, not negative; all 1 where left out.
        k: of `rrf`: the larger, the less the first ranks stand out.
    """

    features: Annotated[tuple[str, ...], msgspec.Meta(min_length=1)]
    method: Literal["rrf", "minmax", "zscore", "convex"] = "rrf"
    weights: tuple[Annotated[float, msgspec.Meta(ge=0, le=1e6)], ...] | None = None
    k: Annotated[float, msgspec.Meta(ge=0, le=1e6)] = 60.0

    kind: ClassVar[str] = "fusion"

    def __post_init__(self) -> None:
        if self.weights is not None and len(self.weights) != len(self.features):
            raise ValueError(f"{len(self.weights)} weights for {len(self.features)} features")
        if self.weights is not None and not sum(self.weights) > 0:
            raise ValueError("at least one weight must be above 0")

    @property
    def listwise(self) -> bool:
        """Ranks and normalised scores are of the list."""
        return True

    @property
    def inputs(self) -> tuple[Input, ...]:
        """The outputs of other features, under their prefix."""
        return tuple(Input(COMPUTED + name, Kind.NUMBER) for name in self.features)

    def compute(self, batch: CandidateBatch, state: State) -> Floats:  # noqa: ARG002 (it learns nothing)
        """float32[n, 1]."""
        total = np.zeros(len(batch))
        absent = np.ones(len(batch), bool)
        for read, weight in zip(self.inputs, self._weights(), strict=True):
            values = batch.column(read.name, Kind.NUMBER).values.astype(np.float64)
            total += weight * self._share(values, batch)
            absent &= np.isnan(values)
        total[absent] = np.nan
        return total.astype(np.float32)[:, None]

    def _weights(self) -> Doubles:
        weights = np.array(self.weights or (1.0,) * len(self.features))
        return weights if self.method == "rrf" else weights / weights.sum()

    def _share(self, values: Doubles, batch: CandidateBatch) -> Doubles:
        owner = batch.query_of_row
        if self.method == "rrf":
            return np.nan_to_num(1.0 / (self.k + best_ranks(values, batch.offsets, owner)))
        lowest = reduce(np.fmin, values, batch.offsets, np.nan)[owner]
        filled = np.where(np.isnan(values), lowest, values)
        if self.method == "minmax":
            filled = minmax(values, batch)
        elif self.method == "zscore":
            filled = zscore(values, batch)
        return np.nan_to_num(filled)


def minmax(values: Doubles, batch: CandidateBatch) -> Doubles:
    """(x − min) / (max − min) within each query; a half where all are equal; missing is 0."""
    low = reduce(np.fmin, values, batch.offsets, np.nan)[batch.query_of_row]
    span = reduce(np.fmax, values, batch.offsets, np.nan)[batch.query_of_row] - low
    scaled = np.where(span > 0, (values - low) / np.where(span > 0, span, 1.0), 0.5)
    return np.where(np.isnan(values), 0.0, scaled)


def zscore(values: Doubles, batch: CandidateBatch) -> Doubles:
    """(x − mean) / deviation within each query; 0 where all are equal; missing is the lowest of the query.

    Sums run over the sorted values, so that the order of the candidates changes no bit.
    """
    owner, offsets = batch.query_of_row, batch.offsets
    ordered = values[sorted_within(values, owner)]
    known = ~np.isnan(ordered)
    count = reduce(np.add, known.astype(np.float64), offsets, 0.0)
    mean = reduce(np.add, np.where(known, ordered, 0.0), offsets, 0.0) / np.maximum(count, 1.0)
    squares = np.where(known, (ordered - mean[owner]) ** 2, 0.0)
    deviation = np.sqrt(reduce(np.add, squares, offsets, 0.0) / np.maximum(count, 1.0))
    low = reduce(np.fmin, values, offsets, np.nan)
    varies = (reduce(np.fmax, values, offsets, np.nan) > low) & (deviation > 0)
    filled = np.where(np.isnan(values), low[owner], values)
    scaled = (filled - mean[owner]) / np.where(varies, deviation, 1.0)[owner]
    return np.where(varies[owner], scaled, 0.0)
