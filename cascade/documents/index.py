"""From ids to rows: a hash table in arrays that are mapped into memory.

Open addressing with linear probing (Knuth, TAOCP 6.4): slot h mod m and the ones behind it, at least half of
which are empty. A slot keeps the id's 64-bit hash beside its row, and the id's bytes are compared at last, so
that no two ids are ever taken for each other. The hash has a seed of the table's own, so that nobody can
choose ids that collide.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from features.columns import Rows
from features.text.compiled import compiled, inlined

Bytes = NDArray[np.uint8]
Hashes = NDArray[np.uint64]
Slots = NDArray[np.int32]

EMPTY = -1
MOST_ROWS = 2**31 - 1
FIRST, SECOND = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xBF58476D1CE4E5B9)


@dataclass(frozen=True, slots=True, eq=False)
class Ids:
    """Ids as UTF-8, one behind the other: the bytes of id i are `data[starts[i]:starts[i + 1]]`."""

    data: Bytes
    starts: Rows

    def __len__(self) -> int:
        return len(self.starts) - 1

    def __getitem__(self, row: int) -> str:
        return bytes(self.data[self.starts[row] : self.starts[row + 1]]).decode()

    @classmethod
    def of(cls, ids: Any) -> "Ids":
        """Of a sequence of strings, or of an Arrow array of them without nulls."""
        array = ids if isinstance(ids, pa.Array) else pa.array(ids, pa.large_string())
        _, starts, data = array.buffers()
        if not len(array):
            return cls(np.frombuffer(b"", np.uint8), np.frombuffer(bytes(8), np.int64))
        edges = np.frombuffer(starts, np.int64)[array.offset : array.offset + len(array) + 1]
        return cls(np.frombuffer(data, np.uint8) if data else np.frombuffer(b"", np.uint8), edges)

    def arrow(self) -> Any:
        """An Arrow array over the same memory."""
        return pa.LargeStringArray.from_buffers(len(self), pa.py_buffer(self.starts), pa.py_buffer(self.data))

    def hashes(self, seed: int) -> Hashes:
        """uint64[n]."""
        return hashed(self.data, self.starts, np.uint64(seed))


@dataclass(frozen=True, slots=True, eq=False)
class Index:
    """The hash table: `keys` uint64[m] and `slots` int32[m], the row of each key or EMPTY; m a power of
    two."""

    keys: Hashes
    slots: Slots

    @classmethod
    def build(cls, hashes: Hashes) -> "Index":
        """Of the rows' hashes, in the order of the rows; ids must be distinct, hashes need not."""
        size = 1 << max(1, (2 * len(hashes) - 1).bit_length())
        keys, slots = np.zeros(size, np.uint64), np.full(size, EMPTY, np.int32)
        fill(hashes, keys, slots)
        return cls(keys, slots)

    def find(self, ids: Ids, hashes: Hashes, held: Ids) -> Rows:
        """int64[n]: each id's row among those held, EMPTY for one that is not."""
        return probe(ids.data, ids.starts, hashes, self.keys, self.slots, held.data, held.starts)


@inlined
def mixed(value: np.uint64) -> np.uint64:
    """A bijection of 64 bits in which every bit depends on every other (splitmix64, Steele et al. 2014)."""
    value = (value ^ (value >> np.uint64(30))) * SECOND
    value = (value ^ (value >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return value ^ (value >> np.uint64(31))


@compiled
def hashed(data: Bytes, starts: Rows, seed: np.uint64) -> Hashes:
    """The hash of each id: eight bytes at a time, mixed into what was before."""
    made = np.empty(len(starts) - 1, np.uint64)
    for row in range(len(made)):
        begin, end = starts[row], starts[row + 1]
        state = mixed(seed ^ (np.uint64(end - begin) * FIRST))
        for at in range(begin, end, 8):
            word = np.uint64(0)
            for byte in range(at, min(at + 8, end)):
                word = (word << np.uint64(8)) | np.uint64(data[byte])
            state = mixed((state ^ word) + FIRST)
        made[row] = state
    return made


@compiled
def fill(hashes: Hashes, keys: Hashes, slots: Slots) -> None:
    """Put every row into the first empty slot from its own on."""
    mask = np.uint64(len(slots) - 1)
    for row in range(len(hashes)):
        at = hashes[row] & mask
        while slots[at] != EMPTY:
            at = (at + np.uint64(1)) & mask
        keys[at] = hashes[row]
        slots[at] = row


@compiled
def probe(
    data: Bytes, starts: Rows, hashes: Hashes, keys: Hashes, slots: Slots, held: Bytes, held_starts: Rows
) -> Rows:
    """See `Index.find`."""
    found = np.full(len(hashes), EMPTY, np.int64)
    mask = np.uint64(len(slots) - 1)
    for query in range(len(hashes)):
        at = hashes[query] & mask
        while slots[at] != EMPTY:
            row = slots[at]
            if keys[at] == hashes[query] and same(
                data, starts[query], starts[query + 1], held, held_starts[row], held_starts[row + 1]
            ):
                found[query] = row
                break
            at = (at + np.uint64(1)) & mask
    return found


@inlined
def same(one: Bytes, begin: int, end: int, other: Bytes, other_begin: int, other_end: int) -> bool:
    """Whether two stretches of bytes are equal."""
    if end - begin != other_end - other_begin:
        return False
    for step in range(end - begin):  # noqa: SIM110 (compiled: no generators)
        if one[begin + step] != other[other_begin + step]:
            return False
    return True
