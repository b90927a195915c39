"""The fitted linear stage."""

from pathlib import Path

import numpy as np
import pytest
from scipy.optimize import approx_fprime

from cascade.deadline import NEVER
from cascade.stages.linear import Linear, LinearTraining
from features.batch import CandidateBatch, Query
from features.errors import InvalidInput
from features.matrix import FeatureMatrix
from training import linear
from training.dataset import StageData
from training.linear import fit, learns
from training.trainers import Context


def made(weights: tuple[float, ...], queries: int = 80, rows: int = 6) -> StageData:
    """Lists whose one relevant row has the highest weighted sum of columns of different scales."""
    random = np.random.default_rng(0)
    values = random.normal(5, [1, 100, 0.01], size=(queries * rows, 3)).astype(np.float32)
    truth = ((values - 5) / [1, 100, 0.01]) @ np.array(weights)
    best = truth.reshape(queries, rows).argmax(axis=1)
    labels = np.zeros((queries, rows), np.float32)
    labels[np.arange(queries), best] = 1
    names = tuple(Query(str(number)) for number in range(queries))
    offsets = np.arange(queries + 1) * rows
    batch = CandidateBatch(names, [str(row) for row in range(len(values))], offsets)
    matrix = FeatureMatrix(values, ("a", "b", "c"), batch.offsets, "test")
    return StageData(batch, matrix, labels.ravel(), np.arange(queries))


@pytest.mark.parametrize(("normalise", "share"), [("none", 0.95), ("zscore", 0.75), ("minmax", 0.75)])
def test_finds_the_weights(tmp_path: Path, normalise: str, share: float) -> None:
    """The relevant row comes first in most lists, in nearly all of them without the lists' own scales."""
    data = made((2.0, -1.0, 0.0))
    spec = Linear(name="sum", normalise=normalise)  # type: ignore[arg-type]
    told = fit(spec, data, tmp_path, Context())
    assert told["weights"]["a"] > 0 > told["weights"]["b"]
    scores = spec.load(tmp_path, data.matrix.names).score(data.batch, data.matrix, NEVER).scores
    first = scores.reshape(80, 6).argmax(axis=1)
    assert (data.labels.reshape(80, 6)[np.arange(80), first] == 1).mean() > share


def test_gradient_is_the_slope_of_the_loss(monkeypatch: pytest.MonkeyPatch) -> None:
    """The analytic gradient equals finite differences."""
    seen = {}

    def catch(loss, start, **options):  # type: ignore[no-untyped-def]
        seen["loss"] = loss
        raise StopIteration

    monkeypatch.setattr(linear, "minimize", catch)
    data = made((1.0, 1.0, 1.0), queries=5)
    values, _ = linear.scaled(data.matrix.values.astype(np.float64))
    with pytest.raises(StopIteration):
        linear.solve(values, np.arange(5) * 6, linear.gains(data), Linear(name="x"))
    at = np.array([0.3, -0.2, 0.5])
    numeric = approx_fprime(at, lambda weights: seen["loss"](weights)[0], 1e-7)
    np.testing.assert_allclose(seen["loss"](at)[1], numeric, rtol=1e-4, atol=1e-5)


def test_declared_weights_are_not_fitted(tmp_path: Path) -> None:
    """A stage with weights learns nothing and writes nothing."""
    spec = Linear(name="sum", weights={"a": 1.0})
    assert not learns(spec)
    assert fit(spec, made((1.0, 0.0, 0.0)), tmp_path, Context()) == {}
    assert not list(tmp_path.iterdir())


def test_missing_counts_as_declared(tmp_path: Path) -> None:
    """NaN never reaches the weights: it counts as `missing`."""
    data = made((1.0, 0.0, 0.0))
    data.matrix.values[::3, 1] = np.nan
    told = fit(Linear(name="sum", train=LinearTraining(l2=0.01)), data, tmp_path, Context())
    assert np.isfinite(list(told["weights"].values())).all()


def test_nothing_relevant(tmp_path: Path) -> None:
    """Lists without a relevant row teach nothing."""
    data = made((1.0, 0.0, 0.0))
    blank = StageData(data.batch, data.matrix, np.zeros_like(data.labels), data.groups)
    with pytest.raises(InvalidInput, match="no candidate is relevant"):
        fit(Linear(name="sum"), blank, tmp_path, Context())
