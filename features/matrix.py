"""The numbers that stages read: a row a candidate, a named column a feature output."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from features.columns import Floats, Rows
from features.errors import NotReady


@dataclass(frozen=True, slots=True, eq=False)
class FeatureMatrix:
    """Features of n candidates.

    Attributes:
        values: float32[n, k]; NaN is missing, infinities never occur.
        names: the k columns' names.
        offsets: int64[q + 1], as in the batch.
        fingerprint: of the feature set that made it.
    """

    values: Floats
    names: tuple[str, ...]
    offsets: Rows
    fingerprint: str

    def select(self, names: Sequence[str]) -> Floats:
        """float32[n, len(names)], C-contiguous; the matrix itself where the names are all of it."""
        if tuple(names) == self.names:
            return self.values
        return np.ascontiguousarray(self.values[:, [self.index(name) for name in names]])

    def index(self, name: str) -> int:
        """The position of a column.

        Raises:
            NotReady: if there is none of that name.
        """
        try:
            return self.names.index(name)
        except ValueError:
            raise NotReady(f"no feature {name!r} among {', '.join(self.names)}") from None

    def column(self, name: str) -> Floats:
        """float32[n]: one column."""
        column: Floats = self.values[:, self.index(name)]
        return column

    def take(self, rows: Rows, offsets: Rows) -> "FeatureMatrix":
        """The given rows under new offsets."""
        return FeatureMatrix(self.values[rows], self.names, offsets, self.fingerprint)

    def with_column(self, name: str, values: Floats) -> "FeatureMatrix":
        """One column more, at the end."""
        joined = np.concatenate([self.values, values[:, None].astype(np.float32)], axis=1)
        return FeatureMatrix(joined, (*self.names, name), self.offsets, self.fingerprint)
