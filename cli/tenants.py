"""`sluice tenants`: who uses the service, what each may spend, and what was changed."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli import remove_tenant, tokens
from cli.console import err, out
from cli.options import Json, Store
from features.errors import InvalidInput

if TYPE_CHECKING:
    from cascade.tenants import Tenant, Tenants

app = typer.Typer(
    help="Look after tenants: add | set | list | show | audit | remove | token.", no_args_is_help=True
)
app.command("remove")(remove_tenant.command)
app.command("token")(tokens.command)

Name = Annotated[str, typer.Argument(help="The tenant.", metavar="NAME")]
Rate = Annotated[
    float | None,
    typer.Option(
        min=0, help="Units (candidates and tokens) a second; 0 refuses everything.", metavar="UNITS"
    ),
]
Burst = Annotated[
    float | None,
    typer.Option(min=0, help="Units that may be spent at once. [ten seconds of the rate]", metavar="UNITS"),
]
Weight = Annotated[
    float | None, typer.Option(min=0.001, max=1000, help="Its part beside the others. [1]", metavar="W")
]
Class = Annotated[str | None, typer.Option(help="high, normal or low. [normal]", metavar="CLASS")]
Sharing = Annotated[
    bool | None,
    typer.Option("--share-with-base/--keep-private", help="Whether a shared base may learn from it. [no]"),
]
Base = Annotated[
    str | None, typer.Option(help="TENANT/RANKER that answers while its own loads.", metavar="RANKER")
]


@app.command()
def add(
    name: Name,
    store: Store,
    rate: Rate = None,
    burst: Burst = None,
    weight: Weight = None,
    priority: Class = None,
    share_with_base: Sharing = None,
    base: Base = None,
) -> None:
    """Declare a tenant: new, or one that has rankers already."""
    from cascade.consent import check_lender
    from cascade.tenants import Tenant

    tenant = edited(Tenant(), rate, burst, weight, priority, share_with_base, base)
    if base:
        check_lender(store, name, tenant.base)
    tenants(store).add(name, tenant)
    remove_tenant.sweep(store)
    err.print(f"added {name}; `sluice tenants token {name}` makes credentials", highlight=False)


@app.command("set")
def set_(
    name: Name,
    store: Store,
    rate: Rate = None,
    burst: Burst = None,
    weight: Weight = None,
    priority: Class = None,
    share_with_base: Sharing = None,
    base: Base = None,
    unlimited: Annotated[bool, typer.Option("--unlimited", help="Take the quota away.")] = False,
) -> None:
    """Change what is given, and leave the rest; servers notice within seconds."""
    from msgspec.structs import replace

    from cascade.consent import check_lender

    if not unlimited and all(each is None for each in (rate, burst, weight, priority, share_with_base, base)):
        raise InvalidInput("give what to change; `sluice tenants set --help` lists it", path="OPTIONS")

    def edit(tenant: "Tenant") -> "Tenant":
        kept = replace(tenant, quota=None) if unlimited else tenant
        made = edited(kept, rate, burst, weight, priority, share_with_base, base)
        if base:
            check_lender(store, name, made.base)
        return made

    tenants(store).change(name, "tenant-set", edit)


@app.command("list")
def list_(store: Store, json: Json = False) -> None:
    """All tenants, those with rankers alone too."""
    from cascade.store import DirectoryStore

    known = tenants(store)
    rows = [row_of(name, known.get(name)) for name in DirectoryStore(store).tenants()]
    show_rows(rows, json)


@app.command()
def show(name: Name, store: Store, json: Json = False) -> None:
    """One tenant with its credentials (never the secrets) and rankers."""
    from cascade.store import DirectoryStore

    tenant = tenants(store).get(name)
    shelf = DirectoryStore(store)
    serving = {ranker: shelf.promotion(name, ranker).version for ranker in shelf.rankers(name)}
    row = row_of(name, tenant)
    if json:
        print_json({**asdict(row), "rankers": serving, "credentials": credentials_of(tenant)})
        return
    show_rows([row], json)
    for ranker, version in serving.items():
        out.print(f"{ranker}: {version or 'nothing promoted'}", highlight=False, markup=False)
    for one in credentials_of(tenant):
        out.print(", ".join(f"{key} {value}" for key, value in one.items() if value), markup=False)


@app.command()
def audit(name: Name, store: Store, json: Json = False) -> None:
    """Who changed what of a tenant and its rankers, and when; of one that is gone, too."""
    import msgspec

    from cli.check import table

    entries = tenants(store).audit(name)
    if json:
        print_json(msgspec.to_builtins(entries))
        return
    cells = [
        (
            f"{one.time.astimezone(UTC):%Y-%m-%d %H:%M}",
            one.actor,
            one.action + (" (forced)" if one.forced else ""),
            one.ranker,
            one.before,
            one.after,
            one.reason,
        )
        for one in entries
    ]
    heads = ("when", "who", "what", "ranker", "before", "after", "why")
    out.print(table(f"{name} (UTC)", heads, cells, whole=("when",)))


def tenants(store: Path) -> "Tenants":
    """The tenants of a store."""
    from cascade.tenants import Tenants

    return Tenants(store)


def edited(
    tenant: "Tenant",
    rate: float | None,
    burst: float | None,
    weight: float | None,
    priority: str | None,
    share_with_base: bool | None,
    base: str | None,
) -> "Tenant":
    """A declaration with what was given in the place of what was there.

    Raises:
        InvalidInput: for an unknown class, a burst without a rate, or a base that is no ranker's name.
    """
    from cascade.tenants import Tenant, check_base, check_priority, quota_of

    given = {
        "quota": quota_of(tenant.quota, rate, burst),
        "weight": weight,
        "priority": check_priority(priority) if priority else None,
        "share_with_base": share_with_base,
        "base": check_base(base) if base else base,
    }
    values = {field: getattr(tenant, field) for field in Tenant.__struct_fields__}
    return Tenant(**{**values, **{key: value for key, value in given.items() if value is not None}})


@dataclass(frozen=True, slots=True)
class Row:
    """A tenant as it is shown."""

    tenant: str
    created: str
    rate: float | None
    burst: float | None
    weight: float
    priority: str
    share_with_base: bool
    base: str
    tokens: int


def row_of(name: str, tenant: "Tenant") -> Row:
    """What is declared of a tenant."""
    quota = tenant.quota
    return Row(
        name,
        tenant.created.isoformat(timespec="seconds") if tenant.created else "",
        quota.rate if quota else None,
        quota.burst if quota else None,
        tenant.weight,
        tenant.priority,
        tenant.share_with_base,
        tenant.base,
        sum(token.revoked is None for token in tenant.credentials.tokens),
    )


def credentials_of(tenant: "Tenant") -> list[dict[str, str]]:
    """Tokens and certificates, without what could be used."""
    tokens = [
        {
            "token": one.id,
            "roles": " ".join(one.roles),
            "expires": one.expires.isoformat() if one.expires else "",
            "revoked": one.revoked.isoformat() if one.revoked else "",
        }
        for one in tenant.credentials.tokens
    ]
    certificates = [
        {"certificate": one.name, "roles": " ".join(one.roles)} for one in tenant.credentials.certificates
    ]
    return [*tokens, *certificates]


def show_rows(rows: list[Row], json: bool) -> None:
    """A table, or JSON."""
    from cli.check import table

    if json:
        print_json([asdict(row) for row in rows])
        return
    heads = ("tenant", "created", "units/s", "burst", "weight", "class", "shares", "base", "tokens")
    days = [{**asdict(row), "created": row.created[:10]} for row in rows]
    cells = [tuple(map(cell, each.values())) for each in days]
    out.print(table("tenants", heads, cells, whole=("created",)))


def cell(value: Any) -> str:
    """A value for a person; nothing for what is not set."""
    if isinstance(value, bool):
        return "yes" if value else ""
    return f"{value:,g}" if isinstance(value, float) else str("" if value is None else value)


def print_json(value: Mapping[str, Any] | list[Any]) -> None:
    """JSON for machines."""
    import msgspec

    typer.echo(msgspec.json.format(msgspec.json.encode(value), indent=2))
