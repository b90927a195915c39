"""Candidate batches: columns with offsets."""

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features.batch import CandidateBatch, Query, single
from features.columns import Kind, number, text
from features.errors import InvalidInput


def batch(sizes: Sequence[int] = (2, 0, 3)) -> CandidateBatch:
    """Queries with as many candidates as `sizes` says, numbered through."""
    n = sum(sizes)
    columns = {"n": number(range(n)), "t": text([f"t{i}" for i in range(n)])}
    queries = tuple(Query(f"q{i}") for i in range(len(sizes)))
    return CandidateBatch(queries, [f"d{i}" for i in range(n)], np.cumsum([0, *sizes]), columns)


@pytest.mark.parametrize("offsets", [[0, 2], [1, 2, 2, 5], [0, 2, 2, 4], [0, 3, 2, 5], []])
def test_offsets_that_cannot_be_right_are_refused(offsets: list[int]) -> None:
    """Too few, not from 0, not to the end, falling, or none at all."""
    queries = (Query("a"), Query("b"), Query("c"))
    with pytest.raises(InvalidInput, match="offsets"):
        CandidateBatch(queries, list("vwxyz"), np.array(offsets, np.int64))


def test_a_column_of_another_length_is_named() -> None:
    """Three rows for two candidates, by the column's path."""
    with pytest.raises(InvalidInput, match=r"^columns\.price: has 3 rows for 2"):
        single(Query("q"), ["a", "b"], {"price": number([1, 2, 3])})


def test_rows_know_their_query() -> None:
    """Past a query without candidates."""
    assert batch().query_of_row.tolist() == [0, 0, 2, 2, 2]


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(0, 4), max_size=4), st.data())
def test_taking_rows_keeps_queries_and_columns(sizes: list[int], data: st.DataObject) -> None:
    """Any rows grouped by query, in any order within it, dropped or not: ids, columns and owners follow."""
    whole = batch(sizes)
    picked = [row for i, n in enumerate(sizes) for row in shuffled(whole, i, n, data)]
    taken = whole.take(np.array(picked, np.int64))
    assert taken.queries == whole.queries
    assert list(taken.ids) == [f"d{row}" for row in picked]
    assert taken.query_of_row.tolist() == whole.query_of_row[picked].tolist()
    assert taken.columns["n"].values.tolist() == picked
    assert taken.columns["t"].values == [f"t{row}" for row in picked]


def shuffled(whole: CandidateBatch, query: int, n: int, data: st.DataObject) -> list[int]:
    """Some of a query's rows, in some order."""
    rows = [int(whole.offsets[query]) + i for i in range(n)]
    order: list[int] = data.draw(st.permutations(rows))
    return order[: data.draw(st.integers(0, n))]


def test_rows_out_of_the_queries_order_are_refused() -> None:
    """A batch stays grouped by query."""
    with pytest.raises(InvalidInput, match="grouped"):
        batch().take(np.array([2, 0]))


def test_one_query_alone() -> None:
    """`only` has that query's rows, and none for one without candidates."""
    alone = batch().only(2)
    assert [query.text for query in alone.queries] == ["q2"]
    assert list(alone.ids) == ["d2", "d3", "d4"]
    assert alone.columns["n"].values.tolist() == [2, 3, 4]
    assert len(batch().only(1)) == 0


def test_a_column_that_is_not_there_is_missing() -> None:
    """In the kind asked for, with as many rows as there are."""
    assert batch().column("absent", Kind.TEXT).values == [None] * 5
    assert np.isnan(batch().column("absent", Kind.NUMBER).values).all()


def test_a_column_of_the_wrong_kind_is_named() -> None:
    """The path leads to the column."""
    with pytest.raises(InvalidInput, match=r"^columns\.n: is a number column"):
        batch().column("n", Kind.TEXT)


def test_a_bad_date_is_named_by_column_and_row() -> None:
    """Paths of column and row are put together."""
    dates = single(Query("q"), list("ab"), {"when": text(["2024-01-01", "never"])})
    with pytest.raises(InvalidInput, match=r"^columns\.when\[1\]: 'never'"):
        dates.column("when", Kind.TIMESTAMP)


def test_further_columns_share_derived_views() -> None:
    """Analysed texts are kept, and the batch itself has no new column."""
    whole = batch()
    whole.memo["view"] = 1
    wider = whole.with_columns({"m": number(range(5))})
    assert wider.memo["view"] == 1
    assert set(wider.columns) - set(whole.columns) == {"m"}


def test_other_rows_do_not_share_derived_views() -> None:
    """A view of some rows is not one of others."""
    whole = batch()
    whole.memo["view"] = 1
    assert not whole.take(np.array([0])).memo
    assert not whole.only(0).memo


def test_no_queries_at_all() -> None:
    """The empty batch is a batch."""
    empty = CandidateBatch((), [], np.array([0]))
    assert len(empty) == 0
    assert empty.query_of_row.tolist() == []
    assert len(empty.take(np.array([], np.int64))) == 0
