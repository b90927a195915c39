"""How texts are laid out as tokens: what stands before, between and behind them.

A pair is `before query between document after` and a text alone `before text after`: in BERT `[CLS] q [SEP] d
[SEP]`, in RoBERTa `<s> q </s></s> d </s>`. Training, export and serving all lay texts out by this.
"""

from collections.abc import Sequence

import msgspec
import numpy as np

from features.transformer.packed import Ids, Pair


class Layout(msgspec.Struct, frozen=True, kw_only=True):
    """Ids around texts.

    Attributes:
        before, between, after: ids of the special tokens.
        segments: whether the document counts as segment 1 (what stands between belongs to the query); without
            it all is segment 0. Packed graphs of families without segments do not look at them.
    """

    before: tuple[int, ...]
    between: tuple[int, ...]
    after: tuple[int, ...]
    segments: bool = True

    @property
    def special(self) -> int:
        """How many tokens of a pair are not its texts'."""
        return len(self.before) + len(self.between) + len(self.after)

    @property
    def single(self) -> int:
        """How many tokens of a text alone are not its own."""
        return len(self.before) + len(self.after)

    def pair(self, query: Sequence[int] | Ids, document: Sequence[int] | Ids) -> Pair:
        """A query and a document, int32[special + query + document]."""
        return Pair(joined(self.before, query, self.between, document, self.after), self.second(query))

    def second(self, query: Sequence[int] | Ids) -> int:
        """Where the document of a pair begins."""
        return len(self.before) + len(query) + len(self.between)

    def alone(self, text: Sequence[int] | Ids) -> Pair:
        """A text of its own, int32[single + text], all of it segment 0."""
        ids = joined(self.before, text, self.after)
        return Pair(ids, len(ids))


def joined(*parts: Sequence[int] | Ids) -> Ids:
    """The ids one behind the other; several times as fast as `np.concatenate`, which converts tuples."""
    ids = np.empty(sum(len(part) for part in parts), np.int32)
    at = 0
    for part in parts:
        ids[at : at + len(part)] = part
        at += len(part)
    return ids
