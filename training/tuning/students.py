"""Smaller checkpoints out of a larger one: a student starts with what its teacher's best parts know.

Layers are dropped evenly (Sanh et al. 2019, DistilBERT). Width is cut by structured pruning by magnitude:
neurons inside a layer, whole attention heads, and coordinates of the vectors between layers are kept by the
size of the weights that write and read them (Michel et al. 2019; McCarley et al. 2019). Coordinates are
dropped, not rotated, because layer norms work on each by itself. What is left has to be trained again.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from features.columns import Doubles, Floats, Rows
from features.errors import InvalidConfig
from training.export.checkpoint import Checkpoint

FAMILIES = ("bert", "roberta", "xlm-roberta", "camembert")
"""Those whose state dict has BERT's names."""
LAYER = re.compile(r"^(.*encoder\.layer\.)(\d+)(\..+)$")

AXES = (
    (r"embeddings\.(word|position|token_type)_embeddings\.weight$", (None, "hidden")),
    (r"LayerNorm\.(weight|bias)$", ("hidden",)),
    (r"attention\.self\.(query|key|value)\.weight$", ("heads", "hidden")),
    (r"attention\.self\.(query|key|value)\.bias$", ("heads",)),
    (r"attention\.output\.dense\.weight$", ("hidden", "heads")),
    (r"intermediate\.dense\.weight$", ("inner", "hidden")),
    (r"intermediate\.dense\.bias$", ("inner",)),
    (r"\d\.output\.dense\.weight$", ("hidden", "inner")),
    (r"output\.dense\.bias$", ("hidden",)),
    (r"(pooler|classifier)\.dense\.weight$", ("pooled", "hidden")),
    (r"(pooler|classifier)\.dense\.bias$", ("pooled",)),
    (r"classifier(\.out_proj)?\.weight$", (None, "pooled")),
    (r"classifier(\.out_proj)?\.bias$", (None,)),
)
"""What the axes of a tensor run over."""


@dataclass(frozen=True, slots=True)
class Shape:
    """How large a student is; None leaves a size as it is."""

    layers: int | None = None
    inner: int | None = None
    hidden: int | None = None


def shrink(checkpoint: Checkpoint, shape: Shape, path: str = "train") -> Checkpoint:
    """The student of a checkpoint.

    Raises:
        InvalidConfig: for a size that is not smaller, a width that splits a head, or another family.
    """
    if shape == Shape():
        return checkpoint
    check(checkpoint.config, shape, path)
    if shape.layers is not None:
        checkpoint = shallower(checkpoint, shape.layers)
    if shape.inner is not None or shape.hidden is not None:
        checkpoint = narrower(checkpoint, shape)
    return checkpoint


def check(config: Mapping[str, Any], shape: Shape, path: str) -> None:
    """Refuse what cannot be cut."""
    family = config.get("model_type")
    if family not in FAMILIES:
        raise InvalidConfig(f"students are made of {', '.join(FAMILIES)}, not of {family!r}", path=path)
    sizes = {"layers": "num_hidden_layers", "inner": "intermediate_size", "hidden": "hidden_size"}
    for name, key in sizes.items():
        wanted, there = getattr(shape, name), int(config[key])
        if wanted is not None and not 1 <= wanted <= there:
            raise InvalidConfig(f"is {wanted} where the start has {there}", path=f"{path}.{name}")
    head = int(config["hidden_size"]) // int(config["num_attention_heads"])
    if shape.hidden is not None and shape.hidden % head:
        message = f"is {shape.hidden}, which is no multiple of a head's width {head}"
        raise InvalidConfig(message, path=f"{path}.hidden")


def shallower(checkpoint: Checkpoint, layers: int) -> Checkpoint:
    """Evenly spaced layers, the last among them (and the first, where there are two or more)."""
    there = int(checkpoint.config["num_hidden_layers"])
    chosen = spaced(there, layers)
    tensors: dict[str, Floats] = {}
    for name, tensor in checkpoint.tensors.items():
        match = LAYER.match(name)
        if match is None:
            tensors[name] = tensor
        elif int(match[2]) in chosen:
            tensors[f"{match[1]}{chosen.index(int(match[2]))}{match[3]}"] = tensor
    return Checkpoint({**checkpoint.config, "num_hidden_layers": layers}, tensors, checkpoint.tokenizer)


def spaced(there: int, wanted: int) -> list[int]:
    """`wanted` numbers below `there`, evenly spaced, the last among them."""
    if wanted == 1:
        return [there - 1]
    chosen: list[int] = np.round(np.linspace(0, there - 1, wanted)).astype(int).tolist()
    return chosen


def narrower(checkpoint: Checkpoint, shape: Shape) -> Checkpoint:
    """Fewer neurons in layers, and fewer heads and coordinates."""
    config = dict(checkpoint.config)
    head = int(config["hidden_size"]) // int(config["num_attention_heads"])
    inner = shape.inner or int(config["intermediate_size"])
    hidden = shape.hidden or int(config["hidden_size"])
    kept = {"hidden": best(coordinates(checkpoint.tensors), hidden)}
    has_pooler = any(re.search(r"(pooler|classifier)\.dense\.weight$", name) for name in checkpoint.tensors)
    kept["pooled"] = best(pooled(checkpoint), hidden) if has_pooler else kept["hidden"]
    tensors = {}
    for name, tensor in checkpoint.tensors.items():
        match = LAYER.match(name)
        if match:
            at = match[1] + match[2]
            kept["inner"] = best(neurons(checkpoint.tensors, at), inner)
            kept["heads"] = whole_heads(attention(checkpoint.tensors, at), head, hidden)
        tensors[name] = cut(name, tensor, kept)
    config |= {"hidden_size": hidden, "intermediate_size": inner, "num_attention_heads": hidden // head}
    return Checkpoint(config, tensors, checkpoint.tokenizer)


def cut(name: str, tensor: Floats, kept: Mapping[str, Rows]) -> Floats:
    """A tensor without what is dropped; one that is not known stays."""
    axes = next((axes for pattern, axes in AXES if re.search(pattern, name)), ())
    for axis, kind in enumerate(axes):
        if kind is not None:
            tensor = np.take(tensor, kept[kind], axis=axis)
    return np.ascontiguousarray(tensor)


def best(sizes: Doubles, wanted: int) -> Rows:
    """The positions of the largest, in their order."""
    return np.sort(np.argsort(-sizes, kind="stable")[:wanted])


def whole_heads(sizes: Doubles, head: int, wanted: int) -> Rows:
    """The positions of the heads whose weights are largest, whole heads alone."""
    heads = best(sizes.reshape(-1, head).sum(1), wanted // head)
    return (heads[:, None] * head + np.arange(head)).ravel()


def norms(tensor: Floats, axis: int) -> Doubles:
    """float64: the lengths of rows (axis 1) or columns (axis 0)."""
    found: Doubles = np.linalg.norm(tensor.astype(np.float64), axis=axis)
    return found


def neurons(tensors: Mapping[str, Floats], at: str) -> Doubles:
    """A layer's inner neurons: what they read times what they write."""
    return norms(tensors[f"{at}.intermediate.dense.weight"], 1) * norms(
        tensors[f"{at}.output.dense.weight"], 0
    )


def attention(tensors: Mapping[str, Floats], at: str) -> Doubles:
    """A layer's attention coordinates: what values read times what the output makes of it."""
    return norms(tensors[f"{at}.attention.self.value.weight"], 1) * norms(
        tensors[f"{at}.attention.output.dense.weight"], 0
    )


def coordinates(tensors: Mapping[str, Floats]) -> Doubles:
    """The vectors' coordinates: the lengths of all columns that read them, times their norms' weights."""
    total: Doubles = np.zeros(())
    for name, tensor in tensors.items():
        if name.endswith((".attention.self.value.weight", ".intermediate.dense.weight")):
            total = total + norms(tensor, 0)
    scales = [np.abs(tensor) for name, tensor in tensors.items() if name.endswith("LayerNorm.weight")]
    return total * np.sum(scales, axis=0)


def pooled(checkpoint: Checkpoint) -> Doubles:
    """The coordinates that the classifier reads, by its weights."""
    names = ("classifier.out_proj.weight", "classifier.weight")
    found = next((checkpoint.tensors[name] for name in names if name in checkpoint.tensors), None)
    if found is None:
        return np.arange(int(checkpoint.config["hidden_size"]), 0, -1, dtype=np.float64)
    return norms(found, 0)
