"""The contract of a store: where bundles live and which of them serve."""

from pathlib import Path
from typing import Protocol

from cascade.audit import Entry
from cascade.changes import Changes
from cascade.experiments.declared import Experiment
from cascade.experiments.lifecycle import Experiments
from cascade.promotion import Promotion, Record


class Store(Protocol):
    """What serves whom. Names are checked before anything is looked up, so none can lead out of the store.

    Every method raises InvalidInput for a malformed name, and those that read raise NotFound for a tenant, a
    ranker or a version that is not there, naming those that are; other tenants are never named.
    """

    def tenants(self) -> tuple[str, ...]:
        """All tenants, sorted."""
        ...

    def rankers(self, tenant: str) -> tuple[str, ...]:
        """A tenant's rankers, sorted."""
        ...

    def versions(self, tenant: str, ranker: str) -> tuple[str, ...]:
        """A ranker's versions, oldest first."""
        ...

    def promotion(self, tenant: str, ranker: str) -> Promotion:
        """The version that serves ("" where none does yet), and those that did before."""
        ...

    def path(self, tenant: str, ranker: str, version: str | None = None) -> Path:
        """The directory of a version's bundle, by default the promoted one's.

        Raises:
            NotReady: if nothing is promoted.
        """
        ...

    def publish(self, tenant: str, ranker: str, bundle: Path, actor: str = "") -> str:
        """Copy a bundle in and return its version; a version that is there already stays as it is.

        `actor` is for the audit log, here and below; "" = who runs this process.

        Raises:
            Corrupt: if a file of the bundle is not the one that was written.
        """
        ...

    def promote(
        self,
        tenant: str,
        ranker: str,
        version: str,
        expected: str | None = None,
        record: Record | None = None,
        actor: str = "",
    ) -> None:
        """Let a version serve. `expected` is the version it should replace ("" = none); None = any.

        `record` says how it came to serve, and is kept where the version changes.

        Raises:
            Conflict: if another one than `expected` serves.
        """
        ...

    def rollback(self, tenant: str, ranker: str, expected: str | None = None, actor: str = "") -> str:
        """Let the version before serve again, and return it.

        Raises:
            NotReady: if there is none before.
            Conflict: if another one than `expected` serves.
        """
        ...

    def approve(self, tenant: str, ranker: str, record: Record, actor: str = "") -> None:
        """Keep that the gate agrees with a version in the place of the one that serves now.

        Raises:
            Conflict: if another one than `record.against` serves.
        """
        ...

    def audit(self, tenant: str) -> tuple[Entry, ...]:
        """Who published, approved, promoted and rolled back a tenant's rankers, and when; oldest first."""
        ...

    def changes(self) -> Changes:
        """What is promoted from now on, for one reader (see `changes.py`)."""
        ...

    def experiments(self, tenant: str, ranker: str) -> Experiments:
        """The ranker's experiments."""
        ...

    def start_experiment(self, tenant: str, ranker: str, experiment: Experiment) -> None:
        """Let an experiment run (see `lifecycle.begun` for what it raises)."""
        ...

    def stop_experiment(self, tenant: str, ranker: str, time: str) -> Experiment:
        """End the experiment that runs, and return it.

        Raises:
            NotReady: if none runs.
        """
        ...
