"""From a draft that training has in hand to a bundle on the disk."""

import platform
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from importlib.metadata import PackageNotFoundError, version
from math import isfinite
from pathlib import Path
from typing import Any

import msgspec

from cascade.build import load_steps
from cascade.check import check_reads
from cascade.config import CascadeConfig
from cascade.files import make_directory, relative_files, sync_tree, write_durably
from cascade.golden import record
from cascade.manifest import (
    CONFIG,
    FEATURES,
    GOLDEN,
    MANIFEST,
    SCHEMA,
    STAGES,
    FileEntry,
    Manifest,
    decode_manifest,
)
from cascade.states import save_states
from features.batch import CandidateBatch
from features.digests import digest
from features.errors import Conflict
from features.featureset import FeatureSet

TOOLS = ("sluice", "lightgbm", "numpy", "onnxruntime", "tokenizers")


@dataclass(frozen=True, slots=True, eq=False)
class Draft:
    """All that a bundle is made of.

    Attributes:
        cascade: the ranker's name.
        config: the cascade as declared.
        features: its features, having learned.
        stage_files: a folder with a folder a stage, of the stage's name; a stage without files has none.
        golden: a few queries with candidates, as a server would get them (see `golden.sample`).
        metrics: what the ranker reached, the main metric first; one that is NaN is left out.
        data: where the labels came from: collection, queries, counts, window.
    """

    cascade: str
    config: CascadeConfig
    features: FeatureSet
    stage_files: Path
    golden: CandidateBatch
    metrics: Mapping[str, float] = field(default_factory=dict)
    data: Mapping[str, Any] = field(default_factory=dict)


def write_bundle(directory: Path, draft: Draft, now: datetime) -> Manifest:
    """Write a bundle to a directory that is empty or not there yet; the manifest last.

    The golden scores are those of the stages as they load from the written files.

    Raises:
        Conflict: if the directory holds anything.
        NotReady: if a stage does not load from its files.
    """
    make_directory(directory)
    if any(directory.iterdir()):
        raise Conflict(f"{directory} is not empty; write the bundle to a new directory")
    check_reads(draft.config.stages, draft.features.names)
    write_parts(directory, draft)
    steps = load_steps(draft.config.stages, directory / STAGES, draft.features.names)
    write_durably(directory / GOLDEN, record(draft.golden, draft.features, steps))
    sync_tree(directory)
    manifest = describe(directory, draft, now)
    data = msgspec.json.format(msgspec.json.encode(manifest), indent=2)
    decode_manifest(data)  # what cannot be read back is better refused now
    write_durably(directory / MANIFEST, data)
    sync_tree(directory)
    return manifest


def write_parts(directory: Path, draft: Draft) -> None:
    """The declared cascade, the features' states and the stages' files."""
    write_durably(directory / CONFIG, draft.config.source.encode())
    (directory / FEATURES).mkdir()
    save_states(directory / FEATURES, draft.features)
    for spec in draft.config.stages:
        files = draft.stage_files / spec.name
        if files.is_dir():
            shutil.copytree(files, directory / STAGES / spec.name)


def describe(directory: Path, draft: Draft, now: datetime) -> Manifest:
    """The manifest of the files that lie in the directory."""
    files = {
        path: FileEntry(digest(directory / path), (directory / path).stat().st_size)
        for path in relative_files(directory)
    }
    return Manifest(
        schema=SCHEMA,
        cascade=draft.cascade,
        created=now,
        fingerprint=draft.features.fingerprint,
        files=files,
        metrics={name: value for name, value in draft.metrics.items() if isfinite(value)},
        data=dict(draft.data),
        tools=tools(),
    )


def tools() -> dict[str, str]:
    """Versions of Python and of the libraries that numbers depend on, as far as they are installed."""
    found = {"python": platform.python_version()}
    for name in TOOLS:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
