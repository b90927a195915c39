"""`sluice encode`: vectors of a whole corpus, made before any request."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import msgspec
import typer

from cli.console import note, out, track
from cli.options import Json
from features.errors import InvalidInput

if TYPE_CHECKING:
    from training.documents import Documents
    from training.vectors import Made


def command(
    collection: Annotated[Path, typer.Option(help="Folder with corpus.jsonl[.gz].", metavar="DIR")],
    model: Annotated[
        Path, typer.Option(help="Folder of an exported encoder (`sluice models add`).", metavar="DIR")
    ],
    to: Annotated[Path, typer.Option("--out", help="The Parquet file to write.", metavar="FILE")],
    fields: Annotated[str, typer.Option(help="Text fields of a document, parted by commas.")] = "title,body",
    template: Annotated[str, typer.Option(help='How they make it, such as "{title}. {body}".')] = "",
    document_prefix: Annotated[
        str, typer.Option(help='Such as "passage: " for models of the E5 family.')
    ] = "",
    max_tokens: Annotated[int, typer.Option(help="Of a document; more is cut and counted.", min=8)] = 256,
    similarity: Annotated[str, typer.Option(help="cosine (vectors of length 1), or dot.")] = "cosine",
    json: Json = False,
) -> None:
    """Encode every document of a collection into a table that a bi_encoder stage reads (`table = FILE`).

    Options must be those of the stage. Run it again after the corpus has changed: only documents that are new
    or have changed are encoded.
    """
    from features.transformer.encoder import Reading, load_sentence_encoder
    from training.collection import need
    from training.records import read_documents
    from training.vectors import encode_corpus

    if similarity not in ("cosine", "dot"):
        raise InvalidInput(f"{similarity!r} is neither cosine nor dot", path="--similarity")
    corpus = read_documents(need(collection, "corpus", "", ("jsonl",)))
    texts = document_texts(corpus, tuple(name.strip() for name in fields.split(",")), template)
    encoder = load_sentence_encoder(model, Reading(max_tokens, cache_bytes=0, unit=similarity == "cosine"))
    made = encode_corpus(list(corpus.ids), texts, encoder, document_prefix, to, track)
    if json:
        typer.echo(msgspec.json.encode(asdict(made)).decode())
    else:
        show(made, to)


def document_texts(corpus: "Documents", fields: tuple[str, ...], template: str) -> list[str]:
    """The text of every document, as a stage makes it.

    Raises:
        InvalidInput: for a field that no document has, or a template that names another.
    """
    from cascade.stages.cross_encoding.template import documents
    from features.columns import Input, Kind

    absent = [name for name in fields if name not in corpus.text_fields]
    if absent:
        there = ", ".join(corpus.text_fields) or "none"
        raise InvalidInput(f"no text field {', '.join(absent)}; there are {there}", path="--fields")
    try:
        return documents(corpus.batch([Input(name, Kind.TEXT) for name in fields]), fields, template)
    except ValueError as error:
        raise InvalidInput(str(error), path="--template") from None


def show(made: "Made", to: Path) -> None:
    """The counts for people."""
    if made.empty:
        note(f"{made.empty} documents have no text, and so no vector")
    if made.cut:
        note(f"{made.cut} documents were truncated; --max-tokens allows more")
    fresh = made.vectors - made.reused
    out.print(
        f"{made.vectors} vectors of {made.dimension} in {to} ({fresh} made now, {made.reused} taken over)",
        highlight=False,
        markup=False,
        soft_wrap=True,
    )
