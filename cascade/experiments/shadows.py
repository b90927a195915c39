"""What shadow rankings came to, a JSON line each, beside the tenant's events.

    <log>/<tenant>/shadows/<experiment>/<process>.jsonl

Serving writes and `sluice experiment status` reads. The lines are figures and name no request and no person.
One that is lost with a killed process is lost, and a file that has grown to its limit takes no more.
"""

import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec

from cascade.eventlog.layout import home_of
from cascade.names import check_name

FOLDER = "shadows"
LINES = ".jsonl"
MOST_BYTES = 64 << 20
"""Of one process and experiment: some 300,000 rankings."""


class Shadowed(msgspec.Struct, frozen=True, omit_defaults=True):
    """One shadow ranking.

    Attributes:
        version: the shadow's. `time`: seconds since 1970.
        ms, control_ms: of ranking, the shadow's with what it waited for a core, the control's by its stages.
        overlap: share of the control's first 10 that are among the shadow's first 10.
        tau: Kendall's, over what is among the first 10 of either.
        degraded: whether a stage was cut short or failed.
        failed: the error, where there is no ranking; the figures say nothing then.
    """

    version: str
    time: float
    ms: float = 0.0
    control_ms: float = 0.0
    overlap: float = 0.0
    tau: float = 0.0
    degraded: bool = False
    failed: str = ""


class ShadowLog:
    """Appends for one process; any thread may."""

    def __init__(self, root: Path, new_id: Callable[[], str], most_bytes: int = MOST_BYTES) -> None:
        self._root, self._process, self._most_bytes = root, new_id(), most_bytes
        self._lock = threading.Lock()

    def append(self, tenant: str, experiment: str, shadowed: Shadowed) -> None:
        """One line.

        Raises:
            OSError: if it cannot be written.
        """
        folder = folder_of(self._root, tenant, experiment)
        path = folder / f"{self._process}{LINES}"
        line = msgspec.json.encode(shadowed) + b"\n"
        with self._lock:
            folder.mkdir(parents=True, exist_ok=True)
            with path.open("ab") as file:
                if file.tell() + len(line) <= self._most_bytes:
                    file.write(line)


def folder_of(root: Path, tenant: str, experiment: str) -> Path:
    """Where an experiment's shadows lie."""
    return home_of(root, tenant) / FOLDER / check_name(experiment, "name")


def read_shadows(root: Path, tenant: str, experiment: str) -> Iterator[Shadowed]:
    """All of an experiment; a line that a killed process left torn is passed over."""
    for path in sorted(folder_of(root, tenant, experiment).glob(f"*{LINES}")):
        for line in path.read_bytes().splitlines():
            try:
                yield msgspec.json.decode(line, type=Shadowed)
            except msgspec.MsgspecError:
                continue
