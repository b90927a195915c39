"""What all packed families share: reading tensors, word vectors, attention by gather, pooling, outputs.

Inputs, all int32, over the `T` tokens of `B` pairs (or texts) laid end to end:

- `ids[T]`, `typ[T]`, `pos[T]`: token, segment and position from 0;
- `gidx[B, S]`: the token of every padded cell (any token where there is none);
- `lengths[B]`: how many cells of a row are real;
- `fidx[T]`: the cell `row * S + column` of every token, to come back;
- `cls[B]`: the first token of every pair.

Output `score[B]`, raw logits, or `vector[B, H]`. Linear layers and norms work on `[T, H]`; attention gathers
queries, keys and values to `[B, S, H]` and its result back; where only the first token's row is read in the
end, everything after keys and values of the last layer is computed for those rows alone, which is exact.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from features.columns import Floats
from features.errors import InvalidInput
from features.transformer.model import SCORE, VECTOR
from training.export.checkpoint import CONFIG, Checkpoint, check_vocabulary
from training.export.families.config import one_label
from training.export.graph import MICROSOFT, Graph
from training.export.linear import Linear
from training.export.quantise import Activation, quantise_rows

INPUTS = {
    "ids": ("T",),
    "typ": ("T",),
    "pos": ("T",),
    "gidx": ("B", "S"),
    "lengths": ("B",),
    "fidx": ("T",),
    "cls": ("B",),
}
CLS = "cls"
MEAN = "mean"


@dataclass(frozen=True, slots=True)
class Output:
    """What a graph gives.

    Attributes:
        task: `score` or `vector`.
        pooling: of a vector: `mean` over all tokens, or `cls`, the first token's.
        normalised: whether a vector is divided by its length.
    """

    task: str = SCORE
    pooling: str = MEAN
    normalised: bool = True


@dataclass(frozen=True, slots=True)
class Shape:
    """The sizes of an encoder.

    Attributes:
        positions: the longest input.
        types: segments that have a vector each; 0 = none.
        embedding: width of word vectors, where they are projected to `hidden`.
    """

    vocabulary: int
    positions: int
    types: int
    hidden: int
    inner: int
    layers: int
    heads: int
    epsilon: float
    embedding: int = 0

    def __post_init__(self) -> None:
        if self.hidden % self.heads:
            message = f"is {self.heads}, which does not divide {self.hidden}"
            raise InvalidInput(message, path=f"{CONFIG}: num_attention_heads")


class Packed(ABC):
    """Writes the packed graph of one checkpoint, in any precision."""

    PREFIX: ClassVar[str]
    """Of the body's tensors in the state dict of a model with a head; a bare body has none."""

    def __init__(self, checkpoint: Checkpoint, output: Output | None = None) -> None:
        self.output = output or Output()
        self.checkpoint = checkpoint
        if self.output.task == SCORE:
            one_label(checkpoint.config)
        self.shape = self.read_shape(checkpoint.config)
        self.prefix = self.PREFIX if any(name.startswith(self.PREFIX) for name in checkpoint.tensors) else ""
        check_vocabulary(checkpoint, self.shape.vocabulary)

    @classmethod
    @abstractmethod
    def read_shape(cls, config: Mapping[str, Any]) -> Shape:
        """The sizes that config.json declares.

        Raises:
            InvalidInput: if one is missing or makes no sense.
            NotPacked: for a variant of the family that is not written here.
        """

    @abstractmethod
    def embeddings(self, graph: Graph, small: bool) -> str:
        """`[T, H]`: what the first layer reads."""

    @abstractmethod
    def layer(self, graph: Graph, linear: Linear, layer: int, hidden: str, asking: str, back: str) -> str:
        """One encoder layer: `asking` rows attend over `hidden[T, H]`.

        With `back` the asking rows are all tokens; without, they are the first token of every pair.
        """

    @abstractmethod
    def score(self, graph: Graph, linear: Linear, top: str) -> None:
        """`score[B]` of the pooled rows `top[B, H]`."""

    def folded(self, activations: Mapping[str, Activation]) -> "tuple[Packed, Mapping[str, Activation]]":
        """The same function with less to do when it is run: the smoothing of a layer that reads what another
        one makes, by nothing but sums, moves into that one's weights. Here there is none."""
        return self, activations

    @property
    def pooling(self) -> str:
        """Whose rows the output reads."""
        return self.output.pooling if self.output.task == VECTOR else CLS

    @property
    def outputs(self) -> dict[str, tuple[Any, ...]]:
        """The graph's output with its shape."""
        return {SCORE: ("B",)} if self.output.task == SCORE else {VECTOR: ("B", self.shape.hidden)}

    def write(self, linear: Linear, small_embeddings: bool = True) -> Graph:
        """The graph up to its output; `small_embeddings` keeps word vectors in int8, a scale a row."""
        graph = Graph()
        top = self.body(graph, linear, self.embeddings(graph, small_embeddings))
        if self.output.task == SCORE:
            self.score(graph, linear, top)
        elif self.output.normalised:
            graph.add("LpNormalization", top, axis=-1, p=2, to=VECTOR)
        else:
            graph.add("Identity", top, to=VECTOR)
        return graph

    def body(self, graph: Graph, linear: Linear, hidden: str) -> str:
        """`[B, H]`: the pooled output of the last layer."""
        last = self.shape.layers - 1
        for layer in range(last):
            hidden = self.layer(graph, linear, layer, hidden, hidden, "fidx")
        if self.pooling == CLS:
            return self.finished(
                graph, self.layer(graph, linear, last, hidden, graph.add("Gather", hidden, "cls"), "")
            )
        return mean(graph, self.finished(graph, self.layer(graph, linear, last, hidden, hidden, "fidx")))

    def finished(self, graph: Graph, hidden: str) -> str:  # noqa: ARG002
        """What comes behind the last layer, a row at a time; post-norm encoders have nothing there."""
        return hidden

    def tensor(self, name: str, *shape: int) -> Floats:
        """A tensor of the body."""
        return self.checkpoint.tensor(self.prefix + name, shape)

    def dense(self, name: str, rows: int, columns: int) -> tuple[Floats, Floats]:
        """Weight `[in, out]` and bias `[out]` of a linear layer of the body."""
        return self.tensor(f"{name}.weight", columns, rows).T, self.tensor(f"{name}.bias", columns)

    def words(self, graph: Graph, table: Floats, small: bool) -> str:
        """`[T, H]`: word vectors."""
        if not small:
            return graph.add("Gather", graph.constant("words", table), "ids")
        values, scale = quantise_rows(table)
        rows = graph.add("Gather", graph.constant("words", values), "ids")
        scales = graph.add("Gather", graph.constant("words.scale", scale[:, None]), "ids")
        return graph.add("Mul", graph.add("CastLike", rows, scales), scales)

    def attend(self, graph: Graph, asked: tuple[str, str, str], back: str, bias: str = "") -> str:
        """Multi-head attention: `query` rows over the keys and values of all tokens of their own pair.

        Args:
            graph: to add to.
            asked: query, key, value; `[T, H]` each, the query `[B, H]` where there is no `back`.
            back: where the rows go back to.
            bias: added to the logits, `[1, 1, queries, S]`.
        """
        query, key, value = asked
        if back:
            query = graph.add("Gather", query, "gidx")
        else:
            query = graph.add("Unsqueeze", query, graph.constant("one", np.array([1])))
        key, value = graph.add("Gather", key, "gidx"), graph.add("Gather", value, "gidx")
        context = graph.add(
            "MultiHeadAttention",
            *(query, key, value, "", "lengths", *([bias] if bias else [])),
            domain=MICROSOFT,
            num_heads=self.shape.heads,
        )
        rows = graph.add("Reshape", context, graph.constant("rows", np.array([-1, self.shape.hidden])))
        return graph.add("Gather", rows, back) if back else rows

    def project(
        self, graph: Graph, linear: Linear, name: str, x: str, parts: list[tuple[Floats, Floats]]
    ) -> tuple[str, ...]:
        """Several linear layers of one input as one product, split again: the input is quantised once."""
        weight = np.concatenate([part[0] for part in parts], axis=1)
        bias = np.concatenate([part[1] for part in parts])
        to = tuple(f"{name}.{part}" for part in range(len(parts)))
        joined = linear(graph, name, x, weight, bias)
        return graph.split("Split", joined, to=to, axis=1, num_outputs=len(parts))

    def logit(self, graph: Graph, top: str, name: str) -> None:
        """`score[B]`: a linear layer with one output as a product and a sum, row by row."""
        rows = len(self.checkpoint.tensors.get(f"{name}.weight", " "))
        if rows != 1:
            raise InvalidInput(f"has {rows} labels where a ranker needs 1", path=f"{name}.weight")
        weights = self.checkpoint.tensor(f"{name}.weight", (1, self.shape.hidden))
        weight = graph.constant("classifier.weight", weights)
        bias = graph.constant("classifier.bias", self.checkpoint.tensor(f"{name}.bias", (1,)))
        last = graph.constant("last", np.array([-1]))
        total = graph.add("ReduceSum", graph.add("Mul", top, weight), last, keepdims=0)
        graph.add("Add", total, bias, to=SCORE)

    def head(self, graph: Graph, linear: Linear, name: str, top: str, function: str) -> str:
        """A hidden layer of the head, `function(x @ weight + bias)`."""
        wide = self.shape.hidden
        weight = self.checkpoint.tensor(f"{name}.weight", (wide, wide)).T
        bias = self.checkpoint.tensor(f"{name}.bias", (wide,))
        return graph.add(function, linear(graph, name, top, weight, bias))


def mean(graph: Graph, hidden: str) -> str:
    """`[B, H]`: the mean row of every pair, as one product of `1 / length` with its padded rows."""
    rows = graph.add("Gather", hidden, "gidx")
    last = graph.constant("last", np.array([-1]))
    wide = graph.add("Shape", "gidx", start=1, end=2)
    columns = graph.add("Range", *whole(graph, wide))
    lengths = graph.add("Unsqueeze", "lengths", last)
    real = graph.add("Less", graph.add("CastLike", columns, "lengths"), lengths)
    real = graph.add("CastLike", real, hidden)
    shares = graph.add("Div", real, graph.add("CastLike", lengths, hidden))
    middle = graph.constant("one", np.array([1]))
    return graph.add("Squeeze", graph.add("MatMul", graph.add("Unsqueeze", shares, middle), rows), middle)


def whole(graph: Graph, size: str) -> tuple[str, str, str]:
    """The arguments of `Range` from 0 to a size `[1]`."""
    end = graph.add("Squeeze", size)
    return graph.constant("from", np.array(0)), end, graph.constant("step", np.array(1))
