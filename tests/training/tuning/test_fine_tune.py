"""The loop: every loss learns, a killed training goes on to the same weights, the curve and when it stops."""

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pytest

from features.errors import Conflict
from tests.support import require
from training.tuning.batches import List, digest_of, filled, plan_of
from training.tuning.curve import Held, Point, best_of, exhausted

require("torch")

import torch  # noqa: E402

from training.fine_tune import Hooks, Tuned, Tuning, fine_tune  # noqa: E402
from training.tuning.devices import add_gradients  # noqa: E402
from training.tuning.objective import Objective  # noqa: E402

T = TypeVar("T")
TUNING = Tuning(
    epochs=2, learning_rate=2e-3, step_tokens=300, micro_tokens=100, max_tokens=16, query_tokens=4,
    evaluations=4, threads=1,
)  # fmt: skip


class Killed(Exception):
    """The process is gone."""


def killed_after(steps: int) -> Any:
    """A progress bar that ends it all after some steps."""

    def track(work: Iterable[T], description: str, total: int | None = None) -> Iterable[T]:
        for number, each in enumerate(work):
            if number == steps:
                raise Killed
            yield each

    return track


def weights(model: torch.nn.Module) -> dict[str, np.ndarray]:
    """All of a model's weights."""
    return {name: value.detach().numpy().copy() for name, value in model.state_dict().items()}


def same(left: dict[str, np.ndarray], right: dict[str, np.ndarray]) -> bool:
    """To the bit."""
    return left.keys() == right.keys() and all(np.array_equal(left[name], right[name]) for name in left)


@pytest.mark.parametrize("loss", ["listnet", "binary", "graded", "ranknet", "margin_mse"])
def test_every_loss_learns_the_rule(loss: Any, start: Any, lists: list[List], held: Held) -> None:
    """Held-out nDCG@10 goes from chance to near 1, on the labels or on a teacher that knows them."""
    taught = [replace(one, teacher=4 * one.targets) for one in lists]
    objective = Objective(loss, teacher_weight=1.0 if loss == "margin_mse" else 0.0)
    tuned = run(start, taught[:90], replace(TUNING, epochs=4, evaluations=1, objective=objective), held)
    first, last = tuned.curve[0].ndcg, tuned.curve[-1].ndcg
    assert first is not None
    assert last is not None
    assert first < 0.8 < 0.9 < last


def run(start: Any, lists: Any, tuning: Tuning, held: Held | None = None, **hooks: Any) -> Tuned:
    """Fine-tune a fresh model."""
    model, tokenizer = start
    return fine_tune(model, lists, tokenizer, tuning, Hooks(**hooks), held)


def test_a_killed_training_goes_on_to_the_same_weights(
    lists: list[List], held: Held, fresh: Any, tmp_path: Path
) -> None:
    """Killed twice, in the first and in the second epoch, it ends with the bits of one that was not."""
    whole = fresh()
    wanted = run(whole, lists, TUNING, held)
    for steps in (3, 5):
        with pytest.raises(Killed):
            run(fresh(), lists, TUNING, held, work=tmp_path / "w", save_every_s=0, track=killed_after(steps))
    again = fresh()
    found = run(again, lists, TUNING, held, work=tmp_path / "w")
    assert len(wanted.losses) > 9
    assert found == wanted
    assert same(weights(again[0]), weights(whole[0]))


def test_what_is_finished_is_not_trained_again(
    lists: list[List], held: Held, fresh: Any, tmp_path: Path
) -> None:
    """The same training over its own finished state takes no step, and the weights are there."""
    tuning = replace(TUNING, epochs=1, patience=4)
    first, second = fresh(), fresh()
    wanted = run(first, lists, tuning, held, work=tmp_path / "w")
    found = run(second, lists, tuning, held, work=tmp_path / "w", track=killed_after(0))
    assert found == wanted
    assert same(weights(first[0]), weights(second[0]))


def test_a_state_that_was_being_written_is_not_read(lists: list[List], fresh: Any, tmp_path: Path) -> None:
    """What a kill left half-written is neither read nor in the way."""
    work = tmp_path / "w"
    with pytest.raises(Killed):
        run(fresh(), lists, TUNING, work=work, save_every_s=0, track=killed_after(2))
    assert [path.name for path in work.glob("step-*")] == ["step-2"]
    (work / ".step-3").mkdir()
    (work / ".step-3" / "tensors.safetensors").write_bytes(b"half")
    assert len(run(fresh(), lists, TUNING, work=work, save_every_s=0).losses) > 9


@pytest.mark.parametrize("other", ["settings", "lists", "start"])
def test_a_work_folder_of_another_training_is_refused(
    other: str, lists: list[List], fresh: Any, tmp_path: Path
) -> None:
    """Another learning rate, another list or another start does not go on from these weights."""
    work = tmp_path / "w"
    run(fresh(), lists[:20], TUNING, work=work)
    tuning = replace(TUNING, learning_rate=1e-3) if other == "settings" else TUNING
    some = lists[1:21] if other == "lists" else lists[:20]
    start = fresh(seed=1) if other == "start" else fresh()
    with pytest.raises(Conflict, match="another configuration, start or data"):
        run(start, some, tuning, work=work)


def test_early_stopping_keeps_the_best_step(lists: list[List], held: Held, fresh: Any) -> None:
    """A learning rate that wrecks the model stops the training; the weights are those of the best point."""
    tuning = replace(
        TUNING, epochs=8, learning_rate=0.5, evaluations=16, patience=2, judge="loss", warm_up=0.9
    )
    start = fresh()
    tuned = run(start, lists, tuning, held)
    best = best_of(tuned.curve, "loss")
    assert len(tuned.losses) < tuned.planned
    assert tuned.kept == best.step
    again = run(
        start, lists[:4], replace(tuning, epochs=1, learning_rate=1e-9, evaluations=1, patience=0), held
    )
    assert again.curve[0].held_out_loss == pytest.approx(best.held_out_loss, rel=1e-5)


def test_the_curve_begins_before_the_first_step_and_ends_with_the_last(
    lists: list[List], held: Held, fresh: Any
) -> None:
    """Evenly spread points with the training loss since the one before."""
    tuned = run(fresh(), lists, TUNING, held)
    steps = [point.step for point in tuned.curve]
    assert steps[0] == 0
    assert steps[-1] == len(tuned.losses) == tuned.planned == tuned.kept
    assert len(steps) == 5
    assert tuned.curve[0].loss is None
    assert tuned.curve[2].loss == pytest.approx(np.mean(tuned.losses[steps[1] : steps[2]]))


def test_frozen_embeddings_stay_and_free_ones_move(lists: list[List], fresh: Any) -> None:
    """Word vectors change only where that is asked for."""
    name = "bert.embeddings.word_embeddings.weight"
    for frozen in (True, False):
        start = fresh()
        before = weights(start[0])[name]
        run(start, lists[:20], replace(TUNING, freeze_embeddings=frozen))
        assert np.array_equal(before, weights(start[0])[name]) == frozen


def test_each_epoch_draws_its_own_lists(lists: list[List], fresh: Any) -> None:
    """What `lists(epoch)` gives is asked for once an epoch, and is what the steps hold."""
    asked: list[int] = []

    def draw(epoch: int) -> list[List]:
        asked.append(epoch)
        return lists[epoch * 20 : epoch * 20 + 20]

    run(fresh(), draw, TUNING)
    assert asked == [0, 1]


def test_steps_are_filled_by_tokens_and_hold_every_list_once() -> None:
    """No step over the budget but for a list that is larger by itself; half an epoch is half the steps."""
    sizes = {str(size): size for size in (10, 50, 90, 30, 30, 30, 200, 10)}
    lists = [List(name, ("d",), np.ones(1, np.float32)) for name in sizes] * 3
    runs = list(filled(lists, lambda one: sizes[one.query], 100))
    assert [one for run in runs for one in run] == lists
    assert all(sum(sizes[one.query] for one in run) <= 100 or len(run) == 1 for run in runs)

    class Counted:
        def learn(self, lists: Any) -> None: ...

        def size(self, one: List) -> int:
            return sizes[one.query]

    texts: Any = Counted()
    whole = plan_of(lambda epoch: lists, texts, 1, 100, 7)
    assert len(plan_of(lambda epoch: lists, texts, 0.5, 100, 7)) == round(len(whole) / 2)
    assert digest_of(whole) == digest_of(plan_of(lambda epoch: lists, texts, 1, 100, 7))
    assert digest_of(whole) != digest_of(plan_of(lambda epoch: lists, texts, 1, 100, 8))


def test_patience_counts_points_since_the_best() -> None:
    """Two points after the best exhaust a patience of two, one does not; without patience nothing does."""
    curve = [Point(at, None, 1.0, ndcg) for at, ndcg in enumerate((0.5, 0.8, 0.7, 0.8))]
    assert not exhausted(curve[:3], "nDCG@10", 2)
    assert exhausted(curve, "nDCG@10", 2)
    assert not exhausted(curve, "nDCG@10", 0)


def test_held_out_ndcg_is_that_of_the_project() -> None:
    """The relevant document second of two is 1 / log2(3); lists without a relevant one do not count."""
    lists = tuple(List("q", ("a", "b"), np.ones(2, np.float32)) for _ in range(2))
    held = Held(lists, (np.array([1, 0], np.float32), np.zeros(2, np.float32)))
    assert held.ndcg([np.array([0, 1], np.float32), np.array([0, 1], np.float32)]) == pytest.approx(
        1 / np.log2(3)
    )
    assert Held(lists[:1], (np.zeros(2, np.float32),)).ndcg([np.zeros(2, np.float32)]) is None


class Half:
    """One of two processes, whose other one's sums are known."""

    kind = torch.device("cpu")
    leads = True

    def __init__(self, other: torch.Tensor) -> None:
        self.other = other

    def share(self, step: Any) -> Any:
        return step[::2]

    def add_up(self, vector: torch.Tensor) -> torch.Tensor:
        return vector + self.other

    def wait(self) -> None: ...


def test_gradients_of_processes_are_added_up() -> None:
    """Each parameter has the sum, one without a gradient the other's, and the losses are one loss."""
    one, two = (torch.nn.Parameter(torch.zeros(2)) for _ in range(2))
    one.grad = torch.tensor([1.0, 2.0])
    other = torch.tensor([10.0, 20.0, 30.0, 40.0, 0.5])
    assert add_gradients(Half(other), [one, two], 0.25) == 0.75
    assert one.grad.tolist() == [11, 22]
    assert two.grad is not None
    assert two.grad.tolist() == [30, 40]
