"""What a corpus, or a query's own list of candidates, says of terms: document frequencies and lengths."""

from collections.abc import Sequence

import msgspec
import numpy as np

from features.columns import Doubles, Rows
from features.feature import State
from features.text.compiled import compiled, inlined
from features.text.documents import Documents
from features.text.kernels import Hashes, Offsets
from features.text.matches import Matches, Slots
from features.text.probing import document_frequencies
from features.text.queries import Queries


class Statistics(msgspec.Struct, frozen=True, eq=False):
    """What a batch's queries need to know.

    Attributes:
        idf: float64[m], of the queries' terms.
        average_length: float64[q, F] mean terms of each field, or [1, F] where it is that of every query.
    """

    idf: Doubles
    average_length: Doubles


@inlined
def idf(documents: int, frequency: int) -> float:
    """Lucene's idf, ln(1 + (N - df + 0.5) / (df + 0.5)), which is never negative."""
    return float(np.log1p((documents - frequency + 0.5) / (frequency + 0.5)))


def learn(fields: Sequence[Documents]) -> State:
    """Statistics of a corpus over one or several fields that score together.

    Returns arrays `terms` uint64[V] (sorted), `frequencies` int64[V] (documents with the term in any of the
    fields), `documents` int64[1] (documents with any of the fields; an empty text counts) and
    `average_length` float64[F] (over documents with the field).
    """
    spans = [one.spans for one in fields]
    lengths = np.stack([length for _, length in spans])
    bases = np.cumsum([0] + [len(one.terms.hashes) for one in fields[:-1]])
    starts = np.stack([start + base for (start, _), base in zip(spans, bases, strict=True)])
    hashes = np.concatenate([one.terms.hashes for one in fields])
    terms, frequencies = document_frequencies(hashes, starts, starts + np.maximum(lengths, 0))
    order = np.argsort(terms)
    return {
        "terms": terms[order],
        "frequencies": frequencies[order],
        "documents": np.array([(lengths >= 0).any(axis=0).sum()]),
        "average_length": mean_lengths(lengths),
    }


def mean_lengths(lengths: Rows) -> Doubles:
    """float64[F]: mean over the rows that have the field, 0 where none has."""
    present = lengths >= 0
    mean: Doubles = np.where(present, lengths, 0).sum(axis=1) / np.maximum(present.sum(axis=1), 1)
    return mean


def of_corpus(queries: Queries, state: State) -> Statistics:
    """The statistics that `learn` left; a term that the corpus lacks has a frequency of 0."""
    weights = look_up(queries.terms, state["terms"], state["frequencies"], state["documents"])
    return Statistics(weights, state["average_length"][None])


@compiled
def look_up(terms: Hashes, known: Hashes, frequencies: Rows, documents: Rows) -> Doubles:
    """float64[m]: the idf of each term, found in the sorted known ones by bisection."""
    weights = np.empty(len(terms), np.float64)
    for i in range(len(terms)):
        low, high = 0, len(known)
        while low < high:
            middle = (low + high) // 2
            if known[middle] < terms[i]:
                low = middle + 1
            else:
                high = middle
        found = low < len(known) and known[low] == terms[i]
        weights[i] = idf(documents[0], frequencies[low] if found else 0)
    return weights


def of_candidates(matches: Matches, row_offsets: Offsets) -> Statistics:
    """Statistics of each query's own candidates."""
    asked = matches.queries
    return Statistics(
        *count_candidates(
            row_offsets, asked.offsets, matches.lengths, matches.starts, matches.stops, matches.slots
        )
    )


@compiled
def count_candidates(
    row_offsets: Offsets, term_offsets: Offsets, lengths: Rows, starts: Rows, stops: Rows, slots: Slots
) -> tuple[Doubles, Doubles]:
    """The idf of each term float64[m] and mean lengths float64[q, F] among each query's rows."""
    fields = lengths.shape[0]
    asked = len(row_offsets) - 1
    weights = np.empty(term_offsets[-1], np.float64)
    frequencies = np.zeros(term_offsets[-1], np.int64)
    seen = np.full(term_offsets[-1], -1, np.int64)
    average = np.zeros((asked, fields), np.float64)
    for query in range(asked):
        documents = 0
        present = np.zeros(fields, np.int64)
        for row in range(row_offsets[query], row_offsets[query + 1]):
            anywhere = False
            for field in range(fields):
                if lengths[field, row] >= 0:
                    anywhere = True
                    present[field] += 1
                    average[query, field] += lengths[field, row]
                for hit in range(starts[field, row], stops[field, row]):
                    term = term_offsets[query] + slots[hit]
                    if seen[term] != row:
                        seen[term] = row
                        frequencies[term] += 1
            documents += anywhere
        for field in range(fields):
            average[query, field] /= max(present[field], 1)
        for term in range(term_offsets[query], term_offsets[query + 1]):
            weights[term] = idf(documents, frequencies[term])
    return weights, average
