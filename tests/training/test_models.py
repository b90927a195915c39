"""`sluice models`: from a checkpoint to a model directory with a card, whole or not at all."""

import json
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from cli.main import app
from features.errors import Conflict, InvalidInput, NotFound, NotReady, Unavailable
from features.transformer.loaded import load_model
from tests.support import require
from training.card import Card, write_card
from training.export import Gate, Judged, Parity
from training.export.checkpoint import write_checkpoint
from training.export.parity import compare
from training.export.testing import made_pairs, made_words, random_checkpoint, wordpiece
from training.hub import FILES, fetch
from training.models import Wanted, add_model, installed
from training.samples import Samples, read_samples

NOW = datetime(2030, 1, 2, tzinfo=UTC)
OPEN = Gate(tau=0.3, top_10=0.3, ndcg_10_lost=1.0)
COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture(scope="module")
def samples() -> Samples:
    """Made-up pairs, every third one relevant."""
    pairs = made_pairs(made_words(60, np.random.default_rng(5)), 8, 6, np.random.default_rng(6))
    rows = [(query, document, float(at % 3 == 0)) for at, (query, document) in enumerate(pairs)]
    return Samples("made-up pairs", tuple(pairs), Judged.of(rows))


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A BERT with a licence."""
    require("torch")
    require("transformers")
    directory = tmp_path_factory.mktemp("hub") / "Tiny-BERT"
    checkpoint = random_checkpoint(wordpiece(made_words(60, np.random.default_rng(5))), hidden=32)
    write_checkpoint(checkpoint, directory)
    (directory / "README.md").write_text('---\nlanguage: en\nlicense: "apache-2.0"\n---\n# Tiny\n')
    return directory


def test_a_directory_becomes_a_model_with_a_card(source: Path, samples: Samples, tmp_path: Path) -> None:
    """Exported, measured against the framework and on judgments, pinned and described."""
    wanted = Wanted(str(source), folder=tmp_path / "models", gate=OPEN)
    added = add_model(wanted, samples, NOW)
    assert (added.name, added.licence, added.source) == ("Tiny-BERT", "apache-2.0", "Tiny-BERT")
    assert added.revision.startswith("sha256:")
    assert added.report.reference.startswith("transformers")
    assert added.report.parity["float32"].max_deviation < 0.05
    for parity in added.report.parity.values():
        assert 0 < parity.ndcg_10 <= 1
        assert parity.ndcg_10_lost is not None
    directory = tmp_path / "models" / "Tiny-BERT"
    assert installed(tmp_path / "models") == [directory]
    assert {path.name for path in directory.iterdir()} == {
        *("model.onnx", "model.json", "tokenizer.json", "README.md", "card.json")
    }
    assert load_model(directory).notes.source == f"Tiny-BERT@{added.revision}"
    text = (directory / "README.md").read_text()
    assert all(
        part in text for part in ("apache-2.0", added.revision, "2030-01-02", "made-up pairs", "int8 *")
    )


def test_a_model_is_not_replaced_unasked(source: Path, samples: Samples, tmp_path: Path) -> None:
    """One of the same name stays, unless --replace says otherwise."""
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "note").touch()
    wanted = Wanted(str(source), name="mine", folder=tmp_path, gate=OPEN)
    with pytest.raises(Conflict, match="--replace"):
        add_model(wanted, samples, NOW)
    assert (tmp_path / "mine" / "note").exists()


def test_a_failing_add_leaves_nothing(
    source: Path, samples: Samples, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the card cannot be written there is no model either."""

    def full(*args: object) -> None:
        raise OSError("no space left on device")

    monkeypatch.setattr("training.models.write_card", full)
    with pytest.raises(OSError, match="no space"):
        add_model(Wanted(str(source), folder=tmp_path, gate=OPEN), samples, NOW)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("lost", "error", "passes"),
    [(0.002, 0.0, True), (0.01, 0.001, False), (0.01, 0.02, True), (-0.01, 0.0, True), (None, None, True)],
)
def test_the_gate_looks_at_judgments(lost: float | None, error: float | None, passes: bool) -> None:
    """A loss over .003 nDCG@10 is refused, unless it is within two standard errors."""
    parity = Parity(
        bytes=1,
        max_deviation=0.1,
        mean_deviation=0.1,
        spread=1.0,
        tau=0.99,
        top_10=0.99,
        ndcg_10_lost=lost,
        ndcg_10_error=error,
    )
    assert Gate().passes(parity) is passes


def test_judgments_measure_what_is_lost() -> None:
    """Turning the order round loses what nDCG@10 says, query by query."""
    judged = Judged.of([("a", "x", 1), ("a", "y", 0), ("b", "x", 1), ("b", "y", 0)])
    good, bad = np.array([2, 1, 2, 1], np.float32), np.array([1, 2, 2, 1], np.float32)
    worse = 1 / np.log2(3)
    parity = judged.measured(compare([range(4)], good, bad, 1), good, bad)
    assert parity.ndcg_10 == pytest.approx((1 + worse) / 2)
    assert parity.ndcg_10_lost == pytest.approx((1 - worse) / 2)
    assert parity.ndcg_10_error == pytest.approx((1 - worse) / 2)


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        (Wanted("no such place!"), "neither a directory nor a hub id"),
        (Wanted("{source}", revision="main"), "--revision"),
        (Wanted("{source}", name="../up"), "--name"),
        (Wanted("{source}", task="poem"), "task"),
    ],
)
def test_wrong_requests_are_named(
    source: Path, samples: Samples, tmp_path: Path, wanted: Wanted, message: str
) -> None:
    """Each by the option that is wrong, before anything is written."""
    asked = Wanted(
        wanted.source.format(source=source), wanted.revision, wanted.name, tmp_path, wanted.task, gate=OPEN
    )
    with pytest.raises(InvalidInput, match=message):
        add_model(asked, samples, NOW)
    assert not list(tmp_path.iterdir())


def test_an_encoder_or_a_ranker_must_be_told(source: Path, samples: Samples, tmp_path: Path) -> None:
    """A bare body could be either; the error names the option."""
    bare = tmp_path / "bare"
    bare.mkdir()
    for file in source.iterdir():
        (bare / file.name).write_bytes(file.read_bytes())
    config = json.loads((bare / "config.json").read_text()) | {"architectures": ["BertModel"]}
    (bare / "config.json").write_text(json.dumps(config))
    with pytest.raises(InvalidInput, match=r"--task score.*--task vector"):
        add_model(Wanted(str(bare), folder=tmp_path / "models"), samples, NOW)


class Hub:
    """huggingface_hub, as far as it is used, with one repository or without a network."""

    def __init__(self, directory: Path | None) -> None:
        self.directory = directory
        self.asked: list[dict[str, Any]] = []

    def model_info(self, name: str, revision: str | None) -> Any:
        """The commit of a revision."""
        if self.directory is None:
            raise ConnectionError("Name or service not known")
        return SimpleNamespace(sha=COMMIT)

    def snapshot_download(self, name: str, **asked: Any) -> str:
        """The directory."""
        if self.directory is None:
            raise ConnectionError("Name or service not known")
        self.asked.append(asked)
        return str(self.directory)


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Puts a hub in the place of the real one."""
    require("huggingface_hub")

    def use(directory: Path | None) -> Hub:
        made = Hub(directory)
        monkeypatch.setattr("huggingface_hub.HfApi", lambda: made)
        monkeypatch.setattr("huggingface_hub.snapshot_download", made.snapshot_download)
        return made

    return use


def test_a_hub_id_is_pinned_to_its_commit(hub: Any, source: Path, samples: Samples, tmp_path: Path) -> None:
    """A branch becomes a commit, which is fetched and written into the card; no code and no pickles come."""
    used = hub(source)
    added = add_model(
        Wanted("owner/tiny", revision="main", folder=tmp_path, gate=OPEN, task="score"), samples, NOW
    )
    assert (added.source, added.revision, added.name) == ("owner/tiny", COMMIT, "tiny")
    assert used.asked == [{"revision": COMMIT, "allow_patterns": list(FILES)}]
    assert not any(name.endswith((".py", ".bin", ".pt", "*")) for name in FILES)
    assert (
        f"sluice models add owner/tiny --revision {COMMIT}" in (tmp_path / "tiny" / "README.md").read_text()
    )


@pytest.mark.parametrize("revision", [None, "main", COMMIT])
def test_without_a_network_the_way_out_is_named(hub: Any, revision: str | None) -> None:
    """The error says that the hub cannot be reached, and that a local directory does."""
    hub(None)
    with pytest.raises(Unavailable, match=r"cannot be reached.*local directory"):
        fetch("owner/tiny", revision)


def test_pairs_are_read_with_and_without_grades(tmp_path: Path) -> None:
    """A line a pair; judged are those of queries with a relevant document and another one."""
    file = tmp_path / "pairs.jsonl"
    rows = [("a", "x", 1), ("a", "y", 0), ("b", "x", None), ("b", " ", None)]
    file.write_text("\n".join(json.dumps({"query": q, "document": d, "grade": g}) for q, d, g in rows))
    found = read_samples(file)
    assert found.pairs == (("a", "x"), ("a", "y"), ("b", "x"))
    assert found.judged == Judged((("a", "x"), ("a", "y")), (1.0, 0.0))


@pytest.mark.parametrize(
    ("content", "message"),
    [("{}", "jsonl:1"), ('{"query": 3}', "jsonl:1"), ('{"query":"","document":"x"}', "no pair")],
)
def test_wrong_pairs_are_named(tmp_path: Path, content: str, message: str) -> None:
    """By file and line."""
    (tmp_path / "p.jsonl").write_text(content)
    with pytest.raises(InvalidInput, match=message):
        read_samples(tmp_path / "p.jsonl")
    with pytest.raises(NotFound):
        read_samples(tmp_path / "absent.jsonl")


def test_the_command_adds_lists_and_shows(source: Path, samples: Samples, tmp_path: Path) -> None:
    """The three commands on one model, as tables and as JSON."""
    file = tmp_path / "pairs.jsonl"
    file.write_text("\n".join(json.dumps({"query": q, "document": d}) for q, d in samples.pairs))
    figures, folder = tmp_path / "figures.json", ["--out", str(tmp_path / "models")]
    run = CliRunner().invoke
    added = run(app, ["models", "add", str(source), "--pairs", str(file), "--json", str(figures), *folder])
    assert added.exit_code == 0, added.output
    assert "Tiny-BERT" in added.output
    assert json.loads(figures.read_text())["report"]["task"] == "score"
    listed = run(app, ["models", "list", "--json", *folder])
    assert list(json.loads(listed.stdout)) == ["Tiny-BERT"]
    assert "apache-2.0" in run(app, ["models", "list", *folder]).output
    write_card(Card(title="own", summary="", source="a card of less"), tmp_path / "models" / "Tiny-BERT")
    assert "a card of less" in run(app, ["models", "list", *folder]).output
    shown = run(app, ["models", "show", "Tiny-BERT", *folder])
    assert shown.stdout == (tmp_path / "models" / "Tiny-BERT" / "README.md").read_text()


def test_what_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the `train` extra the command says what to install, before it reads anything."""
    monkeypatch.setattr("cli.models.find_spec", lambda name: None)
    result = CliRunner().invoke(app, ["models", "add", "owner/tiny"])
    assert isinstance(result.exception, NotReady)
    assert "pip install 'sluice[train]'" in str(result.exception)
