"""A static encoder: a text's vector is the weighted sum of a table's vectors of its word pieces.

    v(text) = s / |s|,   s = Σ scale[p] · pieces[p]   over the pieces p of the text

It costs microseconds a text and knows no word order. Model2Vec (Tulkens and van Dongen 2024) and SIF
(Arora, Liang and Ma 2017) are of this kind; the weight of a piece is part of its `scale`.
"""

import hashlib
import io
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path
from threading import Lock

import numpy as np
from numpy.typing import NDArray

from features.columns import Floats
from features.errors import Corrupt, NotReady
from features.transformer.wordpiece import WordPieces
from features.vectors import add_up

EMBEDDED = "embedded"
"""Name of the encoder that comes with the package."""

PACKAGED = "embedded/encoder.npz"

_loading = Lock()


@dataclass(frozen=True, slots=True, eq=False)
class StaticEncoder:
    """A loaded encoder; safe to share among threads.

    Attributes:
        tokenizer: turns texts into pieces.
        pieces: int8[V, d].
        scale: float32[V], what a row of `pieces` is multiplied with; 0 for pieces without a say.
        digest: SHA-256 of the file, in hexadecimal: equal digests give equal vectors.
    """

    tokenizer: WordPieces
    pieces: NDArray[np.int8]
    scale: Floats
    digest: str

    @property
    def dimension(self) -> int:
        """Numbers in a vector."""
        return int(self.pieces.shape[1])

    def encode(self, texts: Sequence[str | None], prefix: str = "") -> Floats:
        """float32[n, d]: unit vectors; a row of NaN for a text without a piece that has a say."""
        tokens = self.tokenizer.encode([prefix + text if text else "" for text in texts])
        vectors = np.empty((len(texts), self.dimension), np.float32)
        add_up(tokens.ids, tokens.offsets, self.pieces, self.scale, vectors)
        return vectors


def save_encoder(path: Path, pieces: NDArray[np.int8], scale: Floats, tokenizer_json: bytes) -> None:
    """Write an encoder's file: an `.npz` of `pieces`, `scale` and the tokenizer's JSON as bytes."""
    with path.open("wb") as out:
        tokenizer = np.frombuffer(tokenizer_json, np.uint8)
        np.savez_compressed(
            out, pieces=pieces.astype(np.int8), scale=scale.astype(np.float32), tokenizer=tokenizer
        )


def load_encoder(name: str = EMBEDDED) -> StaticEncoder:
    """The encoder of that name (`embedded`) or in that file, loaded once a process.

    Raises:
        NotReady: if there is no such file.
        Corrupt: if the file is not an encoder.
    """
    source = files("features") / PACKAGED if name == EMBEDDED else Path(name)
    if not source.is_file():
        raise NotReady(f"no encoder {name!r}: it is neither the embedded one, as installed, nor a file")
    with _loading:
        return _load(str(source))


@cache
def _load(path: str) -> StaticEncoder:
    return read_encoder(Path(path).read_bytes())


def read_encoder(raw: bytes) -> StaticEncoder:
    """An encoder from the bytes of its file.

    Raises:
        Corrupt: if an array is missing, or of another shape or type than it must be.
    """
    try:
        with np.load(io.BytesIO(raw), allow_pickle=False) as arrays:
            pieces, scale, tokenizer = (arrays[name] for name in ("pieces", "scale", "tokenizer"))
    except (ValueError, KeyError, OSError, EOFError, zipfile.BadZipFile) as error:
        raise Corrupt(f"not an encoder: {error}") from None
    pair = WordPieces.load(tokenizer.tobytes())
    if pieces.dtype != np.int8 or scale.dtype != np.float32 or pieces.ndim != 2 or pair.size > len(pieces):
        raise Corrupt(f"int8 pieces {pieces.shape} do not fit a tokenizer of {pair.size}", path="pieces")
    if scale.shape != pieces.shape[:1] or not np.isfinite(scale).all():
        raise Corrupt("needs one finite number a piece", path="scale")
    scale = scale.copy()
    if pair.unknown is not None:
        scale[pair.unknown] = 0.0
    return StaticEncoder(pair, np.ascontiguousarray(pieces), scale, hashlib.sha256(raw).hexdigest())
