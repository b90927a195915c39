"""Borrowed word vectors: two models, one table."""

import numpy as np
import pytest

from features.errors import Corrupt
from features.transformer.words import WORDS, joined, tensors
from tests.support import require


def model(*names: str) -> bytes:
    """A graph that gathers rows of `words` and scales them, with only the named tensors inside."""
    require("onnx")
    from onnx import TensorProto, helper, numpy_helper

    table = {
        "words": np.arange(12, dtype=np.int8).reshape(4, 3),
        "words.scale": np.array([[1], [2], [3], [4]], np.float32),
        "other": np.ones(300, np.float32),
    }
    nodes = [
        helper.make_node("Gather", ["words", "ids"], ["rows"]),
        helper.make_node("Gather", ["words.scale", "ids"], ["scales"]),
        helper.make_node("CastLike", ["rows", "scales"], ["floats"]),
        helper.make_node("Mul", ["floats", "scales"], ["out"]),
    ]
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("ids", TensorProto.INT32, ["T"])],
        [helper.make_tensor_value_info("out", TensorProto.FLOAT, ["T", 3])],
        [numpy_helper.from_array(table[name], name) for name in names],
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=9)
    return bytes(made.SerializeToString())


def test_a_borrower_runs_with_the_lenders_words() -> None:
    """The joined model is a whole one: onnxruntime loads it, and it gathers the lender's rows."""
    import onnxruntime

    whole = joined(model("other"), model(*WORDS, "other"))
    session = onnxruntime.InferenceSession(whole)
    (found,) = session.run(None, {"ids": np.array([2, 0], np.int32)})
    np.testing.assert_array_equal(found, [[18, 21, 24], [0, 1, 2]])


def test_names_what_the_lender_lacks() -> None:
    """A lender without the table is refused by the tensor's name."""
    with pytest.raises(Corrupt, match=r"words\.scale"):
        joined(model("other"), model("words"))


@pytest.mark.parametrize("kept", [1, 7, 60, 200])
def test_a_lender_that_is_cut_short_is_refused(kept: int) -> None:
    """A truncated file is Corrupt or lacks the tensor; it never gives part of one."""
    with pytest.raises(Corrupt):
        joined(model("other"), model(*WORDS)[:kept])


def test_finds_every_tensor_by_name() -> None:
    """The walk over the encoded message sees what the ONNX library sees."""
    assert set(tensors(memoryview(model(*WORDS, "other")))) == {*WORDS, "other"}
