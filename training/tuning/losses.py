"""Losses of one query's list: its logits against labels, or against a teacher's scores.

Every function takes float[d] tensors over the same documents and gives a scalar; gradients flow to `logits`
alone.
"""

import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits, softplus


def listnet(logits: Tensor, target: Tensor) -> Tensor:
    """-Σ p log softmax(s), where p is the target distribution, which sums to 1.

    The top-one cross-entropy of ListNet (Cao et al. 2007, "Learning to Rank: From Pairwise Approach to
    Listwise Approach").
    """
    return -(target * logits.log_softmax(0)).sum()


def ranknet(logits: Tensor, target: Tensor) -> Tensor:
    """The mean of log(1 + exp(s_j - s_i)) over all pairs whose target has i before j; 0 where there is none.

    RankNet (Burges et al. 2005, "Learning to Rank using Gradient Descent"). Only the order of the target
    counts, so that it takes a permutation as well as scores.
    """
    before = target[:, None] > target[None, :]
    pairs = softplus(logits[None, :] - logits[:, None])[before]
    return pairs.mean() if len(pairs) else logits.sum() * 0.0


def margin_mse(logits: Tensor, target: Tensor) -> Tensor:
    """The mean of ((s_i - s_j) - (t_i - t_j))² over all pairs i < j; 0 for a lone document.

    Margin-MSE (Hofstätter et al. 2020, "Improving Efficient Neural Ranking Models with Cross-Architecture
    Knowledge Distillation"), over every pair of a list where the paper has one pair a query.
    """
    if len(logits) < 2:
        return logits.sum() * 0.0
    left, right = torch.triu_indices(len(logits), len(logits), 1, device=logits.device)
    away = logits - target
    return (away[left] - away[right]).square().mean()


def pointwise(logits: Tensor, target: Tensor) -> Tensor:
    """The mean of -(t log σ(s) + (1 - t) log(1 - σ(s))), targets from 0 to 1.

    With 0 and 1 this is logistic regression; with gains as shares of the highest one, σ(s) regresses to the
    expected gain, as the squared error of Cossock and Zhang 2006 does, without its flat ends.
    """
    return binary_cross_entropy_with_logits(logits, target)
