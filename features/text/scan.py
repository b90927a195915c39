"""Texts to term hashes: join, encode and fold them all at once, then split into words."""

from collections.abc import Sequence

import msgspec
import numpy as np

from features.text.folding import CONTEXTUAL, fold_table
from features.text.kernels import BLOCK, Bytes, Hashes, Offsets, fold_ascii, fold_unicode, scan_ascii, split

SEPARATOR = "\n"
"""Between texts; no word character, and neither cased nor ignorable in case (so ς and σ come out right)."""


class Folded(msgspec.Struct, frozen=True, eq=False):
    """Texts in lower case as one buffer, zero bytes between words.

    Attributes:
        data: uint8, ending in eight zeros.
        ends: int64[n], the byte after each text, which is zero.
    """

    data: Bytes
    ends: Offsets


class Terms(msgspec.Struct, frozen=True, eq=False):
    """Terms of n documents: `hashes[offsets[d]:offsets[d + 1]]` are document d's, in its order.

    Attributes:
        hashes: uint64[t].
        offsets: int64[n + 1].
    """

    hashes: Hashes
    offsets: Offsets


def fold(texts: Sequence[str]) -> Folded:
    """Texts in one folded buffer."""
    joined = SEPARATOR.join(texts)
    lengths = np.fromiter(map(len, texts), np.int64, len(texts))
    if joined.isascii():
        data = np.frombuffer(joined.encode(), np.uint8)
        folded = np.empty(len(data) + BLOCK, np.uint8)
        fold_ascii(data, folded)
        return Folded(folded, np.cumsum(lengths + 1) - 1)
    if any(character in joined for character in CONTEXTUAL):
        texts = [text.lower() for text in texts]
        joined = SEPARATOR.join(texts)
        lengths = np.fromiter(map(len, texts), np.int64, len(texts))
    data = np.frombuffer(joined.encode("utf-8", "surrogatepass"), np.uint8)
    folded = np.empty(len(data) * 3 // 2 + 1 + BLOCK, np.uint8)  # Ⱥ grows from two bytes to three, no more
    return Folded(folded[: fold_unicode(data, fold_table(), lengths, folded) + BLOCK], lengths)


def scan(texts: Sequence[str]) -> Terms:
    r"""Hashes of the maximal runs of `\w` in the lower-cased texts (equal to `plain.terms`)."""
    joined = SEPARATOR.join(texts)
    if joined.isascii():
        lengths = np.fromiter(map(len, texts), np.int64, len(texts))
        hashes, offsets, _ = scan_ascii(np.frombuffer(joined.encode(), np.uint8), lengths)
        return Terms(hashes, offsets)
    return located(fold(texts), locate=False)[0]


def located(folded: Folded, locate: bool = True) -> tuple[Terms, Offsets]:
    """The terms of folded texts, and the first byte of each (none where `locate` is off)."""
    hashes, offsets, starts = split(folded.data, folded.ends, locate)
    return Terms(hashes, offsets), starts
