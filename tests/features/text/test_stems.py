"""Stems and stop words through the table equal the plain twin."""

from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features.text import plain
from features.text.analyzer import Analyzer
from features.text.scan import fold
from features.text.stems import Stems

WORDS = ["the", "running", "Runs", "runner", "of", "flies", "Zürich", "houses", "x", "NOT", "日本"]
TEXTS = st.lists(st.lists(st.sampled_from(WORDS), max_size=8).map(" ".join), max_size=5)


def applied(stems: Stems, texts: list[str]) -> list[list[int]]:
    """The table's terms of each text."""
    made = stems.apply(fold(texts))
    bounds = made.offsets.tolist()
    return [made.hashes[a:b].tolist() for a, b in pairwise(bounds)]


@pytest.mark.parametrize(
    "analyzer",
    [
        Analyzer(stem=True),
        Analyzer(stop_words=True),
        Analyzer(stem=True, stop_words=True),
        Analyzer("german", True),
    ],
)
def test_stems_equal_the_plain_twin(analyzer: Analyzer) -> None:
    """The first and every later look at a word give the stem that the stemmer gives."""
    table = Stems(analyzer)

    @given(TEXTS)
    @settings(deadline=None, max_examples=60)
    def equal(texts: list[str]) -> None:
        assert applied(table, texts) == [plain.terms(text, analyzer) for text in texts]

    equal()


def test_a_full_table_starts_afresh_and_stays_right() -> None:
    """More words than the table may hold leave its answers as they were."""
    analyzer = Analyzer(stem=True, stop_words=True)
    table = Stems(analyzer, most_words=50)
    texts = [" ".join(f"walking{i}s the" for i in range(start, start + 30)) for start in range(0, 300, 30)]
    for text in [*texts, texts[0], " ".join(texts)]:
        assert applied(table, [text]) == [plain.terms(text, analyzer)]


def test_the_table_grows_with_the_vocabulary() -> None:
    """Thousands of words are remembered and found again."""
    analyzer = Analyzer(stem=True)
    table = Stems(analyzer)
    texts = [" ".join(f"word{i}ing" for i in range(start, start + 1500)) for start in range(0, 6000, 1500)]
    for text in [*texts, *texts]:
        assert applied(table, [text]) == [plain.terms(text, analyzer)]


def test_threads_share_a_table() -> None:
    """Several threads that stem different words at once each get the right terms."""
    analyzer = Analyzer(stem=True)
    table = Stems(analyzer, most_words=500)
    texts = [" ".join(f"thread{i % 70}ing houses{i}" for i in range(k, k + 40)) for k in range(200)]
    with ThreadPoolExecutor(4) as pool:
        made = list(pool.map(lambda text: applied(table, [text])[0], texts))
    assert made == [plain.terms(text, analyzer) for text in texts]


def test_unknown_languages_are_refused() -> None:
    """A language without a stemmer or without stop words is named together with those there are."""
    with pytest.raises(ValueError, match="no stemmer for 'klingon'; there are arabic"):
        Analyzer("klingon", stem=True)
    with pytest.raises(ValueError, match="no stop words for 'german'; there are english"):
        Analyzer("german", stop_words=True)
