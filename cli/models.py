"""`sluice models`: bring other people's cross-encoders and sentence encoders in, and look at them."""

from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import msgspec
import typer

from cli.check import table
from cli.console import err, out, track
from cli.options import Json

if TYPE_CHECKING:
    from training.card import Card
    from training.models import Added

HELP = """Bring other people's models in, and look at them.

A model is a directory; a cascade names it: weights = "models/NAME".
"""
EXTRA = ("onnx", "safetensors", "torch", "transformers")
Folder = Annotated[Path, typer.Option("--out", help="Folder of models.", metavar="DIR")]

app = typer.Typer(help=HELP, no_args_is_help=True, rich_markup_mode=None)


@app.command()
def add(
    source: Annotated[str, typer.Argument(help="Directory of a checkpoint, or a hub id.", metavar="SOURCE")],
    revision: Annotated[
        str | None, typer.Option(help="Branch, tag or commit of a hub id; its commit is written down.")
    ] = None,
    folder: Folder = Path("models"),
    name: Annotated[str, typer.Option(help="Of the model; the source's without it.")] = "",
    pairs: Annotated[
        Path | None, typer.Option(help='JSON lines of your own: {"query", "document", "grade"?}.')
    ] = None,
    task: Annotated[str, typer.Option(help="score or vector; as its files say without it.")] = "",
    max_tokens: Annotated[int, typer.Option(help="Of a pair that it is judged on.", min=16)] = 256,
    replace: Annotated[bool, typer.Option("--replace", help="Take the place of one so named.")] = False,
    json: Annotated[Path | None, typer.Option(help="Write the figures to this file.")] = None,
) -> None:
    """Import a checkpoint: export it, quantise it, check that it still ranks alike, write its card.

    Reads config.json, model.safetensors and tokenizer.json as Hugging Face lays them out. Scales are
    calibrated on your --pairs, or on Python's documentation where you have none. Code that comes with a
    checkpoint is never run, and pickled weights are never read.
    """
    need_extra()
    from training.models import Wanted, add_model
    from training.samples import BUILT_IN, built_in_samples, read_samples

    samples = read_samples(pairs) if pairs else built_in_samples()
    if not pairs:
        err.print(
            f"note: calibrated on {BUILT_IN}; --pairs of your own domain are better",
            style="yellow",
            soft_wrap=True,
        )
    wanted = Wanted(source, revision, name, folder, task, replace, max_tokens)
    added = add_model(wanted, samples, datetime.now(UTC), track)
    show_added(added)
    if json:
        json.write_bytes(msgspec.json.format(msgspec.json.encode(added), indent=2))


def need_extra() -> None:
    """Say what is missing before anything is read.

    Raises:
        NotReady: naming the packages.
    """
    from features.errors import NotReady

    absent = [name for name in EXTRA if find_spec(name) is None]
    if absent:
        raise NotReady(f"importing models needs {', '.join(absent)}: pip install 'sluice[train]'")


def show_added(added: "Added") -> None:
    """The parity table, and how a cascade names the model."""
    from training.card import shown
    from training.models import parity_figures

    figures = parity_figures(added.report)
    out.print(table(figures.title, figures.columns, [tuple(map(shown, cells)) for cells in figures.rows]))
    for text in added.report.refused:
        err.print(f"refused: {text}", style="yellow", markup=False, highlight=False, soft_wrap=True)
    line = f"{added.path}: {added.report.variant} of {added.source}@{added.revision[:19]}"
    out.print(f'{line}\nweights = "{added.path}"', markup=False, highlight=False, soft_wrap=True)


@app.command("list")
def list_models(folder: Folder = Path("models"), json: Json = False) -> None:
    """List the models of a folder."""
    from training.models import installed

    cards = [(path.name, card_or_bare(path)) for path in installed(folder)]
    if json:
        typer.echo(msgspec.json.format(msgspec.json.encode(dict(cards)), indent=2))
        return
    rows = [
        (name, *(str(card.properties.get(key, "")) for key in ("task", "variant")), card.source, card.licence)
        for name, card in cards
    ]
    out.print(table(str(folder), ("model", "task", "variant", "source", "licence"), rows))


def card_or_bare(path: Path) -> "Card":
    """A model's card; what its notes tell where it has none."""
    from features.errors import NotFound
    from features.transformer.model import read_notes
    from training.card import Card, read_card

    try:
        return read_card(path)
    except NotFound:
        notes = read_notes(path)
        properties: dict[str, str | int | float | None] = {"task": notes.task, "variant": notes.variant}
        return Card(title=path.name, summary="", source=notes.source, properties=properties)


@app.command()
def show(
    name: Annotated[str, typer.Argument(help="Name in the folder, or a model's directory.", metavar="NAME")],
    folder: Folder = Path("models"),
    json: Json = False,
) -> None:
    """Print a model's card."""
    from training.card import read_card, render

    path = Path(name) if (Path(name) / "card.json").is_file() else folder / name
    card = read_card(path)
    if json:
        typer.echo(msgspec.json.format(msgspec.json.encode(card), indent=2))
    else:
        typer.echo(render(card), nl=False)
