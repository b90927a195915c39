"""Vectors of a corpus in a Parquet file."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest

from features.errors import InvalidInput
from features.transformer.encoder import Reading, SentenceEncoder, load_sentence_encoder
from features.transformer.table import load_table
from features.transformer.vector_cache import content_key
from tests.support import require
from training import vectors
from training.vectors import encode_corpus, install_table

IDS = [str(at) for at in range(30)]
TEXTS = [f"red thing {at}" if at % 10 else "" for at in range(30)]


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An exported encoder."""
    require("onnx")
    from training.bi_encode.testing import export_encoder

    return export_encoder(tmp_path_factory.mktemp("encoder") / "model")


@pytest.fixture
def encoder(directory: Path) -> SentenceEncoder:
    """It, keeping nothing."""
    return load_sentence_encoder(directory, Reading(cache_bytes=0))


def test_a_stage_gets_the_vectors_that_the_encoder_makes(encoder: SentenceEncoder, tmp_path: Path) -> None:
    """Through the file and the stage's folder to the bit; documents without a text have none."""
    made = encode_corpus(IDS, TEXTS, encoder, "tea: ", tmp_path / "v.parquet")
    assert (made.vectors, made.reused, made.empty, made.dimension) == (27, 0, 3, 32)
    assert install_table(tmp_path / "v.parquet", tmp_path, encoder) == 27
    table = load_table(tmp_path, 32)
    assert table is not None
    there, found, _ = table.find([content_key(f"tea: {text}") for text in TEXTS])
    assert there.tolist() == [bool(text) for text in TEXTS]
    np.testing.assert_array_equal(found, encoder.encode([text for text in TEXTS if text], "tea: "))


def test_a_second_run_encodes_what_has_changed(encoder: SentenceEncoder, tmp_path: Path) -> None:
    """A changed text, and nothing else; documents that have gone leave the file."""
    out = tmp_path / "v.parquet"
    first = encode_corpus(IDS, TEXTS, encoder, "", out)
    second = encode_corpus(IDS[:20], ["a blue sky", *TEXTS[1:20]], encoder, "", out)
    assert (second.vectors, second.reused, second.empty) == (19, 18, 1)
    assert 0 < second.tokens < first.tokens / 5


def test_a_corpus_without_any_text(encoder: SentenceEncoder, tmp_path: Path) -> None:
    """Has an empty file, which the next run starts from and a stage reads."""
    out = tmp_path / "v.parquet"
    for _ in range(2):
        assert encode_corpus(["a", "b"], ["", ""], encoder, "", out).vectors == 0
    assert install_table(out, tmp_path, encoder) == 0
    table = load_table(tmp_path, 32)
    assert table is not None
    assert not len(table)
    assert encode_corpus(["a", "b"], ["red", ""], encoder, "", out).vectors == 1


def test_another_encoders_vectors_are_not_taken_over(
    encoder: SentenceEncoder, directory: Path, tmp_path: Path
) -> None:
    """Neither by a second run, nor by a stage that reads texts otherwise."""
    out = tmp_path / "v.parquet"
    encode_corpus(IDS, TEXTS, encoder, "", out)
    short = load_sentence_encoder(directory, Reading(max_tokens=8, cache_bytes=0))
    with pytest.raises(InvalidInput, match="made by another encoder"):
        install_table(out, tmp_path, short)
    assert encode_corpus(IDS, TEXTS, short, "", out).reused == 0


def test_a_run_that_is_killed_leaves_the_file_before(
    encoder: SentenceEncoder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Half a table is never seen."""
    out = tmp_path / "v.parquet"
    encode_corpus(IDS, TEXTS, encoder, "", out)
    before = out.read_bytes()
    monkeypatch.setattr(vectors, "CHUNK", 10)

    def killed(work: Iterable[int], *_: object) -> Iterable[int]:
        yield next(iter(work))
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        encode_corpus(IDS, ["blue sky"] * 30, encoder, "", out, killed)  # type: ignore[arg-type]
    assert out.read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["v.parquet"]


@pytest.mark.parametrize("content", [b"", b"no parquet at all"])
def test_a_file_that_is_none_is_refused(encoder: SentenceEncoder, tmp_path: Path, content: bytes) -> None:
    """By its name."""
    (tmp_path / "v.parquet").write_bytes(content)
    with pytest.raises(InvalidInput, match=r"v\.parquet: cannot be read"):
        install_table(tmp_path / "v.parquet", tmp_path, encoder)
