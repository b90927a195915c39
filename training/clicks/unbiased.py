"""From clicks to what LambdaMART learns from: estimated relevance as gains, or single clicks with weights.

Two ways. Estimates by pair (`decided`, `graded`): a query's shown documents once, with what their pooled
clicks say. Single pages (`page_by_page`): every impression a row, clicked or not, with
inverse-propensity weights and its position (Joachims et al., WSDM 2017; Hu et al., "Unbiased LambdaMART",
WWW 2019, for LightGBM's own position bias). Where queries repeat the first is far more accurate and many
times smaller; where they never do, the second is all there is.
"""

from collections.abc import Mapping
from dataclasses import replace

import msgspec
import numpy as np

from cascade.stages.lambdamart import LambdaMartTraining
from features.batch import CandidateBatch
from features.columns import Doubles, Floats, Rows
from features.errors import InvalidInput
from features.matrix import FeatureMatrix
from training.clicks.impressions import NOTHING, Flags, Impressions
from training.clicks.relevance import CLIP
from training.dataset import StageData

DOUBT = 0.1

STEPS = 31
"""Whole grades between no relevance and certain relevance: LightGBM takes grades as indices of gains."""


def with_gains(training: LambdaMartTraining) -> LambdaMartTraining:
    """The same training where grade g of `graded` has the gain g / 31: nDCG's gain is expected relevance."""
    return msgspec.structs.replace(training, label_gain=tuple(grade / STEPS for grade in range(STEPS + 1)))


def graded(data: StageData, rows: Rows, value: Doubles) -> StageData:
    """The rows that were shown, with grades 0 to 31 for `value` in [0, 1]; the others are left out.

    `rows`: int64[m], the row of `data` that each estimate is about; -1 for what `data` does not have. What
    was never shown is neither relevant nor irrelevant.

    Raises:
        InvalidInput: if no estimate is about a row.
    """
    known = rows >= 0
    if not known.any():
        raise InvalidInput("no click is about a candidate of the collection", path="clicks")
    labels = np.full(len(data.labels), np.nan, np.float32)
    labels[rows[known]] = np.round(np.clip(value[known], 0.0, 1.0) * STEPS)
    shown = np.flatnonzero(np.isfinite(labels))
    part = data.rows(shown)
    return StageData(part.batch, part.matrix, labels[shown], part.groups)


def decided(data: StageData, rows: Rows, probability: Doubles, doubt: float = DOUBT) -> StageData:
    """The rows that clicks are sure about, as plain labels: 1 from P = 1 - `doubt` on, 0 up to `doubt`.

    What lies between is left out like what was never shown. LambdaMART learns the order of all that differ,
    so doubts kept as gains (`graded`) make it learn the noise among many irrelevant documents: measured
    with P from `latent` over all candidates, decided labels recovered 100 % of what true ones gain, gains
    86 %.

    Raises:
        InvalidInput: if nothing is sure.
    """
    sure = (rows >= 0) & ((probability <= doubt) | (probability >= 1 - doubt))
    part = graded(data, np.where(sure, rows, NOTHING), probability)
    return replace(part, labels=(part.labels > STEPS / 2).astype(np.float32))


def page_by_page(
    data: StageData, rows: Rows, pages: Impressions, propensity: Doubles, clip: float = CLIP
) -> StageData:
    """Every page a query of its own: label 1 where clicked, weight 1/θ of a click, position.

    `rows`: int64[p, K], the row of `data` shown at each position; -1 for none. Weights are clipped (no click
    counts more than 1/`clip`) and self-normalised (their mean is 1). Pages of weight w are taken once, with
    weight w.
    """
    there = rows >= 0
    taken, place = rows[there], np.nonzero(there)[1]
    sizes = there.sum(axis=1)
    offsets = np.concatenate([[0], np.cumsum(sizes)])
    ids = [data.batch.ids[row] for row in taken.tolist()]
    asked = data.batch.query_of_row[np.where(there.any(axis=1), rows.max(axis=1), 0)]
    batch = CandidateBatch(tuple(data.batch.queries[query] for query in asked.tolist()), ids, offsets)
    matrix = FeatureMatrix(data.matrix.values[taken], data.matrix.names, offsets, data.matrix.fingerprint)
    clicked = pages.clicked[there]
    weights = weights_of(clicked, propensity[np.minimum(place, len(propensity) - 1)], clip)
    weights *= np.repeat(pages.weight, sizes).astype(np.float32)
    return StageData(batch, matrix, clicked.astype(np.float32), data.groups[asked], weights, place)


def weights_of(clicked: Flags, propensity: Doubles, clip: float = CLIP) -> Floats:
    """float32[n]: 1/θ of clicked rows, at most 1/clip, 1 of the others, over their mean."""
    weight = np.where(clicked, 1 / np.maximum(propensity, clip), 1.0)
    share: Floats = (weight / max(float(weight.mean()), 1e-9)).astype(np.float32)
    return share


def blended(signals: Mapping[str, Doubles], weights: Mapping[str, float]) -> Doubles:
    """Several signals in one objective: Σ w·estimate over Σ w, each corrected for position on its own.

    Lambda gradients are linear in the gains' differences, so one LambdaMART on the blended gain follows the
    weighted sum of the signals' gradients. A signal that a pair lacks (NaN) leaves its weight to the others.

    Raises:
        InvalidInput: for a weight of a signal that is not there.
    """
    lost = sorted(set(weights) - set(signals))
    if lost:
        raise InvalidInput(f"no signal {lost[0]!r} among {', '.join(sorted(signals))}", path="signals")
    total = sum(np.nan_to_num(signals[name]) * weight for name, weight in weights.items())
    there = sum(np.isfinite(signals[name]) * weight for name, weight in weights.items())
    mixed: Doubles = np.asarray(total) / np.maximum(np.asarray(there), 1e-12)
    return mixed
