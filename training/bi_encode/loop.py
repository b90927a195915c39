"""Trains a sentence encoder on lists, with all that the cross-encoder's fine-tuning has: the plan by tokens,
the state to go on from, the held-out curve, early stopping, devices (`training/fine_tune.py`).

With in-batch negatives all documents of a step stand against all its queries, so that its vectors are needed
together, though not their activations: vectors are made first, the loss gives each its gradient, and texts
are then read again, a few at a time (GradCache: Gao et al. 2021, "Scaling Deep Contrastive Learning Batch
Size under Memory Limited Setup"). A step that fits into one pass is read once.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from tokenizers import Tokenizer
from torch import Tensor

from features.transformer.session import cores
from training.bi_encode.lists import Alone, Block, Relevant, block, target_of
from training.bi_encode.losses import contrastive
from training.bi_encode.tower import Tower
from training.export.layouts import layout_of
from training.fine_tune import Hooks, Run, Tuned, Tuning
from training.packed_bert import pack
from training.tuning.batches import Draw, List, Step, digest_of, plan_of
from training.tuning.curve import Held
from training.tuning.devices import add_gradients
from training.tuning.launch import processes


@dataclass(frozen=True, slots=True)
class Contrast:
    """What is particular to encoders.

    Attributes:
        sharpness: logits are dot products of vectors times it.
        in_batch: documents of the other queries of a step are negatives too.
        relevant: those that are none.
    """

    sharpness: float = 20.0
    in_batch: bool = True
    relevant: Relevant = field(default_factory=dict)


def train_encoder(
    tower: Tower,
    draw: Draw,
    tokenizer: Tokenizer,
    tuning: Tuning,
    contrast: Contrast,
    hooks: Hooks | None = None,
    held: Held | None = None,
) -> Tuned:
    """Trains the tower in place on what `draw(epoch)` gives, and tells what came of it.

    Raises:
        Conflict: if the work folder is of another training.
    """
    torch.set_num_threads(tuning.threads or max(1, cores() // processes()))
    texts = Alone(tokenizer, layout_of(tokenizer.to_str()), tuning.max_tokens, 0)
    plan = plan_of(draw, texts, tuning.epochs, tuning.step_tokens, tuning.seed)
    held = held if held and held.lists else None
    texts.learn(held.lists if held else ())
    run = EncoderRun(tower, plan, texts, tuning, hooks or Hooks(), held, contrast=contrast)
    run.go()
    return run.result()


@dataclass(slots=True, eq=False)
class EncoderRun(Run):
    """A training on its way."""

    texts: Alone
    contrast: Contrast = field(default_factory=Contrast)

    def fingerprint(self) -> str:
        """Of all that decides the weights at the end: as of any fine-tuning, and what encoders add to it."""
        made: Any = self.model
        aim = self.contrast
        relevant = sorted((query, sorted(documents)) for query, documents in aim.relevant.items())
        particular = (aim.sharpness, aim.in_batch, made.pooling, made.unit, relevant)
        return digest_of((), Run.fingerprint(self), particular)

    def take(self, step: Step) -> float:
        """One optimiser step; the mean loss of a list over all processes. Negatives are a process's own."""
        mine = self.device.share(step)
        loss = self.backward(mine, len(mine) / len(step)) if mine else 0.0
        loss = add_gradients(self.device, list(self.free.values()), loss)
        torch.nn.utils.clip_grad_norm_(self.free.values(), 1.0)
        self.optimizer.step()
        self.schedule.step()
        self.optimizer.zero_grad(set_to_none=True)
        return loss

    def backward(self, lists: Sequence[List], share: float) -> float:
        """Gradients of the lists' mean loss times a share; that loss."""
        whole = block(lists, self.contrast.relevant)
        parts = list(self.passes(whole.texts))
        if len(parts) == 1:
            loss = self.loss(lists, whole, self.vectors(whole.texts)) * share
            loss.backward()
            return float(loss.detach())
        with torch.no_grad():
            made = torch.cat([self.vectors([whole.texts[at] for at in part]) for part in parts])
        made = made[np.argsort(np.concatenate(parts))].requires_grad_()
        loss = self.loss(lists, whole, made) * share
        (gradient,) = torch.autograd.grad(loss, made)
        for part in parts:
            (self.vectors([whole.texts[at] for at in part]) * gradient[part]).sum().backward()
        return float(loss.detach())

    def passes(self, texts: Sequence[str]) -> Iterator[list[int]]:
        """Texts of similar lengths, so many together as one pass reads."""
        part: list[int] = []
        total = 0
        lengths = [self.texts.length(text) for text in texts]
        for at in np.argsort(lengths, kind="stable").tolist():
            if part and total + lengths[at] > self.pass_tokens:
                yield part
                part, total = [], 0
            part.append(at)
            total += lengths[at]
        yield part

    def vectors(self, texts: Sequence[str]) -> Tensor:
        """float[n, d] of some texts, in one pass."""
        ids = [self.texts.ids(text) for text in texts]
        packed = pack([(one, len(one)) for one in ids]).to(self.device.kind)
        with torch.autocast(self.device.kind.type, torch.bfloat16, enabled=self.brief):
            made: Tensor = self.model(packed)
        return made

    def loss(self, lists: Sequence[List], whole: Block, vectors: Tensor) -> Tensor:
        """The lists' mean loss."""
        logits = self.logits(whole, vectors)
        if not self.contrast.in_batch:
            parts = zip(logits, whole.places, lists, strict=True)
            return torch.stack([self.loss_of(row[places], one) for row, places, one in parts]).mean()
        target = np.zeros(whole.seen.shape, np.float32)
        aim = self.tuning.objective
        for row, (places, one) in enumerate(zip(whole.places, lists, strict=True)):
            np.add.at(target[row], places, target_of(one, aim.teacher_weight, aim.temperature))
        kind = self.device.kind
        return contrastive(logits, torch.from_numpy(target).to(kind), torch.from_numpy(whole.seen).to(kind))

    def logits(self, whole: Block, vectors: Tensor) -> Tensor:
        """float[lists, documents]."""
        asked, documents = vectors[: whole.queries], vectors[whole.queries :]
        return asked[whole.asked] @ documents.T * self.contrast.sharpness

    def losses_of(self, lists: Sequence[List]) -> tuple[list[Tensor], list[Tensor]]:
        """The loss and the logits of each of some lists on its own: what the held-out curve is made of."""
        whole = block(lists, {})
        logits = self.logits(whole, self.vectors(whole.texts))
        parts = [row[places] for row, places in zip(logits, whole.places, strict=True)]
        return [self.loss_of(part, one) for part, one in zip(parts, lists, strict=True)], parts


def relevant_to(pairs: Sequence[tuple[str, str]]) -> Mapping[str, frozenset[str]]:
    """Query → documents, of (query, relevant document) pairs."""
    found: dict[str, set[str]] = {}
    for query, document in pairs:
        found.setdefault(query, set()).add(document)
    return {query: frozenset(documents) for query, documents in found.items()}
