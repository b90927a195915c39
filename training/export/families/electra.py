"""ELECTRA (Clark et al. 2020): BERT with word vectors that may be narrower, and a head with Gelu."""

from training.export.families.postnorm import PostNorm
from training.export.graph import Graph
from training.export.linear import Linear


class Electra(PostNorm):
    """`ElectraForSequenceClassification`."""

    PREFIX = "electra."

    def embeddings(self, graph: Graph, small: bool) -> str:
        """Projected to the hidden size where they are of another; never in int8, being a row's first."""
        found, narrow, wide = super().embeddings(graph, small), self.shape.embedding, self.shape.hidden
        if narrow in (0, wide):
            return found
        weight, bias = self.dense("embeddings_project", narrow, wide)
        kernel = graph.constant("embeddings_project.weight", weight)
        return graph.add("Gemm", found, kernel, graph.constant("embeddings_project.bias", bias))

    def score(self, graph: Graph, linear: Linear, top: str) -> None:
        """`classifier.dense` with Gelu, then `classifier.out_proj`."""
        self.logit(graph, self.head(graph, linear, "classifier.dense", top, "Gelu"), "classifier.out_proj")
