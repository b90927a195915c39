"""Fine-tunes a cross-encoder listwise: one query, its documents, and how much each should be preferred.

The loss is ListNet's top-one cross-entropy (Cao et al. 2007): softmax over a query's logits against the
target distribution. Batches are filled by tokens, not by pairs, and hold whole lists.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from tokenizers import Tokenizer

from features.errors import InvalidInput
from features.transformer.tokens import SPECIAL, shares
from training.packed_bert import PackedBert, pack
from training.progress import Track, quiet


@dataclass(frozen=True, slots=True, eq=False)
class List:
    """A query with its documents.

    Attributes:
        targets: float32[d], at least 0; they are normalised to a distribution. A list whose targets are all
            0 teaches nothing and is left out.
    """

    query: str
    documents: tuple[str, ...]
    targets: NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Tuning:
    """How to fine-tune. `step_tokens` is what one optimiser step reads, `micro_tokens` what one pass does."""

    epochs: float = 1.0
    learning_rate: float = 5e-5
    warm_up: float = 0.06
    weight_decay: float = 0.01
    step_tokens: int = 6_000
    micro_tokens: int = 3_000
    max_tokens: int = 128
    query_tokens: int = 32
    freeze_embeddings: bool = True
    threads: int = 2
    seed: int = 7


Encoded = tuple[list[tuple[list[int], int]], torch.Tensor]


def encode(lists: Sequence[List], tokenizer: Tokenizer, tuning: Tuning) -> list[Encoded]:
    """Token ids of every pair `[CLS] query [SEP] document [SEP]` with the length of its first segment."""
    texts = list(dict.fromkeys(text for one in lists for text in (one.query, *one.documents)))
    rows = tokenizer.encode_batch(
        [text[: 12 * tuning.max_tokens] for text in texts], add_special_tokens=False
    )
    ids = {text: row.ids for text, row in zip(texts, rows, strict=True)}
    first, last = (special(tokenizer, token) for token in ("[CLS]", "[SEP]"))
    encoded = []
    for one in lists:
        query, pairs = ids[one.query], []
        for text in one.documents:
            kept, left = shares(len(query), len(ids[text]), tuning.max_tokens - SPECIAL, tuning.query_tokens)
            pairs.append(([first, *query[:kept], last, *ids[text][:left], last], kept + 2))
        target = torch.from_numpy(one.targets / one.targets.sum())
        encoded.append((pairs, target))
    return encoded


def special(tokenizer: Tokenizer, token: str) -> int:
    """The id of a special token.

    Raises:
        InvalidInput: if the tokenizer has none.
    """
    found = tokenizer.token_to_id(token)
    if found is None:
        raise InvalidInput(f"has no {token}, which pairs are made with", path="tokenizer.json")
    return int(found)


def steps(
    encoded: Sequence[Encoded], tuning: Tuning, rng: np.random.Generator
) -> Iterator[list[list[Encoded]]]:
    """Optimiser steps of one epoch, each a list of micro-batches of whole lists."""
    step: list[list[Encoded]] = [[]]
    micro = total = 0
    for position in rng.permutation(len(encoded)):
        size = sum(len(ids) for ids, _ in encoded[position][0])
        if step[-1] and micro + size > tuning.micro_tokens:
            if total + size > tuning.step_tokens:
                yield step
                step, total = [], 0
            step.append([])
            micro = 0
        step[-1].append(encoded[position])
        micro, total = micro + size, total + size
    yield step


def list_loss(model: PackedBert, micro: Sequence[Encoded]) -> torch.Tensor:
    """The sum of the lists' cross-entropies."""
    with torch.autocast("cpu", torch.bfloat16):
        logits = model(pack([pair for pairs, _ in micro for pair in pairs]))
    parts = torch.split(logits, [len(pairs) for pairs, _ in micro])
    losses = [-(target * part.log_softmax(0)).sum() for part, (_, target) in zip(parts, micro, strict=True)]
    return torch.stack(losses).sum()


def optimizer_for(model: PackedBert, tuning: Tuning) -> torch.optim.Optimizer:
    """AdamW, without decay on biases and layer norms."""
    if tuning.freeze_embeddings:
        model.get_parameter("bert.embeddings.word_embeddings.weight").requires_grad_(False)
    free = [p for p in model.parameters() if p.requires_grad]
    groups = [
        {"params": [p for p in free if p.ndim > 1], "weight_decay": tuning.weight_decay},
        {"params": [p for p in free if p.ndim == 1], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=tuning.learning_rate, fused=True)


def fine_tune(
    model: PackedBert,
    lists: Sequence[List],
    tokenizer: Tokenizer,
    tuning: Tuning,
    track: Track = quiet,
    description: str = "cross-encoder",
) -> list[float]:
    """Trains the model in place; the mean loss of every step. The seed fixes the order of the lists."""
    torch.set_num_threads(tuning.threads)
    rng = np.random.default_rng(tuning.seed)
    encoded = encode([one for one in lists if one.targets.sum() > 0], tokenizer, tuning)
    whole = [step for _ in range(int(np.ceil(tuning.epochs))) for step in steps(encoded, tuning, rng)]
    plan = whole[: max(1, round(len(whole) * tuning.epochs / np.ceil(tuning.epochs)))]
    optimizer = optimizer_for(model, tuning)
    warm = max(1, round(len(plan) * tuning.warm_up))
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: min((step + 1) / warm, (len(plan) - step) / max(1, len(plan) - warm))
    )
    model.train()
    return [take_step(model, step, optimizer, schedule) for step in track(plan, description, len(plan))]


def take_step(
    model: PackedBert,
    step: Sequence[Sequence[Encoded]],
    optimizer: torch.optim.Optimizer,
    schedule: torch.optim.lr_scheduler.LRScheduler,
) -> float:
    """One optimiser step over its micro-batches; the mean loss of a list."""
    count = sum(len(micro) for micro in step)
    loss = 0.0
    for micro in step:
        part = list_loss(model, micro) / count
        part.backward()
        loss += float(part.detach())
    torch.nn.utils.clip_grad_norm_([p for p in model.parameters() if p.requires_grad], 1.0)
    optimizer.step()
    schedule.step()
    optimizer.zero_grad(set_to_none=True)
    return loss
