"""`sluice encode` and `sluice retrieve` on a collection of a dozen documents."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from cli.main import app
from features.errors import InvalidInput
from tests.support import require
from training.runs import read_run

NAMES = ("red", "blue", "green", "black", "white", "brown")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    """An exported encoder."""
    require("onnx")
    from training.bi_encode.testing import export_encoder

    return str(export_encoder(tmp_path_factory.mktemp("encoder") / "model"))


@pytest.fixture
def collection(tmp_path: Path) -> str:
    """Documents of a colour each, one without a text, and queries that name the colours."""
    folder = tmp_path / "things"
    folder.mkdir()
    documents = [{"_id": f"d{at}", "title": f"{name} thing"} for at, name in enumerate(NAMES)]
    lines = [json.dumps(each) for each in [*documents, {"_id": "bare", "title": ""}]]
    (folder / "corpus.jsonl").write_text("\n".join(lines))
    queries = [json.dumps({"_id": f"q{at}", "text": f"{name} thing"}) for at, name in enumerate(NAMES)]
    (folder / "queries.jsonl").write_text("\n".join(queries))
    qrels = [f"q{at}\td{at}\t1" for at in range(len(NAMES))]
    (folder / "qrels.tsv").write_text("\n".join(["query-id\tcorpus-id\tscore", *qrels]))
    return str(folder)


def run(*arguments: str) -> Result:
    """The command's result; what it raised is raised again."""
    return CliRunner().invoke(app, arguments, catch_exceptions=False)


def test_encode_tells_what_it_made(collection: str, model: str, tmp_path: Path) -> None:
    """Counts as JSON; a second run takes all vectors over."""
    out = str(tmp_path / "v.parquet")
    asked = (
        "encode",
        "--collection",
        collection,
        "--model",
        model,
        "--out",
        out,
        "--fields",
        "title",
        "--json",
    )
    first, second = (json.loads(run(*asked).stdout) for _ in range(2))
    assert (first["vectors"], first["reused"], first["empty"]) == (6, 0, 1)
    assert (second["vectors"], second["reused"], second["tokens"]) == (6, 6, 0)


def test_an_unknown_field_is_named(collection: str, model: str, tmp_path: Path) -> None:
    """With those that there are."""
    out = str(tmp_path / "v.parquet")
    with pytest.raises(InvalidInput, match=r"--fields: no text field body; there are title"):
        run("encode", "--collection", collection, "--model", model, "--out", out, "--fields", "title,body")


def test_retrieve_measures_and_writes_what_was_found(collection: str, model: str, tmp_path: Path) -> None:
    """A query that is a document's own text finds it first; against itself a model is no better."""
    trec, figures = tmp_path / "run.trec", tmp_path / "recall.json"
    done = run(
        "retrieve", "--collection", collection, "--model", model, "--against", model, "--fields", "title",
        "--depth", "3", "--run", str(trec), "--json", str(figures),
    )  # fmt: skip
    assert done.exit_code == 0
    told = json.loads(figures.read_text())
    assert told["means"][model]["recall@3"] == 1.0
    assert told["recall"]["difference"] == 0.0
    found = read_run(trec)
    assert {query: next(iter(documents)) for query, documents in found.items()} == {
        f"q{at}": f"d{at}" for at in range(6)
    }
    assert all(len(documents) == 3 for documents in found.values())


def test_retrieve_takes_vectors_that_were_made_before(collection: str, model: str, tmp_path: Path) -> None:
    """The same documents are found; a file of other options is refused by its name."""
    file, asked = (
        str(tmp_path / "v.parquet"),
        ("--collection", collection, "--model", model, "--fields", "title"),
    )
    run("encode", *asked, "--out", file)
    made = []
    for more in ((), ("--vectors", file)):
        run("retrieve", *asked, "--depth", "3", "--run", str(tmp_path / "run.trec"), *more)
        made.append((tmp_path / "run.trec").read_text())
    assert made[0] == made[1]
    with pytest.raises(InvalidInput, match=r"v\.parquet: was not made by this model"):
        run("retrieve", *asked, "--vectors", file, "--max-tokens", "8")


def test_bm25_may_take_turns_with_the_model(collection: str, model: str, tmp_path: Path) -> None:
    """The merged run holds no document twice."""
    trec = tmp_path / "run.trec"
    run(
        "retrieve", "--collection", collection, "--model", model, "--fields", "title", "--depth", "5",
        "--run", str(trec), "--with-bm25",
    )  # fmt: skip
    assert all(next(iter(documents)) == f"d{query[1:]}" for query, documents in read_run(trec).items())
