"""Documents and matches of a batch: each text once, hits as a plain search finds them."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from features.batch import CandidateBatch, Query
from features.columns import text
from features.text import plain
from features.text.analyzer import Analyzer
from features.text.documents import documents
from features.text.matches import matches, stacked

PLAIN = Analyzer()
WORDS = st.lists(st.sampled_from(["red", "green", "blue", "ROT", "grün"]), max_size=9).map(" ".join)
BODY = st.none() | WORDS
BATCHES = st.lists(st.tuples(WORDS, st.lists(st.tuples(BODY, BODY), max_size=5)), min_size=1, max_size=4)


def batch_of(asked: list[tuple[str, list[tuple[str | None, str | None]]]]) -> CandidateBatch:
    """A batch with the columns `a` and `b`."""
    rows = [row for _, mine in asked for row in mine]
    offsets = np.cumsum([0] + [len(mine) for _, mine in asked])
    columns = {"a": text([a for a, _ in rows]), "b": text([b for _, b in rows])}
    return CandidateBatch(
        tuple(Query(q) for q, _ in asked), [str(i) for i in range(len(rows))], offsets, columns
    )


@given(BATCHES)
@settings(deadline=None, max_examples=150)
def test_hits_are_those_of_a_plain_search(
    asked: list[tuple[str, list[tuple[str | None, str | None]]]],
) -> None:
    """Lengths, slots and positions equal a search word by word, in one field and stacked over two."""
    batch = batch_of(asked)
    found = stacked([matches(batch, "a", PLAIN), matches(batch, "b", PLAIN)])
    for field, name in enumerate("ab"):
        for row, value in enumerate(batch.columns[name].values):
            words = plain.words(value or "")
            distinct = list(dict.fromkeys(plain.words(asked[batch.query_of_row[row]][0])))
            hits = slice(found.starts[field, row], found.stops[field, row])
            got = list(zip(found.slots[hits].tolist(), found.positions[hits].tolist(), strict=True))
            assert got == [(distinct.index(word), at) for at, word in enumerate(words) if word in distinct]
            assert found.lengths[field, row] == (-1 if value is None else len(words))


@given(BATCHES)
@settings(deadline=None, max_examples=60)
def test_queries_number_their_terms_by_first_occurrence(
    asked: list[tuple[str, list[tuple[str | None, str | None]]]],
) -> None:
    """Terms, counts and the sequence of slots are those of a dictionary."""
    seen = matches(batch_of(asked), "a", PLAIN).queries
    for i, (query, _) in enumerate(asked):
        words = plain.words(query)
        distinct = list(dict.fromkeys(words))
        mine = slice(seen.offsets[i], seen.offsets[i + 1])
        assert seen.terms[mine].tolist() == [plain.hash_word(word) for word in distinct]
        assert seen.counts[mine].tolist() == [words.count(word) for word in distinct]
        sequence = seen.sequence[seen.sequence_offsets[i] : seen.sequence_offsets[i + 1]]
        assert sequence.tolist() == [distinct.index(word) for word in words]


def test_many_hits_make_room() -> None:
    """Far more hits than rows are all kept."""
    batch = batch_of([("red", [("red " * 5000, None)] * 3)])
    found = matches(batch, "a", PLAIN)
    assert found.positions.tolist() == [*range(5000)] * 3
    assert found.stops[0].tolist() == [5000, 10000, 15000]


def test_repeated_texts_are_held_once() -> None:
    """A text in a thousand rows of many queries takes the memory of one."""
    batch = batch_of([(f"q{i}", [("red green", None), ("blue", None)]) for i in range(500)])
    made = documents(batch, "a", PLAIN)
    assert len(made.terms.hashes) == 3
    assert made.of_row.tolist() == [0, 1] * 500


def test_views_are_made_once_a_batch() -> None:
    """A second reader of a field gets the same object, and another analyzer its own."""
    batch = batch_of([("red", [("red reds", "red")])])
    first = matches(batch, "a", PLAIN)
    assert matches(batch, "a", PLAIN) is first
    assert matches(batch, "a", Analyzer(stem=True)) is not first
    assert matches(batch, "b", PLAIN).queries is first.queries


def test_a_query_of_thousands_of_terms() -> None:
    """A document's worth of query terms is found, each in its place."""
    words = [f"w{i}" for i in range(5000)]
    batch = batch_of([(" ".join(words), [(" ".join(reversed(words)), None)])])
    assert matches(batch, "a", PLAIN).slots.tolist() == [*range(4999, -1, -1)]
