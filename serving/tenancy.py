"""What a server knows of its tenants, put together: who they are, who may call, and what they may spend."""

from collections.abc import Callable
from dataclasses import dataclass

from cascade.store import DirectoryStore
from cascade.tenants import Tenants
from serving.administration import RankersService
from serving.credentials.access import Access
from serving.observe import Metrics
from serving.quotas import Quotas
from serving.rankers import Source
from serving.register import Register, Undeclared
from serving.settings import Settings


@dataclass(frozen=True, slots=True)
class Tenancy:
    """Parts that go together."""

    register: Register
    access: Access
    quotas: Quotas
    administration: RankersService


def tenancy_of(store: Source, settings: Settings, metrics: Metrics, clock: Callable[[], float]) -> Tenancy:
    """The tenancy of a store. Only a directory declares tenants and can be administered; another source of
    rankers, such as a test's, has neither."""
    home = store if isinstance(store, DirectoryStore) else None
    register = Register(Tenants(home.root) if home else Undeclared(), settings.poll_s)
    access = Access(register, bool(settings.tls.client_ca), clock)
    quotas = Quotas(register, spent=metrics.spent, refused=metrics.over_quota)
    return Tenancy(register, access, quotas, RankersService(home, access, clock))
