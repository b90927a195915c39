"""What the manifest keeps of a training from a log, and what a person should know."""

from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np

from cascade.eventlog.windows import KEY, window_entry
from training.from_log.base import Base
from training.from_log.source import Source
from training.from_log.stages import LearnedStage, Lesson
from training.from_log.task import LogTask
from training.from_log.window import end_of
from training.learned import INHERITED, digests_of

INHERITS = ("carried", "continued")
"""Stages of which something was learned before this window."""


def describe(
    task: LogTask, tenant: str, source: Source, lesson: Lesson, stages: Sequence[LearnedStage]
) -> dict[str, Any]:
    """Where the labels came from: the window, the counts, the curve, the fits."""
    return {
        "source": "event log",
        **windows(source, stages),
        INHERITED: inherited(source, stages),
        "examination": [round(float(value), 4) for value in lesson.seen.propensity],
        "click_model": lesson.seen.told(),
        "learning": {**msgspec.to_builtins(lesson.learning), "asked": task.learning.unbiased},
        "log": {"tenant": tenant, **log_entry(source)},
        "held_out": held_entry(lesson),
        "base": source.base.bundle.version if source.base else "",
        "stages": {one.name: one.how for one in stages},
        "fits": {one.name: {**one.fit, "measured": one.measured} for one in stages},
        "queries": len(np.unique(source.pages.query)),
        "seed": lesson.context.seed,
    }


def windows(source: Source, stages: Sequence[LearnedStage]) -> dict[str, Any]:
    """The data window, from the first page on. With stages that go on from, or are, the promoted bundle's it
    holds that one's as well: its clicks are in the model, too.
    """
    since, until = max(source.window.since_us, int(source.pages.time_us.min())), end_of(source.window)
    base = keeps(source, stages)
    if base and base.since_us is not None:
        since, until = min(since, base.since_us), max(until, base.until_us or 0)
    return window_entry(since, until)


def inherited(source: Source, stages: Sequence[LearnedStage]) -> list[str]:
    """Digests of the collections whose labels are in the model by way of the promoted bundle's stages."""
    base = keeps(source, stages)
    return sorted(digests_of(base.bundle.manifest.data)) if base else []


def keeps(source: Source, stages: Sequence[LearnedStage]) -> Base | None:
    """The promoted bundle, where something that it learned is in the new one."""
    return source.base if any(one.how in INHERITS for one in stages) else None


def log_entry(source: Source) -> dict[str, Any]:
    """What became of the events and the pages of the window."""
    pages, gathered = source.pages, source.gathered
    read = window_entry(source.window.since_us, end_of(source.window))[KEY]
    return {
        **read,
        **msgspec.to_builtins(source.counts),
        "left_out": {
            "of other rankers": gathered.others,
            "without the features": gathered.unlike,
            "beyond most_rows": gathered.surplus,
        },
        "versions": gathered.versions,
        "used_pages": len(pages),
        "used_rows": len(pages.place),
        "telling_pages": int(pages.tells.sum()),
    }


def held_entry(lesson: Lesson) -> dict[str, Any]:
    """The pages that were judged on."""
    return {
        "split": lesson.learning.split,
        "pages": int(lesson.held.sum()),
        "telling_pages": len(lesson.yardstick.pages),
        "metric": lesson.yardstick.name,
        "as_shown": lesson.yardstick.as_shown(),
    }


def notes_of(source: Source, lesson: Lesson, stages: Sequence[LearnedStage]) -> tuple[str, ...]:
    """What a person should know."""
    told = [
        f"figures are estimates from clicks on what was shown ({lesson.yardstick.name}), not judged relevance"
        "; what pages did not show is not in the log"
    ]
    if source.gathered.surplus:
        told.append(f"{source.gathered.surplus:,} pages were left out at random, as most_rows allows no more")
    if not lesson.seen.identified:
        told.append(
            "documents hardly moved and queries hardly repeat, so that the log does not tell position bias"
            f" from relevance (learned as {lesson.learning.unbiased!r}); swap or explore a few places, or"
            " declare propensities"
        )
    if source.base is None:
        told.append("nothing is promoted: golden queries hold candidates without values")
    if source.base and not lesson.go_on and any(one.how == "learned" for one in stages):
        told.append(
            "learned from scratch: the order of what pages never show is unknown to it (--continue keeps what"
            " a promoted booster knows of that)"
        )
    if lesson.go_on and overlaps(source, lesson):
        told.append("the promoted bundle has learned from some of the held-out pages, which favours going on")
    return (*told, *(note for one in stages for note in one.notes))


def overlaps(source: Source, lesson: Lesson) -> bool:
    """Whether the promoted bundle may have seen pages that are held out."""
    until = source.base.until_us if source.base else None
    return until is not None and until > int(source.pages.time_us[lesson.held].min())
