"""What is declared of tenants, as of a few moments ago: read when asked for, and again once it is old.

A server of ten thousand tenants reads the files of those that call. When the store is out of reach, what was
read last holds.
"""

from collections.abc import Callable
from dataclasses import dataclass
from time import monotonic
from typing import Protocol

import structlog

from cascade.tenants import Platform, Tenant
from features.errors import InvalidInput, NotFound, SluiceError, Unavailable
from features.fairness import HIGH, LOW, NORMAL, Share

log = structlog.get_logger()

CLASSES = {"high": HIGH, "normal": NORMAL, "low": LOW}


class Declared(Protocol):
    """What of `cascade.tenants.Tenants` serving reads."""

    def get(self, name: str) -> Tenant: ...

    def platform(self) -> Platform | None: ...


class Undeclared:
    """Stands for a store that declares nothing: all have the defaults, and nobody needs credentials."""

    def get(self, name: str) -> Tenant:  # noqa: ARG002
        """The defaults."""
        return Tenant()

    def platform(self) -> Platform | None:
        """No credentials."""
        return None


@dataclass(frozen=True, slots=True)
class Seen:
    """A tenant as it was read at a moment, and its part of the machine."""

    tenant: Tenant
    share: Share
    at: float


class Register:
    """Tenants by name, for any thread. `every_s` is how old an answer may be."""

    def __init__(self, declared: Declared, every_s: float, clock: Callable[[], float] = monotonic) -> None:
        self._declared, self._every_s, self._clock = declared, every_s, clock
        self._seen: dict[str, Seen] = {}
        self._known: Platform | None = None
        self._answer: Platform | None = None
        self._asked_at = float("-inf")

    def tenant(self, name: str) -> Tenant:
        """A tenant.

        Raises:
            InvalidInput: for what cannot be a name.
            NotFound: for one that is not there, or no more.
            Unavailable: if it cannot be read and never was.
        """
        return self._fresh(name).tenant

    def share(self, name: str) -> Share:
        """A tenant's part of the machine; that of a name that is no tenant's is the smallest matter."""
        try:
            return self._fresh(name).share
        except SluiceError:
            return Share("", 1.0, LOW)

    def platform(self) -> Platform | None:
        """The platform's credentials; None where nobody needs any. Once there, they never go away."""
        now = self._clock()
        if now - self._asked_at >= self._every_s:
            self._answer, self._asked_at = self._ask(), now
        return self._answer

    def _fresh(self, name: str) -> Seen:
        seen, now = self._seen.get(name), self._clock()
        if seen is None or now - seen.at >= self._every_s:
            tenant = self._read(name, seen)
            share = Share(name, tenant.weight, CLASSES[tenant.priority])
            seen = self._seen[name] = Seen(tenant, share, now)
        return seen

    def _ask(self) -> Platform | None:
        try:
            self._known = self._declared.platform() or self._known
        except (OSError, SluiceError) as error:
            log.error("credentials_unreadable", exc_info=error)
            return self._known or Platform()  # nobody's, for now: better shut than open
        return self._known

    def _read(self, name: str, seen: Seen | None) -> Tenant:
        try:
            return self._declared.get(name)
        except (InvalidInput, NotFound):
            self._seen.pop(name, None)
            raise
        except (OSError, SluiceError) as error:
            if seen is not None:
                log.error("tenant_unreadable", tenant=name, exc_info=error)
                return seen.tenant
            log.error("tenant_unreadable", tenant=name, exc_info=error)
            raise Unavailable("what is declared of the tenant cannot be read; try again shortly") from None
