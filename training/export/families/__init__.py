"""Families of models with a packed graph: a small adapter each, over what they share (`base`, `postnorm`)."""

from training.export.checkpoint import CONFIG, Checkpoint
from training.export.families.base import INPUTS, Output, Packed
from training.export.families.bert import Bert
from training.export.families.config import NotPacked
from training.export.families.distilbert import DistilBert
from training.export.families.electra import Electra
from training.export.families.modernbert import ModernBert
from training.export.families.roberta import Roberta

FAMILIES: dict[str, type[Packed]] = {
    "bert": Bert,
    "roberta": Roberta,
    "xlm-roberta": Roberta,
    "camembert": Roberta,
    "distilbert": DistilBert,
    "electra": Electra,
    "modernbert": ModernBert,
}
"""config.json's model_type → the writer of its packed graph."""

__all__ = ["FAMILIES", "INPUTS", "NotPacked", "Output", "Packed", "writer_of"]


def writer_of(checkpoint: Checkpoint, output: Output | None = None) -> Packed:
    """The writer of a checkpoint's packed graph.

    Raises:
        NotPacked: if its architecture has none.
        InvalidInput: if it is broken, or does not fit its tokenizer.
    """
    family = str(checkpoint.config.get("model_type"))
    if family not in FAMILIES:
        message = f"is {family!r} where {', '.join(FAMILIES)} have a packed graph"
        raise NotPacked(message, path=f"{CONFIG}: model_type")
    return FAMILIES[family](checkpoint, output)
