"""Vectors that were made before, on disk: mapped into memory, so that only what is asked for is ever read.

A vector is found by the content of its text, so that one whose document has changed since is not used; and
by the document's id where a request sends no text at all.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from features.columns import Floats, Rows
from features.errors import Corrupt
from features.transformer.vector_cache import KEY_BYTES, Flags, content_key

VECTORS = "vectors.npy"
KEYS = "vectors.npz"

Halves = NDArray[np.uint64]
"""uint64[n, 2]: keys of 16 bytes."""


@dataclass(frozen=True, slots=True, eq=False)
class Index:
    """Rows by key. `first` are the rising first halves, `rows` what they belong to."""

    first: NDArray[np.uint64]
    rows: Rows
    keys: Halves

    @classmethod
    def of(cls, keys: Halves) -> "Index":
        """An index of a row a key; of equal keys the first counts."""
        rows = np.argsort(keys[:, 0], kind="stable")
        return cls(keys[rows, 0], rows, keys)

    def find(self, keys: Sequence[bytes]) -> tuple[Flags, Rows]:
        """bool[n]: which keys there are, and the rows of these."""
        if not len(self.rows) or not keys:
            return np.zeros(len(keys), bool), np.empty(0, np.int64)
        asked = halves(keys)
        places = np.searchsorted(self.first, asked[:, 0]).clip(max=len(self.rows) - 1)
        rows = self.rows[places]
        there: Flags = np.asarray((self.keys[rows] == asked).all(axis=1), bool)
        return there, rows[there]


@dataclass(frozen=True, slots=True, eq=False)
class VectorTable:
    """A table that is ready.

    Attributes:
        vectors: float32[n, d], mapped.
        cut: bool[n]: the text was longer than the model read.
        contents, ids: rows by the content of the text and by the document's id.
    """

    vectors: Floats
    cut: Flags
    contents: Index
    ids: Index

    def __len__(self) -> int:
        return len(self.vectors)

    def find(self, keys: Sequence[bytes]) -> tuple[Flags, Floats, Flags]:
        """bool[n]: which contents there are; of these the vectors, and whether their texts were cut."""
        there, rows = self.contents.find(keys)
        return there, np.asarray(self.vectors[rows]), self.cut[rows]

    def find_ids(self, ids: Sequence[str]) -> tuple[Flags, Floats]:
        """bool[n]: which documents there are, and the vectors of these."""
        there, rows = self.ids.find([content_key(one) for one in ids])
        return there, np.asarray(self.vectors[rows])


def halves(keys: Sequence[bytes]) -> Halves:
    """Keys of 16 bytes as two numbers each."""
    return np.frombuffer(b"".join(keys), "<u8").reshape(len(keys), KEY_BYTES // 8)


def save_table(
    directory: Path,
    rows: int,
    dimension: int,
    parts: Iterable[tuple[Sequence[str], Sequence[bytes], Flags, Floats]],
) -> None:
    """Write a table of `rows` vectors, which come in parts of (ids, contents, cut, vectors)."""
    vectors = np.lib.format.open_memmap(
        directory / VECTORS, mode="w+", dtype=np.float32, shape=(rows, dimension)
    )
    done: int = 0
    ids: list[Halves] = [np.empty((0, 2), np.uint64)]
    contents: list[Halves] = [np.empty((0, 2), np.uint64)]
    cuts: list[Flags] = [np.empty(0, bool)]
    for names, keys, cut, part in parts:
        vectors[done : done + len(part)] = part
        done += len(part)
        ids.append(halves([content_key(name) for name in names]))
        contents.append(halves(keys))
        cuts.append(cut)
    vectors.flush()
    np.savez(
        directory / KEYS,
        ids=np.concatenate(ids),
        contents=np.concatenate(contents),
        cut=np.concatenate(cuts),
    )


def load_table(directory: Path, dimension: int) -> VectorTable | None:
    """The table of a directory, or None where there is none.

    Raises:
        Corrupt: if its parts do not fit each other, or the dimension.
    """
    if not (directory / VECTORS).is_file():
        return None
    try:
        vectors = np.load(directory / VECTORS, mmap_mode="r", allow_pickle=False)
        with np.load(directory / KEYS, allow_pickle=False) as arrays:
            ids, contents, cut = (arrays[name] for name in ("ids", "contents", "cut"))
    except (OSError, ValueError, KeyError) as error:
        raise Corrupt(f"is no table of vectors: {error}", path=VECTORS) from None
    fits = vectors.dtype == np.float32 and vectors.shape == (len(contents), dimension)
    if not fits or not len(ids) == len(contents) == len(cut):
        raise Corrupt(f"{vectors.dtype}{vectors.shape} does not fit {len(contents)} keys", path=VECTORS)
    return VectorTable(vectors, cut, Index.of(contents), Index.of(ids))
