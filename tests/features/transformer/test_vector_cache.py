"""The cache of vectors against a plain dictionary."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features.transformer.vector_cache import OVERHEAD, VectorCache, content_key

ENTRY = 4 * 2 + OVERHEAD


def vectors(names: list[str]) -> np.ndarray:
    """A vector a name."""
    return np.array([[len(name), ord(name[0])] for name in names], np.float32).reshape(len(names), 2)


@given(st.lists(st.lists(st.sampled_from("abcdefghij"), max_size=6), max_size=12), st.integers(0, 5))
@settings(max_examples=100, deadline=None)
def test_it_gives_what_was_put_and_never_more_than_fits(turns: list[list[str]], room: int) -> None:
    """Every vector found is that of its key, the newest are there, and the number stays within the budget."""
    cache = VectorCache(room * ENTRY + 1, 2)
    for names in turns:
        keys = [content_key(name) for name in names]
        cache.put(keys, vectors(names), np.array([name > "e" for name in names], bool))
        there, found, cut = cache.find(keys)
        known = [name for name, had in zip(names, there.tolist(), strict=True) if had]
        np.testing.assert_array_equal(found, vectors(known))
        assert cut.tolist() == [name > "e" for name in known]
        assert len(cache) <= room
        if len(set(names)) <= room:
            assert there.all()


def test_the_least_recently_used_goes_first() -> None:
    """With room for two, what was asked for last stays."""
    cache = VectorCache(2 * ENTRY, 2)
    a, b, c = (content_key(name) for name in "abc")
    cache.put([a, b], vectors(["a", "b"]), np.zeros(2, bool))
    cache.find([a])
    cache.put([c], vectors(["c"]), np.zeros(1, bool))
    assert cache.find([a, b, c])[0].tolist() == [True, False, True]


def test_a_lone_surrogate_is_no_question_mark() -> None:
    """Texts that models read differently have keys of their own."""
    assert content_key("a\ud800") != content_key("a?")


@pytest.mark.parametrize("text", ["", "a", "ß", "\ud800"])
def test_any_text_has_a_key(text: str) -> None:
    """16 bytes, lone surrogates included."""
    assert len(content_key(text)) == 16
