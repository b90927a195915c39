"""A sentence encoder as the learned state of a feature: its files travel with the bundle, as bytes."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any
from weakref import finalize

import msgspec
import numpy as np
from numpy.typing import NDArray

from features.errors import NotReady
from features.transformer.encoder import Reading, SentenceEncoder, load_sentence_encoder, ready
from features.transformer.loaded import shared
from features.transformer.model import MODEL, NOTES, TOKENIZER, Notes, read_content
from features.transformer.session import SESSIONS

FILES = (MODEL, TOKENIZER, NOTES)

_open: dict[tuple[int, Reading], SentenceEncoder] = {}
"""By the identity of the state's model: the digest of its bytes would take longer than many a request."""


def carry(directory: Path, reading: Reading) -> dict[str, NDArray[Any]]:
    """The state that holds a model directory: file name → uint8 array.

    Raises:
        NotReady: if it holds no encoder that is ready, or one whose vectors depend on their company.
    """
    notes = load_sentence_encoder(directory, reading).model.notes
    if not notes.independent:
        raise NotReady(
            f"is {notes.variant}: its vectors depend on what else is in a batch, which a feature's may not;"
            " export it as int8, or use it in a bi_encoder stage",
            path=str(directory),
        )
    files = {
        MODEL: read_content(directory, notes),
        TOKENIZER: (directory / TOKENIZER).read_bytes(),
        NOTES: msgspec.json.encode(msgspec.structs.replace(notes, lender="")),
    }
    return {name: np.frombuffer(content, np.uint8) for name, content in files.items()}


def carried(state: Mapping[str, NDArray[Any]], reading: Reading) -> SentenceEncoder:
    """The encoder that a state holds, opened once for as long as the state lives.

    Raises:
        NotReady: if a file is missing or cannot be run.
        Corrupt: if the model is not the one that its notes were written for.
    """
    absent = [name for name in FILES if name not in state]
    if absent:
        raise NotReady(f"the encoder has no {', '.join(absent)}; train it again")
    whole = state[MODEL]
    key = (id(whole), reading)
    if key not in _open:
        _open[key] = unpacked(state, reading)
        finalize(whole, _open.pop, key, None)
    return _open[key]


def unpacked(state: Mapping[str, NDArray[Any]], reading: Reading) -> SentenceEncoder:
    """The encoder of a state's bytes."""
    notes = msgspec.json.decode(state[NOTES].tobytes(), type=Notes)
    tokenizer = state[TOKENIZER].tobytes()
    session = SESSIONS.share(state[MODEL].tobytes(), notes.digest, MODEL)
    return ready(shared(notes, tokenizer, session, SESSIONS), tokenizer, reading)
