"""The model to fine-tune, whatever its family: packed where there is a packed one, padded otherwise."""

from tokenizers import Tokenizer
from torch import nn

from features.errors import InvalidInput
from training.export.checkpoint import Checkpoint
from training.packed_bert import PackedBert, as_checkpoint, model_of
from training.tuning.padded import PaddedClassifier, as_padded_checkpoint, padded_of

PACKED = "bert"


def trainable(checkpoint: Checkpoint, seed: int = 0) -> nn.Module:
    """A module whose `forward` takes `Packed` tokens and gives float[B] logits.

    Raises:
        InvalidInput: for an architecture without a classifier, or a missing tensor.
    """
    if checkpoint.config.get("model_type") == PACKED:
        return model_of(checkpoint, seed)
    return padded_of(checkpoint, seed)


def trained(model: nn.Module, like: Checkpoint) -> Checkpoint:
    """The weights of a module that `trainable` made."""
    if isinstance(model, PackedBert):
        return as_checkpoint(model, like)
    if isinstance(model, PaddedClassifier):
        return as_padded_checkpoint(model, like)
    raise TypeError(type(model).__name__)


def word_vectors(model: nn.Module) -> nn.Parameter:
    """The table of word vectors."""
    if isinstance(model, PaddedClassifier):
        found: nn.Parameter = model.body.get_input_embeddings().weight
        return found
    return model.get_parameter("bert.embeddings.word_embeddings.weight")


def special(tokenizer: Tokenizer, token: str) -> int:
    """The id of a special token.

    Raises:
        InvalidInput: if the tokenizer has none.
    """
    found = tokenizer.token_to_id(token)
    if found is None:
        raise InvalidInput(f"has no {token}, which pairs are made with", path="tokenizer.json")
    return int(found)
