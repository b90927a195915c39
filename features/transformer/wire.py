"""Just enough of protobuf's encoding to take an ONNX model apart and to put one together.

A message is fields laid end to end, each a number, a kind and a value. Messages of the same field merge when
their bytes are laid end to end, so that joining takes no ONNX library.
"""

from collections.abc import Iterator
from typing import NamedTuple

from features.errors import Corrupt

VARINT, FIXED_64, BYTES, FIXED_32 = 0, 1, 2, 5
GRAPH, INITIALIZER, TENSOR_NAME = 7, 5, 8
"""Field numbers of ModelProto.graph, GraphProto.initializer and TensorProto.name in onnx.proto."""


class Field(NamedTuple):
    """One field: its number, its value where that is bytes, and the whole of it as encoded."""

    number: int
    value: memoryview
    whole: memoryview


def fields(message: memoryview) -> Iterator[Field]:
    """The fields of a message, in their order.

    Raises:
        Corrupt: if it is cut short or is no such message.
    """
    at = 0
    while at < len(message):
        start = at
        key, at = varint(message, at)
        kind, size = key & 7, 0
        if kind == VARINT:
            _, at = varint(message, at)
        elif kind in (FIXED_64, FIXED_32):
            at += 8 if kind == FIXED_64 else 4
        elif kind == BYTES:
            size, at = varint(message, at)
            at += size
        else:
            raise Corrupt("is no ONNX model")
        if at > len(message):
            raise Corrupt("an ONNX model ends before its tensors do")
        yield Field(key >> 3, message[at - size : at], message[start:at])


def parts(message: memoryview, wanted: int) -> Iterator[memoryview]:
    """The values of one field that holds bytes, in their order.

    Raises:
        Corrupt: if the message is cut short or is no such message.
    """
    return (found.value for found in fields(message) if found.number == wanted)


def names(message: memoryview, wanted: int) -> list[str]:
    """The same as texts."""
    return [bytes(value).decode("utf-8", "replace") for value in parts(message, wanted)]


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
