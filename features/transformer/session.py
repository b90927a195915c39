"""onnxruntime sessions: their options in one place, and one session a file in the whole process."""

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from threading import Lock
from typing import Any
from weakref import WeakValueDictionary

import onnxruntime

from features.errors import Corrupt, NotReady
from features.transformer.parts import divided

ERRORS_ONLY = 3
SMALL = 64_000_000
"""Bytes of a model that may be kept twice."""

Pause = Callable[[], None]
"""What is called between the parts of a run; an error ends the run."""


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
        arena: keep freed memory for the next batch, in one arena of all sessions; without it every batch asks
            the system.
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
        if self.arena:
            register_arena()
            options.add_session_config_entry("session.use_env_allocators", "1")
        options.enable_mem_pattern = False
        options.log_severity_level = ERRORS_ONLY
        options.add_session_config_entry("session.intra_op.allow_spinning", str(int(self.spinning)))
        options.add_session_config_entry("session.force_spinning_stop", "1")
        return options


@cache
def register_arena() -> None:
    """One arena for all sessions of the process, as a worker runs one of them at a time.

    It grows to the next power of two: by what is asked for, it fell into pieces (135 MiB for 55).
    """
    kind, memory = onnxruntime.OrtAllocatorType.ORT_ARENA_ALLOCATOR, onnxruntime.OrtMemType.DEFAULT
    onnxruntime.create_and_register_allocator(onnxruntime.OrtMemoryInfo("Cpu", kind, 0, memory), None)


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """A session of onnxruntime with the names of what it reads and gives."""

    session: Any
    reads: tuple[str, ...]
    gives: tuple[str, ...]


@dataclass(frozen=True, slots=True, eq=False, weakref_slot=True)
class Session:
    """An open model. Safe among threads.

    Attributes:
        parts: one behind the other (`parts.py`); each but the first also reads what the one before it gives.
            Where a run has several threads there is one, as each part would have threads of its own.
        whole: a small model in one piece too, which spares short texts the hundredth that every cut costs.
        inputs: what the model reads.
    """

    parts: tuple[Part, ...]
    whole: Part | None
    inputs: tuple[str, ...]

    @property
    def options(self) -> Any:
        """The effective `SessionOptions`, the same for every part."""
        return self.parts[0].session.get_session_options()

    def run(
        self, outputs: Sequence[str], feed: Mapping[str, Any], pause: Pause | None = None, long: bool = True
    ) -> list[Any]:
        """The named outputs for some inputs.

        Args:
            outputs, feed: as onnxruntime takes them.
            pause: is called between parts.
            long: whether the run takes so long that it should have pauses, where the model may go without.
        """
        if self.whole and not long:
            return list(self.whole.session.run(outputs, feed))
        *before, last = self.parts
        values = feed
        for part in before:
            given = part.session.run(part.gives, {name: values[name] for name in part.reads})
            values = {**feed, **dict(zip(part.gives, given, strict=True))}  # earlier rows are not kept
            if pause:
                pause()
        found: list[Any] = last.session.run(outputs, {name: values[name] for name in last.reads})
        return found


class Sessions:
    """Sessions by the digest of their file, alive as long as a stage holds them."""

    def __init__(self, settings: SessionSettings | None = None) -> None:
        self.settings = settings or SessionSettings()
        self.open: WeakValueDictionary[str, Session] = WeakValueDictionary()
        self.models: WeakValueDictionary[str, Any] = WeakValueDictionary()
        self.lock = Lock()

    def share(self, content: bytes, digest: str = "", name: str = "model") -> Session:
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


def create(content: bytes, settings: SessionSettings, name: str = "model") -> Session:
    """A session of its own.

    Raises:
        NotReady: if onnxruntime cannot run the model.
    """
    try:
        pieces = divided(content) if settings.threads == 1 else iter([content])
        parts = tuple(opened(piece, settings) for piece in pieces)
        small = len(parts) > 1 and len(content) <= SMALL
        whole = opened(content, settings) if small else None
    except Exception as error:  # onnxruntime raises several kinds of its own
        raise NotReady(f"cannot be run: {str(error).splitlines()[0]}", path=name) from error
    given = {name for part in parts[:-1] for name in part.gives}
    read = dict.fromkeys(name for part in parts for name in part.reads)
    return Session(parts, whole, tuple(name for name in read if name not in given))


def opened(content: bytes, settings: SessionSettings) -> Part:
    """One part of a model, ready to run."""
    session = onnxruntime.InferenceSession(content, settings.options(), providers=["CPUExecutionProvider"])
    reads, gives = (
        tuple(value.name for value in some) for some in (session.get_inputs(), session.get_outputs())
    )
    return Part(session, reads, gives)


SESSIONS = Sessions()
"""The process's sessions. Whoever starts the process may set their `settings` before anything is loaded."""
