"""Which precision a model ships in: the first variant that stays near enough to the reference."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from features.columns import Floats
from features.errors import InvalidInput, NotReady
from features.transformer.packed import Pair
from training.export.judging import Judged, scored_rows
from training.export.parity import Gate, Parity, Trial, compare, trial
from training.export.reading import Reader, Run, Texts
from training.progress import Track, quiet

CALIBRATION = 192
"""Pairs that scales are calibrated on."""


@dataclass(frozen=True, slots=True)
class Trials:
    """What variants are calibrated and judged on.

    Attributes:
        fit: inputs to calibrate on.
        trial: pairs of other queries, to compare orders on.
        judged: pairs with grades, if there are any.
    """

    fit: tuple[Pair, ...]
    trial: Trial
    judged: Judged | None

    @property
    def pairs(self) -> list[Texts]:
        """All that is scored."""
        return scored_rows(self.trial.pairs, self.judged)


@dataclass(slots=True)
class Choice:
    """What came of it.

    Attributes:
        variant, content: the model that was chosen; empty until one passes.
        parity: variant → how far it strays.
        refused: variants that the gate refused, each with its figures.
    """

    variant: str = ""
    content: bytes = b""
    parity: dict[str, Parity] = field(default_factory=dict)
    refused: list[str] = field(default_factory=list)


def trials(
    pairs: Sequence[Texts], judged: Judged | None, reader: Reader, random: np.random.Generator
) -> Trials:
    """Pairs to calibrate on, and a trial on the queries left (on the same ones, where there are few)."""
    queries = list(dict.fromkeys(query for query, _ in pairs))
    half = set(queries[: len(queries) // 2])
    fit = [pair for pair in pairs if pair[0] in half] or list(pairs)
    judge = [pair for pair in pairs if pair[0] not in half]
    drawn = random.permutation(len(fit))[:CALIBRATION]
    inputs = reader.inputs([fit[row] for row in drawn.tolist()])
    return Trials(tuple(inputs), trial(judge, random), judged)


@dataclass(frozen=True, slots=True)
class Bench:
    """Measures variants against a reference.

    Attributes:
        reader: texts to scores.
        trials: the texts.
        gate: what a variant may lose.
        track: shows progress.
    """

    reader: Reader
    trials: Trials
    gate: Gate
    track: Track = quiet

    def reference(self, run: Run) -> Floats:
        """The scores of full precision.

        Raises:
            InvalidInput: if they are not finite.
        """
        found = self.reader.scores(run, self.trials.pairs, self.track, "full precision")
        if not np.isfinite(found).all():
            raise InvalidInput("gives scores that are not finite; its weights are broken", path="checkpoint")
        return found

    def look(self, choice: Choice, variant: str, content: bytes, run: Run, reference: Floats) -> None:
        """Measure one variant, and take it if it is the first that passes."""
        found = self.reader.scores(run, self.trials.pairs, self.track, f"parity of {variant}")
        parity = self.compared(reference, found, len(content))
        choice.parity[variant] = parity
        if not self.gate.passes(parity):
            choice.refused.append(f"{variant}: {described(parity)}")
        elif not choice.variant:
            choice.variant, choice.content = variant, content

    def compared(self, reference: Floats, found: Floats, size: int) -> Parity:
        """One variant's figures."""
        edge = len(self.trials.trial.pairs)
        parity = compare(self.trials.trial.groups, reference[:edge], found[:edge], size)
        judged = self.trials.judged
        return parity if judged is None else judged.measured(parity, reference[edge:], found[edge:])

    def settle(self, choice: Choice) -> Choice:
        """The choice, if there is one.

        Raises:
            NotReady: if no variant passed.
        """
        if not choice.variant:
            raise NotReady(f"no variant passes {self.gate.describe()}: {'; '.join(choice.refused)}")
        return choice


def described(parity: Parity) -> str:
    """The figures that a gate looks at."""
    lost = "" if parity.ndcg_10_lost is None else f", nDCG@10 lost {parity.ndcg_10_lost:.4f}"
    return f"tau {parity.tau:.3f}, top 10 {parity.top_10:.3f}{lost}"
