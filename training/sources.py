"""The one door to labelled data, whatever its form on disk."""

from pathlib import Path

from training.collection import Collection, read_collection
from training.letor import letor_collection


def open_collection(path: Path, queries: str = "") -> Collection:
    """A folder in BEIR's layout with the queries of that name, or a file of LETOR lines.

    Raises:
        NotFound: naming what there is, where something is missing.
        InvalidInput: naming `file:line` for what cannot be right.
    """
    return letor_collection(path) if path.is_file() else read_collection(path, queries)
