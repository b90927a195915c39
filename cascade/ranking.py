"""What a cascade answers: the order, what placed every item, and what each stage did."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum

from cascade.stage import Span
from features.columns import Floats, Rows
from features.matrix import FeatureMatrix

INPUT = "input"
"""`placed_by` of an item that no stage scored: it stands in the order that the request gave."""


class Status(StrEnum):
    """What became of a stage."""

    RAN = "RAN"
    SHRUNK = "SHRUNK"
    SKIPPED_BUDGET = "SKIPPED_BUDGET"
    SKIPPED_CONFIDENT = "SKIPPED_CONFIDENT"
    FAILED = "FAILED"
    CACHED = "CACHED"


DEGRADED = frozenset({Status.SHRUNK, Status.SKIPPED_BUDGET, Status.FAILED})


@dataclass(frozen=True, slots=True)
class StageReport:
    """What one stage did.

    Attributes:
        status: whether it ran; `reason` says why not, or why only in part.
        seen: candidates it was given; `kept`: candidates that went on behind it.
        entered_top_k, left_top_k: items that its verdict brought into and out of the top k
            (`top_k` of the request, 10 where that is 0).
        queue_s, features_s, inference_s: seconds; the features count to the first stage.
        tokens: tokens that a model read.
    """

    name: str
    status: Status
    reason: str = ""
    seen: int = 0
    kept: int = 0
    entered_top_k: int = 0
    left_top_k: int = 0
    queue_s: float = 0.0
    features_s: float = 0.0
    inference_s: float = 0.0
    tokens: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class Ranking:
    """An order of all candidates of a request, best first.

    Attributes:
        rows: int64[n], rows of the request's batch, best first.
        scores: float32[n], along `rows`: the raw score of the stage that placed the item, NaN where none did.
        placed_by: along `rows`: the stage's name, or `input`.
        reports: one a stage, in the cascade's order, for the stages reached so far.
        outcomes: row → why that item could not be scored.
        warnings: what the caller should know.
        passages: row → the stage that read it in passages last, and the one that its score is due to.
        final: False for the rankings that `RankStream` shows on the way.
        matrix: the request's features and stage scores so far, a row a candidate of the request.
    """

    rows: Rows
    scores: Floats
    placed_by: tuple[str, ...]
    reports: tuple[StageReport, ...] = ()
    outcomes: Mapping[int, str] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    passages: Mapping[int, tuple[str, Span]] = field(default_factory=dict)
    final: bool = True
    matrix: FeatureMatrix | None = None

    @property
    def degraded(self) -> bool:
        """Whether any stage was shrunk, skipped for budget, or failed."""
        return any(report.status in DEGRADED for report in self.reports)

    def top(self, k: int) -> "Ranking":
        """The first k items (all for k = 0)."""
        if not 0 < k < len(self.rows):
            return self
        return replace(self, rows=self.rows[:k], scores=self.scores[:k], placed_by=self.placed_by[:k])
