"""The keywords of a batch as codes: each distinct keyword is looked at once, however many rows have it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from features.batch import CandidateBatch
from features.columns import Doubles, Kind, Rows
from features.segments import reduce


@dataclass(frozen=True, slots=True, eq=False)
class Coded:
    """Keywords of n rows, case-folded.

    Attributes:
        distinct: the distinct keywords, in order of their first occurrence.
        codes: int64[m], positions in `distinct`, a row's keywords one behind the other.
        offsets: int64[n + 1]; codes `offsets[i]:offsets[i + 1]` are row i's.
    """

    distinct: tuple[str, ...]
    codes: Rows
    offsets: Rows

    def pooled(self, values: NDArray[Any], how: Literal["mean", "max"]) -> Doubles:
        """float64[n] of a number a keyword (float64[m]): each row's mean or maximum, NaN for no keyword."""
        flat = np.asarray(values, np.float64)
        if how == "max":
            return reduce(np.maximum, flat, self.offsets, np.nan)
        sizes = np.diff(self.offsets)
        return reduce(np.add, flat, self.offsets, np.nan) / np.maximum(sizes, 1)


def coded(batch: CandidateBatch, field: str) -> Coded:
    """The keywords of a field, computed once a batch."""
    key = ("keywords", field)
    if key not in batch.memo:
        batch.memo[key] = encode(batch.column(field, Kind.KEYWORD).values)
    made: Coded = batch.memo[key]
    return made


def encode(rows: Sequence[tuple[str, ...]]) -> Coded:
    """Rows of keywords as codes; a keyword that a row has twice counts once."""
    seen: dict[str, int] = {}
    codes: list[int] = []
    offsets = np.zeros(len(rows) + 1, np.int64)
    for position, row in enumerate(rows):
        folded = dict.fromkeys(fold(keyword) for keyword in row)
        codes.extend(seen.setdefault(keyword, len(seen)) for keyword in folded)
        offsets[position + 1] = len(codes)
    return Coded(tuple(seen), np.array(codes, np.int64), offsets)


def fold(keyword: str) -> str:
    """A keyword as it is compared: without case and outer blanks."""
    return keyword.strip().casefold()
