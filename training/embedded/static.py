"""The static encoder, learned from the starting checkpoint's sentence vectors.

A piece begins as the checkpoint's vector of that piece alone, on the leading principal components of its
sentence vectors, weighted by rarity (SIF: Arora, Liang and Ma 2017; Model2Vec: Tulkens and van Dongen 2024).
It is then tuned until a text's summed vector points where the checkpoint's does, and texts lie to each other
as they do there: 1 - cos, plus half the Kullback-Leibler divergence between the two softmaxes over a batch.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from tokenizers import Tokenizer
from torch.nn.functional import kl_div, normalize
from transformers import BertModel

from features.columns import Floats
from features.encoder import save_encoder
from training.fine_tune import special
from training.progress import Track, quiet

Vectors = Mapping[str, NDArray[np.float16]]


@dataclass(frozen=True, slots=True)
class StaticTuning:
    """How the encoder is made. `dimension` numbers a piece; `sharpness` multiplies cosines in the softmax."""

    dimension: int = 128
    epochs: int = 12
    batch: int = 1024
    learning_rate: float = 2e-3
    sharpness: float = 20.0
    max_tokens: int = 254
    seed: int = 7


def make_encoder(
    checkpoint: Path, vectors: Vectors, out: Path, tuning: StaticTuning, track: Track = quiet
) -> None:
    """Learn the encoder from texts with their sentence vectors, and write its file to `out`."""
    source = (checkpoint / "tokenizer.json").read_bytes()
    tokenizer = Tokenizer.from_buffer(source)
    tokenizer.no_padding()
    tokenizer.enable_truncation(tuning.max_tokens)
    texts = list(vectors)
    rows = tokenizer.encode_batch([text[: 8 * tuning.max_tokens] for text in texts], add_special_tokens=False)
    ids = [np.array(row.ids, np.int64) for row in rows]
    targets = np.stack([vectors[text] for text in texts]).astype(np.float32)
    basis = principal(targets, tuning.dimension)
    table = start(checkpoint, basis, ids)
    tuned = tune(table, ids, targets @ basis, tuning, track)
    plain = Tokenizer.from_buffer(source)
    plain.no_padding()
    plain.no_truncation()
    pieces, scale = quantised(tuned)
    save_encoder(out, pieces, scale, plain.to_str().encode())


def principal(targets: Floats, dimension: int) -> Floats:
    """float32[d, dimension]: the leading eigenvectors of the second moments."""
    _, basis = np.linalg.eigh(targets.T @ targets / len(targets))
    leading: Floats = basis[:, ::-1][:, :dimension].astype(np.float32)
    return leading


def start(checkpoint: Path, basis: Floats, ids: Sequence[NDArray[np.int64]]) -> Floats:
    """float32[V, dimension]: every piece encoded alone, centred, on the basis, weighted by rarity."""
    alone = alone_vectors(checkpoint)
    counts = np.bincount(np.concatenate(ids), minlength=len(alone)) + 1.0
    rarity = 1e-3 / (1e-3 + counts / counts.sum())
    centred = alone - alone.mean(0)
    unit = centred / np.linalg.norm(centred, axis=1, keepdims=True)
    table: Floats = ((unit @ basis) * rarity[:, None]).astype(np.float32)
    return table


@torch.inference_mode()
def alone_vectors(checkpoint: Path) -> Floats:
    """float32[V, d]: the mean-pooled vector of `[CLS] piece [SEP]` for every piece."""
    model = BertModel.from_pretrained(checkpoint, add_pooling_layer=False).eval()
    tokenizer = Tokenizer.from_file(str(checkpoint / "tokenizer.json"))
    first, last = (special(tokenizer, token) for token in ("[CLS]", "[SEP]"))
    made = []
    for block in torch.arange(model.config.vocab_size).split(512):
        around = torch.stack([torch.full_like(block, first), block, torch.full_like(block, last)], 1)
        made.append(model(around).last_hidden_state.mean(1).numpy())
    return np.concatenate(made)


def tune(
    table: Floats, ids: Sequence[NDArray[np.int64]], targets: Floats, tuning: StaticTuning, track: Track
) -> Floats:
    """float32[V, dimension]: the table after training."""
    torch.manual_seed(tuning.seed)
    rng = np.random.default_rng(tuning.seed)
    bag = torch.nn.EmbeddingBag.from_pretrained(
        torch.from_numpy(table), freeze=False, mode="sum", sparse=True
    )
    optimizer = torch.optim.SparseAdam(list(bag.parameters()), lr=tuning.learning_rate)
    goal = normalize(torch.from_numpy(np.ascontiguousarray(targets)), dim=-1)
    usable = np.array([row for row, pieces in enumerate(ids) if len(pieces)])
    for epoch in track(range(tuning.epochs), "static encoder", tuning.epochs):
        optimizer.param_groups[0]["lr"] = tuning.learning_rate * (1 - epoch / tuning.epochs)
        order = rng.permutation(usable)
        for rows in np.array_split(order, max(1, len(order) // tuning.batch)):
            optimizer.zero_grad()
            divergence(bag, [ids[row] for row in rows], goal[rows], tuning.sharpness).backward()
            optimizer.step()
    tuned: Floats = bag.weight.detach().numpy()
    return tuned


def divergence(
    bag: torch.nn.EmbeddingBag, ids: Sequence[NDArray[np.int64]], goal: torch.Tensor, sharpness: float
) -> torch.Tensor:
    """How far the texts' vectors are from their goals, alone and among each other."""
    offsets = np.concatenate([[0], np.cumsum([len(row) for row in ids])[:-1]])
    own = normalize(bag(torch.from_numpy(np.concatenate(ids)), torch.from_numpy(offsets)), dim=-1)
    same = torch.eye(len(ids), dtype=torch.bool)
    here, there = ((sharpness * x @ x.T).masked_fill(same, -1e4) for x in (own, goal))
    among = kl_div(here.log_softmax(-1), there.softmax(-1), reduction="batchmean")
    return (1 - (own * goal).sum(-1)).mean() + 0.5 * among


def quantised(table: Floats) -> tuple[NDArray[np.int8], Floats]:
    """int8[V, d] and float32[V]: every row by its own largest number."""
    scale = np.maximum(np.abs(table).max(1), 1e-12) / 127
    return np.round(table / scale[:, None]).astype(np.int8), scale.astype(np.float32)
