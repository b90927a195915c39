"""ModernBERT (Warner et al. 2024): rotary positions, gated Gelu, norms in front, windowed attention.

Every third layer attends over the whole pair and the others over a window about each token; the two kinds
turn their queries and keys by angles of their own (Su et al. 2021, "RoFormer").
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from features.columns import Floats
from features.transformer.model import VECTOR
from training.export.checkpoint import CONFIG
from training.export.families.base import Packed, Shape, whole
from training.export.families.config import NotPacked, expect, size
from training.export.graph import MICROSOFT, Graph
from training.export.linear import Linear

FULL, SLIDING = "full_attention", "sliding_attention"
THETA = {FULL: ("global_rope_theta", 160_000.0), SLIDING: ("local_rope_theta", 10_000.0)}
"""Key in config.json as it used to be, and its default."""
OUTSIDE = -1e4
"""Added to a logit outside of the window; its share is 0 in float32."""


class ModernBert(Packed):
    """`ModernBertForSequenceClassification`."""

    PREFIX = "model."

    @classmethod
    def read_shape(cls, config: Mapping[str, Any]) -> Shape:
        """The sizes; positions cost nothing but a table of angles."""
        expect(config, "hidden_activation", "gelu", default="gelu")
        expect(config, "classifier_activation", "gelu", default="gelu")
        for layer_type in THETA:
            theta(config, layer_type)
        return Shape(
            vocabulary=size(config, "vocab_size"),
            positions=size(config, "max_position_embeddings"),
            types=0,
            hidden=size(config, "hidden_size"),
            inner=size(config, "intermediate_size"),
            layers=size(config, "num_hidden_layers"),
            heads=size(config, "num_attention_heads"),
            epsilon=float(config.get("norm_eps", 1e-5)),
        )

    @property
    def pooling(self) -> str:
        """The classifier says by itself whose rows it reads."""
        if self.output.task == VECTOR:
            return self.output.pooling
        return str(self.checkpoint.config.get("classifier_pooling", "cls"))

    def kind(self, layer: int) -> str:
        """Whether a layer attends over everything or a window."""
        config = self.checkpoint.config
        kinds = config.get("layer_types")
        if kinds:
            return str(kinds[layer])
        return SLIDING if layer % config.get("global_attn_every_n_layers", 3) else FULL

    def norm(self, graph: Graph, name: str, x: str) -> str:
        """Layer normalisation, as a rule without a bias."""
        return self.normed(graph, name, x, self.prefix + name)

    def normed(self, graph: Graph, name: str, x: str, full: str) -> str:
        """The same, of a norm whose tensors are called `full`."""
        wide = (self.shape.hidden,)
        values = [graph.constant(f"{name}.weight", self.checkpoint.tensor(f"{full}.weight", wide))]
        if self.checkpoint.config.get("norm_bias", False):
            values.append(graph.constant(f"{name}.bias", self.checkpoint.tensor(f"{full}.bias", wide)))
        return graph.add("LayerNormalization", x, *values, axis=-1, epsilon=self.shape.epsilon)

    def biased(self, name: str, rows: int, columns: int, key: str) -> tuple[Floats, Floats]:
        """Weight and bias of a linear layer; zeros where config.json's `key` says that it has none."""
        if self.checkpoint.config.get(key, False):
            return self.dense(name, rows, columns)
        return self.tensor(f"{name}.weight", columns, rows).T, np.zeros(columns, np.float32)

    def embeddings(self, graph: Graph, small: bool) -> str:
        """`[T, H]`: word vectors, normalised."""
        name, shape = "embeddings.tok_embeddings.weight", self.shape
        words = self.words(graph, self.tensor(name, shape.vocabulary, shape.hidden), small)
        self.places(graph)
        return self.norm(graph, "embeddings.norm", words)

    def places(self, graph: Graph) -> None:
        """What every layer reads: `places[T, 1]`, `window[1, 1, S, S]` and its first row, as logits' bias."""
        first, second = graph.constant("zero", np.array([0])), graph.constant("one", np.array([1]))
        places = graph.add("Unsqueeze", "pos", second)
        graph.add("CastLike", places, first, to="places")
        columns = graph.add("Range", *whole(graph, graph.add("Shape", "gidx", start=1, end=2)))
        across, down = graph.add("Unsqueeze", columns, first), graph.add("Unsqueeze", columns, second)
        apart = graph.add("Abs", graph.add("Sub", across, down))
        reach = graph.constant("reach", np.array(self.checkpoint.config.get("local_attention", 128) // 2))
        outside = graph.constant("outside", np.array(OUTSIDE, np.float32))
        inside = graph.constant("inside", np.array(0, np.float32))
        window = graph.add("Where", graph.add("Greater", apart, reach), outside, inside)
        axes = graph.constant("outer", np.array([0, 1]))
        window = graph.add("Unsqueeze", window, axes, to="window")
        graph.add("Gather", window, first, axis=2, to="window.first")

    def layer(self, graph: Graph, linear: Linear, layer: int, hidden: str, asking: str, back: str) -> str:
        """Attention and gated feed-forward, a norm in front of each; the first has the embeddings' norm."""
        at, inner, wide = f"layers.{layer}", self.shape.inner, self.shape.hidden
        context = self.attention(graph, linear, layer, hidden, back)
        mixed = linear(
            graph, f"{at}.attn.Wo", context, *self.biased(f"{at}.attn.Wo", wide, wide, "attention_bias")
        )
        middle = graph.add("Add", asking, mixed)
        parts = self.biased(f"{at}.mlp.Wi", wide, 2 * inner, "mlp_bias")
        both = linear(graph, f"{at}.mlp.Wi", self.norm(graph, f"{at}.mlp_norm", middle), *parts)
        grown, gate = graph.split("Split", both, to=(f"{at}.in", f"{at}.gate"), axis=1, num_outputs=2)
        gated = graph.add("Mul", graph.add("Gelu", grown), gate)
        narrow = linear(graph, f"{at}.mlp.Wo", gated, *self.biased(f"{at}.mlp.Wo", inner, wide, "mlp_bias"))
        return graph.add("Add", middle, narrow)

    def attention(self, graph: Graph, linear: Linear, layer: int, hidden: str, back: str) -> str:
        """Attention over `hidden`, before its norm: of all rows, or of the first tokens' without `back`."""
        at, wide, kind = f"layers.{layer}.attn", self.shape.hidden, self.kind(layer)
        weight, bias = self.biased(f"{at}.Wqkv", wide, 3 * wide, "attention_bias")
        parts = [(weight[:, i : i + wide], bias[i : i + wide]) for i in range(0, 3 * wide, wide)]
        normed = self.before(graph, layer, hidden)
        if back:
            query, key, value = self.project(graph, linear, f"{at}.Wqkv", normed, parts)
            query = self.turned(graph, query, kind)
        else:  # the first token's angles are 0
            query = linear(graph, f"{at}.query", graph.add("Gather", normed, "cls"), *parts[0])
            key, value = self.project(graph, linear, f"{at}.kv", normed, parts[1:])
        window = "" if kind == FULL else "window" if back else "window.first"
        return self.attend(graph, (query, self.turned(graph, key, kind), value), back, window)

    def before(self, graph: Graph, layer: int, x: str) -> str:
        """The norm in front of attention; the first layer has none."""
        return self.norm(graph, f"layers.{layer}.attn_norm", x) if layer else x

    def turned(self, graph: Graph, x: str, kind: str) -> str:
        """`[T, H]` with every head turned by its token's angles; to the operator each is a row of its own."""
        second = graph.constant("one", np.array([1]))
        tables = [graph.constant(f"{kind}.{name}", table) for name, table in self.angles(kind).items()]
        made = graph.add(
            "RotaryEmbedding",
            *(graph.add("Unsqueeze", x, second), "places", *tables),
            domain=MICROSOFT,
            num_heads=self.shape.heads,
        )
        return graph.add("Squeeze", made, second)

    def angles(self, kind: str) -> dict[str, Floats]:
        """Cosines and sines, float32[positions, head / 2]."""
        size = self.shape.hidden // self.shape.heads
        turns = 1 / theta(self.checkpoint.config, kind) ** (np.arange(0, size, 2, dtype=np.float64) / size)
        at = np.arange(self.shape.positions)[:, None] * turns
        return {"cos": np.cos(at).astype(np.float32), "sin": np.sin(at).astype(np.float32)}

    def finished(self, graph: Graph, hidden: str) -> str:
        """The norm behind the last layer."""
        return self.norm(graph, "final_norm", hidden)

    def score(self, graph: Graph, linear: Linear, top: str) -> None:
        """`head.dense` with Gelu and a norm, then the classifier."""
        wide = self.shape.hidden
        weight = self.checkpoint.tensor("head.dense.weight", (wide, wide)).T
        known = self.checkpoint.config.get("classifier_bias", False)
        bias = self.checkpoint.tensor("head.dense.bias", (wide,)) if known else np.zeros(wide, np.float32)
        made = graph.add("Gelu", linear(graph, "head.dense", top, weight, bias))
        self.logit(graph, self.normed(graph, "head.norm", made, "head.norm"), "classifier")


def theta(config: Mapping[str, Any], kind: str) -> float:
    """The base of a kind of layer's angles, as config.json says it today or used to.

    Raises:
        NotPacked: if angles are scaled in a way that is not written here.
    """
    found = (config.get("rope_parameters") or {}).get(kind) or {}
    if found.get("rope_type", "default") != "default" or config.get("rope_scaling"):
        raise NotPacked("scales its angles, which is not exported", path=f"{CONFIG}: rope_parameters")
    key, default = THETA[kind]
    return float(found.get("rope_theta", config.get(key, default)))
