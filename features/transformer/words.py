"""Two models that start from the same word vectors keep them once: the second borrows them from the first.

Word vectors are half of a small transformer. A borrowing model.onnx is written without those tensors; at load
they are copied over from the lender's file. Messages of the same field merge when their bytes are laid end to
end (protobuf's encoding rules, "last one wins" and merging), so that joining takes no ONNX library.
"""

from collections.abc import Iterator, Sequence

from features.errors import Corrupt

WORDS = ("words", "words.scale")
"""The tensors that are borrowed: int8[vocabulary, H] and a float32 scale a row."""

GRAPH, INITIALIZER, TENSOR_NAME = 7, 5, 8
"""Field numbers of ModelProto.graph, GraphProto.initializer and TensorProto.name in onnx.proto."""
VARINT, FIXED_64, BYTES, FIXED_32 = 0, 1, 2, 5


def joined(borrower: bytes, lender: bytes, names: Sequence[str] = WORDS) -> bytes:
    """The borrower's model with the named tensors of the lender.

    Raises:
        Corrupt: if a file is no ONNX model, or the lender has no such tensor.
    """
    found = tensors(memoryview(lender))
    absent = [name for name in names if name not in found]
    if absent:
        raise Corrupt(f"lends no tensor {', '.join(absent)}")
    borrowed = b"".join(field(INITIALIZER, found[name]) for name in names)
    return borrower + field(GRAPH, borrowed)


def tensors(model: memoryview) -> dict[str, memoryview]:
    """Name → the encoded TensorProto of every initializer."""
    found: dict[str, memoryview] = {}
    for graph in parts(model, GRAPH):
        for tensor in parts(graph, INITIALIZER):
            for name in parts(tensor, TENSOR_NAME):
                found[bytes(name).decode("utf-8", "replace")] = tensor
    return found


def parts(message: memoryview, wanted: int) -> Iterator[memoryview]:
    """The values of a field that holds bytes, in their order.

    Raises:
        Corrupt: if the message is cut short or is no such message.
    """
    at = 0
    while at < len(message):
        key, at = varint(message, at)
        kind = key & 7
        if kind == VARINT:
            _, at = varint(message, at)
        elif kind in (FIXED_64, FIXED_32):
            at += 8 if kind == FIXED_64 else 4
        elif kind == BYTES:
            size, at = varint(message, at)
            if at + size > len(message):
                raise Corrupt("an ONNX model ends before its tensors do")
            if key >> 3 == wanted:
                yield message[at : at + size]
            at += size
        else:
            raise Corrupt("is no ONNX model")


def varint(message: memoryview, at: int) -> tuple[int, int]:
    """A base-128 number and the place behind it."""
    value = shift = 0
    while at < len(message) and shift < 64:
        byte = message[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return value, at
    raise Corrupt("an ONNX model ends within a number")


def field(number: int, value: bytes | memoryview) -> bytes:
    """A field that holds bytes, encoded."""
    return encoded(number << 3 | BYTES) + encoded(len(value)) + bytes(value)


def encoded(value: int) -> bytes:
    """A number in base 128, low part first."""
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)
