"""Exporting as a whole: the files, the report, the gate, and nothing half-written."""

import json
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest

from features.errors import InvalidInput, NotReady
from tests.support import require
from training.export import Checkpoint, Gate, export
from training.export.parity import compare, trial

Texts = list[tuple[str, str]]
OPEN = Gate(tau=0.3, top_10=0.3)


def test_export_writes_the_model_it_reports(checkpoint: Checkpoint, pairs: Texts, tmp_path: Path) -> None:
    """model.onnx has the digest and size of the report, and model.json has the parity of every variant."""
    report = export(checkpoint, tmp_path / "out", pairs, gate=OPEN)
    content = (tmp_path / "out" / "model.onnx").read_bytes()
    notes = json.loads((tmp_path / "out" / "model.json").read_text())
    assert report.digest == notes["digest"] == sha256(content).hexdigest()
    assert report.bytes == len(content) == report.parity["int8"].bytes
    assert report.variant == notes["variant"] == "int8"
    assert set(notes["parity"]) == {"int8", "int8-dynamic", "float32"}
    assert (tmp_path / "out" / "tokenizer.json").read_text() == checkpoint.tokenizer
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_parity_orders_the_variants(checkpoint: Checkpoint, pairs: Texts, tmp_path: Path) -> None:
    """Full precision strays least, and calibrated scales no more than dynamic ones."""
    parity = export(checkpoint, tmp_path / "out", pairs, gate=OPEN).parity
    assert parity["float32"].mean_deviation < 0.5 * parity["int8"].mean_deviation
    assert parity["int8"].mean_deviation < 1.2 * parity["int8-dynamic"].mean_deviation
    assert parity["float32"].tau > 0.97
    assert parity["int8"].tau > 0.8


def test_the_same_seed_writes_the_same_bytes(checkpoint: Checkpoint, pairs: Texts, tmp_path: Path) -> None:
    """An export is reproducible, and replaces what was there."""
    first = export(checkpoint, tmp_path / "out", pairs, variants=["int8"], gate=OPEN)
    (tmp_path / "out" / "stale").touch()
    second = export(checkpoint, tmp_path / "out", pairs, variants=["int8"], gate=OPEN)
    assert first == second
    assert not (tmp_path / "out" / "stale").exists()


def test_a_refused_variant_gives_way(checkpoint: Checkpoint, pairs: Texts, tmp_path: Path) -> None:
    """The gate refuses int8 with its figures, and the next variant that passes is written."""
    gate = Gate(tau=0.985, top_10=0.9)
    report = export(checkpoint, tmp_path / "out", pairs, gate=gate)
    assert report.variant == "float32"
    assert [text.split(":")[0] for text in report.refused] == ["int8", "int8-dynamic"]


def test_no_variant_left_is_an_error(checkpoint: Checkpoint, pairs: Texts, tmp_path: Path) -> None:
    """Where every variant loses too much, nothing is written."""
    with pytest.raises(NotReady, match="no variant passes"):
        export(checkpoint, tmp_path / "out", pairs, variants=["int8-dynamic"], gate=Gate(tau=1.0))
    assert not list(tmp_path.iterdir())


def test_broken_weights_are_refused(checkpoint: Checkpoint, pairs: Texts, tmp_path: Path) -> None:
    """NaN in the weights is found before anything is written."""
    bad = np.full_like(checkpoint.tensors["classifier.weight"], np.nan)
    broken = replace(checkpoint, tensors={**checkpoint.tensors, "classifier.weight": bad})
    with pytest.raises(InvalidInput, match="not finite"):
        export(broken, tmp_path / "out", pairs)
    assert not list(tmp_path.iterdir())


def test_a_failing_write_leaves_the_old_model(
    checkpoint: Checkpoint, pairs: Texts, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An export that dies half-way leaves what was there, and no litter."""
    export(checkpoint, tmp_path / "out", pairs, variants=["int8"], gate=OPEN)
    before = (tmp_path / "out" / "model.json").read_bytes()

    def full(*args: object, **named: object) -> None:
        raise OSError("no space left on device")

    monkeypatch.setattr(Path, "write_text", full)
    with pytest.raises(OSError, match="no space"):
        export(checkpoint, tmp_path / "out", pairs[:50], variants=["int8"], gate=OPEN)
    assert (tmp_path / "out" / "model.json").read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_a_directory_exports_as_memory_does(checkpoint: Checkpoint, pairs: Texts, tmp_path: Path) -> None:
    """A checkpoint read from safetensors gives the same model."""
    require("safetensors")
    from safetensors.numpy import save_file

    source = tmp_path / "checkpoint"
    source.mkdir()
    (source / "config.json").write_text(json.dumps(checkpoint.config))
    (source / "tokenizer.json").write_text(checkpoint.tokenizer)
    save_file(dict(checkpoint.tensors), source / "model.safetensors")
    kept = export(checkpoint, tmp_path / "a", pairs, variants=["int8-dynamic"], gate=OPEN)
    assert export(source, tmp_path / "b", pairs, variants=["int8-dynamic"], gate=OPEN) == kept


@pytest.mark.parametrize("name", ["config.json", "tokenizer.json", "model.safetensors"])
@pytest.mark.parametrize("content", [None, "", "[]", "{"])
def test_files_that_cannot_be_read_are_named(
    checkpoint: Checkpoint, tmp_path: Path, name: str, content: str | None
) -> None:
    """A missing or broken file of a checkpoint is an InvalidInput that names it."""
    require("safetensors")
    from safetensors.numpy import save_file

    (tmp_path / "config.json").write_text(json.dumps(checkpoint.config))
    (tmp_path / "tokenizer.json").write_text(checkpoint.tokenizer)
    save_file(dict(checkpoint.tensors), tmp_path / "model.safetensors")
    (tmp_path / name).unlink()
    if content is not None:
        (tmp_path / name).write_text(content)
    with pytest.raises(InvalidInput, match=name):
        export(tmp_path, tmp_path / "out", [("a", "b")])


def test_no_pairs_are_refused(checkpoint: Checkpoint, tmp_path: Path) -> None:
    """Without real pairs there is nothing to calibrate or judge on."""
    with pytest.raises(InvalidInput, match="calibration"):
        export(checkpoint, tmp_path / "out", [])


def test_a_single_pair_is_enough_to_run(checkpoint: Checkpoint, tmp_path: Path) -> None:
    """One pair is calibrated and judged on, poorly but without failing."""
    assert export(checkpoint, tmp_path / "out", [("a query", "a text")], gate=OPEN).parity["int8"].tau == 1


def test_an_unknown_architecture_is_named(checkpoint: Checkpoint, pairs: Texts, tmp_path: Path) -> None:
    """One that even transformers has not is refused by its name."""
    require("transformers")
    other = replace(checkpoint, config={**checkpoint.config, "model_type": "unheard-of"})
    with pytest.raises(InvalidInput, match=r"config\.json.*unheard-of"):
        export(other, tmp_path / "out", pairs)
    assert not (tmp_path / "out").exists()


def test_another_architecture_under_a_known_name_is_refused(
    checkpoint: Checkpoint, pairs: Texts, tmp_path: Path
) -> None:
    """Tensors that are not the family's are missed by name, rather than drawn at random."""
    other = replace(checkpoint, config={**checkpoint.config, "model_type": "roberta"})
    with pytest.raises(InvalidInput, match="no such tensor"):
        export(other, tmp_path / "out", pairs)


def test_a_reversed_order_has_no_parity() -> None:
    """Tau is -1 and the top 10 of 20 has nothing in common where the order is turned round."""
    scores = np.arange(20, dtype=np.float32)
    parity = compare([range(20)], scores, scores[::-1].copy(), 1)
    assert parity.tau == -1
    assert parity.top_10 == 0
    assert not Gate(tau=-0.5, top_10=0).passes(parity)


def test_nan_never_passes_the_gate() -> None:
    """A variant without finite scores is refused by any gate."""
    scores = np.arange(20, dtype=np.float32)
    assert not Gate(tau=-1, top_10=0).passes(compare([range(20)], scores, scores * np.nan, 1))


def test_a_trial_has_a_querys_own_candidates(pairs: Texts) -> None:
    """Every group is one query with its own documents first, none twice."""
    made = trial(pairs, np.random.default_rng(0))
    for group in made.groups:
        queries = {made.pairs[row][0] for row in group}
        documents = [made.pairs[row][1] for row in group]
        own = [document for query, document in pairs if query in queries]
        assert len(queries) == 1
        assert documents[: len(own)] == list(dict.fromkeys(own))
        assert len(set(documents)) == len(documents) == 24
