"""Losses of a step: the queries' vectors against those of all documents of the step.

`logits[q, d]` are cosines times a sharpness, or dot products.
"""

import torch
from torch import Tensor


def contrastive(logits: Tensor, target: Tensor, seen: Tensor) -> Tensor:
    """The mean over queries of -Σ_d p log softmax(s), the softmax over the documents that the query sees.

    With one relevant document and the other queries' documents as negatives it is the multiple-negatives
    ranking loss (Henderson et al. 2017, "Efficient Natural Language Response Suggestion"; in-batch negatives
    of Karpukhin et al. 2020, "Dense Passage Retrieval"); with a teacher's softmax as p it is ListNet's
    cross-entropy (Cao et al. 2007), which differs from the Kullback-Leibler divergence by a constant.

    Args:
        logits: float[q, d].
        target: float[q, d], p: 0 where nothing is known; a row sums to 1.
        seen: bool[q, d]: False for documents of other queries that may well be relevant to this one.
    """
    masked = logits.masked_fill(~seen, -torch.inf).log_softmax(1)
    return -(target * masked.masked_fill(~seen, 0.0)).sum(1).mean()
