"""A sentence encoder as a feature and as a stage, from the command line into a bundle and out of it."""

import json
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

from cascade.load import load_ranker
from cascade.request import RankRequest
from cascade.store import DirectoryStore
from cli.main import app
from features.batch import Query, single
from features.columns import text
from tests.support import require

NAMES = ("red", "blue", "green", "black", "white", "brown")

CASCADE = """
[[features]]
name = "meaning"
kind = "semantic"
field = "title"
encoder = {model}

[[stages]]
name = "first"
kind = "linear"
weights = {{ meaning = 1.0 }}
keep = 4

[[stages]]
kind = "bi_encoder"
weights = {model}
fields = ["title"]
table = {table}
"""


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """An exported encoder."""
    require("onnx")
    from training.bi_encode.testing import export_encoder

    return export_encoder(tmp_path / "model")


@pytest.fixture
def collection(tmp_path: Path) -> Path:
    """A thing of every colour, and queries that name them."""
    folder = tmp_path / "things"
    folder.mkdir()
    documents = [{"_id": f"d{at}", "title": f"{name} thing"} for at, name in enumerate(NAMES)]
    queries = [{"_id": f"q{at}", "text": f"{name} thing"} for at, name in enumerate(NAMES)]
    (folder / "corpus.jsonl").write_text("\n".join(map(json.dumps, documents)))
    (folder / "queries.jsonl").write_text("\n".join(map(json.dumps, queries)))
    lines = [f"q{q}\td{d}\t{int(q == d)}" for q in range(len(NAMES)) for d in range(len(NAMES))]
    (folder / "qrels.tsv").write_text("\n".join(["query-id\tcorpus-id\tscore", *lines]))
    return folder


def test_a_bundle_is_all_that_serving_needs(model: Path, collection: Path, tmp_path: Path) -> None:
    """Trained with a table of vectors, and loaded where model and table are gone, it ranks a text's twin
    first, by feature and by stage, and known documents cost no token."""
    table, config, store = tmp_path / "v.parquet", tmp_path / "cascade.toml", tmp_path / "store"
    config.write_text(CASCADE.format(model=json.dumps(str(model)), table=json.dumps(str(table))))
    for arguments in (
        ["encode", "--collection", collection, "--model", model, "--out", table, "--fields", "title"],
        [
            "train",
            "--collection",
            collection,
            "--config",
            config,
            "--store",
            store,
            "--tenant",
            "t",
            "--promote",
        ],
    ):
        assert CliRunner().invoke(app, list(map(str, arguments)), catch_exceptions=False).exit_code == 0
    shutil.rmtree(model)
    table.unlink()
    ranker = load_ranker(DirectoryStore(store).path("t", "default"), "default")
    titles = [f"{name} thing" for name in NAMES]
    batch = single(Query("green thing"), [str(at) for at in range(len(NAMES))], {"title": text(titles)})
    ranking = ranker.rank(RankRequest(batch))
    assert ranking.rows[0] == NAMES.index("green")
    assert ranking.placed_by[0] == "bi_encoder"
    assert ranking.reports[-1].tokens <= len(["green", "thing"]) + 2
