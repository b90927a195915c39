"""A source of pages kept on the disk, for what would be costly to make anew: models go over it many times."""

from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np

from training.clicks.impressions import Impressions, Source

SMALLER = {"query": np.int32, "documents": np.int32}
"""What is below 2^31."""


def shelved(source: Source, folder: Path) -> Source:
    """The same log, read once and written to a folder, an archive of arrays for each of its parts.

    Args:
        folder: empty, and there for as long as the source is used. A position takes 5 bytes, a page 28 more.
    """
    count = 0
    for pages in source():
        np.savez(folder / f"{count}.npz", allow_pickle=False, **_columns(pages))
        count += 1

    def again() -> Iterator[Impressions]:
        for number in range(count):
            with np.load(folder / f"{number}.npz") as archive:
                yield Impressions.of(**{name: archive[name] for name in archive.files})

    return again


def _columns(pages: Impressions) -> dict[str, Any]:
    values = {each.name: getattr(pages, each.name) for each in fields(pages)}
    return {name: np.asarray(value, SMALLER.get(name)) for name, value in values.items()}
