"""A weighted sum of feature columns: declared by hand, or fitted from labels."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

import msgspec
import numpy as np

from cascade.deadline import Deadline
from cascade.stage import Stage, StageResult, StageSpec
from features.batch import CandidateBatch
from features.columns import Doubles, Floats, Input, Rows
from features.errors import Corrupt, NotReady
from features.matrix import FeatureMatrix

MODEL = "weights.json"

Normalise = Literal["none", "zscore", "minmax"]


class LinearTraining(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How weights are learned where none are declared; scoring reads none of it.

    Attributes:
        l2: weight of the squared norm of the weights.
        iterations: at most that many steps of the optimiser.
        folds: query-grouped folds of the out-of-fold scores that later stages learn from.
        seed: of every random choice.
    """

    l2: Annotated[float, msgspec.Meta(ge=0)] = 1e-3
    iterations: Annotated[int, msgspec.Meta(ge=1)] = 200
    folds: Annotated[int, msgspec.Meta(ge=2)] = 5
    seed: int = 7


class LinearModel(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`weights.json`, as training writes it."""

    weights: dict[str, float]
    bias: float = 0.0


class Linear(StageSpec, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """score = bias + Σ weight · x̂, summed in float64, with x̂ the column after `normalise`.

    Attributes:
        weights: column → weight; without them the stage is fitted, and reads `weights.json`.
        features: the columns to fit; None = all there are. Not together with `weights`.
        missing: what a missing value counts as *after* normalisation. The default, 0, adds nothing: the
            list's mean under "zscore", its least value under "minmax".
        normalise: "none"; "zscore" (x - mean) / deviation or "minmax" (x - min) / (max - min) within the
            query's candidates (those with a value), 0 where all are equal. Other than "none" is listwise:
            a score then depends on the candidates around it.
    """

    kind: ClassVar[str] = "linear"

    weights: dict[str, float] | None = None
    bias: float = 0.0
    features: tuple[str, ...] | None = None
    missing: float = 0.0
    normalise: Normalise = "none"
    train: LinearTraining = LinearTraining()

    def __post_init__(self) -> None:
        if self.weights is not None and self.features is not None:
            raise ValueError("weights already name their columns; leave out features")
        numbers = [self.bias, self.missing, *(self.weights or {}).values()]
        if self.weights == {} or not all(isfinite(value) for value in numbers):
            raise ValueError("needs at least one weight, and only finite numbers")

    @property
    def listwise(self) -> bool:
        """True where values are normalised within the list."""
        return self.normalise != "none"

    def columns(self, features: tuple[str, ...]) -> tuple[str, ...]:
        """The weighted columns; where they are still to be learned, those to learn from."""
        if self.weights is not None:
            return tuple(self.weights)
        return features if self.features is None else self.features

    def load(self, directory: Path, features: tuple[str, ...]) -> Stage:
        """The stage with its declared weights, or those of `weights.json`.

        Raises:
            NotReady: if there are none, or they read columns that are not there.
            Corrupt: if the file is not what training writes.
        """
        model = self._model(directory / MODEL)
        absent = sorted(set(model.weights) - set(features))
        if absent:
            raise NotReady(f"stage {self.name!r} weighs {', '.join(absent)}, which is not there")
        return Loaded(model.weights, model.bias, self.missing, self.normalise)

    def _model(self, path: Path) -> LinearModel:
        if self.weights is not None:
            return LinearModel(self.weights, self.bias)
        if not path.is_file():
            raise NotReady(f"stage {self.name!r} declares no weights and has no {MODEL}; run `sluice train`")
        try:
            return msgspec.json.decode(path.read_bytes(), type=LinearModel)
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise Corrupt(f"stage {self.name!r}: {MODEL}: {error}") from None


@dataclass(frozen=True, slots=True, eq=False)
class Loaded:
    """Weights, ready to score."""

    weights: Mapping[str, float]
    bias: float
    missing: float
    normalise: Normalise

    @property
    def reads(self) -> tuple[str, ...]:
        """The weighted columns."""
        return tuple(self.weights)

    @property
    def inputs(self) -> tuple[Input, ...]:
        """No candidate column: the matrix alone."""
        return ()

    def score(self, batch: CandidateBatch, matrix: FeatureMatrix, deadline: Deadline) -> StageResult:  # noqa: ARG002
        """The weighted sums, bias first, then column by column, so that a row's bits are its own."""
        total = np.full(len(batch), self.bias)
        for part in self._parts(batch, matrix):
            total += part
        return StageResult(total.astype(np.float32))

    def contributions(self, batch: CandidateBatch, matrix: FeatureMatrix) -> Floats:
        """float32[n, k + 1]: weight · x̂ a column, the last one the bias."""
        parts = [*self._parts(batch, matrix), np.full(len(batch), self.bias)]
        return np.stack(parts, axis=1).astype(np.float32)

    def _parts(self, batch: CandidateBatch, matrix: FeatureMatrix) -> list[Doubles]:
        return [
            weight * self._normalised(matrix.column(name), batch.offsets)
            for name, weight in self.weights.items()
        ]

    def _normalised(self, column: Floats, offsets: Rows) -> Doubles:
        values = column.astype(np.float64)
        if self.normalise != "none":
            for start, end in zip(offsets[:-1].tolist(), offsets[1:].tolist(), strict=True):
                values[start:end] = within(values[start:end], self.normalise)
        return np.where(np.isnan(values), self.missing, values)


def within(values: Doubles, how: Normalise) -> Doubles:
    """float64[n]: one list's values normalised over those that are there; NaN stays NaN."""
    there: Doubles = values[~np.isnan(values)]
    if not len(there):
        return values
    centre, spread = scale(there, how)
    return (values - centre) / spread if spread > 0 else values * 0.0


def scale(there: Any, how: Normalise) -> tuple[float, float]:
    """What is subtracted from values, and what they are then divided by."""
    least, most = float(there.min()), float(there.max())
    if how == "minmax":
        return least, most - least
    return float(there.mean()), float(there.std())
