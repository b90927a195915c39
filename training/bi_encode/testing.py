"""Small random sentence encoders, for tests that must not need a download."""

import json
from pathlib import Path

import numpy as np

from training.export import Gate, export
from training.export.checkpoint import Checkpoint, write_checkpoint
from training.export.testing import made_pairs, random_checkpoint, wordpiece

WORDS = ("red", "blue", "green", "black", "white", "brown", "thing", "sky", "river", "quiet", "tea", "shoe")
CLASSES = "sentence_transformers.models"


def body(*, hidden: int = 32, positions: int = 64, layers: int = 2, seed: int = 0) -> Checkpoint:
    """A random BERT without a head, which knows `WORDS` and spells the others."""
    made = random_checkpoint(wordpiece(WORDS), layers=layers, hidden=hidden, positions=positions, seed=seed)
    config = {key: value for key, value in made.config.items() if key != "id2label"}
    tensors = {
        name.removeprefix("bert."): tensor
        for name, tensor in made.tensors.items()
        if not name.startswith("classifier")
    }
    return Checkpoint({**config, "architectures": ["BertModel"]}, tensors, made.tokenizer)


def write_sentence_transformer(
    directory: Path, checkpoint: Checkpoint, pooling: str = "mean", *, normalised: bool = True
) -> Path:
    """A directory as sentence-transformers saves an encoder."""
    write_checkpoint(checkpoint, directory)
    parts = [("", "Transformer"), ("1_Pooling", "Pooling"), *([("2_Normalize", "Normalize")] * normalised)]
    modules = [
        {"idx": at, "name": str(at), "path": path, "type": f"{CLASSES}.{name}"}
        for at, (path, name) in enumerate(parts)
    ]
    (directory / "modules.json").write_text(json.dumps(modules))
    for path, _ in parts[1:]:
        (directory / path).mkdir()
    config = {
        "word_embedding_dimension": checkpoint.config["hidden_size"],
        "pooling_mode_cls_token": pooling == "cls",
        "pooling_mode_mean_tokens": pooling == "mean",
    }
    (directory / "1_Pooling" / "config.json").write_text(json.dumps(config))
    special = {
        "tokenizer_class": "BertTokenizer",
        "model_max_length": checkpoint.config["max_position_embeddings"],
    }
    (directory / "tokenizer_config.json").write_text(json.dumps(special))
    return directory


def export_encoder(
    directory: Path, checkpoint: Checkpoint | Path | None = None, variant: str = "int8"
) -> Path:
    """The directory of an exported encoder."""
    pairs = made_pairs(WORDS, 10, 12, np.random.default_rng(6))
    gate = Gate(tau=0.3, top_10=0.3)
    export(checkpoint or body(), directory, pairs, task="vector", variants=[variant], gate=gate)
    return directory
