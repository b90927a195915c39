"""What a client sends is what a ranker gets."""

from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cascade.deadline import NEVER
from cascade.explain import Explanation
from cascade.ranking import Ranking, StageReport, Status
from cascade.request import RankRequest
from features.batch import CandidateBatch, Query, single
from features.columns import Input, Kind
from serving.answer import to_report, to_response
from serving.convert import Work, reads_of, to_work
from serving.settings import Limits
from sluice.columns import to_candidates
from sluice.request import Request, to_message
from sluice.results import to_ranking
from sluice.v1 import ranking_pb2 as pb

READS = reads_of(tuple(Input(kind.value, kind) for kind in Kind))
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
NUMBERS = st.floats(width=32, allow_infinity=False, allow_nan=False)
CELLS: dict[Kind, st.SearchStrategy[Any]] = {
    Kind.TEXT: TEXTS,
    Kind.NUMBER: NUMBERS,
    Kind.KEYWORD: st.lists(TEXTS, min_size=1, max_size=3),
    Kind.TIMESTAMP: st.datetimes(datetime(1900, 1, 1), datetime(2100, 1, 1)).map(
        lambda when: when.replace(tzinfo=UTC)
    ),
    Kind.VECTOR: st.lists(NUMBERS, min_size=3, max_size=3),
}


@st.composite
def rows(draw: st.DrawFn) -> list[dict[str, Any]]:
    """Candidates with a field of every kind, any of which may be missing."""
    n = draw(st.integers(0, 5))
    columns = {kind: draw(st.lists(st.none() | cell, min_size=n, max_size=n)) for kind, cell in CELLS.items()}
    return [{"id": f"id-{row}", **{kind.value: columns[kind][row] for kind in Kind}} for row in range(n)]


def read(message: pb.RankRequest) -> Work:
    """What the server makes of a message."""
    return to_work(message, READS, Limits(), NEVER, now=5.0)


def value(batch: CandidateBatch, kind: Kind, row: int) -> Any:
    """One value as a caller would write it, None where it is missing."""
    found = batch.column(kind.value, kind).values[row]
    if kind is Kind.KEYWORD:
        return list(found) or None
    if kind is Kind.TEXT:
        return found
    return None if np.isnan(found).all() else found.tolist()


def sent(row: dict[str, Any], kind: Kind) -> Any:
    """The same out of the candidate."""
    written = row[kind.value]
    return written.timestamp() if isinstance(written, datetime) else written


@settings(max_examples=80, deadline=None)
@given(candidates=rows())
def test_candidates_go_round(candidates: list[dict[str, Any]]) -> None:
    """Dicts → the client's message → bytes → the server's batch: every value and every gap is the same."""
    message = to_message(Request(query="q", candidates=candidates), "demo")
    batch = read(pb.RankRequest.FromString(message.SerializeToString())).request.batch
    assert list(batch.ids) == [row["id"] for row in candidates]
    for kind in Kind:
        found = [value(batch, kind, row) for row in range(len(batch))]
        assert found == [sent(row, kind) for row in candidates]


def test_query_and_user_go_round() -> None:
    """Text, values of every kind, vectors and the user arrive as one query."""
    request = Request(
        query="blue shoes",
        candidates=[],
        values={"locale": "en", "price": 3.5, "sizes": ["s", "m"]},
        vectors={"meaning": [1.0, 2.0]},
        user_id="u1",
        session_id="s1",
        user_values={"age": 33},
        request_id="r1",
    )
    query = read(to_message(request, "demo")).request.batch.queries[0]
    assert (query.text, query.id) == ("blue shoes", "r1")
    assert query.values == {
        "now": 5.0,
        "locale": "en",
        "price": 3.5,
        "sizes": ("s", "m"),
        "user.age": 33.0,
        "user.id": "u1",
        "user.session_id": "s1",
    }
    assert query.vectors["meaning"].tolist() == [1.0, 2.0]


def test_now_is_the_callers_where_it_is_sent() -> None:
    """The server's clock fills `now` in only where the caller has not, so that a request can be replayed."""
    query = read(
        to_message(Request(query="q", candidates=[], values={"now": 1.5}), "demo")
    ).request.batch.queries[0]
    assert query.values["now"] == 1.5


@pytest.mark.parametrize(
    ("element", "dtype"),
    [(pb.ELEMENT_TYPE_FLOAT32, "<f4"), (pb.ELEMENT_TYPE_FLOAT16, "<f2"), (pb.ELEMENT_TYPE_INT8, "i1")],
)
def test_element_types(element: Any, dtype: str) -> None:
    """Vectors of every element type arrive as float32, and rows named as missing as NaN."""
    matrix = np.array([[1, -2], [3, 4]], dtype)
    message = pb.RankRequest(query=pb.Query(text="q"), candidates=pb.Candidates(ids=["a", "b"]))
    column = pb.VectorColumn(dimension=2, type=element, data=matrix.tobytes(), missing=[1])
    message.candidates.columns.append(pb.Column(name="vector", vector=column))
    values = read(message).request.batch.column("vector", Kind.VECTOR).values
    np.testing.assert_array_equal(values, np.array([[1, -2], [np.nan, np.nan]], np.float32))


def test_numpy_columns() -> None:
    """The client takes numpy columns for what they are."""
    columns = {"id": ["a", "b"], "number": np.array([1.5, np.nan]), "vector": np.eye(2, dtype=np.float64)}
    message = pb.RankRequest(query=pb.Query(text="q"), candidates=to_candidates(columns))
    batch = read(message).request.batch
    np.testing.assert_array_equal(batch.column("number", Kind.NUMBER).values, [1.5, np.nan])
    np.testing.assert_array_equal(batch.column("vector", Kind.VECTOR).values, np.eye(2))


def test_a_column_read_one_way_is_converted_once() -> None:
    """Keywords that only a text feature reads arrive as text already."""
    message = pb.RankRequest(
        query=pb.Query(text="q"), candidates=to_candidates([{"id": "a", "text": ["x", "y"]}])
    )
    column = read(message).request.batch.columns["text"]
    assert (column.kind, column.values) == (Kind.TEXT, ["x, y"])


def test_rankings_go_round() -> None:
    """Rows, scores, who placed what, outcomes, reports and explanations arrive at the client as they were."""
    report = StageReport("first", Status.SHRUNK, "late", 3, 2, 1, 1, 0.001, 0.002, 0.003, 7)
    ranking = Ranking(
        np.array([2, 0, 1]),
        np.array([1.5, 0.5, np.nan], np.float32),
        ("first", "first", "input"),
        (report,),
        {1: "too long"},
        ("two texts were cut",),
    )
    told = (Explanation("first", ("x",), (float("nan"),), (0.25,), 1.25), Explanation("", ("x",), (2.0,)))
    request = RankRequest(single(Query("q"), ["a", "b", "c"], {}))
    message = to_response(ranking, request, told)
    message.stages.append(to_report(report))
    answer = to_ranking(pb.RankResponse.FromString(message.SerializeToString()))
    assert [(each.id, each.index, each.score, each.placed_by, each.outcome) for each in answer.results] == [
        ("c", 2, 1.5, "first", ""),
        ("a", 0, 0.5, "first", ""),
        ("b", 1, None, "input", "too long"),
    ]
    first, second = (each.explanation for each in answer.results[:2])
    assert first is not None
    assert second is not None
    assert (first.stage, first.bias, asdict(first.features[0])) == (
        "first",
        1.25,
        {"name": "x", "value": None, "contribution": 0.25},
    )
    assert (second.stage, second.features[0].value, second.features[0].contribution) == ("", 2.0, None)
    expected = ("first", "SHRUNK", "late", 3, 2, 1, 1, 1.0, 2.0, 3.0, 7)
    assert tuple(asdict(answer.stages[0]).values()) == expected
    assert (answer.degraded, answer.warnings, answer.final) == (True, ("two texts were cut",), True)


@pytest.mark.parametrize("status", Status)
def test_every_status_has_a_message(status: Status) -> None:
    """No stage status is without its wire form."""
    message = to_report(StageReport("s", status))
    assert pb.StageStatus.Name(message.status) == f"STAGE_STATUS_{status.value}"
