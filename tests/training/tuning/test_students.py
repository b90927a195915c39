"""Students: which layers and which parts of them are kept, and that what is kept still runs."""

import numpy as np
import pytest

from features.errors import InvalidConfig
from tests.support import require
from training.export.checkpoint import Checkpoint
from training.tuning.students import Shape, shrink, spaced

require("torch")

from training.export.testing import random_checkpoint, wordpiece  # noqa: E402


@pytest.fixture(scope="module")
def start() -> Checkpoint:
    """Six layers, four heads of 8."""
    return random_checkpoint(wordpiece(["red", "thing"]), layers=6, hidden=32, positions=32)


def logits(checkpoint: Checkpoint) -> np.ndarray:
    """Of three pairs."""
    import torch

    from training.packed_bert import model_of, pack

    with torch.no_grad():
        batch = pack([([2, 9, 3, 20, 21, 3], 3), ([2, 8, 3, 30, 3], 3), ([2, 7, 6, 3, 11, 3], 4)])
        found: np.ndarray = model_of(checkpoint).eval()(batch).numpy()
    return found


def test_layers_are_evenly_spaced_with_the_last() -> None:
    """Three of six are the first, the third and the last; one is the last."""
    assert spaced(6, 3) == [0, 2, 5]
    assert spaced(6, 1) == [5]
    assert spaced(4, 4) == [0, 1, 2, 3]


def test_a_shallower_student_has_the_kept_layers(start: Checkpoint) -> None:
    """Layer 1 of the student is layer 2 of the start, whole, and everything else is as it was."""
    student = shrink(start, Shape(layers=3))
    assert student.config["num_hidden_layers"] == 3
    name = "bert.encoder.layer.{}.intermediate.dense.weight"
    np.testing.assert_array_equal(student.tensors[name.format(1)], start.tensors[name.format(2)])
    np.testing.assert_array_equal(student.tensors[name.format(2)], start.tensors[name.format(5)])
    assert name.format(3) not in student.tensors
    assert np.isfinite(logits(student)).all()


def test_neurons_that_write_nothing_are_the_first_to_go(start: Checkpoint) -> None:
    """Without neurons whose output weights are 0 the logits are the same."""
    tensors = dict(start.tensors)
    dead = np.arange(5, 128, 2)
    for layer in range(6):
        name = f"bert.encoder.layer.{layer}.output.dense.weight"
        tensors[name] = tensors[name].copy()
        tensors[name][:, dead] = 0
    lame = Checkpoint(start.config, tensors, start.tokenizer)
    student = shrink(lame, Shape(inner=128 - len(dead)))
    assert student.tensors["bert.encoder.layer.3.intermediate.dense.weight"].shape == (128 - len(dead), 32)
    np.testing.assert_allclose(logits(student), logits(lame), atol=1e-5)


def test_a_narrower_student_has_whole_heads_and_runs(start: Checkpoint) -> None:
    """Half the width is half the heads; every tensor has the shape that the configuration says."""
    student = shrink(start, Shape(hidden=16))
    assert student.config["num_attention_heads"] == 2
    assert student.tensors["bert.encoder.layer.0.attention.self.query.weight"].shape == (16, 16)
    assert np.isfinite(logits(student)).all()


def test_heads_that_are_kept_are_the_heaviest(start: Checkpoint) -> None:
    """Heads 1 and 3, whose values are made large, are those that stay."""
    tensors = dict(start.tensors)
    name = "bert.encoder.layer.0.attention.self.value.weight"
    heavy = tensors[name].copy()
    heavy[8:16] *= 50
    heavy[24:32] *= 50
    tensors[name] = heavy
    student = shrink(Checkpoint(start.config, tensors, start.tokenizer), Shape(hidden=16))
    bias = "bert.encoder.layer.0.attention.self.value.bias"
    wanted = np.concatenate([start.tensors[bias][8:16], start.tensors[bias][24:32]])
    np.testing.assert_array_equal(student.tensors[bias], wanted)


def test_nothing_asked_is_nothing_changed(start: Checkpoint) -> None:
    """Without a shape, and with the start's own sizes, the logits are the start's."""
    assert shrink(start, Shape()) is start
    np.testing.assert_allclose(logits(shrink(start, Shape(6, 128, 32))), logits(start), atol=1e-6)


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        (Shape(layers=7), r"train\.layers: is 7 where the start has 6"),
        (Shape(inner=500), r"train\.inner: is 500"),
        (Shape(hidden=20), r"train\.hidden: is 20, which is no multiple of a head's width 8"),
    ],
)
def test_a_student_that_cannot_be_is_refused(start: Checkpoint, shape: Shape, message: str) -> None:
    """A size that the start has not, and a split head."""
    with pytest.raises(InvalidConfig, match=message):
        shrink(start, shape)


def test_another_family_is_refused(start: Checkpoint) -> None:
    """Where names of tensors are not known, nothing is cut."""
    other = Checkpoint({**start.config, "model_type": "modernbert"}, start.tensors, start.tokenizer)
    with pytest.raises(InvalidConfig, match="not of 'modernbert'"):
        shrink(other, Shape(layers=2))
