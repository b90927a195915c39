"""Documents into passages, and passages' scores into one."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features.errors import InvalidConfig
from features.registry import parse
from features.transformer.passages import Passages, characters, pooled
from features.transformer.wordpiece import WordPieces
from training.export.testing import wordpiece


@settings(deadline=None, max_examples=150)
@given(st.integers(0, 9_000), st.integers(1, 300), st.integers(0, 200), st.integers(1, 6_000))
def test_passages_cover_what_is_read(length: int, tokens: int, overlap: int, most: int) -> None:
    """From the first token to the last of the budget without a hole, in as few whole passages as the overlap
    allows."""
    overlap, most = min(overlap, tokens - 1), max(most, tokens)
    spans = Passages(tokens=tokens, overlap=overlap, document_tokens=most).spans(length)
    read = min(length, most)
    assert (spans[0][0], spans[-1][1]) == (0, read)
    if read <= tokens:
        assert spans == [(0, read)]
        return
    assert {end - start for start, end in spans} == {tokens}
    shared = [before[1] - after[0] for before, after in pairwise(spans)]
    assert min(shared) >= overlap
    fewer = len(spans) - 1
    assert fewer * tokens - (fewer - 1) * overlap < read


def test_a_document_of_4096_tokens() -> None:
    """The defaults read all of it, and of a longer one so much."""
    spans = Passages().spans(4_096)
    assert (len(spans), spans[-1]) == (32, (3_936, 4_096))
    assert Passages().spans(1_000_000) == spans


def test_first_reads_one_passage() -> None:
    """What will not count is not read."""
    assert Passages(pool="first").spans(5_000) == [(0, 160)]
    assert Passages(pool="first").reads == 160


def test_pooling() -> None:
    """The best, the mean or the first of each document's passages; the best one is named in any case."""
    scores = np.array([1, 5, 5, -2, 7, 3], np.float32)
    owners = np.array([0, 0, 0, 4, 9, 9])
    for pool, expected in (("max", [5, -2, 7]), ("mean", [11 / 3, -2, 5])):
        rows, found, best = pooled(scores, owners, pool)
        assert rows.tolist() == [0, 4, 9]
        np.testing.assert_array_equal(found, np.array(expected, np.float32))
        assert best.tolist() == [1, 3, 4]
    assert [len(part) for part in pooled(scores[:0], owners[:0], "mean")] == [0, 0, 0]


@pytest.mark.parametrize(
    ("table", "path"),
    [
        ({"tokens": 32, "overlap": 32}, "$"),
        ({"tokens": 64, "document_tokens": 63}, "$"),
        ({"tokens": 0}, "$.tokens"),
        ({"pool": "sum"}, "$.pool"),
        ({"most": 3}, "$"),
    ],
)
def test_declarations_that_cannot_be_right(table: dict[str, object], path: str) -> None:
    """A wrong key is refused under its path."""
    with pytest.raises(InvalidConfig) as error:
        parse(table, Passages, "$")
    assert error.value.path == path


def test_the_characters_of_a_span() -> None:
    """They are those of the tokens, whatever stands around them, beyond ASCII and beside lone surrogates."""
    reference = WordPieces.load(wordpiece(["red", "green", "blue", "sky"]).encode()).reference
    text = "Red  \ud800 blue,\n漢 green sky"
    ids = reference.encode(text.replace("\ud800", "\ufffd"), add_special_tokens=False).ids
    assert len(ids) == 6
    assert text[slice(*characters(reference, text, (1, 3)))] == "blue,"
    assert text[slice(*characters(reference, text, (3, 6)))] == "漢 green sky"
    assert text[slice(*characters(reference, text, (0, 6)))] == text
    assert characters(reference, "", (0, 0)) == (0, 0)
