"""Fits a linear stage by the softmax cross-entropy over each query's list.

loss(w) = -1/q Σ_q Σ_i p_i log softmax(X w)_i + l2/2 · |w|², with p_i the gain 2^g - 1 of row i over the sum
of its list (Bruch, "An Alternative Cross Entropy Loss for Learning-to-Rank", 2021). Rows of clicks have
weights: p_i is then weight times gain, over the mean sum of all lists, so that a list counts by what it says.
Either is convex, so that the start does not matter; columns are scaled to unit deviation for the optimiser
and the weights scaled back.
"""

from pathlib import Path

import msgspec
import numpy as np
from scipy.optimize import minimize

from cascade.stages.linear import MODEL, Linear, LinearModel, Loaded
from features.columns import Doubles, Rows
from features.errors import InvalidInput
from training.dataset import StageData
from training.trainers import Context, Metrics


def ready(spec: Linear) -> None:
    """Always: it needs nothing beyond what is installed."""


def learns(spec: Linear) -> bool:
    """Where no weights are declared."""
    return spec.weights is None


def fit(spec: Linear, data: StageData, directory: Path, context: Context) -> Metrics:  # noqa: ARG001
    """Write `weights.json`, unless the weights are declared.

    Raises:
        InvalidInput: if no list has a relevant row.
    """
    if not learns(spec):
        return {}
    reads = spec.columns(data.matrix.names)
    values, scale = scaled(normalised(spec, data, reads))
    useful, starts = lists_with_relevant(data)
    weights, loss = solve(values[useful], starts, targets(data, useful, starts), spec)
    found = dict(zip(reads, (weights / scale).tolist(), strict=True))
    (directory / MODEL).write_bytes(msgspec.json.encode(LinearModel(found)))
    return {"loss": loss, "weights": found}


def normalised(spec: Linear, data: StageData, reads: tuple[str, ...]) -> Doubles:
    """float64[n, k]: the columns as the stage will see them, by the stage's own code."""
    probe = Loaded(dict.fromkeys(reads, 1.0), 0.0, spec.missing, spec.normalise)
    return probe.contributions(data.batch, data.matrix)[:, :-1].astype(np.float64)


def scaled(values: Doubles) -> tuple[Doubles, Doubles]:
    """The columns at unit deviation, and what each was divided by."""
    deviation = values.std(axis=0)
    scale = np.where(deviation > 0, deviation, 1.0)
    return (values - values.mean(axis=0)) / scale, scale


def gains(data: StageData) -> Doubles:
    """float64[n]: 2^g - 1."""
    return np.exp2(data.labels.astype(np.float64)) - 1.0


def targets(data: StageData, useful: Rows, starts: Rows) -> Doubles:
    """float64[m] of the useful rows: p, which sums to 1 in every list, or with weights on average."""
    gain = gains(data)[useful]
    if data.weights is not None:
        weighted: Doubles = gain * data.weights[useful]
        weighted *= len(starts) / weighted.sum()
        return weighted
    shares: Doubles = gain / spread(np.add.reduceat(gain, starts), starts, len(gain))
    return shares


def spread(values: Doubles, starts: Rows, rows: int) -> Doubles:
    """float64[rows]: a list's value along its rows."""
    along: Doubles = np.repeat(values, np.diff(np.append(starts, rows)))
    return along


def lists_with_relevant(data: StageData) -> tuple[Rows, Rows]:
    """The rows of queries with a relevant row, and where each query's rows start among them."""
    owner = data.batch.query_of_row
    relevant = np.bincount(owner, data.labels > 0, minlength=len(data.batch.queries)) > 0
    if not relevant.any():
        raise InvalidInput("no candidate is relevant (a grade above 0), so there is nothing to learn")
    sizes = np.diff(data.batch.offsets)[relevant]
    return np.flatnonzero(relevant[owner]), np.concatenate([[0], np.cumsum(sizes)[:-1]])


def solve(values: Doubles, starts: Rows, target: Doubles, spec: Linear) -> tuple[Doubles, float]:
    """The weights of the least loss."""
    rows = len(values)
    mass = spread(np.add.reduceat(target, starts), starts, rows)

    def loss(weights: Doubles) -> tuple[float, Doubles]:
        scores = values @ weights
        shifted = scores - spread(np.maximum.reduceat(scores, starts), starts, rows)
        powers = np.exp(shifted)
        sums = spread(np.add.reduceat(powers, starts), starts, rows)
        value = -float(target @ (shifted - np.log(sums))) / len(starts)
        slope = values.T @ (mass * powers / sums - target) / len(starts)
        return value + spec.train.l2 / 2 * float(weights @ weights), slope + spec.train.l2 * weights

    start = np.zeros(values.shape[1])
    found = minimize(loss, start, jac=True, method="L-BFGS-B", options={"maxiter": spec.train.iterations})
    return found.x, float(found.fun)
