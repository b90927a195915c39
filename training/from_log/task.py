"""What a training from a log is asked for, and what came of it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cascade.config import CascadeConfig
from training.from_log.examination import Examination
from training.from_log.settings import Learning
from training.from_log.stages import LearnedStage


@dataclass(frozen=True, slots=True)
class LogTask:
    """What to learn from: a cascade, a log, and what of it.

    Attributes:
        config: the cascade. `root`: the event log's directory.
        since, until: as `window_of` reads them.
        learning: how behaviour becomes labels and weights.
        go_on: start from the promoted boosters where held-out clicks say that this is better.
    """

    config: CascadeConfig
    root: Path
    since: str = ""
    until: str = ""
    learning: Learning = field(default_factory=Learning)
    go_on: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Learned:
    """What came of it.

    Attributes:
        stages: in order. `metric`: the held-out metric's name; `as_shown`: that of the order that people saw.
        seen: how often places are looked at.
        data: what the manifest tells of the log, the labels and the fits.
        seconds: by part. `notes`: what a person should know.
    """

    stages: tuple[LearnedStage, ...]
    metric: str
    as_shown: float
    seen: Examination
    data: Mapping[str, Any]
    seconds: Mapping[str, float]
    notes: tuple[str, ...]

    @property
    def measured(self) -> float:
        """The held-out metric after the last stage that was learned."""
        return next(stage.measured for stage in reversed(self.stages) if stage.measured is not None)
