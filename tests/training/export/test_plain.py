"""Families without a packed graph, exported as torch has them and run over padded rows by the same stage."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from cascade.deadline import NEVER
from cascade.stages.cross_encoder import CrossEncoder
from features.batch import Query, single
from features.columns import Column, Kind
from features.matrix import FeatureMatrix
from features.transformer.loaded import load_model
from training.export import Gate, export
from training.export.reading import outputs
from training.export.run import pairing
from training.export.testing import tokenise

Saved = Callable[[str], Path]
Texts = list[tuple[str, str]]
OPEN = Gate(tau=0.3, top_10=0.3)


@pytest.fixture(scope="module")
def directory(saved: Saved, pairs: Texts, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """ALBERT, which has segments and shares its layers, exported in float32."""
    out = tmp_path_factory.mktemp("albert") / "out"
    report = export(saved("albert"), out, pairs[:60], variants=["float32"], gate=OPEN)
    assert (report.family, report.variant, report.max_tokens) == ("padded", "float32", 130)
    assert report.parity["float32"].max_deviation < 1e-4
    return out


def test_padding_changes_no_score(directory: Path, saved: Saved, pairs: Texts) -> None:
    """A batch of the longest pair and of tiny ones gives what each gets alone in transformers."""
    import torch
    from transformers import AutoModelForSequenceClassification

    texts = [("a", "b"), *pairs[:8], (pairs[0][0], " ".join(document for _, document in pairs[:12]))]
    made = tokenise(pairing((directory / "tokenizer.json").read_text(), 130, 60), texts)
    framework = AutoModelForSequenceClassification.from_pretrained(saved("albert")).eval()
    with torch.no_grad():
        wanted = [
            framework(
                torch.from_numpy(pair.ids[None].astype(np.int64)),
                token_type_ids=torch.from_numpy((np.arange(len(pair)) >= pair.second)[None].astype(np.int64)),
            ).logits.item()
            for pair in made
        ]
    np.testing.assert_allclose(load_model(directory).run(made), wanted, atol=1e-4)
    assert max(map(len, made)) > 20 * min(map(len, made))
    assert np.std(wanted) > 1e-3


def test_the_stage_runs_a_padded_model(directory: Path, pairs: Texts) -> None:
    """The cross-encoder stage serves it like any other, a candidate without text apart."""
    documents = [document for _, document in pairs[:5]] + ["", "\x00\x01"]
    stage = CrossEncoder(name="rerank", fields=("title",), max_tokens=64, query_tokens=16).load(directory, ())
    batch = single(
        Query(pairs[0][0]),
        [f"d{i}" for i in range(len(documents))],
        {"title": Column(Kind.TEXT, documents)},
    )
    empty = FeatureMatrix(np.empty((len(documents), 0), np.float32), (), batch.offsets, "")
    made = stage.score(batch, empty, NEVER)
    texts = [(pairs[0][0], document) for document in documents[:5]]
    read = tokenise(pairing((directory / "tokenizer.json").read_text(), 64, 16), texts)
    np.testing.assert_allclose(made.scores[:5], outputs(load_model(directory).run, read), atol=1e-5)
    assert np.isnan(made.scores[5:]).all()
    assert set(made.outcomes) == {5, 6}


def test_int8_is_smaller_and_near(saved: Saved, pairs: Texts, tmp_path: Path) -> None:
    """int8 is written where it passes; this family has no segments, and positions from its padding on."""
    report = export(saved("mpnet"), tmp_path / "out", pairs[:60], gate=OPEN)
    assert (report.family, report.variant) == ("padded", "int8-dynamic")
    assert report.max_tokens == 128
    assert report.parity["int8-dynamic"].bytes < report.parity["float32"].bytes
    assert report.parity["int8-dynamic"].tau > 0.5
    assert not load_model(tmp_path / "out").notes.independent
    assert list(load_model(tmp_path / "out").session.inputs) == [
        "input_ids",
        "attention_mask",
    ]


def test_vectors_of_a_padded_model(saved: Saved, pairs: Texts, tmp_path: Path) -> None:
    """A sentence encoder without a packed graph pools in torch: the mean of real tokens, of length 1."""
    report = export(
        saved("mpnet"),
        tmp_path / "out",
        [document for _, document in pairs[:40]],
        task="vector",
        variants=["float32"],
        gate=OPEN,
    )
    assert (report.task, report.dimension) == ("vector", 32)
    assert report.parity["float32"].max_deviation < 1e-4
    model = load_model(tmp_path / "out")
    texts = [model.tokens([text]) for text in ("a", " ".join(pairs[0]))]
    together = model.run(texts)
    np.testing.assert_allclose(together, [model.run([text])[0] for text in texts], atol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(together, axis=1), 1, atol=1e-5)
