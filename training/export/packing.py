"""One checkpoint as a packed graph in every precision."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from features.columns import Floats
from features.errors import InvalidInput
from features.transformer.model import SCORE
from features.transformer.packed import Pair, feed
from training.export.calibrate import calibrate, sampled
from training.export.families import INPUTS, Packed
from training.export.linear import Dynamic, Float, Linear, Static
from training.export.reading import Run
from training.export.run import batches, open_model

VARIANTS = ("int8", "int8-dynamic", "float32")
"""Best first: calibrated int8, int8 whose scales depend on the batch, and full precision."""
REFERENCE = "packed float32"
LARGEST = 1_800_000_000
"""Bytes of weights up to which a graph in full precision fits a protobuf message (2 GiB)."""


class Packing:
    """Writes variants of one checkpoint."""

    variants = VARIANTS
    padding = 0

    def __init__(self, writer: Packed, random: np.random.Generator) -> None:
        self.writer = writer
        self.random = random
        self.family = str(writer.checkpoint.config["model_type"])
        self.positions = writer.shape.positions

    @property
    def dimension(self) -> int:
        """Numbers in a vector; 0 for a score."""
        return 0 if self.writer.output.task == SCORE else self.writer.shape.hidden

    def write(self, variant: str, fit: Sequence[Pair]) -> bytes:
        """The model in a variant, calibrated on `fit` where it takes that."""
        linear, writer = self.linear(variant, fit), self.writer
        if isinstance(linear, Static):
            writer, activations = writer.folded(linear.activations)
            linear = Static(activations)
        content: bytes = model(writer, linear).SerializeToString()
        return content

    def reference(self) -> Run:
        """Full precision, word vectors too where they fit."""
        weights = sum(tensor.nbytes for tensor in self.writer.checkpoint.tensors.values())
        session = open_model(model(self.writer, Float(), small=weights > LARGEST))
        task = self.writer.output.task
        return lambda pairs: session.run([task], feed(pairs))[0]

    def linear(self, variant: str, fit: Sequence[Pair]) -> Linear:
        """The linear layers of a variant."""
        if variant == "float32":
            return Float()
        if variant == "int8-dynamic":
            return Dynamic()
        if variant != "int8":
            raise InvalidInput(f"is none of {', '.join(VARIANTS)}", path=variant)
        layers = Float()
        graph = self.writer.write(layers)
        return Static(calibrate(self.observed(graph, layers, fit), layers.weights))

    def observed(self, graph: Any, layers: Float, fit: Sequence[Pair]) -> Mapping[str, Floats]:
        """Layer → rows that it read in full precision."""
        outputs = {value: ("rows", len(layers.weights[name][0])) for name, value in layers.reads.items()}
        session = open_model(graph.model(INPUTS, {**self.writer.outputs, **outputs}))
        parts: dict[str, list[Floats]] = {name: [] for name in layers.reads}
        for rows in batches(fit):
            found = session.run(list(layers.reads.values()), feed([fit[row] for row in rows.tolist()]))
            for name, values in zip(layers.reads, found, strict=True):
                parts[name].append(sampled([values], self.random, 64))
        return {name: sampled(values, self.random) for name, values in parts.items()}


def model(writer: Packed, linear: Linear, small: bool = True) -> Any:
    """The packed model with one way of linear layers."""
    return writer.write(linear, small).model(INPUTS, writer.outputs)
