"""Other families than BERT: through transformers' classes, with the same losses and the same tokens."""

from typing import Any

import numpy as np
import pytest

from tests.support import require

require("torch")
require("transformers")

import torch  # noqa: E402

from features.errors import InvalidInput  # noqa: E402
from training.export.checkpoint import Checkpoint  # noqa: E402
from training.export.testing import random_checkpoint, wordpiece  # noqa: E402
from training.fine_tune import Tuning, fine_tune  # noqa: E402
from training.packed_bert import attend, model_of, pack, tokenizer_of  # noqa: E402
from training.tuning.batches import List  # noqa: E402
from training.tuning.curve import Held  # noqa: E402
from training.tuning.models import trainable, trained  # noqa: E402
from training.tuning.padded import padded_of  # noqa: E402

WORDS = ["red", "blue", "green", "black", "white", "brown", "thing"]
SIZES: dict[str, Any] = {
    "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 64,
    "max_position_embeddings": 40, "pad_token_id": 0, "bos_token_id": 2, "eos_token_id": 3,
    "cls_token_id": 2, "sep_token_id": 3,
    "hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0,
}  # fmt: skip
DISTILBERT: dict[str, Any] = {
    "dim": 32, "n_layers": 2, "n_heads": 4, "hidden_dim": 64,
    "dropout": 0.0, "attention_dropout": 0.0, "seq_classif_dropout": 0.0,
}  # fmt: skip
FAMILIES = ["roberta", "xlm-roberta", "modernbert", "distilbert", "electra"]


def checkpoint_of(family: str) -> Checkpoint:
    """A tiny checkpoint with random weights, as transformers lays it out."""
    from transformers import AutoConfig, AutoModelForSequenceClassification

    tokenizer = wordpiece(WORDS)
    torch.manual_seed(1)
    sizes = DISTILBERT if family == "distilbert" else SIZES
    config = AutoConfig.for_model(family, **sizes, vocab_size=128, num_labels=1, initializer_range=0.3)
    model = AutoModelForSequenceClassification.from_config(config)
    tensors = {name: value.numpy() for name, value in model.state_dict().items()}
    return Checkpoint({**config.to_dict(), "model_type": family}, tensors, tokenizer)


def test_the_padded_and_the_packed_model_agree() -> None:
    """The same BERT gives the same logits through transformers and through our packed one."""
    checkpoint = random_checkpoint(wordpiece(WORDS), hidden=32, positions=32)
    batch = pack([([2, 9, 3, 20, 21, 3], 3), ([2, 8, 3, 30, 3], 3), ([2, 7, 6, 3, 11, 3], 4)])
    with torch.no_grad():
        packed = model_of(checkpoint).eval()(batch)
        padded = padded_of(checkpoint).eval()(batch)
    np.testing.assert_allclose(padded.numpy(), packed.numpy(), atol=2e-5)


def test_attention_written_out_is_that_of_the_kernel() -> None:
    """What a CPU computes step by step is what a GPU asks its fused kernel for, mask and scale alike."""
    torch.manual_seed(0)
    query, key, value = (torch.randn(3, 4, size, 8) for size in (1, 6, 6))
    mask = torch.arange(6) < torch.tensor([[6], [2], [4]])
    fused = torch.nn.functional.scaled_dot_product_attention(
        query, key, value, attn_mask=mask[:, None, None, :]
    )
    torch.testing.assert_close(attend(query, key, value, mask), fused)


@pytest.mark.parametrize("family", FAMILIES)
def test_another_family_learns_and_comes_back(family: str, lists: list[List]) -> None:
    """The loss on what is learned falls; the weights that come back have the model's names and logits."""
    checkpoint = checkpoint_of(family)
    model = trainable(checkpoint)
    tuning = Tuning(
        epochs=3, learning_rate=2e-3, step_tokens=400, max_tokens=16, query_tokens=4, evaluations=1
    )
    tuned = fine_tune(
        model,
        lists,
        tokenizer_of(checkpoint),
        tuning,
        held=Held(tuple(lists[:24]), tuple(one.targets for one in lists[:24])),
    )
    assert tuned.curve[-1].held_out_loss < 0.9 * tuned.curve[0].held_out_loss
    back = trained(model, checkpoint)
    assert back.tensors.keys() <= checkpoint.tensors.keys()
    batch = pack([([2, 60, 3, 61, 62, 3], 3)])
    with torch.no_grad():
        again = trainable(back).eval()(batch)
        np.testing.assert_allclose(again.numpy(), model.eval()(batch).numpy(), atol=1e-6)


def test_what_transformers_does_not_know_is_refused() -> None:
    """Another architecture, and a tensor that is missing, are named."""
    checkpoint = checkpoint_of("roberta")
    strange = Checkpoint(
        {**checkpoint.config, "model_type": "strange"}, checkpoint.tensors, checkpoint.tokenizer
    )
    with pytest.raises(InvalidInput, match="model_type: is 'strange'"):
        trainable(strange)
    lost = "roberta.encoder.layer.0.output.dense.weight"
    tensors = {name: value for name, value in checkpoint.tensors.items() if name != lost}
    with pytest.raises(InvalidInput, match=lost):
        trainable(Checkpoint(checkpoint.config, tensors, checkpoint.tokenizer))


@pytest.mark.parametrize("family", ["bert", "roberta"])
def test_a_head_that_is_not_there_comes_from_the_seed(family: str) -> None:
    """So that a training repeats, and goes on after a kill; another seed, another head."""
    whole = checkpoint_of(family) if family != "bert" else random_checkpoint(wordpiece(WORDS), hidden=32)
    body = {name: tensor for name, tensor in whole.tensors.items() if not name.startswith("classifier")}
    made = [
        trainable(Checkpoint(whole.config, body, whole.tokenizer), seed).state_dict() for seed in (1, 1, 2)
    ]
    head = [name for name in made[0] if "classifier" in name and name.endswith("weight")]
    assert head
    assert all(torch.equal(made[0][name], made[1][name]) for name in made[0])
    assert not any(torch.equal(made[0][name], made[2][name]) for name in head)
