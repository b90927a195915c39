"""Cross-encoders of other people on the weights of one checkpoint, each from texts to scores on all cores."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from transformers.modeling_outputs import SequenceClassifierOutput

from features.columns import Floats
from features.transformer.padded import INPUTS
from features.transformer.session import SessionSettings, create
from training.export.checkpoint import Checkpoint, write_checkpoint
from training.export.families.base import Output
from training.export.framework import Framework
from training.export.plain import quantised, traced

BATCH = 32
Ranked = tuple[str, list[str]]


def write_model(checkpoint: Checkpoint, folder: Path, max_tokens: int) -> None:
    """The checkpoint with its tokenizer as transformers reads them."""
    from tokenizers import Tokenizer
    from tokenizers.processors import BertProcessing
    from transformers import PreTrainedTokenizerFast

    write_checkpoint(checkpoint, folder)
    tokenizer = Tokenizer.from_str(checkpoint.tokenizer)
    ends = [(token, int(tokenizer.token_to_id(token) or 0)) for token in ("[SEP]", "[CLS]")]
    tokenizer.post_processor = BertProcessing(ends[0], ends[1])
    names = {f"{name}_token": f"[{name.upper()}]" for name in ("unk", "pad", "cls", "sep")}
    PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]
        tokenizer_object=tokenizer, model_max_length=max_tokens, model_input_names=list(INPUTS), **names
    ).save_pretrained(folder)


def sentence_transformer(folder: Path) -> Any:
    """sentence-transformers' CrossEncoder with its defaults."""
    from sentence_transformers import CrossEncoder

    return CrossEncoder(str(folder), device="cpu")


class Session(nn.Module):
    """An onnxruntime session in the place of torch's model, as optimum's ORTModel is."""

    def __init__(self, model: Any, session: Any) -> None:
        super().__init__()
        self.config = model.config
        self.session = session

    def forward(self, **inputs: torch.Tensor) -> SequenceClassifierOutput:
        """Logits `[B, 1]`."""
        given = {name: inputs[name].numpy() for name in INPUTS if name in inputs}
        scores = torch.from_numpy(self.session.run(["score"], given)[0])
        return SequenceClassifierOutput(logits=scores[:, None])


def onnx_sentence_transformer(folder: Path, session: Any) -> Any:
    """sentence-transformers' CrossEncoder with its own tokenising, sorting and batching over onnxruntime.

    Its ONNX back-end hands a batch to optimum, which hands it to onnxruntime; optimum (optimum-onnx 0.1)
    cannot be imported beside transformers 5, so that the session is called straight.
    """
    theirs = sentence_transformer(folder)
    module = theirs[0]
    module.model = Session(module.model, session)
    return theirs


def int8_session(folder: Path) -> Any:
    """The checkpoint as torch exports it, quantised dynamically a column by onnxruntime."""
    from transformers import AutoModelForSequenceClassification

    body = AutoModelForSequenceClassification.from_pretrained(str(folder), attn_implementation="eager")
    example = {name: np.ones((2, 8), np.int64) for name in INPUTS}
    content = quantised(traced(Framework(body, Output(), True), example))
    return create(content, SessionSettings(threads=0))


class SortedBatches:
    """onnxruntime by hand: pairs sorted by length in batches of 32, each padded to its longest."""

    def __init__(self, folder: Path, session: Any, max_tokens: int) -> None:
        from transformers import PreTrainedTokenizerFast

        self.session = session
        loaded = PreTrainedTokenizerFast.from_pretrained(str(folder))
        self.tokenizer = loaded.backend_tokenizer
        self.tokenizer.enable_truncation(max_tokens)
        self.tokenizer.no_padding()

    def scores(self, asked: Ranked) -> Floats:
        """float32[n]."""
        query, bodies = asked
        encoded = self.tokenizer.encode_batch([(query, body) for body in bodies])
        order = np.argsort([-len(one.ids) for one in encoded], kind="stable").tolist()
        found = np.empty(len(bodies), np.float32)
        for start in range(0, len(order), BATCH):
            some = order[start : start + BATCH]
            found[some] = self.session.run(["score"], padded([encoded[row] for row in some]))[0]
        return found


def padded(encoded: Sequence[Any]) -> dict[str, Any]:
    """The model's inputs, int64[B, S]."""
    longest = max(len(one.ids) for one in encoded)
    made = {name: np.zeros((len(encoded), longest), np.int64) for name in INPUTS}
    for row, one in enumerate(encoded):
        for name, values in zip(INPUTS, (one.ids, one.attention_mask, one.type_ids), strict=True):
            made[name][row, : len(values)] = values
    return made
