"""The contract of a trainer, and which one fits which kind of stage.

A trainer is a module with three functions, `ready`, `learns` and `fit`. It is imported when a stage of its
kind is trained, so that torch is not needed where no cross-encoder is.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol, cast

from cascade.stage import StageSpec
from features.errors import InvalidConfig
from training.dataset import StageData
from training.progress import Track, quiet

Metrics = Mapping[str, Any]
"""What a trainer tells of its fit: JSON values by name, such as `trees` or `gain`."""


@dataclass(frozen=True, slots=True)
class Context:
    """What a fit needs beside its data.

    Attributes:
        seed: of the splits into folds.
        track: shows progress.
        draft: the model is for one fold's out-of-fold scores, and no effort that only polishes is due.
        work: a folder where long fits keep their state, so that a killed training can go on.
        figures: held-out figures are wanted; where no later stage learns, they cost a fit of their own.
    """

    seed: int = 7
    track: Track = quiet
    draft: bool = False
    work: Path | None = None
    figures: bool = True

    def of(self, fit: str) -> "Context":
        """The context of one fit, with a work folder of its own."""
        return replace(self, work=self.work / fit if self.work else None)


class Trainer(Protocol):
    """Fits one kind of stage."""

    def ready(self, spec: StageSpec, /) -> None:
        """Refuse, before any stage is fitted, what could not be fitted after an hour of others.

        Raises:
            NotReady: if a package is missing.
            InvalidConfig: if the spec names what does not exist.
        """
        ...

    def learns(self, spec: StageSpec, /) -> bool:
        """Whether the labels are looked at: what does not learn from them needs no out-of-fold scores."""
        ...

    def fit(self, spec: Any, data: StageData, directory: Path, context: Context, /) -> Metrics:
        """Write the files that `spec.load` reads to `directory`, which exists and is empty.

        `data.matrix.names` are the columns that `spec.load` will be given. Every split is of whole
        `data.groups`.
        """
        ...


TRAINERS = {
    "bi_encoder": "training.bi_encoder",
    "cross_encoder": "training.cross_encoder",
    "fixed": "training.declared",
    "lambdamart": "training.lambdamart",
    "linear": "training.linear",
}


def trainer_of(spec: StageSpec) -> Trainer:
    """The trainer of a stage's kind.

    Raises:
        InvalidConfig: if the kind has none.
    """
    if spec.kind not in TRAINERS:
        raise InvalidConfig(
            f"no trainer for stages of kind {spec.kind!r}", path=f"$.stages[{spec.name}].kind"
        )
    return cast(Trainer, import_module(TRAINERS[spec.kind]))


def folds_wanted(spec: StageSpec) -> int:
    """The number of folds that a stage's `train` table asks for."""
    return int(getattr(getattr(spec, "train", None), "folds", 5))
