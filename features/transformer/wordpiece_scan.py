"""The compiled half of WordPiece: bytes in, piece ids out, against a vocabulary in a hash table.

The table is read-only and holds nothing but the vocabulary, so it needs no lock, no byte budget and no
eviction, and nothing that a caller sends stays behind in it. Entries are compared byte by byte after the
hash has found them: a collision costs time and never changes an id.
"""

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple, cast

import numpy as np
from numpy.typing import NDArray

from features.columns import Rows
from features.text.compiled import compiled

Bytes = NDArray[np.uint8]
Ids = NDArray[np.int32]

WORD, SPACE, MARK, DROPPED, FOREIGN = range(5)
"""What a byte is: part of a word, a separator, punctuation (a word of its own), nothing, not ASCII."""

PRIME = np.uint64(0x100000001B3)
SEEDS = np.array([0xCBF29CE484222325, 0x9AE16A3B2F90404F], np.uint64)
"""FNV-1a over the bytes, from another start for pieces inside a word."""

ZERO = cast(int, np.int64(0))
"""Where counters start: a literal 0 is a type of its own to numba, which would compile every helper twice."""


class Table(NamedTuple):
    """A vocabulary of ASCII pieces.

    Attributes:
        slots: int32[power of two]: the entry that hashes there, or -1; linear probing, a quarter full.
        entries: int32[V, 4], a cache line for four: first byte in `arena`, bytes, whether it stands inside a
            word (kept without its prefix `##`), id.
        classes: uint8[256]: the class of each byte; `folded`: its lower case, or itself.
        unknown: the id of a word that cannot be split; `max_chars`: longer words are unknown.
        longest: bytes of the longest piece.
    """

    slots: Ids
    entries: Ids
    arena: Bytes
    classes: Bytes
    folded: Bytes
    unknown: int
    longest: int
    max_chars: int


def build(vocabulary: Mapping[str, int], prefix: str, unknown: int, max_chars: int, *, lower: bool) -> Table:
    """The table of a vocabulary; pieces that are not ASCII are left to the reference tokenizer."""
    pieces = [(piece, token) for piece, token in vocabulary.items() if piece and piece.isascii()]
    inner = [piece.startswith(prefix) and piece != prefix for piece, _ in pieces]
    bare = [p[len(prefix) :].encode() if i else p.encode() for (p, _), i in zip(pieces, inner, strict=True)]
    lengths = [len(piece) for piece in bare]
    ids = [token for _, token in pieces]
    table = Table(
        slots=np.full(1 << (2 * len(bare) + 16).bit_length(), -1, np.int32),
        entries=np.array([np.cumsum([0, *lengths])[:-1], lengths, inner, ids], np.int32).T.copy(),
        arena=np.frombuffer(b"".join(bare) or b"\0", np.uint8),
        classes=byte_classes(),
        folded=np.frombuffer(bytes(range(256)).lower() if lower else bytes(range(256)), np.uint8),
        unknown=unknown,
        longest=max(lengths, default=1),
        max_chars=max_chars,
    )
    fill(table)
    return table


def byte_classes() -> Bytes:
    """uint8[256]: the class of each byte, as BERT's normaliser and pre-tokeniser treat ASCII."""
    classes = np.full(256, FOREIGN, np.uint8)
    classes[:128] = MARK
    classes[:32] = classes[127] = DROPPED
    set_class(classes, b" \t\n\r", SPACE)
    set_class(classes, (byte for byte in range(128) if chr(byte).isalnum()), WORD)
    return classes


def set_class(classes: Bytes, which: Iterable[int], value: int) -> None:
    """Give bytes a class."""
    classes[list(which)] = value


@compiled
def fill(table: Any) -> None:
    """Put every piece of the vocabulary into its slot."""
    mask = np.uint64(len(table.slots) - 1)
    for entry in range(len(table.entries)):
        start, length, inner, _ = table.entries[entry]
        code = SEEDS[inner]
        for at in range(start, start + length):
            code = (code ^ np.uint64(table.arena[at])) * PRIME
        slot = (code ^ (code >> np.uint64(29))) & mask
        while table.slots[slot] >= 0:
            slot = (slot + np.uint64(1)) & mask
        table.slots[slot] = entry


@compiled
def find(table: Any, word: Bytes, start: int, end: int, inner: int, code: np.uint64) -> int:
    """The entry of `word[start:end]`, whose hash is `code`; -1 where the vocabulary lacks it."""
    mask = np.uint64(len(table.slots) - 1)
    slot = (code ^ (code >> np.uint64(29))) & mask
    while table.slots[slot] >= 0:
        entry = table.slots[slot]
        begin = table.entries[entry, 0]
        if table.entries[entry, 1] == end - start and table.entries[entry, 2] == inner:
            at = 0
            while at < end - start and table.arena[begin + at] == word[start + at]:
                at += 1
            if at == end - start:
                return int(entry)
        slot = (slot + np.uint64(1)) & mask
    return -1


@compiled
def longest_match(table: Any, word: Bytes, start: int, length: int, codes: NDArray[np.uint64]) -> int:
    """The longest piece that `word[start:length]` begins with; -1 where there is none."""
    inner = 1 if start else 0
    most = min(length - start, table.longest)
    code = SEEDS[inner]
    for at in range(most):
        code = (code ^ np.uint64(word[start + at])) * PRIME
        codes[at] = code
    for at in range(most, 0, -1):
        entry = find(table, word, start, start + at, inner, codes[at - 1])
        if entry >= 0:
            return entry
    return -1


@compiled
def split(table: Any, word: Bytes, length: int, codes: NDArray[np.uint64], out: Ids, at: int) -> int:
    """Write a word's pieces to `out` from `at` on, greedy longest first; the position behind them."""
    begin, start = at, ZERO
    while start < length and length <= table.max_chars:
        entry = longest_match(table, word, start, length, codes)
        if entry < 0:
            break
        out[at] = table.entries[entry, 3]
        at += 1
        start += table.entries[entry, 1]
    if start < length:
        out[begin] = table.unknown
        return begin + 1
    return at


@compiled
def scan(table: Any, text: Bytes, ends: Rows, out: Ids, counts: Rows, spans: Rows) -> int:
    """Ids of texts that stand in `text` one behind the other, up to `ends`.

    Writes ids to `out`, how many each text has to `counts`, and returns how many rows of `spans` it wrote:
    (text, position in `out`, first byte, last byte + 1) of stretches between ASCII separators that are not
    all ASCII and left out of `out`.
    """
    word = np.empty(table.max_chars + 1, np.uint8)
    codes = np.empty(table.longest, np.uint64)
    at = begin = found = ZERO
    for row in range(len(ends)):
        first = segment_at = at
        segment, length, i = begin, ZERO, begin
        while i < ends[row]:
            kind = table.classes[text[i]]
            if kind == WORD:
                if length < len(word):
                    word[length] = table.folded[text[i]]
                    length += 1
            elif kind == FOREIGN:
                at, length = segment_at, ZERO
                while i < ends[row] and table.classes[text[i]] != SPACE:
                    i += 1
                found = add_span(spans, found, row, at, segment, i)
                continue
            elif kind != DROPPED:
                at = split(table, word, length, codes, out, at)
                length = ZERO
                if kind == MARK:
                    word[0] = text[i]
                    length += 1
                    at = split(table, word, length, codes, out, at)
                    length = ZERO
                else:
                    segment, segment_at = i + 1, at
            i += 1
        at = split(table, word, length, codes, out, at)
        counts[row] = at - first
        begin = ends[row]
    return found


@compiled
def add_span(spans: Rows, found: int, row: int, at: int, first: int, end: int) -> int:
    """Note a stretch, as part of the one before it where nothing stands between them."""
    if found and spans[found - 1, 0] == row and spans[found - 1, 1] == at:
        spans[found - 1, 3] = end
        return found
    spans[found, 0], spans[found, 1], spans[found, 2], spans[found, 3] = row, at, first, end
    return found + 1
