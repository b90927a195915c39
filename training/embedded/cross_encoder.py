"""The embedded cross-encoder: the starting checkpoint, fine-tuned listwise in two rounds, and exported.

The first round reads question and passage pairs; the second, gentler one reads others of them, with keyword
queries more often, and movie searches, whose documents are short.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from training.embedded.mine import Mining, mine
from training.embedded.pairs import Pair
from training.export import Report, export, read_checkpoint
from training.export.checkpoint import write_checkpoint
from training.fine_tune import Hooks, List, Tuning, fine_tune
from training.packed_bert import as_checkpoint, model_of, tokenizer_of
from training.progress import Track, quiet

FIRST = Tuning(epochs=0.4, learning_rate=5e-5, max_tokens=128, query_tokens=32, threads=1)
SECOND = Tuning(epochs=1.0, learning_rate=4e-5, max_tokens=128, query_tokens=32, threads=1, seed=11)
MORE = Mining(titled=0.12, seed=11)
MORE_SHARE = 0.135
"""Of the lists that each collection gives in the first round."""
CALIBRATION_LISTS = 64


def make_cross_encoder(
    start: Path,
    pairs: Sequence[Pair],
    vectors: Mapping[str, NDArray[np.float16]],
    movies: Sequence[List],
    out: Path,
    checkpoint: Path,
    track: Track = quiet,
) -> Report:
    """Mine, fine-tune, export to `out`; the checkpoint in full precision goes to `checkpoint`."""
    lists = mine(pairs, vectors, Mining())
    more = [*mine(pairs, vectors, MORE, MORE_SHARE), *movies]
    source = read_checkpoint(start)
    model = model_of(source)
    for tuning, some in ((FIRST, lists), (SECOND, more)):
        hooks = Hooks(track=track, description="embedded cross-encoder")
        fine_tune(model, some, tokenizer_of(source), tuning, hooks)
    tuned = as_checkpoint(model, source)
    write_checkpoint(tuned, checkpoint)
    return export(tuned, out, calibration(lists))


def calibration(lists: Sequence[List]) -> list[tuple[str, str]]:
    """Real pairs of lists that are spread evenly over the collections."""
    drawn = np.linspace(0, len(lists) - 1, CALIBRATION_LISTS).astype(int)
    return [(lists[at].query, document) for at in drawn.tolist() for document in lists[at].documents]
