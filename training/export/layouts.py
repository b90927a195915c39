"""The layout of a checkpoint's pairs, as its own tokenizer makes them."""

from collections.abc import Sequence

from tokenizers import Tokenizer

from features.errors import InvalidInput
from features.transformer.layout import Layout
from training.export.checkpoint import TOKENIZER, read_tokenizer

MARKS = (("[CLS]", "[SEP]", 1, True), ("<s>", "</s>", 2, False))
"""Where the tokenizer does not say: what begins, what ends, how often it stands between, whether documents
count as segment 1. BERT's way, then RoBERTa's."""
WORDS = ("first", "second")
"""What a pair is tried with; any text has a token, if only the unknown one."""


def layout_of(tokenizer: str) -> Layout:
    """What tokenizer.json puts around texts.

    Raises:
        InvalidInput: if it says nothing about pairs and has none of the usual special tokens, or puts them
            where no one-pass model can read them.
    """
    reference = read_tokenizer(tokenizer)
    if reference.post_processor is None:
        return by_marks(reference)
    made = reference.encode(*WORDS)
    owners: list[int | None] = made.sequence_ids
    ids: list[int] = made.ids
    first, second = places(owners, 0), places(owners, 1)
    layout = Layout(
        before=tuple(ids[: first[0]]),
        between=tuple(ids[first[1] : second[0]]),
        after=tuple(ids[second[1] :]),
        segments=made.type_ids[second[0]] == 1,
    )
    return layout if layout.before and layout.between else by_marks(reference)


def places(owners: Sequence[int | None], text: int) -> tuple[int, int]:
    """Where a text's tokens begin and end.

    Raises:
        InvalidInput: if it has none.
    """
    found = [at for at, owner in enumerate(owners) if owner == text]
    if not found:
        raise InvalidInput("makes no token of a plain word", path=TOKENIZER)
    return found[0], found[-1] + 1


def by_marks(reference: Tokenizer) -> Layout:
    """The layout that goes with the special tokens that there are."""
    for begin, end, between, segments in MARKS:
        first, last = reference.token_to_id(begin), reference.token_to_id(end)
        if first is not None and last is not None:
            ends = (last,)
            return Layout(before=(first,), between=ends * between, after=ends, segments=segments)
    names = " or ".join(f"{begin} and {end}" for begin, end, *_ in MARKS)
    raise InvalidInput(f"says nothing of pairs: no post_processor, no {names}", path=TOKENIZER)
