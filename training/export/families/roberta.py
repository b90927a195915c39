"""RoBERTa, XLM-RoBERTa and CamemBERT (Liu et al. 2019; Conneau et al. 2020).

Positions count from the padding id + 1, there is one segment, and the head is a layer with tanh of its own.
"""

from collections.abc import Mapping
from typing import Any

from training.export.families.postnorm import PostNorm
from training.export.graph import Graph
from training.export.linear import Linear


class Roberta(PostNorm):
    """`RobertaForSequenceClassification` and its likes."""

    PREFIX = "roberta."

    @classmethod
    def skipped(cls, config: Mapping[str, Any]) -> int:
        """The padding's row and those before it."""
        return int(config.get("pad_token_id", 1)) + 1

    def score(self, graph: Graph, linear: Linear, top: str) -> None:
        """`classifier.dense` with tanh, then `classifier.out_proj`."""
        self.logit(graph, self.head(graph, linear, "classifier.dense", top, "Tanh"), "classifier.out_proj")
