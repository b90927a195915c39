"""Answers as frozen values."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

import grpc

from sluice.errors import RankError, from_status
from sluice.v1 import ranking_pb2 as pb

CODES: Mapping[int, grpc.StatusCode] = MappingProxyType({code.value[0]: code for code in grpc.StatusCode})


@dataclass(frozen=True, slots=True)
class FeatureValue:
    """One feature of one item: its value (None = missing) and its share in the raw score."""

    name: str
    value: float | None
    contribution: float | None


@dataclass(frozen=True, slots=True)
class Passage:
    """The characters [start, end) of the text that `stage` read of an item, and what they are."""

    stage: str
    start: int
    end: int
    text: str


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why an item has its score: `bias` and the contributions add up to that of `stage`; `passage` is the
    one that a stage's score is due to, where one read the text in passages; `evidence` is what was known of
    behaviour, such as `user_item.click.long`."""

    stage: str
    features: tuple[FeatureValue, ...]
    bias: float
    passage: Passage | None = None
    evidence: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Result:
    """One ranked candidate.

    Attributes:
        id: as sent; `index`: its row in the request.
        score: raw, of the stage that placed it; None where none did.
        placed_by: that stage, or `input`.
        probability: calibrated, where the ranker has one.
        outcome: why a stage could not score it.
    """

    id: str
    index: int
    score: float | None
    placed_by: str
    probability: float | None = None
    outcome: str = ""
    explanation: Explanation | None = None


@dataclass(frozen=True, slots=True)
class StageReport:
    """What one stage did; `status` is RAN, SHRUNK, SKIPPED_BUDGET, SKIPPED_CONFIDENT, FAILED or CACHED."""

    name: str
    status: str
    reason: str
    seen: int
    kept: int
    entered_top_k: int
    left_top_k: int
    queue_ms: float
    features_ms: float
    inference_ms: float
    tokens: int


@dataclass(frozen=True, slots=True)
class Ranking:
    """An answer, best first.

    `arm` is that of an experiment ("" = none). Where rankers were interleaved, `teams` says along `results`
    who drafted each (0 = the control, -1 = nobody). Whoever logs the page by himself sends both on.
    """

    request_id: str
    ranker: str
    version: str
    results: tuple[Result, ...]
    stages: tuple[StageReport, ...]
    degraded: bool
    warnings: tuple[str, ...]
    final: bool
    arm: str = ""
    teams: tuple[int, ...] = ()

    @property
    def ids(self) -> tuple[str, ...]:
        """The ids, best first."""
        return tuple(result.id for result in self.results)


@dataclass(frozen=True, slots=True)
class Failure:
    """A request of `rank_many` that failed, while the others went on."""

    request_id: str
    error: RankError


def to_ranking(message: pb.RankResponse) -> Ranking:
    """A ranking out of its message."""
    return Ranking(
        request_id=message.request_id,
        ranker=message.ranker,
        version=message.version,
        results=tuple(map(to_result, message.results)),
        stages=tuple(map(to_report, message.stages)),
        degraded=message.degraded,
        warnings=tuple(message.warnings),
        final=message.final,
        arm=message.arm,
        teams=tuple(message.teams),
    )


def to_either(message: pb.RankResponse) -> Ranking | Failure:
    """A ranking, or the failure that stands in its place."""
    if not message.HasField("failure"):
        return to_ranking(message)
    failed = message.failure
    code = CODES.get(failed.code, grpc.StatusCode.UNKNOWN)
    error = from_status(code, failed.message, failed.retry_after_ms, failed.error_id)
    return Failure(message.request_id, error)


def to_result(message: pb.Result) -> Result:
    """One candidate out of its message."""
    return Result(
        id=message.id,
        index=message.index,
        score=message.score if message.HasField("score") else None,
        placed_by=message.placed_by,
        probability=message.probability if message.HasField("probability") else None,
        outcome=message.outcome,
        explanation=to_explanation(message.explanation) if message.HasField("explanation") else None,
    )


def to_explanation(message: pb.Explanation) -> Explanation:
    """An explanation out of its message."""
    features = (
        FeatureValue(
            each.name,
            each.value if each.HasField("value") else None,
            each.contribution if each.HasField("contribution") else None,
        )
        for each in message.features
    )
    passage = to_passage(message.passage) if message.HasField("passage") else None
    evidence = {each.name: each.value for each in message.evidence}
    return Explanation(message.stage, tuple(features), message.bias, passage, evidence)


def to_passage(message: pb.Passage) -> Passage:
    """A passage out of its message."""
    return Passage(message.stage, message.start, message.end, message.text)


def to_report(message: pb.StageReport) -> StageReport:
    """A stage's report out of its message."""
    return StageReport(
        name=message.name,
        status=status_name(message.status),
        reason=message.reason,
        seen=message.seen,
        kept=message.kept,
        entered_top_k=message.entered_top_k,
        left_top_k=message.left_top_k,
        queue_ms=message.queue_ms,
        features_ms=message.features_ms,
        inference_ms=message.inference_ms,
        tokens=message.tokens,
    )


def status_name(status: int) -> str:
    """`RAN` of `STAGE_STATUS_RAN`; a status newer than this client is its number."""
    known = pb.StageStatus.DESCRIPTOR.values_by_number.get(status)
    return known.name.removeprefix("STAGE_STATUS_") if known else str(status)
