"""The card of a fine-tuned stage."""

from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from cascade.stages.cross_encoder import CrossEncoder
from cascade.stages.cross_encoding.training import CrossEncoderTraining
from training.card import read_card
from training.fit import FittedStage
from training.stage_card import write_stage_card
from training.standing import Standing

DATA = {
    "collection": "shop", "digest": "d" * 64, "candidates": "judged", "documents": 1000, "queries": 50,
    "judgments": 400, "seed": 7, "licence": "unknown",
}  # fmt: skip
FIT = {
    "weights": "embedded", "steps": 40, "planned": 50, "kept": 30, "variant": "int8", "taught": 0.75,
    "student": {"num_hidden_layers": 3}, "parity": {"tau": 0.98, "max_deviation": 0.1},
    "curve": [{"step": 0, "loss": None, "held_out_loss": 1.5, "ndcg": 0.5}],
}  # fmt: skip
SPEC = CrossEncoder(name="ce", train=CrossEncoderTraining(epochs=2, teacher="folder/scores.parquet"))


def write(fit: dict[str, object], folder: Path) -> None:
    """The card of a stage with this fit."""
    stage = FittedStage("ce", fit, Standing.as_sent(np.array([0, 1])), 1.0, np.ones(1, bool))
    metrics = {"input": {"nDCG@10": 0.4}, "ce": {"nDCG@10": 0.7}}
    write_stage_card(SPEC, stage, metrics, DATA, folder, datetime(2026, 1, 2, tzinfo=UTC))


def test_a_card_says_what_it_learned_from_and_how_well(tmp_path: Path) -> None:
    """Data, teacher, settings, held-out figures, curve and parity; the licence is left to the user."""
    write(FIT, tmp_path)
    card = read_card(tmp_path)
    assert card.source == "embedded"
    assert card.licence == ""
    assert "50 queries with 400 judgments" in card.data[0]
    assert "75% of the candidates: scores.parquet" in card.data[2]
    assert card.properties["num_hidden_layers"] == 3
    assert card.properties["train.epochs"] == 2
    assert [each.title for each in card.figures] == [
        "Held-out queries", "Fine-tuning", "Parity of int8 with float32",
    ]  # fmt: skip
    assert card.figures[0].rows == (("nDCG@10", 0.4, 0.7),)
    text = (tmp_path / "README.md").read_text()
    assert "not stated" in text
    assert "0.7000" in text


def test_a_stage_that_was_not_fine_tuned_has_no_card(tmp_path: Path) -> None:
    """Trees, and weights as they come, need none."""
    write({"trees": 12}, tmp_path)
    assert not list(tmp_path.iterdir())
