"""A store in memory, for tests: bundles stay where they were written."""

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cascade.audit import Entry, local_actor
from cascade.changes import Changes, Untold
from cascade.experiments.declared import Experiment
from cascade.experiments.lifecycle import Experiments, begun, ended
from cascade.manifest import open_bundle
from cascade.names import check_name
from cascade.promotion import Promotion, Record, approved, back, forward
from cascade.store import absent, age, unknown_tenant
from features.errors import NotReady

Home = dict[str, Path]


class MemoryStore:
    """Keeps to the laws of `Store` (see there), in one process."""

    def __init__(self) -> None:
        self._bundles: dict[str, dict[str, Home]] = {}
        self._promotions: dict[tuple[str, str], Promotion] = {}
        self._experiments: dict[tuple[str, str], Experiments] = {}
        self._entries: list[Entry] = []

    def tenants(self) -> tuple[str, ...]:
        """All tenants, sorted."""
        return tuple(sorted(self._bundles))

    def rankers(self, tenant: str) -> tuple[str, ...]:
        """A tenant's rankers, sorted."""
        if check_name(tenant, "tenant") not in self._bundles:
            raise unknown_tenant(tenant)
        return tuple(sorted(self._bundles[tenant]))

    def versions(self, tenant: str, ranker: str) -> tuple[str, ...]:
        """A ranker's versions, oldest first."""
        home = self._home(tenant, ranker)
        return tuple(sorted(home, key=lambda version: (age(home[version]), version)))

    def promotion(self, tenant: str, ranker: str) -> Promotion:
        """The version that serves ("" where none does yet), and those that did before."""
        self._home(tenant, ranker)
        return self._promotions.get((tenant, ranker), Promotion())

    def path(self, tenant: str, ranker: str, version: str | None = None) -> Path:
        """The directory of a version's bundle, by default the promoted one's."""
        if version is None:
            version = self.promotion(tenant, ranker).version
            if not version:
                raise NotReady(f"ranker {ranker!r} of {tenant!r} has no promoted version; promote one")
        home = self._home(tenant, ranker)
        if check_name(version, "version") not in home:
            raise absent("version", version, self.versions(tenant, ranker))
        return home[version]

    def publish(self, tenant: str, ranker: str, bundle: Path, actor: str = "") -> str:
        """Remember where a bundle lies, and return its version."""
        check_name(tenant, "tenant")
        check_name(ranker, "ranker")
        version = open_bundle(bundle).version
        if version not in self._bundles.get(tenant, {}).get(ranker, {}):
            self._note("publish", tenant, ranker, actor, after=version)
        self._bundles.setdefault(tenant, {}).setdefault(ranker, {}).setdefault(version, bundle)
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
        before = self.promotion(tenant, ranker)
        after = self._promotions[tenant, ranker] = forward(before, version, expected, record)
        if after != before:
            how = {"forced": record.forced, "reason": record.reason} if record else {}
            known = {"before": before.version, "after": after.version}
            self._note("promote", tenant, ranker, actor, **known, **how)

    def rollback(self, tenant: str, ranker: str, expected: str | None = None, actor: str = "") -> str:
        """Let the version before serve again, and return it."""
        before = self.promotion(tenant, ranker)
        after = back(before, expected)
        self.path(tenant, ranker, after.version)
        self._note("rollback", tenant, ranker, actor, before=before.version, after=after.version)
        self._promotions[tenant, ranker] = after
        return after.version

    def approve(self, tenant: str, ranker: str, record: Record, actor: str = "") -> None:
        """Keep that the gate agrees with a version in the place of the one that serves now."""
        self.path(tenant, ranker, record.version)
        before = self.promotion(tenant, ranker)
        self._promotions[tenant, ranker] = approved(before, record)
        self._note("approve", tenant, ranker, actor, before=before.version, after=record.version)

    def audit(self, tenant: str) -> tuple[Entry, ...]:
        """Who published, promoted and rolled back a tenant's rankers, and when; oldest first."""
        self.rankers(tenant)
        return tuple(entry for entry in self._entries if entry.tenant == tenant)

    def _note(self, action: str, tenant: str, ranker: str, actor: str, **what: Any) -> None:
        entry = Entry(
            time=datetime.now(UTC),
            actor=actor or local_actor(),
            action=action,
            tenant=tenant,
            ranker=ranker,
            **what,
        )
        self._entries.append(entry)

    def changes(self) -> Changes:
        """Everything has to be looked at."""
        return Untold()

    def experiments(self, tenant: str, ranker: str) -> Experiments:
        """The ranker's experiments."""
        self._home(tenant, ranker)
        return self._experiments.get((tenant, ranker), Experiments())

    def start_experiment(self, tenant: str, ranker: str, experiment: Experiment) -> None:
        """Let an experiment run."""
        promoted, versions = self.promotion(tenant, ranker).version, self.versions(tenant, ranker)
        before = self.experiments(tenant, ranker)
        self._experiments[tenant, ranker] = begun(before, experiment, promoted, versions)

    def stop_experiment(self, tenant: str, ranker: str, time: str) -> Experiment:
        """End the experiment that runs, and return it."""
        after = self._experiments[tenant, ranker] = ended(self.experiments(tenant, ranker), time)
        return after.find()

    def _home(self, tenant: str, ranker: str) -> Mapping[str, Path]:
        known = self.rankers(tenant)
        if check_name(ranker, "ranker") not in known:
            raise absent("ranker", ranker, known)
        return self._bundles[tenant][ranker]
