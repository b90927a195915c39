"""The gate's rules, one by one, and what it lets through of simulated rankers that are worse."""

from dataclasses import replace

import numpy as np
import pytest

from training.gate import Evidence, Judged, Limits, Logged, decide
from training.offpolicy.estimate import Settings, estimates
from training.offpolicy.testing import World
from training.simulate.constants import POSITION_BIAS

LABELS = Judged("nDCG@10", 0.02, 0.01, 0.03, 300, "new", "old")
LOG = Logged("clicks", 0.02, 0.01, 0.03, 5_000, "new", "", {"old": 5_000}, {"": 5_000}, (), {"f": 0.01}, True)
GOOD = Evidence("new", "old", ms=2.0, current_ms=2.0, labels=LABELS, log=LOG)


def reasons(evidence: Evidence) -> str:
    """Why the gate refuses; "" where it passes."""
    found = decide(evidence, Limits())
    assert found.passed == (not found.reasons)
    return "; ".join(found.reasons)


def test_better_by_either_side_passes() -> None:
    """Labels alone, the log alone, and both; what spoke for it is noted."""
    for evidence in (GOOD, replace(GOOD, log=None), replace(GOOD, labels=None)):
        assert reasons(evidence) == ""
        assert any("better, " in note for note in decide(evidence, Limits()).notes)


def test_what_the_candidate_did_not_learn_from_counts() -> None:
    """Pages from where its own end, and judgments of another collection than its own."""
    after = replace(LOG, since_us=5, learned_until_us=5)
    other = replace(LABELS, digest="x", learned=("y",))
    for evidence in (replace(GOOD, labels=None, log=after), replace(GOOD, labels=other, log=None)):
        assert reasons(evidence) == ""


def test_the_first_version_needs_no_rival_but_its_invariants() -> None:
    """Nothing to be better than; golden scores that do not reproduce still stop it."""
    assert reasons(Evidence("new", "")) == ""
    assert "golden" in reasons(Evidence("new", "", broken=("golden scores differ",)))


@pytest.mark.parametrize(
    ("evidence", "told"),
    [
        (Evidence("new", "old"), "no evidence that it is better"),
        (replace(GOOD, broken=("broken: stage x",)), "broken: stage x"),
        (replace(GOOD, ms=9.0), "4.5 times the 2.0 ms"),
        (replace(GOOD, labels=replace(LABELS, low=-0.03, high=-0.01)), "labels: worse"),
        (replace(GOOD, log=replace(LOG, low=-0.03, high=-0.01)), "the log: worse"),
        (replace(GOOD, log=None, labels=replace(LABELS, low=-0.001)), "labels: not surely better"),
        (replace(GOOD, log=None, labels=replace(LABELS, count=20)), "20 judged queries; at least 100"),
        (replace(GOOD, log=None, labels=replace(LABELS, against="older")), "compared with older, while old"),
        (replace(GOOD, log=None, labels=replace(LABELS, version="other")), "is of version other, not of new"),
        (replace(GOOD, log=None, labels=replace(LABELS, digest="x", learned=("x",))), "learned from these"),
        (replace(GOOD, labels=None, log=replace(LOG, learned_until_us=1)), "pages from before 1970-01-01"),
        (replace(GOOD, labels=None, log=replace(LOG, count=10)), "10 pages; at least 1000"),
        (replace(GOOD, labels=None, log=replace(LOG, versions={"x": 9, "old": 1})), "10% of the pages"),
        (replace(GOOD, labels=None, log=replace(LOG, refused=("worth 3 pages",))), "the log: worth 3 pages"),
        (replace(GOOD, log=replace(LOG, arms={"a": 4_990, "b": 10})), "10 pages in arm 'b'"),
        (replace(GOOD, log=replace(LOG, drift={"f": 0.4})), "feature f has drifted"),
    ],
)  # fmt: skip
def test_every_rule_refuses_alone(evidence: Evidence, told: str) -> None:
    """One thing wrong with evidence that would pass otherwise, and one line that says which."""
    assert told in reasons(evidence)
    assert len(decide(evidence, Limits()).reasons) == 1


def test_what_does_not_count_is_noted() -> None:
    """Microseconds more, drift of candidates chosen otherwise, a log that cannot answer beside labels."""
    assert reasons(replace(GOOD, ms=0.3, current_ms=0.1)) == ""
    apart = replace(GOOD, log=replace(LOG, drift={"f": 3.0}, drift_counts=False))
    assert reasons(apart) == ""
    assert "the largest PSI: f 3.00" in "; ".join(decide(apart, Limits()).notes)
    silent = replace(GOOD, log=replace(LOG, refused=("worth 3 pages",)))
    assert "worth 3 pages" in "; ".join(decide(silent, Limits()).notes)


def test_a_worse_ranker_hardly_ever_passes_and_a_far_better_one_does() -> None:
    """Of 40 logs each, at most 3 let a slightly worse ranker through, and at least 30 a far better one."""
    worse = [let_through(seed, -0.15) for seed in range(40)]
    better = [let_through(seed, 3.0) for seed in range(40)]
    assert sum(worse) <= 3
    assert sum(better) >= 30


def let_through(seed: int, push: float) -> bool:
    """Whether the gate passes the logging ranker pushed towards the truth, or away from it."""
    world = World.drawn(seed, items=6, explore=0.05)
    target = world.logging + push * world.attraction
    if push < 0:
        assert world.value(target) <= world.value(world.logging)
        target = target if world.value(target) <= world.logged_value() else -world.attraction
    slates = world.log(2_500, seed, target)
    blind = replace(slates, propensity=np.full_like(slates.propensity, np.nan))
    first, *_ = estimates(blind, POSITION_BIAS[:6], Settings(resamples=300))
    found = first.difference
    log = replace(LOG, difference=found.value, low=found.low, high=found.high, refused=first.refused)
    return decide(replace(GOOD, labels=None, log=log), Limits()).passed
