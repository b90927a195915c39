"""Fine-tuning in real processes: one that is killed, and two that share the steps."""

import json
import signal
import socket
from collections.abc import Callable
from itertools import count
from multiprocessing import get_context
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.support import require
from training.tuning.testing import fine_tune_words

require("torch")

WAIT_S = 240
Start = Callable[..., tuple[BaseProcess, Path]]


@pytest.fixture(scope="module")
def start(tmp_path_factory: pytest.TempPathFactory) -> Start:
    """Starts a process that fine-tunes. All are forked from one that has imported torch and run nothing."""
    context, numbers, folder = get_context("forkserver"), count(), tmp_path_factory.mktemp("processes")
    context.set_forkserver_preload(["training.fine_tune", "training.export.testing"])

    def begin(work: str = "", kill: int = -1, **environment: str) -> tuple[BaseProcess, Path]:
        out = folder / f"{next(numbers)}.json"
        process = context.Process(target=fine_tune_words, args=(work, kill, str(out), environment))
        process.start()
        return process, out

    return begin


def told(started: tuple[BaseProcess, Path]) -> dict[str, Any]:
    """What a process wrote at its end."""
    process, out = started
    process.join(WAIT_S)
    assert process.exitcode == 0
    found: dict[str, Any] = json.loads(out.read_text())
    return found


@pytest.fixture(scope="module")
def alone(start: Start) -> dict[str, Any]:
    """What one process makes in one go."""
    return told(start())


def test_a_process_killed_by_the_system_goes_on_to_the_same_weights(
    start: Start, alone: dict[str, Any], tmp_path: Path
) -> None:
    """SIGKILL between two steps; the next process ends with the numbers of one that was never killed."""
    killed, out = start(str(tmp_path / "w"), 4)
    killed.join(WAIT_S)
    assert killed.exitcode == -signal.SIGKILL
    assert not out.exists()
    assert told(start(str(tmp_path / "w"))) == alone


def test_two_processes_share_the_steps(start: Start, alone: dict[str, Any]) -> None:
    """Both end with the same weights, and these are those of one process but for the order of sums."""
    require("accelerate")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    common = {
        "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "ACCELERATE_USE_CPU": "true",
    }  # fmt: skip
    both = [start(RANK=str(rank), LOCAL_RANK=str(rank), **common) for rank in (0, 1)]
    one, two = (told(each) for each in both)
    assert one["weights"] == two["weights"]
    np.testing.assert_allclose(one["losses"], alone["losses"], rtol=1e-3)
    for name, values in alone["weights"].items():
        np.testing.assert_allclose(one["weights"][name], values, atol=2e-3, err_msg=name)
