"""How many bytes a loaded ranker holds, and how many a process may hold.

A ranker is weighed by the files of its bundle, each under its SHA-256, so that what several rankers share
counts once. Bytes in memory a byte on the disk, measured as growth of resident memory: 3.5 for the embedded
cross-encoder's sessions (a small model is kept in parts and whole), 19 for its tokenizer, 1.2 for a bundle
with a booster of 161 KB, all its objects included (mean of 140).
"""

import os
from collections.abc import Mapping
from pathlib import Path, PurePosixPath

from cascade.manifest import read_manifest
from features.errors import SluiceError
from features.transformer.session import SMALL
from serving.rankers.served import Handle, Source, shown

Parts = Mapping[str, int]
"""What was loaded → bytes: the SHA-256 of a file, or a name of the ranker's own."""

FACTORS: Mapping[str, float] = {"tokenizer.json": 20.0, "golden.json": 0.0}
BY_SUFFIX: Mapping[str, float] = {".txt": 1.2, ".onnx": 2.5, ".npz": 1.0, ".toml": 0.0}
"""Bytes in memory a byte on the disk, by a file's name or by its ending; 1 for any other."""
ONNX, KEPT_TWICE = ".onnx", 3.6
OVERHEAD = 60_000
"""Bytes of a ranker's own objects, somewhat generously."""

CGROUP = Path("/sys/fs/cgroup/memory.max")
SHARE = 0.5
"""Of the memory there is, for rankers; the rest is for requests, caches and the interpreter."""


def by_manifest(store: Source, handle: Handle) -> Parts:
    """What a version's ranker holds; its overhead alone where there is no manifest to go by."""
    directory = store.path(*handle)
    own = {shown(handle): OVERHEAD}
    try:
        files = read_manifest(directory).manifest.files
    except SluiceError:
        return own
    return own | {entry.sha256: loaded_bytes(path, entry.size) for path, entry in files.items()}


def loaded_bytes(path: str, size: int) -> int:
    """Bytes in memory of a file of a bundle."""
    name = PurePosixPath(path)
    if name.suffix == ONNX and size <= SMALL:
        return int(size * KEPT_TWICE)
    return int(size * FACTORS.get(name.name, BY_SUFFIX.get(name.suffix, 1.0)))


def budget_bytes(memory_mb: int) -> int:
    """Bytes for rankers: so many MB, or for 0 half of what the machine or the container has."""
    return memory_mb * 1_000_000 or int(SHARE * memory_bytes())


def memory_bytes(cgroup: Path = CGROUP) -> int:
    """Bytes of memory that this process may use."""
    physical = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    try:
        return min(physical, int(cgroup.read_text()))
    except (OSError, ValueError):  # no container, or one without a limit ("max")
        return physical
