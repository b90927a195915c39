"""What a run over many tenants came to, for people and for machines."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

import msgspec

from training.borrowing.run import Outcome, Result

KINDS: tuple[Result, ...] = ("base", "residual", "own", "failed")
SHOWN = 20
"""Failures that are listed; the JSON has them all."""


class Line(msgspec.Struct, frozen=True):
    """The tenants that got one kind of ranker.

    Attributes:
        kind: of the three, or `failed`. `tenants`: how many.
        queries: their judged queries, on average.
        gain: their gain over the base in nDCG@10 on held-out queries, on average; None where there is none.
    """

    kind: str
    tenants: int
    queries: float
    gain: float | None


def summary(outcomes: Sequence[Outcome]) -> tuple[Line, ...]:
    """A line a kind."""
    counts = Counter(each.kind for each in outcomes)
    return tuple(
        line(kind, [each for each in outcomes if each.kind == kind]) for kind in KINDS if counts[kind]
    )


def line(kind: Result, outcomes: Sequence[Outcome]) -> Line:
    """The line of one kind."""
    gains = [each.gain for each in outcomes if each.kind in each.gains]
    queries = sum(each.queries for each in outcomes) / len(outcomes)
    return Line(kind, len(outcomes), queries, sum(gains) / len(gains) if gains else None)


def as_json(base: str, outcomes: Sequence[Outcome]) -> dict[str, Any]:
    """Everything, tenants by name."""
    ordered = sorted(outcomes, key=lambda each: each.tenant)
    return {
        "base": base,
        "kinds": [msgspec.to_builtins(each) for each in summary(outcomes)],
        "tenants": [msgspec.to_builtins(each) for each in ordered],
    }
