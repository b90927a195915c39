"""Declared stages into loaded ones."""

from collections.abc import Sequence
from pathlib import Path

from cascade.pipeline import Step
from cascade.stage import SCORE, StageSpec


def available(features: Sequence[str], before: Sequence[StageSpec]) -> tuple[str, ...]:
    """The matrix columns that a stage finds: features, then the scores of the stages before it."""
    return (*features, *(SCORE + spec.name for spec in before))


def load_steps(specs: Sequence[StageSpec], directory: Path, features: Sequence[str]) -> tuple[Step, ...]:
    """Every stage, loaded from the folder of its name under `directory` (which may lack it).

    Raises:
        NotReady: if a file is missing or does not fit the features.
    """
    return tuple(
        Step(spec, spec.load(directory / spec.name, available(features, specs[:position])))
        for position, spec in enumerate(specs)
    )
