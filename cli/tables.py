"""Tables that keep every column where a terminal has 80 of them, or a pipe."""

from collections.abc import Collection, Mapping, Sequence

from rich.box import SIMPLE_HEAD
from rich.table import Table

DRIFTED = 0.25
"""Population stability index from which on a feature is another population, by custom."""
SHOWN_DRIFT = 3


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


def minute(time: str) -> str:
    """A time of ISO 8601, to the minute and with a space, where a line may break."""
    return time[:16].replace("T", " ")


def drifted(indices: Mapping[str, float]) -> tuple[str, str]:
    """A line on the features that drifted most, who come first, and its style."""
    told = ", ".join(f"{name} {index:.3f}" for name, index in list(indices.items())[:SHOWN_DRIFT])
    wrong = max(indices.values(), default=0.0) > DRIFTED
    verdict = f"beyond {DRIFTED} they are another population" if wrong else f"none beyond {DRIFTED}"
    return f"largest drift since training (PSI; {verdict}): {told}", "red" if wrong else ""
