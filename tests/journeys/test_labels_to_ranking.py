"""The main road, over real processes: judgments in, a served ranking out."""

import gzip
import json
import subprocess
import sys
from pathlib import Path

import pytest

from serving.testing import serving_process
from training.stdlib import write

QUERIES = 24
CASCADE = """
[[features]]
name = "words"
kind = "bm25f"
fields = { title = 2.0, text = 1.0 }

[[features]]
name = "meaning"
kind = "semantic"
fields = ["title", "text"]

[[stages]]
name = "features"
kind = "lambdamart"
keep = 8
train = { trees = 20, leaves = 4, min_in_leaf = 5, folds = 2 }

[[stages]]
kind = "cross_encoder"
fields = ["title", "text"]
max_tokens = 48
query_tokens = 16

[[stages]]
name = "blend"
kind = "linear"
normalise = "zscore"
features = ["meaning", "stage.features", "stage.cross_encoder"]
"""


def sluice(*arguments: object) -> str:
    """A command's standard output."""
    program = "from cli.main import main; main()"
    command = [sys.executable, "-c", program, *map(str, arguments)]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


@pytest.fixture(scope="module")
def collection(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The standard library's documents with some of its judged queries."""
    folder = write(tmp_path_factory.mktemp("stdlib"))
    queries = (folder / "queries.train.jsonl").read_text().splitlines()[:QUERIES]
    (folder / "queries.few.jsonl").write_text("\n".join(queries))
    ids = {json.loads(line)["_id"] for line in queries}
    head, *rows = (folder / "qrels.train.tsv").read_text().splitlines()
    kept = [row for row in rows if row.split("\t")[0] in ids]
    (folder / "qrels.few.tsv").write_text("\n".join([head, *kept]))
    return folder


def test_judgments_in_a_served_ranking_out(collection: Path, tmp_path: Path) -> None:
    """Train, evaluate, serve and rank by the commands that the README shows; each answers as documented."""
    config, store, figures = tmp_path / "cascade.toml", tmp_path / "store", tmp_path / "figures.json"
    config.write_text(CASCADE)
    sluice("check", config)
    trained = sluice(
        "train", "--collection", collection, "--queries", "few", "--config", config, "--store", store,
        "--tenant", "shop", "--promote",
    )  # fmt: skip
    assert "and promoted" in trained
    sluice(
        "evaluate", "--collection", collection, "--queries", "few", "--store", store, "--tenant", "shop",
        "--json", figures,
    )  # fmt: skip
    found = json.loads(figures.read_text())
    assert found["queries"] == QUERIES
    assert [stage["name"] for stage in found["stages"]] == ["features", "cross_encoder", "blend"]
    assert found["stages"][-1]["metrics"]["nDCG@10"] > found["baselines"]["bm25"]["nDCG@10"]

    wanted = {"shutil.rmtree", "os.remove", "heapq.heapify", "time.sleep"}
    with gzip.open(collection / "corpus.jsonl.gz", "rt", encoding="utf-8") as lines:
        some = [line for line in lines if json.loads(line)["_id"] in wanted]
    (tmp_path / "some.jsonl").write_text("".join(some))
    with serving_process(store) as server:
        query = "recursively delete a directory tree"
        asked = ("--target", server.target, "--tenant", "shop", "--query", query, "--timeout-ms", 30_000)
        answer = sluice("rank", *asked, "--candidates", tmp_path / "some.jsonl", "--json")
    results = json.loads(answer)["results"]
    assert {each["id"] for each in results} == wanted
    assert results[0]["id"] == "shutil.rmtree"
