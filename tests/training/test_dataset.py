"""Batches of candidates, and features in chunks."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from features.batch import CandidateBatch, Query
from features.columns import Floats, Input, Kind, number
from features.feature import Feature, State
from features.featureset import FeatureSet
from training import dataset
from training.candidates import judged
from training.collection import Collection
from training.dataset import build_batch, chunked, compute, labels_of


class Double(Feature, frozen=True):
    """Twice a number: a feature without a registry."""

    kind = "double"

    @property
    def inputs(self) -> tuple[Input, ...]:
        """The number column."""
        return (Input("x", Kind.NUMBER),)

    def compute(self, batch: CandidateBatch, state: State) -> Floats:
        """float32[n, 1]."""
        values: Floats = batch.column("x", Kind.NUMBER).values
        return 2 * values[:, None]


def test_rows_carry_the_documents_columns(small: Collection) -> None:
    """Every candidate row has its own document's values and its own query's grade."""
    batch = build_batch(small, judged(small), [Input("title", Kind.TEXT), Input("price", Kind.NUMBER)])
    rows = dict(zip(small.documents.ids, small.documents.rows, strict=True))
    for row, name in enumerate(batch.ids):
        assert batch.columns["title"].values[row] == rows[name]["title"]
    labels = labels_of(batch, small.grades)
    found = {
        (batch.queries[q].id, name): g
        for q, name, g in zip(batch.query_of_row, batch.ids, labels, strict=True)
    }
    assert found == {("q1", "a"): 2, ("q1", "b"): 1, ("q1", "c"): 0, ("q2", "c"): 1, ("q2", "d"): 0}


def test_retrieval_scores_become_a_column(small: Collection) -> None:
    """A list with scores gives the column that the `retrieval` kind reads; a list without gives NaN."""
    wanted = [Input("retrieval_score", Kind.NUMBER)]
    scored = build_batch(small, {"q1": {"b": 2.5, "a": 1.0}, "q2": ["d"]}, wanted)
    np.testing.assert_array_equal(scored.columns["retrieval_score"].values, [2.5, 1.0, np.nan])


@settings(deadline=None, max_examples=50)
@given(st.lists(st.integers(0, 9), min_size=1, max_size=12), st.integers(1, 10))
def test_chunks_are_whole_queries(sizes: list[int], rows: int) -> None:
    """Chunks cover all queries in order, also those without candidates."""
    offsets = np.concatenate([[0], np.cumsum(sizes)])
    assert np.concatenate(list(chunked(offsets, rows))).tolist() == list(range(len(sizes)))


def test_chunked_features_are_those_of_the_whole(monkeypatch) -> None:  # type: ignore[no-untyped-def]
    """Computed in chunks, features are the same numbers as at once."""
    monkeypatch.setattr(dataset, "CHUNK_ROWS", 3)
    offsets = np.array([0, 2, 2, 7, 9, 10])
    columns = {"x": number(np.arange(10))}
    batch = CandidateBatch(
        tuple(Query(str(q)) for q in range(5)), [str(r) for r in range(10)], offsets, columns
    )
    features = FeatureSet.declare((Double(name="double"),))
    np.testing.assert_array_equal(compute(features, batch).values, features.compute(batch).values)
