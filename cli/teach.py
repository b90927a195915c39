"""`sluice teach`: have a ranker or a cross-encoder score pairs, for others to learn from."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import msgspec
import typer

from cli.console import note, out, track
from cli.options import Json
from features.errors import InvalidInput

if TYPE_CHECKING:
    from cascade.stages.cross_encoder import CrossEncoder
    from training.collection import Collection
    from training.teach import Scorer, StageScorer, Taught


def command(
    collection: Annotated[Path, typer.Option(help="Folder with corpus, queries and qrels.")],
    to: Annotated[Path, typer.Option("--out", help="The Parquet file to write.", metavar="FILE")],
    queries: Annotated[str, typer.Option(help="NAME in queries.NAME.jsonl; the unnamed without it.")] = "",
    candidates: Annotated[str, typer.Option(help="judged, bm25:K, or a TREC run file.")] = "judged",
    store: Annotated[Path | None, typer.Option(help="Folder of published bundles.")] = None,
    tenant: Annotated[str, typer.Option(help="Whose ranker.")] = "",
    ranker: Annotated[str, typer.Option(help="The ranker's name within the tenant.")] = "default",
    version: Annotated[str, typer.Option(help="A published version; the promoted one without it.")] = "",
    stage: Annotated[str, typer.Option(help="The stage that teaches; the last one without it.")] = "",
    weights: Annotated[
        Path | None,
        typer.Option(help="Folder of an exported cross-encoder (model.onnx) instead of a ranker."),
    ] = None,
    fields: Annotated[str, typer.Option(help="With --weights: the text fields, parted by commas.")] = "",
    template: Annotated[str, typer.Option(help='With --weights: such as "{title}. {body}".')] = "",
    max_tokens: Annotated[int, typer.Option(help="With --weights: of query and document.", min=8)] = 256,
    json: Json = False,
) -> None:
    """Have a stage of a ranker, or an exported cross-encoder, score all candidates of a collection.

    The file is what `train.teacher` of a smaller cross-encoder reads; see docs/training.md for its columns,
    in which scores of any other origin can be written too. A run that was killed goes on where it was.
    """
    from training.candidates import candidates as candidates_of
    from training.candidates import once
    from training.retrieval import corpus_index
    from training.sources import open_collection
    from training.teach import WeightsScorer, teach

    data = open_collection(collection, queries)
    if weights is not None:
        scorer: Scorer = WeightsScorer(weights, alone(data, fields, template, max_tokens))
    else:
        scorer = published(store, tenant, ranker, version, stage)
    index = once(lambda: corpus_index(data.documents, track))
    lists, notes = candidates_of(data, candidates, index, track)
    for told in (*data.notes, *notes):
        note(told)
    show(teach(data, lists, scorer, to, track), to, json)


def published(store: Path | None, tenant: str, ranker: str, version: str, stage: str) -> "StageScorer":
    """A stage of a published ranker.

    Raises:
        InvalidInput: if no teacher was named.
    """
    from cascade.load import load_ranker
    from cascade.store import DirectoryStore
    from training.teach import StageScorer

    if store is None or not tenant:
        raise InvalidInput("give --store DIR with --tenant NAME, or --weights DIR")
    directory = DirectoryStore(store).path(tenant, ranker, version or None)
    return StageScorer(load_ranker(directory, f"{tenant}/{ranker}"), stage)


def alone(data: "Collection", fields: str, template: str, max_tokens: int) -> "CrossEncoder":
    """A cross-encoder over the named fields, or over all text fields there are.

    Raises:
        InvalidInput: for a field that is none of the collection's text fields.
    """
    from cascade.stages.cross_encoder import CrossEncoder

    named = tuple(name.strip() for name in fields.split(",") if name.strip()) or data.documents.text_fields
    absent = [name for name in named if name not in data.documents.text_fields]
    if absent or not named:
        there = ", ".join(data.documents.text_fields) or "none"
        raise InvalidInput(f"{', '.join(absent)}: no such text field; there are {there}", path="--fields")
    return CrossEncoder(
        name="teacher", fields=named, template=template, max_tokens=max_tokens, query_tokens=max_tokens // 4
    )


def show(taught: "Taught", to: Path, json: bool) -> None:
    """What was written."""
    if json:
        typer.echo(msgspec.json.encode(asdict(taught) | {"file": str(to)}).decode())
        return
    lost = f", {taught.unscored} candidates without a score left out" if taught.unscored else ""
    text = f"{to}: {taught.pairs} pairs of {taught.queries} queries, scored by {taught.teacher}{lost}"
    out.print(text, markup=False, highlight=False, soft_wrap=True)
