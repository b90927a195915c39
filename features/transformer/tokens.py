"""Texts to pairs of tokens: a bounded text is tokenised once and its tokens are kept by content."""

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from threading import Lock
from weakref import WeakValueDictionary

from features.transformer.layout import Layout
from features.transformer.packed import Ids, Pair
from features.transformer.wordpiece import WordPieces

CHARACTERS_A_TOKEN = 32
"""A text is cut at this many characters a token of its room before it is tokenised. A word piece has four
to six, so that only oddities (such as pages of blanks) lose a token that had room."""
OVERHEAD = 200
"""Bytes that an entry of the cache costs beyond its tokens."""
SPECIAL = 4
"""The most special tokens that a pair of any known layout has: RoBERTa's `<s>`, `</s></s>` and `</s>`."""


@dataclass(frozen=True, slots=True, eq=False)
class Text:
    """A text's first tokens, and whether that is all of them."""

    ids: Ids
    cut: bool


@dataclass
class TokenCache:
    """Tokens by content within a byte budget, the least recently used go first. Safe among threads.

    A cache that is shared holds its `tokenizer`, whose identity stands for it.
    """

    budget: int
    used: int = 0
    entries: OrderedDict[bytes, Text] = field(default_factory=OrderedDict)
    lock: Lock = field(default_factory=Lock)
    tokenizer: WordPieces | None = None

    def get(self, keys: Sequence[bytes]) -> list[Text | None]:
        """What is known of the keys."""
        with self.lock:
            found = [self.entries.get(key) for key in keys]
            for key, text in zip(keys, found, strict=True):
                if text is not None:
                    self.entries.move_to_end(key)
        return found

    def put(self, keys: Sequence[bytes], texts: Sequence[Text]) -> None:
        """Keep the texts, and drop old ones over the budget."""
        with self.lock:
            for key, text in zip(keys, texts, strict=True):
                if key not in self.entries:
                    self.entries[key] = text
                    self.used += text.ids.nbytes + OVERHEAD
            while self.used > self.budget and self.entries:
                _, old = self.entries.popitem(last=False)
                self.used -= old.ids.nbytes + OVERHEAD


class TokenCaches:
    """Caches by what their tokens are, alive as long as a stage holds them: rankers that share a model share
    what it has read."""

    def __init__(self) -> None:
        self._open: WeakValueDictionary[tuple[int, int, int], TokenCache] = WeakValueDictionary()
        self._lock = Lock()

    def of(self, tokenizer: WordPieces, reads: int, budget: int) -> TokenCache:
        """The cache of a tokenizer's first `reads` tokens of texts, within a budget of bytes."""
        key = (id(tokenizer), reads, budget)
        with self._lock:
            found = self._open.get(key)
            if found is None:
                found = self._open[key] = TokenCache(budget, tokenizer=tokenizer)
            return found


CACHES = TokenCaches()
"""The process's caches."""


def shares(query: int, document: int, room: int, query_tokens: int) -> tuple[int, int]:
    """How many tokens of query and document a pair of `room` tokens holds, special ones aside.

    The query keeps `query_tokens`, and more where the document leaves room.
    """
    kept = min(query, room, max(query_tokens, room - document))
    return kept, min(document, room - kept)


@dataclass(frozen=True, slots=True)
class Pairing:
    """Makes pairs of a query and documents.

    Attributes:
        tokenizer: texts to word pieces.
        layout: the special tokens around them.
        max_tokens: of a whole pair, special tokens included.
        query_tokens: what the query keeps of them however long the document is.
        cache: tokens of documents.
        document_tokens: of a document that is read in passages; 0 = no more than a pair holds.
    """

    tokenizer: WordPieces
    layout: Layout
    max_tokens: int
    query_tokens: int
    cache: TokenCache
    document_tokens: int = 0

    def pairs(self, query: str, documents: Sequence[str]) -> tuple[list[Pair], int, bool]:
        """A pair a document, how many documents were cut, and whether the query was."""
        asked = self.encode([query])[0]
        made = [self.pair(asked, text) for text in self.texts(documents)]
        cut = sum(cut for _, cut, _ in made)
        return [pair for pair, _, _ in made], cut, any(short for _, _, short in made)

    def pair(self, query: Text, document: Text) -> tuple[Pair, bool, bool]:
        """The pair, whether the document was cut, and whether the query was."""
        room = self.max_tokens - self.layout.special
        kept, left = shares(len(query.ids), len(document.ids), room, self.query_tokens)
        made = self.layout.pair(query.ids[:kept], document.ids[:left])
        short = query.cut or kept < len(query.ids)
        return made, document.cut or left < len(document.ids), short

    @property
    def reads(self) -> int:
        """Tokens of a document that are ever looked at."""
        return self.document_tokens or self.max_tokens

    def texts(self, documents: Sequence[str]) -> list[Text]:
        """The documents' tokens, from the cache where they are known."""
        keys = [content_key(text, self.reads * CHARACTERS_A_TOKEN) for text in documents]
        found = self.cache.get(keys)
        unknown = {
            key: text for key, text, known in zip(keys, documents, found, strict=True) if known is None
        }
        if unknown:
            made = self.encode(list(unknown.values()), self.reads)
            fresh = dict(zip(unknown, made, strict=True))
            self.cache.put(list(fresh), list(fresh.values()))
            found = [known or fresh[key] for key, known in zip(keys, found, strict=True)]
        return [text for text in found if text is not None]

    def encode(self, texts: Sequence[str], most: int = 0) -> list[Text]:
        """The texts' first `most` tokens (`max_tokens` for 0)."""
        most = most or self.max_tokens
        bound = most * CHARACTERS_A_TOKEN
        tokens = self.tokenizer.encode([text[:bound] for text in texts])
        edges = tokens.offsets.tolist()
        spans = zip(edges[:-1], edges[1:], texts, strict=True)
        return [
            Text(tokens.ids[a : min(b, a + most)].copy(), b - a > most or len(text) > bound)
            for a, b, text in spans
        ]

    def knows(self, text: Text) -> bool:
        """Whether any token of a text is one that the vocabulary has."""
        return self.tokenizer.unknown is None or bool((text.ids != self.tokenizer.unknown).any())


def content_key(text: str, bound: int) -> bytes:
    """Stands for what is read of a text: its first `bound` characters, and whether there are more."""
    read = text[:bound].encode("utf-8", "surrogatepass")
    return blake2b(read, digest_size=16, person=b"cut" if len(text) > bound else b"").digest()
