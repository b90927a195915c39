"""Records in a file that may end anywhere: a marker, a length, a checksum, then the payload.

    MARK (4 bytes)   length (4, little-endian)   CRC-32 of length and payload (4)   payload

A process that dies while it writes leaves a torn tail: bytes that are no whole frame and that nobody was told
are safe. A frame that a disk has spoilt is passed over, because the next marker with a right checksum is
looked for; the bytes passed over are counted, so that damage is never silent.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from zlib import crc32

MARK = b"\xf5SL\n"
HEADER = struct.Struct("<4sII")
LENGTH = struct.Struct("<I")
LARGEST = 1 << 28
"""Bytes of a payload; a length beyond it is damage."""


@dataclass(slots=True)
class Passed:
    """Bytes that are no frame: `torn` at the end of the file, `damaged` before a whole frame."""

    torn: int = 0
    damaged: int = 0


def frame(payload: bytes) -> bytes:
    """The payload as it is appended to a file."""
    return HEADER.pack(MARK, len(payload), checksum(payload)) + payload


def checksum(payload: bytes | memoryview) -> int:
    """CRC-32 of the length and the payload, so that a length of zeros is no frame."""
    return crc32(payload, crc32(LENGTH.pack(len(payload))))


def payloads(data: bytes, passed: Passed) -> Iterator[bytes]:
    """Every whole payload in a file's bytes, in order; what is passed over is added to `passed`."""
    return (payload for payload, _ in placed(data, passed))


def placed(data: bytes, passed: Passed) -> Iterator[tuple[bytes, int]]:
    """The same, each with the place behind its frame: where to read on another time."""
    at = 0
    while at < len(data):
        end = whole(data, at)
        if end:
            yield data[at + HEADER.size : end], end
            at = end
            continue
        following = next_whole(data, at + 1)
        if following < 0:
            passed.torn += len(data) - at
            return
        passed.damaged += following - at
        at = following


def whole(data: bytes, at: int) -> int:
    """Where the frame that begins at a byte ends; 0 if none begins there."""
    if len(data) - at < HEADER.size:
        return 0
    mark, length, crc = HEADER.unpack_from(data, at)
    end: int = at + HEADER.size + length
    if mark != MARK or length > LARGEST or end > len(data):
        return 0
    return end if checksum(memoryview(data)[at + HEADER.size : end]) == crc else 0


def next_whole(data: bytes, at: int) -> int:
    """Where the next whole frame begins; -1 if there is none."""
    at = data.find(MARK, at)
    while at >= 0 and not whole(data, at):
        at = data.find(MARK, at + 1)
    return at
