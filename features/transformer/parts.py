"""A packed model in parts, one behind the other, so that whoever runs it can look up in between.

One pair of 512 tokens holds a core for tens of milliseconds in a small model and for a second in a large one,
and onnxruntime can end a run but not put it off. So a graph is cut where nothing but one value, the hidden
rows `[T, H]`, goes from what is before to what is behind: after a norm or a residual sum. What follows from
the layout of the batch alone (where a pair begins, which cells are real) is small and computed in every part.
The parts together compute what the whole does, to the bit.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from dataclasses import field as default

from features.transformer.wire import GRAPH, INITIALIZER, TENSOR_NAME, field, fields, names

MOST = 2_000_000
"""Bytes of weights a part, which is half a layer at least: with int8, 512 tokens take a core some six
milliseconds of products, and what attention takes, which is not weighed."""
TOKENS = "ids"
"""The input on which hidden rows depend, and the layout of a batch does not."""
CUTS = ("LayerNormalization", "Add")
"""Operators behind which a graph may be cut: their value is float32 rows."""
TABLE = "Gather"
"""Reads rows of a weight, not all of it."""

NODE, INPUT, OUTPUT = 1, 11, 12
"""More field numbers of GraphProto."""
READS, GIVES, OPERATOR = 1, 2, 4
"""Of NodeProto."""
VALUE_NAME, VALUE_TYPE = 1, 2
"""Of ValueInfoProto."""
FLOAT = field(1, b"\x08\x01")
"""A TypeProto: a tensor of float32 of any shape."""


@dataclass(frozen=True, slots=True)
class Node:
    """One operator: its encoded NodeProto and the names of its values."""

    whole: memoryview
    operator: str
    reads: tuple[str, ...]
    gives: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Drawing:
    """A graph as it is written down; everything by name, in its order.

    Attributes:
        nodes: operators.
        weights: name → encoded TensorProto.
        inputs, outputs: name → encoded ValueInfoProto.
        rest: every other field of the model and of its graph.
    """

    nodes: list[Node] = default(default_factory=list)
    weights: dict[str, memoryview] = default(default_factory=dict)
    inputs: dict[str, memoryview] = default(default_factory=dict)
    outputs: dict[str, memoryview] = default(default_factory=dict)
    rest: tuple[bytes, bytes] = (b"", b"")

    @classmethod
    def read(cls, model: bytes) -> "Drawing":
        """What a file holds.

        Raises:
            Corrupt: if it is no ONNX model.
        """
        outer, inner, found = bytearray(), bytearray(), cls()
        for one in fields(memoryview(model)):
            if one.number != GRAPH:
                outer += one.whole
                continue
            for part in fields(one.value):
                if not found.take(part.number, part.value):
                    inner += part.whole
        return cls(found.nodes, found.weights, found.inputs, found.outputs, (bytes(outer), bytes(inner)))

    def take(self, number: int, value: memoryview) -> bool:
        """Note a field of the graph; False for one of no concern."""
        if number == NODE:
            operator = "".join(names(value, OPERATOR))
            self.nodes.append(Node(value, operator, tuple(names(value, READS)), tuple(names(value, GIVES))))
        elif number == INITIALIZER:
            self.weights.update(dict.fromkeys(names(value, TENSOR_NAME), value))
        elif number in (INPUT, OUTPUT):
            values = self.inputs if number == INPUT else self.outputs
            values.update(dict.fromkeys(names(value, VALUE_NAME), value))
        else:
            return False
        return True

    def weight(self, node: Node) -> int:
        """Bytes of weights that an operator multiplies by."""
        return 0 if node.operator == TABLE else sum(len(self.weights.get(name, b"")) for name in node.reads)


def divided(model: bytes, most: int = MOST) -> Iterator[bytes]:
    """The model in parts of about `most` bytes of weights; each reads what the one before it gives.

    A model that does not read packed tokens, or is small, stays whole. Parts are made one at a time.

    Raises:
        Corrupt: if it is no ONNX model.
    """
    drawing = Drawing.read(model)
    deep = depending(drawing.nodes)
    body = [node for node in drawing.nodes if not deep.isdisjoint(node.gives)]
    layout = [node for node in drawing.nodes if deep.isdisjoint(node.gives)]
    chosen = cuts(drawing, body, most) if TOKENS in drawing.inputs else []
    if not chosen:
        yield model
        return
    starts, ends = [0, *chosen], [*chosen, len(body)]
    given = ["", *(body[end - 1].gives[0] for end in chosen), ""]
    for at, (start, end) in enumerate(zip(starts, ends, strict=True)):
        yield written(drawing, layout, body[start:end], given[at], given[at + 1])


def depending(nodes: Sequence[Node]) -> set[str]:
    """The values that follow from the tokens."""
    deep = {TOKENS}
    for node in nodes:
        if not deep.isdisjoint(node.reads):
            deep.update(node.gives)
    return deep


def cuts(drawing: Drawing, body: Sequence[Node], most: int) -> list[int]:
    """Numbers of operators before which the body is cut, so that parts are about equally heavy."""
    total = sum(drawing.weight(node) for node in body)
    places = dict(narrow(drawing, body))
    count = min(-(-total // most), len(places) + 1)
    edges = (total * part / count for part in range(1, count))
    return sorted({min(places, key=lambda end: abs(places[end] - edge)) for edge in edges})


def narrow(drawing: Drawing, body: Sequence[Node]) -> Iterator[tuple[int, int]]:
    """Where one value alone goes on: the number of operators before, and the weight of those."""
    last = {name: at for at, node in enumerate(body) for name in node.reads}
    last |= dict.fromkeys(drawing.outputs, len(body))
    alive, weight = {TOKENS}, 0
    for at, node in enumerate(body):
        weight += drawing.weight(node)
        alive = {name for name in alive.union(node.gives) if last.get(name, -1) > at}
        if node.operator in CUTS and alive == {node.gives[0]} and alive.isdisjoint(drawing.outputs):
            yield at + 1, weight


def written(
    drawing: Drawing, layout: Sequence[Node], body: Sequence[Node], before: str, behind: str
) -> bytes:
    """A part as a model: it reads the value `before` and gives `behind`, or the model's own.

    The first one takes every input of the model, read or not.
    """
    wanted = {name for node in body for name in node.reads}
    needed = []
    for node in reversed(layout):
        if not wanted.isdisjoint(node.gives):
            needed.append(node)
            wanted.update(node.reads)
    inputs = [value for name, value in drawing.inputs.items() if not before or name in wanted]
    content = [
        drawing.rest[1],
        *(field(NODE, node.whole) for node in (*reversed(needed), *body)),
        *(field(INITIALIZER, value) for name, value in drawing.weights.items() if name in wanted),
        *(field(INPUT, value) for value in (*inputs, *rows(before))),
        *(field(OUTPUT, value) for value in (rows(behind) or drawing.outputs.values())),
    ]
    return drawing.rest[0] + field(GRAPH, b"".join(content))


def rows(name: str) -> list[memoryview]:
    """The ValueInfoProto of hidden rows; none without a name."""
    return [memoryview(field(VALUE_NAME, name.encode()) + field(VALUE_TYPE, FLOAT))] if name else []
