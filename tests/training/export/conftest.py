"""A small random BERT, made-up pairs of texts, and tiny models of transformers of every family."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest

from features.columns import Floats
from features.transformer.packed import Pair, feed
from tests.support import require
from training.export import Checkpoint
from training.export.families import INPUTS, Packed
from training.export.families.postnorm import PostNorm
from training.export.linear import Float, Static
from training.export.quantise import Activation
from training.export.reading import outputs
from training.export.run import open_model
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


@pytest.fixture(scope="session")
def folds() -> Callable[[Packed, Sequence[Pair]], None]:
    """Checks that a writer computes the same, smoothing apart or in the weights."""

    def check(writer: Packed, pairs: Sequence[Pair]) -> None:
        layers, random = Float(), np.random.default_rng(4)
        writer.write(layers)
        calibrated = {
            name: Activation(0.05, 120, *drawn(weight.shape, random))
            for name, (weight, _) in layers.weights.items()
        }
        folded, left = writer.folded(calibrated)
        gone = [name for name, one in left.items() if one.smooth is None]
        assert len(gone) == (writer.shape.layers if isinstance(writer, PostNorm) else 0)
        apart, within = (made(one, Static(of), pairs) for one, of in ((writer, calibrated), (folded, left)))
        assert np.ptp(apart) > 0
        np.testing.assert_allclose(within, apart, atol=0.03 * float(np.ptp(apart)))

    return check


def drawn(shape: tuple[int, ...], random: np.random.Generator) -> tuple[Floats, Floats]:
    """What a layer's input is divided by, and a correction of its output."""
    smooth, correction = np.exp(random.normal(0, 0.7, shape[0])), random.normal(0, 0.3, shape[1])
    return smooth.astype(np.float32), correction.astype(np.float32)


def made(writer: Packed, linear: Static, pairs: Sequence[Pair]) -> Floats:
    """What the graph gives."""
    session = open_model(writer.write(linear).model(INPUTS, writer.outputs))
    return outputs(lambda some: session.run(list(writer.outputs), feed(some))[0], pairs)
