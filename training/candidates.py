"""Which documents each query's ranker is given: the judged ones, BM25's best, or a run file's."""

import hashlib
from collections.abc import Callable
from functools import cache
from pathlib import Path

from features.errors import InvalidInput
from training.collection import Collection
from training.progress import Track, quiet
from training.retrieval import Index
from training.runs import Lists, read_run

JUDGED = "judged"


def candidates(
    collection: Collection, source: str, bm25: Callable[[], Index], track: Track = quiet
) -> tuple[Lists, tuple[str, ...]]:
    """Query id → document ids in the order in which they are sent, and notes for a person.

    `source` is `judged`, `bm25:K` or the path of a TREC run file. The judged list is sent in an order drawn
    from a hash of its ids, so that the order of the file leaks nothing.

    Raises:
        InvalidInput: for another source, or a run that has no query or no document of the collection.
    """
    if source == JUDGED:
        return judged(collection), ()
    if source.startswith("bm25:"):
        return retrieved(collection, depth(source), bm25(), track), ()
    path = Path(source)
    if not path.is_file():
        raise InvalidInput(
            f"{source!r} is neither `judged` nor `bm25:K` nor a run file that exists", path="--candidates"
        )
    return from_run(collection, path)


def judged(collection: Collection) -> Lists:
    """The judged documents of every query, in a shuffle that depends on their ids alone."""
    return {query: sorted(collection.grades[query], key=shuffler(query)) for query in collection.queries}


def shuffler(query: str) -> Callable[[str], bytes]:
    """The key by which a query's documents are shuffled."""
    start = hashlib.blake2b(query.encode() + b"\0", digest_size=8)

    def key(document: str) -> bytes:
        digest = start.copy()
        digest.update(document.encode())
        return digest.digest()

    return key


def depth(source: str) -> int:
    """The K of `bm25:K`."""
    count = source.removeprefix("bm25:")
    if not count.isdigit() or not 1 <= int(count) <= 10_000:
        raise InvalidInput(
            f"{source!r} needs a number from 1 to 10000, such as bm25:100", path="--candidates"
        )
    return int(count)


def retrieved(collection: Collection, k: int, index: Index, track: Track) -> dict[str, dict[str, float]]:
    """BM25's best k documents of every query with their scores, best first."""
    ids = list(collection.documents.ids)
    found: dict[str, dict[str, float]] = {}
    for key, query in track(collection.queries.items(), "retrieving", len(collection.queries)):
        rows, scores = index.top(query.text, k)
        found[key] = dict(zip([ids[row] for row in rows.tolist()], scores.tolist(), strict=True))
    return found


def from_run(collection: Collection, path: Path) -> tuple[Lists, tuple[str, ...]]:
    """The documents of a run file, those of the collection alone, with notes of what was left out."""
    run = read_run(path)
    known = collection.documents.ids
    found = {
        query: {doc: score for doc, score in run.get(query, {}).items() if doc in known}
        for query in collection.queries
    }
    lost = sum(len(run.get(query, {})) for query in found) - sum(map(len, found.values()))
    empty = sum(not documents for documents in found.values())
    if empty == len(found):
        raise InvalidInput("names no query and document of the collection", path=str(path))
    notes = []
    if lost:
        notes.append(f"{path.name}: {lost} results name unknown documents; left out")
    if empty:
        notes.append(f"{path.name}: {empty} of {len(found)} judged queries have no candidates; they count")
    return found, tuple(notes)


def once(make: Callable[[], Index]) -> Callable[[], Index]:
    """The same index, made when it is first asked for."""
    return cache(make)
