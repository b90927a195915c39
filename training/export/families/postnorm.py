"""The encoder that BERT, RoBERTa, ELECTRA and DistilBERT have in common.

Devlin et al. 2019: learned positions, a norm behind every sublayer, Gelu. The families differ in the names of
their tensors, in what is added to word vectors and in their head.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar

import numpy as np

from features.columns import Floats
from training.export.families.attention import attend_all, attend_first, lay_out
from training.export.families.base import Packed, Shape
from training.export.families.config import expect, size
from training.export.graph import Graph
from training.export.linear import Linear
from training.export.quantise import Activation


class PostNorm(Packed):
    """A post-norm encoder. Its values carry the names that BERT's state dict gives them."""

    NAMES: ClassVar[tuple[tuple[str, str], ...]] = ()
    """(part of BERT's name, part of this family's), replaced one after the other."""
    SKIPPED: ClassVar[int] = 0
    """Positions that no token has: RoBERTa counts from its padding id + 1."""

    @classmethod
    def read_shape(cls, config: Mapping[str, Any]) -> Shape:
        """The sizes, by the names that BERT gives them."""
        expect(config, "hidden_act", "gelu")
        expect(config, "position_embedding_type", "absolute", default="absolute")
        expect(config, "is_decoder", False, default=False)
        return Shape(
            vocabulary=size(config, "vocab_size"),
            positions=size(config, "max_position_embeddings") - cls.skipped(config),
            types=size(config, "type_vocab_size"),
            hidden=size(config, "hidden_size"),
            inner=size(config, "intermediate_size"),
            layers=size(config, "num_hidden_layers"),
            heads=size(config, "num_attention_heads"),
            epsilon=float(config.get("layer_norm_eps", 1e-12)),
            embedding=int(config.get("embedding_size") or 0),
        )

    @classmethod
    def skipped(cls, config: Mapping[str, Any]) -> int:  # noqa: ARG003
        """How many rows of the position table come before that of the first token."""
        return 0

    def named(self, name: str) -> str:
        """What this family calls a tensor of BERT's."""
        for theirs, ours in self.NAMES:
            name = name.replace(theirs, ours)
        return name

    def tensor(self, name: str, *shape: int) -> Floats:
        """A tensor of the body, by its name in BERT."""
        return super().tensor(self.named(name), *shape)

    def norm(self, graph: Graph, name: str, x: str, wide: int = 0) -> str:
        """Layer normalisation over the last axis."""
        wide = wide or self.shape.hidden
        scale = graph.constant(f"{name}.weight", self.tensor(f"{name}.weight", wide))
        bias = graph.constant(f"{name}.bias", self.tensor(f"{name}.bias", wide))
        return graph.add("LayerNormalization", x, scale, bias, axis=-1, epsilon=self.shape.epsilon)

    def embeddings(self, graph: Graph, small: bool) -> str:
        """`[T, H]`: word, position and segment vectors, summed and normalised."""
        shape, at = self.shape, "embeddings"
        lay_out(graph, shape.heads)
        wide = shape.embedding or shape.hidden
        words = self.words(graph, self.tensor(f"{at}.word_embeddings.weight", shape.vocabulary, wide), small)
        places = graph.add("Gather", graph.constant("positions", self.positions(wide)), "pos")
        found = graph.add("Add", words, places)
        if shape.types > 1:
            types = self.tensor(f"{at}.token_type_embeddings.weight", shape.types, wide)
            found = graph.add("Add", found, graph.add("Gather", graph.constant("types", types), "typ"))
        return self.norm(graph, f"{at}.LayerNorm", found, wide)

    def positions(self, wide: int) -> Floats:
        """float32[positions, wide]: position vectors from the first token's on.

        Where there is one segment alone, its vector is in them.
        """
        skipped = self.skipped(self.checkpoint.config)
        rows = self.shape.positions + skipped
        table = self.tensor("embeddings.position_embeddings.weight", rows, wide)[skipped:]
        if self.shape.types != 1:
            return table
        only: Floats = table + self.tensor("embeddings.token_type_embeddings.weight", 1, wide)
        return only

    def layer(self, graph: Graph, linear: Linear, layer: int, hidden: str, asking: str, back: str) -> str:
        """Attention and feed-forward, a norm behind each."""
        at, wide, inner = f"encoder.layer.{layer}", self.shape.hidden, self.shape.inner
        context = self.attention(graph, linear, f"{at}.attention.self", hidden, asking, back)
        out = f"{at}.attention.output"
        mixed = linear(graph, f"{out}.dense", context, *self.dense(f"{out}.dense", wide, wide))
        middle = self.norm(graph, f"{out}.LayerNorm", graph.add("Add", mixed, asking))
        grow, shrink = f"{at}.intermediate.dense", f"{at}.output.dense"
        grown = linear(graph, grow, middle, *self.dense(grow, wide, inner))
        narrow = linear(graph, shrink, graph.add("Gelu", grown), *self.dense(shrink, inner, wide))
        return self.norm(graph, f"{at}.output.LayerNorm", graph.add("Add", narrow, middle))

    def folded(self, activations: Mapping[str, Activation]) -> tuple[Packed, Mapping[str, Activation]]:
        """Attention mixes each channel of the values by itself, and nothing but sums follow: values may come
        smoothed for the layer behind it, which is one pass over `[T, H]` less a layer."""
        tensors, folded, wide = dict(self.checkpoint.tensors), dict(activations), self.shape.hidden
        for layer in range(self.shape.layers):
            at = f"encoder.layer.{layer}.attention"
            value, out, joined = f"{at}.self.value", f"{at}.output.dense", f"{at}.self.qkv"
            smooth = activations[out].smooth
            if smooth is None:
                continue
            (weight, bias), after = self.dense(value, wide, wide), self.tensor(f"{out}.weight", wide, wide)
            tensors[self.held(f"{value}.weight")] = (weight / smooth).T
            tensors[self.held(f"{value}.bias")] = bias / smooth
            tensors[self.held(f"{out}.weight")] = after * smooth
            folded[out] = replace(folded[out], smooth=None)
            if joined in folded:
                *others, own = np.split(folded[joined].correction, 3)
                folded[joined] = replace(folded[joined], correction=np.concatenate([*others, own / smooth]))
        return type(self)(replace(self.checkpoint, tensors=tensors), self.output), folded

    def held(self, name: str) -> str:
        """Where the checkpoint has a tensor of the body, by its name in BERT."""
        return self.prefix + self.named(name)

    def attention(self, graph: Graph, linear: Linear, at: str, hidden: str, asking: str, back: str) -> str:
        """Attention of the `asking` rows over all tokens of their own pair."""
        wide, heads = self.shape.hidden, self.shape.heads
        query, key, value = (self.dense(f"{at}.{part}", wide, wide) for part in ("query", "key", "value"))
        if not back:
            asked = linear(graph, f"{at}.query", asking, *query)
            return attend_first(graph, at, asked, hidden, key, value, heads)
        weight = np.concatenate([part[0] for part in (query, key, value)], axis=1)
        bias = np.concatenate([part[1] for part in (query, key, value)])
        return attend_all(graph, linear(graph, f"{at}.qkv", hidden, weight, bias), wide, heads)
