"""BM25 over a corpus against the formula written out."""

from collections import Counter
from math import log

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features.errors import InvalidInput
from features.text.plain import words
from training.documents import Documents
from training.retrieval import K1, B, corpus_index, index

texts = st.lists(st.lists(st.sampled_from(["red", "green", "blue", "Apple"])).map(" ".join), min_size=1)


def plain(corpus: list[str], query: str) -> list[float]:
    """The formula, word by word."""
    bags = [Counter(words(text)) for text in corpus]
    mean = max(sum(map(len, map(words, corpus))) / len(corpus), 1e-9)
    scores = []
    for bag in bags:
        norm = K1 * (1 - B + B * bag.total() / mean)
        score = 0.0
        for word in words(query):
            holders = sum(word in other for other in bags)
            idf = log(1 + (len(bags) - holders + 0.5) / (holders + 0.5))
            score += idf * bag[word] / (bag[word] + norm) if bag[word] else 0.0
        scores.append(score)
    return scores


@settings(deadline=None, max_examples=60)
@given(texts, st.sampled_from(["red", "red boat", "red red apple", "absent", ""]))
def test_scores_are_the_formula(corpus: list[str], query: str) -> None:
    """Scores equal the plain formula, whatever the corpus, repeated query words included."""
    np.testing.assert_allclose(index(corpus).scores(query), plain(corpus, query), rtol=1e-5, atol=1e-6)


def test_top_breaks_ties_by_the_corpus() -> None:
    """The best k come best first, equal ones in the corpus's order, and none without a shared word."""
    found = index(["red", "blue", "red", "red red", "green"])
    assert found.top("red", 10)[0].tolist() == [3, 0, 2]
    assert found.top("red", 2)[0].tolist() == [3, 0]
    assert found.top("absent", 5)[0].tolist() == []


def test_needs_text() -> None:
    """A corpus of numbers alone has nothing for BM25."""
    with pytest.raises(InvalidInput, match="no field of the documents holds text"):
        corpus_index(Documents({"a": 0}, [{"x": 1}]))
