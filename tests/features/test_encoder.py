"""The static encoder: its formula, its file, and what it shares."""

import io
from pathlib import Path

import numpy as np
import pytest

from features.encoder import EMBEDDED, load_encoder, read_encoder, save_encoder
from features.errors import Corrupt, NotReady
from features.testing import tiny_encoder, tiny_tokenizer
from features.vectors import cosines

PIECES = ("sea", "ship", "##s", "sail", "moon")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A small encoder's file."""
    return tiny_encoder(tmp_path / "encoder.npz", PIECES)


def test_a_vector_is_the_normalised_weighted_sum_of_its_pieces(path: Path) -> None:
    """`ships sail` is the unit vector of scale · pieces over ship, ##s and sail, computed here by hand."""
    encoder = load_encoder(str(path))
    with np.load(path) as file:
        table, scale = file["pieces"], file["scale"]
    ids = [encoder.tokenizer.reference.token_to_id(piece) for piece in ("ship", "##s", "sail")]
    total = (table[ids].astype(np.float64) * scale[ids, None]).sum(axis=0)
    made = encoder.encode(["Ships sail"])
    np.testing.assert_allclose(made[0], total / np.linalg.norm(total), rtol=1e-5, atol=1e-7)
    assert made.dtype == np.float32
    assert made.shape == (1, encoder.dimension)


def test_texts_without_a_known_piece_are_nan(path: Path) -> None:
    """Missing, empty and unknown texts, and special tokens, have no vector; their neighbour keeps its own."""
    made = load_encoder(str(path)).encode([None, "", "qqq ???", "[CLS] [UNK]", "sea"])
    assert np.isnan(made[:4]).all()
    assert np.isclose(np.linalg.norm(made[4]), 1.0)


def test_unknown_words_have_no_say(path: Path) -> None:
    """A word outside the vocabulary leaves the vector as it is, whatever weight the file gives to [UNK]."""
    with np.load(path) as file:
        scale = np.ones_like(file["scale"])
        save_encoder(path, file["pieces"], scale, file["tokenizer"].tobytes())
    encoder = load_encoder(str(path))
    np.testing.assert_array_equal(encoder.encode(["sea qqq"]), encoder.encode(["sea"]))


def test_a_row_does_not_depend_on_its_batch(path: Path) -> None:
    """To the bit: alone, or among others."""
    encoder = load_encoder(str(path))
    texts = ["sea", "ships", "moon sea sail", "sail sail moon"]
    together = encoder.encode(texts)
    for row, text in enumerate(texts):
        assert together[row].tobytes() == encoder.encode([text]).tobytes()


def test_an_encoder_is_loaded_once_a_process(path: Path, tmp_path: Path) -> None:
    """The same path gives the same object; another file gives another digest."""
    other = tiny_encoder(tmp_path / "other.npz", PIECES, seed=1)
    assert load_encoder(str(path)) is load_encoder(str(path))
    assert load_encoder(str(path)).digest != load_encoder(str(other)).digest


def test_an_encoder_that_is_not_there_is_said_to_be(tmp_path: Path) -> None:
    """A missing file is NotReady, naming it."""
    with pytest.raises(NotReady, match=r"nowhere\.npz"):
        load_encoder(str(tmp_path / "nowhere.npz"))


def test_the_embedded_encoder_is_told_apart_from_files(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the packaged file, the embedded encoder is NotReady rather than a crash."""
    monkeypatch.setattr("features.encoder.PACKAGED", "embedded/absent.npz")
    with pytest.raises(NotReady, match="embedded"):
        load_encoder(EMBEDDED)


def broken(**changes: object) -> bytes:
    """The bytes of an encoder with some arrays changed (None leaves one out)."""
    tokenizer = np.frombuffer(tiny_tokenizer(("sea",)), np.uint8)
    arrays = {"pieces": np.ones((6, 4), np.int8), "scale": np.ones(6, np.float32), "tokenizer": tokenizer}
    out = io.BytesIO()
    np.savez(out, **{name: one for name, one in {**arrays, **changes}.items() if one is not None})
    return out.getvalue()


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"PK\x03\x04 cut short",
        broken()[:200],
        broken(pieces=None),
        broken(pieces=np.ones((5, 4), np.int8)),
        broken(pieces=np.ones((6, 4), np.float32)),
        broken(scale=np.ones(5, np.float32)),
        broken(scale=np.full(6, np.nan, np.float32)),
        broken(tokenizer=np.zeros(3, np.uint8)),
        broken(scale=np.array([{}] * 6, dtype=object)),
    ],
)
def test_a_broken_file_is_corrupt(raw: bytes) -> None:
    """Truncated, incomplete, misshapen and pickled files are refused before anything is computed."""
    assert read_encoder(broken()).dimension == 4
    with pytest.raises(Corrupt):
        read_encoder(raw)


def test_cosines_agree_with_numpy_and_stay_in_range() -> None:
    """Against float64 numpy, for sizes around the lanes, with huge and tiny numbers."""
    random = np.random.default_rng(0)
    for dimension in (1, 7, 8, 9, 33):
        rows = random.normal(size=(20, dimension)).astype(np.float32) * np.float32(10.0) ** random.integers(
            -30, 30, (20, 1)
        ).astype(np.float32)
        queries = random.normal(size=(2, dimension)).astype(np.float32)
        owner, made = np.repeat([0, 1], 10), np.empty(20, np.float32)
        cosines(rows, queries, owner, made)
        a, b = rows.astype(np.float64), queries[owner].astype(np.float64)
        expected = (a * b).sum(1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)
        np.testing.assert_allclose(made, expected, atol=1e-6)
        assert (np.abs(made) <= 1.0).all()


def test_cosines_of_zero_and_missing_vectors_are_nan() -> None:
    """No direction, no cosine."""
    rows = np.array([[0, 0], [np.nan, 1], [1, 0]], np.float32)
    made = np.empty(3, np.float32)
    cosines(rows, np.array([[1, 1]], np.float32), np.zeros(3, np.int64), made)
    assert np.isnan(made).tolist() == [True, True, False]
