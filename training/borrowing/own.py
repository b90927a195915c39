"""A tenant's own cascade, fitted from nothing but its own judgments."""

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from cascade.build import load_steps
from cascade.config import CascadeConfig
from features.columns import Rows
from training.borrowing.orders import score_by
from training.dataset import StageData
from training.fit import fit_cascade, lists_of
from training.runs import Lists
from training.trainers import Context

OWN = "own"
"""The folder, in the work folder, of what long fits keep."""


@dataclass(frozen=True, slots=True, eq=False)
class Own:
    """A cascade, and the tenant's candidates with its features."""

    config: CascadeConfig
    data: StageData


def out_of_fold(own: Own, folds: Rows, context: Context) -> Lists:
    """Query id → documents, best first, by a cascade fitted on the other folds.

    Raises:
        InvalidInput: if the other folds hold nothing to learn from.
    """
    found: dict[str, Sequence[str] | Mapping[str, float]] = {}
    for fold in context.track(np.unique(folds).tolist(), "own ranker, out of fold"):
        draft = replace(context.of(f"{OWN}/fold-{fold}"), figures=False)
        learn, held = (own.data.queries(np.flatnonzero(part)) for part in (folds != fold, folds == fold))
        with tempfile.TemporaryDirectory() as folder:
            fit_cascade(own.config, learn, Path(folder), draft)
            scored = score_by(load_steps(own.config.stages, Path(folder), own.data.matrix.names), held)
        found |= lists_of(held.batch, scored.standing(scored.scores))
    return found
