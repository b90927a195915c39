"""From an event log to a published version: the whole of `sluice train --log`."""

import tempfile
from datetime import datetime
from pathlib import Path
from time import perf_counter

import msgspec

from cascade.bundle import Draft, write_bundle
from cascade.golden import sample
from training.drift import profile_entry
from training.from_log.base import unknown_candidates
from training.from_log.examination import Examination, fit_examination
from training.from_log.held import Yardstick, held_out
from training.from_log.segments import apart
from training.from_log.settings import Learning, Unbiased
from training.from_log.source import Source, read_source
from training.from_log.stages import Course, LearnedStage, Lesson
from training.from_log.task import Learned, LogTask
from training.from_log.told import describe, notes_of
from training.publish import Target
from training.trainers import Context

DEPTH = 10


def learn_and_publish(task: LogTask, target: Target, context: Context, now: datetime) -> tuple[str, Learned]:
    """Learn what can be learned, keep the rest, write the bundle, publish it; its version, what came of it.

    Raises:
        NotFound: for a tenant without a log.
        NotReady: if no page holds the features, or a stage can neither be learned nor kept.
        InvalidInput: for a window that cannot be right, or too few clicks.
    """
    start = perf_counter()
    source = read_source(task, target, context, now)
    read_s = perf_counter() - start
    lesson = lesson_of(task, source, context)
    with tempfile.TemporaryDirectory() as scratch:
        files, bundle = Path(scratch) / "stages", Path(scratch) / "bundle"
        files.mkdir()
        stages = taught(lesson, source, files)
        learned = Learned(
            stages=stages,
            metric=lesson.yardstick.name,
            as_shown=lesson.yardstick.as_shown(),
            seen=lesson.seen,
            data=describe(task, target.tenant, source, lesson, stages),
            seconds={"log": read_s, "total": perf_counter() - start},
            notes=notes_of(source, lesson, stages),
        )
        write_bundle(bundle, draft_of(task, target, source, learned, files), now)
        return target.store.publish(target.tenant, target.ranker, bundle), learned


def lesson_of(task: LogTask, source: Source, context: Context) -> Lesson:
    """How often places are looked at, and which pages are held out."""
    pages, learning = source.pages, task.learning
    seen = fit_examination(pages, learning, context.seed, context.track)
    seen = apart(seen, pages, learning, context.seed)
    held = held_out(pages, learning, context.seed)
    yardstick = Yardstick.of(pages, held, seen, learning.clip, DEPTH)
    settled = msgspec.structs.replace(learning, unbiased=kind_of(learning, seen))
    return Lesson(task.config, source.base, settled, seen, held, yardstick, task.go_on, context)


def kind_of(learning: Learning, seen: Examination) -> Unbiased:
    """What "auto" comes to: weights that rest on features alone would take relevance for position bias."""
    if learning.unbiased != "auto":
        return learning.unbiased
    return "ips" if seen.identified else "joint"


def taught(lesson: Lesson, source: Source, files: Path) -> tuple[LearnedStage, ...]:
    """Every stage, in order."""
    course = Course(lesson, source.pages, files)
    numbers = range(len(lesson.config.stages))
    return tuple(course.take(number) for number in lesson.context.track(numbers, "learning stages"))


def draft_of(task: LogTask, target: Target, source: Source, learned: Learned, files: Path) -> Draft:
    """The bundle: golden queries have the inputs of the promoted bundle's, as a log holds none."""
    unknown = sample(unknown_candidates(task.config, source.pages.ids))
    return Draft(
        cascade=target.ranker,
        config=task.config,
        features=source.features,
        stage_files=files,
        golden=source.base.golden() if source.base else unknown,
        metrics={learned.metric: learned.measured},
        data={**learned.data, **profile_entry(source.pages.matrix(source.features.names))},
    )
