"""The optimiser of a fine-tuning and how its learning rate rises and falls."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from training.tuning.settings import Tuning


def optimizer_for(free: Sequence[nn.Parameter], tuning: Tuning) -> torch.optim.Optimizer:
    """AdamW, without decay on biases and layer norms."""
    groups: list[dict[str, Any]] = [
        {"params": [each for each in free if each.ndim > 1], "weight_decay": tuning.weight_decay},
        {"params": [each for each in free if each.ndim == 1], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=tuning.learning_rate, fused=True)


def schedule_for(
    optimizer: torch.optim.Optimizer, steps: int, warm_up: float
) -> torch.optim.lr_scheduler.LRScheduler:
    """A rise over the first share of the steps, then a straight fall to 0."""
    warm = max(1, round(steps * warm_up))
    return torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: min((step + 1) / warm, (steps - step) / max(1, steps - warm))
    )
