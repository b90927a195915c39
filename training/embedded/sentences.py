"""The embedded sentence encoder: the starting checkpoint in calibrated int8, less the word vectors.

The embedded cross-encoder starts from the same checkpoint and leaves its word vectors as they are: its file
lends them (`features/transformer/words.py`), and the encoder ships at half its size.
"""

from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path

import msgspec
import numpy as np

from features.errors import InvalidInput
from features.transformer.model import MODEL, VECTOR, read_notes, write_notes
from features.transformer.words import WORDS, joined, tensors
from training.embedded.pairs import Pair
from training.export import Report, export
from training.progress import Track, quiet

CALIBRATION = 40
"""Pairs of each collection that activation scales are calibrated on."""
SEED = 3


def make_sentences(
    start: Path, pairs: Sequence[Pair], out: Path, lender: Path, track: Track = quiet
) -> Report:
    """Export `start` to `out`, and take out the word vectors that `lender` (a model.onnx) holds too.

    Raises:
        InvalidInput: if the lender's word vectors are not the same.
    """
    report = export(
        start, out, calibration(pairs), task=VECTOR, source="all-MiniLM-L6-v2 (Apache-2.0)", track=track
    )
    borrow(out, lender)
    return report


def borrow(directory: Path, lender: Path) -> None:
    """Rewrite a model folder so that it borrows its word vectors.

    Raises:
        InvalidInput: if the lender's are not the same.
    """
    whole = (directory / MODEL).read_bytes()
    part = without(whole)
    again = joined(part, lender.read_bytes())
    if words(again) != words(whole):
        raise InvalidInput("holds other word vectors, so that none can be borrowed of it", path=str(lender))
    notes = read_notes(directory)
    path = Path("..") / lender.relative_to(directory.parent)
    (directory / MODEL).write_bytes(part)
    write_notes(directory, msgspec.structs.replace(notes, digest=sha256(again).hexdigest(), lender=str(path)))


def without(model: bytes) -> bytes:
    """The model less its word vectors."""
    import onnx

    made = onnx.load_from_string(model)
    kept = [tensor for tensor in made.graph.initializer if tensor.name not in WORDS]
    del made.graph.initializer[:]
    made.graph.initializer.extend(kept)
    return bytes(made.SerializeToString())


def words(model: bytes) -> dict[str, bytes]:
    """The word vectors of a model, encoded."""
    found = tensors(memoryview(model))
    return {name: bytes(found[name]) for name in WORDS}


def calibration(pairs: Sequence[Pair]) -> list[tuple[str, str]]:
    """Real pairs, as many of each collection."""
    rng = np.random.default_rng(SEED)
    by_source: dict[str, list[Pair]] = {}
    for pair in pairs:
        by_source.setdefault(pair.source, []).append(pair)
    return [
        (some[i].query, some[i].document)
        for some in by_source.values()
        for i in rng.permutation(len(some))[:CALIBRATION].tolist()
    ]
