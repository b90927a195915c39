"""Splits by groups of queries, never by rows and never by lone queries.

Queries that share a relevant document, or that say the same in other case and spacing, are near-duplicates:
parted between train and test, they let a model score what it has seen. A group is a connected component of
queries under these two relations.
"""

import hashlib
import re
from collections.abc import Mapping, Sequence

import numpy as np
from scipy import sparse
from scipy.sparse.csgraph import connected_components

from features.batch import Query
from features.columns import Rows
from features.errors import InvalidInput

LARGEST = 1 / 3
"""A group with more than this share of the queries leaves too little to learn from, or to hold out."""

OVERLAP = 0.5
"""Then only queries hang together whose sets of relevant documents have this Jaccard index or more."""

MOST_PAIRS = 100_000_000


def groups_of(
    queries: Sequence[Query], grades: Mapping[str, Mapping[str, float]]
) -> tuple[Rows, tuple[str, ...]]:
    """int64[q]: the group of every query, and a note where one shared document was too loose a tie."""
    texts = [[normal(query.text)] for query in queries]
    relevant = incidence(
        [[document for document, grade in grades.get(query.id, {}).items() if grade > 0] for query in queries]
    )
    same_text = incidence(texts)
    linked = components(sparse.hstack([same_text, relevant]))
    share = largest(linked)
    if share <= LARGEST:
        return linked, ()
    note = (
        f"{share:.0%} of the queries hang together by shared relevant documents; splits keep together"
        f" only those of the same text or with a Jaccard index of their relevant documents of {OVERLAP:g}"
    )
    return components(sparse.hstack([same_text, overlaps(relevant)])), (note,)


def incidence(links: Sequence[Sequence[str]]) -> sparse.csr_array:
    """[q, things]: 1 where a query is linked to a thing."""
    things: dict[str, int] = {}
    targets = [things.setdefault(thing, len(things)) for linked in links for thing in linked]
    ends = np.concatenate([[0], np.cumsum([len(linked) for linked in links])])
    shape = (len(links), max(len(things), 1))
    return sparse.csr_array((np.ones(len(targets)), np.array(targets, np.int64), ends), shape=shape)


def overlaps(relevant: sparse.csr_array) -> sparse.csr_array:
    """[q, q]: 1 where two queries' relevant documents have a Jaccard index of `OVERLAP` or more.

    Documents relevant to so many queries that pairs would not fit in memory tie nobody together.
    """
    holders = np.bincount(relevant.indices, minlength=relevant.shape[1])
    rising = np.argsort(holders, kind="stable")
    few = np.sort(rising[np.cumsum(holders[rising].astype(np.float64) ** 2) <= MOST_PAIRS])
    chosen = relevant[:, few]
    shared = (chosen @ chosen.T).tocoo()
    sizes = np.asarray(relevant.sum(axis=1)).ravel()
    union = sizes[shared.row] + sizes[shared.col] - shared.data
    near = shared.data >= OVERLAP * union
    pairs = (np.ones(int(near.sum())), (shared.row[near], shared.col[near]))
    return sparse.csr_array(pairs, shape=shared.shape)


def components(links: sparse.sparray) -> Rows:
    """int64[q]: the connected component of each query in the bipartite graph of queries and things."""
    n, things = links.shape
    edges = links.tocoo()
    graph = sparse.coo_array((edges.data, (edges.row, n + edges.col)), shape=(n + things, n + things))
    labels: Rows = connected_components(graph, directed=False)[1][:n].astype(np.int64)
    return labels


def largest(groups: Rows) -> float:
    """The share of the queries that the largest group holds."""
    return float(np.bincount(groups, minlength=1).max() / max(len(groups), 1))


def normal(text: str) -> str:
    """A query's words, case folded, as one string."""
    return " ".join(re.findall(r"\w+", text.casefold()))


def folds_of(groups: Rows, k: int, seed: int) -> Rows:
    """int64[q]: the fold of every query; groups stay whole, folds are about equally large.

    Groups go, largest first, to the fold that has least; equal sizes in an order drawn from the seed.

    Raises:
        InvalidInput: if there are fewer than two groups.
    """
    names, owner, sizes = np.unique(groups, return_inverse=True, return_counts=True)
    if len(names) < 2:
        raise InvalidInput("needs at least two groups of queries to hold one out; add judged queries")
    order = sorted(range(len(names)), key=lambda group: (-sizes[group], draw(seed, int(names[group]))))
    filled = np.zeros(min(k, len(names)), np.int64)
    fold = np.empty(len(names), np.int64)
    for group in order:
        fold[group] = int(filled.argmin())
        filled[fold[group]] += sizes[group]
    chosen: Rows = fold[owner]
    return chosen


def draw(seed: int, name: int) -> bytes:
    """A number drawn from a seed for a name, the same on every machine."""
    return hashlib.blake2b(f"{seed}:{name}".encode(), digest_size=8).digest()
