"""A rule that a tiny model learns in a second: the document that says the query's word is relevant."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest

from tests.support import require
from training.tuning.batches import List
from training.tuning.curve import Held

WORDS = ["red", "blue", "green", "black", "white", "brown"]


def lists_of(count: int, seed: int) -> list[List]:
    """Queries of one word, with a document for each of four words, the query's own among them."""
    rng = np.random.default_rng(seed)
    made = []
    for asked in rng.integers(0, len(WORDS), count).tolist():
        others = rng.permutation([at for at in range(len(WORDS)) if at != asked])[:3].tolist()
        shown = rng.permutation([asked, *others]).tolist()
        gains = np.array([at == asked for at in shown], np.float32)
        made.append(List(WORDS[asked], tuple(f"{WORDS[at]} thing" for at in shown), gains))
    return made


def held_of(lists: Sequence[List]) -> Held:
    """Lists as held-out ones."""
    return Held(tuple(lists), tuple(one.targets for one in lists))


@pytest.fixture(scope="session")
def lists() -> list[List]:
    """Lists to learn from."""
    return lists_of(120, 1)


@pytest.fixture(scope="session")
def held() -> Held:
    """Lists to judge by."""
    return held_of(lists_of(24, 2))


@pytest.fixture
def fresh() -> Callable[..., Any]:
    """Makes a tiny BERT and its tokenizer, the same ones for the same seed."""
    require("torch")
    from training.export.testing import random_checkpoint, wordpiece
    from training.packed_bert import model_of, tokenizer_of

    def make(seed: int = 0) -> Any:
        checkpoint = random_checkpoint(wordpiece([*WORDS, "thing"]), hidden=32, positions=32, seed=seed)
        return model_of(checkpoint), tokenizer_of(checkpoint)

    return make


@pytest.fixture
def start(fresh: Callable[..., Any]) -> Any:
    """A fresh tiny BERT, and its tokenizer."""
    return fresh()
