"""Options that several commands spell alike."""

from pathlib import Path
from typing import Annotated

import typer

Store = Annotated[Path, typer.Option(help="Directory of the store.", metavar="DIR")]
Tenant = Annotated[str, typer.Option(help="Whose ranker.", metavar="NAME")]
Ranker = Annotated[str, typer.Option(help="The ranker within the tenant.", metavar="NAME")]
Expected = Annotated[
    str | None,
    typer.Option(help="Only if this version serves now ('' = none does); else exit 2.", metavar="VERSION"),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]
AllowPrivate = Annotated[
    bool,
    typer.Option(
        "--allow-private-base",
        help="Borrow from a base of tenants that do not share, too; the manifest names them.",
    ),
]
