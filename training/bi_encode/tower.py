"""The encoder as it trains: packed tokens in, a vector a text out."""

from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import normalize

from features.errors import InvalidInput
from training.export.checkpoint import Checkpoint
from training.packed_bert import Packed, PackedBert, model_of

UNUSED = ("bert.pooler", "classifier")
"""What a checkpoint of a classifier has beyond an encoder."""


class Tower(PackedBert):
    """One transformer for queries and documents alike; `forward` gives float[B, H].

    Attributes:
        pooling: `mean` of a text's tokens, or `cls`, its classification token.
        unit: divide vectors by their length.
    """

    def __init__(self, config: dict[str, Any], pooling: str, unit: bool) -> None:
        super().__init__(config)
        self.pooling, self.unit = pooling, unit
        for name, each in self.named_parameters():
            if name.startswith(UNUSED):
                each.requires_grad_(False)

    def forward(self, batch: Packed) -> Tensor:
        """float[B, H]: the texts' vectors."""
        pooled = self.hidden(batch) if self.pooling == "cls" else mean(self.hidden(batch, whole=True), batch)
        return normalize(pooled.float(), dim=-1) if self.unit else pooled.float()


def mean(tokens: Tensor, batch: Packed) -> Tensor:
    """float[B, H]: the mean of every text's own tokens, of float[T, H]."""
    lengths = batch.mask.sum(1)
    owners = torch.repeat_interleave(torch.arange(len(lengths), device=tokens.device), lengths)
    sums = torch.zeros(len(lengths), tokens.shape[1], device=tokens.device)
    return sums.index_add(0, owners, tokens.float()) / lengths[:, None]


def tower_of(checkpoint: Checkpoint, pooling: str, unit: bool) -> Tower:
    """The tower that starts from a checkpoint.

    Raises:
        InvalidInput: for another family than BERT, or a missing tensor.
    """
    family = checkpoint.config.get("model_type")
    if family != "bert":
        message = f"is {family!r}; encoders of the family bert are trained here, others run as they come"
        raise InvalidInput(message, path="config.json: model_type")
    tower = Tower(dict(checkpoint.config), pooling, unit)
    tower.load_state_dict(model_of(checkpoint).state_dict())
    return tower
