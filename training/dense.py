"""Retrieval by vectors over a whole corpus, exact: what an encoder finds before any ranker has a say."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from cascade.files import replace_durably
from features.columns import Floats
from features.transformer.encoder import SentenceEncoder
from features.transformer.encoding import Known
from training.collection import Collection
from training.progress import Track, quiet

CHUNK = 256
"""Queries whose scores of all documents are in memory together."""
ENCODED = 2_000
"""Documents encoded at a time."""


def retrieve(
    collection: Collection,
    texts: Sequence[str],
    encoder: SentenceEncoder,
    prefixes: tuple[str, str],
    k: int,
    table: Known | None = None,
    track: Track = quiet,
) -> dict[str, dict[str, float]]:
    """Query id → the k documents of the highest dot product with it, best first, and these.

    Args:
        texts: of the documents, in the collection's order; one without a vector is never found.
        prefixes: of queries and of documents.
        table: documents' vectors that were made before.
    """
    starts = range(0, len(texts), ENCODED)
    parts = track(starts, "encoding documents", len(starts))
    vectors = np.concatenate(
        [encoder.encoded(texts[start : start + ENCODED], prefixes[1], table).vectors for start in parts]
        or [np.empty((0, encoder.dimension), np.float32)]
    )
    asked = encoder.encode([query.text for query in collection.queries.values()], prefixes[0])
    ids, names = list(collection.documents.ids), list(collection.queries)
    found: dict[str, dict[str, float]] = {}
    for start in range(0, len(names), CHUNK):
        scores = asked[start : start + CHUNK] @ vectors.T
        for name, row in zip(names[start : start + CHUNK], scores, strict=True):
            found[name] = {ids[at]: float(row[at]) for at in best(row, k)}
    return found


def best(scores: Floats, k: int) -> list[int]:
    """The places of the k highest numbers, best first; ties by place, NaN never."""
    known = np.flatnonzero(np.isfinite(scores))
    if len(known) > k:
        floor = np.partition(scores[known], len(known) - k)[len(known) - k]
        known = known[scores[known] >= floor]
    order: list[int] = known[np.argsort(-scores[known], kind="stable")][:k].tolist()
    return order


def write_run(path: Path, lists: Mapping[str, Mapping[str, float]], tag: str) -> None:
    """A TREC run file of the lists: `query Q0 document rank score tag`."""
    lines = (
        f"{query} Q0 {document} {rank} {score:.6f} {tag}\n"
        for query, documents in lists.items()
        for rank, (document, score) in enumerate(documents.items(), 1)
    )
    replace_durably(path, "".join(lines).encode())


def merged(lists: Sequence[Mapping[str, Mapping[str, float]]], k: int) -> dict[str, dict[str, float]]:
    """Of several retrievers' lists one a query: the first of each, then the second of each …, up to k.

    The scores are reciprocal ranks in the merged list, as those of different retrievers do not compare.
    """
    made: dict[str, dict[str, float]] = {}
    for query in lists[0]:
        turns = [list(each.get(query, ())) for each in lists]
        longest = max(map(len, turns), default=0)
        taken = dict.fromkeys(turn[at] for at in range(longest) for turn in turns if at < len(turn))
        made[query] = {document: 1.0 / rank for rank, document in enumerate(list(taken)[:k], 1)}
    return made
