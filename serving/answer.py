"""Rankings into messages: the way out of `convert`."""

import math
from collections.abc import Sequence

from cascade.explain import Explanation
from cascade.ranking import Ranking, StageReport
from cascade.request import RankRequest
from features.behaviour import PREFIX, statistic_of
from serving.status import Refusal
from sluice.v1 import ranking_pb2 as pb


def to_response(
    ranking: Ranking, request: RankRequest, explanations: Sequence[Explanation]
) -> pb.RankResponse:
    """The message of a ranking that is already cut to the top k; `explanations` along its rows, or none."""
    response = pb.RankResponse(degraded=ranking.degraded, warnings=ranking.warnings, final=ranking.final)
    add_results(response, ranking, request)
    if ranking.outcomes:
        for result in response.results:
            if result.index in ranking.outcomes:
                result.outcome = ranking.outcomes[result.index]
    for result, explanation in zip(response.results, explanations, strict=False):
        result.explanation.CopyFrom(to_explanation(explanation))
    if explanations:
        add_evidence(response, request)
    return response


def add_results(response: pb.RankResponse, ranking: Ranking, request: RankRequest) -> None:
    """The results, built in place: a third of the time that it takes to build them apart and copy them."""
    ids, add = request.batch.ids, response.results.add
    placed = zip(ranking.rows.tolist(), ranking.scores.tolist(), ranking.placed_by, strict=True)
    for row, score, by in placed:
        result = add()
        result.id, result.index, result.placed_by = ids[row], row, by
        if not math.isnan(score):
            result.score = score


def add_evidence(response: pb.RankResponse, request: RankRequest) -> None:
    """What was known of behaviour for or against each result."""
    columns = request.batch.columns
    known = [
        (name.removeprefix(PREFIX), columns[name].values)
        for name in columns
        if (found := statistic_of(name)) and found.scope != "tenant"
    ]
    for result in response.results:
        for name, values in known:
            value = float(values[result.index])
            if value and not math.isnan(value):
                result.explanation.evidence.add(name=name, value=value)


def to_report(report: StageReport) -> pb.StageReport:
    """What a stage did."""
    return pb.StageReport(
        name=report.name,
        status=f"STAGE_STATUS_{report.status.value}",
        reason=report.reason,
        seen=report.seen,
        kept=report.kept,
        entered_top_k=report.entered_top_k,
        left_top_k=report.left_top_k,
        queue_ms=report.queue_s * 1e3,
        features_ms=report.features_s * 1e3,
        inference_ms=report.inference_s * 1e3,
        tokens=report.tokens,
    )


def to_explanation(explanation: Explanation) -> pb.Explanation:
    """Feature values, and what they brought where a stage tells."""
    shares: Sequence[float | None] = explanation.contributions or [None] * len(explanation.names)
    features = [
        pb.FeatureValue(name=name, value=None if math.isnan(value) else value, contribution=share)
        for name, value, share in zip(explanation.names, explanation.values, shares, strict=True)
    ]
    made = pb.Explanation(stage=explanation.stage, features=features, bias=explanation.bias)
    if explanation.passage:
        found = explanation.passage
        text = found.text.encode("utf-8", "replace").decode()
        made.passage.CopyFrom(
            pb.Passage(stage=explanation.reader, start=found.start, end=found.end, text=text)
        )
    return made


def to_failure(request_id: str, refused: Refusal) -> pb.RankResponse:
    """The answer on RankMany to a request that failed."""
    failure = pb.Failure(
        code=refused.status.value[0],
        message=refused.message,
        error_id=refused.error_id,
        retry_after_ms=refused.retry_after_ms,
    )
    return pb.RankResponse(request_id=request_id, final=True, failure=failure)
