"""A checkpoint as Hugging Face lays it out: config.json, model.safetensors and tokenizer.json."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from features.columns import Floats
from features.errors import InvalidInput

CONFIG = "config.json"
WEIGHTS = "model.safetensors"
INDEX = "model.safetensors.index.json"
"""Which file of several holds a tensor."""
TOKENIZER = "tokenizer.json"
PICKLED = ("pytorch_model.bin", "pytorch_model.bin.index.json")
OLD_NAMES = (("LayerNorm.gamma", "LayerNorm.weight"), ("LayerNorm.beta", "LayerNorm.bias"))
BFLOAT16 = "BF16"
PADDING = ("[PAD]", "<pad>")


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
    tensors = {name: value for file in weights(directory) for name, value in read_tensors(file)}
    return Checkpoint(config, tensors, tokenizer.read_text(encoding="utf-8"))


def write_checkpoint(checkpoint: Checkpoint, directory: Path) -> None:
    """A directory as `save_pretrained` writes it, which Hugging Face's classes read."""
    from safetensors.numpy import save_file

    directory.mkdir(parents=True, exist_ok=True)
    (directory / CONFIG).write_text(json.dumps(dict(checkpoint.config), indent=2), encoding="utf-8")
    (directory / TOKENIZER).write_text(checkpoint.tokenizer, encoding="utf-8")
    tensors = {name: np.ascontiguousarray(tensor) for name, tensor in checkpoint.tensors.items()}
    save_file(tensors, directory / WEIGHTS, metadata={"format": "pt"})


def weights(directory: Path) -> list[Path]:
    """The files that hold the tensors.

    Raises:
        InvalidInput: if there are none, or only pickled ones, which could run code.
    """
    if (directory / WEIGHTS).is_file():
        return [directory / WEIGHTS]
    if (directory / INDEX).is_file():
        found = read_json(directory / INDEX).get("weight_map") or {}
        return [directory / Path(name).name for name in sorted(set(found.values()))]
    if any((directory / name).is_file() for name in PICKLED):
        message = f"there are pickled weights alone, which are never read; save them as {WEIGHTS}"
        raise InvalidInput(message, path=str(directory))
    raise InvalidInput("the checkpoint has no such file", path=str(directory / WEIGHTS))


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


def read_tensors(file: Path) -> Iterator[tuple[str, Floats]]:
    """Every tensor of a safetensors file, in float32, by the name it has today."""
    from safetensors import SafetensorError, deserialize

    if not file.is_file():
        raise InvalidInput("the checkpoint has no such file", path=str(file))
    try:
        entries = deserialize(file.read_bytes())  # type: ignore[no-untyped-call]
    except (SafetensorError, ValueError) as error:
        raise InvalidInput(f"cannot be read: {error}", path=str(file)) from None
    for name, entry in entries:
        values = as_float(entry["dtype"], entry["data"])
        if values is not None:
            yield renamed(name), values.reshape(entry["shape"])


def as_float(kind: str, data: bytes | bytearray) -> Floats | None:
    """float32[n] of a tensor's bytes; None for whole numbers, which no layer has."""
    if kind == BFLOAT16:  # the upper half of a float32
        wide = np.frombuffer(data, np.uint16).astype(np.uint32) << 16
        return wide.view(np.float32)
    dtype = {"F16": np.float16, "F32": np.float32, "F64": np.float64}.get(kind)
    return None if dtype is None else np.frombuffer(data, dtype).astype(np.float32)


def renamed(name: str) -> str:
    """What old checkpoints call otherwise, by today's name."""
    for old, new in OLD_NAMES:
        name = name.replace(old, new)
    return name


def read_tokenizer(tokenizer: str) -> Any:
    """The `tokenizers.Tokenizer` of a tokenizer.json, which neither cuts nor pads.

    Raises:
        InvalidInput: if it is none.
    """
    from tokenizers import Tokenizer

    try:
        found = Tokenizer.from_str(tokenizer)
    except Exception as error:  # tokenizers raises bare Exception
        raise InvalidInput(f"is not a tokenizer: {error}", path=TOKENIZER) from None
    found.no_truncation()
    found.no_padding()
    return found


def check_vocabulary(checkpoint: Checkpoint, vocabulary: int) -> None:
    """Refuse a tokenizer that cannot be the model's: ids without a vector, or another padding.

    Raises:
        InvalidInput: naming both sides.
    """
    tokens = read_tokenizer(checkpoint.tokenizer).get_vocab(with_added_tokens=True)
    known = max(tokens.values(), default=-1) + 1
    if known > vocabulary:
        raise InvalidInput(f"has {known} tokens where the model knows {vocabulary}", path=TOKENIZER)
    padding = {tokens[name] for name in PADDING if name in tokens}
    declared = checkpoint.config.get("pad_token_id")
    if padding and isinstance(declared, int) and declared not in padding:
        message = f"pads with {min(padding)} where the model does with {declared}: not its tokenizer"
        raise InvalidInput(message, path=TOKENIZER)
