"""The linear stage: what it sums, what a missing value counts as, and what it refuses."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cascade.deadline import NEVER
from cascade.stages.linear import Linear
from cascade.testing import candidates
from features.errors import Corrupt, InvalidConfig, NotReady
from features.matrix import FeatureMatrix
from features.registry import parse

NAMES = ("x", "y")
NAN = float("nan")


def score(spec: Linear, rows: list[list[float]], directory: Path = Path("nowhere")) -> list[float]:
    """Scores of one query's rows of x and y."""
    values = np.array(rows, np.float32)
    matrix = FeatureMatrix(values, NAMES, np.array([0, len(rows)]), "")
    batch = candidates([str(row) for row in range(len(rows))])
    scores: list[float] = spec.load(directory, NAMES).score(batch, matrix, NEVER).scores.tolist()
    return scores


def linear(**keys: Any) -> Linear:
    """A stage as declared."""
    return parse({"name": "linear", **keys}, Linear, "$.stages[0]")


def test_it_is_the_weighted_sum() -> None:
    """bias + Σ weight · x."""
    assert score(linear(weights={"x": 2.0, "y": -1.0}, bias=10.0), [[1, 2], [3, 4]]) == [10, 12]


def test_a_missing_value_adds_nothing_unless_told() -> None:
    """NaN counts as 0, or as `missing`."""
    assert score(linear(weights={"x": 2.0}), [[NAN, 0]]) == [0]
    assert score(linear(weights={"x": 2.0}, missing=-3.0), [[NAN, 0]]) == [-6]


def test_zscore_centres_the_list() -> None:
    """(x - mean) / deviation over the values that are there; a missing one counts as the mean."""
    scores = score(linear(weights={"x": 1.0}, normalise="zscore"), [[1, 0], [3, 0], [NAN, 0]])
    assert scores == [-1, 1, 0]


def test_minmax_spans_the_list() -> None:
    """(x - min) / (max - min) over the values that are there; a missing one counts as the least."""
    scores = score(linear(weights={"x": 1.0}, normalise="minmax"), [[10, 0], [30, 0], [20, 0], [NAN, 0]])
    assert scores == [0, 1, 0.5, 0]


@pytest.mark.parametrize("normalise", ["zscore", "minmax"])
def test_equal_values_say_nothing(normalise: str) -> None:
    """Where all values are equal, or none is there, the normalised value is 0 and never NaN."""
    spec = linear(weights={"x": 1.0, "y": 1.0}, normalise=normalise)
    assert score(spec, [[0.1, NAN], [0.1, NAN], [0.1, NAN]]) == [0, 0, 0]


def test_fitted_weights_come_from_the_file(tmp_path: Path) -> None:
    """Without declared weights, those of `weights.json` hold."""
    (tmp_path / "weights.json").write_text('{"weights": {"y": 2.0}, "bias": 1.0}')
    assert score(linear(), [[7, 3]], tmp_path) == [7]


@pytest.mark.parametrize("content", ["{", '{"weights": 3}', '{"weights": {}, "more": 1}'])
def test_a_weights_file_that_training_did_not_write_is_corrupt(content: str, tmp_path: Path) -> None:
    """A broken file is an error of the bundle."""
    (tmp_path / "weights.json").write_text(content)
    with pytest.raises(Corrupt, match=r"weights\.json"):
        linear().load(tmp_path, NAMES)


def test_weights_of_columns_that_are_not_there_are_refused() -> None:
    """A weight without its column would silently count for nothing."""
    with pytest.raises(NotReady, match="weighs z"):
        linear(weights={"z": 1.0}).load(Path("nowhere"), NAMES)


@pytest.mark.parametrize(
    "keys",
    [
        {"weights": {}},
        {"weights": {"x": float("inf")}},
        {"weights": {"x": NAN}},
        {"weights": {"x": 1.0}, "features": ["x"]},
        {"normalise": "rank"},
        {"train": {"l3": 1.0}},
    ],
)
def test_a_declaration_that_cannot_be_meant_is_refused(keys: dict[str, Any]) -> None:
    """No weight, weights that are not finite, columns named twice over, unknown keys."""
    with pytest.raises(InvalidConfig, match=r"^\$\.stages\[0\]"):
        linear(**keys)
