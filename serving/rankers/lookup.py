"""What the store says of names and promotions, and what it means that it says nothing."""

from collections.abc import Iterator
from contextlib import contextmanager

from cascade.changes import Changes, Key
from cascade.names import check_name
from features.errors import NotFound, Unavailable
from serving.rankers.served import Handle, Source


class Lookup:
    """Asks a store. Tenants that were found are remembered until `forget`."""

    def __init__(self, store: Source, changes: Changes) -> None:
        self._store, self._changes = store, changes
        self._known: set[str] = set()

    def check_tenant(self, tenant: str) -> None:
        """Refuse what is no tenant of the store.

        Raises:
            InvalidInput: for what cannot be a name.
            NotFound: for an unknown tenant; the others are not named, as they are nobody else's business.
            Unavailable: if the store is out of reach.
        """
        if tenant not in self._known:
            self.rankers(check_name(tenant, "tenant"))
            self._known.add(tenant)

    def check_ranker(self, key: Key) -> None:
        """Refuse what is no ranker of a tenant.

        Raises:
            NotFound: naming those there are.
        """
        tenant, ranker = key
        there = self.rankers(check_name(tenant, "tenant"))
        if ranker not in there:
            raise NotFound(f"no ranker {ranker!r}; there are {', '.join(there) or 'none'}", path="ranker")

    def check_version(self, handle: Handle) -> None:
        """Refuse what is no version of a ranker."""
        tenant, ranker, version = handle
        self.check_ranker((tenant, ranker))
        try:
            self._store.path(tenant, ranker, version)
        except NotFound:
            raise NotFound(f"no version {version!r} of {ranker!r}", path="ranker") from None

    def rankers(self, tenant: str) -> tuple[str, ...]:
        """A tenant's rankers."""
        with self._asking():
            try:
                return self._store.rankers(tenant)
            except NotFound:
                self._known.discard(tenant)
                self._there()
                raise NotFound(f"no tenant {tenant!r}", path="tenant") from None

    def promoted(self, key: Key) -> str:
        """The promoted version, "" for none.

        Raises:
            NotFound: if the ranker is gone from a store that is there.
            Unavailable: if the store is out of reach.
            Corrupt: if the store's record of it cannot be read.
        """
        with self._asking():
            try:
                return self._store.promotion(*key).version
            except NotFound:
                self._there()
                raise

    def forget(self) -> None:
        """Look tenants up again: one may have been removed."""
        self._known.clear()

    def _there(self) -> None:
        if not self._changes.reachable():
            raise Unavailable("the store is out of reach; try again shortly")

    @contextmanager
    def _asking(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise Unavailable("the store is out of reach; try again shortly") from error
