"""A small random BERT, made-up pairs of texts, and tiny models of transformers of every family."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tests.support import require
from training.export import Checkpoint
from training.export.testing import (
    byte_level,
    made_pairs,
    made_words,
    random_checkpoint,
    transformers_checkpoint,
    unigram,
    with_pairs,
    wordpiece,
)

Saved = Callable[[str], Path]


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


@pytest.fixture(scope="session")
def saved(words: list[str], tmp_path_factory: pytest.TempPathFactory) -> Saved:
    """Family → the directory of a tiny model of it, made once."""
    require("torch")
    require("transformers")
    texts = [" ".join(words)] * 3
    made: dict[str, Path] = {}
    tokenizers = {
        "roberta": lambda: byte_level(texts),
        "xlm-roberta": lambda: unigram(texts),
        "camembert": lambda: unigram(texts),
        "modernbert": lambda: byte_level(texts, angles=False),
        "mpnet": lambda: byte_level(texts),
    }

    def make(family: str) -> Path:
        if family not in made:
            tokenizer = tokenizers.get(family, lambda: with_pairs(wordpiece(words)))()
            made[family] = transformers_checkpoint(family, tokenizer, tmp_path_factory.mktemp(family))
        return made[family]

    return make
