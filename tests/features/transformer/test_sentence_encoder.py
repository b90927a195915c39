"""Sentence encoders on small random BERTs that the packed exporter wrote."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features.columns import Floats
from features.errors import NotReady
from features.transformer.encoder import Reading, SentenceEncoder, Work, load_sentence_encoder
from features.transformer.encoding import Encoded, Unlimited
from features.transformer.session import Sessions, SessionSettings
from features.transformer.vector_cache import VectorCache
from features.transformer.wordpiece import WordPieces
from tests.support import require
from training.export.testing import byte_level, unigram

TEXTS = (
    "red shoe",
    "a quiet river under a blue sky",
    "tea",
    "the green thing by the black river is a brown thing and no white thing",
    "ünïcode tea 中文",
    "quick unknown words xyzzy",
    "white " * 12,
    "shoe",
)


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An int8 export."""
    require("onnx")
    from training.bi_encode.testing import export_encoder

    return export_encoder(tmp_path_factory.mktemp("encoder") / "model")


@pytest.fixture
def encoder(directory: Path) -> SentenceEncoder:
    """The encoder, with sessions, and so a cache, of its own."""
    return load_sentence_encoder(directory, Reading(max_tokens=32), Sessions(SessionSettings(threads=1)))


def uncached(encoder: SentenceEncoder, texts: Sequence[str | None]) -> Floats:
    """Vectors that are made anew."""
    return replace(encoder, cache=VectorCache(0, encoder.dimension)).encode(texts)


@pytest.mark.parametrize("pooling", ["mean", "cls"])
@pytest.mark.parametrize("normalised", [True, False])
def test_vectors_are_those_of_sentence_transformers(pooling: str, normalised: bool, tmp_path: Path) -> None:
    """In full precision, from the same directory, but for the rounding of word vectors to int8 (1 % of the
    largest number); a long text is cut alike."""
    require("sentence_transformers")
    from sentence_transformers import SentenceTransformer

    from training.bi_encode.testing import body, export_encoder, write_sentence_transformer

    saved = write_sentence_transformer(tmp_path / "saved", body(), pooling, normalised=normalised)
    theirs = SentenceTransformer(str(saved), device="cpu")
    theirs.max_seq_length = 24
    texts = [*TEXTS, "red river " * 40]
    expected = theirs.encode(texts, convert_to_numpy=True)
    exported = export_encoder(tmp_path / "exported", saved, "float32")
    ours = load_sentence_encoder(exported, Reading(max_tokens=24, unit=normalised))
    found = ours.encode(texts)
    np.testing.assert_allclose(found, expected, atol=0.015 * np.abs(expected).max(), rtol=0)
    lengths = np.linalg.norm(found, axis=1) * np.linalg.norm(expected, axis=1)
    assert ((found * expected).sum(axis=1) / lengths).min() > 0.9995


@given(st.lists(st.integers(0, len(TEXTS) - 1), min_size=1, max_size=12))
@settings(max_examples=40, deadline=None)
def test_a_vector_is_the_same_in_any_company(directory: Path, chosen: list[int]) -> None:
    """To the bit, whatever else is encoded with it, in whatever order, and without a cache."""
    encoder = load_sentence_encoder(directory, Reading(max_tokens=32))
    alone = np.concatenate([uncached(encoder, [text]) for text in TEXTS])
    np.testing.assert_array_equal(uncached(encoder, [TEXTS[at] for at in chosen]), alone[chosen])


def test_vectors_have_length_one(encoder: SentenceEncoder) -> None:
    """So that a dot product is a cosine."""
    np.testing.assert_allclose(np.linalg.norm(encoder.encode(TEXTS), axis=1), 1.0, rtol=1e-6)


@pytest.mark.parametrize("text", [None, "", "   \n", "\x00\x01"])
@pytest.mark.parametrize("prefix", ["", "red: "])
def test_a_text_without_a_token_has_no_vector(
    encoder: SentenceEncoder, text: str | None, prefix: str
) -> None:
    """NaN, said to be wordless, with its neighbours unharmed; a prefix is no text."""
    found = encoder.encoded(["tea", text], prefix)
    assert np.isnan(found.vectors[1]).all()
    assert found.wordless.tolist() == [False, True]
    assert found.done.all()
    np.testing.assert_array_equal(found.vectors[0], encoder.encode(["tea"], prefix)[0])


@pytest.mark.parametrize("make", [unigram, byte_level])
def test_a_text_of_one_token_behind_a_prefix_has_a_vector(
    encoder: SentenceEncoder, make: Callable[..., str]
) -> None:
    """Also where the prefix's last blank is a token alone and part of the text's first token before it."""
    pieces = WordPieces.load(make(["query: a", "query: b"] * 9, 290).encode())
    other = replace(encoder, model=replace(encoder.model, pieces=pieces), cache=VectorCache(0, 32))
    work = Work(other, Encoded([], np.empty((0, 32), np.float32)), "query: ", [])
    pairs, _ = work.pairs(["a", ""])
    assert [pair is not None for pair in pairs] == [True, False]


def test_what_was_encoded_is_known_by_its_content(encoder: SentenceEncoder) -> None:
    """A second request reads no token and gets the same bytes, whatever the order; a new text is read."""
    first = encoder.encoded(TEXTS)
    again = encoder.encoded(TEXTS[::-1])
    assert first.tokens > 0
    assert again.tokens == 0
    np.testing.assert_array_equal(again.vectors, first.vectors[::-1])
    assert encoder.encoded(["red shoe "]).tokens > 0


def test_equal_texts_are_read_once(encoder: SentenceEncoder) -> None:
    """Three rows of one text cost the tokens of one, and all get its vector."""
    alone = replace(encoder, cache=VectorCache(0, encoder.dimension)).encoded(["quiet river"])
    found = encoder.encoded(["quiet river", "quiet river", "quiet river"])
    assert found.tokens == alone.tokens
    np.testing.assert_array_equal(found.vectors, np.repeat(alone.vectors, 3, axis=0))


def test_truncation_is_told_from_the_cache_too(encoder: SentenceEncoder) -> None:
    """A long text counts as cut when it is read, and when its vector is known."""
    long = "river " * 50
    for _ in range(2):
        assert encoder.encoded(["tea", long]).cut.tolist() == [False, True]
    np.testing.assert_array_equal(encoder.encode([long]), encoder.encode(["river " * 30]))


def test_a_prefix_stands_before_the_text(encoder: SentenceEncoder) -> None:
    """The prefixed text is the text with the prefix, and is kept apart from the bare one."""
    prefixed = encoder.encode(["tea"], "red: ")
    np.testing.assert_array_equal(prefixed, encoder.encode(["red: tea"]))
    assert (prefixed != encoder.encode(["tea"])).any()


def test_a_text_of_a_million_characters_costs_no_more_than_is_read(encoder: SentenceEncoder) -> None:
    """It is cut before it is tokenised."""
    found = encoder.encoded(["tea " * 250_000])
    assert found.tokens == 32
    assert found.cut.all()


def test_time_that_is_up_leaves_the_last_texts(encoder: SentenceEncoder) -> None:
    """With a limit that has passed nothing is made; what is known already is still given."""
    encoder.encode(["tea"])

    found = encoder.encoded(["tea", "red shoe"], limit=Unlimited(at=0.0, left_s=-1.0, expired=True))
    assert found.late
    assert found.done.tolist() == [True, False]


def test_the_digest_tells_readings_apart(directory: Path) -> None:
    """Fewer tokens or raw lengths make other vectors, so that no table of the one is used for the other."""
    readings = [Reading(max_tokens=32), Reading(max_tokens=16), Reading(max_tokens=32, unit=False)]
    assert len({load_sentence_encoder(directory, each).digest for each in readings}) == 3
    assert load_sentence_encoder(directory, readings[0]) is load_sentence_encoder(
        directory, Reading(max_tokens=32)
    )


def test_a_model_of_scores_is_refused(tmp_path: Path) -> None:
    """A cross-encoder has no vectors to give."""
    require("onnx")
    from training.export import Gate, export
    from training.export.testing import made_pairs, random_checkpoint, wordpiece

    words = ["red", "blue", "tea", "river", "quiet", "shoe"]
    pairs = made_pairs(words, 10, 12, np.random.default_rng(6))
    gate = Gate(tau=0.0, top_10=0.0)
    export(
        random_checkpoint(wordpiece(words), hidden=32), tmp_path / "m", pairs, variants=["float32"], gate=gate
    )
    with pytest.raises(NotReady, match="scores of pairs, not vectors"):
        load_sentence_encoder(tmp_path / "m")
