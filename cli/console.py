"""What a person sees: tables and progress on standard error, so that standard output stays for machines."""

from collections.abc import Iterable
from typing import TypeVar

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

T = TypeVar("T")

out = Console()
err = Console(stderr=True)


def note(text: str) -> None:
    """What a person should know beside what was asked for."""
    err.print(f"note: {text}", style="yellow", markup=False, highlight=False, soft_wrap=True)


def track(work: Iterable[T], description: str, total: int | None = None) -> Iterable[T]:
    """The items of `work`, under a progress bar that stays silent where nobody watches (no terminal)."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=err, disable=not err.is_terminal) as progress:
        yield from progress.track(work, total, description=description)
