"""How text becomes terms."""

from typing import Any

import msgspec
import Stemmer

ENGLISH = (
    "a an and are as at be but by for if in into is it no not of on or such that the their then there these "
    "they this to was will with"
)
STOP_WORDS = {
    "english": frozenset(ENGLISH.split()),
}
"""Stop words by language; English is Lucene's list of 33."""


class Analyzer(msgspec.Struct, frozen=True):
    r"""Lower case, then the maximal runs of `\w`, then stop words dropped, then stems (Lucene's order).

    A dropped word leaves no gap: its neighbours stand side by side.

    Attributes:
        language: whose Snowball stemmer and stop words are meant.
        stem: whether words are stemmed.
        stop_words: whether stop words are dropped.

    Raises:
        ValueError: for a language that has no stemmer or no list of stop words where one is asked for.
    """

    language: str = "english"
    stem: bool = False
    stop_words: bool = False

    def __post_init__(self) -> None:
        if self.stem and self.language not in Stemmer.algorithms():
            raise ValueError(f"no stemmer for {self.language!r}; there are {', '.join(Stemmer.algorithms())}")
        if self.stop_words and self.language not in STOP_WORDS:
            raise ValueError(f"no stop words for {self.language!r}; there are {', '.join(STOP_WORDS)}")

    @property
    def stops(self) -> frozenset[str]:
        """The words to drop."""
        return STOP_WORDS[self.language] if self.stop_words else frozenset()

    def stemmer(self) -> Any:
        """A new stemmer with `stemWord` and `stemWords` (one thread at a time), or None."""
        return Stemmer.Stemmer(self.language) if self.stem else None
