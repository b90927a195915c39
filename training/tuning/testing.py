"""A small fine-tuning that a test can run in a process of its own, and kill."""

import json
import os
import signal
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TypeVar

import numpy as np

T = TypeVar("T")
WORDS = ("red", "blue", "green", "black", "white", "brown")


def fine_tune_words(work: str, kill: int, out: str, environment: Mapping[str, str]) -> None:
    """Fine-tune a tiny model and write its losses and some weights to `out`.

    Args:
        work: the folder of its state; none where it is empty.
        kill: the step before which the process kills itself; -1 = never.
        environment: set before torch looks at it.
    """
    os.environ.update(environment)
    from training.export.testing import random_checkpoint, wordpiece
    from training.fine_tune import Hooks, List, Tuning, fine_tune
    from training.packed_bert import model_of, tokenizer_of
    from training.tuning.devices import device_here

    def track(work: Iterable[T], description: str, total: int | None = None) -> Iterator[T]:  # noqa: ARG001
        for number, step in enumerate(work):
            if number == kill:
                os.kill(os.getpid(), signal.SIGKILL)
            yield step

    lists = []
    for asked in np.random.default_rng(1).integers(0, len(WORDS), 60).tolist():
        gains = np.array([at == asked for at in range(len(WORDS))], np.float32)
        lists.append(List(WORDS[asked], tuple(f"{word} thing" for word in WORDS), gains))
    checkpoint = random_checkpoint(wordpiece([*WORDS, "thing"]), hidden=32, positions=32)
    model = model_of(checkpoint)
    tuning = Tuning(
        epochs=1,
        learning_rate=1e-3,
        step_tokens=300,
        micro_tokens=100,
        max_tokens=16,
        query_tokens=4,
        precision="float32",
        threads=1,
    )
    hooks = Hooks(track=track, work=Path(work) if work else None, save_every_s=0, device=device_here())
    tuned = fine_tune(model, lists, tokenizer_of(checkpoint), tuning, hooks)
    weights = {name: value.tolist() for name, value in model.state_dict().items() if "layer.1" in name}
    Path(out).write_text(json.dumps({"losses": tuned.losses, "weights": weights}), encoding="utf-8")
