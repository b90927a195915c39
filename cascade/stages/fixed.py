"""Scores from a table: the fake for tests and demonstrations, and a last word on a handful of items."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import isinf
from pathlib import Path
from typing import Annotated, ClassVar

import msgspec
import numpy as np

from cascade.deadline import Deadline
from cascade.stage import Stage, StageResult, StageSpec
from features.batch import CandidateBatch
from features.columns import Input
from features.errors import SluiceError
from features.matrix import FeatureMatrix


class Fixed(StageSpec, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The score that `table` gives an id; an id that it lacks, or has as `nan`, cannot be scored.

    Attributes:
        table: candidate id → score.
        reads: matrix columns it claims to read, such as `stage.first`.
        late_after: pretend that the deadline passes after that many rows.
        fail: raise instead of scoring.
    """

    kind: ClassVar[str] = "fixed"

    table: dict[str, float] = msgspec.field(default_factory=dict)
    reads: tuple[str, ...] = ()
    late_after: Annotated[int, msgspec.Meta(ge=0)] | None = None
    fail: bool = False

    def __post_init__(self) -> None:
        if any(isinf(score) for score in self.table.values()):
            raise ValueError("scores must be finite (nan = no score)")

    def columns(self, features: tuple[str, ...]) -> tuple[str, ...]:  # noqa: ARG002
        """The columns it claims to read."""
        return self.reads

    def load(self, directory: Path, features: tuple[str, ...]) -> Stage:  # noqa: ARG002 (no files)
        """The stage itself: nothing lies in files."""
        return Loaded(self.table, self.reads, self.late_after, self.fail)


@dataclass(frozen=True, slots=True, eq=False)
class Loaded:
    """The table, ready to score."""

    table: Mapping[str, float]
    reads: tuple[str, ...]
    late_after: int | None
    fail: bool

    @property
    def inputs(self) -> tuple[Input, ...]:
        """No candidate column: ids alone."""
        return ()

    def score(self, batch: CandidateBatch, matrix: FeatureMatrix, deadline: Deadline) -> StageResult:  # noqa: ARG002
        """The table's scores, and an outcome for every id that it lacks."""
        if self.fail:
            raise SluiceError("a fixed stage was told to fail")
        done = len(batch) if self.late_after is None else min(self.late_after, len(batch))
        found = [self.table.get(name, np.nan) for name in batch.ids[:done]]
        scores = np.array(found + [np.nan] * (len(batch) - done), np.float32)
        unknown = np.flatnonzero(np.isnan(scores[:done])).tolist()
        return StageResult(scores, dict.fromkeys(unknown, "not in the table"), late=done < len(batch))
