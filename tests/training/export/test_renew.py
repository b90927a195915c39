"""A model whose checkpoint is gone is exported again from its own int8 weights."""

from pathlib import Path

from scipy.stats import spearmanr

from features.transformer.session import SESSIONS
from training.export import Checkpoint, export
from training.export.renew import renew
from training.export.run import pairing, scores
from training.export.testing import tokenise

Pairs = list[tuple[str, str]]


def test_a_renewed_model_ranks_as_the_old_one(checkpoint: Checkpoint, pairs: Pairs, tmp_path: Path) -> None:
    """The new graph comes from the old one alone, says where from, and orders pairs as it did."""
    old, new = tmp_path / "old", tmp_path / "new"
    export(checkpoint, old, pairs, variants=["int8"], max_tokens=32, query_tokens=8)
    report = renew(old, new, pairs, max_tokens=32, query_tokens=8)
    assert report.variant == "int8"
    assert (new / "tokenizer.json").read_bytes() == (old / "tokenizer.json").read_bytes()
    texts = tokenise(pairing(checkpoint.tokenizer, 32, 8), pairs)
    before, after = (
        scores(SESSIONS.share((folder / "model.onnx").read_bytes()), texts) for folder in (old, new)
    )
    assert spearmanr(before, after).statistic > 0.95
