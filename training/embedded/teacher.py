"""Sentence vectors of the starting checkpoint: what hard negatives are found by and students learn from."""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from tokenizers import Tokenizer
from torch.nn.functional import normalize
from transformers import BertModel

from training.progress import Track, quiet

MAX_TOKENS = 128
PASS_TOKENS = 2_048


def vectors(checkpoint: Path, texts: Sequence[str], track: Track = quiet) -> NDArray[np.float16]:
    """float16[n, d]: unit vectors, the mean of the last layer (Reimers and Gurevych 2019)."""
    tokenizer = Tokenizer.from_file(str(checkpoint / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.enable_truncation(MAX_TOKENS)
    encoded = [row.ids for row in tokenizer.encode_batch([text[: 10 * MAX_TOKENS] for text in texts])]
    model = BertModel.from_pretrained(checkpoint, add_pooling_layer=False).eval().to(torch.bfloat16)
    lengths = np.array([len(ids) for ids in encoded])
    made = np.zeros((len(texts), model.config.hidden_size), np.float16)
    for rows in track(list(passes(lengths)), "teacher vectors"):
        made[rows] = mean_pooled(model, [encoded[row] for row in rows])
    return made


def passes(lengths: NDArray[np.int64]) -> list[NDArray[np.int64]]:
    """Rows of similar lengths, so many together that a pass reads about `PASS_TOKENS`."""
    order, done, found = np.argsort(-lengths, kind="stable"), 0, []
    while done < len(order):
        size = max(1, PASS_TOKENS // int(lengths[order[done]]))
        found.append(order[done : done + size])
        done += size
    return found


@torch.inference_mode()
def mean_pooled(model: BertModel, rows: Sequence[Sequence[int]]) -> NDArray[np.float16]:
    """float16[b, d]: unit vectors of token ids."""
    longest = max(len(row) for row in rows)
    ids = torch.zeros(len(rows), longest, dtype=torch.long)
    mask = torch.zeros(len(rows), longest, dtype=torch.long)
    for position, row in enumerate(rows):
        ids[position, : len(row)] = torch.tensor(row)
        mask[position, : len(row)] = 1
    hidden = model(ids, attention_mask=mask).last_hidden_state.float()
    weight = mask[..., None].float()
    pooled = normalize((hidden * weight).sum(1) / weight.sum(1), dim=-1)
    return np.asarray(pooled.numpy(), np.float16)


def cached(
    cache: Path, checkpoint: Path, texts: Sequence[str], track: Track = quiet
) -> dict[str, NDArray[np.float16]]:
    """Text → vector, read from `cache` where it holds just these texts, else made and written there."""
    names, table = cache / "teacher_texts.json", cache / "teacher.npy"
    if not (names.exists() and json.loads(names.read_text()) == list(texts)):
        cache.mkdir(parents=True, exist_ok=True)
        np.save(table, vectors(checkpoint, texts, track))
        names.write_text(json.dumps(list(texts)))
    return dict(zip(texts, np.load(table), strict=True))
