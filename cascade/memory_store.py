"""A store in memory, for tests: bundles stay where they were written."""

from collections.abc import Mapping
from pathlib import Path

from cascade.manifest import open_bundle
from cascade.names import check_name
from cascade.promotion import Promotion, Record, back, forward
from cascade.store import absent, age
from features.errors import NotReady

Home = dict[str, Path]


class MemoryStore:
    """Keeps to the laws of `Store` (see there), in one process."""

    def __init__(self) -> None:
        self._bundles: dict[str, dict[str, Home]] = {}
        self._promotions: dict[tuple[str, str], Promotion] = {}

    def tenants(self) -> tuple[str, ...]:
        """All tenants, sorted."""
        return tuple(sorted(self._bundles))

    def rankers(self, tenant: str) -> tuple[str, ...]:
        """A tenant's rankers, sorted."""
        if check_name(tenant, "tenant") not in self._bundles:
            raise absent("tenant", tenant, self.tenants())
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

    def publish(self, tenant: str, ranker: str, bundle: Path) -> str:
        """Remember where a bundle lies, and return its version."""
        check_name(tenant, "tenant")
        check_name(ranker, "ranker")
        version = open_bundle(bundle).version
        self._bundles.setdefault(tenant, {}).setdefault(ranker, {}).setdefault(version, bundle)
        return version

    def promote(
        self,
        tenant: str,
        ranker: str,
        version: str,
        expected: str | None = None,
        record: Record | None = None,
    ) -> None:
        """Let a version serve; `expected` is the version it should replace ("" = none), None = any."""
        self.path(tenant, ranker, version)
        before = self.promotion(tenant, ranker)
        self._promotions[tenant, ranker] = forward(before, version, expected, record)

    def rollback(self, tenant: str, ranker: str, expected: str | None = None) -> str:
        """Let the version before serve again, and return it."""
        after = back(self.promotion(tenant, ranker), expected)
        self.path(tenant, ranker, after.version)
        self._promotions[tenant, ranker] = after
        return after.version

    def _home(self, tenant: str, ranker: str) -> Mapping[str, Path]:
        known = self.rankers(tenant)
        if check_name(ranker, "ranker") not in known:
            raise absent("ranker", ranker, known)
        return self._bundles[tenant][ranker]
