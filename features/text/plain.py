"""The plain twin of the compiled analysis: what it means, in a few lines, for tests to compare with."""

import re

from features.text.analyzer import Analyzer

MASK = (1 << 64) - 1
MULTIPLIER = 0x9E3779B97F4A7C15
FINALIZER = 0xD6E8FEB86659FD93


def words(text: str) -> list[str]:
    r"""The maximal runs of `\w` in the lower-cased text."""
    return re.findall(r"\w+", text.lower())


def hash_word(word: str) -> int:
    """64-bit hash of a word's UTF-8, eight bytes at a time, little-endian."""
    data = word.encode()
    state = 0
    for at in range(0, len(data), 8):
        state = _mix(state, int.from_bytes(data[at : at + 8], "little"))
    return state


def _mix(state: int, block: int) -> int:
    state = ((state ^ block) * MULTIPLIER) & MASK
    state = ((state ^ (state >> 32)) * FINALIZER) & MASK
    return state ^ (state >> 29)


def terms(text: str, analyzer: Analyzer) -> list[int]:
    """Hashes of a text's terms: words, without stop words, stemmed, as the analyzer says."""
    stops = analyzer.stops
    kept = [word for word in words(text) if word not in stops]
    stemmer = analyzer.stemmer()
    return [hash_word(word if stemmer is None else stemmer.stemWord(word)) for word in kept]
