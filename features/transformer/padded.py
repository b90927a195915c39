"""Pairs as padded rows, for graphs that torch exported as they are."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from features.transformer.packed import Pair, width

INPUTS = ("input_ids", "attention_mask", "token_type_ids")
"""Names of the graph's inputs; the last only where the model reads segments."""


def padded(pairs: Sequence[Pair], padding: int, segments: bool, most: int) -> dict[str, NDArray[np.int64]]:
    """`INPUTS`, int64[n, S] each, S the padded width of the longest pair.

    Args:
        pairs: a micro-batch.
        padding: the id that fills rows.
        segments: whether documents count as segment 1.
        most: columns that the model has positions for.
    """
    lengths = np.array([len(pair) for pair in pairs])
    columns = np.arange(max(lengths.max(), min(width(int(lengths.max())), most)))
    real = columns < lengths[:, None]
    ids = np.full(real.shape, padding, np.int64)
    ids[real] = np.concatenate([pair.ids for pair in pairs])
    seconds = np.array([pair.second for pair in pairs])[:, None]
    types = (real & (columns >= seconds)) if segments else np.zeros_like(real)
    return {
        "input_ids": ids,
        "attention_mask": real.astype(np.int64),
        "token_type_ids": types.astype(np.int64),
    }
