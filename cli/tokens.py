"""`sluice tenants token`: credentials for a tenant, or for the whole platform."""

import secrets
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli.console import err
from cli.options import Store
from features.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Callable

    from cascade.credentials import Credentials

ID_BYTES, SECRET_BYTES = 6, 32
UNITS = {"m": timedelta(minutes=1), "h": timedelta(hours=1), "d": timedelta(days=1), "w": timedelta(weeks=1)}
LONGEST = timedelta(days=36_525)


def command(
    store: Store,
    name: Annotated[str, typer.Argument(help="The tenant.", metavar="NAME")] = "",
    platform: Annotated[bool, typer.Option("--platform", help="For every tenant.")] = False,
    role: Annotated[
        list[str] | None, typer.Option(help="rank, feedback or admin; several. [rank, feedback]")
    ] = None,
    expires: Annotated[str, typer.Option(help="Good for so long: 12h, 30d, 8w. [for ever]")] = "",
    certificate: Annotated[
        str, typer.Option(help="Bind a client certificate by its name instead.", metavar="NAME")
    ] = "",
    revoke: Annotated[
        str, typer.Option(help="Take a token back (`sluice tenants show`).", metavar="ID")
    ] = "",
    unbind: Annotated[str, typer.Option(help="Let a client certificate's name go.", metavar="NAME")] = "",
) -> None:
    """Make a bearer token and print it, this once; or revoke one; or bind or unbind a client certificate.

    From the first credentials on, the store's servers ask every caller for some; they notice within seconds.
    """
    from cascade.credentials import (
        Certificate,
        check_roles,
        with_certificate,
        without_certificate,
        without_token,
    )

    if bool(name) == platform:
        raise InvalidInput("name a tenant, or say --platform", path="NAME")
    if sum(map(bool, (certificate, revoke, unbind))) > 1:
        raise InvalidInput("give one of --certificate, --revoke and --unbind", path="--certificate")
    now = datetime.now(UTC)
    if revoke:
        change(store, name, "token-revoke", revoke, lambda known: without_token(known, revoke, now))
        return
    if unbind:
        change(store, name, "certificate-remove", unbind, lambda known: without_certificate(known, unbind))
        return
    roles = check_roles(role or ["rank", "feedback"])
    if certificate:
        bound = Certificate(name=certificate, roles=roles)
        told = f"{certificate} {' '.join(roles)}"
        change(store, name, "certificate-add", told, lambda known: with_certificate(known, bound))
        return
    typer.echo(issue(store, name, list(roles), now, now + span(expires) if expires else None))
    err.print("keep it: only its hash stays in the store", highlight=False)


def issue(store: Path, name: str, roles: list[str], now: datetime, expires: datetime | None) -> str:
    """A new token of a tenant ("" = of the platform), as it is shown once."""
    from cascade.credentials import PLATFORM, Bearer, Token, check_roles, with_token

    bearer = Bearer(name or PLATFORM, secrets.token_hex(ID_BYTES), secrets.token_urlsafe(SECRET_BYTES))
    token = Token(id=bearer.id, hash=bearer.hash, roles=check_roles(roles), created=now, expires=expires)
    told = f"{bearer.id} {' '.join(roles)}"
    change(store, name, "token-add", told, lambda known: with_token(known, token))
    return bearer.text


def change(
    store: Path, name: str, action: str, told: str, edit: "Callable[[Credentials], Credentials]"
) -> None:
    """Edit the credentials of a tenant, or of the platform, and let servers ask for some from now on."""
    from msgspec.structs import replace

    from cascade.tenants import Tenants

    tenants = Tenants(store)
    if name:
        tenants.change(
            name, action, lambda tenant: replace(tenant, credentials=edit(tenant.credentials)), after=told
        )
        tenants.protect()
    else:
        tenants.protect(
            lambda platform: replace(platform, credentials=edit(platform.credentials)), action, after=told
        )


def span(text: str) -> timedelta:
    """A time span such as `30d`.

    Raises:
        InvalidInput: for anything else, and for more than a hundred years.
    """
    count, unit = text[:-1], text[-1:]
    if not count.isdecimal() or unit not in UNITS or not int(count) or len(count) > 6:
        raise InvalidInput(f"{text!r} is no time span such as 12h, 30d or 8w", path="--expires")
    if int(count) > LONGEST // UNITS[unit]:
        raise InvalidInput(
            f"{text!r} is more than 100 years; without it a token is good for ever", path="--expires"
        )
    return int(count) * UNITS[unit]
