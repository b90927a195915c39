"""From a declared cascade and a collection to a published version: the whole of `sluice train`."""

import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from time import perf_counter
from typing import Any

from cascade.bundle import Draft, write_bundle
from cascade.check import check_reads
from cascade.config import CascadeConfig
from cascade.golden import sample
from cascade.stage import StageSpec
from cascade.store import Store
from features.columns import Input
from features.featureset import FeatureSet
from training.behaviour import LoggedBehaviour
from training.candidates import candidates, once
from training.collection import Collection
from training.dataset import StageData, build_batch, compute, labels_of
from training.drift import profile_entry
from training.fit import FittedStage, fit_cascade, held_out
from training.retrieval import corpus_index
from training.split import groups_of
from training.stage_card import write_stage_card
from training.teacher import read_teacher
from training.trainers import Context
from training.tuning.launch import leads


@dataclass(frozen=True, slots=True, eq=False)
class Trained:
    """What training came to.

    Attributes:
        stages: the fitted stages, in order.
        metrics: stage (and `input`) → metric → value, over queries that were held out.
        data: where the labels came from, as the manifest tells.
        seconds: by part: features, and everything.
        notes: what a person should know.
    """

    stages: tuple[FittedStage, ...]
    metrics: Mapping[str, Mapping[str, float]]
    data: Mapping[str, Any]
    seconds: Mapping[str, float]
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Task:
    """What to fit to what: a cascade, a collection, and where candidates come from (`judged`, …).

    `behaviour`: the event log that behaviour features are computed from; None = they are missing.
    """

    config: CascadeConfig
    collection: Collection
    candidates: str
    behaviour: LoggedBehaviour | None = None


@dataclass(frozen=True, slots=True)
class Target:
    """Where a bundle goes: a tenant's ranker in a store."""

    store: Store
    tenant: str
    ranker: str


def train_and_publish(task: Task, target: Target, context: Context, now: datetime) -> tuple[str, Trained]:
    """Fit every stage, write the bundle, publish it; its version and what came of training.

    Of several processes that were launched together the first alone publishes; the others' version is "".
    What the fits kept in the work folder is removed once the bundle is published.

    Raises:
        InvalidInput: for a collection, candidates or labels that cannot be right.
        InvalidConfig: for a cascade that cannot be trained.
    """
    with tempfile.TemporaryDirectory() as scratch:
        files, bundle = Path(scratch) / "stages", Path(scratch) / "bundle"
        features, data, trained = train(task, files, context)
        if not leads():
            return "", trained
        for spec, stage in zip(task.config.stages, trained.stages, strict=True):
            write_stage_card(spec, stage, trained.metrics, trained.data, files / spec.name, now)
        draft = Draft(
            cascade=target.ranker,
            config=task.config,
            features=features,
            stage_files=files,
            golden=sample(data.batch),
            metrics=trained.metrics.get(task.config.stages[-1].name, {}),
            data={
                **trained.data,
                "fits": {stage.name: dict(stage.fit) for stage in trained.stages},
                **profile_entry(data.matrix),
            },
        )
        write_bundle(bundle, draft, now)
        version = target.store.publish(target.tenant, target.ranker, bundle)
    if context.work:
        for spec in task.config.stages:
            shutil.rmtree(context.work / spec.name, ignore_errors=True)
    return version, trained


def train(task: Task, files: Path, context: Context) -> tuple[FeatureSet, StageData, Trained]:
    """Features that have learned the corpus, the data, and the fitted stages with their files."""
    start = perf_counter()
    check_reads(task.config.stages, task.config.feature_set().names)
    taught = teachers_of(task)
    features, data, notes = prepare(task, context)
    prepared = perf_counter()
    stages = fit_cascade(task.config, data, files, context)
    metrics = held_out(data.batch, stages, task.collection.grades)
    seconds = {"features": prepared - start, "total": perf_counter() - start}
    about = describe(task, data, context)
    return features, data, Trained(stages, metrics, about, seconds, (*task.collection.notes, *taught, *notes))


def teachers_of(task: Task) -> tuple[str, ...]:
    """Notes about the teachers that stages learn from.

    Raises:
        InvalidInput: for a teacher's file that cannot be right, or that knows nothing of the collection.
    """
    declared = (getattr(getattr(spec, "train", None), "teacher", "") for spec in task.config.stages)
    known = task.collection.queries, task.collection.documents.ids
    files = dict.fromkeys(file for file in declared if file)
    return tuple(note for file in files for note in read_teacher(Path(file)).check_known(*known))


def prepare(task: Task, context: Context) -> tuple[FeatureSet, StageData, tuple[str, ...]]:
    """Features that have learned the corpus, and the candidates with their features, labels and groups."""
    declared = task.config.feature_set()
    features = declared.prepare(task.collection.documents.batch(declared.inputs))
    return features, *gathered(features, task, context)


def gathered(features: FeatureSet, task: Task, context: Context) -> tuple[StageData, tuple[str, ...]]:
    """The candidates with their features, labels and groups, and notes; the features have learned already."""
    collection = task.collection
    wanted = inputs_of(features, task.config.stages)
    index = once(lambda: corpus_index(collection.documents, context.track))
    lists, candidate_notes = candidates(collection, task.candidates, index, context.track)
    batch = build_batch(collection, lists, wanted)
    if task.behaviour is not None:
        batch = task.behaviour.joined(batch, wanted, context.track)
    labels = labels_of(batch, collection.grades)
    groups, group_notes = groups_of(batch.queries, collection.grades)
    matrix = compute(features, batch, context.track)
    return StageData(batch, matrix, labels, groups), (*candidate_notes, *group_notes)


def inputs_of(features: FeatureSet, stages: tuple[StageSpec, ...]) -> tuple[Input, ...]:
    """The candidate columns that features and stages read, each once."""
    every = (*features.inputs, *(read for spec in stages for read in spec.inputs))
    return tuple(dict.fromkeys(every))


def describe(task: Task, data: StageData, context: Context) -> dict[str, Any]:
    """Where the labels came from: what the manifest keeps of the collection."""
    collection, source = task.collection, task.candidates
    judgments = sum(len(judged) for judged in collection.grades.values())
    return {
        "collection": collection.name,
        "digest": collection.digest,
        "files": {role: path.name for role, path in collection.files.items()},
        "candidates": source if source == "judged" or source.startswith("bm25:") else Path(source).name,
        "documents": len(collection.documents),
        "queries": len(collection.queries),
        "judgments": judgments,
        "rows": len(data.labels),
        "relevant_rows": int((data.labels > 0).sum()),
        "seed": context.seed,
        "licence": "unknown",
    }
