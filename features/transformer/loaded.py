"""A model directory, ready to run: its notes, its tokenizer, its session and the one way to call it."""

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from features.columns import Floats
from features.digests import digest
from features.errors import Corrupt, NotReady
from features.transformer import packed, padded
from features.transformer.model import (
    MODEL,
    PADDED,
    TOKENIZER,
    Notes,
    read_content,
    read_notes,
    read_part,
)
from features.transformer.packed import Pair, feed
from features.transformer.session import SESSIONS, Pause, Session, Sessions
from features.transformer.wordpiece import WordPieces

LONG = 128
"""Tokens of a pair that takes a core longer than a micro-batch should."""
GOLDEN_TOLERANCE = 0.02
"""Absolute and relative: machines round sums differently, and a value may fall on the next int8 step."""


@dataclass(frozen=True, slots=True, eq=False, weakref_slot=True)
class Model:
    """A transformer that is ready; safe to share among threads."""

    notes: Notes
    session: Session
    pieces: WordPieces

    def run(self, pairs: Sequence[Pair], pause: Pause | None = None) -> Floats:
        """One micro-batch: a score a pair, float32[n], or a vector a text, float32[n, dimension].

        Long pairs, and all pairs of a large model, run in parts, with the `pause` between two. Other
        micro-batches are as short as planning makes them.
        """
        long = max(map(len, pairs)) > LONG
        found: Floats = self.session.run([self.notes.task], self.feed(pairs), pause, long)[0]
        return found

    def tokens(self, texts: Sequence[str]) -> Pair:
        """A query with a document, or one text alone, with nothing cut."""
        made = self.pieces.encode(texts)
        parts = [made.of(at) for at in range(len(texts))]
        return self.notes.layout.pair(*parts) if len(parts) > 1 else self.notes.layout.alone(*parts)

    def feed(self, pairs: Sequence[Pair]) -> dict[str, Any]:
        """The graph's inputs for a micro-batch."""
        if self.notes.family != PADDED:
            return feed(pairs)
        made = padded.padded(pairs, self.notes.padding, self.notes.layout.segments, self.notes.max_tokens)
        return {name: made[name] for name in self.session.inputs}


def load_model(directory: Path, sessions: Sessions = SESSIONS) -> Model:
    """The model in a directory, shared with whoever has the same open.

    Raises:
        NotReady: if a file is missing or does not fit the others.
        Corrupt: if model.onnx is not the one that model.json was written for, or scores otherwise.
    """
    notes = read_notes(directory)
    tokenizer = read_part(directory / TOKENIZER)
    return shared(notes, tokenizer, session_of(directory, notes, sessions), sessions)


def session_of(directory: Path, notes: Notes, sessions: Sessions) -> Session:
    """The session of model.onnx; a file that is open already is not read again."""
    path = directory / MODEL
    if not notes.lender and path.is_file() and digest(path) == notes.digest:
        session = sessions.open.get(notes.digest)
        if session is not None:
            return session
    return sessions.share(read_content(directory, notes), notes.digest, MODEL)


def shared(notes: Notes, tokenizer: bytes, session: Session, sessions: Sessions) -> Model:
    """The model of a session: a tokenizer is as large as a small session, and golden outputs are run once.

    Raises:
        NotReady: if the graph does not read what its family does.
        Corrupt: if it scores otherwise than was written.
    """
    key = sha256(msgspec.json.encode(notes) + tokenizer).hexdigest()
    model: Model | None = sessions.models.get(key)
    if model is None or model.session is not session:
        check_inputs(notes, session.inputs)
        model = Model(notes, session, WordPieces.load(tokenizer))
        check_golden(model)
        sessions.models[key] = model
    return model


def check_inputs(notes: Notes, found: Sequence[str]) -> None:
    """Refuse a graph that does not read what its family does."""
    wanted = padded.INPUTS if notes.family == PADDED else packed.INPUTS
    optional = {padded.INPUTS[-1]} if notes.family == PADDED else set()
    if not set(wanted) - optional <= set(found) <= set(wanted):
        raise NotReady(f"takes {', '.join(found)} where {', '.join(wanted)} is meant", path=MODEL)


def check_golden(model: Model) -> None:
    """Run what was recorded at export again, each input alone.

    Raises:
        Corrupt: if another output comes of it.
    """
    for golden in model.notes.golden:
        made = np.ravel(model.run([model.tokens(golden.texts)]))[: len(golden.output)]
        if not np.allclose(made, golden.output, rtol=GOLDEN_TOLERANCE, atol=GOLDEN_TOLERANCE):
            message = f"gives {made.tolist()} for {golden.texts[-1][:40]!r} where {list(golden.output)} was"
            raise Corrupt(f"{message} written; export it again on this machine", path=MODEL)
