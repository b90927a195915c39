"""The training loop of encoders on a tiny BERT."""

from pathlib import Path

import numpy as np
import pytest

from features.errors import Conflict
from tests.support import require

require("torch")
require("onnx")

import torch  # noqa: E402 (only where it is installed)

from training.bi_encode.lists import Alone  # noqa: E402
from training.bi_encode.loop import Contrast, EncoderRun, train_encoder  # noqa: E402
from training.bi_encode.testing import WORDS, body  # noqa: E402
from training.bi_encode.tower import Tower, tower_of  # noqa: E402
from training.export.layouts import layout_of  # noqa: E402
from training.fine_tune import Hooks, Tuned, Tuning  # noqa: E402
from training.packed_bert import tokenizer_of  # noqa: E402
from training.tuning.batches import List  # noqa: E402
from training.tuning.objective import Objective  # noqa: E402

CHECKPOINT = body()
TEACHER = (3.0, 0.0, -1.0)


def lists(seed: int = 0, count: int = 24) -> list[List]:
    """A document is relevant where it names the query's word; a teacher agrees."""
    random = np.random.default_rng(seed)
    made = []
    for _ in range(count):
        good, *others = random.permutation(WORDS[:9]).tolist()
        documents = tuple(f"{word} {random.choice(WORDS[9:])}" for word in (good, *others[:2]))
        made.append(List(good, documents, np.array([1, 0, 0], np.float32), np.array(TEACHER, np.float32)))
    return made


def tuning(**keys: object) -> Tuning:
    """Full precision, one thread."""
    settings = {
        "precision": "float32",
        "threads": 1,
        "max_tokens": 16,
        "learning_rate": 3e-3,
        "step_tokens": 400,
    }
    return Tuning(**{**settings, **keys})  # type: ignore[arg-type]


def run_of(tower: Tower, contrast: Contrast, **keys: object) -> EncoderRun:
    """A run with the texts of the lists."""
    tokenizer = tokenizer_of(CHECKPOINT)
    texts = Alone(tokenizer, layout_of(tokenizer.to_str()), 16, 0)
    texts.learn(lists())
    return EncoderRun(tower, [lists()], texts, tuning(**keys), Hooks(), None, contrast=contrast)


@pytest.mark.parametrize("pooling", ["mean", "cls"])
@pytest.mark.parametrize("in_batch", [True, False])
def test_a_step_in_many_passes_has_the_gradients_of_one(pooling: str, in_batch: bool) -> None:
    """Reading texts twice, a few at a time, changes memory and nothing else."""
    gradients = []
    for micro in (100_000, 40):
        run = run_of(tower_of(CHECKPOINT, pooling, True), Contrast(in_batch=in_batch), micro_tokens=micro)
        loss = run.backward(lists(), 1.0)
        gradients.append(
            (loss, {name: each.grad for name, each in run.free.items() if each.grad is not None})
        )
    (one, whole), (many, parts) = gradients
    assert one == pytest.approx(many, rel=1e-5)
    assert whole.keys() == parts.keys()
    for name, gradient in whole.items():
        torch.testing.assert_close(parts[name], gradient, rtol=1e-3, atol=1e-6)


def hits(tower: Tower) -> float:
    """How often the relevant one of three unseen documents is the nearest."""
    run = run_of(tower, Contrast())
    fresh = lists(seed=9, count=60)
    run.texts.learn(fresh)
    with torch.no_grad():
        _, logits = run.losses_of(fresh)
    return float(np.mean([int(part.argmax()) == 0 for part in logits]))


@pytest.mark.parametrize(
    ("loss", "in_batch", "weight"),
    [("listnet", True, 0.0), ("listnet", True, 1.0), ("listnet", False, 1.0), ("margin_mse", False, 1.0)],
)
def test_it_learns_from_labels_and_from_a_teacher(loss: str, in_batch: bool, weight: float) -> None:
    """Every loss puts the relevant document of unseen lists first more often than before; seeds repeat."""
    told = []
    for _ in range(2):
        tower = tower_of(CHECKPOINT, "mean", True)
        before = hits(tower)
        objective = Objective(loss, weight)  # type: ignore[arg-type]
        tuned = train_encoder(
            tower,
            lambda epoch: lists(epoch, 60),
            tokenizer_of(CHECKPOINT),
            tuning(epochs=4.0, objective=objective),
            Contrast(10.0, in_batch),
        )
        told.append(tuned.losses)
        after = hits(tower)
        assert after > max(0.8, before)
    assert told[0] == told[1]


def test_the_head_of_a_classifier_is_left_as_it_was() -> None:
    """Pooler and classifier have no part in a vector, and are not trained."""
    tower = tower_of(CHECKPOINT, "mean", True)
    assert not any(each.requires_grad for name, each in tower.named_parameters() if "pooler" in name)


def test_a_state_goes_on_with_its_own_settings_alone(tmp_path: Path) -> None:
    """The same training finds itself finished; another sharpness, pooling or set of labels is refused."""

    def train(pooling: str, contrast: Contrast) -> Tuned:
        tower, hooks = tower_of(CHECKPOINT, pooling, unit=True), Hooks(work=tmp_path / "work")
        return train_encoder(
            tower, lambda _: lists(count=4), tokenizer_of(CHECKPOINT), tuning(epochs=1), contrast, hooks
        )

    first = train("mean", Contrast())
    assert train("mean", Contrast()) == first
    for pooling, contrast in (
        ("cls", Contrast()),
        ("mean", Contrast(sharpness=10.0)),
        ("mean", Contrast(in_batch=False)),
        ("mean", Contrast(relevant={"red": frozenset({"red tea"})})),
    ):
        with pytest.raises(Conflict, match="holds the training of another configuration"):
            train(pooling, contrast)
