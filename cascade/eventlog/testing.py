"""Fakes and samples that ship: events by the handful, writers on a folder, and disks that fail when told."""

import errno
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np

from cascade.eventlog.codec import encode, listed
from cascade.eventlog.frames import frame
from cascade.eventlog.layout import SEGMENT, SEGMENTS
from cascade.eventlog.segment import Disk
from cascade.eventlog.writer import LogWriter, Options
from cascade.events import MICROS, Event, Impression, Interaction

TENANT = "demo"
START_S = 1_790_000_000
"""Some day in 2026."""


def shown(request_id: str, *candidates: str, at_s: float = 0.0, **fields: Any) -> Impression:
    """An impression, so many seconds after `START_S`."""
    time_us = int((START_S + at_s) * MICROS)
    made: dict[str, Any] = {"event_id": request_id, "candidates": candidates or ("a", "b", "c")}
    return Impression(**{"request_id": request_id, "time_us": time_us, **made, **fields})


def done(event_id: str, request_id: str, candidate_id: str, at_s: float = 10.0, **fields: Any) -> Interaction:
    """An interaction, a click unless told otherwise."""
    made: dict[str, Any] = {"type": "CLICK", "time_us": int((START_S + at_s) * MICROS), **fields}
    return Interaction(event_id=event_id, request_id=request_id, candidate_id=candidate_id, **made)


def write_segment(root: Path, events: Sequence[Event], batch: int = 1_000, tenant: str = TENANT) -> Path:
    """A sealed segment with these events, a frame a batch, as a writer leaves it; the log's root."""
    folder = root / tenant / SEGMENTS
    folder.mkdir(parents=True, exist_ok=True)
    batches = (events[start : start + batch] for start in range(0, len(events), batch))
    data = b"".join(frame(listed([encode(event) for event in some])) for some in batches)
    (folder / f"{uuid4().hex}{SEGMENT}").write_bytes(data)
    return root


def matrix(values: Any) -> bytes:
    """Numbers as the log holds them."""
    return np.asarray(values, "<f4").tobytes()


@contextmanager
def writing(root: Path, disk: Disk | None = None, prefix: str = "w", **options: Any) -> Iterator[LogWriter]:
    """A writer on a folder, closed in the end."""
    ids = count()
    writer = LogWriter(
        root,
        clock=lambda: float(START_S),
        new_id=lambda: f"{prefix}{next(ids):04d}",
        options=Options(tick_s=0.01, **options),
        disk=disk,
    )
    try:
        yield writer
    finally:
        writer.close()


@dataclass
class FaultyDisk:
    """A disk with so much room, whose flush may fail.

    Attributes:
        room: bytes that can still be written.
        sync_fails: whether the next flushes fail.
        syncs: how many flushes there were.
    """

    room: int = 1 << 40
    sync_fails: bool = False
    syncs: int = 0
    disk: Disk = field(init=False)

    def __post_init__(self) -> None:
        self.disk = Disk(self._write, self._sync, os.ftruncate)

    def _write(self, handle: int, data: bytes) -> int:
        if not self.room:
            raise OSError(errno.ENOSPC, "No space left on device")
        written = os.write(handle, memoryview(data)[: self.room])
        self.room -= written
        return written

    def _sync(self, handle: int) -> None:
        self.syncs += 1
        if self.sync_fails:
            raise OSError(errno.EIO, "Input/output error")
        os.fdatasync(handle)
