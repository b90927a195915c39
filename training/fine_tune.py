"""Fine-tunes a cross-encoder on lists: one query, its documents, and how much each should be preferred.

The loop is ours because batches are filled by tokens and hold whole lists, and because on a CPU packed passes
train two to three times as fast as padded ones. What a step learns from is a function of the seed and the
epoch, never of what ran before, so that a training that was killed goes on to the same weights.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import msgspec
import numpy as np
import torch
from tokenizers import Tokenizer
from torch import Tensor, nn

from features.columns import Floats
from features.transformer.session import cores
from training.export.layouts import layout_of
from training.packed_bert import pack
from training.tuning.batches import Draw, List, Step, Texts, digest_of, filled, plan_of
from training.tuning.curve import Held, Point, best_of, exhausted
from training.tuning.devices import Alone, Device, add_gradients
from training.tuning.launch import processes
from training.tuning.models import special, word_vectors
from training.tuning.optimise import optimizer_for, schedule_for
from training.tuning.settings import Hooks, Tuned, Tuning
from training.tuning.work import Work, pack_optimizer, unpack_optimizer

__all__ = ["Hooks", "List", "Tuned", "Tuning", "fine_tune", "special"]

GPU_TOKENS = 32_000
"""A pass on a GPU reads up to so many: small ones leave it idle."""


def fine_tune(
    model: nn.Module,
    lists: Sequence[List] | Draw,
    tokenizer: Tokenizer,
    tuning: Tuning,
    hooks: Hooks | None = None,
    held: Held | None = None,
) -> Tuned:
    """Trains the model in place, on `lists`, or on what `lists(epoch)` draws for every epoch.

    Raises:
        Conflict: if the work folder is of another training.
    """
    hooks = hooks or Hooks()
    torch.set_num_threads(tuning.threads or max(1, cores() // processes()))
    texts = Texts(tokenizer, layout_of(tokenizer.to_str()), tuning.max_tokens, tuning.query_tokens)
    draw = lists if callable(lists) else lambda _: lists
    plan = plan_of(draw, texts, tuning.epochs, tuning.step_tokens, tuning.seed)
    held = held if held and held.lists else None
    texts.learn(held.lists if held else ())
    run = Run(model, plan, texts, tuning, hooks, held)
    run.go()
    return run.result()


@dataclass(slots=True, eq=False)
class Run:
    """A fine-tuning on its way."""

    model: nn.Module
    plan: Sequence[Step]
    texts: Texts
    tuning: Tuning
    hooks: Hooks
    held: Held | None
    losses: list[float] = field(default_factory=list)
    curve: list[Point] = field(default_factory=list)
    best: dict[str, Tensor] = field(default_factory=dict)
    device: Device = field(init=False)
    free: dict[str, nn.Parameter] = field(init=False)
    optimizer: torch.optim.Optimizer = field(init=False)
    schedule: torch.optim.lr_scheduler.LRScheduler = field(init=False)
    work: Work | None = field(init=False, default=None)
    saved: float = field(init=False)

    def __post_init__(self) -> None:
        self.device = self.hooks.device or Alone()
        if self.tuning.freeze_embeddings:
            word_vectors(self.model).requires_grad_(False)
        fingerprint = self.fingerprint() if self.hooks.work else ""
        self.model.to(self.device.kind)
        self.free = {name: each for name, each in self.model.named_parameters() if each.requires_grad}
        self.optimizer = optimizer_for(list(self.free.values()), self.tuning)
        self.schedule = schedule_for(self.optimizer, len(self.plan), self.tuning.warm_up)
        self.saved = self.hooks.clock()
        torch.manual_seed(self.tuning.seed)
        if self.hooks.work:
            self.work = Work(self.hooks.work, fingerprint)
            if self.device.leads:
                self.work.open()
            self.device.wait()
            self.restore()

    def fingerprint(self) -> str:
        """Of all that decides the weights at the end: settings, start, lists, held-out lists."""
        start = [(name, float(each.double().sum())) for name, each in self.model.state_dict().items()]
        held = self.held.lists if self.held else ()
        return digest_of([*self.plan, held], self.tuning, self.texts.layout, start)

    def go(self) -> None:
        """All steps that are left, or until nothing gets better."""
        self.model.train()
        if not self.curve and not self.losses:
            self.measure()
        left = self.plan[len(self.losses) :] if not self.exhausted else ()
        for step in self.hooks.track(left, self.hooks.description, len(left)):
            self.losses.append(self.take(step))
            if self.due:
                self.measure()
            if self.exhausted:
                break
            if self.hooks.clock() - self.saved >= self.hooks.save_every_s:
                self.save()
        self.save()
        if self.best:
            self.model.load_state_dict(self.best, strict=False)

    @property
    def due(self) -> bool:
        """Whether a point of the curve is due: evenly spread, the last one at the end."""
        done, points = len(self.losses), min(self.tuning.evaluations, len(self.plan))
        return done * points // len(self.plan) > (done - 1) * points // len(self.plan)

    @property
    def exhausted(self) -> bool:
        """Whether the curve says to stop."""
        return exhausted(self.curve, self.tuning.judge, self.tuning.patience)

    def take(self, step: Step) -> float:
        """One optimiser step; the mean loss of a list over all processes."""
        loss = 0.0
        for micro in filled(self.device.share(step), self.texts.size, self.pass_tokens):
            part = torch.stack(self.losses_of(micro)[0]).sum() / len(step)
            part.backward()
            loss += float(part.detach())
        loss = add_gradients(self.device, list(self.free.values()), loss)
        torch.nn.utils.clip_grad_norm_(self.free.values(), 1.0)
        self.optimizer.step()
        self.schedule.step()
        self.optimizer.zero_grad(set_to_none=True)
        return loss

    @property
    def pass_tokens(self) -> int:
        """Tokens of one pass."""
        return GPU_TOKENS if self.device.kind.type == "cuda" else self.tuning.micro_tokens

    def losses_of(self, lists: Sequence[List]) -> tuple[list[Tensor], list[Tensor]]:
        """The loss and the logits of each of some lists, in one pass."""
        pairs = [pair for one in lists for pair in self.texts.pairs(one)]
        kind = self.device.kind
        packed = pack([(pair.ids, pair.second) for pair in pairs]).to(kind)
        with torch.autocast(kind.type, torch.bfloat16, enabled=self.brief):
            logits = self.model(packed)
        parts = list(torch.split(logits, [len(one.documents) for one in lists]))
        return [self.loss_of(part, one) for part, one in zip(parts, lists, strict=True)], parts

    @property
    def brief(self) -> bool:
        """Whether products are in bfloat16."""
        has = self.device.kind.type != "cuda" or torch.cuda.is_bf16_supported()
        return self.tuning.precision == "bfloat16" and has

    def loss_of(self, logits: Tensor, one: List) -> Tensor:
        """The loss of one list."""
        gains = torch.from_numpy(one.targets).to(logits.device)
        teacher = None if one.teacher is None else torch.from_numpy(one.teacher).to(logits.device)
        return self.tuning.objective(logits, gains, teacher)

    @torch.no_grad()
    def measure(self) -> None:
        """Add a point to the curve; remember the weights if they are the best and that matters."""
        if self.held is None:
            return
        self.model.eval()
        losses: list[float] = []
        scores: list[Floats] = []
        for micro in filled(self.held.lists, self.texts.size, self.pass_tokens):
            some, logits = self.losses_of(micro)
            losses += [float(loss) for loss in some]
            scores += [part.cpu().numpy() for part in logits]
        self.model.train()
        since = self.losses[self.curve[-1].step :] if self.curve else []
        mean = float(np.mean(since)) if since else None
        point = Point(len(self.losses), mean, float(np.mean(losses)), self.held.ndcg(scores))
        self.curve.append(point)
        if self.tuning.patience and best_of(self.curve, self.tuning.judge) == point:
            self.best = {name: each.detach().clone() for name, each in self.free.items()}

    def save(self) -> None:
        """Write the state, where there is a folder for it; one process alone does."""
        self.saved = self.hooks.clock()
        if self.work is None or not self.device.leads:
            return
        tensors = {f"model.{name}": each.detach() for name, each in self.free.items()}
        tensors |= {f"best.{name}": each for name, each in self.best.items()}
        tensors |= pack_optimizer(self.optimizer)
        tensors["random"] = torch.get_rng_state()
        state = {
            "losses": self.losses,
            "curve": msgspec.to_builtins(self.curve),
            "schedule": {k: v for k, v in self.schedule.state_dict().items() if k != "lr_lambdas"},
        }
        self.work.save(len(self.losses), tensors, state)

    def restore(self) -> None:
        """Go on from the folder's state, if it has one."""
        found = self.work.load(self.device.kind) if self.work else None
        if found is None:
            return
        tensors, state = found
        self.model.load_state_dict(part(tensors, "model."), strict=False)
        self.best = part(tensors, "best.")
        unpack_optimizer(self.optimizer, tensors)
        self.schedule.load_state_dict({**self.schedule.state_dict(), **state["schedule"]})
        for group, rate in zip(self.optimizer.param_groups, self.schedule.get_last_lr(), strict=True):
            group["lr"] = rate
        torch.set_rng_state(tensors["random"].cpu())
        self.losses = list(state["losses"])
        self.curve = msgspec.convert(state["curve"], list[Point])

    def result(self) -> Tuned:
        """What came of it."""
        kept = best_of(self.curve, self.tuning.judge).step if self.best else len(self.losses)
        return Tuned(tuple(self.losses), len(self.plan), tuple(self.curve), kept)


def part(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """The tensors of a prefix, without it."""
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}
