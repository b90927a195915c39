"""Fine-tuning in real processes: one that is killed, and two that share the steps."""

import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.support import require

require("torch")

SCRIPT = """
import json, os, signal, sys
from dataclasses import replace
from pathlib import Path
import numpy as np
from training.export.testing import random_checkpoint, wordpiece
from training.fine_tune import Hooks, List, Tuning, fine_tune
from training.packed_bert import model_of, tokenizer_of
from training.tuning.devices import device_here

words = ["red", "blue", "green", "black", "white", "brown"]
rng = np.random.default_rng(1)
lists = []
for asked in rng.integers(0, 6, 60).tolist():
    gains = np.array([at == asked for at in range(6)], np.float32)
    lists.append(List(words[asked], tuple(f"{word} thing" for word in words), gains))
checkpoint = random_checkpoint(wordpiece([*words, "thing"]), hidden=32, positions=32)
model = model_of(checkpoint)
tuning = Tuning(epochs=1, learning_rate=1e-3, step_tokens=300, micro_tokens=100, max_tokens=16,
                query_tokens=4, precision="float32", threads=1)
work, kill = sys.argv[1], int(sys.argv[2])

def track(steps, description, total=None):
    for number, step in enumerate(steps):
        if number == kill:
            os.kill(os.getpid(), signal.SIGKILL)
        yield step

hooks = Hooks(track=track, work=Path(work) if work else None, save_every_s=0, device=device_here())
tuned = fine_tune(model, lists, tokenizer_of(checkpoint), tuning, hooks)
weights = {name: value.tolist() for name, value in model.state_dict().items() if "layer.1" in name}
print(json.dumps({"losses": tuned.losses, "weights": weights}))
"""


def start(work: str = "", kill: int = -1, **environment: str) -> "subprocess.Popen[str]":
    """A process that fine-tunes."""
    return subprocess.Popen(
        [sys.executable, "-c", SCRIPT, work, str(kill)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(["."]), **environment},
        cwd=Path(__file__).parents[3],
    )  # fmt: skip


def told(process: "subprocess.Popen[str]") -> dict[str, object]:
    """What it printed at its end."""
    stdout, stderr = process.communicate(timeout=240)
    assert process.returncode == 0, stderr[-3000:]
    found: dict[str, object] = json.loads(stdout.splitlines()[-1])
    return found


@pytest.fixture(scope="module")
def alone() -> dict[str, object]:
    """What one process makes in one go."""
    return told(start())


def test_a_process_killed_by_the_system_goes_on_to_the_same_weights(
    alone: dict[str, object], tmp_path: Path
) -> None:
    """SIGKILL between two steps; the next process ends with the numbers of one that was never killed."""
    killed = start(str(tmp_path / "w"), 4)
    killed.communicate(timeout=240)
    assert killed.returncode == -signal.SIGKILL
    assert told(start(str(tmp_path / "w"))) == alone


def test_two_processes_share_the_steps(alone: dict[str, object]) -> None:
    """Both end with the same weights, and these are those of one process but for the order of sums."""
    require("accelerate")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    common = {
        "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "ACCELERATE_USE_CPU": "true",
    }  # fmt: skip
    both = [start(RANK=str(rank), LOCAL_RANK=str(rank), **common) for rank in (0, 1)]
    one, two = (told(process) for process in both)
    assert one["weights"] == two["weights"]
    np.testing.assert_allclose(one["losses"], alone["losses"], rtol=1e-3)
    for name, values in alone["weights"].items():  # type: ignore[attr-defined]
        np.testing.assert_allclose(one["weights"][name], values, atol=2e-3, err_msg=name)  # type: ignore[index]
