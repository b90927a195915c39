"""Losses against values worked out by hand, and their gradients against finite differences."""

from collections.abc import Callable
from math import exp, log
from typing import Any

import pytest

from tests.support import require

require("torch")

import torch  # noqa: E402

from training.tuning.losses import listnet, margin_mse, pointwise, ranknet  # noqa: E402
from training.tuning.objective import Objective  # noqa: E402


def tensor(*values: float) -> torch.Tensor:
    """float64, so that finite differences are exact enough."""
    return torch.tensor(values, dtype=torch.float64)


def test_listnet_is_the_cross_entropy_of_two_distributions() -> None:
    """-(.75 log p1 + .25 log p2), p the softmax of 1 and 0."""
    share = exp(1) / (exp(1) + 1)
    wanted = -(0.75 * log(share) + 0.25 * log(1 - share))
    assert float(listnet(tensor(1, 0), tensor(0.75, 0.25))) == pytest.approx(wanted)


def test_ranknet_is_the_mean_over_ordered_pairs() -> None:
    """Of targets 2, 1, 1 two pairs are ordered; equal ones are none, and without any the loss is 0."""
    wanted = (log(1 + exp(0.5 - 2)) + log(1 + exp(3 - 2))) / 2
    assert float(ranknet(tensor(2, 0.5, 3), tensor(2, 1, 1))) == pytest.approx(wanted)
    assert float(ranknet(tensor(2, 0.5), tensor(1, 1))) == 0


def test_margin_mse_looks_at_margins_alone() -> None:
    """((1-0)-(3-1))², ((1-4)-(3-2))² and ((0-4)-(1-2))², their mean; a shift of the teacher is nothing."""
    wanted = ((1 - 2) ** 2 + (-3 - 1) ** 2 + (-4 + 1) ** 2) / 3
    logits = tensor(1, 0, 4)
    assert float(margin_mse(logits, tensor(3, 1, 2))) == pytest.approx(wanted)
    assert float(margin_mse(logits, tensor(13, 11, 12))) == pytest.approx(wanted)
    assert float(margin_mse(tensor(1), tensor(2))) == 0


def test_pointwise_is_the_cross_entropy_of_each_document() -> None:
    """The mean of -log σ(s) for the one and the mixture for a half."""
    right, left = 1 / (1 + exp(-2)), 1 / (1 + exp(1))
    wanted = -(log(right) + (log(left) + log(1 - left)) / 2) / 2
    assert float(pointwise(tensor(2, -1), tensor(1, 0.5))) == pytest.approx(wanted)


@pytest.mark.parametrize("loss", [listnet, ranknet, margin_mse, pointwise])
def test_gradients_are_those_of_finite_differences(loss: Callable[..., Any]) -> None:
    """What autograd gives is the slope of the loss."""
    logits = tensor(0.3, -1.2, 2.0, 0.1).requires_grad_(True)
    target = tensor(0.5, 0.1, 0.3, 0.1)
    assert torch.autograd.gradcheck(lambda s: loss(s, target), (logits,))


def test_a_mixture_weighs_labels_and_teacher() -> None:
    """A quarter of the teacher's loss over the documents it knows, three quarters of the labels'."""
    logits, gains = tensor(0.5, 1.5, -1), tensor(1, 0, 3)
    teacher = tensor(2, 4, float("nan"))
    objective = Objective("listnet", teacher_weight=0.25, temperature=2.0)
    of_teacher = listnet(logits[:2], tensor(1, 2).softmax(0))
    wanted = 0.25 * of_teacher + 0.75 * listnet(logits, gains / 4)
    assert float(objective(logits, gains, teacher)) == pytest.approx(float(wanted))


def test_a_list_with_one_voice_is_held_against_that_alone() -> None:
    """Without labels the teacher has the whole weight, and the labels where the teacher knows too little."""
    logits, none = tensor(0.5, 1.5), tensor(0, 0)
    objective = Objective("margin_mse", teacher_weight=0.5)
    assert float(objective(logits, none, tensor(1, 3))) == pytest.approx(
        float(margin_mse(logits, tensor(1, 3)))
    )
    lone = objective(logits, tensor(1, 0), tensor(1, float("nan")))
    assert float(lone) == pytest.approx(float(listnet(logits, tensor(1, 0))))


def test_each_loss_reads_gains_in_its_way() -> None:
    """Binary asks whether there is a gain, graded how much of the highest, RankNet in which order."""
    logits, gains = tensor(0.2, -0.4, 1.0), tensor(3, 1, 0)
    cases = {
        "binary": pointwise(logits, tensor(1, 1, 0)),
        "graded": pointwise(logits, tensor(3 / 7, 1 / 7, 0)),
        "ranknet": ranknet(logits, gains),
        "listnet": listnet(logits, tensor(0.75, 0.25, 0)),
    }
    for name, wanted in cases.items():
        made = Objective(name, top_gain=7.0)(logits, gains)  # type: ignore[arg-type]
        assert float(made) == pytest.approx(float(wanted)), name


def test_a_teacher_of_documents_is_followed_pointwise() -> None:
    """With `binary` and a teacher alone, σ(logit) is to be σ(score)."""
    made = Objective("binary", teacher_weight=1.0)(tensor(0.2, 1), tensor(1, 0), tensor(-1, 2))
    assert float(made) == pytest.approx(float(pointwise(tensor(0.2, 1), tensor(-1, 2).sigmoid())))
