"""What a store says of a ranker."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cascade.eventlog.windows import KEY as WINDOW
from cascade.experiments.file import read_experiments
from cascade.manifest import Manifest, read_manifest
from cascade.promotion import Promotion
from cascade.store import PROMOTED, DirectoryStore
from features.errors import SluiceError
from training.status.told import Running, Serving


def serving(store: DirectoryStore, tenant: str, ranker: str) -> Serving:
    """Of one ranker; what cannot be read is told rather than raised, as the others still stand."""
    try:
        promotion, versions = store.promotion(tenant, ranker), store.versions(tenant, ranker)
        home = store.root / tenant / ranker
        told = of_experiment(home)
        if not promotion.version:
            return Serving(versions=len(versions), experiment=told)
        manifest = read_manifest(store.path(tenant, ranker)).manifest
    except SluiceError as error:
        return Serving(problem=str(error))
    return of_version(promotion, manifest, len(versions), changed(home / PROMOTED), told)


def of_version(
    promotion: Promotion, manifest: Manifest, versions: int, promoted: str, experiment: Running | None
) -> Serving:
    """Of the version that serves."""
    record = next((one for one in reversed(promotion.records) if one.version == promotion.version), None)
    window: Any = manifest.data.get(WINDOW, {})
    return Serving(
        version=promotion.version,
        versions=versions,
        promoted=promoted,
        made=manifest.created.isoformat(timespec="seconds"),
        forced=record.forced if record else False,
        data_window=window if isinstance(window, dict) else {},
        metrics=manifest.metrics,
        experiment=experiment,
    )


def changed(file: Path) -> str:
    """When a file was last replaced."""
    return datetime.fromtimestamp(file.stat().st_mtime, UTC).isoformat(timespec="seconds")


def of_experiment(home: Path) -> Running | None:
    """What runs in a ranker's folder."""
    found = read_experiments(home).running
    if found is None:
        return None
    return Running(name=found.name, kind=found.kind, arms=found.arms, started=found.started)
