"""What a cascade has to beat: the order as sent, and BM25 over all text fields."""

import numpy as np

from features.batch import CandidateBatch, Query
from training.collection import Collection
from training.retrieval import Index

INPUT, BM25 = "input", "bm25"


def as_sent(batch: CandidateBatch) -> dict[str, list[str]]:
    """The candidates in the order in which they are sent."""
    return {query.id: list(ids) for query, ids in by_query(batch)}


def by_bm25(batch: CandidateBatch, collection: Collection, index: Index) -> dict[str, list[str]]:
    """The candidates by falling BM25, ties in the order as sent."""
    known = collection.documents.ids
    ordered: dict[str, list[str]] = {}
    for query, ids in by_query(batch):
        scores = index.scores(query.text)[[known[document] for document in ids]]
        ordered[query.id] = [ids[place] for place in np.argsort(-scores, kind="stable").tolist()]
    return ordered


def by_query(batch: CandidateBatch) -> list[tuple[Query, list[str]]]:
    """Every query with its candidates' ids."""
    spans = zip(batch.queries, batch.offsets[:-1].tolist(), batch.offsets[1:].tolist(), strict=True)
    return [(query, list(batch.ids[start:end])) for query, start, end in spans]
