"""Adapt a cross-encoder, let it teach, distil a student: three commands over a store."""

import json
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner, Result

from cascade.store import DirectoryStore
from cli import teach, train
from features.errors import InvalidInput
from tests.support import require

WORDS = ["red", "blue", "green", "black", "white", "brown"]
CONFIG = """
[[stages]]
kind = "cross_encoder"
fields = ["title"]
weights = "{start}"
max_tokens = 16
query_tokens = 4

[stages.train]
epochs = 2
learning_rate = 2e-3
positives = 1
negatives = 3
step_tokens = 300
held_out = 0.2
{more}
"""

app = typer.Typer()
app.command("train")(train.command)
app.command("teach")(teach.command)


def run(*arguments: object) -> Result:
    """One command; an error of ours is raised."""
    result = CliRunner().invoke(app, [str(each) for each in arguments])
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A collection where the document that says the query's word is relevant, and a tiny checkpoint."""
    require("torch")
    require("onnx")
    from training.export.checkpoint import write_checkpoint
    from training.export.testing import random_checkpoint, wordpiece

    root: Path = tmp_path_factory.mktemp("distil")
    checkpoint = random_checkpoint(wordpiece([*WORDS, "thing"]), layers=3, hidden=32, positions=32)
    write_checkpoint(checkpoint, root / "start")
    documents, queries, qrels = [], [], ["query-id\tcorpus-id\tscore"]
    for number in range(60):
        word = WORDS[number % 6]
        queries.append({"_id": f"q{number}", "text": f"{word} {'thing ' * (number // 6)}".strip()})
        for at, other in enumerate(WORDS):
            documents.append({"id": f"q{number}d{at}", "title": f"{other} thing"})
            qrels.append(f"q{number}\tq{number}d{at}\t{int(other == word)}")
    (root / "corpus.jsonl").write_text("\n".join(map(json.dumps, documents)))
    (root / "queries.jsonl").write_text("\n".join(map(json.dumps, queries)))
    (root / "qrels.tsv").write_text("\n".join(qrels))
    (root / "large.toml").write_text(CONFIG.format(start=root / "start", more=""))
    student = f'layers = 1\ninner = 64\nteacher = "{root / "scores.parquet"}"\nteacher_weight = 0.8'
    (root / "small.toml").write_text(CONFIG.format(start=root / "start", more=student))
    return root


def trained(folder: Path, name: str) -> Result:
    """A cascade of this name, trained with a work folder."""
    return run(
        "train", "--collection", folder, "--config", folder / f"{name}.toml", "--store", folder / "store",
        "--tenant", "shop", "--ranker", name, "--promote", "--no-figures", "--work", folder / "work",
        "--json", folder / f"{name}.json",
    )  # fmt: skip


def test_a_student_learns_from_what_a_ranker_teaches(folder: Path) -> None:
    """Both bundles carry curve and card, the work folder is empty again, and the student is the smaller."""
    shown = trained(folder, "large").stdout
    assert "cross_encoder: fine-tuning" in shown
    assert "held-out loss" in shown
    taught = run(
        "teach", "--collection", folder, "--store", folder / "store", "--tenant", "shop", "--ranker", "large",
        "--stage", "cross_encoder", "--out", folder / "scores.parquet",
    )  # fmt: skip
    assert "360 pairs of 60 queries" in taught.stdout
    trained(folder, "small")
    fits = [
        json.loads((folder / f"{name}.json").read_text())["stages"][0]["fit"] for name in ("large", "small")
    ]
    assert [fit["student"]["num_hidden_layers"] for fit in fits] == [3, 1]
    assert fits[1]["bytes"] < fits[0]["bytes"]
    assert fits[1]["taught"] == 1.0
    assert len(fits[1]["curve"]) == 6
    bundle = DirectoryStore(folder / "store").path("shop", "small")
    card = (bundle / "stages" / "cross_encoder" / "README.md").read_text()
    assert "scores of 100% of the candidates: scores.parquet" in card
    manifest = json.loads((bundle / "manifest.json").read_text())
    assert manifest["data"]["fits"]["cross_encoder"]["curve"] == fits[1]["curve"]
    assert not list((folder / "work").glob("*"))


def test_a_teacher_of_another_collection_is_refused_before_anything_is_fitted(folder: Path) -> None:
    """Ids that the collection does not have are named, with one of them."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    other = folder / "other.parquet"
    pq.write_table(pa.table({"query_id": ["x1"], "document_id": ["x2"], "score": [1.0]}), other)
    source = (folder / "small.toml").read_text().replace("scores.parquet", "other.parquet")
    (folder / "wrong.toml").write_text(source)
    with pytest.raises(InvalidInput, match="query_id: names nothing of the collection; 'x1' is unknown"):
        trained(folder, "wrong")
