"""Pairs of tokens laid end to end, as the packed graph reads them (see `training/export/bert.py`).

Pairs that share a micro-batch have the same padded width, which depends on the pair alone. So attention
computes the same products for a pair whatever its company is, and as linear layers with calibrated scales
are exact a row, a pair's score is the same to the bit in any batch.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from features.columns import Rows

Ids = NDArray[np.int32]

INPUTS = ("ids", "typ", "pos", "gidx", "lengths", "fidx", "cls")
"""Names of the graph's inputs."""
WIDTH = 8
"""Padded widths are multiples of this: half a 512-bit register, so that little is padded, and few enough
widths to fill batches. Against 16, a fiftieth more of titles a second."""


@dataclass(frozen=True, slots=True, eq=False)
class Pair:
    """One query and document as `[CLS] query [SEP] document [SEP]`; `second` is where segment 1 begins."""

    ids: Ids
    second: int

    def __len__(self) -> int:
        return len(self.ids)


def width(length: int) -> int:
    """The padded width of a pair of that many tokens."""
    return -(-length // WIDTH) * WIDTH


def feed(pairs: Sequence[Pair]) -> dict[str, Ids]:
    """The graph's inputs for a micro-batch, all int32; its width is the widest pair's."""
    lengths = np.array([len(pair) for pair in pairs], np.int32)
    ends = np.cumsum(lengths)
    starts = (ends - lengths).astype(np.int32)
    places = np.arange(ends[-1]) - np.repeat(starts, lengths)
    columns = np.arange(width(int(lengths.max())))
    real = columns < lengths[:, None]
    seconds = np.repeat([pair.second for pair in pairs], lengths)
    return {
        "ids": np.concatenate([pair.ids for pair in pairs]),
        "typ": (places >= seconds).astype(np.int32),
        "pos": places.astype(np.int32),
        "gidx": np.where(real, starts[:, None] + columns, starts[:, None]).astype(np.int32),
        "lengths": lengths,
        "fidx": np.flatnonzero(real).astype(np.int32),
        "cls": starts,
    }


def micro_batches(lengths: Sequence[int], budget: int) -> Iterator[Rows]:
    """Rows in micro-batches of one width and at most `budget` cells; a wider pair goes alone."""
    widths = np.array([width(length) for length in lengths], np.int64)
    for wide in np.unique(widths).tolist():
        alike = np.flatnonzero(widths == wide)
        size = max(1, budget // wide)
        yield from (alike[start : start + size] for start in range(0, len(alike), size))
