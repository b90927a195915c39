"""A checkpoint as Hugging Face lays it out: config.json, model.safetensors and tokenizer.json."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from features.columns import Floats
from features.errors import InvalidInput

CONFIG = "config.json"
WEIGHTS = "model.safetensors"
TOKENIZER = "tokenizer.json"


@dataclass(frozen=True, slots=True, eq=False)
class Checkpoint:
    """A trained model in memory.

    Attributes:
        config: config.json as parsed.
        tensors: name → float32 weights, as the state dict names them.
        tokenizer: the text of tokenizer.json.
    """

    config: Mapping[str, Any]
    tensors: Mapping[str, Floats]
    tokenizer: str

    def tensor(self, name: str, shape: tuple[int, ...]) -> Floats:
        """The named tensor in float32.

        Raises:
            InvalidInput: naming the tensor, if it is missing or has another shape.
        """
        if name not in self.tensors:
            raise InvalidInput("the checkpoint has no such tensor", path=name)
        found = np.asarray(self.tensors[name], np.float32)
        if found.shape != shape:
            raise InvalidInput(f"has shape {found.shape} where {shape} is meant", path=name)
        return found


def read_checkpoint(directory: Path) -> Checkpoint:
    """The checkpoint in a directory.

    Raises:
        InvalidInput: naming the file that is missing or cannot be read.
    """
    config = read_json(directory / CONFIG)
    tokenizer = directory / TOKENIZER
    read_json(tokenizer)
    return Checkpoint(config, read_tensors(directory / WEIGHTS), tokenizer.read_text(encoding="utf-8"))


def read_json(file: Path) -> dict[str, Any]:
    """A JSON object from a file."""
    try:
        value = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InvalidInput("the checkpoint has no such file", path=str(file)) from None
    except ValueError as error:
        raise InvalidInput(f"is not JSON: {error}", path=str(file)) from None
    if not isinstance(value, dict):
        raise InvalidInput("is not a JSON object", path=str(file))
    return value


def read_tensors(file: Path) -> dict[str, Floats]:
    """Every tensor of a safetensors file, in float32."""
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    if not file.is_file():
        raise InvalidInput("the checkpoint has no such file", path=str(file))
    try:
        tensors = load_file(file)
    except (SafetensorError, TypeError, ValueError) as error:
        raise InvalidInput(f"cannot be read: {error}", path=str(file)) from None
    return {name: np.asarray(value, np.float32) for name, value in tensors.items() if value.dtype.kind != "i"}


def vocabulary_size(tokenizer: str) -> int:
    """One more than the largest token id of a tokenizer.json, added tokens included.

    Raises:
        InvalidInput: if the tokenizer cannot be read.
    """
    from tokenizers import Tokenizer

    try:
        vocabulary = Tokenizer.from_str(tokenizer).get_vocab(with_added_tokens=True)
    except Exception as error:  # tokenizers raises bare Exception
        raise InvalidInput(f"is not a tokenizer: {error}", path=TOKENIZER) from None
    return int(max(vocabulary.values(), default=-1)) + 1
