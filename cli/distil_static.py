"""`sluice models distil-static`: a static encoder of your own domain, out of a sentence encoder."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli.console import out, track
from cli.encode import document_texts
from features.errors import InvalidInput

if TYPE_CHECKING:
    from training.documents import Documents


def command(
    source: Annotated[
        Path, typer.Argument(help="Directory of a checkpoint (BERT, mean-pooled).", metavar="SOURCE")
    ],
    collection: Annotated[Path, typer.Option(help="Folder with corpus.jsonl[.gz].", metavar="DIR")],
    to: Annotated[Path, typer.Option("--out", help="The .npz file to write.", metavar="FILE")],
    fields: Annotated[str, typer.Option(help="Text fields, parted by commas; all without it.")] = "",
    queries: Annotated[str, typer.Option(help="Queries to learn from too: NAME in queries.NAME.jsonl.")] = "",
    dimension: Annotated[int, typer.Option(help="Numbers in a vector.", min=8)] = 128,
    epochs: Annotated[int, typer.Option(help="Passes over the texts.", min=1)] = 12,
) -> None:
    """Learn token vectors whose sums lie as the sentence encoder's vectors of your texts do.

    A text then costs microseconds, and word order is lost. Name the file as `encoder` of a `semantic`
    feature, and let `sluice evaluate` say whether it earns its place. Needs pip install 'sluice[train]'.
    """
    from features.encoder import load_encoder
    from training.collection import need
    from training.embedded.static import StaticTuning, make_encoder
    from training.embedded.teacher import vectors
    from training.records import read_documents

    if not (source / "config.json").is_file():
        raise InvalidInput("has no config.json; name the directory of a checkpoint", path=str(source))
    corpus = read_documents(need(collection, "corpus", "", ("jsonl",)))
    texts = [*texts_of(corpus, fields), *asked(collection, queries)]
    known = dict(zip(texts, vectors(source, texts, track), strict=True))
    make_encoder(source, known, to, StaticTuning(dimension=dimension, epochs=epochs), track)
    encoder = load_encoder(str(to))
    out.print(f"{to}: {encoder.dimension} numbers a vector, learned from {len(texts)} texts", highlight=False)


def texts_of(corpus: "Documents", fields: str) -> list[str]:
    """Every field of every document on its own, and the joined document, each once."""
    named = tuple(name.strip() for name in fields.split(",") if name.strip()) or corpus.text_fields
    parts = [document_texts(corpus, (name,), "") for name in named]
    every = [*document_texts(corpus, named, ""), *(text for part in parts for text in part)]
    return [text for text in dict.fromkeys(every) if text]


def asked(collection: Path, name: str) -> list[str]:
    """The queries' texts, where a file of that name was asked for.

    Raises:
        InvalidInput: if there is none.
    """
    from training.files import find
    from training.records import read_queries

    if not name:
        return []
    file = find(collection, f"queries.{name}", "jsonl")
    if file is None:
        raise InvalidInput(f"no queries.{name}.jsonl[.gz] in {collection}", path="--queries")
    return list(dict.fromkeys(query.text for query in read_queries(file).values()))
