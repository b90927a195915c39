"""A small random cross-encoder, exported once for the tests of this folder."""

from pathlib import Path

import numpy as np
import pytest

from training.export import Checkpoint, Gate, export
from training.export.testing import made_pairs, made_words, random_checkpoint, wordpiece


@pytest.fixture(scope="session")
def words() -> list[str]:
    """The words that the model knows."""
    return made_words(300, np.random.default_rng(5))


@pytest.fixture(scope="session")
def checkpoint(words: list[str]) -> Checkpoint:
    """Two layers, 64 wide."""
    return random_checkpoint(wordpiece(words))


@pytest.fixture(scope="session")
def directory(words: list[str], checkpoint: Checkpoint, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The exported model, with calibrated int8."""
    out = tmp_path_factory.mktemp("model") / "stage"
    pairs = made_pairs(words, 10, 12, np.random.default_rng(6))
    export(checkpoint, out, pairs, variants=["int8"], gate=Gate(tau=0.3, top_10=0.3))
    return out
