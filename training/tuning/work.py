"""A fine-tuning's state on disk, so that one that was killed goes on where it was.

A folder holds `plan.json`, the fingerprint of what is trained on what and how, and one `step-N` folder with
weights and optimiser state (safetensors), and the rest (`state.json`). A state is written beside the old one
and renamed, so that a kill at any moment leaves one that is whole.
"""

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from cascade.files import make_directory, replace_durably, sync_tree, write_durably
from features.errors import Conflict

PLAN = "plan.json"
STATE = "state.json"
TENSORS = "tensors.safetensors"
PREFIX = "step-"


@dataclass(frozen=True, slots=True)
class Work:
    """The folder of one fine-tuning.

    Attributes:
        folder: where.
        fingerprint: of the plan; a folder of another plan is refused.
    """

    folder: Path
    fingerprint: str

    def open(self) -> None:
        """Make the folder, or see that it is of the same plan.

        Raises:
            Conflict: if it is of another.
        """
        plan = self.folder / PLAN
        if plan.is_file():
            found = json.loads(plan.read_text(encoding="utf-8")).get("fingerprint", "")
            if found != self.fingerprint:
                raise Conflict(
                    f"holds the training of another configuration, start or data ({found[:12]} where this is"
                    f" {self.fingerprint[:12]}); remove it, or name another folder",
                    path=str(self.folder),
                )
        else:
            make_directory(self.folder)
            replace_durably(plan, json.dumps({"fingerprint": self.fingerprint}).encode())

    def save(self, step: int, tensors: Mapping[str, Tensor], state: Mapping[str, Any]) -> None:
        """Write a state in the place of the one before."""
        made = self.folder / f".{PREFIX}{step}"
        shutil.rmtree(made, ignore_errors=True)
        made.mkdir()
        save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, made / TENSORS)
        write_durably(made / STATE, json.dumps(dict(state)).encode())
        sync_tree(made)
        old = self.steps()
        target = self.folder / f"{PREFIX}{step}"
        shutil.rmtree(target, ignore_errors=True)
        made.rename(target)
        for path in old:
            if path != target:
                shutil.rmtree(path)

    def load(self, device: torch.device) -> tuple[dict[str, Tensor], dict[str, Any]] | None:
        """Tensors and state of the last one that is whole; None at the start."""
        for path in reversed(self.steps()):
            state = json.loads((path / STATE).read_text(encoding="utf-8"))
            return load_file(path / TENSORS, device=str(device)), state
        return None

    def steps(self) -> list[Path]:
        """The states there are, by step."""
        return sorted(self.folder.glob(f"{PREFIX}*"), key=lambda path: int(path.name.removeprefix(PREFIX)))


def pack_optimizer(optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """The tensors of an optimiser's state by parameter number and name."""
    state = optimizer.state_dict()["state"]
    return {f"optimizer.{at}.{name}": value for at, entry in state.items() for name, value in entry.items()}


def unpack_optimizer(optimizer: torch.optim.Optimizer, tensors: Mapping[str, Tensor]) -> None:
    """Put back what `pack_optimizer` gave."""
    whole = optimizer.state_dict()
    state: dict[int, dict[str, Tensor]] = {}
    for key, value in tensors.items():
        if key.startswith("optimizer."):
            _, at, name = key.split(".", 2)
            state.setdefault(int(at), {})[name] = value
    optimizer.load_state_dict({**whole, "state": state})
