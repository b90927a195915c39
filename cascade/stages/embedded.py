"""The transformers that come with the package."""

from importlib.resources import files
from pathlib import Path

from features.errors import NotReady
from features.transformer.model import NOTES

EMBEDDED = "embedded"
"""In place of a folder: the weights that come with the package."""


def embedded_model() -> Path:
    """The folder of the embedded cross-encoder: model.onnx, tokenizer.json, model.json.

    Raises:
        NotReady: if this installation was built without it.
    """
    return packaged("cross-encoder")


def embedded_sentences() -> Path:
    """The folder of the embedded sentence encoder, which borrows the cross-encoder's word vectors.

    Raises:
        NotReady: if this installation was built without it.
    """
    return packaged("sentence encoder", "sentences")


def packaged(what: str, folder: str = "") -> Path:
    """A model's folder within the package."""
    directory = Path(str(files("cascade"))) / "embedded" / folder
    if not (directory / NOTES).is_file():
        raise NotReady(f"this installation has no embedded {what}; name a checkpoint in weights")
    return directory
