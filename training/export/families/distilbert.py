"""DistilBERT (Sanh et al. 2019): BERT without segments, under names of its own, and a head with ReLU."""

from collections.abc import Mapping
from typing import Any

from training.export.families.base import Shape
from training.export.families.config import expect, size
from training.export.families.postnorm import PostNorm
from training.export.graph import Graph
from training.export.linear import Linear


class DistilBert(PostNorm):
    """`DistilBertForSequenceClassification`."""

    PREFIX = "distilbert."
    NAMES = (
        ("encoder.layer.", "transformer.layer."),
        ("attention.self.query", "attention.q_lin"),
        ("attention.self.key", "attention.k_lin"),
        ("attention.self.value", "attention.v_lin"),
        ("attention.output.dense", "attention.out_lin"),
        ("attention.output.LayerNorm", "sa_layer_norm"),
        ("intermediate.dense", "ffn.lin1"),
        ("output.dense", "ffn.lin2"),
        ("output.LayerNorm", "output_layer_norm"),
    )

    @classmethod
    def read_shape(cls, config: Mapping[str, Any]) -> Shape:
        """The sizes, by names of its own."""
        expect(config, "activation", "gelu", default="gelu")
        return Shape(
            vocabulary=size(config, "vocab_size"),
            positions=size(config, "max_position_embeddings"),
            types=0,
            hidden=size(config, "dim"),
            inner=size(config, "hidden_dim"),
            layers=size(config, "n_layers"),
            heads=size(config, "n_heads"),
            epsilon=1e-12,
        )

    def score(self, graph: Graph, linear: Linear, top: str) -> None:
        """`pre_classifier` with ReLU, then the classifier."""
        self.logit(graph, self.head(graph, linear, "pre_classifier", top, "Relu"), "classifier")
