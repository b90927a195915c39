"""Word pieces against the authority: Hugging Face `tokenizers`."""

import string
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer
from tokenizers.models import BPE, Unigram
from tokenizers.pre_tokenizers import ByteLevel, Metaspace

from features.errors import Corrupt
from features.testing import SPECIAL, tiny_tokenizer
from features.transformer.wordpiece import WordPieces

PIECES = (
    *string.ascii_lowercase[:20],
    *string.punctuation.replace("~", ""),
    *(f"##{letter}" for letter in string.ascii_lowercase[:18]),
    *string.digits,
    *("the", "quick", "run", "##ning", "##ner", "un", "##able", "able", "##ab", "cafe", "naive", "##'"),
    *("中", "##中", "б", "##ы", "##стр", "é", "ß", "ss"),
    "a" * 30,
)
WORDS = (
    "the",
    "Quick",
    "running",
    "runner",
    "unable",
    "café",
    "naïve",
    "中文",
    "быстр",
    "~",
    "don't",
    "zzz",
    "ß",
)
AWKWARD = (
    "\x00",
    "\x0b",
    "\x1c",
    "\x7f",
    "\t",
    "\r\n",
    "\u200b",
    "\xa0",
    "\u3000",
    "\ufffd",
    "\u0301",
    "İ",
    "ǅ",
)
TEXTS = st.lists(
    st.one_of(
        st.sampled_from(WORDS + AWKWARD + SPECIAL + (" ", "-", "...")),
        st.text(st.characters(codec="ascii"), max_size=8),
        st.text(max_size=4),
    ),
    max_size=25,
).map("".join)


def load(*, lowercase: bool = True) -> WordPieces:
    """The tokenizer under test."""
    return WordPieces.load(tiny_tokenizer(PIECES, lowercase=lowercase))


PAIRS = {True: load(), False: load(lowercase=False)}


def assert_as_reference(pieces: WordPieces, texts: list[str]) -> None:
    """Ids and offsets are those of `tokenizers`, text by text."""
    tokens = pieces.encode(texts)
    expected = [pieces.reference.encode(text, add_special_tokens=False).ids for text in texts]
    assert [tokens.of(row).tolist() for row in range(len(texts))] == expected
    assert tokens.ids.dtype == np.int32
    assert tokens.offsets.dtype == np.int64
    assert tokens.offsets[0] == 0
    assert tokens.offsets[-1] == len(tokens.ids)


@settings(max_examples=200, deadline=None)
@given(st.lists(TEXTS, max_size=6), st.booleans())
def test_ids_are_the_references_for_arbitrary_texts(texts: list[str], lowercase: bool) -> None:
    """Controls, accents, CJK, special tokens, cased and uncased: every id is the reference's."""
    assert PAIRS[lowercase].table is not None
    assert_as_reference(PAIRS[lowercase], texts)


@pytest.mark.parametrize("character", [chr(code) for code in range(128)])
def test_every_ascii_character_splits_words_as_in_the_reference(character: str) -> None:
    """Each of the 128 characters stands alone, inside a word, at its ends and twice."""
    c = character
    assert_as_reference(PAIRS[True], [c, f"the{c}quick", f"{c}run", f"run{c}", f"a{c}{c}b", f"é{c}the {c}ü"])


@pytest.mark.parametrize("length", [29, 30, 31, 99, 100, 101, 1000])
def test_long_words_are_unknown_beyond_the_limit(length: int) -> None:
    """Up to 100 characters a word is split, from 101 on it is one unknown token, and the scan goes on."""
    pieces = PAIRS[True]
    assert_as_reference(pieces, ["a" * length, f"the {'a' * length} run", f"é{'a' * length} run"])
    long = pieces.encode(["a" * length]).ids.tolist()
    assert (long == [pieces.unknown]) == (length > 100)


def test_a_text_of_a_million_characters() -> None:
    """A megabyte goes through whole, ASCII or not."""
    text = "the quick running, " * 55_000
    tokens = PAIRS[True].encode([text, "run"])
    assert len(tokens.of(0)) == 55_000 * 5
    assert tokens.of(0)[:5].tolist() == tokens.of(0)[-5:].tolist()
    assert tokens.of(1).tolist() == PAIRS[True].reference.encode("run", add_special_tokens=False).ids
    assert_as_reference(PAIRS[True], ["быстр the " * 5_000])


def test_unpaired_surrogates_are_characters_to_drop() -> None:
    """A lone surrogate, which no UTF-8 holds, reads as the replacement character, which BERT drops."""
    assert PAIRS[True].encode(["the\ud800 run"]).ids.tolist() == PAIRS[True].encode(["the run"]).ids.tolist()


def test_truncation_and_padding_of_the_file_are_ignored() -> None:
    """A tokenizer.json that truncates to 2 and pads to 8 gives every id and no more."""
    tokenizer = Tokenizer.from_str(tiny_tokenizer(PIECES).decode())
    tokenizer.enable_truncation(2)
    tokenizer.enable_padding(length=8)
    pieces = WordPieces.load(tokenizer.to_str().encode())
    assert len(pieces.encode(["the quick run café"]).ids) == len(
        PAIRS[True].encode(["the quick run café"]).ids
    )


def test_no_texts_and_empty_texts() -> None:
    """Nothing in, nothing out; an empty text has no ids between its neighbours'."""
    assert PAIRS[True].encode([]).offsets.tolist() == [0]
    tokens = PAIRS[True].encode(["", "the", "", "é", ""])
    assert np.diff(tokens.offsets).tolist() == [0, 1, 0, 1, 0]


def test_other_families_go_to_tokenizers(tmp_path: Path) -> None:
    """A unigram and a byte-level BPE tokenizer have no compiled table and give the reference's ids."""
    unigram = Tokenizer(Unigram([("<unk>", 0.0), ("▁the", -1.0), ("▁", -2.0), ("r", -3.0)], unk_id=0))
    unigram.pre_tokenizer = Metaspace()
    bpe = Tokenizer(BPE({"t": 0, "h": 1, "th": 2, "Ġ": 3}, [("t", "h")]))
    bpe.pre_tokenizer = ByteLevel()
    for position, tokenizer in enumerate((unigram, bpe)):
        path = tmp_path / f"{position}.json"
        path.write_text(tokenizer.to_str())
        pieces = WordPieces.load(path)
        assert pieces.table is None
        assert_as_reference(pieces, ["the rth", "", "th é \x00"])
    assert WordPieces.load(unigram.to_str().encode()).unknown == 0


def test_the_size_is_that_of_the_vocabulary() -> None:
    """Every distinct piece counts once."""
    assert PAIRS[True].size == len(dict.fromkeys((*SPECIAL, *PIECES)))


@pytest.mark.parametrize("raw", [b"", b"{}", b"\xff\xfe", b'{"model": 3}'])
def test_a_broken_file_is_corrupt(raw: bytes) -> None:
    """A file that is no tokenizer is said to be corrupt, by name."""
    with pytest.raises(Corrupt, match=r"tokenizer\.json"):
        WordPieces.load(raw)
