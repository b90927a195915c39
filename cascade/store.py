"""Where bundles live and which of them serve.

    <root>/<tenant>/<ranker>/versions/<version>/    a bundle, complete from the moment it is there
    <root>/<tenant>/<ranker>/promoted.json          the version that serves, and those before it
    <root>/<tenant>/<ranker>/experiments.json       the experiment that runs, and those before it
    <root>/<tenant>/<ranker>/.staging/              bundles on their way in
    <root>/<tenant>/<ranker>/.lock                  taken by writers, never by readers
    <root>/<tenant>/audit.jsonl                     who published, promoted and rolled back (`audit.py`)
    <root>/<tenant>/tenant.json                     what is declared of the tenant (`tenants.py`)

Publishing copies into a staging folder, verifies, flushes to the disk and renames; promoting replaces one
file. A process that dies at any point leaves the old state or the new one, and perhaps a staging folder,
which the next publish sweeps away unless a living process holds it.
"""

import shutil
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType
from typing import Any

from cascade.audit import AUDIT, Entry, append, local_actor, read_audit
from cascade.changes import Changes, DirectoryChanges, announce
from cascade.experiments.declared import Experiment
from cascade.experiments.file import read_experiments, write_experiments
from cascade.experiments.lifecycle import Experiments, begun, ended
from cascade.files import locked, make_directory, sync_tree
from cascade.manifest import open_bundle, read_manifest
from cascade.names import check_name, is_name
from cascade.promoted import PROMOTED as PROMOTED
from cascade.promoted import read_promotion, write_promotion
from cascade.promotion import Promotion, Record, approved, back, forward
from cascade.staging import LOCK, STAGING, put_in_place, staging
from cascade.store_protocol import Store as Store
from features.errors import Corrupt, NotFound, NotReady, SluiceError, Unavailable

VERSIONS = "versions"


class DirectoryStore:
    """A store in a directory, shared by any number of processes."""

    def __init__(self, root: Path, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        if root.exists() and not root.is_dir():
            raise Unavailable(f"the store {root} is no directory")
        self.root, self._now = root, now

    def tenants(self) -> tuple[str, ...]:
        """All tenants, sorted."""
        return folders(self.root)

    def rankers(self, tenant: str) -> tuple[str, ...]:
        """A tenant's rankers, sorted."""
        home = self.root / check_name(tenant, "tenant")
        if not home.is_dir():
            raise unknown_tenant(tenant)
        return folders(home)

    def versions(self, tenant: str, ranker: str) -> tuple[str, ...]:
        """A ranker's versions, oldest first."""
        home = self._home(tenant, ranker) / VERSIONS
        return tuple(sorted(folders(home), key=lambda version: (age(home / version), version)))

    def promotion(self, tenant: str, ranker: str) -> Promotion:
        """The version that serves ("" where none does yet), and those that did before."""
        return read_promotion(self._home(tenant, ranker) / PROMOTED)

    def path(self, tenant: str, ranker: str, version: str | None = None) -> Path:
        """The directory of a version's bundle, by default the promoted one's."""
        if version is None:
            version = self.promotion(tenant, ranker).version
            if not version:
                raise NotReady(f"ranker {ranker!r} of {tenant!r} has no promoted version; promote one")
        found = self._home(tenant, ranker) / VERSIONS / check_name(version, "version")
        if not found.is_dir():
            raise absent("version", version, self.versions(tenant, ranker))
        return found

    def publish(self, tenant: str, ranker: str, bundle: Path, actor: str = "") -> str:
        """Copy a bundle in and return its version; one that is there in good order stays as it is."""
        home = self.root / check_name(tenant, "tenant") / check_name(ranker, "ranker")
        version = open_bundle(bundle).version
        make_directory(home / VERSIONS)
        make_directory(home / STAGING)
        with staging(home) as staged:
            shutil.copytree(bundle, staged, dirs_exist_ok=True)
            if open_bundle(staged).version != version:
                raise Corrupt("the bundle changed while it was copied", path=str(bundle))
            sync_tree(staged)
            with locked(home / LOCK):
                if not (home / VERSIONS / version).exists():
                    self._note("publish", tenant, ranker, actor, after=version)
                put_in_place(staged, home / VERSIONS / version)
        return version

    def promote(
        self,
        tenant: str,
        ranker: str,
        version: str,
        expected: str | None = None,
        record: Record | None = None,
        actor: str = "",
    ) -> None:
        """Let a version serve; `expected` is the version it should replace ("" = none), None = any."""
        self.path(tenant, ranker, version)
        how = {"forced": record.forced, "reason": record.reason} if record else {}
        self._change(
            "promote", tenant, ranker, actor, lambda before: forward(before, version, expected, record), how
        )

    def rollback(self, tenant: str, ranker: str, expected: str | None = None, actor: str = "") -> str:
        """Let the version before serve again, and return it."""
        return self._change("rollback", tenant, ranker, actor, lambda before: back(before, expected)).version

    def approve(self, tenant: str, ranker: str, record: Record, actor: str = "") -> None:
        """Keep that the gate agrees with a version in the place of the one that serves now."""
        self.path(tenant, ranker, record.version)
        self._change(
            "approve",
            tenant,
            ranker,
            actor,
            lambda before: approved(before, record),
            {"after": record.version},
        )

    def audit(self, tenant: str) -> tuple[Entry, ...]:
        """Who published, approved, promoted and rolled back a tenant's rankers, and when; oldest first."""
        self.rankers(tenant)
        return read_audit(self.root / tenant / AUDIT)

    def _change(
        self,
        action: str,
        tenant: str,
        ranker: str,
        actor: str,
        edit: Callable[[Promotion], Promotion],
        how: Mapping[str, Any] = MappingProxyType({}),
    ) -> Promotion:
        home = self._home(tenant, ranker)
        with locked(home / LOCK):
            before = read_promotion(home / PROMOTED)
            after = edit(before)
            if after.version:
                self.path(tenant, ranker, after.version)
            if after != before:
                changed = {"before": before.version, "after": after.version}
                self._note(action, tenant, ranker, actor, **{**changed, **how})
            write_promotion(home / PROMOTED, before, after)
        if after.version != before.version:
            announce(self.root, tenant, ranker)
        return after

    def changes(self) -> Changes:
        """What is promoted from now on, for one reader."""
        return DirectoryChanges(self.root, PROMOTED)

    def _note(self, action: str, tenant: str, ranker: str, actor: str, **what: Any) -> None:
        entry = Entry(
            time=self._now(),
            actor=actor or local_actor(),
            action=action,
            tenant=tenant,
            ranker=ranker,
            **what,
        )
        append(self.root / tenant / AUDIT, entry)

    def experiments(self, tenant: str, ranker: str) -> Experiments:
        """The ranker's experiments."""
        return read_experiments(self._home(tenant, ranker))

    def start_experiment(self, tenant: str, ranker: str, experiment: Experiment) -> None:
        """Let an experiment run."""
        home = self._home(tenant, ranker)
        with locked(home / LOCK):
            promoted = read_promotion(home / PROMOTED).version
            versions = self.versions(tenant, ranker)
            after = begun(read_experiments(home), experiment, promoted, versions)
            self._note("experiment-start", tenant, ranker, "", after=f"{experiment.kind} {experiment.name}")
            write_experiments(home, after)

    def stop_experiment(self, tenant: str, ranker: str, time: str) -> Experiment:
        """End the experiment that runs, and return it."""
        home = self._home(tenant, ranker)
        with locked(home / LOCK):
            after = ended(read_experiments(home), time)
            self._note("experiment-stop", tenant, ranker, "", before=after.find().name)
            write_experiments(home, after)
        return after.find()

    def _home(self, tenant: str, ranker: str) -> Path:
        known = self.rankers(tenant)
        if check_name(ranker, "ranker") not in known:
            raise absent("ranker", ranker, known)
        return self.root / tenant / ranker


def folders(directory: Path) -> tuple[str, ...]:
    """Names of the folders in a directory (which need not be there), as far as they are names of ours."""
    if not directory.is_dir():
        return ()
    return tuple(sorted(each.name for each in directory.iterdir() if is_name(each.name) and each.is_dir()))


def absent(what: str, name: str, known: tuple[str, ...]) -> NotFound:
    """The error for a name that is not there."""
    return NotFound(f"no {what} {name!r}; there are {', '.join(known) or 'none'}", path=what)


def unknown_tenant(name: str) -> NotFound:
    """The error for a tenant that is not there. Whoever asks need not know the others."""
    return NotFound(f"no tenant {name!r}", path="tenant")


def age(directory: Path) -> float:
    """When a bundle was made, in seconds since 1970; one that cannot be read comes first."""
    try:
        return read_manifest(directory).manifest.created.timestamp()
    except SluiceError:
        return 0.0
