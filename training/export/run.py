"""Runs a graph that was just written, over pairs of texts: for calibration and for parity."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from features.columns import Floats, Rows
from features.transformer.packed import Pair, feed, micro_batches
from features.transformer.session import SessionSettings, create
from features.transformer.tokens import Pairing, TokenCache
from features.transformer.wordpiece import WordPieces
from training.export.layouts import layout_of

BATCH_TOKENS = 384
CACHE_BYTES = 64_000_000


def pairing(tokenizer: str, max_tokens: int, query_tokens: int) -> Pairing:
    """The same making of pairs that the stage does.

    Raises:
        InvalidInput: if the tokenizer says nothing of pairs.
    """
    pieces = WordPieces.load(tokenizer.encode())
    layout = layout_of(tokenizer)
    room = min(query_tokens, max_tokens - layout.special - 1)
    return Pairing(pieces, layout, max_tokens, room, TokenCache(CACHE_BYTES))


def open_model(model: Any) -> Any:
    """A session of a model in memory, on all cores: batches come one after the other."""
    return create(model.SerializeToString(), SessionSettings(threads=0))


def batches(pairs: Sequence[Pair]) -> Iterator[Rows]:
    """Rows in micro-batches over all pairs."""
    return micro_batches([len(pair) for pair in pairs], BATCH_TOKENS)


def scores(session: Any, pairs: Sequence[Pair]) -> Floats:
    """float32[n]: the model's score of every pair."""
    found = np.full(len(pairs), np.nan, np.float32)
    for rows in batches(pairs):
        found[rows] = session.run(["score"], feed([pairs[row] for row in rows.tolist()]))[0]
    return found
