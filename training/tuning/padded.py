"""Families that no packed model is written for, through transformers' own classes, over padded rows.

Slower on a CPU than `training/packed_bert.py`, and the same from outside: packed tokens in, a logit a pair
out. Nothing is fetched and no code of a checkpoint runs: the architecture is one that transformers knows.
"""

from typing import Any

import torch
from torch import Tensor, nn

from features.errors import InvalidInput
from training.export.checkpoint import Checkpoint
from training.packed_bert import Packed

HEADS = ("classifier", "score", "head", "pooler", "pre_classifier")
"""Parts that start at random where a checkpoint has none."""


class PaddedClassifier(nn.Module):
    """A sequence classifier with one label; `forward` gives float[B]."""

    def __init__(self, checkpoint: Checkpoint) -> None:
        super().__init__()
        from transformers import AutoConfig, AutoModelForSequenceClassification

        given = {key: value for key, value in checkpoint.config.items() if key not in LABELS}
        family = str(given.pop("model_type", ""))
        try:
            config = AutoConfig.for_model(family, **given, num_labels=1)
            self.body: Any = AutoModelForSequenceClassification.from_config(
                config, attn_implementation="sdpa"
            )
        except (ValueError, KeyError) as error:
            message = f"is {family!r}, of which transformers makes no classifier: {error}"
            raise InvalidInput(message, path="config.json: model_type") from None
        self.segments = int(getattr(config, "type_vocab_size", 0) or 0) > 1
        self.padding = int(getattr(config, "pad_token_id", 0) or 0)

    def forward(self, batch: Packed) -> Tensor:
        """float[B]: the pairs' logits."""
        given = {"input_ids": torch.where(batch.mask, batch.ids[batch.rows], self.padding)}
        if self.segments:
            given["token_type_ids"] = torch.where(batch.mask, batch.types[batch.rows], 0)
        logits: Tensor = self.body(**given, attention_mask=batch.mask.long()).logits[:, 0]
        return logits.float()


LABELS = (
    "num_labels",
    "id2label",
    "label2id",
    "problem_type",
    "torch_dtype",
    "dtype",
    "transformers_version",
)


def padded_of(checkpoint: Checkpoint, seed: int = 0) -> PaddedClassifier:
    """The model of a checkpoint; a head that it lacks starts at random, from the seed.

    Raises:
        InvalidInput: for an architecture that transformers has no classifier of, or a missing tensor.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = PaddedClassifier(checkpoint)
    own = model.body.state_dict()
    prefix = f"{model.body.base_model_prefix}."
    for name, initial in own.items():
        source = next((key for key in (name, name.removeprefix(prefix)) if key in checkpoint.tensors), None)
        if source is not None:
            own[name] = torch.from_numpy(checkpoint.tensor(source, tuple(initial.shape)).copy())
        elif initial.is_floating_point() and not any(part in HEADS for part in name.split(".")):
            raise InvalidInput("the checkpoint has no such tensor", path=name)
    model.body.load_state_dict(own)
    return model


def as_padded_checkpoint(model: PaddedClassifier, like: Checkpoint) -> Checkpoint:
    """The model's present weights, with the tokenizer of the checkpoint that it began as."""
    config = {
        **like.config,
        "architectures": [type(model.body).__name__],
        "num_labels": 1,
        "id2label": {"0": "LABEL_0"},
        "label2id": {"LABEL_0": 0},
    }
    state = {name: value for name, value in model.body.state_dict().items() if value.is_floating_point()}
    tensors = {name: tensor.detach().float().cpu().numpy() for name, tensor in state.items()}
    return Checkpoint(config, tensors, like.tokenizer)
