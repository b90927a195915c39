"""What the machine's processor can do in eight bits, and what of it a cross-encoder uses."""

from collections.abc import Callable, Mapping
from time import perf_counter
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from features.transformer.session import SessionSettings, create

SIZE = (512, 2048, 2048)
"""Rows, inner and columns: large enough for the best pace, small enough for the caches."""
PRODUCTS = 16


class Peak:
    """A u8·s8 product by onnxruntime on all cores, the fastest of all calls so far."""

    def __init__(self, clock: Callable[[], float] = perf_counter) -> None:
        self.clock = clock
        rows, inner, columns = SIZE
        random = np.random.default_rng(0)
        weight = random.integers(-63, 64, (inner, columns)).astype(np.int8)
        graph = helper.make_graph(
            [helper.make_node("MatMulInteger", ["x", "w"], ["y"])],
            "peak",
            [helper.make_tensor_value_info("x", TensorProto.UINT8, (rows, inner))],
            [helper.make_tensor_value_info("y", TensorProto.INT32, (rows, columns))],
            [numpy_helper.from_array(weight, "w")],
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
        onnx.checker.check_model(model)
        self.session = create(model.SerializeToString(), SessionSettings(threads=0))
        self.x = random.integers(0, 256, (rows, inner)).astype(np.uint8)
        self.best = 0.0

    def look(self) -> float:
        """Operations a second (a product and a sum are two), the most seen so far."""
        for _ in range(PRODUCTS):
            start = self.clock()
            self.session.run(["y"], {"x": self.x})
            self.best = max(self.best, 2 * np.prod(SIZE, dtype=float) / (self.clock() - start))
        return self.best


def useful_operations(config: Mapping[str, Any], length: int) -> float:
    """Products and sums that the score of one pair of `length` tokens takes, without padding.

    Linear layers and attention; in the last layer keys and values of all tokens, and everything else of the
    classification token alone. Norms, softmax and Gelu are not counted.
    """
    wide, inner = config["hidden_size"], config["intermediate_size"]
    token = 2 * (4 * wide * wide + 2 * wide * inner)
    whole = length * token + 4 * length * length * wide
    last = length * 4 * wide * wide + 4 * length * wide + token - 4 * wide * wide
    return float((config["num_hidden_layers"] - 1) * whole + last + 2 * wide * wide)
