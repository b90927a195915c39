"""The three ways to write a linear layer: float32, int8 with dynamic scales, int8 with calibrated ones."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from features.columns import Floats
from training.export.graph import MICROSOFT, Graph
from training.export.quantise import Activation, quantise_columns


class Linear(Protocol):
    """Adds `x @ weight + bias` to a graph. `x` is `[rows, in]`, `weight` `[in, out]`, `bias` `[out]`."""

    def __call__(self, graph: Graph, name: str, x: str, weight: Floats, bias: Floats) -> str: ...


@dataclass(frozen=True)
class Float:
    """Full precision. Remembers what every layer reads, for calibration."""

    reads: dict[str, str] = field(default_factory=dict)
    weights: dict[str, tuple[Floats, Floats]] = field(default_factory=dict)

    def __call__(self, graph: Graph, name: str, x: str, weight: Floats, bias: Floats) -> str:
        self.reads[name] = x
        self.weights[name] = (weight, bias)
        constants = graph.constant(f"{name}.weight", weight), graph.constant(f"{name}.bias", bias)
        return graph.add("Gemm", x, *constants)


@dataclass(frozen=True)
class Dynamic:
    """int8 weights a column, activations by the largest value **in the batch**: scores depend on company."""

    def __call__(self, graph: Graph, name: str, x: str, weight: Floats, bias: Floats) -> str:
        values, scale = quantise_columns(weight)
        return graph.add(
            "DynamicQuantizeMatMul",
            x,
            graph.constant(f"{name}.weight", values),
            graph.constant(f"{name}.weight_scale", scale),
            "",
            graph.constant(f"{name}.bias", bias),
            domain=MICROSOFT,
        )


@dataclass(frozen=True)
class Static:
    """int8 weights a column, activations by calibrated constants: every row is exactly on its own."""

    activations: Mapping[str, Activation]

    def __call__(self, graph: Graph, name: str, x: str, weight: Floats, bias: Floats) -> str:
        of = self.activations[name]
        if of.smooth is not None:
            x = graph.add("Mul", x, graph.constant(f"{name}.smooth", 1 / of.smooth))
            weight = weight * of.smooth[:, None]
        values, scales = quantise_columns(weight)
        scale = graph.constant(f"{name}.scale", np.array(of.scale, np.float32))
        origin = graph.constant(f"{name}.zero", np.array(of.zero, np.uint8))
        return graph.add(
            "MatMulIntegerToFloat",
            graph.add("QuantizeLinear", x, scale, origin),
            graph.constant(f"{name}.weight", values),
            scale,
            graph.constant(f"{name}.weight_scale", scales),
            origin,
            "",
            graph.constant(f"{name}.bias", bias + of.correction),
            domain=MICROSOFT,
        )
