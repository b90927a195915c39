"""Checkpoints with random weights, for tests and benchmarks that must not need a download."""

import json
import string
from collections.abc import Iterator, Sequence

import numpy as np

from features.columns import Floats
from training.export.checkpoint import Checkpoint

SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")


def made_words(count: int, random: np.random.Generator) -> list[str]:
    """Distinct lower-case words of three to nine letters."""
    letters = np.array(list(string.ascii_lowercase))
    words: dict[str, None] = {}
    while len(words) < count:
        grid = random.choice(letters, (count, 9))
        sizes = random.integers(3, 10, count).tolist()
        words.update({"".join(row[:size]): None for row, size in zip(grid.tolist(), sizes, strict=True)})
    return list(words)[:count]


def wordpiece(words: Sequence[str]) -> str:
    """A BERT tokenizer.json with these words, and single letters to spell all others."""
    letters = [mark + letter for mark in ("", "##") for letter in string.ascii_lowercase]
    pieces = [*SPECIAL, *letters, *(word for word in words if len(word) > 1)]
    added = [
        {"id": i, "content": token, "special": True}
        | dict.fromkeys(("single_word", "lstrip", "rstrip", "normalized"), False)
        for i, token in enumerate(SPECIAL)
    ]
    return json.dumps(
        {
            "version": "1.0",
            "truncation": None,
            "padding": None,
            "added_tokens": added,
            "normalizer": {
                "type": "BertNormalizer",
                "clean_text": True,
                "handle_chinese_chars": True,
                "strip_accents": None,
                "lowercase": True,
            },
            "pre_tokenizer": {"type": "BertPreTokenizer"},
            "post_processor": None,
            "decoder": None,
            "model": {
                "type": "WordPiece",
                "unk_token": "[UNK]",
                "continuing_subword_prefix": "##",
                "max_input_chars_per_word": 100,
                "vocab": {piece: i for i, piece in enumerate(pieces)},
            },
        }
    )


def random_checkpoint(
    tokenizer: str, *, layers: int = 2, hidden: int = 64, heads: int = 4, positions: int = 512, seed: int = 0
) -> Checkpoint:
    """A BERT with one label whose weights are drawn as an initialiser would, norms and biases included."""
    random = np.random.default_rng(seed)
    vocabulary = len(json.loads(tokenizer)["model"]["vocab"])
    config = {
        "architectures": ["BertForSequenceClassification"],
        "model_type": "bert",
        "hidden_act": "gelu",
        "vocab_size": vocabulary,
        "max_position_embeddings": positions,
        "type_vocab_size": 2,
        "hidden_size": hidden,
        "intermediate_size": 4 * hidden,
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
        "layer_norm_eps": 1e-12,
        "id2label": {"0": "LABEL_0"},
    }
    sizes = dict(shapes(vocabulary, positions, hidden, layers))
    return Checkpoint(config, {name: drawn(name, size, random) for name, size in sizes.items()}, tokenizer)


def drawn(name: str, size: tuple[int, ...], random: np.random.Generator) -> Floats:
    """Random weights: matrices by the root of what they read, norms about 1, biases about 0."""
    if name.endswith("LayerNorm.weight"):
        return random.normal(1, 0.1, size).astype(np.float32)
    deviation = 0.05 if len(size) == 1 else 1.5 / np.sqrt(size[1])
    return random.normal(0, deviation, size).astype(np.float32)


def shapes(
    vocabulary: int, positions: int, hidden: int, layers: int
) -> Iterator[tuple[str, tuple[int, ...]]]:
    """Names and shapes of the state dict, as `BertForSequenceClassification` writes them."""
    at = "bert.embeddings"
    for table, rows in (("word", vocabulary), ("position", positions), ("token_type", 2)):
        yield f"{at}.{table}_embeddings.weight", (rows, hidden)
    yield from norm(f"{at}.LayerNorm", hidden)
    for layer in range(layers):
        at = f"bert.encoder.layer.{layer}"
        for part in ("query", "key", "value"):
            yield from dense(f"{at}.attention.self.{part}", hidden, hidden)
        yield from dense(f"{at}.attention.output.dense", hidden, hidden)
        yield from norm(f"{at}.attention.output.LayerNorm", hidden)
        yield from dense(f"{at}.intermediate.dense", hidden, 4 * hidden)
        yield from dense(f"{at}.output.dense", 4 * hidden, hidden)
        yield from norm(f"{at}.output.LayerNorm", hidden)
    yield from dense("bert.pooler.dense", hidden, hidden)
    yield from dense("classifier", hidden, 1)


def dense(name: str, rows: int, columns: int) -> Iterator[tuple[str, tuple[int, ...]]]:
    """A linear layer's tensors."""
    yield f"{name}.weight", (columns, rows)
    yield f"{name}.bias", (columns,)


def norm(name: str, size: int) -> Iterator[tuple[str, tuple[int, ...]]]:
    """A norm's tensors."""
    yield f"{name}.weight", (size,)
    yield f"{name}.bias", (size,)


def made_pairs(
    words: Sequence[str], queries: int, documents: int, random: np.random.Generator, median: float = 12
) -> list[tuple[str, str]]:
    """Queries of two to six words with documents whose lengths are lognormal about the median."""
    pairs = []
    vocabulary = np.array(words)
    for _ in range(queries):
        query = " ".join(random.choice(vocabulary, random.integers(2, 7)))
        for size in np.exp(random.normal(np.log(median), 0.6, documents)).astype(int) + 1:
            pairs.append((query, " ".join(random.choice(vocabulary, size))))
    return pairs
