"""What a step of an encoder's training holds: its texts, which of them a query sees, and what is aimed at."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from features.columns import Floats
from features.transformer.packed import Ids
from training.tuning.batches import Draw, List, Texts

Relevant = Mapping[str, frozenset[str]]
"""Query → the documents known to be relevant to it, in whatever list they stand."""


@dataclass(frozen=True, slots=True, eq=False)
class Block:
    """The lists of a step, every text once.

    Attributes:
        texts: the distinct queries, then the distinct documents.
        asked: int64[lists]: the query of each list, among `texts`.
        places: int64 of every list: its documents, counted among the distinct ones.
        seen: bool[lists, documents]: False for what is no negative, though it is not in the list either.
    """

    texts: tuple[str, ...]
    queries: int
    asked: NDArray[np.int64]
    places: tuple[NDArray[np.int64], ...]
    seen: NDArray[np.bool_]


def block(lists: Sequence[List], relevant: Relevant) -> Block:
    """The texts of some lists, each seen by all queries but those that it is known to be relevant to."""
    queries = {text: at for at, text in enumerate(dict.fromkeys(one.query for one in lists))}
    every = dict.fromkeys(text for one in lists for text in one.documents)
    documents = {text: at for at, text in enumerate(every)}
    places = tuple(np.array([documents[text] for text in one.documents], np.int64) for one in lists)
    seen = np.ones((len(lists), len(documents)), bool)
    for row, one in enumerate(lists):
        known = relevant.get(one.query, frozenset())
        seen[row, [documents[text] for text in known if text in documents]] = False
        seen[row, places[row]] = True
    asked = np.array([queries[one.query] for one in lists], np.int64)
    return Block((*queries, *documents), len(queries), asked, places, seen)


def target_of(one: List, teacher_weight: float, temperature: float) -> Floats:
    """float32[d]: the distribution over a list's documents that is aimed at.

    (1 - w) · gains / Σ gains + w · softmax(teacher / temperature). Where one of the two is not known, the
    other alone.
    """
    gains = one.targets / one.targets.sum() if one.targets.sum() > 0 else None
    known = np.isfinite(one.teacher) if one.teacher is not None else np.zeros(0, bool)
    if one.teacher is None or known.sum() < 2 or teacher_weight == 0:
        return gains if gains is not None else np.zeros(len(one.documents), np.float32)
    soft = np.zeros(len(known), np.float32)
    shifted = np.exp((one.teacher[known] - one.teacher[known].max()) / temperature)
    soft[known] = shifted / shifted.sum()
    if gains is None:
        return soft
    mixed: Floats = ((1 - teacher_weight) * gains + teacher_weight * soft).astype(np.float32)
    return mixed


@dataclass(slots=True)
class Alone(Texts):
    """Texts that are read one by one, not as pairs."""

    def size(self, one: List) -> int:
        """The tokens of a list."""
        return sum(self.length(text) for text in (one.query, *one.documents))

    def length(self, text: str) -> int:
        """The tokens of a text as the model reads it."""
        return len(self.ids(text))

    def ids(self, text: str) -> Ids:
        """A text as the model reads it."""
        room = self.max_tokens - self.layout.single
        return self.layout.alone(self.known[text][:room]).ids


def with_prefixes(draw: Draw, query_prefix: str, document_prefix: str) -> Draw:
    """The same lists, every text with its prefix."""
    return lambda epoch: [prefixed(one, query_prefix, document_prefix) for one in draw(epoch)]


def prefixed(one: List, query_prefix: str, document_prefix: str) -> List:
    """The same list, every text with its prefix."""
    documents = tuple(document_prefix + text for text in one.documents)
    return replace(one, query=query_prefix + one.query, documents=documents)
