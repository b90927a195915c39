"""Evidence as the gate gets it: from evaluations, from bundles, from a clock."""

import json
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from cascade.testing import write_tiny_bundle
from features.errors import InvalidInput
from training.evidence import gather, labels_of

LABELS: dict[str, Any] = {
    "ranker": "default@new",
    "queries": 250,
    "against_version": {"version": "old", "difference": 0.02, "interval": {"low": 0.01, "high": 0.03}},
}


def ticking() -> Callable[[], float]:
    """A clock that moves on by a millisecond whenever it is looked at."""
    ticks = count()
    return lambda: next(ticks) / 1e3


@pytest.fixture
def bundles(tmp_path: Path) -> tuple[Path, Path]:
    """Two bundles, `new` and `old`."""
    return write_tiny_bundle(tmp_path / "new", 3.0), write_tiny_bundle(tmp_path / "old", 4.0)


def test_labels_with_a_compared_version(bundles: tuple[Path, Path], tmp_path: Path) -> None:
    """Versions, queries and the interval of the difference; both held-out metrics; milliseconds of both."""
    file = tmp_path / "labels.json"
    file.write_text(json.dumps(LABELS))
    found = gather(*bundles, "default", [file], ticking())
    assert found.labels is not None
    assert (found.labels.version, found.labels.against, found.labels.count) == ("new", "old", 250)
    assert (found.labels.low, found.labels.difference, found.labels.high) == (0.01, 0.02, 0.03)
    assert (found.held_out, found.current_held_out) == ("nDCG@10 0.5000", "nDCG@10 0.5000")
    assert (found.ms, found.current_ms) == (pytest.approx(1), pytest.approx(1))
    assert (found.version, found.current, found.broken, found.log) == ("new", "old", (), None)


def test_an_evaluation_without_comparison_gains_nothing(bundles: tuple[Path, Path], tmp_path: Path) -> None:
    """It is of no use against the version that serves, and says against what it was made: nothing."""
    file = tmp_path / "labels.json"
    file.write_text(json.dumps({key: LABELS[key] for key in ("ranker", "queries")}))
    found = gather(*bundles, "default", [file], ticking())
    assert found.labels is not None
    assert (found.labels.low, found.labels.against) == (0.0, "")
    with pytest.raises(InvalidInput, match="second evaluation of the same kind"):
        gather(*bundles, "default", [file, file], ticking())


def test_a_bundle_that_came_to_harm_is_broken_evidence(bundles: tuple[Path, Path]) -> None:
    """What loading would say stands among the reasons; nothing is timed."""
    new, old = bundles
    (new / "golden.json").write_text("[]")
    found = gather(new, old, "default", [], ticking())
    assert "golden.json" in found.broken[0]
    assert found.ms is None


def test_a_serving_version_that_cannot_be_loaded_is_not_timed(bundles: tuple[Path, Path]) -> None:
    """The candidate is not to blame for it."""
    new, old = bundles
    (old / "golden.json").unlink()
    found = gather(new, old, "default", [], ticking())
    assert (found.broken, found.ms, found.current) == ((), None, "old")


def test_labels_that_the_candidate_learned_from(bundles: tuple[Path, Path], tmp_path: Path) -> None:
    """An evaluation tells its collection; a manifest, the candidate's own, its base's and inherited ones."""
    file = tmp_path / "labels.json"
    file.write_text(json.dumps({**LABELS, "digest": "mine"}))
    found = gather(*bundles, "default", [file], ticking())
    assert found.labels is not None
    assert (found.labels.digest, found.labels.learned) == ("mine", ())
    data = {"digest": "mine", "sources": [{"tenant": "a", "digest": "lent"}, {"tenant": "b"}]}
    made = labels_of({**LABELS, "digest": "mine"}, {**data, "inherited_digests": ["kept"]})
    assert (made.digest, made.learned) == ("mine", ("kept", "lent", "mine"))
