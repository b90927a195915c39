"""How long a text is."""

from typing import ClassVar

import numpy as np

from features.batch import CandidateBatch
from features.columns import Floats
from features.feature import State
from features.text.documents import documents
from features.text.feature import TextFeature


class Length(TextFeature, frozen=True, kw_only=True):
    """Number of terms of a text field, or ln(1 + terms); NaN where the text is missing.

    Attributes:
        field: the text column.
        log1p: the logarithm instead of the number.
    """

    kind: ClassVar[str] = "length"

    field: str
    log1p: bool = False

    @property
    def text_fields(self) -> tuple[str, ...]:
        """The one field."""
        return (self.field,)

    def compute(self, batch: CandidateBatch, state: State) -> Floats:  # noqa: ARG002 (learns nothing)
        """float32[n, 1], at least 0."""
        _, lengths = documents(batch, self.field, self.analyzer).spans
        terms = np.where(lengths < 0, np.nan, lengths)
        return (np.log1p(terms) if self.log1p else terms).astype(np.float32)[:, None]
