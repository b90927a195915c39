"""A booster with a tenant's residual on top: its score, its explanation, and files that do not fit."""

import shutil
from pathlib import Path
from typing import Any

import lightgbm
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cascade.deadline import NEVER
from cascade.stages.lambdamart import MODEL, RESIDUAL, WEIGHT, LambdaMart, write_residual
from cascade.testing import candidates
from features.columns import Floats
from features.errors import Corrupt, NotReady
from features.matrix import FeatureMatrix

NAMES = ("a", "b", "c")


def rows(n: int, seed: int = 0) -> Floats:
    """float32[n, 3] with missing values."""
    random = np.random.default_rng(seed)
    values = random.normal(size=(n, len(NAMES))).astype(np.float32)
    values[random.random(values.shape) < 0.15] = np.nan
    return values


def booster(seed: int, trees: int, names: tuple[str, ...] = NAMES) -> Any:
    """Trees on made-up lists."""
    values = rows(1_000, seed)
    labels = np.clip(np.nan_to_num(values)[:, seed % 3].round(), 0, 2).astype(int)
    data = lightgbm.Dataset(values, labels, group=[20] * 50, feature_name=list(names))
    params = {"objective": "lambdarank", "verbose": -1, "num_threads": 1, "seed": seed, "num_leaves": 7}
    return lightgbm.train(params, data, trees)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A stage's folder with a booster of 30 trees and a residual of 10 of 15."""
    made: Path = tmp_path_factory.mktemp("stage")
    booster(0, 30).save_model(made / MODEL)
    write_residual(made, booster(1, 15), 10, 0.5)
    return made


def own(path: Path, values: Floats, **how: bool) -> Any:
    """LightGBM's own numbers, in float64."""
    return lightgbm.Booster(model_file=str(path)).predict(values, num_threads=1, **how)


def score(stage: Any, values: Floats) -> Any:
    """float32[n]."""
    matrix = FeatureMatrix(values, NAMES, np.array([0, len(values)]), "")
    return stage.score(candidates([str(row) for row in range(len(values))]), matrix, NEVER).scores


@settings(deadline=None, max_examples=25)
@given(weight=st.floats(1e-6, 1), n=st.sampled_from([1, 7, 2_500]))
def test_score_is_base_and_weighted_residual(
    weight: float, n: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """To the bit: LightGBM's two sums, added in float64, then rounded once to float32."""
    folder = tmp_path_factory.mktemp("stage")
    booster(0, 5).save_model(folder / MODEL)
    write_residual(folder, booster(1, 5), 5, weight)
    values = rows(n, seed=n)
    wanted = own(folder / MODEL, values) + weight * own(folder / RESIDUAL, values)
    assert (
        score(LambdaMart(name="l").load(folder, NAMES), values).tobytes()
        == wanted.astype(np.float32).tobytes()
    )


def test_no_more_trees_are_written_than_asked_for(folder: Path) -> None:
    """Ten of the fifteen."""
    assert lightgbm.Booster(model_file=str(folder / RESIDUAL)).num_trees() == 10


def test_contributions_are_the_sum_of_both(folder: Path) -> None:
    """TreeSHAP values of the booster and of the weighted residual, and so of the whole score."""
    values = rows(40, seed=4)
    stage: Any = LambdaMart(name="l").load(folder, NAMES)
    matrix = FeatureMatrix(values, NAMES, np.array([0, 40]), "")
    made = stage.contributions(candidates([str(row) for row in range(40)]), matrix)
    both = [own(folder / name, values, pred_contrib=True) for name in (MODEL, RESIDUAL)]
    np.testing.assert_array_equal(made, (both[0] + 0.5 * both[1]).astype(np.float32))
    np.testing.assert_allclose(made.sum(axis=1), score(stage, values), rtol=1e-5, atol=1e-5)


def test_without_a_weight_it_is_the_base_alone(folder: Path, tmp_path: Path) -> None:
    """The base's own bundle has the same booster and nothing on top."""
    shutil.copy(folder / MODEL, tmp_path / MODEL)
    values = rows(20, seed=9)
    made = score(LambdaMart(name="l").load(tmp_path, NAMES), values)
    assert made.tobytes() == own(folder / MODEL, values).astype(np.float32).tobytes()


@pytest.mark.parametrize(
    "content", ['{"weight": 0}', '{"weight": 1.5}', '{"weight": null}', "{}", "nonsense"]
)
def test_a_weight_that_is_none_is_corrupt(content: str, folder: Path, tmp_path: Path) -> None:
    """A weight lies in (0, 1]; anything else is an error of the bundle."""
    shutil.copytree(folder, tmp_path, dirs_exist_ok=True)
    (tmp_path / WEIGHT).write_text(content)
    with pytest.raises(Corrupt, match=r"stage 'l': residual\.json"):
        LambdaMart(name="l").load(tmp_path, NAMES)


def test_a_residual_without_trees_is_not_ready(folder: Path, tmp_path: Path) -> None:
    """A weight with no booster to weigh names the missing file."""
    shutil.copytree(folder, tmp_path, dirs_exist_ok=True)
    (tmp_path / RESIDUAL).unlink()
    with pytest.raises(NotReady, match=r"has no residual\.txt"):
        LambdaMart(name="l").load(tmp_path, NAMES)


def test_a_residual_of_other_columns_is_not_ready(folder: Path, tmp_path: Path) -> None:
    """Trees that were boosted over other features would add noise."""
    shutil.copytree(folder, tmp_path, dirs_exist_ok=True)
    write_residual(tmp_path, booster(1, 5, ("a", "b", "other")), 5, 0.5)
    with pytest.raises(NotReady, match="gone: other"):
        LambdaMart(name="l").load(tmp_path, NAMES)
