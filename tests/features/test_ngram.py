"""Trigram similarity equals a set of strings, and forgives misspellings."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features.batch import CandidateBatch, Query, single
from features.columns import text
from features.kinds.ngram import Ngram
from features.text import plain

TEXTS = st.text(st.sampled_from("abcA É_-ß日😀"), max_size=14)
BODIES = st.lists(st.none() | TEXTS, max_size=5)


def batch_of(query: str, bodies: list[str | None]) -> CandidateBatch:
    """One query's candidates with the column `body`."""
    return single(Query(query), [str(i) for i in range(len(bodies))], {"body": text(bodies)})


def grams(value: str) -> set[str]:
    """The trigrams of a text as pg_trgm pads them."""
    padded = [f"  {word} " for word in plain.words(value)]
    return {word[i : i + 3] for word in padded for i in range(len(word) - 2)}


def by_definition(measure: str, query: str, body: str | None) -> float:
    """The docstring's formula over sets of strings."""
    if body is None:
        return float("nan")
    asked, held = grams(query), grams(body)
    whole = len(asked) + len(held) if measure == "dice" else len(asked)
    return (2 if measure == "dice" else 1) * len(asked & held) / max(whole, 1)


@pytest.mark.parametrize("measure", ["dice", "containment"])
def test_similarity_is_the_formula(measure: str) -> None:
    """Both measures equal the formula over sets of strings, for any alphabet."""
    feature = Ngram(name="f", field="body", measure=measure)  # type: ignore[arg-type]

    @given(TEXTS, BODIES)
    @settings(deadline=None, max_examples=150)
    def equal(query: str, bodies: list[str | None]) -> None:
        made = feature.compute(batch_of(query, bodies), {})[:, 0]
        expected = [by_definition(measure, query, body) for body in bodies]
        np.testing.assert_allclose(made, np.array(expected, np.float32), rtol=1e-6)

    equal()


def test_a_long_text_with_many_trigrams() -> None:
    """The set of a text with thousands of distinct trigrams is counted right."""
    body = " ".join(f"w{i:x}" for i in range(20_000))
    made = Ngram(name="f", field="body").compute(batch_of("wfff", [body]), {})
    np.testing.assert_allclose(made[0, 0], by_definition("dice", "wfff", body), rtol=1e-6)


def test_a_batch_of_queries_is_each_query_alone() -> None:
    """A row sees its own query's trigrams alone, and repeated texts are told apart from missing ones."""
    feature = Ngram(name="f", field="body")
    lists: list[tuple[str, list[str | None]]] = [
        ("star wars", ["star", None, "war"]),
        ("", ["x"]),
        ("x", ["star"]),
    ]
    rows = [body for _, bodies in lists for body in bodies]
    queries = tuple(Query(query) for query, _ in lists)
    whole = CandidateBatch(queries, list("abcde"), np.array([0, 3, 4, 5]), {"body": text(rows)})
    alone = [feature.compute(batch_of(query, bodies), {}) for query, bodies in lists]
    assert feature.compute(whole, {}).tobytes() == np.concatenate(alone).tobytes()


def test_a_misspelling_is_nearer_than_another_word() -> None:
    """A letter too few costs less than another title."""
    made = Ngram(name="f", field="body").compute(
        batch_of("teminator", ["Terminator", "Gladiator", "Alien"]), {}
    )
    assert made[0, 0] > made[1, 0] > made[2, 0]
