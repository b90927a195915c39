"""`sluice demo`: the whole circle on the standard library's own documentation."""

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table

from cli.console import out, track

if TYPE_CHECKING:
    from training.collection import Collection
    from training.evaluate import Evaluation

TENANT = "demo"
CANDIDATES = "bm25:100"
DEPTH = 5

NEXT = """What to try next (`sluice` is in .venv/bin after `make setup`):

  sluice serve --store {store}
  sluice rank --target 127.0.0.1:50051 --tenant demo --query "copy a folder" --first 1000 \\
      --candidates {collection}/corpus.jsonl.gz
  sluice evaluate --collection {collection} --queries dev --candidates bm25:100 \\
      --store {store} --tenant demo --report report.html
  $EDITOR {config}     # change a feature, then train again:
  sluice train --collection {collection} --queries train --candidates bm25:100 \\
      --config {config} --store {store} --tenant demo --promote

A collection of your own is a folder with corpus.jsonl, queries.jsonl and qrels.tsv:
see docs/collections.md."""


def command(
    directory: Annotated[
        Path, typer.Option("--dir", help="Where collection, cascade and store are put.", metavar="DIR")
    ] = Path("sluice-demo"),
    json: Annotated[Path | None, typer.Option(help="Write the stage figures to this file.")] = None,
) -> None:
    """Train, judge, serve and rank the standard library's documentation, in a minute or two.

    Nothing is downloaded: the documents are the docstrings of this very Python.
    """
    from training.sources import open_collection

    folder, config, store = prepare(directory)
    step(1, "Training: features, LambdaMART, cross-encoder, blend (115 judged queries)")
    learn(folder, config, store)
    step(2, "Judging: what each stage brings on 78 queries of other intents")
    data = open_collection(folder, "dev")
    found = judge(data, store, json)
    step(3, "Serving: a real server on a free port, asked over gRPC")
    ask(data, store, found)
    out.print(
        NEXT.format(store=store, collection=folder, config=config),
        markup=False,
        highlight=False,
        soft_wrap=True,
    )


def step(number: int, title: str) -> None:
    """A heading."""
    out.rule(f"[bold]{number}. {title}", align="left")


def prepare(directory: Path) -> tuple[Path, Path, Path]:
    """The folder of the collection, the cascade's file and the folder of the store."""
    from importlib.resources import files

    from training.stdlib import write

    directory.mkdir(parents=True, exist_ok=True)
    folder = write(directory / "stdlib")
    config = directory / "cascade.toml"
    if not config.exists():
        config.write_text((files("training.stdlib") / "cascade.toml").read_text(encoding="utf-8"))
    return folder, config, directory / "store"


def learn(folder: Path, config: Path, store: Path) -> None:
    """Fit the cascade, publish it, and let it serve."""
    from cascade.config import parse_config
    from cascade.store import DirectoryStore
    from cli.train import table
    from training.publish import Target, Task, train_and_publish
    from training.sources import open_collection
    from training.trainers import Context

    task = Task(
        parse_config(config.read_text(encoding="utf-8")), open_collection(folder, "train"), CANDIDATES
    )
    target = Target(DirectoryStore(store), TENANT, "default")
    version, trained = train_and_publish(task, target, Context(track=track), datetime.now(UTC))
    target.store.promote(TENANT, "default", version)
    out.print(table(trained))


def judge(data: "Collection", store: Path, json: Path | None) -> "Evaluation":
    """Evaluate the promoted version, show the table, and write the figures where they are wanted."""
    import msgspec

    from cli.evaluate import published, show
    from training.evaluate import Settings, evaluate
    from training.summary import summary

    found = evaluate(published(store, TENANT, "default", ""), data, Settings(CANDIDATES), track)
    show(found)
    if json:
        json.write_bytes(msgspec.json.format(msgspec.json.encode(summary(found)), indent=2))
    return found


def ask(data: "Collection", store: Path, found: "Evaluation") -> None:
    """Rank a few queries over gRPC, and print each list before and after."""
    from serving.testing import serving_process
    from sluice import Client
    from training.baselines import by_bm25
    from training.candidates import candidates, once
    from training.dataset import build_batch
    from training.retrieval import corpus_index

    index = once(lambda: corpus_index(data.documents))
    lists, _ = candidates(data, CANDIDATES, index)
    before = by_bm25(build_batch(data, lists, ()), data, index())
    with serving_process(store) as server, Client(server.target, TENANT, timeout_s=10) as client:
        for query in telling(found):
            rows = [{"id": name, **data.documents.rows[data.documents.ids[name]]} for name in before[query]]
            answer = client.rank(found.texts[query], rows, ignore_unknown_columns=True)
            after = [result.id for result in answer.results]
            out.print(comparison(found.texts[query], before[query], after, data.grades[query]))
            out.print(
                f"answered by {answer.ranker}@{answer.version}: {ran(answer.stages)}\n", highlight=False
            )


def telling(found: "Evaluation") -> list[str]:
    """The two queries that gained most over BM25, and the one that lost most: both are worth a look."""
    from training.metrics import NDCG

    gained = found.stages[-1].scores[NDCG] - found.baselines["bm25"][NDCG]
    order = [found.judge.queries[row] for row in gained.argsort(kind="stable")[::-1].tolist()]
    return [*order[:2], order[-1]]


def comparison(query: str, before: Sequence[str], after: Sequence[str], grades: Any) -> Table:
    """Two lists side by side, with the grade of each document."""
    shown = Table(title=f"[bold]{escape(query)}", title_justify="left")
    for head in ("", "BM25", "grade", "Sluice", "grade"):
        shown.add_column(head, justify="center" if head == "grade" else "left")
    for rank, (old, new) in enumerate(zip(before[:DEPTH], after[:DEPTH], strict=True), 1):
        shown.add_row(str(rank), old, f"{grades.get(old, 0):g}", new, f"{grades.get(new, 0):g}")
    return shown


def ran(stages: Any) -> str:
    """What each stage did, in a few words."""
    return ", ".join(f"{each.name} {each.status} on {each.seen}" for each in stages)
