"""BERT: segments, and a head of a pooler with tanh (Devlin et al. 2019)."""

from training.export.families.postnorm import PostNorm
from training.export.graph import Graph
from training.export.linear import Linear


class Bert(PostNorm):
    """`BertForSequenceClassification`, or, with `"pooler": false`, a classifier on the first token itself."""

    PREFIX = "bert."

    def score(self, graph: Graph, linear: Linear, top: str) -> None:
        """Pooler with tanh, then the classifier."""
        if self.checkpoint.config.get("pooler", True) is not False:
            wide = self.shape.hidden
            made = linear(graph, "pooler.dense", top, *self.dense("pooler.dense", wide, wide))
            top = graph.add("Tanh", made)
        self.logit(graph, top, "classifier")
