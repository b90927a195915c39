"""What has to be known of a ranker's version before its stages' lifts can be."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cascade.config import parse_config
from cascade.lift.curve import curve_of
from cascade.manifest import read_manifest
from cascade.stage import SCORE
from features.columns import Doubles, Floats


@dataclass(frozen=True, slots=True, eq=False)
class Facts:
    """Of a version.

    Attributes:
        stages: names, in the cascade's order.
        curve: θ by place, as its training found it in a log; None = it did not say.
    """

    stages: tuple[str, ...]
    curve: Doubles | None


def facts_of(directory: Path) -> Facts:
    """Of a bundle.

    Raises:
        SluiceError: if it cannot be read.
    """
    bundle = read_manifest(directory)
    stages = tuple(spec.name for spec in parse_config(bundle.source).stages)
    return Facts(stages, curve_of(bundle.manifest.data))


def stage_scores(values: Floats, names: tuple[str, ...], stages: tuple[str, ...]) -> Floats:
    """float32[n, s]: the columns `stage.<name>` of logged features; NaN where a stage did not run."""
    found = np.full((len(values), len(stages)), np.nan, np.float32)
    at = {name: place for place, name in enumerate(names)}
    for column, stage in enumerate(stages):
        if (place := at.get(SCORE + stage)) is not None:
            found[:, column] = values[:, place]
    return found
