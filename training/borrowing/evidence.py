"""What a tenant's held-out queries say, with the error that comes with there being few of them.

Queries of a group are near-duplicates, so that errors are those of a mean over groups (the linearised,
cluster-robust variance; Cochran, "Sampling Techniques", 1977, 9A).
"""

from dataclasses import dataclass

import msgspec
import numpy as np

from features.columns import Doubles, Rows

WIDE = 1.96
"""Standard errors on each side of a mean: an interval of about 95 %."""
PRIOR_GROUPS = 10
"""The belief in the base, in groups of queries."""
LEAST = 0.01
"""A smaller weight is none."""


class Figure(msgspec.Struct, frozen=True):
    """A mean over queries, and its interval of about 95 %."""

    mean: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Mean:
    """A mean over `queries` of `groups` groups, with its standard error; infinite for a lone group."""

    value: float
    error: float
    queries: int
    groups: int

    @classmethod
    def of(cls, values: Doubles, groups: Rows) -> "Mean":
        """The mean of values query by query.

        error² = g / (g - 1) · Σ over groups of (Σ in the group of (value - mean))² / n²
        """
        _, owner = np.unique(groups, return_inverse=True)
        count = int(owner.max()) + 1 if len(owner) else 0
        mean = float(values.mean()) if len(values) else 0.0
        if count < 2:
            return cls(mean, np.inf, len(values), count)
        sums = np.bincount(owner, values - mean)
        error = np.sqrt(count / (count - 1) * (sums**2).sum()) / len(values)
        return cls(mean, float(error), len(values), count)

    @property
    def figure(self) -> Figure:
        """As a manifest keeps it; a lone group has no interval but the mean."""
        wide = WIDE * self.error if np.isfinite(self.error) else 0.0
        return Figure(self.value, self.value - wide, self.value + wide)

    def shrinkage(self) -> float:
        """How much of a gain to believe: g / (g + 10) · gain² / (gain² + error²); nothing of a loss.

        The second factor is the plug-in of the best multiple of an estimate, mean² / (mean² + variance)
        (Thompson, "Some shrinkage techniques for estimating the mean", 1968): a half at one standard error,
        towards 1 as evidence grows, since error falls with √n. The first says that from few groups the error
        itself is hardly known.
        """
        if self.value <= 0 or not np.isfinite(self.error):
            return 0.0
        noise = self.error / self.value
        believed = self.groups / (self.groups + PRIOR_GROUPS) / (1 + noise * noise)
        return float(believed) if believed >= LEAST else 0.0
