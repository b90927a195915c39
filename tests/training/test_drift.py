"""The population stability index of features against what training saw."""

import numpy as np
import pytest

from features.matrix import FeatureMatrix
from training.drift import Drift, Profile, profile_entry, profiled, psi, read_profiles


def test_the_formula_by_hand() -> None:
    """Shares .5, .5 then and .25, .75 now, nothing missing: Σ (a - e) ln(a / e)."""
    profile = Profile((1.0,), (0.5, 0.5, 0.0))
    expected = -0.25 * np.log(0.5) + 0.25 * np.log(1.5)
    assert psi(profile, np.array([25.0, 75.0, 0.0])) == pytest.approx(expected)


def test_the_same_population_has_not_drifted_and_another_has() -> None:
    """Far below .1 for new draws of the same values, above .25 for a shift by a deviation."""
    random = np.random.default_rng(1)
    profile = profiled(random.normal(0, 1, 20_000).astype(np.float32))
    drift = Drift({"f": profile, "g": profile})
    for _ in range(2):
        values = random.normal(0, 1, (3_000, 2)).astype(np.float32)
        values[:, 1] += 1
        drift.add(("f", "g"), values)
    found = drift.index()
    assert list(found) == ["g", "f"]
    assert found["f"] < 0.01
    assert found["g"] > 0.25


def test_missing_values_and_ties_have_shares_of_their_own() -> None:
    """A feature of few values, and one that is half missing, fit their own profile exactly."""
    for values in ([0, 0, 0, 1, 1], [np.nan, 2.0, np.nan, 3.0], [np.nan] * 3):
        column = np.array(values, np.float32)
        made = profiled(column)
        assert sum(made.shares) == pytest.approx(1, abs=1e-5)
        drift = Drift({"f": made})
        drift.add(("f",), column[:, None])
        assert drift.index()["f"] == pytest.approx(0, abs=1e-6)


def test_profiles_travel_in_a_manifest() -> None:
    """What training writes is read back; a manifest without profiles has none."""
    matrix = FeatureMatrix(np.arange(20, dtype=np.float32)[:, None], ("f",), np.array([0, 20]), "")
    assert read_profiles(profile_entry(matrix))["f"].edges == tuple(float(x) for x in range(1, 19, 2))
    assert read_profiles({}) == {}
