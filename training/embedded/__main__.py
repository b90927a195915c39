"""Rebuilds the weights that ship with Sluice: `make weights`.

`--pairs` holds the open collections of question and passage pairs that MODEL_CARD.md names, `--movies` the
Movie Search Ranking Dataset; `--start` is the checkpoint all-MiniLM-L6-v2 (config.json, model.safetensors,
tokenizer.json). Hours on two cores.
"""

import argparse
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TypeVar

from rich.progress import track as bar

from features.transformer.model import MODEL, copy_model
from training.embedded.cross_encoder import make_cross_encoder
from training.embedded.movies import read_movies
from training.embedded.pairs import Pair, read
from training.embedded.sentences import make_sentences
from training.embedded.static import StaticTuning, make_encoder
from training.embedded.teacher import cached

ROOT = Path(__file__).parents[2]

T = TypeVar("T")


def shown(work: Iterable[T], description: str, total: int | None = None) -> Iterable[T]:
    """A progress bar."""
    return bar(work, description, total)


def texts_of(pairs: Sequence[Pair]) -> list[str]:
    """Every query, title and document, once, in order."""
    every = (text for pair in pairs for text in (pair.query, pair.title, pair.document) if text)
    return list(dict.fromkeys(every))


def main() -> None:
    """Teacher vectors, static encoder, cross-encoder; each in its place in the tree."""
    parser = argparse.ArgumentParser(prog="python -m training.embedded", description=__doc__)
    parser.add_argument("--pairs", type=Path, required=True, help="folder of the collections of pairs")
    parser.add_argument("--movies", type=Path, required=True, help="folder of the movie searches")
    parser.add_argument("--start", type=Path, required=True, help="folder of the starting checkpoint")
    parser.add_argument("--work", type=Path, default=Path("runs/embedded"), help="for what can be kept")
    chosen = parser.parse_args()
    pairs = read(chosen.pairs)
    vectors = cached(chosen.work, chosen.start, texts_of(pairs), shown)
    encoder = ROOT / "features" / "embedded" / "encoder.npz"
    make_encoder(chosen.start, vectors, encoder, StaticTuning(), shown)
    out = ROOT / "cascade" / "embedded"
    kept, movies = chosen.work / "cross_encoder", read_movies(chosen.movies)
    report = make_cross_encoder(chosen.start, pairs, vectors, movies, chosen.work / "exported", kept, shown)
    copy_model(chosen.work / "exported", out)
    print(f"{report.variant}: {report.parity[report.variant]}")  # noqa: T201
    report = make_sentences(chosen.start, pairs, out / "sentences", out / MODEL, shown)
    print(f"{report.variant}: {report.parity[report.variant]}")  # noqa: T201


if __name__ == "__main__":
    main()
