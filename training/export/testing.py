"""Checkpoints with random weights, for tests and benchmarks that must not need a download."""

import json
import string
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from features.columns import Floats
from features.transformer.packed import Pair
from features.transformer.tokens import Pairing
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


ANGLES = ("<s>", "<pad>", "</s>", "<unk>", "<mask>")


def with_pairs(tokenizer: str) -> str:
    """A WordPiece tokenizer.json that makes BERT's pairs by itself, as those on the hub do."""
    from tokenizers import Tokenizer, processors

    made = Tokenizer.from_str(tokenizer)
    made.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[(token, made.token_to_id(token)) for token in ("[CLS]", "[SEP]")],
    )
    return str(made.to_str())


def unigram(texts: Sequence[str], size: int = 300) -> str:
    """A tokenizer.json as XLM-RoBERTa has it: unigram pieces (Kudo 2018) learned on the texts."""
    from tokenizers import Tokenizer, models, pre_tokenizers, processors, trainers

    made = Tokenizer(models.Unigram())
    made.pre_tokenizer = pre_tokenizers.Metaspace()
    trainer = trainers.UnigramTrainer(
        vocab_size=size,
        special_tokens=list(ANGLES),
        unk_token=ANGLES[3],
        show_progress=False,
    )
    made.train_from_iterator(texts, trainer)
    made.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>",
        pair="<s> $A </s> </s> $B </s>",
        special_tokens=[(token, made.token_to_id(token)) for token in ("<s>", "</s>")],
    )
    return str(made.to_str())


def byte_level(texts: Sequence[str], size: int = 400, angles: bool = True) -> str:
    """A tokenizer.json as RoBERTa has it, or ModernBERT (without `angles`): pairs of bytes, then of pairs."""
    from tokenizers import Tokenizer, models, pre_tokenizers, processors, trainers

    special = ANGLES if angles else SPECIAL
    made = Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    trainer = trainers.BpeTrainer(
        vocab_size=size,
        special_tokens=list(special),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    made.train_from_iterator(texts, trainer)
    if angles:
        last, first = ((token, special.index(token)) for token in ("</s>", "<s>"))
        made.post_processor = processors.RobertaProcessing(last, first, add_prefix_space=False)
    else:
        made.post_processor = processors.TemplateProcessing(
            single="[CLS] $A [SEP]",
            pair="[CLS] $A [SEP] $B [SEP]",
            special_tokens=[(token, made.token_to_id(token)) for token in ("[CLS]", "[SEP]")],
        )
    return str(made.to_str())


def transformers_checkpoint(family: str, tokenizer: str, directory: Path, **changes: Any) -> Path:
    """A tiny model of transformers with random weights and one label, saved with its tokenizer.

    Norms and biases are moved from where initialisers leave them. Needs torch and transformers.
    """
    import torch
    from transformers import AutoConfig, AutoModelForSequenceClassification

    tokens = json.loads(tokenizer)
    vocabulary = tokens["model"]["vocab"]
    padding = next(t["id"] for t in tokens["added_tokens"] if t["content"] in ("[PAD]", "<pad>"))
    sizes = {
        "vocab_size": len(vocabulary),
        "hidden_size": 32,
        "intermediate_size": 48,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "max_position_embeddings": 130,
        "pad_token_id": padding,
        "num_labels": 1,
    }
    torch.manual_seed(0)
    config = AutoConfig.for_model(family, **renamed(family, sizes | SPECIAL_SIZES.get(family, {}) | changes))
    model = AutoModelForSequenceClassification.from_config(config)  # type: ignore[no-untyped-call]
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.15 * torch.randn_like(parameter))
    model.save_pretrained(directory)
    (directory / "tokenizer.json").write_text(tokenizer, encoding="utf-8")
    return directory


SPECIAL_SIZES: dict[str, dict[str, Any]] = {
    "roberta": {"type_vocab_size": 1},
    "xlm-roberta": {"type_vocab_size": 1},
    "camembert": {"type_vocab_size": 1},
    "electra": {"embedding_size": 16},
    "albert": {"embedding_size": 16},
    "modernbert": {
        "num_hidden_layers": 3,
        "local_attention": 16,
        **dict.fromkeys(("bos_token_id", "cls_token_id"), 2),
        **dict.fromkeys(("eos_token_id", "sep_token_id"), 3),
    },
}
DISTILLED = {
    "hidden_size": "dim",
    "intermediate_size": "hidden_dim",
    "num_hidden_layers": "n_layers",
    "num_attention_heads": "n_heads",
}


def renamed(family: str, sizes: dict[str, Any]) -> dict[str, Any]:
    """The sizes by the names that a family gives them."""
    return {DISTILLED.get(key, key) if family == "distilbert" else key: size for key, size in sizes.items()}


def tokenise(texts: Pairing, pairs: Sequence[tuple[str, str]]) -> list[Pair]:
    """Every (query, document) as tokens."""
    return [texts.pairs(query, [document])[0][0] for query, document in pairs]
