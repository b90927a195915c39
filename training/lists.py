"""Lists for listwise fine-tuning out of a stage's candidates."""

import numpy as np
from numpy.typing import NDArray

from cascade.stages.cross_encoder import CrossEncoderTraining
from training.dataset import StageData
from training.fine_tune import List

HARD = 2.0
"""A candidate at the top of the previous order is drawn this much likelier than one at its end."""


def listed(data: StageData, documents: list[str], training: CrossEncoderTraining) -> list[List]:
    """One list a query that has a relevant candidate with text: targets are the gains 2^grade - 1.

    Up to `positives` relevant candidates, and `negatives` of the others for each, rather those that the
    previous stage ranked high.
    """
    rng = np.random.default_rng(training.seed)
    lists = []
    for query, one in enumerate(data.batch.queries):
        rows = np.arange(data.batch.offsets[query], data.batch.offsets[query + 1])
        rows = rows[[bool(documents[row]) for row in rows.tolist()]] if len(rows) else rows
        chosen = drawn(data.labels[rows], training, rng)
        if len(chosen):
            texts = tuple(documents[row] for row in rows[chosen].tolist())
            lists.append(List(one.text, texts, gains(data.labels[rows[chosen]])))
    return lists


def gains(labels: NDArray[np.float32]) -> NDArray[np.float32]:
    """2^grade - 1."""
    return np.exp2(labels) - 1


def drawn(
    labels: NDArray[np.float32], training: CrossEncoderTraining, rng: np.random.Generator
) -> NDArray[np.int64]:
    """Positions of a list's candidates; none where nothing is relevant, or everything equally so."""
    if not len(labels) or labels.max() <= 0 or labels.min() == labels.max():
        return np.empty(0, np.int64)
    relevant, others = np.flatnonzero(labels > 0), np.flatnonzero(labels <= 0)
    best = rng.permutation(relevant)[: training.positives]
    weights = np.linspace(HARD, 1.0, len(labels))[others]
    wanted = min(len(others), training.negatives * len(best))
    worse = rng.choice(others, wanted, replace=False, p=weights / weights.sum()) if wanted else others[:0]
    return np.concatenate([best, worse])
