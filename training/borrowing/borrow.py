"""One tenant's ranker, borrowed from a base as far as that serves it: fitted, chosen, written, published."""

import shutil
import tempfile
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from cascade.bundle import Draft, write_bundle
from cascade.consent import SOURCES
from cascade.golden import sample
from cascade.stages.lambdamart import LambdaMart, write_residual
from features.batch import CandidateBatch, Query, single
from features.errors import InvalidInput
from features.featureset import FeatureSet
from training.borrowing import residual
from training.borrowing.base import Base, Source, told
from training.borrowing.choose import Choice, Contest, Settings, choose
from training.borrowing.orders import score_by
from training.borrowing.own import OWN, Own
from training.dataset import StageData
from training.drift import profile_entry
from training.fit import fit_cascade
from training.metrics import NDCG
from training.publish import Target, Task, describe, gathered, prepare
from training.trainers import Context

BORROWING = "borrowing"


@dataclass(frozen=True, slots=True, eq=False)
class Borrower:
    """A tenant with all that is compared for it.

    Attributes:
        task: its cascade, collection and candidates. `target`: where the ranker goes.
        base: what it borrows from. `data`: its candidates by the base's features.
        contest: base and own ranker over its candidates.
        features: of its own cascade, having learned its documents.
    """

    task: Task
    target: Target
    base: Base
    data: StageData
    contest: Contest
    features: FeatureSet

    @property
    def digest(self) -> str:
        """Of its collection; "" where there is no file behind it."""
        return self.task.collection.digest if self.task.collection.files else ""


@dataclass(frozen=True, slots=True, eq=False)
class Borrowed:
    """What came of it: the published version, the choice, and what a person should know."""

    version: str
    choice: Choice
    notes: tuple[str, ...]


def borrow_and_publish(
    task: Task, target: Target, base: Base, settings: Settings, context: Context, now: datetime
) -> Borrowed:
    """Fit base + residual and the tenant's own ranker, let held-out queries choose, publish what they chose.

    What long fits kept in the work folder is removed once the bundle is published.

    Raises:
        InvalidInput: for data that cannot be right; where the base has learned from these very labels, or is
            the ranker that would be published.
    """
    borrower, notes = borrowing(task, target, base, context)
    if base.name.partition("@")[0] == f"{target.tenant}/{target.ranker}":
        raise InvalidInput(f"{base.name} would take its own place; choose another ranker", path="--ranker")
    choice = choose(borrower.contest, settings, context)
    with tempfile.TemporaryDirectory() as scratch:
        files, bundle = Path(scratch) / "stages", Path(scratch) / "bundle"
        draft = drafted(borrower, choice, settings, files, context)
        write_bundle(bundle, draft, now)
        version = target.store.publish(target.tenant, target.ranker, bundle)
    if context.work:
        for name in (OWN, *(spec.name for spec in task.config.stages)):
            shutil.rmtree(context.work / name, ignore_errors=True)
    return Borrowed(version, choice, (*task.collection.notes, *notes))


def borrowing(task: Task, target: Target, base: Base, context: Context) -> tuple[Borrower, tuple[str, ...]]:
    """The tenant's candidates under the base's features and under its own, with notes."""
    theirs = replace(task, config=base.config)
    data, notes = gathered(base.ranker.features, theirs, context)
    digest = task.collection.digest if task.collection.files else ""
    scored = score_by(base.steps(target.tenant, digest) if len(data.labels) else base.ranker.steps, data)
    features, own = own_of(task, data, base, context)
    contest = Contest(scored, reads_of(base), training_of(base), own, task.collection.grades)
    return Borrower(task, target, base, data, contest, features), notes


def own_of(task: Task, data: StageData, base: Base, context: Context) -> tuple[FeatureSet, Own | None]:
    """The tenant's own cascade with its candidates; None where there is nothing to learn from."""
    if not len(data.labels):
        return base.ranker.features, None
    features, own, _ = prepare(task, context)
    return features, Own(task.config, own)


def reads_of(base: Base) -> tuple[str, ...] | None:
    """The columns of the base's last stage; None where it takes no residual."""
    return base.ranker.steps[-1].stage.reads if base.takes_residual else None


def training_of(base: Base) -> Any:
    """How the base's last stage was trained."""
    return (
        last.train if isinstance(last := base.config.stages[-1], LambdaMart) else LambdaMart(name="x").train
    )


def drafted(borrower: Borrower, choice: Choice, settings: Settings, files: Path, context: Context) -> Draft:
    """The bundle of what was chosen; the stages' files are put under `files`."""
    task, base, contest = borrower.task, borrower.base, borrower.contest
    if choice.kind == "own" and contest.own is not None:
        stages = fit_cascade(task.config, contest.own.data, files, replace(context, figures=False))
        fits: dict[str, Any] = {stage.name: dict(stage.fit) for stage in stages}
        data, config, features = contest.own.data, task.config, borrower.features
    else:
        base.copy_stages(files)
        fits = add_residual(borrower, choice, settings, files)
        data, config, features = borrower.data, base.config, base.ranker.features
    return Draft(
        cascade=borrower.target.ranker,
        config=config,
        features=features,
        stage_files=files,
        golden=golden(borrower),
        metrics={NDCG: choice.figures[choice.kind].mean} if choice.figures else {},
        data={
            **describe(task, data, context),
            "fits": fits,
            BORROWING: entry(base, choice),
            SOURCES: told(sources(borrower, choice)),
            **profile_entry(data.matrix),
        },
    )


def add_residual(borrower: Borrower, choice: Choice, settings: Settings, files: Path) -> dict[str, Any]:
    """Residual trees fitted on all queries, written beside the base's; what to tell of the fit."""
    if choice.kind != "residual":
        return {}
    given, scores, reads = borrower.contest.base.given, borrower.contest.base.scores, borrower.contest.reads
    how = settings.boosting, borrower.contest.training
    booster = residual.fit(given, scores, reads or (), how, choice.trees)
    last = borrower.base.config.stages[-1].name
    write_residual(files / last, booster, choice.trees, choice.weight)
    return {last: {"residual_trees": booster.num_trees(), "weight": choice.weight}}


def entry(base: Base, choice: Choice) -> dict[str, Any]:
    """What the manifest tells of the choice."""
    return {
        "base": base.name,
        "kind": choice.kind,
        "weight": choice.weight,
        "trees": choice.trees,
        "metric": NDCG,
        "held_out_queries": choice.queries,
        "groups": choice.groups,
        "figures": {kind: msgspec.to_builtins(figure) for kind, figure in choice.figures.items()},
        "gains_over_base": {kind: msgspec.to_builtins(figure) for kind, figure in choice.gains.items()},
        "reasons": list(choice.reasons),
        **({"private_sources": list(base.private)} if base.private else {}),
    }


def sources(borrower: Borrower, choice: Choice) -> tuple[Source, ...]:
    """Whose labels went into what was chosen."""
    mine = Source(borrower.target.tenant, choice.queries, borrower.digest)
    lent = tuple(msgspec.structs.replace(each, part=None) for each in borrower.base.sources)
    if choice.kind == "own":
        return (mine,)
    others = tuple(each for each in lent if each.tenant != mine.tenant)
    return (*others, mine) if choice.kind == "residual" else lent


def golden(borrower: Borrower) -> CandidateBatch:
    """A few of the tenant's own queries; its first documents under a made-up query where it has none."""
    found = sample(borrower.data.batch)
    if len(found):
        return found
    documents = borrower.task.collection.documents
    batch = documents.batch(borrower.features.inputs)
    rows = np.arange(min(len(batch), 20))
    words = next(
        (str(row[name]) for row in documents.rows for name in documents.text_fields if row.get(name)), ""
    )
    part = batch.take(rows)
    return single(Query(" ".join(words.split()[:4]) or "golden", id="golden"), part.ids, part.columns)
