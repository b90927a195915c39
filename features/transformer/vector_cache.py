"""Vectors by the content that they were made of, within a byte budget.

They are kept in float32: in float16 twice as many would fit, but turning them back costs about twenty times
as much as gathering them.
"""

from collections import OrderedDict
from collections.abc import Sequence
from hashlib import blake2b
from threading import Lock

import numpy as np
from numpy.typing import NDArray

from features.columns import Floats

KEY_BYTES = 16
OVERHEAD = 200
"""Bytes that an entry costs beyond its vector."""

Flags = NDArray[np.bool_]


def content_key(text: str) -> bytes:
    """16 bytes that stand for a text: equal texts have equal ones, and no two texts are known to."""
    return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=KEY_BYTES).digest()


class VectorCache:
    """The vectors lie in one block, so that all that is known of a request is one gather. The least recently
    used go first. Safe among threads."""

    def __init__(self, budget: int, dimension: int) -> None:
        self.capacity = budget // (4 * dimension + OVERHEAD)
        self.rows: Floats = np.empty((self.capacity, dimension), np.float32)
        self.cut: Flags = np.zeros(self.capacity, bool)
        self.places: OrderedDict[bytes, int] = OrderedDict()
        self.lock = Lock()

    def __len__(self) -> int:
        return len(self.places)

    def find(self, keys: Sequence[bytes]) -> tuple[Flags, Floats, Flags]:
        """bool[n]: which keys are known; of these, in order, the vectors `float32[k, d]` and whether their
        texts were cut, `bool[k]`."""
        with self.lock:
            places = [self.places.get(key) for key in keys]
            for key, place in zip(keys, places, strict=True):
                if place is not None:
                    self.places.move_to_end(key)
            found = np.array([place for place in places if place is not None], np.int64)
            known = np.array([place is not None for place in places], bool)
            return known, self.rows[found], self.cut[found]

    def put(self, keys: Sequence[bytes], vectors: Floats, cut: Flags) -> None:
        """Keep the vectors, in the place of the least recently used where there is no other."""
        if not self.capacity:
            return
        with self.lock:
            for key, vector, short in zip(keys, vectors, cut.tolist(), strict=True):
                if key in self.places:
                    self.places.move_to_end(key)
                else:
                    place = self._free_place()
                    self.places[key] = place
                    self.rows[place] = vector
                    self.cut[place] = short

    def _free_place(self) -> int:
        if len(self.places) < self.capacity:
            return len(self.places)
        return self.places.popitem(last=False)[1]
