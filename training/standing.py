"""The order of many queries' candidates between two stages: the pipeline's rules over a whole batch."""

from dataclasses import dataclass

import numpy as np

from features.columns import Floats, Rows


@dataclass(frozen=True, slots=True, eq=False)
class Standing:
    """Who stands where.

    Attributes:
        offsets: int64[q + 1], as in the batch.
        order: int64[n]: the batch's rows, grouped by query, best first.
        survivors: int64[q]: how many of the best of each query the next stage is given.
    """

    offsets: Rows
    order: Rows
    survivors: Rows

    @classmethod
    def as_sent(cls, offsets: Rows) -> "Standing":
        """The order as it came, all alive."""
        return cls(offsets, np.arange(offsets[-1]), np.diff(offsets))

    @property
    def owner(self) -> Rows:
        """int64[n]: the query of each place in `order`."""
        return np.repeat(np.arange(len(self.survivors)), np.diff(self.offsets))

    @property
    def alive(self) -> Rows:
        """The rows that the next stage is given, grouped by query, best first."""
        return self.order[self._open]

    @property
    def _open(self) -> Rows:
        owner = self.owner
        place = np.arange(len(self.order)) - self.offsets[owner]
        return np.flatnonzero(place < self.survivors[owner])

    def scored(self, scores: Floats, keep: int | None) -> "Standing":
        """After a stage gave float32[len(alive)], along `alive`; NaN goes last, ties keep their order."""
        places = self._open
        by_score = np.lexsort((-scores, self.owner[places]))  # stable, NaN last within its query
        order = self.order.copy()
        order[places] = self.order[places][by_score]
        kept = self.survivors if keep is None else np.minimum(self.survivors, keep)
        return Standing(self.offsets, order, kept)
