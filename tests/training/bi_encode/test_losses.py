"""What a step of an encoder's training holds and what it is held against."""

import numpy as np
import pytest

from tests.support import require

require("torch")

import torch  # noqa: E402 (only where it is installed)

from features.columns import Floats  # noqa: E402
from training.bi_encode.lists import block, prefixed, target_of  # noqa: E402
from training.bi_encode.losses import contrastive  # noqa: E402
from training.tuning.batches import List  # noqa: E402


def floats(*values: float) -> Floats:
    """float32[n]."""
    return np.array(values, np.float32)


ONE = List("red", ("red shoe", "blue sky"), floats(1, 0))
TWO = List("tea", ("green tea", "red shoe"), floats(1, 0))


def test_a_step_holds_every_text_once() -> None:
    """Queries first, then documents; every list knows where its own are."""
    made = block([ONE, TWO], {})
    assert made.texts == ("red", "tea", "red shoe", "blue sky", "green tea")
    assert made.queries == 2
    assert [places.tolist() for places in made.places] == [[0, 1], [2, 0]]
    assert made.seen.all()


def test_what_is_known_to_be_relevant_is_no_negative() -> None:
    """Another list's document that is relevant to a query too is not seen by it; its own are."""
    made = block([ONE, TWO], {"red": frozenset({"green tea", "red shoe"})})
    assert made.seen.tolist() == [[True, True, False], [True, True, True]]


def test_with_one_relevant_document_it_is_the_multiple_negatives_loss() -> None:
    """-log of the softmax of the relevant one among all documents that the query sees."""
    logits = torch.tensor([[2.0, 1.0, 0.5], [0.0, 3.0, 9.0]], requires_grad=True)
    target = torch.tensor([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])
    seen = torch.tensor([[True, True, True], [True, True, False]])
    e = np.exp
    expected = -(np.log(e(2) / (e(2) + e(1) + e(0.5))) + np.log(e(3) / (e(0) + e(3)))) / 2
    loss = contrastive(logits, target, seen)
    assert loss.item() == pytest.approx(expected, rel=1e-5)
    loss.backward()
    assert logits.grad is not None
    assert torch.isfinite(logits.grad).all()
    assert logits.grad[1, 2] == 0


def test_targets_mix_labels_and_teacher() -> None:
    """(1 - w) labels + w softmax(scores / temperature); each alone where the other is silent."""
    soft = np.exp([2, 1, 0]) / np.exp([2, 1, 0]).sum()
    one = List("q", ("a", "b", "c"), floats(3, 1, 0), floats(4, 2, 0))
    mixed = 0.25 * floats(0.75, 0.25, 0) + 0.75 * soft
    np.testing.assert_allclose(target_of(one, 0.75, 2.0), mixed, rtol=1e-6)
    np.testing.assert_allclose(target_of(one, 1.0, 2.0), soft, rtol=1e-6)
    np.testing.assert_allclose(target_of(one, 0.0, 2.0), [0.75, 0.25, 0])
    gap = List("q", ("a", "b", "c"), floats(0, 0, 0), floats(4, np.nan, 4))
    np.testing.assert_allclose(target_of(gap, 0.5, 1.0), [0.5, 0, 0.5])
    bare = List("q", ("a", "b", "c"), floats(0, 1, 0), floats(4, np.nan, np.nan))
    np.testing.assert_allclose(target_of(bare, 1.0, 1.0), [0, 1, 0])


def test_prefixes_stand_before_every_text() -> None:
    """Targets and scores stay."""
    made = prefixed(ONE, "q: ", "d: ")
    assert (made.query, made.documents) == ("q: red", ("d: red shoe", "d: blue sky"))
    assert made.targets is ONE.targets
