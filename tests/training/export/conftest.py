"""A small random BERT and made-up pairs of texts."""

import numpy as np
import pytest

from training.export import Checkpoint
from training.export.testing import made_pairs, made_words, random_checkpoint, wordpiece


@pytest.fixture(scope="session")
def words() -> list[str]:
    """The vocabulary."""
    return made_words(300, np.random.default_rng(5))


@pytest.fixture(scope="session")
def checkpoint(words: list[str]) -> Checkpoint:
    """Two layers, 64 wide."""
    return random_checkpoint(wordpiece(words))


@pytest.fixture(scope="session")
def pairs(words: list[str]) -> list[tuple[str, str]]:
    """Twelve queries with twelve documents each."""
    return made_pairs(words, 12, 12, np.random.default_rng(6))
