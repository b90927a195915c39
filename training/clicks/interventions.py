"""Propensities by intervention harvesting: what the same document earned at two positions.

Agarwal et al., "Estimating Position Bias without Intrusive Interventions" (WSDM 2019), AllPairs: where
several rankers were in use at the same time, or positions were swapped, a document was put at k and at k'
by chance, and its click rates there differ by the positions alone. With ĉ_kk' the clicks at k of pairs seen
at both k and k' and p_k, r_kk' = r_k'k in [0, 1]:

    max Σ_{k ≠ k'} ĉ_kk' ln(p_k r_kk') + (n_kk' - ĉ_kk') ln(1 - p_k r_kk')

A pair counts with the precision of the difference of its two rates, n_k n_k' / (n_k + n_k'), so that pairs
seen once at k' do not drown those seen often.
"""

from dataclasses import dataclass

import numpy as np
from scipy import optimize, sparse
from scipy.sparse.csgraph import connected_components
from scipy.special import expit

from features.columns import Doubles
from features.errors import InvalidInput
from training.clicks.cells import Cells

LEAST = 1e-9


@dataclass(frozen=True, slots=True, eq=False)
class Harvest:
    """Swaps found in a log: float64[K, K] each, row k: what pairs seen at k and at the column's k' did at k.

    Attributes:
        impressions: their weight.
        clicks: the part of it that was clicked.
    """

    impressions: Doubles
    clicks: Doubles

    @classmethod
    def of(cls, cells: Cells) -> "Harvest":
        """The swaps among cells whose context is the rank."""
        size = cells.contexts
        where = (cells.pair, cells.context)
        shown = np.asarray(sparse.coo_array((cells.shown, where), (cells.pairs, size)).todense())
        clicks = np.asarray(sparse.coo_array((cells.clicks, where), (cells.pairs, size)).todense())
        rate = clicks / np.maximum(shown, LEAST)
        impressions, clicked = np.zeros((size, size)), np.zeros((size, size))
        for other in range(size):
            precision = shown * shown[:, [other]] / np.maximum(shown + shown[:, [other]], LEAST)
            impressions[:, other] = precision.sum(axis=0)
            clicked[:, other] = (precision * rate).sum(axis=0)
        np.fill_diagonal(impressions, 0.0)
        np.fill_diagonal(clicked, 0.0)
        return cls(impressions, clicked)

    @property
    def linked(self) -> Doubles:
        """bool[K]: positions that swaps link to the first, by way of others if need be."""
        _, label = connected_components(sparse.coo_array(self.impressions), directed=False)
        return np.asarray(label == label[0])

    def propensity(self) -> Doubles:
        """float64[K]: p_k / p_1; NaN for positions that nothing links to the first.

        Raises:
            InvalidInput: if no document was seen at two positions.
        """
        if not self.impressions.any():
            raise InvalidInput(
                "no document was seen at two positions, so nothing tells position from relevance; use several"
                " rankers at a time, swap positions, or fit with features (regression-EM)",
                path="impressions",
            )
        found = optimize.minimize(
            self._loss, np.zeros(self._size), jac=True, method="L-BFGS-B", options=PATIENCE
        )
        p = expit(found.x[: len(self.impressions)])
        return np.where(self.linked, p / p[0], np.nan)

    @property
    def _size(self) -> int:
        count = len(self.impressions)
        return count + count * (count - 1) // 2

    def _loss(self, values: Doubles) -> tuple[float, Doubles]:
        """The negative mean log-likelihood and its gradient, in logits."""
        count = len(self.impressions)
        upper = np.triu_indices(count, 1)
        p, joint = expit(values[:count]), np.zeros((count, count))
        joint[upper] = expit(values[count:])
        joint += joint.T
        chance = np.clip(p[:, None] * joint, LEAST, 1 - LEAST)
        missed, total = self.impressions - self.clicks, self.impressions.sum()
        value = -(self.clicks * np.log(chance) + missed * np.log1p(-chance)).sum() / total
        slope = -(self.clicks - missed * chance / (1 - chance)) / total  # by the logarithm of the chance
        both = slope + slope.T
        by_p = slope.sum(axis=1) * (1 - p)
        return float(value), np.concatenate([by_p, both[upper] * (1 - joint[upper])])


PATIENCE = {"maxiter": 2_000, "ftol": 1e-14, "gtol": 1e-10}
