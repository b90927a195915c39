"""A LambdaMART stage out of logged pages: from scratch, or on from the promoted one if that is no worse."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from cascade.stages.lambdamart import MODEL, LambdaMart
from features.columns import Floats
from training.from_log.boost import Boosted, Judge, boosted, grown
from training.from_log.sample import Sample
from training.from_log.scale import scale_of, write_scaled
from training.lambdamart import gain

LEAST = 0.01
"""Below this scale nothing of a promoted model is left."""

Fold = tuple[Sample, Floats]
"""What to learn from, and float32[m, k]: the rows to be scored."""


@dataclass(frozen=True, slots=True, eq=False)
class Ground:
    """What a stage is learned from.

    Attributes:
        learn, whole: pages that are not held out, and all of them.
        judge: the held-out ones.
        start: the promoted booster, or None; `why` there is none, "" where nobody asked.
    """

    learn: Sample
    whole: Sample
    judge: Judge
    start: Path | None
    why: str


@dataclass(frozen=True, slots=True, eq=False)
class Trees:
    """A learned stage.

    Attributes:
        best: what held-out pages chose. `fit`: for the manifest. `notes`: what a person should know.
        scores: float32[m] of every fold's rows, by models that did not learn from them.
    """

    best: Boosted
    fit: dict[str, Any]
    notes: tuple[str, ...]
    scores: tuple[Floats, ...] = field(default=())


def learn_trees(spec: LambdaMart, ground: Ground, folder: Path, folds: Callable[[], Any]) -> Trees:
    """Write the stage's `model.txt`; `folds` yields what later stages need scores of, a `Fold` each."""
    with TemporaryDirectory() as scratch:
        best, tried, notes = chosen(spec, ground, Path(scratch))
        final = grown(ground.whole, spec.train, best.trees, best.start)
        folder.mkdir(parents=True, exist_ok=True)
        final.save_model(folder / MODEL)
        scores = tuple(scored(spec, learn, values, best) for learn, values in folds())
    rows = {"rows": len(ground.learn.labels)}
    fit = {"trees": best.trees, "held_out": tried, "gain": gain(final, ground.whole.reads), **rows}
    return Trees(best, fit, notes, scores)


def chosen(
    spec: LambdaMart, ground: Ground, scratch: Path
) -> tuple[Boosted, dict[str, float], tuple[str, ...]]:
    """(the better one, what was tried, notes).

    Going on is kept unless from scratch is better by more than a standard error of their difference, page
    by page: held-out pages see nothing of what was never shown, which the promoted model knows.
    """
    fresh = boosted(ground.learn, ground.judge, spec.train, None)
    tried = {"scratch": fresh.best}
    if ground.start is None:
        return fresh, tried, (f"stage {spec.name}: from scratch: {ground.why}",) if ground.why else ()
    scale = rescaled(ground.start, ground.learn, scratch / MODEL)
    if scale < LEAST:
        why = "what the promoted model says does not agree with the clicks of this log at all"
        return fresh, tried | {"scale": scale}, (f"stage {spec.name}: from scratch: {why}",)
    further = boosted(ground.learn, ground.judge, spec.train, scratch / MODEL)
    tried |= {"continued": further.best, "scale": scale}
    ahead, error = ground.judge.difference(fresh.held(ground.judge), further.held(ground.judge))
    if ahead <= error:
        return further, tried, ()
    told = f"going on from the promoted model reaches {further.best:.4f} on held-out pages"
    return fresh, tried, (f"stage {spec.name}: {told}, from scratch {fresh.best:.4f}; the latter was kept",)


def rescaled(start: Path, learn: Sample, target: Path) -> float:
    """Write the promoted booster at the scale of clicks, and tell what its leaves were multiplied by."""
    import lightgbm

    model = lightgbm.Booster(model_file=start)
    scores = np.asarray(model.predict(learn.values, raw_score=True, num_threads=1), np.float64)
    scale = scale_of(scores, learn.comparisons())
    write_scaled(start, scale, target)
    return scale


def scored(spec: LambdaMart, learn: Sample, values: Floats, best: Boosted) -> Floats:
    """float32[m] by a booster like the best one."""
    booster = grown(learn, spec.train, best.trees, best.start)
    return np.asarray(booster.predict(values, raw_score=True, num_threads=1), np.float32)
