"""The way back: a checkpoint to train from, out of a packed int8 graph.

So the weights that ship with Sluice are also where fine-tuning starts, with nothing to download. int8 steps
are as fine as a small learning step, so that training from here equals training from full precision.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper

from features.columns import Floats
from features.errors import InvalidInput
from features.transformer.model import MODEL, NOTES, TOKENIZER, read_content, read_notes
from training.export.checkpoint import Checkpoint
from training.export.families.attention import HEADS

Arrays = Mapping[str, NDArray[Any]]
TRAINED = "bert"
HEAD = ("classifier.weight", "classifier.bias")
"""What a sentence encoder has none of."""
SKIPPED = ("classifier.weight", ".spilled.weight")
"""What stands for itself, and rows that stand in the whole product too."""
JOINED = {"qkv": ("query", "key", "value"), "kv": ("key", "value")}


def restore(directory: Path) -> Checkpoint:
    """The checkpoint behind the `model.onnx` of a stage's directory.

    Raises:
        InvalidInput: if the graph was not written by `training.export`, or is of another family than BERT.
    """
    family = read_notes(directory).family if (directory / NOTES).is_file() else TRAINED
    if family != TRAINED:
        message = f"is an exported {family} model, of which only {TRAINED} comes back; name its checkpoint"
        raise InvalidInput(message, path=str(directory))
    model = onnx.load_from_string(content_of(directory))
    arrays = {each.name: numpy_helper.to_array(each) for each in model.graph.initializer}
    if "words" not in arrays or "positions" not in arrays:
        raise InvalidInput("is not a packed graph of this project", path=str(directory / MODEL))
    tensors = {f"bert.{name}": tensor for name, tensor in body(arrays).items()}
    tensors |= {name: arrays[name] for name in HEAD if name in arrays}
    tokenizer = (directory / TOKENIZER).read_text(encoding="utf-8")
    return Checkpoint(config_of(model, arrays), tensors, tokenizer)


def content_of(directory: Path) -> bytes:
    """The whole of model.onnx, whatever it borrows; notes there need not be."""
    if (directory / NOTES).is_file():
        return read_content(directory, read_notes(directory))
    return (directory / MODEL).read_bytes()


def body(arrays: Arrays) -> dict[str, Floats]:
    """Every tensor of the body by the name that a state dict gives it."""
    tensors = {
        "embeddings.word_embeddings.weight": words(arrays),
        "embeddings.position_embeddings.weight": arrays["positions"],
        "embeddings.token_type_embeddings.weight": arrays["types"],
    }
    for name, array in arrays.items():
        if ".LayerNorm." in name:
            tensors[name] = array
        elif name.endswith(".weight") and not name.endswith(SKIPPED):
            tensors |= layer(arrays, name.removesuffix(".weight"))
        elif name.endswith(".key.heads"):
            tensors |= apart(arrays, name.removesuffix(".key.heads"))
    return tensors


def apart(arrays: Arrays, at: str) -> dict[str, Floats]:
    """Keys and values that stand a head each; the keys' bias cancelled, so that any does."""
    key, value = arrays[f"{at}.key.heads"], arrays[f"{at}.value.heads"]
    wide = key.shape[2]
    return {
        f"{at}.key.weight": key.reshape(wide, wide),
        f"{at}.key.bias": np.zeros(wide, np.float32),
        f"{at}.value.weight": np.ascontiguousarray(value.transpose(0, 2, 1)).reshape(wide, wide),
        f"{at}.value.bias": arrays[f"{at}.value.bias"],
    }


def words(arrays: Arrays) -> Floats:
    """float32[V, H]: the word vectors."""
    scale = arrays.get("words.scale")
    table: Floats = arrays["words"].astype(np.float32)
    return table if scale is None else table * scale


def layer(arrays: Arrays, name: str) -> dict[str, Floats]:
    """Weights `[out, in]` and biases of one product, split into the layers that were joined in it."""
    weight = arrays[f"{name}.weight"].astype(np.float32)
    if f"{name}.weight_scale" in arrays:
        weight = weight * arrays[f"{name}.weight_scale"]
    if f"{name}.smooth" in arrays:
        weight = weight * arrays[f"{name}.smooth"][:, None]
    at, _, last = name.rpartition(".")
    parts = [f"{at}.{part}" for part in JOINED[last]] if last in JOINED else [name]
    weights = np.split(np.ascontiguousarray(weight.T), len(parts))
    biases = np.split(arrays[f"{name}.bias"], len(parts))
    found = dict(zip((f"{part}.weight" for part in parts), weights, strict=True))
    return found | dict(zip((f"{part}.bias" for part in parts), biases, strict=True))


def config_of(model: Any, arrays: Arrays) -> dict[str, Any]:
    """config.json as far as the graph tells it."""
    nodes = {node.op_type: node for node in model.graph.node}
    fused = nodes.get("MultiHeadAttention")
    heads = len(arrays[HEADS]) if fused is None else attribute(fused, "num_heads")
    norms = {name for name in arrays if name.endswith(".output.LayerNorm.weight")}
    layers = 1 + max(int(name.split(".")[2]) for name in norms)
    vocabulary, hidden = arrays["words"].shape
    return {
        "model_type": "bert",
        "hidden_act": "gelu",
        "vocab_size": vocabulary,
        "hidden_size": hidden,
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
        "intermediate_size": arrays["encoder.layer.0.intermediate.dense.weight"].shape[1],
        "max_position_embeddings": len(arrays["positions"]),
        "type_vocab_size": len(arrays["types"]),
        "layer_norm_eps": attribute(nodes["LayerNormalization"], "epsilon"),
        "pooler": "pooler.dense.weight" in arrays,
    }


def attribute(node: Any, name: str) -> Any:
    """The value of a node's attribute."""
    return next(onnx.helper.get_attribute_value(each) for each in node.attribute if each.name == name)
