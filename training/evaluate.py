"""What each stage of a ranker brings, and what it costs, over a collection's judged queries."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from cascade.ranker import Ranker
from training.baselines import BM25, INPUT, as_sent, by_bm25
from training.candidates import candidates, once
from training.collection import Collection
from training.dataset import build_batch
from training.metrics import NDCG, Conventions, Judge, Scores
from training.progress import Track, quiet
from training.replay import StageReplay, Trace, by_stage, replay
from training.retrieval import corpus_index
from training.runs import Lists
from training.significance import Comparison, compare
from training.verdict import Rule


@dataclass(frozen=True, slots=True)
class Settings:
    """How to judge.

    Attributes:
        candidates: `judged`, `bm25:K` or the path of a TREC run file.
        conventions: what the metrics mean.
        rule: when a stage earns its place.
        seed: of the bootstrap and the randomisation test.
    """

    candidates: str = "judged"
    conventions: Conventions = field(default_factory=Conventions)
    rule: Rule = field(default_factory=Rule)
    seed: int = 7


@dataclass(frozen=True, slots=True, eq=False)
class StageVerdict:
    """One stage: how well the ranking does after it, against the one before it, and at what cost."""

    replay: StageReplay
    scores: Scores
    comparison: Comparison
    earned: bool
    verdict: str
    lost_relevant: float


@dataclass(frozen=True, slots=True, eq=False)
class Evaluation:
    """The whole of it.

    Attributes:
        ranker: name and version.
        settings: how it was judged.
        judge: the queries that count, and those without a relevant document.
        baselines: `input` and, where documents hold text, `bm25`.
        stages: in the cascade's order.
        final_against: the last stage against every baseline and every stage before it.
        notes: what a person should know.
        texts: query id → its text.
        digest: of the collection; "" where it was not read from files.
    """

    ranker: str
    settings: Settings
    judge: Judge
    baselines: Mapping[str, Scores]
    stages: tuple[StageVerdict, ...]
    final_against: tuple[Comparison, ...]
    notes: tuple[str, ...]
    texts: Mapping[str, str]
    digest: str = ""


def evaluate(ranker: Ranker, collection: Collection, settings: Settings, track: Track = quiet) -> Evaluation:
    """Rank every judged query and judge every stage.

    Raises:
        InvalidInput: for candidates or fields that cannot be right; where no query has a relevant document.
    """
    index = once(lambda: corpus_index(collection.documents, track))
    lists, notes = candidates(collection, settings.candidates, index, track)
    cuts = [step.spec.keep for step in ranker.steps[:-1] if step.spec.keep]
    judge = Judge.of(collection.grades, (10, *cuts), settings.conventions)
    batch = build_batch(collection, lists, ranker.inputs)
    orders: dict[str, Lists] = {INPUT: as_sent(batch)}
    if collection.documents.text_fields:
        orders[BM25] = by_bm25(batch, collection, index())
    else:
        notes = (*notes, "no field of the documents holds text, so there is no bm25 baseline")
    baselines = {name: judge.measure(order) for name, order in orders.items()}
    traces = replay(ranker, batch, track)
    stages = judged(by_stage(ranker, traces), judge, baselines, settings, track)
    return Evaluation(
        ranker=f"{ranker.name}@{ranker.version}",
        settings=settings,
        judge=judge,
        baselines=baselines,
        stages=stages,
        final_against=final_against(baselines, stages, settings.seed, track),
        notes=(*collection.notes, *notes, *troubles(stages, traces)),
        texts={key: query.text for key, query in collection.queries.items()},
        digest=collection.digest if collection.files else "",
    )


def judged(
    replays: Sequence[StageReplay],
    judge: Judge,
    baselines: Mapping[str, Scores],
    settings: Settings,
    track: Track,
) -> tuple[StageVerdict, ...]:
    """Each stage against the one before it; the first against `bm25` (`input` where there is no text)."""
    before, scores = list(baselines.items())[-1]
    found = []
    for each in track(replays, "judging stages"):
        after = judge.measure(each.lists)
        comparison = compare(after[NDCG], scores[NDCG], before, settings.seed)
        earned, sentence = settings.rule.earned(comparison), settings.rule.sentence(comparison)
        lost = each.lost_relevant(judge.grades)
        found.append(StageVerdict(each, after, comparison, earned, f"{each.name} {sentence}", lost))
        before, scores = each.name, after
    return tuple(found)


def final_against(
    baselines: Mapping[str, Scores], stages: Sequence[StageVerdict], seed: int, track: Track
) -> tuple[Comparison, ...]:
    """The whole cascade against every baseline and against every part of it that ends earlier."""
    *parts, last = stages
    others = {**baselines, **{stage.replay.name: stage.scores for stage in parts}}
    return tuple(
        compare(last.scores[NDCG], scores[NDCG], name, seed)
        for name, scores in track(others.items(), "judging the cascade", len(others))
    )


def troubles(stages: Sequence[StageVerdict], traces: Mapping[str, Trace]) -> tuple[str, ...]:
    """Notes of stages that did not run in full, and of what the ranker warned of."""
    notes = [
        f"stage {stage.replay.name}: {reason} ({count} of {len(traces)} queries)"
        for stage in stages
        for reason, count in stage.replay.reasons().items()
    ]
    warned = [each.warnings for each in traces.values() if each.warnings]
    if warned:
        notes.append(f"{len(warned)} of {len(traces)} queries had warnings, such as: {warned[0][0]}")
    return tuple(notes)
