"""The packed graph against two outside authorities: a forward pass in numpy, and transformers."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from scipy.special import erf

from features.columns import Floats
from features.errors import InvalidInput
from features.transformer.packed import Pair
from tests.support import require
from training.export import Checkpoint
from training.export.families import INPUTS, writer_of
from training.export.families.bert import Bert
from training.export.linear import Dynamic, Float, Linear
from training.export.run import open_model, pairing, scores
from training.export.testing import tokenise

Texts = list[tuple[str, str]]


def forward(checkpoint: Checkpoint, pair: Pair) -> float:
    """One pair through BERT as the paper has it, in float64, with nothing packed and nothing fused."""
    weights = {name: value.astype(np.float64) for name, value in checkpoint.tensors.items()}
    config = checkpoint.config

    def dense(x: Any, name: str) -> Any:
        return x @ weights[f"{name}.weight"].T + weights[f"{name}.bias"]

    def norm(x: Any, name: str) -> Any:
        centred = x - x.mean(-1, keepdims=True)
        deviation = np.sqrt((centred**2).mean(-1, keepdims=True) + config["layer_norm_eps"])
        return centred / deviation * weights[f"{name}.weight"] + weights[f"{name}.bias"]

    def attend(x: Any, name: str) -> Any:
        q, k, v = (
            dense(x, f"{name}.{part}").reshape(len(x), config["num_attention_heads"], -1)
            for part in ("query", "key", "value")
        )
        logits = np.einsum("qhd,khd->hqk", q, k) / np.sqrt(q.shape[-1])
        shares = np.exp(logits - logits.max(-1, keepdims=True))
        shares /= shares.sum(-1, keepdims=True)
        return np.einsum("hqk,khd->qhd", shares, v).reshape(x.shape)

    at = "bert.embeddings"
    x = weights[f"{at}.word_embeddings.weight"][pair.ids]
    x = x + weights[f"{at}.position_embeddings.weight"][: len(pair)]
    x = x + weights[f"{at}.token_type_embeddings.weight"][(np.arange(len(pair)) >= pair.second).astype(int)]
    x = norm(x, f"{at}.LayerNorm")
    for layer in range(config["num_hidden_layers"]):
        at = f"bert.encoder.layer.{layer}"
        x = norm(
            x + dense(attend(x, f"{at}.attention.self"), f"{at}.attention.output.dense"),
            f"{at}.attention.output.LayerNorm",
        )
        wide = dense(x, f"{at}.intermediate.dense")
        gelu = wide * (1 + erf(wide / np.sqrt(2))) / 2
        x = norm(x + dense(gelu, f"{at}.output.dense"), f"{at}.output.LayerNorm")
    top = x[0]
    if config.get("pooler", True):
        top = np.tanh(dense(top, "bert.pooler.dense"))
    return float(dense(top, "classifier")[0])


def packed(checkpoint: Checkpoint, linear: Linear, small: bool, pairs: Sequence[Pair]) -> Floats:
    """The scores of the packed graph."""
    model = Bert(checkpoint).write(linear, small).model(INPUTS, {"score": ("B",)})
    return scores(open_model(model), pairs)


def tokens(checkpoint: Checkpoint, pairs: Texts) -> list[Pair]:
    """The pairs as tokens."""
    return tokenise(pairing(checkpoint.tokenizer, 128, 32), pairs)


def test_packed_float_equals_numpy(checkpoint: Checkpoint, pairs: Texts) -> None:
    """Packing, fused operators and the short last layer change nothing."""
    made = tokens(checkpoint, pairs)
    expected = [forward(checkpoint, pair) for pair in made]
    found = packed(checkpoint, Float(), False, made)
    np.testing.assert_allclose(found, expected, atol=2e-5)
    assert np.std(expected) > 0.05


def test_plain_head_equals_numpy(checkpoint: Checkpoint, pairs: Texts) -> None:
    """A classifier straight on the classification token is exported without a pooler."""
    tensors = {name: value for name, value in checkpoint.tensors.items() if "pooler" not in name}
    plain = replace(checkpoint, config={**checkpoint.config, "pooler": False}, tensors=tensors)
    made = tokens(plain, pairs[:20])
    expected = [forward(plain, pair) for pair in made]
    np.testing.assert_allclose(packed(plain, Float(), False, made), expected, atol=2e-5)


def test_names_without_a_prefix(checkpoint: Checkpoint, pairs: Texts) -> None:
    """A state dict of the bare body reads the same."""
    bare = {name.removeprefix("bert."): value for name, value in checkpoint.tensors.items()}
    made = tokens(checkpoint, pairs[:20])
    expected = packed(checkpoint, Float(), False, made)
    np.testing.assert_array_equal(packed(replace(checkpoint, tensors=bare), Float(), False, made), expected)


def test_packed_float_equals_transformers(checkpoint: Checkpoint, pairs: Texts) -> None:
    """The exported graph gives what the framework gives."""
    require("torch")
    require("transformers")
    import torch
    from transformers import BertConfig, BertForSequenceClassification

    model = BertForSequenceClassification(BertConfig(**checkpoint.config)).eval()
    state = {name: torch.from_numpy(value) for name, value in checkpoint.tensors.items()}
    assert not model.load_state_dict(state, strict=False).unexpected_keys
    made = tokens(checkpoint, pairs[:30])
    with torch.no_grad():
        expected = [
            model(
                input_ids=torch.from_numpy(pair.ids[None].astype(np.int64)),
                token_type_ids=torch.from_numpy((np.arange(len(pair)) >= pair.second)[None].astype(np.int64)),
            ).logits.item()
            for pair in made
        ]
    np.testing.assert_allclose(packed(checkpoint, Float(), False, made), expected, atol=2e-5)


@pytest.mark.parametrize(("linear", "tolerance"), [(Float(), 0.05), (Dynamic(), 0.3)])
def test_quantised_stays_near(checkpoint: Checkpoint, pairs: Texts, linear: Linear, tolerance: float) -> None:
    """Int8 embeddings and int8 layers move scores by a small part of their spread."""
    made = tokens(checkpoint, pairs)
    expected = packed(checkpoint, Float(), False, made)
    away = np.abs(packed(checkpoint, linear, True, made) - expected)
    assert 0 < away.mean() < tolerance * expected.std()


@pytest.mark.parametrize(
    ("change", "path"),
    [
        ({"model_type": "deberta-v2"}, "model_type"),
        ({"hidden_act": "relu"}, "hidden_act"),
        ({"position_embedding_type": "relative_key"}, "position_embedding_type"),
        ({"id2label": {"0": "no", "1": "yes"}}, "id2label"),
        ({"hidden_size": 65}, "num_attention_heads"),
        ({"hidden_size": "wide"}, "hidden_size"),
    ],
)
def test_wrong_configurations_are_named(checkpoint: Checkpoint, change: dict[str, Any], path: str) -> None:
    """What cannot be exported is refused by the key of config.json that says so."""
    with pytest.raises(InvalidInput) as error:
        writer_of(replace(checkpoint, config={**checkpoint.config, **change}))
    assert path in error.value.path


def test_a_missing_key_is_named(checkpoint: Checkpoint) -> None:
    """A configuration without a size is refused by its name."""
    with pytest.raises(InvalidInput, match="num_hidden_layers"):
        Bert.read_shape({k: value for k, value in checkpoint.config.items() if k != "num_hidden_layers"})


@pytest.mark.parametrize(
    "name",
    ["bert.encoder.layer.1.output.dense.bias", "classifier.weight", "bert.pooler.dense.weight"],
)
def test_missing_tensors_are_named(checkpoint: Checkpoint, name: str) -> None:
    """A checkpoint that lacks a tensor is refused by the tensor's name."""
    tensors = {key: value for key, value in checkpoint.tensors.items() if key != name}
    with pytest.raises(InvalidInput, match=name):
        Bert(replace(checkpoint, tensors=tensors)).write(Float())


def test_two_rows_in_the_classifier_are_refused(checkpoint: Checkpoint) -> None:
    """Two labels show in the tensor even where config.json does not say so."""
    tensors = {**checkpoint.tensors, "classifier.weight": np.zeros((2, 64), np.float32)}
    with pytest.raises(InvalidInput, match=r"classifier\.weight"):
        Bert(replace(checkpoint, tensors=tensors)).write(Float())


def test_a_larger_tokenizer_is_refused(checkpoint: Checkpoint) -> None:
    """Ids beyond the embedding table would read outside of it."""
    config = {**checkpoint.config, "vocab_size": checkpoint.config["vocab_size"] - 1}
    with pytest.raises(InvalidInput, match=r"tokenizer\.json"):
        Bert(replace(checkpoint, config=config))
