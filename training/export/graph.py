"""A little writer of ONNX graphs, so that a family reads as its forward pass and not as protobuf."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

MICROSOFT = "com.microsoft"
OPSET = 20
"""The first opset with `Gelu`."""
IR_VERSION = 10
"""As old as the opset allows, so that older runtimes read the file."""


@dataclass
class Graph:
    """Nodes and constants in the order they were added. Values are named, as ONNX names them."""

    nodes: list[Any] = field(default_factory=list)
    constants: dict[str, Any] = field(default_factory=dict)

    def constant(self, name: str, value: NDArray[Any]) -> str:
        """A named constant; the same name twice is the same constant."""
        if name not in self.constants:
            self.constants[name] = numpy_helper.from_array(np.ascontiguousarray(value), name)
        return name

    def add(self, op: str, *inputs: str, to: str = "", domain: str = "", **attributes: Any) -> str:
        """A node with one output, whose name is returned."""
        return self.split(op, *inputs, to=(to or f"{op}_{len(self.nodes)}",), domain=domain, **attributes)[0]

    def split(
        self, op: str, *inputs: str, to: tuple[str, ...], domain: str = "", **attributes: Any
    ) -> tuple[str, ...]:
        """A node with several outputs."""
        self.nodes.append(helper.make_node(op, list(inputs), list(to), domain=domain, **attributes))
        return to

    def model(self, inputs: dict[str, tuple[str, ...]], outputs: dict[str, tuple[Any, ...]]) -> Any:
        """The model; `inputs` are int32 and `outputs` float32, each with its named dimensions.

        Raises:
            onnx.checker.ValidationError: if the graph is not well formed.
        """
        graph = helper.make_graph(
            self.nodes,
            "packed",
            [helper.make_tensor_value_info(name, TensorProto.INT32, shape) for name, shape in inputs.items()],
            [
                helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
                for name, shape in outputs.items()
            ],
            list(self.constants.values()),
        )
        opsets = [helper.make_opsetid("", OPSET), helper.make_opsetid(MICROSOFT, 1)]
        model = helper.make_model(graph, opset_imports=opsets, ir_version=IR_VERSION, producer_name="sluice")
        onnx.checker.check_model(model)
        return model
