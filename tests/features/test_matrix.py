"""Feature matrices: columns by name."""

import numpy as np
import pytest

from features.errors import NotReady
from features.matrix import FeatureMatrix

VALUES = np.arange(6, dtype=np.float32).reshape(2, 3)
MATRIX = FeatureMatrix(VALUES, ("a", "b", "c"), np.array([0, 2]), "print")


def test_selecting_all_columns_copies_nothing() -> None:
    """The order of the model's columns is most often the matrix's own."""
    assert MATRIX.select(["a", "b", "c"]) is VALUES


def test_selecting_some_columns() -> None:
    """In the order asked for, contiguous, as models want them."""
    picked = MATRIX.select(["c", "a"])
    assert picked.tolist() == [[2, 0], [5, 3]]
    assert picked.flags.c_contiguous


def test_one_column() -> None:
    """By name."""
    assert MATRIX.column("b").tolist() == [1, 4]


def test_a_name_that_is_not_there_is_not_ready() -> None:
    """The message has the name and what there is."""
    with pytest.raises(NotReady, match=r"'d' among a, b, c"):
        MATRIX.select(["d"])


def test_taking_rows() -> None:
    """Rows under new offsets, the rest as it was."""
    taken = MATRIX.take(np.array([1]), np.array([0, 1]))
    assert taken.values.tolist() == [[3, 4, 5]]
    assert (taken.names, taken.offsets.tolist(), taken.fingerprint) == (MATRIX.names, [0, 1], "print")


def test_a_further_column() -> None:
    """It comes last, in float32, and the matrix itself stays as it was."""
    wider = MATRIX.with_column("d", np.array([7.0, 8.0], np.float64).astype(np.float32))
    assert wider.names == ("a", "b", "c", "d")
    assert wider.values.dtype == np.float32
    assert wider.column("d").tolist() == [7, 8]
    assert MATRIX.names == ("a", "b", "c")
