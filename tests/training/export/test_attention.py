"""Attention of packed rows against its definition, and a pair's bits in any company."""

from collections.abc import Callable, Sequence

import numpy as np
import pytest

from features.columns import Floats
from features.transformer.model import VECTOR
from features.transformer.packed import Pair, feed
from features.transformer.session import SessionSettings, create
from training.export.families import INPUTS, Output, Packed
from training.export.families.attention import attend_all, attend_first, lay_out
from training.export.families.bert import Bert
from training.export.graph import Graph
from training.export.linear import Dynamic, Float, Linear
from training.export.packing import Packing
from training.export.run import open_model
from training.export.testing import made_words, random_checkpoint, wordpiece

HIDDEN, HEADS = 12, 3
LENGTHS = (5, 17, 16, 1, 9)


def some(lengths: tuple[int, ...] = LENGTHS, seed: int = 0) -> list[Pair]:
    """Pairs of these lengths."""
    random = np.random.default_rng(seed)
    return [Pair(random.integers(5, 60, length).astype(np.int32), length // 2) for length in lengths]


def softmax(logits: Floats) -> Floats:
    """Shares over the last axis."""
    raised: Floats = np.exp(logits - logits.max(-1, keepdims=True))
    return raised / raised.sum(-1, keepdims=True)


def run(graph: Graph, out: str, pairs: list[Pair]) -> Floats:
    """The value `out[rows, HIDDEN]` of a graph whose float inputs are constants."""
    graph.add("Identity", out, to="out")
    found: Floats = open_model(graph.model(INPUTS, {"out": ("N", HIDDEN)})).run(["out"], feed(pairs))[0]
    return found


def test_every_token_attends_over_its_own_pair() -> None:
    """Packed attention is softmax(QKᵀ/√d)V of each pair and head apart, whatever else is in the batch."""
    pairs, random = some(), np.random.default_rng(1)
    joined = random.normal(size=(sum(LENGTHS), 3 * HIDDEN)).astype(np.float32)
    graph = Graph()
    lay_out(graph, HEADS)
    found = run(graph, attend_all(graph, graph.constant("x", joined), HIDDEN, HEADS), pairs)
    ends = np.cumsum(LENGTHS)
    for start, end in zip(ends - LENGTHS, ends, strict=True):
        q, k, v = (part.reshape(end - start, HEADS, -1) for part in np.split(joined[start:end], 3, axis=1))
        shares = softmax(np.einsum("qhd,khd->hqk", q, k) / np.sqrt(HIDDEN / HEADS))
        expected = np.einsum("hqk,khd->qhd", shares, v).reshape(end - start, HIDDEN)
        np.testing.assert_allclose(found[start:end], expected, atol=1e-5)


def test_the_first_token_attends_without_keys_and_values() -> None:
    """Products over hidden rows give what keys and values made of them would give, the keys' bias too."""
    pairs, random = some(), np.random.default_rng(2)
    hidden = random.normal(size=(sum(LENGTHS), HIDDEN)).astype(np.float32)
    query = random.normal(size=(len(pairs), HIDDEN)).astype(np.float32)
    key, value = (
        (
            random.normal(size=(HIDDEN, HIDDEN)).astype(np.float32),
            random.normal(size=HIDDEN).astype(np.float32),
        )
        for _ in range(2)
    )
    graph = Graph()
    lay_out(graph, HEADS)
    rows = graph.constant("hidden", hidden)
    made = attend_first(graph, "a", graph.constant("query", query), rows, key, value, HEADS)
    found = run(graph, made, pairs)
    ends = np.cumsum(LENGTHS)
    for row, (start, end) in enumerate(zip(ends - LENGTHS, ends, strict=True)):
        k, v = ((hidden[start:end] @ w + b).reshape(-1, HEADS, HIDDEN // HEADS) for w, b in (key, value))
        shares = softmax(np.einsum("hd,khd->hk", query[row].reshape(HEADS, -1), k) / np.sqrt(HIDDEN / HEADS))
        np.testing.assert_allclose(found[row], np.einsum("hk,khd->hd", shares, v).ravel(), atol=1e-5)


@pytest.mark.parametrize("heads", [1, 2, 4])
@pytest.mark.parametrize("threads", [1, 2])
def test_a_pair_scores_the_same_bits_in_any_company(heads: int, threads: int) -> None:
    """With calibrated scales a pair's score does not change by a bit with those that share its batch."""
    checkpoint = random_checkpoint(wordpiece(made_words(60, np.random.default_rng(0))), heads=heads)
    pairs = some((30, 25, 32, 17, 28, 31), seed=3)
    content = Packing(Bert(checkpoint), np.random.default_rng(0)).write("int8", some((20, 40, 33), seed=4))
    session = create(content, SessionSettings(threads=threads))
    alone = [session.run(["score"], feed([pair]))[0][0] for pair in pairs]
    for company in range(1, len(pairs) + 1):
        chosen = list(range(company))[::-1]
        found = session.run(["score"], feed([pairs[row] for row in chosen]))[0]
        np.testing.assert_array_equal(found, [alone[row] for row in chosen])


@pytest.mark.parametrize("linear", [Float(), Dynamic()])
def test_every_precision_has_a_graph(linear: Linear) -> None:
    """The parts of attention fit together in the precisions that are not calibrated, too."""
    checkpoint = random_checkpoint(wordpiece(made_words(60, np.random.default_rng(0))))
    model = Bert(checkpoint).write(linear).model(INPUTS, {"score": ("B",)})
    found = open_model(model).run(["score"], feed(some()))[0]
    assert np.isfinite(found).all()
    assert np.ptp(found) > 0


@pytest.mark.parametrize("output", [Output(), Output(VECTOR)])
def test_smoothed_values_spare_the_layer_behind_them_a_pass(
    folds: Callable[[Packed, Sequence[Pair]], None], output: Output
) -> None:
    """Attention's output may be smoothed in the weights of its values: outputs stay what they are."""
    checkpoint = random_checkpoint(wordpiece(made_words(60, np.random.default_rng(0))))
    folds(Bert(checkpoint, output), some())
