"""`sluice check`: the plan of a cascade as a table, or one sentence on what is wrong."""

from collections.abc import Collection, Iterable, Sequence
from pathlib import Path
from textwrap import fill
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.console import err, out
from cli.options import Json

if TYPE_CHECKING:
    from cascade.check import FeatureRow, Plan


def command(
    config: Annotated[Path, typer.Argument(help="The cascade.toml to check.", metavar="FILE")],
    json: Json = False,
) -> None:
    """Read a cascade.toml and print its plan; exit status 2 and one sentence if it cannot run."""
    import msgspec

    from cascade.check import plan
    from cascade.config import parse_config
    from cascade.files import read_text

    found = plan(parse_config(read_text(config)))
    if json:
        typer.echo(msgspec.json.format(msgspec.json.encode(found), indent=2))
        return
    show(found)


def show(found: "Plan") -> None:
    """Tables on standard output, warnings on standard error."""
    features = [(row.name, row.kind, listed(row.reads), listed(parts(row))) for row in found.features]
    stages = [
        (
            row.name,
            row.kind,
            listed(row.reads, 3),
            counted(row.sees),
            counted(row.keep),
            row.on_late,
            row.on_error,
        )
        for row in found.stages
    ]
    out.print(table("features", ("name", "kind", "reads", "makes"), features))
    heads = ("name", "kind", "reads", "sees", "keep", "on late", "on error")
    out.print(table("stages, in order", heads, stages))
    for warning in found.warnings:
        err.print(f"warning: {warning}", style="yellow", markup=False, highlight=False, soft_wrap=True)


SHORT, HEAD = 12, 8
"""Cells of up to so many characters stay on one line, however narrow the terminal; heads are no wider than
they or their longest word have to be."""


def table(
    title: str, heads: Sequence[str], rows: Iterable[Sequence[str]], whole: Collection[str] = ("version",)
) -> Any:
    """A table whose cells are plain text; those of `whole` columns are never broken: they get copied.

    Columns that say nothing in any row are left out.
    """
    from rich.box import SIMPLE_HEAD
    from rich.table import Table
    from rich.text import Text

    cells = list(rows)
    telling = [place for place in range(len(heads)) if not cells or any(row[place] for row in cells)]
    made = Table(
        title=title,
        title_justify="left",
        box=SIMPLE_HEAD,
        collapse_padding=True,
        pad_edge=False,
        show_header=any(heads),
    )
    for place in telling:
        longest = max((len(row[place]) for row in cells), default=0)
        made.add_column(
            fill(heads[place], max(longest, HEAD), break_long_words=False),
            overflow="fold",
            no_wrap=heads[place] in whole or longest <= SHORT,
        )
    for row in cells:
        made.add_row(*(Text(row[place]) for place in telling))
    return made


def parts(row: "FeatureRow") -> list[str]:
    """The columns that a feature makes, less its own name: `.share` for `title_overlap.share`."""
    return [made.removeprefix(row.name) or made for made in row.makes]


def listed(names: Sequence[str], at_most: int = 8) -> str:
    """The first few names, and how many more there are."""
    more = len(names) - at_most
    return ", ".join(names[:at_most]) + (f" and {more} more" if more > 0 else "")


def counted(count: int | None) -> str:
    """How many candidates."""
    return "all" if count is None else str(count)
