"""Overlap says what its docstring says, by brute force."""

import math
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features.batch import CandidateBatch, Query, single
from features.columns import text
from features.errors import NotReady
from features.kinds.overlap import Overlap
from features.text import plain

WORDS = st.lists(st.sampled_from(list("abcdx")), max_size=12).map(" ".join)
QUERIES = st.lists(st.sampled_from(list("abcd")), max_size=6).map(" ".join)
BODIES = st.lists(st.none() | WORDS, max_size=5)


def batch_of(query: str, bodies: list[str | None]) -> CandidateBatch:
    """One query's candidates with the column `body`."""
    return single(Query(query), [str(i) for i in range(len(bodies))], {"body": text(bodies)})


def windows(words: list[str]) -> list[list[str]]:
    """Every contiguous run of words."""
    return [words[a:b] for a, b in combinations(range(len(words) + 1), 2)]


def in_order(terms: list[str], words: list[str]) -> bool:
    """Whether the terms are a subsequence of the words."""
    rest = iter(words)
    return all(term in rest for term in terms)


def by_definition(query: str, body: str | None, corpus: list[str | None]) -> list[float]:
    """The docstring's five definitions by trying every window."""
    if body is None:
        return [math.nan] * 5
    known = [plain.words(one) for one in corpus if one is not None]
    asked, words = plain.words(query), plain.words(body)
    terms = list(dict.fromkeys(asked))
    present = [term for term in terms if term in words]
    if not present:
        return [0.0] * 5
    frequency = {term: sum(term in one for one in known) for term in terms}
    idf = {t: math.log(1 + (len(known) - df + 0.5) / (df + 0.5)) for t, df in frequency.items()}
    share = len(present) / len(terms)
    weighted = sum(idf[term] for term in present) / sum(idf.values())
    phrase = float(asked in windows(words))
    if len(present) < 2:
        return [share, weighted, phrase, 0.0, 0.0]
    ordered = [len(run) for run in windows(words) if in_order(present, run)]
    unordered = min(len(run) for run in windows(words) if set(present) <= set(run))
    near = len(present) / min(ordered) if ordered else 0.0
    return [share, weighted, phrase, near, len(present) / unordered]


@given(QUERIES, BODIES, BODIES)
@settings(deadline=None, max_examples=300)
def test_the_five_parts_are_their_definitions(
    query: str, bodies: list[str | None], corpus: list[str | None]
) -> None:
    """Coverage, phrase and both proximities equal a search over every window."""
    feature = Overlap(name="f", field="body")
    made = feature.compute(batch_of(query, bodies), feature.prepare(batch_of("", corpus)))
    expected = np.array([by_definition(query, body, corpus) for body in bodies], np.float32).reshape(-1, 5)
    np.testing.assert_allclose(made, expected, rtol=1e-5)


@given(QUERIES, BODIES)
@settings(deadline=None, max_examples=60)
def test_candidates_may_be_the_corpus(query: str, bodies: list[str | None]) -> None:
    """With `statistics = "candidates"` the idf is that of the list."""
    made = Overlap(name="f", field="body", statistics="candidates").compute(batch_of(query, bodies), {})
    expected = np.array([by_definition(query, body, bodies) for body in bodies], np.float32).reshape(-1, 5)
    np.testing.assert_allclose(made, expected, rtol=1e-5)


def test_a_batch_of_queries_is_each_query_alone() -> None:
    """Scratch space that one row leaves behind does not reach the next row or query."""
    feature = Overlap(name="f", field="body", statistics="candidates")
    lists: list[tuple[str, list[str | None]]] = [
        ("a b c d", ["a b x a", "d c b a", "c", None]),
        ("", ["a"]),
        ("b a b", ["b a b", "a b a b", "b x a"]),
    ]
    rows = [body for _, bodies in lists for body in bodies]
    queries = tuple(Query(query) for query, _ in lists)
    whole = CandidateBatch(queries, list("abcdefgh"), np.array([0, 4, 5, 8]), {"body": text(rows)})
    alone = [feature.compute(batch_of(query, bodies), {}) for query, bodies in lists]
    assert feature.compute(whole, {}).tobytes() == np.concatenate(alone).tobytes()


def test_the_parts_are_named() -> None:
    """Each part is a column of its own."""
    names = Overlap(name="body_overlap", field="body").outputs
    assert names == tuple(
        f"body_overlap.{part}" for part in ("share", "idf_share", "phrase", "ordered", "unordered")
    )


def test_an_unprepared_corpus_says_what_to_do() -> None:
    """The idf of a corpus that was never learned is an error, not a guess."""
    with pytest.raises(NotReady, match=r"features\.f: .*prepare"):
        Overlap(name="f", field="body").compute(batch_of("a", ["a"]), {})
