"""Runs a graph that was just written, over pairs of texts: for calibration and for parity."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from features.columns import Floats, Rows
from features.errors import InvalidInput
from features.transformer.packed import Pair, feed, micro_batches
from features.transformer.session import SessionSettings, create
from features.transformer.tokens import Pairing, TokenCache
from features.transformer.wordpiece import WordPieces
from training.export.checkpoint import TOKENIZER

BATCH_TOKENS = 384
CACHE_BYTES = 64_000_000


def pairing(tokenizer: str, max_tokens: int, query_tokens: int) -> Pairing:
    """The same making of pairs that the stage does.

    Raises:
        InvalidInput: if the tokenizer has no [CLS] or [SEP].
    """
    pieces = WordPieces.load(tokenizer.encode())
    first, last = special(pieces, "[CLS]"), special(pieces, "[SEP]")
    return Pairing(pieces, first, last, max_tokens, query_tokens, TokenCache(CACHE_BYTES))


def special(pieces: WordPieces, token: str) -> int:
    """The id of a special token."""
    found = pieces.id_of(token)
    if found is None:
        raise InvalidInput(f"has no {token}, which a BERT pair is made with", path=TOKENIZER)
    return found


def tokenise(texts: Pairing, pairs: Sequence[tuple[str, str]]) -> list[Pair]:
    """Every (query, document) as tokens."""
    return [texts.pairs(query, [document])[0][0] for query, document in pairs]


def open_model(model: Any) -> Any:
    """A session of a model in memory."""
    return create(model.SerializeToString(), SessionSettings())


def batches(pairs: Sequence[Pair]) -> Iterator[Rows]:
    """Rows in micro-batches over all pairs."""
    return micro_batches([len(pair) for pair in pairs], BATCH_TOKENS)


def scores(session: Any, pairs: Sequence[Pair]) -> Floats:
    """float32[n]: the model's score of every pair."""
    found = np.full(len(pairs), np.nan, np.float32)
    for rows in batches(pairs):
        found[rows] = session.run(["score"], feed([pairs[row] for row in rows.tolist()]))[0]
    return found
