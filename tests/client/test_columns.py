"""Kinds follow from Python's types, and what cannot be a column is named."""

from copy import deepcopy
from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any

import numpy as np
import pytest

from sluice import InvalidCandidates
from sluice.columns import kind_of, seconds, to_candidates
from sluice.request import Request, to_message
from sluice.v1 import ranking_pb2 as pb


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        (["a", None], "text"),
        ([1, 2.5, True, None], "number"),
        ([np.float32(1), np.int64(2)], "number"),
        (np.array([1, 2]), "number"),
        ([["a"], [], None], "keyword"),
        ([("a", "b"), {"c"}], "keyword"),
        (["a", ["b", "c"]], "keyword"),
        (["a", []], "keyword"),
        ([date(2024, 1, 1), datetime(2024, 1, 1)], "timestamp"),
        ([[1.0, 2.0], None], "vector"),
        ([np.zeros(2), np.ones(2)], "vector"),
        (np.eye(2), "vector"),
        ([None, None], ""),
        ([[], []], ""),
    ],
)
def test_kinds(values: Any, kind: str) -> None:
    """The kind of a column is that of its values; one that is missing everywhere has none."""
    assert kind_of("x", values) == kind


@pytest.mark.parametrize(
    ("candidates", "message"),
    [
        (
            [{"id": "a", "x": 1}, {"id": "b", "x": "one"}],
            "field 'x' holds a number (row 0) and a text (row 1)",
        ),
        ([{"id": "a", "x": {"y": 1}}], "candidates[0].x is a dict"),
        ([{"id": "a", "x": ["y", 1]}], "candidates[0].x is a list"),
        ([{"id": "a"}, {"x": 1}], "candidates[1] has no 'id'"),
        (
            [{"id": "a", "x": [1.0]}, {"id": "b", "x": [1.0, 2.0]}],
            "candidates[1].x has 2 elements where others have 1",
        ),
        ({"id": ["a", "b"], "x": [1]}, "column 'x' has 1 rows for 2 ids"),
        ({"x": [1]}, "candidates need an 'id'"),
    ],
)
def test_what_cannot_be_a_column(candidates: Any, message: str) -> None:
    """The error names the candidate and the field, and nothing is sent."""
    with pytest.raises(InvalidCandidates) as caught:
        to_candidates(candidates)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        (Request(query="\udcff", candidates=[]), "is no Unicode text"),
        (Request(query="q", candidates=[{"id": "\ud800"}]), "is no Unicode text"),
        (Request(query="q", candidates=[{"id": "a", "x": "half \ud800"}]), "'half \\ud800' is no Unicode"),
        (Request(query="q", candidates=[{"id": "a", "x": ["\ud800"]}]), "is no Unicode text"),
        (Request(query="q", candidates=[], values={"x": "\ud800"}), "is no Unicode text"),
        (Request(query="q", candidates=[{"id": "a", "x": 10**400}]), "a number is too large"),
        (Request(query="q", candidates=[{"id": "a", "x": [10**400]}]), "a number is too large"),
    ],
)
def test_what_no_message_can_hold(request_: Request, message: str) -> None:
    """Text that has no UTF-8, and numbers beyond float64, are the client's error for bad candidates."""
    with pytest.raises(InvalidCandidates) as caught:
        to_message(request_, "demo")
    assert message in str(caught.value)


def test_the_callers_values_stay_as_they_were() -> None:
    """Candidates are read and never changed."""
    rows = [{"id": 1, "tags": ["b", "a"], "vector": [1.0], "x": None}, {"id": 2}]
    columns = {"id": ["a"], "tags": [["b", "a"]]}
    before = deepcopy((rows, columns))
    to_candidates(rows)
    to_candidates(columns)
    assert (rows, columns) == before


def test_rows_and_columns_are_the_same_message() -> None:
    """Dicts are nothing but another way to write columns."""
    rows = [{"id": "a", "price": 1, "title": "x"}, {"id": "b", "price": None, "title": None}]
    columns = {"id": ["a", "b"], "price": [1, None], "title": ["x", None]}
    assert to_candidates(rows).SerializeToString() == to_candidates(columns).SerializeToString()


def test_missing_is_not_empty_and_not_zero() -> None:
    """None is named as missing in a text column and is NaN in a number column."""
    message = to_candidates([{"id": "a", "title": "", "price": 0}, {"id": "b", "title": None, "price": None}])
    assert list(message.columns[0].text.missing) == [1]
    numbers = np.frombuffer(message.numbers.data, "<f4")
    assert numbers[0] == 0
    assert np.isnan(numbers[1])


def test_all_numbers_travel_as_one_matrix() -> None:
    """Number columns become rows of one matrix, the cheapest form."""
    message = to_candidates([{"id": "a", "x": 1, "y": 2}, {"id": "b", "x": 3, "y": 4}])
    assert list(message.numbers.names) == ["x", "y"]
    assert np.frombuffer(message.numbers.data, "<f4").tolist() == [1, 2, 3, 4]
    assert not message.columns


def test_no_candidates() -> None:
    """An empty list is an empty message."""
    assert to_candidates([]) == pb.Candidates()


@pytest.mark.parametrize(
    ("when", "expected"),
    [
        (datetime(1970, 1, 2), 86_400.0),
        (date(1970, 1, 2), 86_400.0),
        (datetime(1970, 1, 2, tzinfo=UTC), 86_400.0),
        (datetime(1970, 1, 2, tzinfo=timezone(timedelta(hours=1))), 82_800.0),
    ],
)
def test_moments(when: date, expected: float) -> None:
    """A moment without a zone is in UTC, wherever the client runs."""
    assert seconds(when) == expected


def test_a_set_gives_the_same_bytes() -> None:
    """Sets have no order, so the client gives them one."""
    first, second = ({"id": ["a"], "tags": [set(order)]} for order in ("abcdefgh", "hgfedcba"))
    assert to_candidates(first).SerializeToString() == to_candidates(second).SerializeToString()
