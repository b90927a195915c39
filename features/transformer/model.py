"""The files of a cross-encoder on disk: training writes them and the stage reads them."""

from pathlib import Path
from typing import Any

import msgspec

from features.errors import NotReady

MODEL = "model.onnx"
TOKENIZER = "tokenizer.json"
NOTES = "model.json"
FAMILIES = ("bert",)


class Notes(msgspec.Struct, frozen=True, kw_only=True):
    """model.json.

    Attributes:
        family: whose packed graph it is, which says how pairs are made.
        variant: its precision.
        max_tokens: the longest pair that it has positions for.
        first, last: the ids of [CLS] and [SEP].
        digest: SHA-256 of model.onnx.
        parity: variant → figures against float32, as the exporter measured them.
    """

    family: str
    variant: str
    max_tokens: int
    first: int
    last: int
    digest: str
    parity: dict[str, dict[str, Any]] = {}

    @property
    def independent(self) -> bool:
        """Whether a pair's score is the same to the bit in any batch."""
        return self.variant == "int8"


def read_notes(directory: Path) -> Notes:
    """The notes of a model directory.

    Raises:
        NotReady: if there are none, or they are of a family that is not known here.
    """
    file = directory / NOTES
    try:
        notes = msgspec.json.decode(file.read_bytes(), type=Notes)
    except FileNotFoundError:
        raise NotReady(f"has no {NOTES}; run `sluice train`", path=str(directory)) from None
    except msgspec.DecodeError as error:
        raise NotReady(f"{NOTES} cannot be read: {error}", path=str(directory)) from None
    if notes.family not in FAMILIES:
        raise NotReady(f"is a {notes.family!r} model; there are {', '.join(FAMILIES)}", path=str(file))
    return notes
