"""A graph in parts: the same bits as the whole, cut where one value goes on."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnxruntime
import pytest

from cascade.stages.embedded import embedded_model
from features.columns import Floats
from features.errors import Corrupt
from features.transformer.loaded import LONG, load_model
from features.transformer.packed import Pair, feed
from features.transformer.parts import divided
from features.transformer.session import SessionSettings, create
from tests.support import require

LAYERS = 4


def written(*, pooled: bool = False, small: bool = True) -> bytes:
    """A small packed graph of four layers, of scores or of mean vectors."""
    require("onnx")
    from training.export.families import INPUTS, Output
    from training.export.families.bert import Bert
    from training.export.linear import Dynamic, Float
    from training.export.testing import made_words, random_checkpoint, wordpiece

    checkpoint = random_checkpoint(wordpiece(made_words(60, np.random.default_rng(0))), layers=LAYERS)
    writer = Bert(checkpoint, Output("vector") if pooled else None)
    graph = writer.write(Dynamic() if small else Float())
    content: bytes = graph.model(INPUTS, writer.outputs).SerializeToString()
    return content


def some(seed: int) -> list[Pair]:
    """Pairs of about one width."""
    random = np.random.default_rng(seed)
    return [Pair(random.integers(5, 60, length).astype(np.int32), 2) for length in random.integers(9, 40, 5)]


def whole(content: bytes, pairs: Sequence[Pair]) -> Floats:
    """What onnxruntime makes of the graph as it is."""
    options = SessionSettings().options()
    session: Any = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    found: Floats = session.run(None, feed(pairs))[0]
    return found


@pytest.mark.parametrize("most", [1, 10_000, 60_000, 120_000, 10**9])
@pytest.mark.parametrize("pooled", [False, True])
@pytest.mark.parametrize("small", [False, True])
def test_parts_give_the_bits_of_the_whole(
    monkeypatch: pytest.MonkeyPatch, most: int, pooled: bool, small: bool
) -> None:
    """However finely it is cut, in any precision, scores and vectors are those of one session."""
    content = written(pooled=pooled, small=small)
    monkeypatch.setattr("features.transformer.session.divided", lambda model: divided(model, most))
    session = create(content, SessionSettings())
    assert sorted(session.inputs) == sorted(feed(some(0)))
    paused: list[None] = []
    for seed in range(3):
        found = session.run(session.parts[-1].gives, feed(some(seed)), lambda: paused.append(None))[0]
        np.testing.assert_array_equal(found, whole(content, some(seed)))
        short = session.run(session.parts[-1].gives, feed(some(seed)), long=False)[0]
        np.testing.assert_array_equal(short, found)
    assert len(paused) == 3 * (len(session.parts) - 1)


def test_parts_are_about_as_heavy_as_asked() -> None:
    """No part but one that cannot be cut is much over the limit, and weights are kept once."""
    content = written()
    parts = list(divided(content, len(content) // 3))
    assert len(parts) > 1
    assert sum(map(len, parts)) < 1.2 * len(content)
    assert len(list(divided(content, 1))) >= LAYERS
    assert list(divided(content, len(content))) == [content]


@pytest.mark.parametrize(("tokens", "pauses"), [(LONG, False), (LONG + 1, True)])
def test_long_pairs_of_a_small_model_are_read_in_parts(tokens: int, pauses: bool) -> None:
    """The embedded cross-encoder looks up within a long pair, and reads short ones in one piece."""
    model = load_model(embedded_model())
    paused: list[None] = []
    pair = Pair(np.arange(1_000, 1_000 + tokens, dtype=np.int32), 4)
    model.run([pair, pair], lambda: paused.append(None))
    assert len(paused) == (len(model.session.parts) - 1 if pauses else 0)
    assert len(model.session.parts) > 2


def test_a_run_of_several_threads_is_not_divided() -> None:
    """Every part would have threads of its own."""
    session = create(written(), SessionSettings(threads=2))
    assert (len(session.parts), session.whole) == (1, None)


def test_a_model_of_padded_rows_stays_whole() -> None:
    """Whose graph it is nobody knows, so it is not taken apart."""
    require("onnx")
    from onnx import TensorProto, helper

    value = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n"]) for name in ("input_ids", "score")]
    node = helper.make_node("Neg", ["input_ids"], ["score"])
    content = helper.make_model(helper.make_graph([node], "g", value[:1], value[1:])).SerializeToString()
    assert list(divided(content, 1)) == [content]


@pytest.mark.parametrize("content", [b"\xff\xff", b"\x0b\x00", b"\x3a\x7f\x00"])
def test_what_is_no_model_is_said_to_be_none(content: bytes) -> None:
    """Rather than cut anywhere."""
    with pytest.raises(Corrupt, match="ONNX model"):
        next(divided(content))
