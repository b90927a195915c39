"""BERT as a packed graph: no layer but attention ever sees padding.

Inputs, all int32, over the `T` tokens of `B` pairs laid end to end:

- `ids[T]`, `typ[T]`, `pos[T]`: token, segment and position;
- `gidx[B, S]`: the token of every padded cell (any token where there is none);
- `lengths[B]`: how many cells of a row are real;
- `fidx[T]`: the cell `row * S + column` of every token, to come back;
- `cls[B]`: the classification token of every pair.

Output `score[B]`: raw logits. Linear layers and norms work on `[T, H]`; attention gathers queries, keys and
values to `[B, S, H]` and its result back; in the last layer everything after keys and values is computed for
the classification rows alone, which is exact. Devlin et al. 2019 (post-norm, Gelu, pooler with tanh).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from features.columns import Floats
from features.errors import InvalidInput
from training.export.checkpoint import CONFIG, TOKENIZER, Checkpoint, vocabulary_size
from training.export.graph import MICROSOFT, Graph
from training.export.linear import Linear
from training.export.quantise import quantise_rows

INPUTS = {
    "ids": ("T",),
    "typ": ("T",),
    "pos": ("T",),
    "gidx": ("B", "S"),
    "lengths": ("B",),
    "fidx": ("T",),
    "cls": ("B",),
}
ARCHITECTURES = ("BertForSequenceClassification", "BertModel")


@dataclass(frozen=True, slots=True)
class Shape:
    """The sizes of a BERT. `pooler` is False for a plain linear head on the classification token."""

    vocabulary: int
    positions: int
    types: int
    hidden: int
    inner: int
    layers: int
    heads: int
    epsilon: float
    pooler: bool


def read_shape(config: Mapping[str, Any]) -> Shape:
    """The sizes that config.json declares.

    Raises:
        InvalidInput: for another architecture, several labels, or a variant of BERT that is not written here.
    """
    expect(config, "model_type", "bert")
    expect(config, "hidden_act", "gelu")
    expect(config, "position_embedding_type", "absolute", default="absolute")
    expect(config, "is_decoder", False, default=False)
    labels = config.get("num_labels", len(config.get("id2label") or {"0": ""}))
    if labels != 1 and "id2label" in config:
        raise InvalidInput(f"has {labels} labels where a ranker needs 1", path=f"{CONFIG}: id2label")
    shape = Shape(
        vocabulary=size(config, "vocab_size"),
        positions=size(config, "max_position_embeddings"),
        types=size(config, "type_vocab_size"),
        hidden=size(config, "hidden_size"),
        inner=size(config, "intermediate_size"),
        layers=size(config, "num_hidden_layers"),
        heads=size(config, "num_attention_heads"),
        epsilon=float(config.get("layer_norm_eps", 1e-12)),
        pooler=config.get("pooler", True) is not False,
    )
    if shape.hidden % shape.heads:
        message = f"is {shape.heads}, which does not divide {shape.hidden}"
        raise InvalidInput(message, path=f"{CONFIG}: num_attention_heads")
    return shape


def size(config: Mapping[str, Any], key: str) -> int:
    """A size that config.json declares."""
    found = config.get(key)
    if not isinstance(found, int) or found < 1:
        raise InvalidInput(f"is {found!r} where a positive whole number is meant", path=f"{CONFIG}: {key}")
    return found


def expect(config: Mapping[str, Any], key: str, value: object, default: object = None) -> None:
    """Refuse a configuration that says otherwise."""
    found = config.get(key, default)
    if found != value:
        raise InvalidInput(f"is {found!r} where {value!r} is exported", path=f"{CONFIG}: {key}")


class Bert:
    """Writes the packed graph of one checkpoint, in any precision."""

    def __init__(self, checkpoint: Checkpoint) -> None:
        self.shape = read_shape(checkpoint.config)
        self.checkpoint = checkpoint
        self.prefix = "bert." if any(name.startswith("bert.") for name in checkpoint.tensors) else ""
        known = vocabulary_size(checkpoint.tokenizer)
        if known > self.shape.vocabulary:
            message = f"has {known} tokens where the model knows {self.shape.vocabulary}"
            raise InvalidInput(message, path=TOKENIZER)

    def write(self, linear: Linear, small_embeddings: bool = True) -> Graph:
        """The graph up to `score`; `small_embeddings` keeps word vectors in int8, a scale a row."""
        graph = Graph()
        hidden = self.embeddings(graph, small_embeddings)
        for layer in range(self.shape.layers - 1):
            hidden = self.layer(graph, linear, layer, hidden, hidden, "fidx")
        last = self.shape.layers - 1
        tops = graph.add("Gather", hidden, "cls")
        self.head(graph, linear, self.layer(graph, linear, last, hidden, tops, ""))
        return graph

    def weight(self, name: str, *shape: int) -> Floats:
        """A tensor of the body."""
        return self.checkpoint.tensor(self.prefix + name, shape)

    def dense(self, name: str, rows: int, columns: int) -> tuple[Floats, Floats]:
        """Weight `[in, out]` and bias `[out]` of a linear layer of the body."""
        weight = self.weight(f"{name}.weight", columns, rows)
        return weight.T, self.weight(f"{name}.bias", columns)

    def embeddings(self, graph: Graph, small: bool) -> str:
        """`[T, H]`: word, position and segment vectors, summed and normalised."""
        shape, at = self.shape, "embeddings"
        words = self.words(
            graph, self.weight(f"{at}.word_embeddings.weight", shape.vocabulary, shape.hidden), small
        )
        positions = self.weight(f"{at}.position_embeddings.weight", shape.positions, shape.hidden)
        types = self.weight(f"{at}.token_type_embeddings.weight", shape.types, shape.hidden)
        places = graph.add("Gather", graph.constant("positions", positions), "pos")
        segments = graph.add("Gather", graph.constant("types", types), "typ")
        return self.norm(
            graph, f"{at}.LayerNorm", graph.add("Add", graph.add("Add", words, places), segments)
        )

    def words(self, graph: Graph, table: Floats, small: bool) -> str:
        """`[T, H]`: word vectors."""
        if not small:
            return graph.add("Gather", graph.constant("words", table), "ids")
        values, scale = quantise_rows(table)
        rows = graph.add("Gather", graph.constant("words", values), "ids")
        scales = graph.add("Gather", graph.constant("words.scale", scale[:, None]), "ids")
        return graph.add("Mul", graph.add("CastLike", rows, scales), scales)

    def norm(self, graph: Graph, name: str, x: str) -> str:
        """Layer normalisation over the last axis."""
        scale = graph.constant(f"{name}.weight", self.weight(f"{name}.weight", self.shape.hidden))
        bias = graph.constant(f"{name}.bias", self.weight(f"{name}.bias", self.shape.hidden))
        return graph.add("LayerNormalization", x, scale, bias, axis=-1, epsilon=self.shape.epsilon)

    def layer(self, graph: Graph, linear: Linear, layer: int, hidden: str, asking: str, back: str) -> str:
        """One encoder layer: `asking` rows attend over `hidden[T, H]`.

        With `back` the asking rows are all tokens; without, they are the classification rows.
        """
        at = f"encoder.layer.{layer}"
        context = self.attention(graph, linear, f"{at}.attention.self", hidden, asking, back)
        wide, inner = self.shape.hidden, self.shape.inner
        out = f"{at}.attention.output"
        mixed = linear(graph, f"{out}.dense", context, *self.dense(f"{out}.dense", wide, wide))
        middle = self.norm(graph, f"{out}.LayerNorm", graph.add("Add", mixed, asking))
        grown = linear(
            graph, f"{at}.intermediate.dense", middle, *self.dense(f"{at}.intermediate.dense", wide, inner)
        )
        narrow = linear(
            graph,
            f"{at}.output.dense",
            graph.add("Gelu", grown),
            *self.dense(f"{at}.output.dense", inner, wide),
        )
        return self.norm(graph, f"{at}.output.LayerNorm", graph.add("Add", narrow, middle))

    def attention(self, graph: Graph, linear: Linear, at: str, hidden: str, asking: str, back: str) -> str:
        """Multi-head attention of the `asking` rows over all tokens of their own pair."""
        wide = self.shape.hidden
        parts = {part: self.dense(f"{at}.{part}", wide, wide) for part in ("query", "key", "value")}
        if back:
            query, key, value = self.project(graph, linear, f"{at}.qkv", hidden, list(parts.values()))
            query = graph.add("Gather", query, "gidx")
        else:
            query = linear(graph, f"{at}.query", asking, *parts["query"])
            query = graph.add("Unsqueeze", query, graph.constant("one", np.array([1])))
            key, value = self.project(graph, linear, f"{at}.kv", hidden, [parts["key"], parts["value"]])
        key, value = graph.add("Gather", key, "gidx"), graph.add("Gather", value, "gidx")
        context = graph.add(
            "MultiHeadAttention",
            *(query, key, value, "", "lengths"),
            domain=MICROSOFT,
            num_heads=self.shape.heads,
        )
        rows = graph.add("Reshape", context, graph.constant("rows", np.array([-1, wide])))
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

    def head(self, graph: Graph, linear: Linear, top: str) -> None:
        """`score[B]`: pooler with tanh, then the classifier as a product and a sum, row by row."""
        wide = self.shape.hidden
        if self.shape.pooler:
            top = graph.add(
                "Tanh", linear(graph, "pooler.dense", top, *self.dense("pooler.dense", wide, wide))
            )
        weight = graph.constant("classifier.weight", self.checkpoint.tensor("classifier.weight", (1, wide)))
        bias = graph.constant("classifier.bias", self.checkpoint.tensor("classifier.bias", (1,)))
        last = graph.constant("last", np.array([-1]))
        total = graph.add("ReduceSum", graph.add("Mul", top, weight), last, keepdims=0)
        graph.add("Add", total, bias, to="score")
