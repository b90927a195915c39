"""Numbers in eight bits, and the search for their scales."""

from collections.abc import Callable, Iterator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from training.export.calibrate import (
    best,
    calibrate,
    corrected,
    output,
    plain_ranges,
    sampled,
    smoothed,
)
from training.export.graph import Graph
from training.export.linear import Static
from training.export.quantise import Activation, quantise_columns, quantise_rows, span
from training.export.run import open_model


def layer(seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Inputs and weights of a layer whose third channel is an outlier."""
    random = np.random.default_rng(seed)
    sample = random.normal(size=(400, 32)).astype(np.float32)
    sample[:, 3] *= 60
    return sample, random.normal(size=(32, 24)).astype(np.float32) * 0.1


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 10_000), st.floats(1e-3, 1e3))
def test_weights_are_half_a_step_away_at_most(seed: int, size: float) -> None:
    """Symmetric rounding a column loses at most half of the column's step."""
    weight = (np.random.default_rng(seed).normal(size=(9, 5)) * size).astype(np.float32)
    values, scale = quantise_columns(weight)
    assert (np.abs(values * scale - weight) <= scale / 2 * 1.001).all()
    rows, row_scale = quantise_rows(weight)
    assert (np.abs(rows * row_scale[:, None] - weight) <= row_scale[:, None] / 2 * 1.001).all()


def test_sums_fit_in_sixteen_bits() -> None:
    """Two products of any byte with any weight add up within int16, as processors without VNNI need."""
    values, _ = quantise_columns(np.random.default_rng(0).normal(size=(64, 8)).astype(np.float32))
    assert 2 * 255 * int(np.abs(values).max()) <= np.iinfo(np.int16).max


def test_a_column_of_zeros_stays_zero() -> None:
    """A dead column divides by nothing."""
    values, scale = quantise_columns(np.zeros((4, 2), np.float32))
    assert not values.any()
    assert (scale == 1).all()


@settings(deadline=None, max_examples=40)
@given(st.floats(-50, 50), st.floats(-50, 50))
def test_zero_is_exact(one: float, other: float) -> None:
    """Whatever the range, 0 is one of its bytes."""
    scale, zero = span(min(one, other), max(one, other))
    assert 0 <= zero <= 255
    assert scale > 0
    assert Activation(scale, zero, None, np.zeros(1, np.float32)).restored(np.zeros((1, 1), np.float32)) == 0


def test_an_outlying_channel_costs_the_others_nothing() -> None:
    """Where one channel eats the range, the chosen way leaves a small part of that error."""
    sample, weight = layer()
    target = sample @ weight
    chosen = best(sample, weight)
    plain = Activation(*span(float(sample.min()), float(sample.max())), None, chosen.correction)
    assert chosen.smooth is not None
    left = np.square(output(chosen, sample, weight) - target).mean()
    assert left < 0.2 * np.square(output(plain, sample, weight) - target).mean()


def test_rare_outliers_are_cut() -> None:
    """A single huge value does not set the range."""
    sample, weight = np.random.default_rng(1).normal(size=(2000, 16)).astype(np.float32), np.eye(16)
    sample[5, 2] = 400
    chosen = best(sample, weight.astype(np.float32))
    assert chosen.scale * 255 < 100


def test_the_mean_error_goes_into_the_bias() -> None:
    """After correction the layer's outputs are right on average."""
    sample, weight = layer(2)
    chosen = calibrate({"a": sample}, {"a": (weight, np.zeros(24, np.float32))})["a"]
    left = (output(chosen, sample, weight) + chosen.correction - sample @ weight).mean(axis=0)
    np.testing.assert_allclose(left, 0, atol=1e-4)


@pytest.mark.parametrize("ways", [plain_ranges, smoothed])
def test_the_written_layer_is_the_calibrated_one(ways: Callable[..., Iterator[Activation]]) -> None:
    """onnxruntime computes what the search judged: smoothing, scale, zero point, bias, correction."""
    sample, weight = layer(3)
    bias = np.linspace(-1, 1, 24, dtype=np.float32)
    chosen = corrected(next(ways(sample, weight)), sample, weight, sample @ weight)
    graph = Graph()
    start = graph.add("Gather", graph.constant("sample", sample), "rows")
    graph.add("Identity", Static({"a": chosen})(graph, "a", start, weight, bias), to="out")
    session = open_model(graph.model({"rows": ("N",)}, {"out": ("N", 24)}))
    found = session.run(["out"], {"rows": np.arange(len(sample), dtype=np.int32)})[0]
    expected = output(chosen, sample, weight) + bias + chosen.correction
    assert np.quantile(np.abs(found - expected), 0.99) < 2e-4
    assert np.abs(chosen.correction).max() > 1e-3


@pytest.mark.parametrize("rows", [3, 7, 100])
def test_sampled_rows_are_some_of_the_rows(rows: int) -> None:
    """No more rows than asked for, none twice."""
    parts = [np.arange(10, dtype=np.float32)[:, None], np.arange(10, 20, dtype=np.float32)[:, None]]
    found = sampled(parts, np.random.default_rng(0), rows)[:, 0].tolist()
    assert len(found) == min(rows, 20) == len(set(found))
