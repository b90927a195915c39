"""64-bit hashes of the rows of Arrow columns, all at once: what sorting, joining and comparing go by.

FNV-1a over the bytes, then the finaliser of MurmurHash3, so that the high bits are as good as the low ones.
Two of 50 million different ids share a hash with a probability of 7e-5; whoever relies on a hash to mean "the
same" compares the strings too, where that matters.
"""

from functools import reduce

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from features.text.compiled import compiled

Hashes = NDArray[np.uint64]

NULL = np.uint64(0x9E3779B97F4A7C15)


@compiled
def hash_spans(data: NDArray[np.uint8], offsets: NDArray[np.int64]) -> Hashes:
    """uint64[n]: of the bytes `data[offsets[i]:offsets[i + 1]]`."""
    out = np.empty(len(offsets) - 1, np.uint64)
    for row in range(len(out)):
        value = np.uint64(0xCBF29CE484222325)
        for at in range(offsets[row], offsets[row + 1]):
            value = (value ^ np.uint64(data[at])) * np.uint64(0x100000001B3)
        value ^= value >> np.uint64(33)
        value *= np.uint64(0xFF51AFD7ED558CCD)
        value ^= value >> np.uint64(33)
        value *= np.uint64(0xC4CEB9FE1A85EC53)
        out[row] = value ^ (value >> np.uint64(33))
    return out


def mixed(left: Hashes, right: Hashes) -> Hashes:
    """One hash out of two; the order matters."""
    both = np.stack([left, right], axis=1).view(np.uint8).ravel()
    return hash_spans(both, np.arange(0, 16 * len(left) + 1, 16))


def hash_rows(table: pa.Table, names: tuple[str, ...]) -> Hashes:
    """uint64[n]: of the named columns together."""
    return reduce(mixed, (hash_column(table[name]) for name in names))


def hash_column(column: pa.ChunkedArray | pa.Array) -> Hashes:
    """uint64[n]: equal for equal values, whatever the chunks; a dictionary hashes as its strings do."""
    chunks = column.chunks if isinstance(column, pa.ChunkedArray) else [column]
    return np.concatenate([np.empty(0, np.uint64), *(hash_array(chunk) for chunk in chunks)])


def hash_array(array: pa.Array) -> Hashes:
    """uint64[n] of one array."""
    if pa.types.is_dictionary(array.type):
        words = hash_array(array.dictionary)
        found = words[array.indices.fill_null(0).to_numpy(zero_copy_only=False)] if len(words) else words
    elif pa.types.is_list(array.type):
        found = hash_lists(array)
    elif pa.types.is_string(array.type) or pa.types.is_binary(array.type):
        found = hash_spans(data_of(array), offsets_of(array))
    else:
        found = hash_fixed(array)
    return with_nulls(found, array)


def with_nulls(found: Hashes, array: pa.Array) -> Hashes:
    """The hashes, with that of a missing value where there is none."""
    if not array.null_count:
        return found
    missing = array.is_null().to_numpy(zero_copy_only=False)
    return np.where(missing, NULL, found if len(found) else np.zeros(len(array), np.uint64))


def hash_lists(array: pa.Array) -> Hashes:
    """Of lists, by the hashes of their elements."""
    offsets = array.offsets.to_numpy().astype(np.int64)
    inner = hash_array(array.values[offsets[0] : offsets[-1]])
    return hash_spans(inner.view(np.uint8), (offsets - offsets[0]) * 8)


def hash_fixed(array: pa.Array) -> Hashes:
    """Of numbers and times, by their bits."""
    values = array.fill_null(0) if array.null_count else array
    if pa.types.is_timestamp(array.type):
        values = values.cast(pa.int64())
    bits = np.ascontiguousarray(values.to_numpy(zero_copy_only=False))
    width = bits.dtype.itemsize
    return hash_spans(bits.view(np.uint8), np.arange(0, width * len(bits) + 1, width))


def data_of(array: pa.Array) -> NDArray[np.uint8]:
    """The bytes of strings one after the other."""
    buffer = array.buffers()[2]
    return np.frombuffer(buffer, np.uint8) if buffer is not None else np.empty(0, np.uint8)


def offsets_of(array: pa.Array) -> NDArray[np.int64]:
    """int64[n + 1]: where each string begins in `data_of`."""
    if not len(array):
        return np.zeros(1, np.int64)
    whole = np.frombuffer(array.buffers()[1], np.int32)
    taken: NDArray[np.int64] = whole[array.offset : array.offset + len(array) + 1].astype(np.int64)
    return taken
