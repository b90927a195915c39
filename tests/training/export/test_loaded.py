"""Model directories as serving reads them: notes old and new, golden inputs, graphs that do not fit."""

import json
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from features.errors import Corrupt, NotReady
from features.transformer.layout import Layout
from features.transformer.loaded import load_model
from features.transformer.model import read_notes
from training.export import Checkpoint, Gate, export

Texts = list[tuple[str, str]]


@pytest.fixture
def directory(checkpoint: Checkpoint, pairs: Texts, tmp_path: Path) -> Path:
    """An exported cross-encoder."""
    export(checkpoint, tmp_path / "model", pairs, variants=["int8"], gate=Gate(tau=0.3, top_10=0.3))
    return tmp_path / "model"


def changed(directory: Path, change: Callable[[dict[str, Any]], None]) -> None:
    """Rewrite model.json."""
    notes = json.loads((directory / "model.json").read_text())
    change(notes)
    (directory / "model.json").write_text(json.dumps(notes))


def test_golden_inputs_are_recorded_and_reproduce(directory: Path) -> None:
    """Three pairs with the scores that the model gives them alone."""
    model = load_model(directory)
    assert len(model.notes.golden) == 3
    for golden in model.notes.golden:
        assert model.run([model.tokens(golden.texts)]).tolist() == pytest.approx(list(golden.output))


def test_another_score_is_refused(directory: Path) -> None:
    """A machine or a library that scores otherwise is found when the model is loaded."""
    changed(
        directory, lambda notes: notes["golden"][1].update(output=[notes["golden"][1]["output"][0] + 0.1])
    )
    with pytest.raises(Corrupt, match="export it again"):
        load_model(directory)


def test_another_tokenizer_is_refused(directory: Path) -> None:
    """A tokenizer whose words have other ids gives other scores."""
    tokenizer = json.loads((directory / "tokenizer.json").read_text())
    vocabulary = tokenizer["model"]["vocab"]
    words = [word for word, token in vocabulary.items() if token > 5]
    vocabulary.update(zip(words, reversed([vocabulary[word] for word in words]), strict=True))
    (directory / "tokenizer.json").write_text(json.dumps(tokenizer))
    with pytest.raises(Corrupt, match="export it again"):
        load_model(directory)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"family": "gpt"}, "'gpt' model"),
        ({"task": "poem"}, "'poem' model"),
        ({"layout": 3}, "cannot be read"),
        ({"family": "padded", "golden": []}, "where input_ids"),
    ],
)
def test_notes_that_do_not_fit_are_refused(directory: Path, change: dict[str, Any], message: str) -> None:
    """What serving cannot run is told at load."""
    changed(directory, lambda notes: notes.update(change))
    with pytest.raises(NotReady, match=message):
        load_model(directory)


def test_a_changed_graph_is_refused(directory: Path) -> None:
    """The digest covers every byte of model.onnx."""
    content = bytearray((directory / "model.onnx").read_bytes())
    content[-5] ^= 1
    (directory / "model.onnx").write_bytes(content)
    assert sha256(content).hexdigest() != read_notes(directory).digest
    with pytest.raises(Corrupt, match="digest"):
        load_model(directory)


def test_a_layout_lays_out() -> None:
    """Special tokens stand before, between and behind; the document's place is known."""
    layout = Layout(before=(0,), between=(2, 2), after=(2,), segments=False)
    pair = layout.pair(np.array([7, 8]), [9])
    assert (pair.ids.tolist(), pair.second) == ([0, 7, 8, 2, 2, 9, 2], 5)
    assert (layout.special, layout.single) == (4, 2)
    alone = layout.alone([7])
    assert (alone.ids.tolist(), alone.second, alone.ids.dtype) == ([0, 7, 2], 3, np.int32)
