"""How far features have moved since a ranker learned: the population stability index of each.

PSI = Σ_b (a_b - e_b) ln(a_b / e_b) over the tenths of the training values and the missing ones, e the shares
in training and a those now (Siddiqi, "Credit Risk Scorecards", 2006). By custom below 0.1 is nothing, above
0.25 another population.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec
import numpy as np

from features.columns import Doubles, Floats
from features.matrix import FeatureMatrix

KEY = "feature_profile"
"""Key of `Manifest.data`: feature → `Profile`."""

TENTHS = np.arange(1, 10) / 10
LEAST = 1e-4
"""A share below this counts as this, so that an empty tenth is no infinity."""


class Profile(msgspec.Struct, frozen=True):
    """A feature's values in training.

    Attributes:
        edges: tenths, each once, rising. `shares`: of values up to each edge, above the last, and missing.
    """

    edges: tuple[float, ...]
    shares: tuple[float, ...]


def profile_entry(matrix: FeatureMatrix) -> dict[str, dict[str, Any]]:
    """What a training run writes into its manifest; nothing for no rows."""
    columns = {name: matrix.column(name) for name in matrix.names} if len(matrix.values) else {}
    return {KEY: {name: msgspec.to_builtins(profiled(values)) for name, values in columns.items()}}


def profiled(values: Floats) -> Profile:
    """The profile of one feature."""
    there = values[~np.isnan(values)]
    edges = np.unique(np.quantile(there, TENTHS, method="lower")) if len(there) else np.empty(0, np.float32)
    counts = counted(values, edges.astype(np.float64))
    return Profile(tuple(edges.tolist()), tuple((counts / counts.sum()).round(6).tolist()))


def counted(values: Floats, edges: Doubles) -> Doubles:
    """float64[edges + 2]: values up to each edge, above the last, and missing."""
    missing = np.isnan(values)
    at = np.searchsorted(edges, values[~missing].astype(np.float64), side="left")
    return np.bincount(
        np.append(at, np.full(missing.sum(), len(edges) + 1)), minlength=len(edges) + 2
    ).astype(np.float64)


def read_profiles(data: Mapping[str, Any]) -> dict[str, Profile]:
    """The profiles of a manifest; none where training kept none."""
    return msgspec.convert(data.get(KEY, {}), dict[str, Profile])


@dataclass(slots=True)
class Drift:
    """Counts of features as a log goes by.

    Attributes:
        profiles: of training. `counts`: feature → as `counted`.
    """

    profiles: Mapping[str, Profile]
    counts: dict[str, Doubles] = field(default_factory=dict)

    def add(self, names: tuple[str, ...], values: Floats) -> None:
        """Count some rows, float32[n, k]."""
        for place, name in enumerate(names):
            if name in self.profiles:
                found = counted(values[:, place], np.array(self.profiles[name].edges))
                self.counts[name] = self.counts.get(name, 0) + found

    def index(self) -> dict[str, float]:
        """Feature → PSI, the largest first."""
        found = {name: psi(self.profiles[name], counts) for name, counts in self.counts.items()}
        return dict(sorted(found.items(), key=lambda one: -one[1]))


def psi(profile: Profile, counts: Doubles) -> float:
    """The index of one feature."""
    then = np.maximum(np.array(profile.shares), LEAST)
    now = np.maximum(counts / max(counts.sum(), 1.0), LEAST)
    return float(((now - then) * np.log(now / then)).sum())
