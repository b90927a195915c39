"""The `numeric` kind: transforms, clipping, and what stands for a missing number."""

import numpy as np
import pytest

from features.batch import Query, single
from features.columns import number
from features.errors import InvalidConfig
from features.kinds.numeric import Numeric
from features.registry import parse_features

VALUES = [4.0, 0.0, -9.0, float("nan"), 1e6]


def computed(**parameters: object) -> list[float]:
    """The feature of `VALUES`, as declared in a configuration."""
    (feature,) = parse_features([{"kind": "numeric", "field": "votes", **parameters}])
    batch = single(Query("q"), list("abcde"), {"votes": number(VALUES)})
    values = feature.compute(batch, {})
    assert values.dtype == np.float32
    return values[:, 0].tolist()


def test_identity_leaves_numbers_and_gaps() -> None:
    """A number is itself, and a missing one is NaN, never 0."""
    np.testing.assert_array_equal(computed(), VALUES)


def test_log1p_and_sqrt_keep_the_sign() -> None:
    """They are the usual ones above 0, and odd functions below, so that no number becomes NaN or infinite."""
    np.testing.assert_allclose(
        computed(transform="log1p"), [np.log(5), 0, -np.log(10), np.nan, np.log(1e6 + 1)], rtol=1e-6
    )
    np.testing.assert_allclose(computed(transform="sqrt"), [2, 0, -3, np.nan, 1000], rtol=1e-6)


def test_clipping_comes_before_the_transform() -> None:
    """The bounds are in the field's own unit."""
    np.testing.assert_allclose(computed(clip=[0, 100], transform="sqrt"), [2, 0, 0, np.nan, 10], rtol=1e-6)


def test_a_declared_constant_stands_for_missing_as_it_is() -> None:
    """The constant replaces NaN and is neither clipped nor transformed."""
    assert computed(missing=-1, clip=[0, 100], transform="sqrt")[3] == -1.0
    assert computed(missing=0)[3] == 0.0


def test_a_column_that_is_not_there_is_missing_in_every_row() -> None:
    """No column, all NaN."""
    feature = Numeric(name="f", field="absent")
    assert np.isnan(feature.compute(single(Query("q"), ["a"], {}), {})).all()


@pytest.mark.parametrize(
    "parameters",
    [
        {"clip": [2, 1]},
        {"clip": [0, float("inf")]},
        {"clip": [1]},
        {"missing": float("nan")},
        {"missing": float("inf")},
        {"missing": "zero"},
        {"transform": "exp"},
    ],
)
def test_parameters_that_cannot_be_right_are_refused_by_path(parameters: dict[str, object]) -> None:
    """A configuration error that starts at the feature's table."""
    with pytest.raises(InvalidConfig, match=r"^\$\.features\[0\]"):
        computed(**parameters)
