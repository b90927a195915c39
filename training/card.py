"""Model cards: what a model is, where it comes from, what it may be used for, and how well it does.

After Mitchell et al. 2019, "Model Cards for Model Reporting". A card is written twice, as README.md for
people and as card.json for programs, and the two say the same.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path

import msgspec

from features.errors import InvalidInput, NotFound

README = "README.md"
CARD = "card.json"
UNKNOWN = "not stated"
Cell = str | int | float | None


class Figures(msgspec.Struct, frozen=True, kw_only=True):
    """A table of what was measured.

    Attributes:
        title: what of.
        columns: heads.
        rows: a cell a column; None where nothing was measured.
        note: how to read it.
    """

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    note: str = ""


class Card(msgspec.Struct, frozen=True, kw_only=True):
    """A model card.

    Attributes:
        title: the model's name.
        summary: what it is and what for, in a sentence or two.
        source: where the weights come from: a hub id, a directory, or what they were trained from.
        revision: which version of that: a commit, or a digest.
        licence: of the weights, as its source states it; empty where it does not.
        made: when, in ISO 8601.
        data: what it was trained or calibrated on, a line each.
        properties: further facts, name → value.
        figures: what was measured.
        limits: what it is not good for, a line each.
        rebuild: the command that makes it again.
    """

    title: str
    summary: str
    source: str
    revision: str = ""
    licence: str = ""
    made: str = ""
    data: tuple[str, ...] = ()
    properties: dict[str, Cell] = {}
    figures: tuple[Figures, ...] = ()
    limits: tuple[str, ...] = ()
    rebuild: str = ""


def render(card: Card) -> str:
    """The card in Markdown."""
    return "\n".join(lines(card)) + "\n"


def lines(card: Card) -> Iterator[str]:
    """The card's Markdown, a line at a time."""
    yield from (f"# {card.title}", "", card.summary, "")
    yield from table(("", ""), list(facts(card).items()))
    for figures in card.figures:
        yield from ("", f"## {figures.title}", "")
        yield from table(figures.columns, figures.rows)
        if figures.note:
            yield from ("", figures.note)
    for title, points in (("Data", card.data), ("Limits", card.limits)):
        if points:
            yield from ("", f"## {title}", "", *(f"- {point}" for point in points))
    if card.rebuild:
        yield from ("", "## How to make it again", "", "```", card.rebuild, "```")


def facts(card: Card) -> Mapping[str, Cell]:
    """What stands in the first table; a licence that is not stated is told."""
    named = {"source": card.source, "revision": card.revision, "licence": card.licence or UNKNOWN}
    return {name: value for name, value in (named | {"made": card.made} | card.properties).items() if value}


def table(
    columns: tuple[str, ...], rows: list[tuple[str, Cell]] | tuple[tuple[Cell, ...], ...]
) -> Iterator[str]:
    """A Markdown table."""
    yield f"| {' | '.join(columns)} |"
    yield f"|{' --- |' * len(columns)}"
    for row in rows:
        yield f"| {' | '.join(shown(cell) for cell in row)} |"


def shown(cell: Cell) -> str:
    """A cell as text; four digits of what is measured, and bars that do not end the cell."""
    if cell is None:
        return ""
    text = f"{cell:.4f}" if isinstance(cell, float) else f"{cell:,}" if isinstance(cell, int) else cell
    return text.replace("|", "\\|").replace("\n", " ")


def write_card(card: Card, directory: Path) -> None:
    """README.md and card.json in a directory."""
    (directory / README).write_text(render(card), encoding="utf-8")
    (directory / CARD).write_bytes(msgspec.json.format(msgspec.json.encode(card), indent=2))


def read_card(directory: Path) -> Card:
    """The card of a model directory.

    Raises:
        NotFound: if it has none.
        InvalidInput: if it cannot be read.
    """
    try:
        return msgspec.json.decode((directory / CARD).read_bytes(), type=Card)
    except FileNotFoundError:
        raise NotFound(f"has no {CARD}", path=str(directory)) from None
    except msgspec.MsgspecError as error:
        raise InvalidInput(f"cannot be read: {error}", path=str(directory / CARD)) from None
