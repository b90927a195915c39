"""Texts to tokens to outputs, for calibration and parity: scores of pairs, or vectors of texts alone."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from features.columns import Floats
from features.transformer.model import SCORE
from features.transformer.packed import Pair
from features.transformer.tokens import Pairing
from training.export.run import batches
from training.progress import Track, quiet

Texts = tuple[str, str]
Run = Callable[[Sequence[Pair]], Floats]
"""A micro-batch through a model: float32[n] or float32[n, H]."""


@dataclass(frozen=True, slots=True)
class Reader:
    """How a model of one task reads (query, document) texts.

    Attributes:
        texts: makes tokens as the stage does.
        task: `score` or `vector`.
    """

    texts: Pairing
    task: str

    def inputs(self, pairs: Sequence[Texts]) -> list[Pair]:
        """What the model reads of pairs: each as one, or every different text of theirs alone."""
        if self.task == SCORE:
            return [self.texts.pairs(query, [document])[0][0] for query, document in pairs]
        return [self.alone(text) for text in different(pairs)]

    def alone(self, text: str) -> Pair:
        """One text, cut to what the model reads."""
        layout = self.texts.layout
        return layout.alone(self.texts.texts([text])[0].ids[: self.texts.max_tokens - layout.single])

    def scores(self, run: Run, pairs: Sequence[Texts], track: Track = quiet, what: str = "") -> Floats:
        """float32[n]: the score of every pair, or the cosine of its vectors."""
        found = outputs(run, self.inputs(pairs), track, what)
        if self.task == SCORE:
            return found
        place = {text: at for at, text in enumerate(different(pairs))}
        left, right = (found[[place[pair[side]] for pair in pairs]] for side in (0, 1))
        lengths = np.linalg.norm(left, axis=1) * np.linalg.norm(right, axis=1)
        cosines: Floats = (left * right).sum(axis=1) / np.maximum(lengths, np.finfo(np.float32).tiny)
        return cosines


def different(pairs: Sequence[Texts]) -> list[str]:
    """Every text of the pairs once."""
    return list(dict.fromkeys(text for pair in pairs for text in pair))


def outputs(run: Run, inputs: Sequence[Pair], track: Track = quiet, what: str = "") -> Floats:
    """float32[n] or float32[n, H]: the output of every input, in micro-batches."""
    groups = list(batches(inputs))
    parts = [run([inputs[row] for row in rows.tolist()]) for rows in track(groups, what, len(groups))]
    found = np.concatenate(parts)
    order = np.concatenate(groups)
    placed: Floats = np.empty_like(found)
    placed[order] = found
    return placed


def paired(texts: Sequence[str | Texts]) -> list[Texts]:
    """Pairs as they are; lone texts each with the next one."""
    lone = [text for text in texts if isinstance(text, str)]
    pairs = [text for text in texts if not isinstance(text, str)]
    return pairs + list(zip(lone, lone[1:] + lone[:1], strict=True))
