"""The compiled scan equals its plain twin on whatever Unicode there is."""

import re
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features.text import plain
from features.text.analyzer import Analyzer
from features.text.folding import CODE_POINTS, fold_table
from features.text.scan import fold, located, scan

ODD = [
    "İ",
    "ı",
    "Σ",
    "ς",
    "ß",
    "ẞ",
    "ﬁ",
    "ǅ",
    "K",
    "Ⱥ",
    "Ⅷ",
    "ⓐ",
    "日本語",
    "😀",
    "\0",
    "\n",
    "_",
    "٣",
    "e\u0301",
]
ODD += ["\ud800", "\udfff", "\u200d", "\u00ad", "x" * 8, "x" * 9, " ", "'", "Z", "0", "\U0010ffff"]
UNICODE = st.lists(st.sampled_from(ODD) | st.characters(exclude_categories=()), max_size=40).map("".join)
ASCII = st.text(st.characters(max_codepoint=127), max_size=60)
PLAIN = Analyzer()


def by_text(texts: list[str]) -> list[list[int]]:
    """The scan's hashes of each text."""
    made = scan(texts)
    bounds = made.offsets.tolist()
    return [made.hashes[a:b].tolist() for a, b in pairwise(bounds)]


@given(st.lists(UNICODE | ASCII, max_size=6))
@settings(deadline=None, max_examples=300)
def test_scan_equals_the_plain_twin(texts: list[str]) -> None:
    """Any Unicode, lone surrogates included, gives the hashes that `re` and `str.lower` give."""
    assert by_text(texts) == [plain.terms(text, PLAIN) for text in texts]


@given(st.lists(ASCII, min_size=1, max_size=6))
@settings(deadline=None, max_examples=200)
def test_ascii_scan_equals_the_plain_twin(texts: list[str]) -> None:
    """The vectorised ASCII path gives the hashes that `re` and `str.lower` give."""
    assert by_text(texts) == [plain.terms(text, PLAIN) for text in texts]


@pytest.mark.parametrize(
    "text",
    [
        *ODD,
        "",
        "ΑΣ ΑΣΑ Σ",
        "İstanbul",
        "a\nb",
        "Straße",
        "x" * 100_000,
        "ab" * 4 + " " + "ab" * 4,
        "é" * 50_000,
    ],
)
def test_edge_cases_between_neighbours(text: str) -> None:
    """An odd text neither changes nor is changed by the texts before and behind it."""
    texts = ["before Σ", text, "behind"]
    assert by_text(texts) == [plain.terms(one, PLAIN) for one in texts]


def test_every_code_point_alone() -> None:
    """Each of the 1.1 million code points is folded as `re` and `str.lower` fold it."""
    every = [chr(point) for point in range(CODE_POINTS) if chr(point) not in "İΣ"]
    expected = [(low if re.match(r"\w", low) else "") for low in (character.lower() for character in every)]
    table = fold_table()
    got = [chr(table[ord(character)]) if table[ord(character)] else "" for character in every]
    assert got == expected


def test_words_of_many_lengths_have_distinct_hashes() -> None:
    """Words of 1 to 40 letters that share prefixes and suffixes do not collide."""
    words = {"a" * n + "b" * m for n in range(21) for m in range(20)} - {""}
    assert len(set(scan([" ".join(sorted(words))]).hashes.tolist())) == len(words)


def test_no_texts_and_empty_texts() -> None:
    """No text gives no document, an empty text a document without terms."""
    assert scan([]).offsets.tolist() == [0]
    assert scan(["", ""]).offsets.tolist() == [0, 0, 0]


@pytest.mark.parametrize("texts", [["One, two", "", "three_3"], ["Größe, ñandú", "", "日本 x"]])
def test_located_words_start_where_they_stand(texts: list[str]) -> None:
    """The first byte of every word finds the word in the folded buffer."""
    folded = fold(texts)
    terms, starts = located(folded)
    data = folded.data.tobytes()
    words = [data[at : data.index(0, at)].decode() for at in starts.tolist()]
    assert words == [word for text in texts for word in plain.words(text)]
    assert terms.hashes.tolist() == [plain.hash_word(word) for word in words]


def test_the_worst_growth_fits() -> None:
    """The letters that grow when lowered (two bytes to three) fill the buffer and no more."""
    texts = ["Ⱥ" * 1000, "Ⱦ" * 999]
    assert by_text(texts) == [plain.terms(text, PLAIN) for text in texts]
    every = np.arange(CODE_POINTS, dtype="<u4")
    kept = fold_table() > 0
    sizes = [
        np.searchsorted([0x80, 0x800, 0x10000], values, side="right") + 1 for values in (every, fold_table())
    ]
    assert (2 * sizes[1][kept] <= 3 * sizes[0][kept]).all()
