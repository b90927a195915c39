"""Tables of vectors: written, mapped, and asked by content and by id."""

from pathlib import Path

import numpy as np
import pytest

from features.errors import Corrupt
from features.transformer.table import KEYS, VECTORS, load_table, save_table
from features.transformer.vector_cache import content_key

IDS = [f"d{at}" for at in range(50)]
TEXTS = [f"text {at % 40}" for at in range(50)]
ROWS = np.random.default_rng(0).normal(size=(50, 6)).astype(np.float32)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A table in two parts, ten of its texts there twice."""
    cut = np.arange(50) % 7 == 0
    keys = [content_key(text) for text in TEXTS]
    parts = [(IDS[a:b], keys[a:b], cut[a:b], ROWS[a:b]) for a, b in ((0, 20), (20, 50))]
    save_table(tmp_path, 50, 6, parts)
    return tmp_path


def test_vectors_are_found_by_content(folder: Path) -> None:
    """Each known text has its vector; of equal texts the first one's; others have none."""
    table = load_table(folder, 6)
    assert table is not None
    there, found, cut = table.find([content_key(text) for text in ("text 39", "stale", "text 0", "text 7")])
    assert there.tolist() == [True, False, True, True]
    np.testing.assert_array_equal(found, ROWS[[39, 0, 7]])
    assert cut.tolist() == [False, True, True]


def test_vectors_are_found_by_id(folder: Path) -> None:
    """Each document has its own."""
    table = load_table(folder, 6)
    assert table is not None
    there, found = table.find_ids(["d45", "unknown", "d5"])
    assert there.tolist() == [True, False, True]
    np.testing.assert_array_equal(found, ROWS[[45, 5]])
    assert table.find_ids([])[0].shape == (0,)


def test_it_is_mapped_and_not_read(folder: Path) -> None:
    """The vectors stay on the disk until they are asked for."""
    table = load_table(folder, 6)
    assert table is not None
    assert isinstance(table.vectors, np.memmap)


def test_there_may_be_none(tmp_path: Path) -> None:
    """A folder without a table is no error."""
    assert load_table(tmp_path, 6) is None


@pytest.mark.parametrize("harm", ["dimension", "keys", "bytes"])
def test_parts_that_do_not_fit_are_refused(folder: Path, harm: str) -> None:
    """Another dimension, other keys, or no array at all."""
    if harm == "keys":
        np.savez(
            folder / KEYS, ids=np.zeros((2, 2), np.uint64), contents=np.zeros((2, 2), np.uint64), cut=[True]
        )
    if harm == "bytes":
        (folder / VECTORS).write_bytes(b"no array")
    with pytest.raises(Corrupt, match=VECTORS):
        load_table(folder, 5 if harm == "dimension" else 6)
