"""What the first stage, retrieval, thought of a candidate."""

from typing import ClassVar

import numpy as np

from features.batch import CandidateBatch
from features.columns import Floats, Input, Kind
from features.feature import Feature, State


class Retrieval(Feature, frozen=True):
    """`name.score`, the retriever's score as sent, and `name.rank`, the candidate's place in the request.

    The rank is 1 for the first candidate of a query. It says something only where requests, and the lists
    that training saw, come in the retriever's order. It is left as it is, since trees do not mind the scale;
    `fusion` makes a reciprocal of it.

    Attributes:
        score: the number column that holds the retriever's score; NaN where it is not sent.
    """

    score: str = "retrieval_score"

    kind: ClassVar[str] = "retrieval"

    @property
    def listwise(self) -> bool:
        """A rank is a place in the list."""
        return True

    @property
    def inputs(self) -> tuple[Input, ...]:
        """The score's column."""
        return (Input(self.score, Kind.NUMBER),)

    @property
    def outputs(self) -> tuple[str, ...]:
        """`name.score` and `name.rank`."""
        return (f"{self.name}.score", f"{self.name}.rank")

    def compute(self, batch: CandidateBatch, state: State) -> Floats:  # noqa: ARG002 (it learns nothing)
        """float32[n, 2]."""
        made = np.empty((len(batch), 2), np.float32)
        made[:, 0] = batch.column(self.score, Kind.NUMBER).values
        made[:, 1] = np.arange(1, len(batch) + 1) - batch.offsets[batch.query_of_row]
        return made
