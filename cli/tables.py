"""Tables that keep every column where a terminal has 80 of them, or a pipe."""

from collections.abc import Collection, Sequence

from rich.box import SIMPLE_HEAD
from rich.table import Table


def narrow(title: str, caption: str, heads: Sequence[str], wrapping: Collection[str]) -> Table:
    """Numbers after a name that says of what: only `wrapping` columns take more lines where room is short.

    Rich shrinks a column that may wrap down to nothing before it cuts one that may not, so that the first
    column, without which a row tells nothing, never is one of them.
    """
    shown = Table(title=title, caption=caption, box=SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=0)
    for place, head in enumerate(heads):
        once = head not in wrapping
        shown.add_column(head, justify="right" if place else "left", no_wrap=once, overflow="fold")
    return shown
