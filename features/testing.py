"""Small stand-ins for tests of features and plug-ins: a word-piece tokenizer and a random encoder."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from tokenizers import Tokenizer
from tokenizers.models import WordPiece
from tokenizers.normalizers import BertNormalizer
from tokenizers.pre_tokenizers import BertPreTokenizer

from features.encoder import save_encoder

SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")


def tiny_tokenizer(pieces: Sequence[str], *, lowercase: bool = True) -> bytes:
    """The JSON of a BERT tokenizer with BERT's special tokens and then the given pieces (`##` inside)."""
    vocabulary = {piece: token for token, piece in enumerate(dict.fromkeys((*SPECIAL, *pieces)))}
    tokenizer = Tokenizer(WordPiece(vocabulary, unk_token="[UNK]", max_input_chars_per_word=100))  # noqa: S106
    tokenizer.normalizer = BertNormalizer(lowercase=lowercase)
    tokenizer.pre_tokenizer = BertPreTokenizer()
    tokenizer.add_special_tokens(list(SPECIAL))
    return str(tokenizer.to_str()).encode()


def tiny_encoder(path: Path, pieces: Sequence[str], dimension: int = 16, seed: int = 0) -> Path:
    """An encoder file with random vectors of the given pieces; special tokens have no say."""
    random = np.random.default_rng(seed)
    total = len(dict.fromkeys((*SPECIAL, *pieces)))
    scale = random.uniform(0.5, 1.5, total).astype(np.float32)
    scale[: len(SPECIAL)] = 0.0
    table = random.integers(-127, 128, (total, dimension)).astype(np.int8)
    save_encoder(path, table, scale, tiny_tokenizer(pieces))
    return path
