"""What a fine-tuning is told, what it is given, and what it tells."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic

from training.progress import Track, quiet
from training.tuning.curve import Point
from training.tuning.devices import Device
from training.tuning.objective import Objective


@dataclass(frozen=True, slots=True)
class Tuning:
    """How to fine-tune.

    Attributes:
        step_tokens: what one optimiser step reads; `micro_tokens` is what one pass on a CPU does.
        objective: the loss of a list.
        evaluations: points of the held-out curve, beside the one at the start.
        patience: stop after so many points without a better one, and keep the best step; 0 = never.
        judge: what better means: `nDCG@10` or `loss`.
        precision: of products; `bfloat16` where the device has it, with weights in float32 all the same.
        threads: on a CPU; 0 = the cores that this process may use.
    """

    epochs: float = 1.0
    learning_rate: float = 5e-5
    warm_up: float = 0.06
    weight_decay: float = 0.01
    step_tokens: int = 6_000
    micro_tokens: int = 3_000
    max_tokens: int = 128
    query_tokens: int = 32
    freeze_embeddings: bool = True
    objective: Objective = field(default_factory=Objective)
    evaluations: int = 5
    patience: int = 0
    judge: str = "nDCG@10"
    precision: str = "bfloat16"
    threads: int = 0
    seed: int = 7


@dataclass(frozen=True, slots=True, eq=False)
class Hooks:
    """What a fine-tuning needs of its surroundings.

    Attributes:
        track, description: show progress.
        device: where to train; this process's own without one.
        work: a folder to keep the state in, so that a killed training can go on.
        save_every_s: seconds between two states.
        clock: seconds, rising.
    """

    track: Track = quiet
    description: str = "cross-encoder"
    device: Device | None = None
    work: Path | None = None
    save_every_s: float = 120.0
    clock: Callable[[], float] = monotonic


@dataclass(frozen=True, slots=True)
class Tuned:
    """What came of it.

    Attributes:
        losses: the mean loss of a list, a step each.
        planned: steps that there would have been without stopping early.
        curve: the held-out curve; empty without held-out lists.
        kept: the step whose weights the model has now.
    """

    losses: tuple[float, ...]
    planned: int
    curve: tuple[Point, ...]
    kept: int
