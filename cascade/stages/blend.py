"""A model's score weighed against columns that are already there, without a label to fit the weights on.

Each part is put on its own scale within the query's candidates first, since a logit, a cosine and a BM25
score have nothing in common but their order (score fusion by z-scores; cf. Fox and Shaw 1994, "Combination of
Multiple Searches", CombSUM).
"""

from collections.abc import Mapping
from math import isfinite

import numpy as np

from cascade.stages.linear import within
from features.columns import Doubles, Flags, Floats, Rows
from features.matrix import FeatureMatrix


def blended(scores: Floats, matrix: FeatureMatrix, weights: Mapping[str, float]) -> Floats:
    """float32[n]: z(score) + Σ weight · z(column), z within a query's candidates that have a score.

    A row without a score (NaN) stays without; a missing value of a column counts as the mean.

    Args:
        scores: float32[n], the model's own.
        matrix: has the columns.
        weights: column → weight beside the model's own 1; nothing to weigh leaves the scores as they are.
    """
    if not weights:
        return scores
    there = ~np.isnan(scores)
    total = zscored(scores, there, matrix.offsets)
    for name, weight in weights.items():
        total += weight * np.nan_to_num(zscored(matrix.column(name), there, matrix.offsets))
    return np.where(there, total, np.nan).astype(np.float32)


def zscored(values: Floats, there: Flags, offsets: Rows) -> Doubles:
    """float64[n]: (x - mean) / deviation within each query, over the rows that count; NaN elsewhere."""
    kept = np.where(there, values.astype(np.float64), np.nan)
    for start, end in zip(offsets[:-1].tolist(), offsets[1:].tolist(), strict=True):
        kept[start:end] = within(kept[start:end], "zscore")
    return kept


def check_weights(weights: Mapping[str, float]) -> None:
    """Refuse weights that are no numbers.

    Raises:
        ValueError: naming the column.
    """
    for name, weight in weights.items():
        if not isfinite(weight):
            raise ValueError(f"blend weighs {name} by {weight}, which is no number")
