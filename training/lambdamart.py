"""Fits LambdaMART by LightGBM: seed-stable, stopped early on queries that share nothing with the rest.

Burges, "From RankNet to LambdaRank to LambdaMART: An Overview" (2010).
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from cascade.stages.lambdamart import MODEL, LambdaMart, LambdaMartTraining, model_name
from features.errors import InvalidConfig, InvalidInput
from training.dataset import StageData
from training.judgments import MAX_GRADE
from training.split import folds_of
from training.trainers import Context, Metrics

THREADS = 1
"""275,000 rows by 40 columns take 60 ms a tree on one thread. Two give the same bytes and at best half the
time, but on a busy machine they wait for each other: measured 8 to 20 times slower."""

FEW_QUERIES = 2_000
"""Below, one held-out part is too small to stop by, and the curve is the mean over three."""


def ready(spec: LambdaMart) -> None:
    """Always: it needs nothing beyond what is installed."""


def learns(spec: LambdaMart) -> bool:  # noqa: ARG001
    """Always."""
    return True


def fit(spec: LambdaMart, data: StageData, directory: Path, context: Context) -> Metrics:
    """Write `model.txt`, and tell its trees, its gain by column and the held-out curve's best value.

    The number of trees comes from held-out groups; the model is then fitted on all queries (a draft: on
    the queries beside the held-out ones).

    Raises:
        InvalidInput: for a grade that is not whole, above 31, or beyond `label_gain`; for no relevant row.
    """
    reads = spec.columns(data.matrix.names)
    gains = label_gains(data, spec.train)
    params = parameters(spec.train, gains)
    parts = held_out_parts(data, spec.train, context.seed)
    trees, best = spec.train.trees, None
    if parts:
        curves = [
            stopped(data, reads, params, spec.train, part)
            for part in context.track(parts, f"{spec.name}: finding the number of trees")
        ]
        trees, best = best_of([curve for _, curve in curves])
    reuse = context.draft and len(parts) == 1
    booster = curves[0][0] if reuse else train(data, reads, params, trees)
    booster.save_model(directory / MODEL, num_iteration=trees)
    return {"trees": trees, "early_stopping_nDCG": best, "gain": gain(booster, reads)}


def label_gains(data: StageData, training: LambdaMartTraining) -> list[float]:
    """The gain of every grade: 2^g - 1 unless declared.

    Raises:
        InvalidInput: for a grade that has none, or where no row is relevant.
    """
    labels = data.labels
    if not len(labels) or labels.max() <= 0:
        raise InvalidInput("no candidate is relevant (a grade above 0), so there is nothing to learn")
    broken = labels[labels != np.floor(labels)]
    if len(broken):
        raise InvalidInput(f"LambdaMART needs whole grades; there is a grade {broken[0]:g}")
    top = int(labels.max())
    if top > MAX_GRADE or labels.min() < 0:
        raise InvalidInput(f"a grade is not between 0 and {MAX_GRADE}")
    gains = [2.0**grade - 1.0 for grade in range(top + 1)]
    if training.label_gain is None:
        return gains
    if len(training.label_gain) <= top:
        raise InvalidConfig(f"label_gain names {len(training.label_gain)} grades; there is a grade {top}")
    return list(training.label_gain)


def parameters(training: LambdaMartTraining, gains: Sequence[float]) -> dict[str, Any]:
    """LightGBM's parameters; the same data and seed give the same bytes."""
    return {
        "objective": "lambdarank",
        "metric": "ndcg",
        "eval_at": [training.metric_at],
        "label_gain": list(gains),
        "learning_rate": training.learning_rate,
        "num_leaves": training.leaves,
        "min_data_in_leaf": training.min_in_leaf,
        "lambda_l2": training.lambda_l2,
        "max_bin": training.max_bin,
        "bagging_fraction": training.subsample,
        "bagging_freq": 1 if training.subsample < 1 else 0,
        "feature_fraction": training.feature_fraction,
        "lambdarank_truncation_level": training.truncation,
        "lambdarank_norm": training.normalise,
        "lambdarank_position_bias_regularization": training.position_regularisation,
        "seed": training.seed,
        "deterministic": True,
        "force_row_wise": True,
        "num_threads": THREADS,
        "verbosity": -1,
    }


def held_out_parts(data: StageData, training: LambdaMartTraining, seed: int) -> list[Any]:
    """bool[q] masks of the queries to stop by, whole groups each; none where there is one group alone."""
    if not training.early_stopping or len(np.unique(data.groups)) < 2:
        return []
    few = len(data.groups) < FEW_QUERIES
    folds = folds_of(data.groups, 3 if few else 10, seed + 1)
    parts = [folds == fold for fold in (range(3) if few else range(1))]
    return [part for part in parts if learnable(data, part) and learnable(data, ~part)]


def learnable(data: StageData, queries: Any) -> bool:
    """Whether any row of the queries is relevant."""
    return bool((data.labels[queries[data.batch.query_of_row]] > 0).any())


def stopped(
    data: StageData, reads: Sequence[str], params: dict[str, Any], training: LambdaMartTraining, part: Any
) -> tuple[Any, list[float]]:
    """A booster of the queries outside `part`, and its nDCG on the part after every tree."""
    import lightgbm

    learn, held = data.queries(np.flatnonzero(~part)), data.queries(np.flatnonzero(part))
    train_set = dataset(learn, reads, params)
    curve: dict[str, dict[str, list[float]]] = {}
    booster = lightgbm.train(
        params,
        train_set,
        num_boost_round=training.trees,
        valid_sets=[dataset(held, reads, params, train_set)],
        valid_names=["held"],
        callbacks=[
            lightgbm.early_stopping(training.early_stopping, verbose=False),
            lightgbm.record_evaluation(curve),
        ],
    )
    return booster, curve["held"][f"ndcg@{training.metric_at}"]


def best_of(curves: Sequence[Sequence[float]]) -> tuple[int, float]:
    """The number of trees with the best mean over the curves, and that mean; a curve ends as it stopped."""
    longest = max(map(len, curves))
    padded = np.array([[*curve, *[min(curve)] * (longest - len(curve))] for curve in curves])
    mean = padded.mean(axis=0)
    return int(mean.argmax()) + 1, float(mean.max())


def train(data: StageData, reads: Sequence[str], params: dict[str, Any], trees: int) -> Any:
    """A booster of that many trees."""
    import lightgbm

    return lightgbm.train(params, dataset(data, reads, params), num_boost_round=trees)


def dataset(
    data: StageData, reads: Sequence[str], params: dict[str, Any], like: Any = None, start: Any = None
) -> Any:
    """The rows as LightGBM reads them; queries without candidates are left out.

    `start`: float[n]: the scores that boosting starts from; None = 0.
    """
    import lightgbm

    sizes = np.diff(data.batch.offsets)
    if sizes.max() > 10_000:
        raise InvalidInput("LightGBM learns from at most 10000 candidates a query")
    return lightgbm.Dataset(
        data.matrix.select(reads),
        label=data.labels,
        weight=data.weights,
        position=data.positions,
        init_score=start,
        group=sizes[sizes > 0],
        feature_name=[model_name(name) for name in reads],
        reference=like,
        params=params,
    )


def gain(booster: Any, reads: Sequence[str]) -> dict[str, float]:
    """Column → its share of the total gain of all splits, best first."""
    gains = booster.feature_importance(importance_type="gain")
    total = float(gains.sum()) or 1.0
    shares = {name: float(value) / total for name, value in zip(reads, gains, strict=True)}
    return dict(sorted(shares.items(), key=lambda item: -item[1]))
