"""A model's score weighed against columns that are already there, without a label to fit the weights on.

A logit, a cosine and a BM25 score have nothing in common but their order. So each part is put on its own
scale within the query's candidates first (score fusion by z-scores; cf. Fox and Shaw 1994, "Combination of
Multiple Searches", CombSUM), or, where somebody knows what a model's scores are worth, each counts as it is:
a model whose scores lie close together is not sure, and then says little; a z-score would make much of it.
"""

from collections.abc import Mapping
from math import isfinite

import numpy as np

from cascade.stages.linear import Normalise, within
from features.columns import Doubles, Flags, Floats, Rows
from features.matrix import FeatureMatrix

ZSCORE: Normalise = "zscore"


def blended(
    scores: Floats, matrix: FeatureMatrix, weights: Mapping[str, float], how: Normalise = ZSCORE
) -> Floats:
    """float32[n]: n(score) + Σ weight · n(column), n the normalisation within a query's scored candidates.

    A row without a score (NaN) stays without. A missing value of a column adds nothing: it counts as the
    list's mean, or as 0 where nothing is normalised.

    Args:
        scores: float32[n], the model's own.
        matrix: has the columns.
        weights: column → weight beside the model's own 1; nothing to weigh leaves the scores as they are.
        how: `zscore`, `minmax` or `none`, as in a `linear` stage.
    """
    if not weights:
        return scores
    there = ~np.isnan(scores)
    total = normalised(scores, there, matrix.offsets, how)
    for name, weight in weights.items():
        total += weight * np.nan_to_num(normalised(matrix.column(name), there, matrix.offsets, how))
    return np.where(there, total, np.nan).astype(np.float32)


def normalised(values: Floats, there: Flags, offsets: Rows, how: Normalise) -> Doubles:
    """float64[n]: each value on the scale of its query's, over the rows that count; NaN elsewhere."""
    kept: Doubles = np.where(there, values.astype(np.float64), np.nan)
    if how != "none":
        for start, end in zip(offsets[:-1].tolist(), offsets[1:].tolist(), strict=True):
            kept[start:end] = within(kept[start:end], how)
    return kept


def check_blend(weights: Mapping[str, float], how: Normalise) -> None:
    """Refuse weights that are no numbers, and a normalisation of nothing.

    Raises:
        ValueError: naming the column.
    """
    for name, weight in weights.items():
        if not isfinite(weight):
            raise ValueError(f"blend weighs {name} by {weight}, which is no number")
    if how != ZSCORE and not weights:
        raise ValueError("normalise is of the parts of blend, and there are none")
