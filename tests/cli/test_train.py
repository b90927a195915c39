"""`sluice train` and `sluice evaluate`, end to end over a store."""

import json
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner, Result

from cascade.store import DirectoryStore
from cli import evaluate, train
from features.errors import InvalidConfig, InvalidInput, NotReady
from training.drift import read_profiles

CONFIG = """
[[features]]
name = "title"
kind = "bm25"
field = "title"

[[features]]
name = "price"
kind = "numeric"
field = "price"

[[stages]]
kind = "linear"
keep = 6
features = ["title", "price"]

[[stages]]
kind = "lambdamart"
train = { trees = 15, leaves = 4, min_in_leaf = 5, folds = 3 }
"""

app = typer.Typer()
app.command("train")(train.command)
app.command("evaluate")(evaluate.command)


def run(*arguments: object) -> Result:
    """One command; an error of ours is raised."""
    result = CliRunner().invoke(app, [str(each) for each in arguments])
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A collection of 45 queries where overlap and price tell what is relevant, and a cascade for it."""
    root: Path = tmp_path_factory.mktemp("cli")
    documents, queries, qrels = [], [], ["query-id\tcorpus-id\tscore"]
    for number in range(45):
        queries.append({"_id": f"q{number}", "text": f"topic{number} thing"})
        for place in range(8):
            title = f"topic{number} other {place}" if place < 4 else f"noise {place} thing"
            price = float(place == number % 4) + (place * number) % 3 / 4
            documents.append({"id": f"q{number}d{place}", "title": title, "price": price})
            qrels.append(f"q{number}\tq{number}d{place}\t{2 * (place == number % 4)}")
    (root / "corpus.jsonl").write_text("\n".join(map(json.dumps, documents)))
    (root / "queries.train.jsonl").write_text("\n".join(map(json.dumps, queries)))
    (root / "qrels.train.tsv").write_text("\n".join(qrels))
    (root / "cascade.toml").write_text(CONFIG)
    return root


@pytest.fixture(scope="module")
def trained(folder: Path) -> Result:
    """The cascade, trained and promoted."""
    return run(
        "train", "--collection", folder, "--queries", "train", "--config", folder / "cascade.toml",
        "--store", folder / "store", "--tenant", "shop", "--promote", "--json", folder / "train.json",
    )  # fmt: skip


def test_train_publishes_and_promotes(folder: Path, trained: Result) -> None:
    """The bundle is in the store and serves; the figures are held-out ones of every stage."""
    assert trained.exit_code == 0
    told = json.loads((folder / "train.json").read_text())
    store = DirectoryStore(folder / "store")
    assert store.promotion("shop", "default").version == told["version"]
    assert f"published shop/default@{told['version']} and promoted" in trained.stdout
    assert set(told["metrics"]) == {"input", "linear", "lambdamart"}
    assert told["metrics"]["lambdamart"]["nDCG@10"] > told["metrics"]["input"]["nDCG@10"]
    assert told["data"]["queries"] == 45
    assert told["data"]["rows"] == 360
    assert told["stages"][1]["fit"]["trees"] >= 1


def test_evaluate_a_published_ranker(folder: Path, trained: Result) -> None:
    """The promoted ranker is judged; JSON and report are written."""
    result = run(
        "evaluate", "--collection", folder, "--queries", "train", "--store", folder / "store",
        "--tenant", "shop", "--json", folder / "out.json", "--report", folder / "out.html",
    )  # fmt: skip
    found = json.loads((folder / "out.json").read_text())
    assert result.exit_code == 0
    assert [stage["name"] for stage in found["stages"]] == ["linear", "lambdamart"]
    assert found["queries"] == 45
    assert found["stages"][1]["metrics"]["nDCG@10"] > 0.8
    assert "recall@6" in found["stages"][0]["metrics"]
    assert "earns its place" in result.stdout
    assert (folder / "out.html").read_text().startswith("<!doctype html>")


def test_evaluate_against_another_version(folder: Path, trained: Result) -> None:
    """Query by query against a version of the store, for the gate: itself differs by nothing."""
    version = DirectoryStore(folder / "store").promotion("shop", "default").version
    result = run(
        "evaluate", "--collection", folder, "--queries", "train", "--store", folder / "store",
        "--tenant", "shop", "--against", version, "--json", folder / "against.json",
    )  # fmt: skip
    found = json.loads((folder / "against.json").read_text())["against_version"]
    assert f"against {version}: nDCG@10 +0.0%" in result.stdout
    assert (found["version"], found["difference"]) == (version, 0)
    assert (found["interval"]["low"], found["interval"]["high"]) == (0, 0)


def test_a_bundle_keeps_a_profile_of_its_features(folder: Path, trained: Result) -> None:
    """What drift is measured against: a share for every tenth and for what is missing."""
    bundle = DirectoryStore(folder / "store").path("shop", "default")
    profiles = read_profiles(json.loads((bundle / "manifest.json").read_text())["data"])
    assert set(profiles) == {"title", "price"}
    assert all(sum(each.shares) == pytest.approx(1, abs=1e-4) for each in profiles.values())


def test_same_data_same_version(folder: Path, trained: Result) -> None:
    """Training again gives the same model bytes, whatever the time of day."""
    run(
        "train", "--collection", folder, "--queries", "train", "--config", folder / "cascade.toml",
        "--store", folder / "again", "--tenant", "shop",
    )  # fmt: skip
    models = {
        path.read_bytes() for path in folder.glob("*/shop/default/versions/*/stages/lambdamart/model.txt")
    }
    assert len(list((folder / "again").glob("shop/default/versions/*"))) == 1
    assert len(models) == 1


def test_nothing_to_judge_is_asked_for(folder: Path) -> None:
    """Without a store and without `--embedded` the way out is named."""
    with pytest.raises(InvalidInput, match="give --store DIR with --tenant NAME, or --embedded"):
        run("evaluate", "--collection", folder, "--queries", "train")


def test_bad_tenant_is_refused_before_training(folder: Path) -> None:
    """A malformed name fails at once, not after minutes."""
    with pytest.raises(InvalidInput) as caught:
        run(
            "train", "--collection", folder / "nowhere", "--config", folder / "cascade.toml",
            "--store", folder / "store", "--tenant", "../x",
        )  # fmt: skip
    assert caught.value.path == "--tenant"


def test_unknown_column_is_refused_before_training(folder: Path) -> None:
    """A stage that reads what nothing makes is an error of the config, with its path."""
    config = folder / "typo.toml"
    config.write_text(CONFIG.replace('features = ["title", "price"]', 'features = ["titel"]'))
    with pytest.raises(InvalidConfig, match="did you mean 'title'"):
        run(
            "train", "--collection", folder, "--queries", "train", "--config", config,
            "--store", folder / "store", "--tenant", "shop",
        )  # fmt: skip


def test_report_without_matplotlib(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where plots cannot be drawn, that is said before anything is ranked."""
    monkeypatch.setattr("training.report.importlib.util.find_spec", lambda name: None)
    with pytest.raises(NotReady, match=r"pip install 'sluice\[report\]'"):
        run("evaluate", "--collection", folder / "nowhere", "--report", folder / "x.html")


def test_without_figures_the_last_stage_has_none(folder: Path) -> None:
    """`--no-figures` publishes as ever, and leaves the cells of the last stage empty."""
    result = run(
        "train", "--collection", folder, "--queries", "train", "--config", folder / "cascade.toml",
        "--store", folder / "other", "--tenant", "shop", "--no-figures", "--json", folder / "quick.json",
    )  # fmt: skip
    told = json.loads((folder / "quick.json").read_text())
    assert result.exit_code == 0
    assert set(told["metrics"]) == {"input", "linear"}
    assert told["stages"][1]["fit"]["trees"] >= 1
    bundle = DirectoryStore(folder / "other").path("shop", "default", told["version"])
    manifest = json.loads((bundle / "manifest.json").read_text())
    assert manifest["metrics"] == {}
    assert manifest["data"]["fits"]["lambdamart"]["trees"] == told["stages"][1]["fit"]["trees"]
