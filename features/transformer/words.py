"""Two models that start from the same word vectors keep them once: the second borrows them from the first.

Word vectors are half of a small transformer. A borrowing model.onnx is written without those tensors; at load
they are copied over from the lender's file.
"""

from collections.abc import Sequence

from features.errors import Corrupt
from features.transformer.wire import GRAPH, INITIALIZER, TENSOR_NAME, field, names, parts

WORDS = ("words", "words.scale")
"""The tensors that are borrowed: int8[vocabulary, H] and a float32 scale a row."""


def joined(borrower: bytes, lender: bytes, wanted: Sequence[str] = WORDS) -> bytes:
    """The borrower's model with the named tensors of the lender.

    Raises:
        Corrupt: if a file is no ONNX model, or the lender has no such tensor.
    """
    found = tensors(memoryview(lender))
    absent = [name for name in wanted if name not in found]
    if absent:
        raise Corrupt(f"lends no tensor {', '.join(absent)}")
    borrowed = b"".join(field(INITIALIZER, found[name]) for name in wanted)
    return borrower + field(GRAPH, borrowed)


def tensors(model: memoryview) -> dict[str, memoryview]:
    """Name → the encoded TensorProto of every initializer."""
    return {
        name: tensor
        for graph in parts(model, GRAPH)
        for tensor in parts(graph, INITIALIZER)
        for name in names(tensor, TENSOR_NAME)
    }
