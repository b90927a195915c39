"""onnxruntime sessions: their options in one place, and one session a file in the whole process."""

import os
from dataclasses import dataclass
from hashlib import sha256
from threading import Lock
from typing import Any
from weakref import WeakValueDictionary

import onnxruntime

from features.errors import Corrupt, NotReady

ERRORS_ONLY = 3


def cores() -> int:
    """The cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@dataclass(frozen=True, slots=True)
class SessionSettings:
    """What a process decides about inference.

    Attributes:
        threads: intra-op threads of a session, at most one a core; 0 = one a core. With one, a session is run
            by a worker a core (`scheduler.py`): micro-batches are small, and cores need not wait for each
            other after every operator. With two, a newcomer waits half as long for the micro-batch before it.
        spinning: idle threads of a session with several wait by spinning while a micro-batch runs: a fifth of
            throughput on cores of their own, and at the neighbours' cost where cores are shared.
        arena: keep freed memory for the next batch; without it every batch asks the system.
    """

    threads: int = 1
    spinning: bool = True
    arena: bool = True

    def options(self) -> Any:
        """The `SessionOptions`.

        Memory patterns are off: they would be kept for every shape ever seen. Denormals stay as they are:
        flushing them is set on a session's own threads and not on those that run it, so that a pair could
        score differently on another thread.
        """
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = min(self.threads or cores(), cores())
        options.inter_op_num_threads = 1
        options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
        options.enable_cpu_mem_arena = self.arena
        options.enable_mem_pattern = False
        options.log_severity_level = ERRORS_ONLY
        options.add_session_config_entry("session.intra_op.allow_spinning", str(int(self.spinning)))
        options.add_session_config_entry("session.force_spinning_stop", "1")
        return options


class Sessions:
    """Sessions by the digest of their file, alive as long as a stage holds them."""

    def __init__(self, settings: SessionSettings | None = None) -> None:
        self.settings = settings or SessionSettings()
        self.open: WeakValueDictionary[str, Any] = WeakValueDictionary()
        self.models: WeakValueDictionary[str, Any] = WeakValueDictionary()
        self.lock = Lock()

    def share(self, content: bytes, digest: str = "", name: str = "model") -> Any:
        """The session of a model's bytes, shared with whoever has the same content open.

        Raises:
            NotReady: if onnxruntime cannot run it.
            Corrupt: if its SHA-256 is not `digest`.
        """
        found = sha256(content).hexdigest()
        if digest and found != digest:
            raise Corrupt(f"has digest {found[:12]} where {digest[:12]} was written", path=name)
        with self.lock:
            session = self.open.get(found)
            if session is None:
                session = self.open[found] = create(content, self.settings, name)
        return session


def create(content: bytes, settings: SessionSettings, name: str = "model") -> Any:
    """A session of its own.

    Raises:
        NotReady: if onnxruntime cannot run the model.
    """
    try:
        return onnxruntime.InferenceSession(content, settings.options(), providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime raises several kinds of its own
        raise NotReady(f"cannot be run: {str(error).splitlines()[0]}", path=name) from error


SESSIONS = Sessions()
"""The process's sessions. Whoever starts the process may set their `settings` before anything is loaded."""
