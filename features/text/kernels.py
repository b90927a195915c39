r"""The compiled scan: UTF-8 bytes → folded bytes (lower case, zero between words) → 64-bit term hashes.

Folded bytes hold zero for whatever `\w` does not match, so that a word ends at the next zero byte, which is
found eight bytes at a time. Every document must be followed by a zero byte and the whole by eight.
"""

import numpy as np
from numpy.typing import NDArray

from features.text.compiled import compiled, inlined

U = np.uint64
MULTIPLIER = U(0x9E3779B97F4A7C15)
FINALIZER = U(0xD6E8FEB86659FD93)
ONES = U(0x0101010101010101)
HIGHS = U(0x8080808080808080)
BLOCK = 8

Bytes = NDArray[np.uint8]
Hashes = NDArray[np.uint64]
Offsets = NDArray[np.int64]


@inlined
def mix(state: np.uint64, block: np.uint64) -> np.uint64:
    """The state after eight more bytes; a bijection of the block, so words up to 8 bytes never collide."""
    state = (state ^ block) * MULTIPLIER
    state = (state ^ (state >> U(32))) * FINALIZER
    return state ^ (state >> U(29))


@inlined
def block_at(data: Bytes, at: np.uint64) -> np.uint64:
    """Eight bytes, little-endian; the compiler makes one load of it."""
    return (
        U(data[at])
        | (U(data[at + U(1)]) << U(8))
        | (U(data[at + U(2)]) << U(16))
        | (U(data[at + U(3)]) << U(24))
        | (U(data[at + U(4)]) << U(32))
        | (U(data[at + U(5)]) << U(40))
        | (U(data[at + U(6)]) << U(48))
        | (U(data[at + U(7)]) << U(56))
    )


@compiled
def fold_ascii(data: Bytes, folded: Bytes) -> None:
    """Fold ASCII: letters to lower case, digits and underscore kept, the rest to zero (vectorised)."""
    for i in range(len(data)):
        byte = data[i]
        low = byte | np.uint8(32)
        kept = np.uint8(0)
        if np.uint8(low - np.uint8(97)) < np.uint8(26):
            kept = low
        if np.uint8(byte - np.uint8(48)) < np.uint8(10) or byte == np.uint8(95):
            kept = byte
        folded[i] = kept
    folded[len(data) :] = 0


@inlined
def decode(data: Bytes, at: int) -> tuple[np.int64, int]:
    """The code point at a byte of valid UTF-8, and its bytes."""
    lead = np.int64(data[at])
    if lead < 0x80:
        return lead, 1
    if lead < 0xE0:
        return (lead & 0x1F) << 6 | (data[at + 1] & 0x3F), 2
    if lead < 0xF0:
        return (lead & 0x0F) << 12 | (data[at + 1] & 0x3F) << 6 | (data[at + 2] & 0x3F), 3
    high = (lead & 0x07) << 18 | (data[at + 1] & 0x3F) << 12
    return high | (data[at + 2] & 0x3F) << 6 | (data[at + 3] & 0x3F), 4


@inlined
def encode(point: np.int64, folded: Bytes, at: int) -> int:
    """Write a code point as UTF-8; the byte after it."""
    if point < 0x80:
        folded[at] = point
        return at + 1
    if point < 0x800:
        folded[at] = 0xC0 | point >> 6
        folded[at + 1] = 0x80 | point & 0x3F
        return at + 2
    if point < 0x10000:
        folded[at] = 0xE0 | point >> 12
        folded[at + 1] = 0x80 | point >> 6 & 0x3F
        folded[at + 2] = 0x80 | point & 0x3F
        return at + 3
    folded[at] = 0xF0 | point >> 18
    folded[at + 1] = 0x80 | point >> 12 & 0x3F
    folded[at + 2] = 0x80 | point >> 6 & 0x3F
    folded[at + 3] = 0x80 | point & 0x3F
    return at + 4


@compiled
def fold_unicode(data: Bytes, table: NDArray[np.uint32], lengths: Offsets, folded: Bytes) -> int:
    """Fold UTF-8 by the table; turns `lengths` (code points a document) into ends in `folded`.

    Documents are followed by one separator byte each. Returns the bytes written, without padding.
    """
    read = 0
    written = 0
    for document in range(len(lengths)):
        for _ in range(lengths[document]):
            point, size = decode(data, read)
            read += size
            written = encode(np.int64(table[point]), folded, written)
        lengths[document] = written
        folded[written] = 0
        written += 1
        read += 1
    folded[written : written + BLOCK] = 0
    return written


@compiled
def scan_ascii(data: Bytes, lengths: Offsets) -> tuple[Hashes, Offsets, Offsets]:
    """Fold and split in one call: documents of `lengths` bytes, each but the last behind one separator."""
    folded = np.empty(len(data) + BLOCK, np.uint8)
    fold_ascii(data, folded)
    ends = np.empty(len(lengths), np.int64)
    end = -1
    for document in range(len(lengths)):
        end += lengths[document] + 1
        ends[document] = end
    return split(folded, ends, False)


@compiled
def split(folded: Bytes, ends: Offsets, locate: bool) -> tuple[Hashes, Offsets, Offsets]:
    """Hash every word: the hashes, their offsets int64[n + 1] by document, and each word's first byte.

    The first bytes are left out where `locate` is off.
    """
    room = len(folded) // 2
    hashes = np.empty(room, np.uint64)
    starts = np.empty(room if locate else 0, np.int64)
    offsets = np.zeros(len(ends) + 1, np.int64)
    count = 0
    at = U(0)
    for document in range(len(ends)):
        end = U(ends[document])
        state = U(0)
        first = at
        inside = False
        while at < end:
            block = block_at(folded, at)
            zeros = (block - ONES) & ~block & HIGHS
            if zeros == U(0):
                state = mix(state, block)
                inside = True
                at += U(BLOCK)
                continue
            mask = ((zeros & (~zeros + U(1))) >> U(7)) - U(1)
            if mask:
                state = mix(state, block & mask)
                inside = True
            at += (((mask & ONES) * ONES) >> U(56)) + U(1)
            if inside:
                hashes[count] = state
                if locate:
                    starts[count] = first
                count += 1
                state = U(0)
                inside = False
            first = at
        if inside:
            hashes[count] = state
            if locate:
                starts[count] = first
            count += 1
            at = end
        offsets[document + 1] = count
    return hashes[:count].copy(), offsets, starts[:count]
