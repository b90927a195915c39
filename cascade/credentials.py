"""Credentials: what a caller shows, and what of it is kept.

A bearer token reads `sluice.<tenant>.<id>.<secret>`; `~` stands in the tenant's place where it opens all of
them (the platform's own). It names its tenant, so that looking it up reads one small file however many there
are. The secret has 256 random bits, and only the SHA-256 of the whole token is kept: a slow, salted
hash protects secrets that people choose, because those can be guessed; nobody guesses 256 random bits, and a
fast hash lets every request be checked.
"""

from datetime import datetime
from hashlib import sha256
from hmac import compare_digest
from typing import Literal, NamedTuple, get_args

import msgspec

from cascade.names import is_name
from features.errors import InvalidInput, NotFound

Role = Literal["rank", "feedback", "admin"]
ROLES: tuple[Role, ...] = get_args(Role)
PLATFORM = "~"
"""Stands for every tenant. No tenant can be called that."""
PREFIX = "sluice"
LONGEST = 300
"""Characters of a token; more is none of ours."""


class Token(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """A bearer token as it is kept.

    Attributes:
        hash: SHA-256 of the whole token, in hexadecimal.
        expires: good before that moment; None = for ever.
        revoked: when it was taken back. It stays in the list, so that the audit log's ids keep their meaning.
    """

    id: str
    hash: str
    roles: tuple[Role, ...]
    created: datetime
    expires: datetime | None = None
    revoked: datetime | None = None

    def holds(self, now: datetime) -> bool:
        """Whether it is good at a moment."""
        return self.revoked is None and (self.expires is None or now < self.expires)


class Certificate(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A client certificate by its common name or a subject alternative name, and what it may do."""

    name: str
    roles: tuple[Role, ...]


class Credentials(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """All that open one tenant, or the platform."""

    tokens: tuple[Token, ...] = ()
    certificates: tuple[Certificate, ...] = ()


class Bearer(NamedTuple):
    """A token as a caller shows it."""

    tenant: str
    id: str
    secret: str

    @property
    def text(self) -> str:
        """What is shown once, and sent behind `Bearer`."""
        return ".".join((PREFIX, *self))

    @property
    def hash(self) -> str:
        """What is kept."""
        return sha256(self.text.encode()).hexdigest()


def parse_bearer(text: str) -> Bearer | None:
    """The token that a text is; None for anything else."""
    parts = text.split(".") if len(text) <= LONGEST and text.isascii() else []
    if len(parts) != 4 or parts[0] != PREFIX or not all(parts):
        return None
    bearer = Bearer(*parts[1:])
    return bearer if bearer.tenant == PLATFORM or is_name(bearer.tenant) else None


def find_token(credentials: Credentials, bearer: Bearer, now: datetime) -> Token | None:
    """The kept token that a caller's is, while it holds. Hashes are compared in constant time."""
    found = next((token for token in credentials.tokens if token.id == bearer.id), None)
    same = compare_digest(found.hash if found else "", bearer.hash)
    return found if found and same and found.holds(now) else None


def roles_of(credentials: Credentials, names: frozenset[str]) -> frozenset[Role]:
    """What a client certificate with these names may do."""
    return frozenset(role for one in credentials.certificates if one.name in names for role in one.roles)


def with_token(credentials: Credentials, token: Token) -> Credentials:
    """One more token."""
    return msgspec.structs.replace(credentials, tokens=(*credentials.tokens, token))


def without_token(credentials: Credentials, token_id: str, now: datetime) -> Credentials:
    """One token taken back.

    Raises:
        NotFound: if there is none with that id.
    """
    if token_id not in [token.id for token in credentials.tokens]:
        raise NotFound(f"no token with the id {token_id!r}", path="--revoke")
    tokens = tuple(
        msgspec.structs.replace(token, revoked=token.revoked or now) if token.id == token_id else token
        for token in credentials.tokens
    )
    return msgspec.structs.replace(credentials, tokens=tokens)


def with_certificate(credentials: Credentials, certificate: Certificate) -> Credentials:
    """A certificate's name bound, in the place of what it was bound to before."""
    others = tuple(one for one in credentials.certificates if one.name != certificate.name)
    return msgspec.structs.replace(credentials, certificates=(*others, certificate))


def without_certificate(credentials: Credentials, name: str) -> Credentials:
    """A certificate's name let go.

    Raises:
        NotFound: if it is not bound.
    """
    kept = tuple(one for one in credentials.certificates if one.name != name)
    if len(kept) == len(credentials.certificates):
        raise NotFound(f"no certificate with the name {name!r} is bound", path="--unbind")
    return msgspec.structs.replace(credentials, certificates=kept)


def check_roles(names: list[str]) -> tuple[Role, ...]:
    """Roles by name, each once.

    Raises:
        InvalidInput: for any other word.
    """
    for name in names:
        if name not in ROLES:
            raise InvalidInput(f"{name!r} is no role; there are {', '.join(ROLES)}", path="--role")
    return tuple(role for role in ROLES if role in names)
