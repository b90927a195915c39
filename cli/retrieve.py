"""`sluice retrieve`: what a sentence encoder finds in a whole collection."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import msgspec
import typer
from rich.box import SIMPLE_HEAD
from rich.table import Table

from cli.console import note, out, track
from cli.encode import document_texts
from features.errors import InvalidInput

if TYPE_CHECKING:
    from features.transformer.encoder import Reading
    from training.collection import Collection
    from training.metrics import Judge, Scores
    from training.significance import Comparison

BM25 = "bm25"
SHOWN = 10

Found = dict[str, dict[str, float]]


@dataclass(frozen=True, slots=True)
class Options:
    """How texts are made and read; the same for every model."""

    fields: tuple[str, ...]
    template: str
    prefixes: tuple[str, str]
    reading: "Reading"


def command(
    collection: Annotated[Path, typer.Option(help="Folder with corpus, queries and qrels.", metavar="DIR")],
    model: Annotated[
        Path, typer.Option(help="Folder of an exported encoder (`sluice models add`).", metavar="DIR")
    ],
    against: Annotated[
        Path | None,
        typer.Option(help="Another one, to compare with, such as before training.", metavar="DIR"),
    ] = None,
    queries: Annotated[str, typer.Option(help="NAME in queries.NAME.jsonl; the unnamed without it.")] = "",
    depth: Annotated[int, typer.Option(help="Documents a query; recall is measured at it.", min=1)] = 100,
    fields: Annotated[str, typer.Option(help="Text fields of a document, parted by commas.")] = "title,body",
    template: Annotated[str, typer.Option(help='How they make it, such as "{title}. {body}".')] = "",
    query_prefix: Annotated[str, typer.Option(help='Such as "query: " for models of the E5 family.')] = "",
    document_prefix: Annotated[str, typer.Option(help='Such as "passage: ".')] = "",
    max_tokens: Annotated[int, typer.Option(help="Of a document; more is cut.", min=8)] = 256,
    similarity: Annotated[str, typer.Option(help="cosine or dot.")] = "cosine",
    vectors: Annotated[
        Path | None,
        typer.Option(
            help="Documents' vectors by the model, of `sluice encode`, to save time.", metavar="FILE"
        ),
    ] = None,
    run: Annotated[
        Path | None, typer.Option(help="Write what was found to this TREC run file.", metavar="FILE")
    ] = None,
    with_bm25: Annotated[
        bool, typer.Option("--with-bm25", help="Let BM25's documents take turns with the model's in --run.")
    ] = False,
    seed: Annotated[int, typer.Option(help="Of the bootstrap and the randomisation test.")] = 7,
    json: Annotated[Path | None, typer.Option(help="Write the figures to this file.")] = None,
) -> None:
    """Search a whole collection by vectors, exactly, and say how much of what is relevant was found.

    The run file goes to `--candidates` of teach, train and evaluate: hard negatives to learn from.
    """
    from features.transformer.encoder import Reading
    from training.candidates import retrieved
    from training.collection import read_collection
    from training.dense import merged, write_run
    from training.metrics import Conventions, Judge
    from training.retrieval import corpus_index
    from training.significance import compare

    if similarity not in ("cosine", "dot"):
        raise InvalidInput(f"{similarity!r} is neither cosine nor dot", path="--similarity")
    data = read_collection(collection, queries)
    reading = Reading(max_tokens, cache_bytes=0, unit=similarity == "cosine")
    named = tuple(name.strip() for name in fields.split(","))
    options = Options(named, template, (query_prefix, document_prefix), reading)
    models = {str(each): each for each in (against, model) if each is not None}
    found = {BM25: retrieved(data, depth, corpus_index(data.documents, track), track)}
    tables = {str(model): vectors} if vectors else {}
    found |= {name: search(data, each, options, depth, tables.get(name)) for name, each in models.items()}
    judge = Judge.of(data.grades, (min(SHOWN, depth), depth), Conventions())
    scores = {name: judge.measure(lists) for name, lists in found.items()}
    base = str(against) if against is not None else BM25
    after, before = (scores[each][f"recall@{depth}"] for each in (str(model), base))
    verdict = compare(after, before, base, seed)
    for told in data.notes:
        note(told)
    show(scores, verdict, depth, judge)
    if run:
        lists = [found[str(model)], found[BM25]] if with_bm25 else [found[str(model)]]
        write_run(run, merged(lists, depth) if with_bm25 else lists[0], model.name)
    if json:
        figures = {"means": {name: each.means() for name, each in scores.items()}, "recall": asdict(verdict)}
        json.write_bytes(msgspec.json.format(msgspec.json.encode(figures), indent=2))


def search(data: "Collection", model: Path, options: Options, depth: int, vectors: Path | None) -> Found:
    """What one model finds.

    Raises:
        InvalidInput: if the vectors are another encoder's.
    """
    from features.transformer.encoder import load_sentence_encoder
    from training.dense import retrieve
    from training.vectors import known_vectors

    texts = document_texts(data.documents, options.fields, options.template)
    encoder = load_sentence_encoder(model, options.reading)
    table = known_vectors(vectors, encoder) if vectors else None
    if vectors and table is None:
        raise InvalidInput("was not made by this model with these options", path=str(vectors))
    return retrieve(data, texts, encoder, options.prefixes, depth, table, track)


def show(scores: Mapping[str, "Scores"], verdict: "Comparison", depth: int, judge: "Judge") -> None:
    """A row a retriever, and whether the model is better than what it is compared with."""
    from training.metrics import NDCG

    names = dict.fromkeys((f"recall@{min(SHOWN, depth)}", f"recall@{depth}", NDCG))
    shown = Table(title=f"{len(judge.queries)} queries, the whole collection", box=SIMPLE_HEAD)
    shown.add_column("retriever")
    for name in names:
        shown.add_column(name, justify="right", no_wrap=True)
    for name, each in scores.items():
        means = each.means()
        shown.add_row(name, *(f"{means[figure]:.4f}" for figure in names))
    out.print(shown)
    change = f"{verdict.difference:+.4f} [{verdict.low:+.4f}, {verdict.high:+.4f}], p = {verdict.p_value:.4f}"
    out.print(
        f"- recall@{depth} against {verdict.against}: {change}", markup=False, highlight=False, soft_wrap=True
    )
