"""Whether a caller may do what he asks for.

He may where nobody needs credentials; else his token, or his client certificate, has to hold for the tenant
that the message names and for the role that the method needs. What he is told does not depend on whether
another tenant exists.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import grpc

from cascade.credentials import (
    PLATFORM,
    ROLES,
    Bearer,
    Credentials,
    Role,
    find_token,
    parse_bearer,
    roles_of,
)
from features.errors import Forbidden, NotFound, Unauthenticated
from serving.register import Register

HEADER = "authorization"
SCHEME = "bearer "
NAMES = ("x509_common_name", "x509_subject_alternative_name")
METHODS: dict[str, Role] = {"Ranking": "rank", "Feedback": "feedback", "Rankers": "admin"}
"""Service → the role that its methods need."""
NEEDED = "send credentials: metadata `authorization: Bearer TOKEN`, or a client certificate"
WRONG = "the bearer token is not valid; it may be misspelt, expired or revoked"
ANOTHERS = "these credentials are not for the tenant that the request names"


@dataclass(frozen=True, slots=True)
class Caller:
    """Who calls.

    Attributes:
        actor: for the audit log: `token:<id>`, `certificate:<name>` or `anyone`.
        tenant: that the credentials are for; `~` = all.
        roles: what they allow.
    """

    actor: str
    tenant: str
    roles: frozenset[Role]


ANYONE = Caller("anyone", PLATFORM, frozenset(ROLES))


def role_of(method: str) -> Role:
    """The role that a method, such as `/sluice.v1.Ranking/Rank`, needs; `admin` for one nobody thought of."""
    return METHODS.get(method.split("/")[1].rpartition(".")[2], "admin")


class Access:
    """Checks callers against what is declared. `mutual`: TLS asks for certificates, so callers need some."""

    def __init__(self, register: Register, mutual: bool, clock: Callable[[], float]) -> None:
        self._register, self._mutual, self._clock = register, mutual, clock

    @property
    def needed(self) -> bool:
        """Whether callers need credentials."""
        return self._mutual or self._register.platform() is not None

    def check(self, role: Role, tenant: str, context: grpc.ServicerContext) -> Caller:
        """Who calls.

        Raises:
            Unauthenticated: without credentials, or with such as hold no more.
            Forbidden: with those of another tenant, or without the role.
        """
        if not self.needed:
            return ANYONE
        text, names = shown(context)
        caller = self._by_token(text) if text is not None else self._by_certificate(names, tenant)
        if caller.tenant not in (PLATFORM, tenant):
            raise Forbidden(ANOTHERS)
        if role not in caller.roles:
            raise Forbidden(f"these credentials lack the role {role!r}")
        return caller

    def holder(self, context: grpc.ServicerContext) -> str:
        """Whose a call is before its first message names a tenant: the token's tenant's or the certificate's
        where callers need credentials, else the connection's.

        Raises:
            Unauthenticated: without credentials where they are needed, or with such as hold no more.
        """
        if not self.needed:
            return str(context.peer())
        text, names = shown(context)
        return self._by_token(text).tenant if text is not None else f"certificate:{min(names)}"

    def _by_token(self, text: str) -> Caller:
        bearer = parse_bearer(text)
        now = datetime.fromtimestamp(self._clock(), UTC)
        token = find_token(self._behind(bearer), bearer, now) if bearer else None
        if bearer is None or token is None:
            raise Unauthenticated(WRONG)
        return Caller(f"token:{token.id}", bearer.tenant, frozenset(token.roles))

    def _behind(self, bearer: Bearer) -> Credentials:
        return self._platforms() if bearer.tenant == PLATFORM else self._tenants(bearer.tenant)

    def _by_certificate(self, names: frozenset[str], tenant: str) -> Caller:
        own, all_ = roles_of(self._tenants(tenant), names), roles_of(self._platforms(), names)
        if not own | all_:
            raise Forbidden(ANOTHERS)
        return Caller(f"certificate:{min(names)}", tenant, own | all_)

    def _platforms(self) -> Credentials:
        platform = self._register.platform()
        return platform.credentials if platform else Credentials()

    def _tenants(self, tenant: str) -> Credentials:
        try:
            return self._register.tenant(tenant).credentials
        except NotFound:
            return Credentials()


def shown(context: grpc.ServicerContext) -> tuple[str | None, frozenset[str]]:
    """The token and the certificate's names that a caller shows.

    Raises:
        Unauthenticated: if he shows neither.
    """
    text, names = bearer_of(context.invocation_metadata() or ()), names_of(context)
    if text is None and not names:
        raise Unauthenticated(NEEDED)
    return text, names


def bearer_of(metadata: Iterable[tuple[str, str | bytes]]) -> str | None:
    """The token behind `Bearer`; "" for another scheme, None without any."""
    value = next((value for key, value in metadata if key == HEADER), None)
    if value is None:
        return None
    text = value if isinstance(value, str) else ""
    return text[len(SCHEME) :].strip() if text[: len(SCHEME)].lower() == SCHEME else ""


def names_of(context: grpc.ServicerContext) -> frozenset[str]:
    """The names in a client certificate that TLS has verified; none without."""
    found: Any = context.auth_context()  # the published types of this one are wrong
    return frozenset(name.decode("utf-8", "replace") for key in NAMES for name in found.get(key, ()) if name)
