"""What benchmarks share: rows, interleaved timing, memory, the machine, a table and a JSON file."""

import ctypes
import gc
import json
import os
import platform
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from importlib import import_module, metadata
from pathlib import Path
from pkgutil import iter_modules
from statistics import median
from time import perf_counter
from types import ModuleType
from typing import TypeVar

from rich.console import Console
from rich.table import Table

T = TypeVar("T")

APART = ("films", "harness", "peers", "__main__")
PACKAGES = ("sluice", "numpy", "numba", "lightgbm", "onnxruntime", "grpcio", "bm25s", "sentence-transformers")


@dataclass(frozen=True, slots=True)
class Row:
    """One figure.

    Attributes:
        case: on what; `measure`: what was measured; `value` in `unit`.
        against: who or what it is compared with, if anything.
        ratio: how many times as good as `against`: theirs over ours for a cost, ours over theirs for a rate.
    """

    case: str
    measure: str
    value: float
    unit: str
    against: str | None = None
    ratio: float | None = None


def interleaved(
    contestants: Mapping[str, Callable[[T], object]],
    inputs: Iterable[T],
    clock: Callable[[], float] = perf_counter,
) -> dict[str, float]:
    """Median seconds of each contestant, taking turns on every input (A B A B …) after one warm-up.

    Inputs should differ, so that nobody profits from what a cache or a branch predictor has seen. Where all
    contestants work on the calling thread alone, `time.thread_time` as the clock keeps neighbours on a shared
    machine out of the figures.
    """
    seconds: dict[str, list[float]] = {name: [] for name in contestants}
    for one in inputs:
        for name, run in contestants.items():
            start = clock()
            run(one)
            seconds[name].append(clock() - start)
    return {name: median(taken[1:] or taken) for name, taken in seconds.items()}


@contextmanager
def uncollected() -> Iterator[None]:
    """Without the garbage collector, which stops a client of so many modules for a tenth of a second at a
    time: that would count as the server's latency.
    """
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def peak_growth_mib(run: Callable[[], object]) -> float:
    """MiB that resident memory grows at the peak of a call; NaN where the system does not tell."""
    reset = Path("/proc/self/clear_refs")
    if not reset.exists():
        return float("nan")
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)  # give freed memory back, or the call would find it there
    reset.write_text("5")
    before = _resident_kib("VmHWM")
    run()
    return (_resident_kib("VmHWM") - before) / 1024


def resident_mib() -> float:
    """Resident memory of this process; NaN where the system does not tell."""
    return _resident_kib("VmRSS") / 1024 if Path("/proc/self/status").exists() else float("nan")


def _resident_kib(key: str) -> int:
    status = Path("/proc/self/status").read_text()
    return int(next(line.split()[1] for line in status.splitlines() if line.startswith(key)))


def machine() -> dict[str, object]:
    """What the figures were measured on."""
    return {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "load": os.getloadavg()[0],
        "system": platform.platform(),
        "python": platform.python_version(),
        "packages": dict(_versions()),
    }


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    return next(
        (line.split(": ")[1] for line in lines if line.startswith("model name")), platform.processor()
    )


def _versions() -> Iterator[tuple[str, str]]:
    for package in PACKAGES:
        try:
            yield package, metadata.version(package)
        except metadata.PackageNotFoundError:
            continue


DATA = Path(__file__).parents[2] / "shared" / "data"


def data_folder(name: str) -> Path | None:
    """The folder of a public data set beside the repository; None, said in a line, where it is not there."""
    folder = Path(os.environ.get("SLUICE_DATA", DATA)) / name
    if folder.is_dir():
        return folder
    print(f"left out: needs the data set {name!r} under $SLUICE_DATA ({folder} is no folder)")
    return None


def benchmarks() -> dict[str, str]:
    """Name → the first line of its docstring, without importing what a benchmark needs."""
    folder = Path(__file__).parent
    names = [module.name for module in iter_modules([str(folder)]) if module.name not in APART]
    return {name: _summary(folder / f"{name}.py") for name in names}


def _summary(source: Path) -> str:
    return source.read_text().split('"""')[1].splitlines()[0]


def load(name: str) -> ModuleType:
    """A benchmark: `run()` yields its rows; `SHORT` says whether it belongs to the short ones."""
    return import_module(f"benchmarks.{name}")


def table(name: str, rows: Iterable[Row]) -> Table:
    """What a person reads."""
    made = Table("case", "measure", "value", "unit", "against", "times as good", title=name)
    for row in rows:
        ratio = "" if row.ratio is None else f"{row.ratio:.2f}"
        made.add_row(row.case, row.measure, f"{row.value:,.3f}", row.unit, row.against or "", ratio)
    return made


def report(name: str, rows: list[Row], file: Path | None) -> None:
    """Print a table; write the JSON where a file is named."""
    Console(width=None if os.isatty(1) else 140).print(table(name, rows))
    if file is not None:
        content = {"benchmark": name, "machine": machine(), "rows": [asdict(row) for row in rows]}
        file.write_text(json.dumps(content, indent=2) + "\n")
