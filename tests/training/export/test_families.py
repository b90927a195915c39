"""Every family's packed graph against transformers itself: scores, vectors, tokens, batches."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cascade.deadline import NEVER
from cascade.stages.cross_encoder import CrossEncoder
from features.batch import CandidateBatch, Query, single
from features.columns import Column, Floats, Kind
from features.matrix import FeatureMatrix
from features.transformer.loaded import load_model
from features.transformer.model import PACKED
from features.transformer.packed import Pair, feed
from training.export import Gate, export
from training.export.checkpoint import read_checkpoint
from training.export.families import FAMILIES, INPUTS, Output, Packed, writer_of
from training.export.layouts import layout_of
from training.export.linear import Float
from training.export.reading import outputs
from training.export.run import open_model, pairing
from training.export.testing import tokenise

Saved = Callable[[str], Path]
Texts = list[tuple[str, str]]
OPEN = Gate(tau=0.3, top_10=0.3)
EACH = pytest.mark.parametrize("family", FAMILIES)


def read_pairs(directory: Path, pairs: Texts, max_tokens: int = 100) -> list[Pair]:
    """The pairs as tokens, the query never cut."""
    tokenizer = (directory / "tokenizer.json").read_text()
    return tokenise(pairing(tokenizer, max_tokens, 60), pairs)


def packed(directory: Path, pairs: list[Pair], output: Output | None = None) -> Floats:
    """What the packed graph in full precision gives."""
    writer = writer_of(read_checkpoint(directory), output)
    session = open_model(writer.write(Float(), False).model(INPUTS, writer.outputs))
    return outputs(lambda some: session.run(list(writer.outputs), feed(some))[0], pairs)


def encoded(directory: Path, query: str, document: str, max_tokens: int) -> Any:
    """A pair as the tokenizer of transformers makes it."""
    from transformers import PreTrainedTokenizerFast

    tokenizer = PreTrainedTokenizerFast(tokenizer_file=str(directory / "tokenizer.json"))
    return tokenizer(
        query,
        document,
        truncation="only_second",
        max_length=max_tokens,
        return_tensors="pt",
        return_token_type_ids=True,
    )


def test_the_notes_know_every_family() -> None:
    """What export writes, serving reads."""
    assert set(FAMILIES) == set(PACKED)


@EACH
@pytest.mark.parametrize("max_tokens", [100, 48])
def test_tokens_of_pairs_are_transformers_own(
    saved: Saved, pairs: Texts, family: str, max_tokens: int
) -> None:
    """Ids, special tokens and the cut of a long document are those of the tokenizer's own pair encoding."""
    directory = saved(family)
    awkward = [("a<b> c", "x  y\tz"), ("été 東京", "naïve 😀"), ("A", "b. C, d!")]
    long = [(query, f"{document} {document} {document}") for query, document in pairs[:6]]
    for pair, texts in zip(read_pairs(directory, awkward + long, max_tokens), awkward + long, strict=True):
        wanted = encoded(directory, *texts, max_tokens)
        assert pair.ids.tolist() == wanted["input_ids"][0].tolist()


@EACH
def test_scores_are_transformers_own(saved: Saved, pairs: Texts, family: str) -> None:
    """In float32 the packed graph gives the framework's logits, from texts on, within 1e-4."""
    import torch
    from transformers import AutoModelForSequenceClassification

    directory = saved(family)
    model = AutoModelForSequenceClassification.from_pretrained(directory).eval()
    typed = family in ("bert", "electra")
    expected = []
    with torch.no_grad():
        for texts in pairs[:24]:
            given = encoded(directory, *texts, 100)
            kept = ("input_ids", "attention_mask", *(["token_type_ids"] if typed else []))
            expected.append(model(**{name: given[name] for name in kept}).logits.item())
    found = packed(directory, read_pairs(directory, pairs[:24]))
    np.testing.assert_allclose(found, expected, atol=1e-4)
    assert np.std(expected) > 0.01


@EACH
@pytest.mark.parametrize("pooling", ["mean", "cls"])
@pytest.mark.parametrize("normalised", [True, False])
def test_vectors_are_transformers_own(saved: Saved, family: str, pooling: str, normalised: bool) -> None:
    """Pooled by the framework or by the graph, a text's vector is the same within 1e-4."""
    import torch
    from transformers import AutoModel

    directory = saved(family)
    layout = layout_of((directory / "tokenizer.json").read_text())
    random = np.random.default_rng(3)
    texts = [layout.alone(random.integers(5, 200, size).astype(np.int32)) for size in (1, 7, 30, 90)]
    model = AutoModel.from_pretrained(directory).eval()
    with torch.no_grad():
        states = [model(torch.from_numpy(text.ids[None].astype(np.int64)))[0][0] for text in texts]
    wanted = np.stack([(rows.mean(0) if pooling == "mean" else rows[0]).numpy() for rows in states])
    if normalised:
        wanted = wanted / np.linalg.norm(wanted, axis=1, keepdims=True)
    np.testing.assert_allclose(
        packed(directory, texts, Output("vector", pooling, normalised)), wanted, atol=1e-4
    )


def test_a_modernbert_may_pool_its_mean(saved: Saved, words: list[str], pairs: Texts, tmp_path: Path) -> None:
    """A classifier that reads the mean of all tokens, with windows narrower than the text."""
    import torch
    from transformers import AutoModelForSequenceClassification

    from training.export.testing import byte_level, transformers_checkpoint

    tokenizer = byte_level([" ".join(words)], angles=False)
    directory = transformers_checkpoint("modernbert", tokenizer, tmp_path, classifier_pooling="mean")
    model = AutoModelForSequenceClassification.from_pretrained(directory).eval()
    made = read_pairs(directory, pairs[:12])
    with torch.no_grad():
        wanted = [model(torch.from_numpy(pair.ids[None].astype(np.int64))).logits.item() for pair in made]
    np.testing.assert_allclose(packed(directory, made), wanted, atol=1e-4)
    assert max(map(len, made)) > 40


@EACH
def test_export_keeps_the_order_and_pairs_keep_to_themselves(
    saved: Saved, pairs: Texts, family: str, tmp_path: Path
) -> None:
    """Static int8 passes the gate against the framework, and a pair's score is the same bits in any batch."""
    gate = Gate(tau=0.75, top_10=0.75)
    report = export(saved(family), tmp_path / "out", pairs[:72], variants=["int8"], gate=gate, framework=True)
    assert (report.family, report.variant) == (family, "int8")
    assert report.reference.startswith("transformers ")
    model = load_model(tmp_path / "out")
    made = read_pairs(saved(family), pairs)
    alone = np.concatenate([model.run([pair]) for pair in made])
    np.testing.assert_array_equal(outputs(model.run, made), alone)
    assert np.ptp(alone) > 0


@pytest.mark.parametrize("family", ["roberta", "xlm-roberta", "modernbert"])
def test_the_stage_survives_odd_texts(saved: Saved, pairs: Texts, family: str, tmp_path: Path) -> None:
    """Unknown or control characters alone, a million characters, one word: each has a score or an outcome,
    and the same bits alone as among the others."""
    export(saved(family), tmp_path / "out", pairs[:48], variants=["int8"], gate=OPEN)
    spec = CrossEncoder(name="rerank", fields=("title",), max_tokens=128, query_tokens=16)
    stage = spec.load(tmp_path / "out", ())
    texts = ["東京都 😀", "\x00\x07\x1b", "word " * 200_000, "x" * 1_000_000, "a", pairs[0][1], " \u200b "]
    made = stage.score(*candidates(texts), NEVER)
    rows = [row for row in range(len(texts)) if row not in made.outcomes]
    assert np.isfinite(made.scores[rows]).all()
    assert {0, 2, 3, 4, 5} <= set(rows)
    assert any("truncated to 128 tokens" in warning for warning in made.warnings)
    alone = [stage.score(*candidates([texts[row]]), NEVER).scores[0] for row in rows]
    np.testing.assert_array_equal(made.scores[rows], alone)


@EACH
def test_smoothing_moves_into_the_weights_of_every_family(
    saved: Saved, pairs: Texts, folds: Callable[[Packed, Sequence[Pair]], None], family: str
) -> None:
    """Whatever a family calls its tensors: its scores stay what they are."""
    folds(writer_of(read_checkpoint(saved(family))), read_pairs(saved(family), pairs[:20]))


def candidates(texts: list[str]) -> tuple[CandidateBatch, FeatureMatrix]:
    """A batch of these titles, without features."""
    ids = [f"d{i}" for i in range(len(texts))]
    batch = single(Query("some query"), ids, {"title": Column(Kind.TEXT, texts)})
    return batch, FeatureMatrix(np.empty((len(texts), 0), np.float32), (), batch.offsets, "")


@pytest.mark.parametrize("family", ["bert", "xlm-roberta", "modernbert"])
@pytest.mark.parametrize("pooling", ["mean", "cls"])
def test_vectors_keep_to_themselves(
    saved: Saved, pairs: Texts, family: str, pooling: str, tmp_path: Path
) -> None:
    """A text's int8 vector is the same bits in any batch, and nearly the reference's."""
    report = export(
        saved(family),
        tmp_path / "out",
        pairs[:48],
        task="vector",
        pooling=pooling,
        variants=["int8"],
        gate=OPEN,
    )
    model = load_model(tmp_path / "out")
    texts = [model.tokens([document[:60]]) for _, document in pairs[:40]]
    alone = np.concatenate([model.run([text]) for text in texts])
    np.testing.assert_array_equal(outputs(model.run, texts), alone)
    np.testing.assert_allclose(np.linalg.norm(alone, axis=1), 1, atol=1e-5)
    assert (report.task, report.dimension, model.notes.normalised) == ("vector", 32, True)
    assert report.parity["int8"].mean_deviation < 0.1
