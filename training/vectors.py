"""Vectors of a whole corpus in a Parquet file, made before any request.

Columns: `id`, `content` (16 bytes that stand for the text as it was read), `cut` (the text was longer than
the model reads) and `vector` (a fixed-size list of float32). The file says which encoder made it, so that no
other one's vectors are ever compared with them, and `content` tells a changed document from a known one.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from features.columns import Floats, Rows
from features.errors import InvalidInput
from features.transformer.encoder import SentenceEncoder
from features.transformer.encoding import Encoded
from features.transformer.table import Index, VectorTable, halves, save_table
from features.transformer.vector_cache import KEY_BYTES, Flags, content_key
from training.progress import Track, quiet

ENCODER = b"sluice.encoder"
COLUMNS = ("id", "content", "cut", "vector")
CHUNK = 2_000
"""Documents encoded, written and read at a time."""

Part = tuple[list[str], list[bytes], Flags, Floats]
"""Ids, contents, cut, vectors."""


@dataclass(frozen=True, slots=True)
class Made:
    """What came of encoding a corpus.

    Attributes:
        vectors: documents that have one now; `reused`: of them, those that the file had before.
        cut: documents longer than the model reads; `empty`: those without a text, and so without a vector.
        dimension: numbers in a vector.
        tokens: read by the model.
    """

    vectors: int
    reused: int
    cut: int
    empty: int
    dimension: int
    tokens: int


def encode_corpus(
    ids: Sequence[str],
    texts: Sequence[str],
    encoder: SentenceEncoder,
    prefix: str,
    out: Path,
    track: Track = quiet,
) -> Made:
    """Write the vectors of all documents to `out`; those of it that still hold are taken over.

    The file appears whole or not at all: a run that is killed leaves the one before.
    """
    known = known_vectors(out, encoder)
    out.parent.mkdir(parents=True, exist_ok=True)
    staged = out.with_name(f".{out.name}.new")
    starts = range(0, len(ids), CHUNK)
    parts: list[Encoded] = []
    try:
        with pq.ParquetWriter(staged, schema(encoder), compression="none") as writer:
            for start in track(starts, "encoding documents", len(starts)):
                made = encoder.encoded(texts[start : start + CHUNK], prefix, known)
                writer.write_batch(batch(encoder, ids[start : start + CHUNK], prefix, made))
                made.vectors = made.vectors[:0]
                parts.append(made)
        staged.replace(out)
    finally:
        staged.unlink(missing_ok=True)
    return told(parts, known, prefix, encoder.dimension)


def schema(encoder: SentenceEncoder) -> pa.Schema:
    """The columns of a file of this encoder's vectors."""
    types = (pa.string(), pa.binary(KEY_BYTES), pa.bool_(), pa.list_(pa.float32(), encoder.dimension))
    return pa.schema(list(zip(COLUMNS, types, strict=True)), metadata={ENCODER: encoder.digest.encode()})


def batch(encoder: SentenceEncoder, ids: Sequence[str], prefix: str, made: Encoded) -> pa.RecordBatch:
    """The rows of some documents, without those that have no vector."""
    there: Rows = np.flatnonzero(np.isfinite(made.vectors).all(axis=1))
    names = [ids[at] for at in there.tolist()]
    contents = [content_key(prefix + (made.texts[at] or "")) for at in there.tolist()]
    flat = pa.array(made.vectors[there].ravel(), pa.float32())
    vectors = pa.FixedSizeListArray.from_arrays(flat, encoder.dimension)
    return pa.record_batch([names, contents, made.cut[there], vectors], schema=schema(encoder))


def told(parts: Sequence[Encoded], known: VectorTable | None, prefix: str, dimension: int) -> Made:
    """The counts."""
    texts = [
        text or "" for part in parts for text, bare in zip(part.texts, part.wordless, strict=True) if not bare
    ]
    reused = known.find([content_key(prefix + text) for text in texts])[0].sum() if known and texts else 0
    empty = sum(int(part.wordless.sum()) for part in parts)
    cut, tokens = sum(int(part.cut.sum()) for part in parts), sum(part.tokens for part in parts)
    return Made(len(texts), int(reused), cut, empty, dimension, tokens)


def known_vectors(path: Path, encoder: SentenceEncoder) -> VectorTable | None:
    """The vectors of a file, if there is one by this encoder that holds any."""
    if not path.is_file() or maker(path) != encoder.digest or not pq.read_metadata(path).num_rows:
        return None
    ids, contents, cut, vectors = zip(*parts_of(path), strict=True)
    keys = [content_key(name) for part in ids for name in part]
    found = [content for part in contents for content in part]
    return VectorTable(
        np.concatenate(vectors), np.concatenate(cut), Index.of(halves(found)), Index.of(halves(keys))
    )


def maker(path: Path) -> str:
    """The digest of the encoder that made a file.

    Raises:
        InvalidInput: if it is no such file.
    """
    try:
        found = pq.read_schema(path)
    except (pa.ArrowException, OSError) as error:
        raise InvalidInput(f"cannot be read as Parquet: {error}", path=str(path)) from None
    if ENCODER not in (found.metadata or {}) or not set(COLUMNS) <= set(found.names):
        raise InvalidInput("is no file of `sluice encode`", path=str(path))
    return bytes(found.metadata[ENCODER]).decode()


def parts_of(path: Path) -> Iterator[Part]:
    """The rows of a file, some thousand at a time."""
    with pq.ParquetFile(path) as file:
        for some in file.iter_batches(CHUNK, columns=list(COLUMNS)):
            vectors = some.column("vector")
            rows = vectors.flatten().to_numpy().reshape(len(some), vectors.type.list_size)
            cut = some.column("cut").to_numpy(zero_copy_only=False)
            yield some.column("id").to_pylist(), some.column("content").to_pylist(), cut, rows


def install_table(path: Path, directory: Path, encoder: SentenceEncoder) -> int:
    """Put the vectors of a file where a stage loads them from; how many there are.

    Raises:
        InvalidInput: if another encoder made them.
    """
    if maker(path) != encoder.digest:
        message = (
            "was made by another encoder, or with another max_tokens or similarity; run `sluice encode` with"
            " the model and the settings of this stage"
        )
        raise InvalidInput(message, path=str(path))
    rows = pq.read_metadata(path).num_rows
    save_table(directory, rows, encoder.dimension, parts_of(path))
    return int(rows)
