"""Fields of documents as columns of the wanted kind."""

from typing import Any

import numpy as np
import pytest

from features.columns import Kind
from features.errors import InvalidInput
from training.documents import Documents


def corpus(*values: Any) -> Documents:
    """Documents with one field `f`; `...` leaves it out."""
    rows = [{} if value is ... else {"f": value} for value in values]
    return Documents({str(row): row for row in range(len(rows))}, rows)


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        (("x", None, ...), Kind.TEXT),
        ((["x"], [], "y"), Kind.KEYWORD),
        ((1, 2.5, True), Kind.NUMBER),
        (("2006-11-02", "2006-11-02T10:00:00Z"), Kind.TIMESTAMP),
        (("2006-11-02", "soon"), Kind.TEXT),
        (([1, 2], [3.5, 4]), Kind.VECTOR),
        (("12", 12), Kind.TEXT),
    ],
)
def test_kind_of_a_field(values: tuple[Any, ...], kind: Kind) -> None:
    """A field's kind follows from its JSON values."""
    assert corpus(*values).fields == {"f": kind}


def test_missing_is_none_nan_or_empty() -> None:
    """What is not there is missing in the kind's own way, and an empty text stays an empty text."""
    assert corpus("x", None, ..., "").column("f", Kind.TEXT).values == ["x", None, None, ""]
    assert corpus(["x"], None, ...).column("f", Kind.KEYWORD).values == [("x",), (), ()]
    np.testing.assert_array_equal(corpus(1, None, ...).column("f", Kind.NUMBER).values, [1, np.nan, np.nan])
    vectors = corpus([1, 2], None).column("f", Kind.VECTOR).values
    np.testing.assert_array_equal(vectors, [[1, 2], [np.nan, np.nan]])
    assert corpus("x").column("other", Kind.TEXT).values == [None]


def test_lists_read_as_text_and_dates_as_seconds() -> None:
    """Lists of strings join as at the server; dates are seconds since 1970; a date can be read as text."""
    assert corpus(["a", "b"]).column("f", Kind.TEXT).values == ["a, b"]
    assert corpus("1970-01-02").column("f", Kind.TIMESTAMP).values.tolist() == [86400.0]
    assert corpus("1970-01-02").column("f", Kind.TEXT).values == ["1970-01-02"]


@pytest.mark.parametrize(
    ("values", "kind", "message"),
    [
        ((1, 2), Kind.TEXT, "is a number column where a text column is read"),
        (("x",), Kind.NUMBER, "is a text column where a number column is read"),
        (({"a": 1},), Kind.TEXT, "holds objects"),
        (([1, 2], [1]), Kind.VECTOR, "a vector of 1 where others have 2"),
        ((1, 10**400), Kind.NUMBER, r"\[1\]: a number must be finite"),
        (([1, 2], [1, 10**400]), Kind.VECTOR, r"\[1\]: a vector must be finite"),
        (("x",), Kind.TIMESTAMP, "not an ISO 8601 date"),
    ],
)
def test_what_does_not_fit_names_the_field(values: tuple[Any, ...], kind: Kind, message: str) -> None:
    """A field that is read as a kind that it is not names itself, as the server would refuse it."""
    with pytest.raises(InvalidInput, match=message) as caught:
        corpus(*values).column("f", kind)
    assert caught.value.path.startswith("corpus.f")


def test_text_fields_are_strings_and_lists() -> None:
    """BM25 over all text reads strings and lists of strings, and no dates, numbers or objects."""
    row = {"t": "x", "l": ["y"], "n": 1, "d": "2006-11-02", "o": {"a": 1}}
    assert Documents({"a": 0}, [row]).text_fields == ("t", "l")
