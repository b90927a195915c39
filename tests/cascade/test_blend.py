"""Weighing a model's score against columns that are already there."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cascade.stages.blend import blended, check_blend
from features.matrix import FeatureMatrix


def matrix(columns: dict[str, list[float]], offsets: list[int]) -> FeatureMatrix:
    """A matrix of the given columns."""
    values = np.array(list(columns.values()), np.float32).T
    return FeatureMatrix(values, tuple(columns), np.array(offsets), "test")


def test_is_the_sum_of_z_scores_within_each_query() -> None:
    """Two queries are normalised apart, and the sum equals one made by hand."""
    scores = np.array([1, 3, 10, 30, 20], np.float32)
    given = matrix({"bm25": [5, 1, 0, 2, 1]}, [0, 2, 5])
    found = blended(scores, given, {"bm25": 0.5})
    third = np.array([10, 30, 20.0])
    other = np.array([0, 2, 1.0])
    by_hand = (third - third.mean()) / third.std() + 0.5 * (other - other.mean()) / other.std()
    np.testing.assert_allclose(found, [-1 + 0.5, 1 - 0.5, *by_hand], rtol=1e-6)


def test_parts_may_count_as_they_are() -> None:
    """Nothing is normalised: scores close together move little, and what is missing adds nothing."""
    scores = np.array([0.5, 0.25, np.nan], np.float32)
    found = blended(scores, matrix({"bm25": [1, np.nan, 7]}, [0, 3]), {"bm25": -2.0}, "none")
    np.testing.assert_array_equal(found, [0.5 - 2, 0.25, np.nan])


def test_parts_may_be_put_between_their_least_and_most() -> None:
    """Min-max as in a linear stage, over the rows that have a score."""
    scores = np.array([2, 4, 8, np.nan], np.float32)
    found = blended(scores, matrix({"bm25": [0, 5, 10, 99]}, [0, 4]), {"bm25": 2.0}, "minmax")
    np.testing.assert_allclose(found, [0, 1 / 3 + 1, 3, np.nan], rtol=1e-6)


def test_leaves_scores_alone_without_weights() -> None:
    """No weights, no change: a raw logit stays one."""
    scores = np.array([1, 3], np.float32)
    assert blended(scores, matrix({"bm25": [5, 1]}, [0, 2]), {}) is scores


def test_rows_without_a_score_stay_without_and_move_nobody() -> None:
    """A NaN row is left out of every mean, whatever its columns hold."""
    scores = np.array([1, np.nan, 3], np.float32)
    found = blended(scores, matrix({"bm25": [5, 1e6, 1]}, [0, 3]), {"bm25": 0.5})
    np.testing.assert_allclose(found, [-0.5, np.nan, 0.5])


def test_a_missing_value_counts_as_the_mean() -> None:
    """NaN in a column adds nothing to the score of its row."""
    found = blended(np.array([1, 2, 3], np.float32), matrix({"bm25": [1, np.nan, 3]}, [0, 3]), {"bm25": 2.0})
    assert found[1] == 0.0


@given(
    st.lists(st.floats(-100, 100, width=16), min_size=1, max_size=8), st.floats(0.5, 8), st.floats(-50, 50)
)
def test_scale_and_offset_of_a_column_do_not_matter(values: list[float], scale: float, shift: float) -> None:
    """BM25 in other units gives the same order fusion."""
    scores = np.arange(len(values), dtype=np.float32)
    plain = matrix({"x": values}, [0, len(values)])
    other = matrix({"x": [value * scale + shift for value in values]}, [0, len(values)])
    if np.ptp(values) < 0.01:
        return
    np.testing.assert_allclose(
        blended(scores, plain, {"x": 1.0}), blended(scores, other, {"x": 1.0}), atol=0.02
    )


def test_refuses_weights_that_are_no_numbers() -> None:
    """NaN as a weight is named, not spread."""
    with pytest.raises(ValueError, match="bm25"):
        check_blend({"bm25": float("nan")}, "zscore")


def test_refuses_to_normalise_nothing() -> None:
    """Without blend nobody would read it."""
    with pytest.raises(ValueError, match="there are none"):
        check_blend({}, "none")
