"""What a stage's fine-tuning works on: lists to draw from, lists to be judged on, and a teacher's scores.

Cross-encoders and sentence encoders learn from the same material.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import msgspec
import numpy as np

from cascade.stage import StageSpec
from features.columns import Floats, Rows
from features.errors import InvalidConfig, InvalidInput, NotReady
from features.transformer.model import MODEL, read_notes
from training.dataset import StageData, rows_of
from training.lists import Drawing, Draws, held_of, parted
from training.teacher import read_teacher
from training.trainers import Context
from training.tuning.curve import Held

if TYPE_CHECKING:
    from training.tuning.settings import Tuned


class Learning(Drawing, Protocol):
    """How lists are drawn, and who teaches."""

    @property
    def loss(self) -> str: ...

    @property
    def teacher(self) -> str: ...

    @property
    def patience(self) -> int: ...


@dataclass(frozen=True, slots=True, eq=False)
class Material:
    """What a fine-tuning works on.

    Attributes:
        data, documents: the candidates that are learned from, and the text of each.
        draws: lists out of them, anew in every epoch.
        held: lists for the curve; None where there are none.
        taught: share of all candidates that the teacher knows; None without a teacher.
    """

    data: StageData
    documents: list[str]
    draws: Draws
    held: Held | None
    taught: float | None

    def told(self, tuned: "Tuned") -> dict[str, Any]:
        """What came of a fine-tuning, for the manifest."""
        tail = tuned.losses[-max(1, len(tuned.losses) // 10) :]
        return {
            "steps": len(tuned.losses),
            "planned": tuned.planned,
            "kept": tuned.kept,
            "loss": float(np.mean(tail)),
            "held_out_queries": len(self.held.lists) if self.held else 0,
            "curve": msgspec.to_builtins(tuned.curve),
            "taught": self.taught,
        }


def material(
    name: str,
    training: Learning,
    data: StageData,
    documents: list[str],
    context: Context,
    by_order: Collection[str],
) -> Material:
    """What to learn from; a draft needs a curve only to stop by.

    Args:
        name: the stage's.
        documents: the text of every row.
        by_order: losses that make something of a teacher who gives ranks alone.

    Raises:
        InvalidInput: if no candidate is relevant and no teacher knows any.
    """
    known = taught(training, data, documents, by_order)
    learn, held = parted(data, training, context.seed)
    if context.draft and not training.patience:
        learn, held = np.arange(len(data.groups)), held[:0]
    part, texts, scores = along(data, learn, documents, known)
    draws = Draws(part, texts, training, scores)
    if not any(one.teaches for one in draws(0)):
        raise InvalidInput("no candidate is relevant, so there is nothing to learn", path=name)
    share = None if known is None else float(np.isfinite(known).mean())
    judged = held_of(*along(data, held, documents, known)) if len(held) else None
    return Material(part, texts, draws, judged, share)


def taught(
    training: Learning, data: StageData, documents: list[str], by_order: Collection[str]
) -> Floats | None:
    """float32[n]: the teacher's scores along the rows; None without a teacher.

    Raises:
        InvalidInput: if the teacher knows no two candidates of any query, or only ranks where margins count.
    """
    if not training.teacher or training.teacher_weight == 0:
        return None
    teacher = read_teacher(Path(training.teacher))
    if teacher.ranked and training.loss not in by_order:
        message = f"has ranks alone, of which {training.loss!r} makes nothing; set loss to"
        raise InvalidInput(f"{message} {' or '.join(by_order)}", path=training.teacher)
    known = teacher.along(data.batch, documents)
    counts = np.bincount(data.batch.query_of_row[np.isfinite(known)], minlength=1)
    if counts.max() < 2:
        message = f"knows no two candidates of any query ({len(teacher)} pairs by {teacher.query_by} and"
        raise InvalidInput(f"{message} {teacher.document_by})", path=training.teacher)
    return known


def along(
    data: StageData, queries: Rows, documents: list[str], teacher: Floats | None
) -> tuple[StageData, list[str], Floats | None]:
    """The rows of some queries, with their texts and the teacher's scores."""
    rows = rows_of(data.batch.offsets, queries)
    texts = [documents[row] for row in rows.tolist()]
    return data.queries(queries), texts, None if teacher is None else teacher[rows]


def check_packages(spec: StageSpec, needed: Collection[str], otherwise: str) -> None:
    """Refuse a fit for which packages are missing.

    Raises:
        NotReady: naming them, and what to do `otherwise`.
    """
    absent = [name for name in needed if find_spec(name) is None]
    if absent:
        message = f"needs {', '.join(absent)}: pip install 'sluice[train]', or {otherwise}"
        raise NotReady(message, path=f"{spec.name}.weights")


def check_exported(spec: StageSpec, source: Path, task: str) -> None:
    """Refuse an exported model that is for something else.

    Raises:
        InvalidConfig: naming what it is for.
    """
    if (source / MODEL).is_file() and (found := read_notes(source).task) != task:
        gives = WHAT[found]
        raise InvalidConfig(f"gives {gives}, not {WHAT[task]}", path=f"{spec.name}.weights")


WHAT: Mapping[str, str] = {"score": "scores of pairs", "vector": "vectors of texts"}
