"""Checkpoints that cannot be right, and those that are right in an unusual way."""

import json
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from features.errors import InvalidInput, NotReady
from tests.support import require
from training.export import Checkpoint, Gate, export, read_checkpoint
from training.export.checkpoint import INDEX, WEIGHTS, write_checkpoint
from training.export.exporter import replacing
from training.export.layouts import layout_of
from training.export.pooling import output_of
from training.export.testing import byte_level, unigram, wordpiece

Saved = Callable[[str], Path]
Texts = list[tuple[str, str]]
OPEN = Gate(tau=0.3, top_10=0.3)


def without(source: Path, target: Path, name: str) -> Path:
    """A copy of a checkpoint that lacks a tensor."""
    found = read_checkpoint(source)
    assert name in found.tensors
    tensors = {key: value for key, value in found.tensors.items() if key != name}
    write_checkpoint(replace(found, tensors=tensors), target)
    return target


@pytest.mark.parametrize(
    ("family", "name"),
    [
        ("roberta", "roberta.encoder.layer.1.attention.self.key.weight"),
        ("xlm-roberta", "classifier.out_proj.weight"),
        ("distilbert", "distilbert.transformer.layer.0.ffn.lin1.weight"),
        ("electra", "electra.embeddings_project.bias"),
        ("modernbert", "model.layers.2.mlp.Wi.weight"),
        ("albert", "albert.encoder.embedding_hidden_mapping_in.weight"),
    ],
)
def test_a_missing_tensor_is_named(
    saved: Saved, pairs: Texts, tmp_path: Path, family: str, name: str
) -> None:
    """By the name that the checkpoint gives it, not by the one it has here; nothing starts at random."""
    with pytest.raises(InvalidInput, match=name.replace(".", r"\.")):
        export(without(saved(family), tmp_path / "broken", name), tmp_path / "out", pairs[:40], gate=OPEN)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("family", ["bert", "roberta", "modernbert", "albert"])
def test_two_labels_are_refused(pairs: Texts, words: list[str], tmp_path: Path, family: str) -> None:
    """A classifier of two labels has no score to rank by, even where config.json leaves its labels out."""
    require("torch")
    require("transformers")
    from training.export.testing import transformers_checkpoint

    tokenizer = byte_level([" ".join(words)], angles=family == "roberta")
    directory = transformers_checkpoint(family, tokenizer, tmp_path / "two", num_labels=2)
    with pytest.raises(InvalidInput, match="2 labels where a ranker needs 1"):
        export(directory, tmp_path / "out", pairs[:40])


def test_code_of_a_checkpoint_never_runs(checkpoint: Checkpoint, pairs: Texts, tmp_path: Path) -> None:
    """An architecture that comes as Python files is refused, and its files are not imported."""
    require("transformers")
    config = {
        **checkpoint.config,
        "model_type": "homemade",
        "auto_map": {"AutoConfig": "code.Config", "AutoModelForSequenceClassification": "code.Model"},
    }
    write_checkpoint(replace(checkpoint, config=config), tmp_path / "homemade")
    (tmp_path / "homemade" / "code.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')")
    with pytest.raises(InvalidInput, match="without code of its own"):
        export(tmp_path / "homemade", tmp_path / "out", pairs[:40])
    assert not (tmp_path / "ran").exists()


def test_pickled_weights_are_not_read(checkpoint: Checkpoint, pairs: Texts, tmp_path: Path) -> None:
    """Where there is nothing but a pickle, the error names safetensors."""
    require("safetensors")
    write_checkpoint(checkpoint, tmp_path / "old")
    (tmp_path / "old" / WEIGHTS).rename(tmp_path / "old" / "pytorch_model.bin")
    with pytest.raises(InvalidInput, match=r"pickled.*model\.safetensors"):
        export(tmp_path / "old", tmp_path / "out", pairs)


@pytest.mark.parametrize("size", [100, 2_000])
def test_another_models_tokenizer_is_refused(
    saved: Saved, words: list[str], pairs: Texts, tmp_path: Path, size: int
) -> None:
    """More tokens than vectors, or padding at another id: both sides are named."""
    found = read_checkpoint(saved("bert"))
    config = {**found.config, "pad_token_id": 0}
    many = [f"{word}{i}" for i in range(size // 300 + 1) for word in words]
    other = byte_level(many, size=size) if size > 1_000 else unigram(many, size=size)
    with pytest.raises(InvalidInput, match=r"tokenizer\.json: (has \d+ tokens where|pads with 1 where)"):
        export(replace(found, config=config, tokenizer=other), tmp_path / "out", pairs[:40])


def test_bfloat16_shards_and_old_names_read_alike(checkpoint: Checkpoint, tmp_path: Path) -> None:
    """Several files, half precision and names of 2018 give the same tensors, rounded at most."""
    require("torch")
    import torch
    from safetensors.torch import save_file

    write_checkpoint(checkpoint, tmp_path)
    (tmp_path / WEIGHTS).unlink()
    names = list(checkpoint.tensors)
    files = {name: f"part-{i % 2}.safetensors" for i, name in enumerate(names)}
    for file in set(files.values()):
        tensors = {
            name.replace("LayerNorm.weight", "LayerNorm.gamma"): torch.from_numpy(
                checkpoint.tensors[name]
            ).to(torch.bfloat16 if "LayerNorm" not in name else torch.float16)
            for name in names
            if files[name] == file
        }
        save_file(tensors, tmp_path / file)
    (tmp_path / INDEX).write_text(json.dumps({"weight_map": files}))
    found = read_checkpoint(tmp_path).tensors
    assert set(found) == set(names)
    for name in names:
        np.testing.assert_allclose(found[name], checkpoint.tensors[name], rtol=2**-7, atol=1e-7)
        assert found[name].dtype == np.float32


@pytest.mark.parametrize(
    ("tokenizer", "between", "segments"),
    [(wordpiece(["ab"]), 1, True), (unigram(["a b c d e"] * 9, 30), 2, False)],
)
def test_layouts_come_from_the_tokenizer(tokenizer: str, between: int, segments: bool) -> None:
    """With a post-processor or by the names of special tokens."""
    layout = layout_of(tokenizer)
    assert (len(layout.between), layout.segments) == (between, segments)
    assert layout.between[:1] == layout.after


def test_a_tokenizer_without_special_tokens_is_refused() -> None:
    """Pairs cannot be made of a vocabulary alone."""
    spec = json.loads(wordpiece(["ab"]))
    spec["added_tokens"] = []
    for token in ("[CLS]", "[SEP]"):
        del spec["model"]["vocab"][token]
    with pytest.raises(InvalidInput, match="says nothing of pairs"):
        layout_of(json.dumps(spec))


def sentence_encoder(directory: Path, pooling: dict[str, object], *more: str) -> Path:
    """The files that sentence-transformers puts beside a checkpoint."""
    kinds = ("Transformer", "Pooling", *more)
    modules = [
        {"type": f"sentence_transformers.models.{kind}", "path": f"{i}_{kind}" if i else ""}
        for i, kind in enumerate(kinds)
    ]
    directory.mkdir(exist_ok=True)
    (directory / "modules.json").write_text(json.dumps(modules))
    (directory / "1_Pooling").mkdir()
    (directory / "1_Pooling" / "config.json").write_text(json.dumps(pooling))
    return directory


@pytest.mark.parametrize(
    ("pooling", "more", "wanted"),
    [
        ({"pooling_mode_mean_tokens": True, "pooling_mode_cls_token": False}, (), ("mean", False)),
        ({"pooling_mode_cls_token": True, "word_embedding_dimension": 8}, ("Normalize",), ("cls", True)),
        ({"pooling_mode": "mean"}, ("Normalize",), ("mean", True)),
    ],
)
def test_pooling_is_read(
    tmp_path: Path, pooling: dict[str, object], more: tuple[str, ...], wanted: tuple[str, bool]
) -> None:
    """As modules.json and 1_Pooling/config.json say."""
    output = output_of(sentence_encoder(tmp_path / "st", pooling, *more), "vector")
    assert (output.pooling, output.normalised) == wanted


@pytest.mark.parametrize(
    ("pooling", "more", "message"),
    [
        ({"pooling_mode_max_tokens": True}, (), "pooling_mode_max_tokens; mean or cls"),
        ({"pooling_mode_mean_tokens": True, "pooling_mode_cls_token": True}, (), "mean, cls"),
        ({"pooling_mode": "mean"}, ("Dense",), "the modules Dense"),
    ],
)
def test_other_modules_are_refused(
    tmp_path: Path, pooling: dict[str, object], more: tuple[str, ...], message: str
) -> None:
    """What would give other vectors is not left out in silence."""
    with pytest.raises(InvalidInput, match=message):
        output_of(sentence_encoder(tmp_path / "st", pooling, *more), "vector")


def test_what_a_sentence_encoder_gives_is_sentence_transformers_own(
    saved: Saved, pairs: Texts, tmp_path: Path
) -> None:
    """A directory of sentence-transformers, exported in float32, encodes as the library does."""
    require("sentence_transformers")
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.models import Normalize, Pooling, Transformer

    from features.transformer.loaded import load_model

    body = Transformer(str(saved("bert")))
    encoder = SentenceTransformer(modules=[body, Pooling(32, pooling_mode="cls"), Normalize()], device="cpu")
    encoder.save(str(tmp_path / "st"))
    texts = [document[:80] for _, document in pairs[:20]]
    report = export(tmp_path / "st", tmp_path / "out", texts, task="vector", variants=["float32"], gate=OPEN)
    assert report.dimension == 32
    model = load_model(tmp_path / "out")
    found = np.concatenate([model.run([model.tokens([text])]) for text in texts])
    np.testing.assert_allclose(found, encoder.encode(texts), atol=0.02)  # word vectors are int8
    assert (found * encoder.encode(texts)).sum(axis=1).min() > 0.999


def test_a_killed_export_leaves_nothing_to_find(tmp_path: Path) -> None:
    """A process that dies between the files leaves the old model as it was, and no new one."""
    (tmp_path / "old").mkdir()
    (tmp_path / "old" / "model.onnx").write_text("whole")
    for name in ("old", "new"):
        child = os.fork()
        if not child:
            with replacing(tmp_path / name) as made:
                (made / "model.onnx").write_text("half")
                os._exit(9)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 9
    assert (tmp_path / "old" / "model.onnx").read_text() == "whole"
    assert not (tmp_path / "new").exists()
    assert {path.name for path in tmp_path.iterdir() if not path.name.startswith(".")} == {"old"}


def test_no_framework_is_told(
    checkpoint: Checkpoint, pairs: Texts, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without torch, a family that needs it says why and what to install."""
    monkeypatch.setattr("training.export.source.find_spec", lambda name: None)
    other = replace(checkpoint, config={**checkpoint.config, "model_type": "albert"})
    with pytest.raises(NotReady, match=r"'albert'.*sluice\[train\]"):
        export(other, tmp_path / "out", pairs)
