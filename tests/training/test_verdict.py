"""The rule by which a stage earns its place."""

import pytest

from training.significance import Comparison
from training.verdict import Rule


def comparison(lift: float | None, p: float) -> Comparison:
    """A comparison with that lift over .5."""
    return Comparison("bm25", 0.3 if lift is None else lift / 2, lift, 0.0, 0.1, p)


@pytest.mark.parametrize(
    ("lift", "p", "earned", "words"),
    [
        (0.03, 0.001, True, "earns its place: nDCG@10 +3.0% against bm25 (p = 0.0010)"),
        (0.02, 0.049, True, "earns its place"),
        (0.019, 0.001, False, "less than the 2.0% asked for"),
        (0.03, 0.05, False, "which chance explains too well for p < 0.05"),
        (-0.1, 0.001, False, "does not earn its place: nDCG@10 -10.0% against bm25 (p = 0.0010), a loss"),
        (None, 0.001, True, "+0.3000 (from 0)"),
    ],
)
def test_default_rule(lift: float | None, p: float, earned: bool, words: str) -> None:
    """At least 2 % relative lift, significant at .05, in one sentence that says what is lacking."""
    found = comparison(lift, p)
    assert Rule().earned(found) is earned
    assert words in Rule().sentence(found)


def test_rule_is_chosen() -> None:
    """Both bounds are the caller's."""
    assert Rule(min_lift=0.01).earned(comparison(0.015, 0.001))
    assert not Rule(alpha=0.0005).earned(comparison(0.03, 0.001))
