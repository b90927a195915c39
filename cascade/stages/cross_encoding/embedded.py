"""The weights that come with the package."""

from importlib.resources import files
from pathlib import Path

from features.errors import NotReady
from features.transformer.model import NOTES


def embedded_model() -> Path:
    """The directory of the embedded cross-encoder: model.onnx, tokenizer.json, model.json.

    Raises:
        NotReady: if this installation was built without it.
    """
    directory = Path(str(files("cascade"))) / "embedded"
    if not (directory / NOTES).is_file():
        raise NotReady("this installation has no embedded cross-encoder; name a checkpoint in weights")
    return directory
