"""A sentence encoder as a packed graph: texts to vectors, kept by content.

    v(text) = pool(transformer(prefix text))

Sentence-BERT (Reimers and Gurevych 2019); how tokens are pooled is part of the graph. A text's vector is the
same to the bit whatever was encoded with it: texts of a micro-batch have the same padded width, and linear
layers with calibrated scales are exact a row (see `features/transformer/packed.py`).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from hashlib import sha256
from math import inf
from pathlib import Path
from threading import Lock
from weakref import WeakValueDictionary

import numpy as np

from features.columns import Floats
from features.errors import NotReady
from features.transformer.encoding import Encoded, Known, Unlimited, distinct
from features.transformer.loaded import Model, load_model
from features.transformer.model import TOKENIZER, VECTOR
from features.transformer.packed import Pair
from features.transformer.queue import AHEAD, UNHURRIED
from features.transformer.scheduler import SCHEDULERS, Scheduler
from features.transformer.session import SESSIONS, Sessions
from features.transformer.ticket import Limit
from features.transformer.tokens import CHARACTERS_A_TOKEN
from features.transformer.vector_cache import Flags, VectorCache, content_key
from features.vectors import to_unit_length


@dataclass(frozen=True, slots=True)
class Reading:
    """How texts are read.

    Attributes:
        max_tokens: of a text with its prefix, special tokens included; more is cut and reported.
        batch_tokens: of a micro-batch; between 192 and 768 fits processor caches.
        cache_bytes: for vectors, by content.
        unit: divide a vector by its length.
    """

    max_tokens: int = 256
    batch_tokens: int = 512
    cache_bytes: int = 256_000_000
    unit: bool = True


@dataclass(frozen=True, slots=True, eq=False, weakref_slot=True)
class SentenceEncoder:
    """A loaded encoder; safe to share among threads.

    Attributes:
        model: its files, loaded.
        reading: how texts are read.
        digest: SHA-256, in hexadecimal, over the model, its tokenizer and the reading: equal digests give
            equal vectors.
        cache: vectors by content.
        scheduler: shares the model among requests.
    """

    model: Model
    reading: Reading
    digest: str
    cache: VectorCache
    scheduler: Scheduler

    @property
    def dimension(self) -> int:
        """Numbers in a vector."""
        return self.model.notes.dimension

    def encode(self, texts: Sequence[str | None], prefix: str = "") -> Floats:
        """float32[n, d]; a row of NaN for a text without a token, or whose vector is not finite."""
        return self.encoded(texts, prefix).vectors

    def encoded(
        self,
        texts: Sequence[str | None],
        prefix: str = "",
        table: Known | None = None,
        limit: Limit | None = None,
    ) -> Encoded:
        """The vectors, with what is to be told of them.

        Args:
            texts: in the order of their importance.
            prefix: stands before every text, as models of the E5 family ask for.
            table: vectors made before.
            limit: until when, and for whom: what was made for one tenant is not known to another, as what
                an answer has cost would tell whether others hold a text too.
        """
        made = Encoded(texts, np.full((len(texts), self.dimension), np.nan, np.float32))
        rows = np.flatnonzero(~made.done)
        keys = [content_key(prefix + (texts[row] or "")) for row in rows.tolist()]
        if table is not None:
            rows, keys = made.fill(rows, keys, table.find(keys))
        limit = limit or Unlimited()
        keys = owned(keys, limit.share.tenant)
        rows, keys = made.fill(rows, keys, self.cache.find(keys))
        if keys:
            work = Work(self, made, prefix, distinct(rows, keys))
            work.run(limit)
        return made


@dataclass(frozen=True, slots=True, eq=False)
class Work:
    """Texts that the model has to read.

    Attributes:
        made: what is filled in.
        groups: each distinct text's key and rows, in the order of importance.
        paired: the number of the group of every pair that was made.
    """

    encoder: SentenceEncoder
    made: Encoded
    prefix: str
    groups: Sequence[tuple[bytes, list[int]]]
    paired: list[int] = field(default_factory=list)

    def run(self, limit: Limit) -> None:
        """Encode, keep and fill in."""
        encoder, made = self.encoder, self.made
        size = AHEAD if limit.at < inf else UNHURRIED
        found = encoder.scheduler.run(self.windows(size), limit, encoder.reading.batch_tokens)
        made.late, made.tokens, made.queue_s = found.late, found.tokens, found.queue_s
        for position in found.failed:
            made.done[self.groups[self.paired[position]][1]] = True
        if len(found.positions):
            self.keep([self.paired[position] for position in found.positions.tolist()], found.values)

    def windows(self, size: int) -> Iterator[list[Pair]]:
        """The texts as the model reads them, `size` at a time; those without a token are left out."""
        for start in range(0, len(self.groups), size):
            groups = self.groups[start : start + size]
            pairs, cut = self.pairs([self.made.texts[rows[0]] or "" for _, rows in groups])
            for (_, rows), pair, short in zip(groups, pairs, cut.tolist(), strict=True):
                self.made.cut[rows] = short
                if pair is None:
                    self.made.done[rows] = self.made.wordless[rows] = True
            self.paired.extend(start + at for at, pair in enumerate(pairs) if pair is not None)
            yield [pair for pair in pairs if pair is not None]

    def pairs(self, texts: Sequence[str]) -> tuple[list[Pair | None], Flags]:
        """Each text with its prefix, None where it has no token of its own; and which were cut."""
        model, prefix = self.encoder.model, self.prefix
        layout = model.notes.layout
        room = self.encoder.reading.max_tokens - layout.single
        bound = room * CHARACTERS_A_TOKEN
        tokens = model.pieces.encode([prefix + text[:bound] for text in texts])
        alone = model.pieces.encode([prefix, prefix.rstrip()])  # a last blank may be a token of its own
        bare = {alone.of(at).tobytes() for at in range(len(alone))}
        found = [tokens.of(at) for at in range(len(texts))]
        cut = (np.diff(tokens.offsets) > room) | np.array([len(text) > bound for text in texts], bool)
        return [None if ids.tobytes() in bare else layout.alone(ids[:room]) for ids in found], cut

    def keep(self, numbers: Sequence[int], vectors: Floats) -> None:
        """Put the vectors of some groups into the cache and into their rows."""
        vectors[~np.isfinite(vectors).all(axis=1)] = np.nan
        if self.encoder.reading.unit:
            to_unit_length(vectors)
        firsts = [self.groups[number][1][0] for number in numbers]
        self.encoder.cache.put([self.groups[number][0] for number in numbers], vectors, self.made.cut[firsts])
        for number, vector in zip(numbers, vectors, strict=True):
            rows = self.groups[number][1]
            self.made.vectors[rows], self.made.done[rows] = vector, True


def owned(keys: list[bytes], tenant: str) -> list[bytes]:
    """Keys that only one tenant's texts have; those of nobody in particular stay as they are."""
    mark = content_key(tenant) if tenant else b""
    return [mark + key for key in keys]


ENCODERS: WeakValueDictionary[tuple[str, Reading, int], SentenceEncoder] = WeakValueDictionary()
"""The process's encoders, so that rankers with the same one share what it keeps."""

_loading = Lock()


def load_sentence_encoder(
    directory: Path, reading: Reading | None = None, sessions: Sessions = SESSIONS
) -> SentenceEncoder:
    """The encoder of a model directory.

    Raises:
        NotReady: if a file is missing or does not fit the others, or the model gives scores, not vectors.
        Corrupt: if model.onnx is not the one that model.json was written for.
    """
    model = load_model(directory, sessions)
    return ready(model, (directory / TOKENIZER).read_bytes(), reading or Reading(), str(directory))


def ready(model: Model, tokenizer: bytes, reading: Reading, path: str = "") -> SentenceEncoder:
    """The encoder of a loaded model: the process's own, where it already has the same one with its cache.

    Raises:
        NotReady: if the model gives scores, not vectors.
    """
    notes = model.notes
    if notes.task != VECTOR:
        raise NotReady("gives scores of pairs, not vectors of texts", path=path)
    reading = replace(reading, max_tokens=min(reading.max_tokens, notes.max_tokens))
    digest = sha256(notes.digest.encode() + sha256(tokenizer).digest())
    digest.update(f"{reading.max_tokens}/{reading.unit}".encode())
    key = (digest.hexdigest(), reading, id(model.session))
    with _loading:
        found = ENCODERS.get(key)
        if found is None:
            cache = VectorCache(reading.cache_bytes, notes.dimension)
            scheduler = SCHEDULERS.of(model.session, model.run)
            found = ENCODERS[key] = SentenceEncoder(model, reading, key[0], cache, scheduler)
    return found
