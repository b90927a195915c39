"""Residual trees start from the base's score, and are judged on queries that they have not seen."""

from pathlib import Path

import numpy as np
import pytest

from cascade.pipeline import Step
from cascade.stages.lambdamart import MODEL
from training.borrowing.orders import score_by
from training.borrowing.residual import Boosting, fit, grow, out_of_fold, predict
from training.borrowing.testing import SMALL, base_step, tasted
from training.dataset import StageData
from training.trainers import Context

HOW = Boosting(trees=30), SMALL


@pytest.fixture(scope="module")
def step(tmp_path_factory: pytest.TempPathFactory) -> Step:
    """A base that likes the first column alone."""
    return base_step(tmp_path_factory.mktemp("base"), (1, 0, 0))


def test_they_find_what_the_base_lacks(step: Step) -> None:
    """For a tenant that likes the second column too, trees split on it, and held-out queries want them."""
    data, _ = tasted(120, (1, 1, 0), 5)
    scores = score_by([step], data).scores
    found = out_of_fold(data, scores, data.matrix.names, HOW, np.arange(120) % 5, Context())
    assert found.trees > 5
    assert found.curve[found.trees] > found.curve[0] + 0.05
    booster = fit(data, scores, data.matrix.names, HOW, found.trees)
    gains = booster.feature_importance(importance_type="gain")
    assert gains.argmax() == 1


def test_nothing_is_found_where_the_base_is_right(step: Step) -> None:
    """For a tenant of the base's own taste the curve hardly rises."""
    data, _ = tasted(60, (1, 0, 0), 6)
    found = out_of_fold(
        data, score_by([step], data).scores, data.matrix.names, HOW, np.arange(60) % 5, Context()
    )
    assert max(found.curve) - found.curve[0] < 0.02


def test_trees_do_not_know_the_labels_that_they_are_judged_by(step: Step) -> None:
    """With the held-out labels turned around the trees are the same bytes and the curve is not; with others
    turned around the trees differ."""
    data, _ = tasted(40, (1, 1, 0), 7)
    scores, held = score_by([step], data).scores, np.arange(40) < 10
    how = HOW[0].parameters(SMALL, data), 8
    trees, curve = grow(data, scores, data.matrix.names, how, held)
    for turned, same in ((slice(0, 100), True), (slice(100, 200), False)):
        labels = data.labels.copy()
        labels[turned] = 1 - labels[turned]
        other = StageData(data.batch, data.matrix, labels, data.groups)
        others, judged = grow(other, scores, data.matrix.names, how, held)
        assert (others.model_to_string() == trees.model_to_string()) == same
        assert judged != curve


def test_values_are_of_trees_that_held_the_query_out(step: Step) -> None:
    """Out-of-fold values of a fold are those of trees grown on the others."""
    data, _ = tasted(40, (1, 1, 0), 7)
    scores, folds = score_by([step], data).scores, np.arange(40) % 4
    found = out_of_fold(data, scores, data.matrix.names, HOW, folds, Context())
    how = HOW[0].parameters(SMALL, data), HOW[0].trees
    trees, _ = grow(data, scores, data.matrix.names, how, folds == 1)
    rows = np.isin(data.batch.query_of_row, np.flatnonzero(folds == 1))
    assert found.trees > 0
    assert (found.values[rows] == predict(trees, data.matrix.values[rows], found.trees)).all()


def test_the_curve_starts_at_the_bases_own_order(step: Step) -> None:
    """Without a tree, held-out nDCG is that of the base's scores, not that of scores of 0."""
    data, _ = tasted(40, (1, 0, 0), 7)
    right = score_by([step], data).scores
    held = np.arange(40) < 10
    how = HOW[0].parameters(SMALL, data), 1
    curves = [grow(data, start, data.matrix.names, how, held)[1] for start in (right, 0 * right)]
    assert curves[0][0] > 0.8
    assert curves[0][0] > curves[1][0] + 0.1


def test_same_seed_same_trees(step: Step, tmp_path: Path) -> None:
    """Two fits write the same bytes."""
    data, _ = tasted(50, (1, 1, 0), 8)
    scores = score_by([step], data).scores
    for name in ("one", "two"):
        fit(data, scores, data.matrix.names, HOW, 12).save_model(tmp_path / name)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


def test_trees_go_on_from_the_bases_score(step: Step) -> None:
    """Grown or fitted from the scores of a base that is right they move scores less than from nothing: most
    pairs are in order already."""
    data, _ = tasted(80, (1, 0, 0), 7)
    right = score_by([step], data).scores
    names, how = data.matrix.names, (HOW[0].parameters(SMALL, data), 5)
    held = np.arange(80) < 10
    grown = [grow(data, start, names, how, held)[0] for start in (right, 0 * right)]
    made = [fit(data, start, names, HOW, 5) for start in (right, 0 * right)]
    for from_base, from_nothing in (grown, made):
        sizes = [np.ptp(predict(each, data.matrix.values, 5)) for each in (from_base, from_nothing)]
        assert sizes[0] < 0.8 * sizes[1]


def test_values_are_the_first_trees_own(step: Step, tmp_path: Path) -> None:
    """`predict` of some trees is what a model cut to them gives."""
    data, _ = tasted(50, (1, 1, 0), 9)
    booster = fit(data, score_by([step], data).scores, data.matrix.names, HOW, 12)
    booster.save_model(tmp_path / MODEL, num_iteration=4)
    import lightgbm

    cut = lightgbm.Booster(model_file=str(tmp_path / MODEL)).predict(data.matrix.values)
    assert (predict(booster, data.matrix.values, 4) == cut).all()


def test_leaves_follow_the_evidence() -> None:
    """Few queries grow small trees, many grow larger ones, within the bounds."""
    leaves = [Boosting().parameters(SMALL, tasted(n, (1, 0), 3)[0])["num_leaves"] for n in (10, 250, 1_000)]
    assert leaves == [4, 10, 15]
