"""Where fine-tuning runs: a processor, one GPU, or several of either under `accelerate launch`.

Under several processes each takes its share of a step's lists, and gradients are added up, so that every
process takes the same step from the same weights. Sharding a model over devices is not meant: cross-encoders
fit on one.
"""

from collections.abc import Sequence
from typing import Any, Protocol

import torch
from torch import Tensor

from features.errors import NotReady
from training.tuning.batches import Step
from training.tuning.launch import processes


class Device(Protocol):
    """A place to train on.

    Attributes:
        kind: the torch device.
        leads: whether this process writes files.
    """

    kind: torch.device
    leads: bool

    def share(self, step: Step) -> Step:
        """This process's lists of a step."""
        ...

    def add_up(self, vector: Tensor) -> Tensor:
        """The sum of the processes' vectors."""
        ...

    def wait(self) -> None:
        """Until all processes are here."""
        ...


class Alone:
    """One process with one device."""

    leads = True

    def __init__(self, kind: str = "") -> None:
        self.kind = torch.device(kind or ("cuda" if torch.cuda.is_available() else "cpu"))

    def share(self, step: Step) -> Step:
        """All lists."""
        return step

    def add_up(self, vector: Tensor) -> Tensor:
        """The vector itself."""
        return vector

    def wait(self) -> None:
        """Nobody to wait for."""


class Several:
    """One of several processes that `accelerate launch` has started."""

    def __init__(self, accelerator: Any) -> None:
        self.accelerator = accelerator
        self.kind: torch.device = accelerator.device
        self.leads: bool = accelerator.is_main_process

    def share(self, step: Step) -> Step:
        """Every n-th list, from the process's own number on."""
        return step[self.accelerator.process_index :: self.accelerator.num_processes]

    def add_up(self, vector: Tensor) -> Tensor:
        """The sum over processes."""
        total: Tensor = self.accelerator.reduce(vector, reduction="sum")
        return total

    def wait(self) -> None:
        """Until all processes are here."""
        self.accelerator.wait_for_everyone()


def device_here() -> Device:
    """The device of this process: one of several where it was launched so, else its own.

    Raises:
        NotReady: if several processes were launched and accelerate is missing.
    """
    if processes() == 1:
        return Alone()
    try:
        from accelerate import Accelerator
    except ImportError:
        raise NotReady("several processes need accelerate: pip install 'sluice[train,distributed]'") from None
    return Several(Accelerator())


def add_gradients(device: Device, parameters: Sequence[Tensor], loss: float) -> float:
    """Put the sum of the processes' gradients in place of this one's; the sum of their losses."""
    if isinstance(device, Alone):
        return loss
    for each in parameters:
        if each.grad is None:
            each.grad = torch.zeros_like(each)
    flat = [each.grad.flatten() for each in parameters if each.grad is not None]
    total = device.add_up(torch.cat([*flat, torch.tensor([loss], device=device.kind)]))
    at = 0
    for each in parameters:
        if each.grad is not None:
            each.grad.copy_(total[at : at + each.numel()].view_as(each))
            at += each.numel()
    return float(total[-1])
