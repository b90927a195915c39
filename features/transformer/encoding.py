"""Texts and what is known of their vectors: found where they were made before, or made and filled in."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from math import inf
from typing import Protocol

import numpy as np

from features.columns import Floats, Rows
from features.fairness import ALONE, Share
from features.transformer.vector_cache import Flags


class Known(Protocol):
    """Vectors by the content of their texts."""

    def find(self, keys: Sequence[bytes]) -> tuple[Flags, Floats, Flags]:
        """bool[n]: which there are; of these the vectors, and whether their texts were cut."""
        ...


@dataclass(frozen=True, slots=True)
class Unlimited:
    """All the time that it takes."""

    at: float = inf
    left_s: float = inf
    expired: bool = False
    aside: Callable[[], AbstractContextManager[object]] = nullcontext
    share: Share = ALONE


@dataclass(slots=True, eq=False)
class Encoded:
    """n texts and what is known of them.

    Attributes:
        texts: None and "" have no vector.
        vectors: float32[n, d]; NaN without a token, where the model gives no finite vector, and until `done`.
        cut: bool[n]: the text was longer than the model reads.
        done: bool[n]: no more is to be known of the row.
        wordless: bool[n]: the text has no token.
        late: time ran out before all was done; the first texts went first.
        tokens: read by the model; `queue_s`: seconds of waiting for it.
    """

    texts: Sequence[str | None]
    vectors: Floats
    cut: Flags = field(init=False)
    done: Flags = field(init=False)
    wordless: Flags = field(init=False)
    late: bool = False
    tokens: int = 0
    queue_s: float = 0.0

    def __post_init__(self) -> None:
        self.cut = np.zeros(len(self.texts), bool)
        self.wordless = np.array([not (text and text.strip()) for text in self.texts], bool)
        self.done = self.wordless.copy()

    def fill(
        self, rows: Rows, keys: Sequence[bytes], found: tuple[Flags, Floats, Flags]
    ) -> tuple[Rows, list[bytes]]:
        """Take over what was found; the rows and keys that are left."""
        there, vectors, cut = found
        self.vectors[rows[there]], self.cut[rows[there]], self.done[rows[there]] = vectors, cut, True
        return rows[~there], [key for key, had in zip(keys, there.tolist(), strict=True) if not had]


def distinct(rows: Rows, keys: Sequence[bytes]) -> list[tuple[bytes, list[int]]]:
    """Each key with its rows, in the order of their first."""
    same: dict[bytes, list[int]] = {}
    for row, key in zip(rows.tolist(), keys, strict=True):
        same.setdefault(key, []).append(row)
    return list(same.items())
