"""A booster's scores brought to the scale on which clicks speak, before it is grown on.

A model from judged labels is surer than clicks are: its margins are wide, and noisy clicks would first of all
pull them together. They can do that for what pages showed alone, which would sink below all that was never
shown. One number c, the one that explains the pairs of the log best by c · score, does it for every candidate
alike and leaves the order as it is:

    c = argmin Σ_ij w_ij ln(1 + exp(-c (s_i - s_j))),    0 <= c <= 4
"""

from pathlib import Path

import numpy as np
from scipy.optimize import minimize_scalar

from features.columns import Doubles
from training.from_log.pairs import PagePairs

MOST = 4.0


def scale_of(scores: Doubles, pairs: PagePairs) -> float:
    """c, of float64[n] scores along the rows that pairs are about."""
    margin = scores[pairs.better] - scores[pairs.worse]

    def loss(scale: float) -> float:
        return float(pairs.weight @ np.logaddexp(0, -scale * margin))

    return float(minimize_scalar(loss, bounds=(0.0, MOST), method="bounded").x)


def write_scaled(model: Path, scale: float, target: Path) -> None:
    """The same trees with leaves times `scale`, as a model of its own."""
    import lightgbm

    booster = lightgbm.Booster(model_file=model)
    for tree, told in enumerate(booster.dump_model()["tree_info"]):
        for leaf in range(told["num_leaves"]):
            booster.set_leaf_output(tree, leaf, scale * booster.get_leaf_output(tree, leaf))
    booster.save_model(target)
