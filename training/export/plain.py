"""Models without a packed graph, as torch exports them: padded rows in, int8 weights with dynamic scales.

Slower than a packed graph, and a score moves a little with its batch, but it takes any architecture that
transformers knows and torch can export.
"""

import logging
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch

from features.errors import NotReady
from features.transformer.model import PADDED, SCORE
from features.transformer.packed import Pair
from features.transformer.padded import INPUTS, padded
from training.export.framework import Framework

OPSET = 17
"""What torch's exporter traces every operator of today's encoders to."""


class Plain:
    """One model of the framework in float32 and in int8."""

    family = PADDED
    variants = ("int8-dynamic", "float32")

    def __init__(self, framework: Framework, padding: int) -> None:
        self.framework = framework
        self.padding = padding
        self.positions = framework.positions
        self.whole = b""

    @property
    def dimension(self) -> int:
        """Numbers in a vector; 0 for a score."""
        return 0 if self.framework.output.task == SCORE else int(self.framework.body.config.hidden_size)

    def write(self, variant: str, fit: Sequence[Pair]) -> bytes:
        """The model in a variant; `fit` is what its graph is traced with.

        Raises:
            NotReady: if torch cannot export it.
        """
        self.whole = self.whole or traced(self.framework, self.example(fit))
        return self.whole if variant == "float32" else quantised(self.whole)

    def example(self, fit: Sequence[Pair]) -> dict[str, Any]:
        """Two padded rows."""
        pairs = sorted(fit, key=len)
        made = padded([pairs[0], pairs[-1]], self.padding, self.framework.segments, self.positions)
        return {name: made[name] for name in INPUTS[: 2 + self.framework.typed]}


def traced(framework: Framework, example: dict[str, Any]) -> bytes:
    """The ONNX model, with free numbers of rows and columns."""
    rows = {name: {0: "B", 1: "S"} for name in example}
    task, content = framework.output.task, BytesIO()
    try:
        with warnings.catch_warnings(), torch.no_grad():
            warnings.simplefilter("ignore")  # of the tracer, on every shape that a model looks at
            torch.onnx.export(
                framework,
                tuple(torch.from_numpy(value) for value in example.values()),
                content,  # type: ignore[arg-type] # the tracer writes to a stream as well
                input_names=list(example),
                output_names=[task],
                dynamic_axes={**rows, task: {0: "B"}},
                opset_version=OPSET,
                dynamo=False,
            )
    except Exception as error:  # torch raises whatever an operator does
        message = f"torch cannot export this architecture: {str(error).splitlines()[0]}"
        raise NotReady(message, path=str(framework.body.config.model_type)) from error
    return content.getvalue()


def quantised(model: bytes) -> bytes:
    """The same with int8 weights a column and dynamic activations, in seven bits as the packed graphs."""
    from onnxruntime.quantization import QuantType, quantize_dynamic

    with TemporaryDirectory() as folder, silent():
        whole, small = Path(folder) / "whole.onnx", Path(folder) / "small.onnx"
        whole.write_bytes(model)
        quantize_dynamic(
            whole,
            small,
            weight_type=QuantType.QInt8,
            per_channel=True,
            reduce_range=True,
            op_types_to_quantize=["MatMul", "Gemm"],
        )
        return small.read_bytes()


@contextmanager
def silent() -> Iterator[None]:
    """Without the quantiser's advice, which is for vision models."""
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(logging.NOTSET)
