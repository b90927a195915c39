"""Columns: their kinds, how one reads as another, and what they refuse."""

import numpy as np
import pytest

from features.columns import Column, Kind, keyword, missing, number, read_as, seconds, text, timestamp, vector
from features.errors import InvalidInput

NAN = float("nan")


@pytest.mark.parametrize(
    ("column", "expected"),
    [
        (text(["a", None, "c"]), ["c", "a"]),
        (keyword([["x"], [], ["y", "z"]]), [("y", "z"), ("x",)]),
    ],
)
def test_taking_rows_of_lists(column: Column, expected: list[object]) -> None:
    """Rows come in the order asked for."""
    assert column.take(np.array([2, 0])).values == expected


@pytest.mark.parametrize("column", [number([1, NAN, 3]), timestamp([1, NAN, 3]), vector(np.ones((3, 2)))])
def test_taking_rows_of_arrays(column: Column) -> None:
    """Rows come in the order asked for, in the same type."""
    taken = column.take(np.array([2, 0]))
    assert taken.values.dtype == column.values.dtype
    np.testing.assert_array_equal(taken.values, column.values[[2, 0]])


def test_types_of_the_arrays() -> None:
    """Numbers and vectors are float32, timestamps float64 so that seconds are exact."""
    assert number([1]).values.dtype == np.float32
    assert vector(np.ones((1, 2), np.float16)).values.dtype == np.float32
    assert timestamp([1_700_000_001.0]).values[0] == 1_700_000_001.0


@pytest.mark.parametrize(
    "make",
    [
        lambda: number([0, 0, np.inf]),
        lambda: timestamp([0, 0, -np.inf]),
        lambda: vector(np.array([[0, 0], [0, 0], [0, np.inf]])),
    ],
)
def test_infinities_are_refused_by_row(make: object) -> None:
    """The error's path is the first offending row."""
    with pytest.raises(InvalidInput, match=r"^\[2\]: .*finite"):
        make()  # type: ignore[operator]


def test_a_number_too_large_for_float32_is_refused() -> None:
    """1e39 would become infinite, so it is refused as infinite is."""
    with pytest.raises(InvalidInput, match=r"^\[0\]"), np.errstate(over="ignore"):
        number([1e39])


def test_vectors_are_a_matrix() -> None:
    """A flat array is not a vector a candidate."""
    with pytest.raises(InvalidInput, match="matrix"):
        vector(np.ones(3))


@pytest.mark.parametrize("kind", list(Kind))
def test_missing_columns_read_as_missing(kind: Kind) -> None:
    """Every kind has its own sign of absence, and none of them is 0."""
    column = missing(kind, 2)
    assert len(column) == 2
    assert column.kind is kind
    if isinstance(column.values, np.ndarray):
        assert np.isnan(column.values).all()
    else:
        assert not any(column.values)


def test_keywords_and_texts_read_as_each_other() -> None:
    """Keywords join into a text, a text is one keyword, and absence stays absence."""
    assert read_as(keyword([["a", "b"], []]), Kind.TEXT).values == ["a, b", None]
    assert read_as(text(["a b", None, ""]), Kind.KEYWORD).values == [("a b",), (), ()]


def test_texts_and_numbers_read_as_timestamps() -> None:
    """ISO dates in UTC, with a zone where they name one; numbers are seconds."""
    dates = read_as(text(["1970-01-02", "1970-01-01T01:00:00+01:00", None, ""]), Kind.TIMESTAMP)
    np.testing.assert_array_equal(dates.values, [86_400, 0, NAN, NAN])
    np.testing.assert_array_equal(read_as(number([5, NAN]), Kind.TIMESTAMP).values, [5, NAN])


@pytest.mark.parametrize(
    ("column", "kind"),
    [(text(["1"]), Kind.NUMBER), (number([1]), Kind.TEXT), (vector(np.ones((1, 1))), Kind.NUMBER)],
)
def test_kinds_that_have_nothing_in_common_are_refused(column: Column, kind: Kind) -> None:
    """The error names both kinds."""
    with pytest.raises(InvalidInput, match=f"{column.kind} column where a {kind}"):
        read_as(column, kind)


def test_a_column_is_itself_in_its_own_kind() -> None:
    """No copy where none is needed."""
    column = number([1])
    assert read_as(column, Kind.NUMBER) is column


@pytest.mark.parametrize("value", ["soon", "2024-13-01", "12"])
def test_what_is_no_date_is_named_by_row(value: str) -> None:
    """The path is the row and the message shows the text."""
    with pytest.raises(InvalidInput, match=rf"^\[3\]: '{value}'"):
        seconds(value, 3)
