"""Fine-tuning starts from the shipped int8 graph, so the graph must come back as the checkpoint it was."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import spearmanr

from features.errors import InvalidInput
from features.transformer.model import copy_model
from training.embedded.sentences import borrow
from training.export import Checkpoint, export
from training.export.families import INPUTS
from training.export.families.bert import Bert
from training.export.linear import Float
from training.export.restore import restore
from training.export.run import open_model, pairing, scores
from training.export.testing import tokenise

Pairs = list[tuple[str, str]]


@pytest.fixture
def exported(checkpoint: Checkpoint, pairs: Pairs, tmp_path: Path) -> Path:
    """The checkpoint as a stage's directory."""
    export(checkpoint, tmp_path / "stage", pairs, max_tokens=32, query_tokens=8)
    return tmp_path / "stage"


def test_every_tensor_comes_back_by_its_name_and_shape(exported: Path, checkpoint: Checkpoint) -> None:
    """The restored state dict has the tensors of the original, none more and none less."""
    back = restore(exported)
    shapes = {name: tensor.shape for name, tensor in checkpoint.tensors.items()}
    assert {name: tensor.shape for name, tensor in back.tensors.items()} == shapes
    same = ("num_hidden_layers", "num_attention_heads", "intermediate_size", "vocab_size")
    assert [back.config[key] for key in same] == [checkpoint.config[key] for key in same]


def test_borrowed_word_vectors_come_back(exported: Path) -> None:
    """From a folder whose model keeps its word vectors in another file, and in its copy."""
    whole = restore(exported)
    shutil.copytree(exported, exported.parent / "lender")
    borrow(exported, exported.parent / "lender" / "model.onnx")
    (exported.parent / "copy").mkdir()
    copy_model(exported, exported.parent / "copy")
    (words,) = (name for name in whole.tensors if "word_embeddings" in name)
    for folder in (exported, exported.parent / "copy"):
        np.testing.assert_array_equal(restore(folder).tensors[words], whole.tensors[words])


def test_a_restored_checkpoint_ranks_as_the_original(
    exported: Path, checkpoint: Checkpoint, pairs: Pairs
) -> None:
    """In full precision the restored weights order pairs as the original ones do, but for int8's steps."""
    texts = tokenise(pairing(checkpoint.tokenizer, 32, 8), pairs)
    original, again = (scores(full(each), texts) for each in (checkpoint, restore(exported)))
    assert spearmanr(original, again).statistic > 0.97


def full(checkpoint: Checkpoint) -> object:
    """A session in full precision."""
    return open_model(Bert(checkpoint).write(Float(), False).model(INPUTS, {"score": ("B",)}))


def test_another_graph_is_refused(tmp_path: Path) -> None:
    """A graph that this project did not write is no start for training."""
    import onnx

    graph = onnx.helper.make_graph([], "other", [], [])
    onnx.save(onnx.helper.make_model(graph), tmp_path / "model.onnx")
    with pytest.raises(InvalidInput, match="packed graph"):
        restore(tmp_path)
