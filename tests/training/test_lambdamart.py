"""LambdaMART's fit: what it refuses, that it is stable, and that it learns."""

from pathlib import Path

import numpy as np
import pytest

from cascade.deadline import NEVER
from cascade.stages.lambdamart import MODEL, LambdaMart, LambdaMartTraining
from features.batch import CandidateBatch, Query
from features.columns import Floats
from features.errors import InvalidConfig, InvalidInput
from features.matrix import FeatureMatrix
from training.dataset import StageData
from training.lambdamart import best_of, fit, held_out_parts, label_gains
from training.trainers import Context

SMALL = LambdaMartTraining(trees=20, leaves=4, min_in_leaf=5, early_stopping=5)


def made(queries: int = 40, rows: int = 10, seed: int = 0) -> StageData:
    """Lists whose grade follows from the first of three columns, with noise and gaps."""
    random = np.random.default_rng(seed)
    values = random.normal(size=(queries * rows, 3)).astype(np.float32)
    labels = np.clip(np.round(values[:, 0] + random.normal(0, 0.3, len(values))), 0, 3).astype(np.float32)
    values[::7, 1] = np.nan
    return data_of(values, labels, np.arange(queries + 1) * rows)


def data_of(values: Floats, labels: Floats, offsets: np.ndarray) -> StageData:
    """Stage data of a matrix; every query a group of its own."""
    queries = tuple(Query(str(number), id=str(number)) for number in range(len(offsets) - 1))
    ids = [str(row) for row in range(len(values))]
    names = tuple(f"x {place}" for place in range(values.shape[1]))
    batch = CandidateBatch(queries, ids, offsets)
    matrix = FeatureMatrix(values, names, batch.offsets, "test")
    return StageData(batch, matrix, labels, np.arange(len(queries)))


def test_learns_and_loads(tmp_path: Path) -> None:
    """The written model loads in the stage, ranks by the informative column, and names where gain is from."""
    data = made()
    spec = LambdaMart(name="trees", train=SMALL)
    told = fit(spec, data, tmp_path, Context())
    assert 1 <= told["trees"] <= 20
    assert next(iter(told["gain"])) == "x 0"
    assert sum(told["gain"].values()) == pytest.approx(1)
    scores = spec.load(tmp_path, data.matrix.names).score(data.batch, data.matrix, NEVER).scores
    assert np.corrcoef(scores, data.matrix.values[:, 0])[0, 1] > 0.8


def test_same_seed_same_bytes(tmp_path: Path) -> None:
    """Two fits with one seed write the same model; another seed writes another."""
    models = []
    for number, seed in enumerate((1, 1, 2)):
        folder = tmp_path / str(number)
        folder.mkdir()
        training = LambdaMartTraining(
            trees=8, leaves=4, min_in_leaf=5, early_stopping=0, feature_fraction=0.5, seed=seed
        )
        fit(LambdaMart(name="trees", train=training), made(), folder, Context())
        models.append((folder / MODEL).read_bytes())
    assert models[0] == models[1]
    assert models[0] != models[2]


def test_early_stopping_finds_few_trees_in_noise(tmp_path: Path) -> None:
    """Where labels follow from nothing, early stopping ends long before the last tree."""
    data = made()
    noise = np.random.default_rng(3).permutation(data.labels)
    told = fit(
        LambdaMart(name="t", train=LambdaMartTraining(trees=300, leaves=8, min_in_leaf=5, early_stopping=10)),
        data_of(data.matrix.values, noise, data.batch.offsets),
        tmp_path,
        Context(),
    )
    assert told["trees"] < 150


def test_early_stopping_parts_hold_whole_groups() -> None:
    """The queries to stop by share no group with the others."""
    data = made()
    grouped = StageData(data.batch, data.matrix, data.labels, np.arange(40) // 5)
    parts = held_out_parts(grouped, SMALL, 0)
    assert len(parts) == 3
    for part in parts:
        assert not set(grouped.groups[part]) & set(grouped.groups[~part])


def test_mean_curve_decides() -> None:
    """The number of trees is the best mean's; a curve that ended early counts at its worst after."""
    trees, best = best_of([[0.1, 0.5, 0.4], [0.3, 0.4, 0.7]])
    assert trees == 3
    assert best == pytest.approx(0.55)
    assert best_of([[0.1, 0.5], [0.3, 0.4, 0.7]])[0] == 2


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ([0, 0], "no candidate is relevant"),
        ([1, 1.5], "whole grades; there is a grade 1.5"),
        ([1, 32], "not between 0 and 31"),
        ([1, -1], "not between 0 and 31"),
    ],
)
def test_labels_are_checked(labels: list[float], message: str) -> None:
    """Labels that LambdaMART cannot use are refused."""
    data = data_of(np.zeros((2, 1), np.float32), np.array(labels, np.float32), np.array([0, 2]))
    with pytest.raises(InvalidInput, match=message):
        label_gains(data, SMALL)


def test_gains_of_labels() -> None:
    """Gains are 2^g - 1 up to grade 31, or as declared where every grade has one."""
    data = data_of(np.zeros((2, 1), np.float32), np.array([0, 31], np.float32), np.array([0, 2]))
    assert label_gains(data, SMALL)[-1] == 2**31 - 1
    short = LambdaMartTraining(label_gain=(0, 1, 5))
    with pytest.raises(InvalidConfig, match="names 3 grades; there is a grade 31"):
        label_gains(data, short)


def test_grade_31_trains(tmp_path: Path) -> None:
    """LightGBM's own table of gains ends at 30; grade 31 still trains."""
    data = made()
    labels = np.where(data.labels > 0, 31, 0).astype(np.float32)
    told = fit(
        LambdaMart(name="t", train=SMALL),
        data_of(data.matrix.values, labels, data.batch.offsets),
        tmp_path,
        Context(),
    )
    assert told["trees"] >= 1


def test_one_query_with_one_candidate(tmp_path: Path) -> None:
    """A lone query with a lone candidate trains without early stopping instead of failing."""
    data = data_of(np.zeros((1, 1), np.float32), np.ones(1, np.float32), np.array([0, 1]))
    assert fit(LambdaMart(name="t", train=SMALL), data, tmp_path, Context())["early_stopping_nDCG"] is None


def test_queries_without_candidates(tmp_path: Path) -> None:
    """Queries without candidates are left out of LightGBM's groups."""
    data = made(20)
    offsets = np.sort(np.append(data.batch.offsets, [0, 50, 200]))
    spec = LambdaMart(name="t", train=SMALL)
    assert fit(spec, data_of(data.matrix.values, data.labels, offsets), tmp_path, Context())["trees"] >= 1
