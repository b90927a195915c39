"""Likeness of spelling: character trigrams that query and text share."""

from typing import ClassVar, Literal

from features.batch import CandidateBatch
from features.columns import Floats, Input, Kind
from features.feature import Feature, State
from features.text.trigrams import similarity


class Ngram(Feature, frozen=True, kw_only=True):
    r"""Similarity of the sets of character trigrams of query Q and text D, which forgives misspellings.

    dice = 2 |Q ∩ D| / (|Q| + |D|)
    containment = |Q ∩ D| / |Q|

    Trigrams are those of the lower-cased words (runs of `\w`), each padded with two blanks before and one
    behind, as in PostgreSQL's pg_trgm. Dice suits titles and names; containment suits longer texts, whose
    size would drown the query's. Missing text gives NaN; an empty query or an empty text gives 0.

    Sources: Dice, "Measures of the Amount of Ecologic Association Between Species" (1945); Angell, Freund
    and Willett, "Automatic spelling correction using a trigram similarity measure" (1983).

    Attributes:
        field: the text column.
        measure: "dice" or "containment".
    """

    kind: ClassVar[str] = "ngram"

    field: str
    measure: Literal["dice", "containment"] = "dice"

    @property
    def inputs(self) -> tuple[Input, ...]:
        """The one field."""
        return (Input(self.field, Kind.TEXT),)

    def compute(self, batch: CandidateBatch, state: State) -> Floats:  # noqa: ARG002 (learns nothing)
        """float32[n, 1], from 0 to 1."""
        return similarity(batch, self.field, self.measure == "dice")[:, None]
