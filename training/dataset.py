"""Candidates with their columns and labels, in the shape that features, stages and trainers read."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from features.batch import CandidateBatch
from features.columns import Column, Floats, Input, Rows, number
from features.featureset import FeatureSet
from features.matrix import FeatureMatrix
from training.collection import Collection
from training.progress import Track, quiet
from training.runs import Lists

CHUNK_ROWS = 20_000
RETRIEVAL_SCORE = "retrieval_score"
"""The column of the retriever's scores (see the `retrieval` kind), unless documents have such a field."""


@dataclass(frozen=True, eq=False)
class StageData:
    """What a stage learns from.

    Attributes:
        batch: candidates of q queries, best of the previous order first.
        matrix: their features, then earlier stages' out-of-fold scores as `stage.<name>`.
        labels: float32[n]: the grade of each row, 0 where it was not judged.
        groups: int64[q]: queries of one group share positives or text; no split may part them.
        weights: float32[n]: how much each row counts, as clicks make it; None = all alike.
        positions: int64[n]: where each row was shown, from 0, for learners that model position bias.
    """

    batch: CandidateBatch
    matrix: FeatureMatrix
    labels: Floats
    groups: Rows
    weights: Floats | None = None
    positions: Rows | None = None

    def queries(self, chosen: Rows) -> "StageData":
        """The given queries alone, in the given order."""
        rows = rows_of(self.batch.offsets, chosen)
        batch = part(self.batch, chosen, rows)
        return self._taken(batch, rows, self.groups[chosen])

    def rows(self, rows: Rows) -> "StageData":
        """The given rows, which stay grouped by query; all queries are kept."""
        return self._taken(self.batch.take(rows), rows, self.groups)

    def with_score(self, name: str, scores: Floats) -> "StageData":
        """The same rows with one matrix column more."""
        return replace(self, matrix=self.matrix.with_column(name, scores))

    def _taken(self, batch: CandidateBatch, rows: Rows, groups: Rows) -> "StageData":
        matrix = self.matrix.take(rows, batch.offsets)
        weights = None if self.weights is None else self.weights[rows]
        positions = None if self.positions is None else self.positions[rows]
        return StageData(batch, matrix, self.labels[rows], groups, weights, positions)


def rows_of(offsets: Rows, queries: Rows) -> Rows:
    """The rows of the given queries, in the given order."""
    if not len(queries):
        return np.empty(0, np.int64)
    return np.concatenate([np.arange(offsets[query], offsets[query + 1]) for query in queries.tolist()])


def part(batch: CandidateBatch, queries: Rows, rows: Rows) -> CandidateBatch:
    """The batch of some queries and their rows."""
    sizes = np.diff(batch.offsets)[queries]
    columns = {name: column.take(rows) for name, column in batch.columns.items()}
    return CandidateBatch(
        tuple(batch.queries[query] for query in queries.tolist()),
        [batch.ids[row] for row in rows.tolist()],
        np.concatenate([[0], np.cumsum(sizes)]),
        columns,
    )


def build_batch(collection: Collection, lists: Lists, inputs: Sequence[Input]) -> CandidateBatch:
    """The candidates of every query with the columns that are read.

    Raises:
        InvalidInput: naming the field that does not fit the kind in which it is read.
    """
    corpus = collection.columns(inputs)
    ids = [document for query in collection.queries for document in lists.get(query, [])]
    known = collection.documents.ids
    rows = np.array([known[document] for document in ids], np.int64)
    sizes = [len(lists.get(query, [])) for query in collection.queries]
    columns: dict[str, Column] = {name: column.take(rows) for name, column in corpus.items()}
    if RETRIEVAL_SCORE in columns and RETRIEVAL_SCORE not in collection.documents.fields:
        columns[RETRIEVAL_SCORE] = retrieval_scores(collection, lists)
    return CandidateBatch(
        tuple(collection.queries.values()), ids, np.concatenate([[0], np.cumsum(sizes)]), columns
    )


def retrieval_scores(collection: Collection, lists: Lists) -> Column:
    """The retriever's score of every candidate, missing where it is not known."""
    given = (lists.get(query, []) for query in collection.queries)
    return number(
        [found[document] if isinstance(found, Mapping) else math.nan for found in given for document in found]
    )


def labels_of(batch: CandidateBatch, grades: Mapping[str, Mapping[str, float]]) -> Floats:
    """float32[n]: the grade of every row, 0 where it was not judged."""
    owners = [batch.queries[query].id for query in batch.query_of_row.tolist()]
    pairs = zip(owners, batch.ids, strict=True)
    return np.array([grades.get(query, {}).get(document, 0.0) for query, document in pairs], np.float32)


def compute(features: FeatureSet, batch: CandidateBatch, track: Track = quiet) -> FeatureMatrix:
    """The features of a batch, some thousand rows at a time, so that memory stays bounded.

    Features do not depend on other queries' rows, so the numbers are those of the whole batch at once.
    """
    chunks = list(chunked(batch.offsets, CHUNK_ROWS))
    values = np.empty((len(batch), len(features.names)), np.float32)
    for queries in track(chunks, "computing features"):
        rows = rows_of(batch.offsets, queries)
        values[rows] = features.compute(part(batch, queries, rows)).values
    return FeatureMatrix(values, features.names, batch.offsets, features.fingerprint)


def chunked(offsets: Rows, rows: int) -> Iterable[Rows]:
    """Runs of whole queries of about that many rows."""
    owner = offsets[:-1] // rows
    borders = np.flatnonzero(np.diff(owner)) + 1
    return np.split(np.arange(len(offsets) - 1), borders) if len(owner) else []
