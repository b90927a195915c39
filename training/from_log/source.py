"""From a log to pages that can be learned from, or to one sentence that says why there are none."""

from dataclasses import dataclass
from datetime import datetime

from cascade.check import check_reads
from cascade.config import CascadeConfig
from cascade.events import MICROS
from cascade.stage import SCORE
from features.errors import InvalidConfig, InvalidInput
from features.featureset import FeatureSet
from training.events.join import Join
from training.events.rules import Counts, Window
from training.from_log.base import Base, no_stage, open_base
from training.from_log.gather import Gatherer, Wanted, gather
from training.from_log.pages import LogPages
from training.from_log.settings import Learning
from training.from_log.stages import learns
from training.from_log.task import LogTask
from training.from_log.window import window_of
from training.publish import Target
from training.trainers import Context


@dataclass(frozen=True, slots=True, eq=False)
class Source:
    """What was read.

    Attributes:
        base: the promoted bundle; None = there is none. `features`: with what they learned.
        window: of the log. `counts`: what became of its events.
        pages: to learn from. `gathered`: what became of the others.
    """

    base: Base | None
    features: FeatureSet
    window: Window
    counts: Counts
    pages: LogPages
    gathered: Gatherer


def read_source(task: LogTask, target: Target, context: Context, now: datetime) -> Source:
    """The pages of a ranker in the window, after all that can be checked without them has been.

    Raises:
        NotFound: for a tenant without a log.
        NotReady: if no page holds the features, or a stage can neither be learned nor kept.
        InvalidInput: for a window that cannot be right, or too few clicks.
    """
    base = open_base(target.store, target.tenant, target.ranker)
    features = features_of(task.config, base)
    now_us, last_us = round(now.timestamp() * MICROS), base.until_us if base else None
    window = window_of(task.since, task.until, now_us, last_us, task.learning.settle_s)
    join = Join(
        root=task.root,
        tenant=target.tenant,
        window=window,
        rules=task.learning.join,
        features=True,
        track=context.track,
    )
    scores = tuple(SCORE + spec.name for spec in task.config.stages)
    prints = (features.fingerprint, *task.learning.accept)
    pages, gathered = gather(join, Wanted(target.ranker, prints, features.names, scores), task.learning)
    check_clicks(pages, task.learning)
    return Source(base, features, window, join.counts, pages, gathered)


def features_of(config: CascadeConfig, base: Base | None) -> FeatureSet:
    """The config's features with what they learned, checked together with its stages.

    Raises:
        NotReady: for features that are not the promoted bundle's; for a stage that cannot be had.
        InvalidConfig: for a cascade of which nothing is learned.
    """
    check_reads(config.stages, config.feature_set().names)
    if not any(learns(spec) for spec in config.stages):
        message = "no stage learns from a log; lambdamart does, and linear without weights"
        raise InvalidConfig(message, path="$.stages")
    for spec in config.stages:
        if spec.inputs and (base is None or not base.has(spec)):
            raise no_stage(spec)
    return base.features(config) if base else config.feature_set()


def check_clicks(pages: LogPages, learning: Learning) -> None:
    """Refuse a log that says too little.

    Raises:
        InvalidInput: naming how many there are, and how many are needed.
    """
    telling = int(pages.tells.sum())
    if telling < learning.least_clicks:
        raise InvalidInput(
            f"{telling} of {len(pages)} pages have a click that counts, and something beside it; at least"
            f" {learning.least_clicks} are needed (least_clicks in --behaviour): wait, or widen --since",
            path="--log",
        )
