"""Word pieces of texts: the ids that Hugging Face `tokenizers` gives, several times as fast for BERT's.

ASCII goes through a compiled scan (`wordpiece_scan.py`); stretches that are not ASCII, texts that spell out a
special token, and tokenizers of other families (unigram, byte-level BPE) go to `tokenizers`.

WordPiece: Schuster and Nakajima 2012, "Japanese and Korean voice search"; greedy longest match first.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from tokenizers import Tokenizer

from features.columns import Rows
from features.errors import Corrupt
from features.transformer.wordpiece_scan import Ids, Table, build, scan


@dataclass(frozen=True, slots=True, eq=False)
class Tokens:
    """Ids of n texts: `ids[offsets[i]:offsets[i + 1]]` (int32) are text i's; offsets are int64[n + 1]."""

    ids: Ids
    offsets: Rows

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def of(self, text: int) -> Ids:
        """The ids of one text."""
        return self.ids[self.offsets[text] : self.offsets[text + 1]]


@dataclass(frozen=True, slots=True, eq=False)
class WordPieces:
    """A loaded tokenizer; safe to share among threads, as nothing in it changes.

    Attributes:
        reference: the tokenizer itself, without truncation and padding.
        table: the vocabulary for the compiled scan; None where the tokenizer is no BERT WordPiece.
        added: special tokens as they would stand in a text, in UTF-8.
        unknown: id of the unknown token, if there is one.
    """

    reference: Tokenizer
    table: Table | None
    added: tuple[bytes, ...]
    unknown: int | None

    @classmethod
    def load(cls, tokenizer_json: Path | bytes) -> "WordPieces":
        """From a `tokenizer.json` or its bytes.

        Raises:
            Corrupt: if it is no tokenizer.
        """
        raw = tokenizer_json.read_bytes() if isinstance(tokenizer_json, Path) else tokenizer_json
        try:
            reference = Tokenizer.from_str(raw.decode())
        except Exception as error:  # tokenizers raises bare Exception
            raise Corrupt(f"not a tokenizer: {error}", path="tokenizer.json") from None
        reference.no_truncation()
        reference.no_padding()
        spec = json.loads(raw)
        added = tuple(token["content"].encode() for token in spec.get("added_tokens") or ())
        return cls(reference, compile_table(spec), added, unknown_id(spec["model"], reference))

    @property
    def size(self) -> int:
        """How many tokens there are, special ones included."""
        return int(self.reference.get_vocab_size(with_added_tokens=True))

    def encode(self, texts: Sequence[str]) -> Tokens:
        """Ids of each text, with no special token added around them. Time is linear in the bytes."""
        if self.table is None or not texts:
            return packed(self._reference_ids(texts))
        raw = [text.encode("utf-8", "surrogatepass") for text in texts]
        whole = self._with_special_tokens(raw)
        for row in whole:
            raw[row] = b""
        tokens, spans, buffer = scanned(self.table, raw)
        at = [(row, int(tokens.offsets[row]), texts[row]) for row in whole]
        at += [(row, where, buffer[i:j].decode("utf-8", "replace")) for row, where, i, j in spans.tolist()]
        return self._spliced(tokens, sorted(at)) if at else tokens

    def _with_special_tokens(self, raw: Sequence[bytes]) -> list[int]:
        joined = b"\n".join(raw)
        present = [token for token in self.added if token in joined]
        return [row for row, text in enumerate(raw) if any(token in text for token in present)]

    def _spliced(self, tokens: Tokens, stretches: list[tuple[int, int, str]]) -> Tokens:
        """The tokens with the reference's ids of each stretch (text, position, characters) put in."""
        rows, positions, texts = zip(*stretches, strict=True)
        unique = list(dict.fromkeys(texts))
        known = dict(zip(unique, self._reference_ids(unique), strict=True))
        made = [known[text] for text in texts]
        lengths = np.array([len(ids) for ids in made])
        ids = np.insert(tokens.ids, np.repeat(positions, lengths), [i for ids in made for i in ids])
        more = np.bincount(rows, lengths, minlength=len(tokens)).astype(np.int64)
        return Tokens(ids, tokens.offsets + np.concatenate([[0], np.cumsum(more)]))

    def _reference_ids(self, texts: Sequence[str]) -> list[list[int]]:
        clean = [text.encode("utf-8", "surrogatepass").decode("utf-8", "replace") for text in texts]
        encodings = self.reference.encode_batch_fast(clean, add_special_tokens=False)
        return [encoding.ids for encoding in encodings]


def scanned(table: Table, raw: Sequence[bytes]) -> tuple[Tokens, Rows, bytes]:
    """The scan's tokens, the stretches it left out, and the bytes that these point into."""
    buffer = b"".join(raw)
    text = np.frombuffer(buffer, np.uint8)
    ends = np.cumsum([len(one) for one in raw])
    foreign = int(np.count_nonzero(text >= 128))
    ids, counts = np.empty(len(text), np.int32), np.empty(len(raw), np.int64)
    spans = np.empty((foreign // 2 + 1, 4), np.int64)
    found = scan(table, text, ends, ids, counts, spans)
    offsets = np.concatenate([[0], np.cumsum(counts)])
    return Tokens(ids[: offsets[-1]].copy(), offsets), spans[:found], buffer


def packed(ids: Sequence[Sequence[int]]) -> Tokens:
    """Lists of ids as one array with offsets."""
    offsets = np.zeros(len(ids) + 1, np.int64)
    np.cumsum([len(one) for one in ids], out=offsets[1:])
    return Tokens(np.array([i for one in ids for i in one], np.int32), offsets)


def compile_table(spec: Mapping[str, Any]) -> Table | None:
    """The vocabulary as a table, where every rule of the tokenizer is one that the scan follows."""
    model, normalizer = spec["model"], spec.get("normalizer") or {}
    bert = (model.get("type"), normalizer.get("type"), (spec.get("pre_tokenizer") or {}).get("type"))
    plain = all(not token["normalized"] for token in spec.get("added_tokens") or ())
    unknown = model.get("vocab", {}).get(model.get("unk_token")) if bert[0] == "WordPiece" else None
    if bert != ("WordPiece", "BertNormalizer", "BertPreTokenizer") or not plain or unknown is None:
        return None
    if not normalizer.get("clean_text"):
        return None
    prefix, most = model["continuing_subword_prefix"], model["max_input_chars_per_word"]
    return build(model["vocab"], prefix, unknown, most, lower=normalizer["lowercase"])


def unknown_id(model: Mapping[str, Any], reference: Tokenizer) -> int | None:
    """The id of the unknown token, by name (WordPiece, BPE) or by position (unigram)."""
    if isinstance(model.get("unk_token"), str):
        found: int | None = reference.token_to_id(model["unk_token"])
        return found
    position: int | None = model.get("unk_id")
    return position
