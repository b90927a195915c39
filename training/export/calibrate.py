"""Constants for activations, chosen on real pairs by the error they leave in each layer's output.

A range that holds every value wastes its 255 steps on outliers, and one too narrow cuts what matters. So per
layer, on sampled rows, a grid is tried of plain ranges (quantiles cut from both ends) and of smoothed ones
(SmoothQuant, Xiao et al. 2023); the one with the least squared error of the layer's **output** is kept, and
what error is left on average goes into the bias (bias correction, Nagel et al. 2019).

Also tried, on one trained MiniLM and one set of pairs: outlying columns in a product of their own
(LLM.int8(), Dettmers et al. 2022) halved a layer's error and brought the scores little nearer, for about a
fifth more time; rounding weights against each other (GPTQ, Frantar et al. 2023) changed nothing that could be
told from chance.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np

from features.columns import Floats
from training.export.quantise import Activation, quantise_columns, span

ROWS = 512
"""Sampled rows a layer: enough that the choice no longer changes, few enough to search in seconds."""
TAILS = (0.0, 1e-5, 1e-4, 1e-3)
"""Shares of values cut off at each end of the range."""
STRENGTHS = (0.5, 0.7)
"""How much of a column's outliers smoothing moves into the weights."""
WORTH = 0.9
"""Smoothing costs a pass over the activations, so its error has to fall below this share."""


def calibrate(
    samples: Mapping[str, Floats], weights: Mapping[str, tuple[Floats, Floats]]
) -> dict[str, Activation]:
    """The activation constants of every layer.

    Args:
        samples: layer → float32[rows, in], what it read in full precision.
        weights: layer → its weight `[in, out]` and bias `[out]`.
    """
    return {name: best(sample, weights[name][0]) for name, sample in samples.items()}


def best(sample: Floats, weight: Floats) -> Activation:
    """The candidate of the least output error; a smoothed one only where it is worth its pass."""
    target = sample @ weight
    plain = least(plain_ranges(sample, weight), sample, weight, target)
    smooth = least(smoothed(sample, weight), sample, weight, target)
    chosen = smooth if smooth[0] < WORTH * plain[0] else plain
    return corrected(chosen[1], sample, weight, target)


def least(
    tried: Iterable[Activation], sample: Floats, weight: Floats, target: Floats
) -> tuple[float, Activation]:
    """The candidate of the least error, and that error."""
    return min(((error(one, sample, weight, target), one) for one in tried), key=lambda pair: pair[0])


def ranges(values: Floats, tails: Sequence[float]) -> Iterator[tuple[float, float]]:
    """Low and high for every share cut off at each end."""
    edges = np.quantile(values, [*tails, *(1 - tail for tail in tails)])
    yield from zip(edges[: len(tails)].tolist(), edges[len(tails) :].tolist(), strict=True)


def plain_ranges(sample: Floats, weight: Floats) -> Iterator[Activation]:
    """One range for all columns."""
    none = np.zeros(weight.shape[1], np.float32)
    return (Activation(*span(low, high), None, none) for low, high in ranges(sample, TAILS))


def smoothed(sample: Floats, weight: Floats) -> Iterator[Activation]:
    """One range for all columns after each is divided by a number of its own."""
    none = np.zeros(weight.shape[1], np.float32)
    for strength in STRENGTHS:
        smooth = smoothing(sample, weight, strength)
        for low, high in ranges(sample / smooth, TAILS):
            yield Activation(*span(low, high), smooth, none)


def smoothing(sample: Floats, weight: Floats, strength: float) -> Floats:
    """float32[in]: `max|x|^strength / max|w|^(1 - strength)` a channel, with geometric mean 1."""
    reach = np.maximum(np.abs(sample).max(axis=0), 1e-5)
    gain = np.maximum(np.abs(weight).max(axis=1), 1e-5)
    raw = reach**strength / gain ** (1 - strength)
    smooth: Floats = (raw / np.exp(np.log(raw).mean())).astype(np.float32)
    return smooth


def output(one: Activation, sample: Floats, weight: Floats) -> Floats:
    """What the quantised layer makes of the sample, without bias."""
    values, scale = quantise_columns(weight if one.smooth is None else weight * one.smooth[:, None])
    product: Floats = one.restored(sample) @ (values * scale)
    return product


def error(one: Activation, sample: Floats, weight: Floats, target: Floats) -> float:
    """Mean squared error of the layer's output, its mean (which the bias takes) left out."""
    return float((target - output(one, sample, weight)).var(axis=0).mean())


def corrected(one: Activation, sample: Floats, weight: Floats, target: Floats) -> Activation:
    """The same constants with the mean error in the bias."""
    left = (target - output(one, sample, weight)).mean(axis=0)
    return replace(one, correction=left.astype(np.float32))


def sampled(parts: Sequence[Floats], random: np.random.Generator, rows: int = ROWS) -> Floats:
    """At most `rows` rows of all parts together, drawn without replacement."""
    joined = np.concatenate(parts)
    if len(joined) <= rows:
        return joined
    return joined[np.sort(random.choice(len(joined), rows, replace=False))]
