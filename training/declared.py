"""Stages that are declared in full: there is nothing to fit."""

from pathlib import Path

from cascade.stage import StageSpec
from training.dataset import StageData
from training.trainers import Context, Metrics


def ready(spec: StageSpec) -> None:
    """Always: it needs nothing beyond what is installed."""


def learns(spec: StageSpec) -> bool:  # noqa: ARG001
    """Never."""
    return False


def fit(spec: StageSpec, data: StageData, directory: Path, context: Context) -> Metrics:  # noqa: ARG001
    """Writes nothing."""
    return {}
