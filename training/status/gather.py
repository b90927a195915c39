"""A store and an event log, gone through once for the status of all their rankers."""

from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from cascade.eventlog.layout import KINDS, home_of, tenants
from cascade.eventlog.read import scan
from cascade.eventlog.windows import written
from cascade.events import MICROS
from cascade.lift.facts import facts_of
from cascade.manifest import read_manifest
from cascade.store import DirectoryStore
from features.errors import NotFound, SluiceError
from training.drift import Drift, read_profiles
from training.events.join import Join
from training.events.rules import Counts, Window
from training.lift import LiftReader
from training.progress import Track, quiet
from training.status.seen import SeenReader
from training.status.serving import serving
from training.status.told import RankerStatus, Status, TenantLog


def gather(
    store: DirectoryStore, log: Path | None, tenant: str, window: Window, now_us: int, track: Track = quiet
) -> Status:
    """The status of one tenant's rankers, or of all tenants' ("").

    Raises:
        NotFound: for a tenant that the store does not have, or a log that is not there.
    """
    if log is not None and not log.is_dir():
        raise NotFound(f"no directory {log}; `sluice serve` makes one beside its store", path="--log")
    rankers: list[RankerStatus] = []
    logs: list[TenantLog] = []
    for name in [tenant] if tenant else store.tenants():
        readers = {ranker: reader_of(store, name, ranker) for ranker in store.rankers(name)}
        if log is not None and name in tenants(log):
            logs.append(of_log(log, name, readers, window, now_us, track))
            found = {ranker: reader.found() for ranker, reader in readers.items()}
        else:
            found = {}
        rankers += [
            RankerStatus(
                tenant=name, ranker=ranker, serving=serving(store, name, ranker), seen=found.get(ranker)
            )
            for ranker in readers
        ]
    since = written(window.since_us) if window.since_us else ""
    return Status(time=written(now_us), since=since, rankers=tuple(rankers), logs=tuple(logs))


def reader_of(store: DirectoryStore, tenant: str, ranker: str) -> SeenReader:
    """What reads the pages of a ranker; without lifts and drift where nothing serves."""
    try:
        home = store.path(tenant, ranker)
        facts, manifest = facts_of(home), read_manifest(home).manifest
    except SluiceError:  # told by `serving`
        return SeenReader(ranker)
    drift = Drift(read_profiles(manifest.data))
    return SeenReader(ranker, LiftReader(ranker, home.name, facts), drift, manifest.fingerprint)


def of_log(
    log: Path, tenant: str, readers: dict[str, SeenReader], window: Window, now_us: int, track: Track
) -> TenantLog:
    """One pass over a tenant's events."""
    join = Join(root=log, tenant=tenant, window=window, features=True, track=track)
    for pages in join:
        for reader in readers.values():
            reader.add(pages)
    last_us = newest(log, tenant)
    return TenantLog(
        tenant=tenant,
        last_event=written(last_us) if last_us else "",
        age_s=(now_us - last_us) / MICROS if last_us else None,
        events={name: count for name, count in told(join.counts).items() if count},
    )


def told(counts: Counts) -> dict[str, int]:
    """Counts by their names."""
    return {name: getattr(counts, name) for name in counts.__struct_fields__}


def newest(log: Path, tenant: str) -> int:
    """When the last event of a tenant was, in microseconds since 1970; 0 = there is none."""
    found = (
        pc.max(table["time"].cast(pa.int64())).as_py() or 0
        for kind in KINDS
        for table in scan(home_of(log, tenant), kind, columns=["time"])
    )
    return max(found, default=0)
