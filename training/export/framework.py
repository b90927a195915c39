"""A checkpoint in the framework that trained it: what exports are measured against, and what torch exports.

Needs torch and transformers. No code of a checkpoint ever runs and no pickled weights are read.
"""

import logging
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
import transformers
from torch import Tensor, nn

from features.columns import Floats
from features.errors import InvalidInput
from features.transformer.model import SCORE
from features.transformer.packed import Pair
from training.export.checkpoint import CONFIG, WEIGHTS, Checkpoint, write_checkpoint
from training.export.families.base import CLS, Output

NAME = f"transformers {transformers.__version__}"
UNREAD = ("pooler", "position_ids", "classifier", "lm_head", "cls.", "score.", "mask_predictions")
"""Tensors that a vector does not depend on."""


class Framework(nn.Module):
    """A model of transformers with one output: `score[B]` or `vector[B, H]`."""

    def __init__(self, body: Any, output: Output, segments: bool) -> None:
        super().__init__()
        self.body = body.eval()
        self.output = output
        self.typed = int(getattr(body.config, "type_vocab_size", 0) or 0) > 1
        self.segments = segments

    def forward(
        self, input_ids: Tensor, attention_mask: Tensor, token_type_ids: Tensor | None = None
    ) -> Tensor:
        """The output of padded rows, int64[B, S] each."""
        given = {} if token_type_ids is None else {"token_type_ids": token_type_ids}
        found = self.body(input_ids=input_ids, attention_mask=attention_mask, **given)
        if self.output.task == SCORE:
            score: Tensor = found.logits[:, 0]
            return score
        return self.pooled(found.last_hidden_state, attention_mask)

    def pooled(self, rows: Tensor, mask: Tensor) -> Tensor:
        """The vector of every row."""
        if self.output.pooling == CLS:
            vector = rows[:, 0]
        else:
            real = mask.unsqueeze(-1).to(rows.dtype)
            vector = (rows * real).sum(1) / real.sum(1)
        return nn.functional.normalize(vector, dim=-1) if self.output.normalised else vector

    @torch.no_grad()
    def run(self, pairs: Sequence[Pair]) -> Floats:
        """float32[n] or float32[n, H]: every pair alone, so that nothing is padded."""
        made: Floats = np.stack([self.alone(pair) for pair in pairs])
        return made

    def alone(self, pair: Pair) -> Floats:
        """One pair's output."""
        ids = torch.from_numpy(pair.ids[None].astype(np.int64))
        second = pair.second if self.segments else len(pair)
        types = torch.from_numpy((np.arange(len(pair)) >= second)[None].astype(np.int64))
        found: Floats = self(ids, torch.ones_like(ids), types if self.typed else None)[0].float().numpy()
        return found

    @property
    def vocabulary(self) -> int:
        """How many tokens have a vector."""
        return int(self.body.get_input_embeddings().num_embeddings)

    @property
    def positions(self) -> int:
        """The longest input: rows of the position table, those aside that no token has."""
        tables = [
            module
            for name, module in self.body.named_modules()
            if isinstance(module, nn.Embedding) and name.endswith("position_embeddings")
        ]
        if tables:
            skipped = tables[0].padding_idx
            return tables[0].num_embeddings - (0 if skipped is None else skipped + 1)
        return int(getattr(self.body.config, "max_position_embeddings", 0) or 512)


def framework_of(source: Path | Checkpoint, output: Output, segments: bool) -> Framework:
    """The model of a checkpoint.

    Raises:
        InvalidInput: if transformers has no such architecture, or a tensor is missing.
    """
    if isinstance(source, Path):
        return Framework(loaded(source, output), output, segments)
    with TemporaryDirectory() as folder:
        write_checkpoint(source, Path(folder))
        return Framework(loaded(Path(folder), output), output, segments)


def loaded(directory: Path, output: Output) -> Any:
    """transformers' own model, in float32, without anything from the network."""
    kind = transformers.AutoModelForSequenceClassification if output.task == SCORE else transformers.AutoModel
    level, bars = transformers.logging.get_verbosity(), transformers.logging.is_progress_bar_enabled()
    transformers.logging.set_verbosity(logging.ERROR)
    transformers.logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    try:
        body, report = kind.from_pretrained(
            directory,
            trust_remote_code=False,
            use_safetensors=True,
            local_files_only=True,
            dtype=torch.float32,
            attn_implementation="eager",
            output_loading_info=True,
        )
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        message = f"transformers cannot load it without code of its own: {str(error).splitlines()[0]}"
        raise InvalidInput(message, path=CONFIG) from None
    finally:
        transformers.logging.set_verbosity(level)
        if bars:
            transformers.logging.enable_progress_bar()  # type: ignore[no-untyped-call]
    needed = [name for name in report["missing_keys"] if output.task == SCORE or not unread(name)]
    if needed:
        raise InvalidInput(f"has no tensor {', '.join(sorted(needed)[:3])}", path=WEIGHTS)
    if output.task == SCORE and body.config.num_labels != 1:
        message = f"has {body.config.num_labels} labels where a ranker needs 1"
        raise InvalidInput(message, path=f"{CONFIG}: id2label")
    return body


def unread(name: str) -> bool:
    """Whether no vector depends on a tensor."""
    return any(part in name for part in UNREAD)
