"""The LambdaMART stage scores as LightGBM does, and refuses a booster of other columns."""

from pathlib import Path
from typing import Any

import lightgbm
import numpy as np
import pytest

from cascade.deadline import NEVER
from cascade.stages import lambdamart
from cascade.stages.lambdamart import LambdaMart
from cascade.testing import candidates
from features.columns import Floats
from features.errors import Corrupt, NotReady
from features.matrix import FeatureMatrix

NAMES = ("a", "b two", "stage.first")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a booster of 40 trees."""
    values = rows(2_000)
    labels = np.clip(np.nan_to_num(values).sum(axis=1).round(), 0, 4).astype(int)
    names = [lambdamart.model_name(name) for name in NAMES]
    data = lightgbm.Dataset(values, labels, group=[20] * 100, feature_name=names)
    params = {"objective": "lambdarank", "verbose": -1, "num_threads": 1, "seed": 7}
    folder = tmp_path_factory.mktemp("model")
    lightgbm.train(params, data, 40).save_model(folder / "model.txt")
    return folder


def rows(n: int, seed: int = 0) -> Floats:
    """float32[n, 3] with missing values."""
    random = np.random.default_rng(seed)
    values = random.normal(size=(n, len(NAMES))).astype(np.float32)
    values[random.random(values.shape) < 0.15] = np.nan
    return values


def matrix(values: Floats, names: tuple[str, ...] = NAMES) -> FeatureMatrix:
    """The values as one query's features."""
    return FeatureMatrix(values, names, np.array([0, len(values)]), "")


def score(stage: Any, values: Floats, names: tuple[str, ...] = NAMES) -> Any:
    """float32[n]."""
    batch = candidates([str(row) for row in range(len(values))])
    return stage.score(batch, matrix(values, names), NEVER).scores


@pytest.mark.parametrize("n", [1, 100, 5_000])
def test_scores_are_lightgbms_own(n: int, model: Path) -> None:
    """To the bit, for one row, for a request, and for so many rows that two threads share them."""
    values = rows(n, seed=n)
    own = lightgbm.Booster(model_file=str(model / "model.txt")).predict(values, num_threads=1)
    assert n != 100 or len(np.unique(own)) > 50
    made = score(LambdaMart(name="l").load(model, NAMES), values)
    assert made.tobytes() == own.astype(np.float32).tobytes()


def test_contributions_are_lightgbms_own(model: Path) -> None:
    """TreeSHAP values a column and the expected score last."""
    values = rows(50, seed=5)
    own = lightgbm.Booster(model_file=str(model / "model.txt")).predict(values, pred_contrib=True)
    stage: Any = LambdaMart(name="l").load(model, NAMES)
    made = stage.contributions(candidates([str(row) for row in range(50)]), matrix(values))
    np.testing.assert_array_equal(made, own.astype(np.float32))


def test_declared_features_are_picked_from_a_wider_matrix(model: Path) -> None:
    """The booster reads its columns by name, wherever they stand."""
    values = rows(30)
    wide = np.concatenate([rows(30, seed=9)[:, :1], values[:, ::-1]], axis=1)
    names = ("more", *NAMES[::-1])
    stage = LambdaMart(name="l", features=NAMES).load(model, names)
    plain = LambdaMart(name="l").load(model, NAMES)
    assert score(stage, wide, names).tobytes() == score(plain, values).tobytes()


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (("a", "b two"), "3 columns and is given 2.*gone: stage.first"),
        (("a", "b two", "stage.first", "new"), "new: new; gone: none"),
        (("a", "stage.first", "b two"), "another order"),
    ],
)
def test_a_booster_of_other_columns_is_not_ready(names: tuple[str, ...], message: str, model: Path) -> None:
    """More, fewer or differently ordered columns would be scored as noise; they are refused by name."""
    with pytest.raises(NotReady, match=message):
        LambdaMart(name="l").load(model, names)


def test_a_model_that_lightgbm_cannot_read_is_corrupt(tmp_path: Path) -> None:
    """A file that is no booster is an error of the bundle, not a crash."""
    (tmp_path / "model.txt").write_text("tree\nnonsense")
    with pytest.raises(Corrupt, match="LightGBM cannot read"):
        LambdaMart(name="l").load(tmp_path, NAMES)
