"""LambdaMART: a LightGBM booster over the feature columns, and perhaps a tenant's own trees over its score.

Burges, "From RankNet to LambdaRank to LambdaMART: An Overview" (2010); Ke et al., "LightGBM: A Highly
Efficient Gradient Boosting Decision Tree" (2017).

    model.txt        the booster
    residual.txt     a second one, boosted from the first one's scores on one tenant's judgments
    residual.json    its weight: score = booster + weight * residual

A ranker that borrows has the base's `model.txt` byte by byte: a process holds it once for all tenants.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, ClassVar

import msgspec
import numpy as np

from cascade.deadline import Deadline
from cascade.sharing import Shared
from cascade.stage import Stage, StageResult, StageSpec
from features.batch import CandidateBatch
from features.columns import Floats, Input
from features.errors import Corrupt, NotReady
from features.matrix import FeatureMatrix

MODEL = "model.txt"
RESIDUAL = "residual.txt"
WEIGHT = "residual.json"
MANY_ROWS = 2_000
"""From here on two threads halve the wait (33 to 17 ms for 300 trees); below, one thread serves more."""
BOOSTERS: Shared[Any] = Shared()
"""The process's boosters: a base's trees are there once, however many tenants borrow them."""

Count = Annotated[int, msgspec.Meta(ge=1)]
Share = Annotated[float, msgspec.Meta(gt=0, le=1)]
NotNegative = Annotated[float, msgspec.Meta(ge=0)]


class LambdaMartTraining(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How the booster is learned; scoring reads none of it.

    Attributes:
        trees: at most that many; `early_stopping` rounds without gain on held-out queries end it sooner.
        leaves, min_in_leaf: leaves of a tree, rows in a leaf.
        folds: query-grouped folds of the out-of-fold scores that later stages learn from, and of the
            held-out share (one fold).
        subsample, feature_fraction: share of the rows and of the features that a tree sees.
        label_gain: gain of label 0, 1, …; None = 2^label - 1.
        truncation: pairs of which neither stands above this rank do not count.
        metric_at: k of the nDCG@k that early stopping watches.
        normalise: LambdaMART's gradients are divided by their sum a query, so that long lists do not rule.
        position_regularisation: of the position bias that LightGBM learns beside the trees, where rows have
            positions: higher keeps it nearer to none.
        seed: of every random choice.
    """

    trees: Count = 300
    leaves: Annotated[int, msgspec.Meta(ge=2)] = 31
    learning_rate: Share = 0.08
    min_in_leaf: Count = 20
    early_stopping: Annotated[int, msgspec.Meta(ge=0)] = 30
    folds: Annotated[int, msgspec.Meta(ge=2)] = 5
    subsample: Share = 1.0
    feature_fraction: Share = 0.8
    lambda_l2: NotNegative = 1.0
    max_bin: Annotated[int, msgspec.Meta(ge=2)] = 255
    label_gain: tuple[NotNegative, ...] | None = None
    truncation: Count = 30
    metric_at: Count = 10
    normalise: bool = True
    position_regularisation: NotNegative = 0.0
    seed: int = 7


class LambdaMart(StageSpec, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Gradient-boosted trees over `features`: unless given, all columns that there are by then.

    A missing value (NaN) takes the way that training learned for it in each split.
    """

    kind: ClassVar[str] = "lambdamart"

    features: tuple[str, ...] | None = None
    train: LambdaMartTraining = LambdaMartTraining()

    def columns(self, features: tuple[str, ...]) -> tuple[str, ...]:
        """The declared features, or every column there is."""
        return features if self.features is None else self.features

    def load(self, directory: Path, features: tuple[str, ...]) -> Stage:
        """The booster of `model.txt`, its feature names checked against the columns.

        Raises:
            NotReady: if there is no model, or it was trained on other columns.
            Corrupt: if LightGBM cannot read it.
        """
        reads = self.columns(features)
        booster = read_booster(directory / MODEL, self.name)
        check_columns(booster, reads, self.name)
        return Loaded(reads, booster, read_residual(directory, reads, self.name))


class Weight(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`residual.json`: how much of the residual goes on top of the booster."""

    weight: Share


@dataclass(frozen=True, slots=True, eq=False)
class Residual:
    """A tenant's own trees, and their weight in (0, 1]."""

    booster: Any
    weight: float


@dataclass(frozen=True, slots=True, eq=False)
class Loaded:
    """A booster, the columns that it reads, and what is added to its score."""

    reads: tuple[str, ...]
    booster: Any
    residual: Residual | None = None

    @property
    def inputs(self) -> tuple[Input, ...]:
        """No candidate column: the matrix alone."""
        return ()

    def score(self, batch: CandidateBatch, matrix: FeatureMatrix, deadline: Deadline) -> StageResult:  # noqa: ARG002
        """The sum of the leaves' values over all trees, and of the weighted residual's, in float64."""
        return StageResult(
            self._predict(matrix, raw_score=True).astype(np.float32).reshape(len(matrix.values))
        )

    def contributions(self, batch: CandidateBatch, matrix: FeatureMatrix) -> Floats:  # noqa: ARG002
        """float32[n, k + 1]: TreeSHAP values (Lundberg et al., 2018), the last one the expected score.

        Those of booster and weighted residual add up, as TreeSHAP is linear in the trees.
        """
        shape = (len(matrix.values), len(self.reads) + 1)
        shares: Floats = self._predict(matrix, pred_contrib=True).astype(np.float32).reshape(shape)
        return shares

    def _predict(self, matrix: FeatureMatrix, **how: Any) -> Any:
        values = matrix.select(self.reads)
        if not len(values):
            return np.empty(0)
        how["num_threads"] = 2 if len(values) >= MANY_ROWS else 1
        total = self.booster.predict(values, **how)
        if self.residual:
            total = total + self.residual.weight * self.residual.booster.predict(values, **how)
        return total


def model_name(column: str) -> str:
    """A column's name as LightGBM writes it: it has no spaces in feature names."""
    return column.replace(" ", "_")


def read_booster(path: Path, stage: str) -> Any:
    """The booster of a file, shared with whoever has the same open.

    LightGBM is imported here, as `sluice check` has no need of it.
    """
    import lightgbm

    if not path.is_file():
        raise NotReady(f"stage {stage!r} has no {path.name}; run `sluice train`")
    try:
        return BOOSTERS.of(path.read_bytes(), lambda text: lightgbm.Booster(model_str=text.decode()))
    except (lightgbm.basic.LightGBMError, UnicodeDecodeError) as error:
        raise Corrupt(f"stage {stage!r}: LightGBM cannot read {path.name}: {error}") from None


def read_residual(directory: Path, reads: tuple[str, ...], stage: str) -> Residual | None:
    """The residual of a stage's folder; None for a ranker that does not borrow.

    Raises:
        NotReady: if its trees are missing, or were trained on other columns.
        Corrupt: if a file cannot be read.
    """
    path = directory / WEIGHT
    if not path.is_file():
        return None
    try:
        weight = msgspec.json.decode(path.read_bytes(), type=Weight).weight
    except msgspec.MsgspecError as error:
        raise Corrupt(f"stage {stage!r}: {path.name}: {error}") from None
    booster = read_booster(directory / RESIDUAL, stage)
    check_columns(booster, reads, stage)
    return Residual(booster, weight)


def write_residual(directory: Path, booster: Any, trees: int, weight: float) -> None:
    """The two files of a residual: the booster's first `trees` trees, of which there is at least one."""
    booster.save_model(directory / RESIDUAL, num_iteration=trees)
    (directory / WEIGHT).write_bytes(msgspec.json.encode(Weight(weight)))


def check_columns(booster: Any, reads: tuple[str, ...], stage: str) -> None:
    """Refuse a booster that was trained on other columns, or on the same in another order."""
    trained, given = booster.feature_name(), [model_name(name) for name in reads]
    if trained == given:
        return
    if sorted(trained) == sorted(given):
        raise NotReady(f"stage {stage!r} was trained on the same columns in another order; train it again")
    more, less = sorted(set(given) - set(trained)), sorted(set(trained) - set(given))
    raise NotReady(
        f"stage {stage!r} was trained on {len(trained)} columns and is given {len(given)}"
        f" (new: {', '.join(more) or 'none'}; gone: {', '.join(less) or 'none'}); train it again"
    )
