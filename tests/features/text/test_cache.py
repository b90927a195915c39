"""The content cache keeps to its budget and to the least recently used."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from features.text import documents
from features.text.analyzer import Analyzer
from features.text.cache import ContentCache
from features.text.documents import LONG, analyse, fresh
from features.text.scan import Terms

PLAIN = Analyzer()
STEMMED = Analyzer(stem=True)
HASHES = np.arange(10, dtype=np.uint64)


def size_of_one() -> int:
    """Bytes that one entry takes."""
    cache = ContentCache()
    cache.put(PLAIN, "a", HASHES)
    return cache.used_bytes


def test_the_least_recently_used_leaves_first() -> None:
    """An entry that was read stays where one that was not goes."""
    cache = ContentCache(2 * size_of_one())
    for text in ("a", "b"):
        cache.put(PLAIN, text, HASHES)
    cache.get(PLAIN, "a")
    cache.put(PLAIN, "c", HASHES)
    assert [cache.get(PLAIN, text) is not None for text in ("a", "b", "c")] == [True, False, True]
    assert cache.used_bytes == cache.budget_bytes


def test_analyzers_do_not_share_entries() -> None:
    """What one analyzer made of a text is not another's."""
    cache = ContentCache()
    cache.put(PLAIN, "a", HASHES)
    assert cache.get(STEMMED, "a") is None


def test_what_is_larger_than_the_budget_is_not_held() -> None:
    """A text beyond the budget empties nothing."""
    cache = ContentCache(2 * size_of_one())
    cache.put(PLAIN, "a", HASHES)
    cache.put(PLAIN, "b" * 10_000, HASHES)
    assert (len(cache), cache.get(PLAIN, "b" * 10_000)) == (1, None)


def test_held_hashes_cannot_be_changed() -> None:
    """Neither the array that was put in nor the one that comes out can spoil the entry."""
    cache, mine = ContentCache(), HASHES.copy()
    cache.put(PLAIN, "a", mine)
    mine[0] = 99
    held = cache.get(PLAIN, "a")
    assert held is not None
    assert held[0] == 0
    with pytest.raises(ValueError, match="read-only"):
        held[0] = 1


@pytest.mark.parametrize("analyzer", [PLAIN, STEMMED])
def test_long_texts_are_analysed_once_and_alike(analyzer: Analyzer, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second look at a long text takes it from the cache; short texts are scanned; terms are equal."""
    cache = ContentCache()
    scanned: list[list[str]] = []

    def watched(texts: Sequence[str], analyzer: Analyzer) -> Terms:
        scanned.append(list(texts))
        return fresh(texts, analyzer)

    monkeypatch.setattr(documents, "fresh", watched)
    long, short = "Running words " * (LONG // 14 + 1), "short runs"
    for _ in range(2):
        made, expected = (
            analyse([short, long, "", long], analyzer, cache),
            fresh([short, long, "", long], analyzer),
        )
        assert np.array_equal(made.hashes, expected.hashes)
        assert np.array_equal(made.offsets, expected.offsets)
    assert scanned == [[short, long, "", long], [short, ""]]


def test_threads_share_a_cache_within_its_budget() -> None:
    """Readers and writers at once leave the count of bytes right."""
    cache = ContentCache(20 * size_of_one())

    def work(k: int) -> None:
        for i in range(300):
            text = chr(97 + (i * k) % 26)
            if cache.get(PLAIN, text) is None:
                cache.put(PLAIN, text, HASHES)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(work, (1, 3, 5, 7)))
    assert cache.used_bytes == len(cache) * size_of_one() <= cache.budget_bytes
