"""A writer that dies, and readers amid writers."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from cascade.documents import Documents, open_table
from cascade.documents.source import open_source
from features.errors import Corrupt, NotReady, Unavailable

Load = Callable[..., Documents]

KILLED = """
import os, signal, sys
from pathlib import Path
from cascade.documents import Documents, writer
from cascade.documents.source import open_source

def die(*_):
    os.kill(os.getpid(), signal.SIGKILL)

setattr(writer, sys.argv[1], die)
documents = Documents(Path(sys.argv[2]), "shop")
getattr(documents, sys.argv[3])(open_source(Path(sys.argv[4])))
"""


@pytest.mark.parametrize(("act", "at"), [("replace", "write_notes"), ("upsert", "append")])
def test_a_kill_leaves_the_table_before(load: Load, parquet: Callable[..., Path], at: str, act: str) -> None:
    """A process killed before its part is named changes nothing; the next writer sweeps up."""
    documents = load({"id": ["a"], "title": ["A"]})
    file = parquet({"id": ["b"], "title": ["B"]})
    arguments = [sys.executable, "-c", KILLED, at, str(documents.home.parents[1]), act, str(file)]
    assert subprocess.run(arguments, check=False, timeout=120).returncode == -signal.SIGKILL
    folders = [path for path in documents.home.iterdir() if path.is_dir()]
    assert len(folders) == 2, "the half-written part is still there"
    table = documents.table()
    assert (table.document("a"), table.document("b")) == ({"title": "A"}, None)
    again = load({"id": ["c"], "title": ["C"]}, upsert=True).table()
    assert [again.find([name]).unknown for name in "abc"] == [0, 1, 0]
    assert len([path for path in documents.home.iterdir() if path.is_dir()]) == 2


def test_readers_amid_writers(load: Load, parquet: Callable[..., Path]) -> None:
    """While a table is replaced over and over, every reader sees one whole table, never a mixture."""
    documents = load({"id": ["a", "b"], "n": [0.0, 0.0]})
    files = [parquet({"id": ["a", "b"], "n": [float(number)] * 2}) for number in range(8)]
    wrong: list[object] = []
    ended = threading.Event()

    def read() -> None:
        while not ended.is_set():
            try:
                table = open_table(documents.home)
                assert table is not None
                one, two = table.column("n", table.find(["a", "b"])).values.tolist()
                if one != two:
                    wrong.append((one, two))
            except Unavailable:  # replaced as often as it was looked at: the caller has the table before
                continue
            except BaseException as error:
                wrong.append(error)

    threads = [threading.Thread(target=read) for _ in range(2)]
    for thread in threads:
        thread.start()
    for file in files * 3:
        documents.replace(open_source(file))
    ended.set()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_torn_and_foreign_files(load: Load) -> None:
    """A file of another size than was written, notes that are none, and a newer layout are told apart."""
    documents = load({"id": ["a"], "n": [1.0]})
    notes = documents.home / "current.json"
    written = notes.read_text()
    (keys,) = documents.home.glob("*/keys.bin")
    os.truncate(keys, keys.stat().st_size - 1)
    with pytest.raises(Corrupt, match=r"keys\.bin: has .* bytes instead of"):
        documents.table()
    notes.write_text(written.replace('"schema": 1', '"schema": 2'))
    with pytest.raises(NotReady, match="upgrade it"):
        documents.table()
    notes.write_text(written[:-20])
    with pytest.raises(Corrupt, match="load the documents again"):
        documents.table()
    keys.unlink()
    notes.write_text(written)
    with pytest.raises(Unavailable, match="lacks a part"):
        documents.table()


def test_ids_are_never_taken_for_each_other(load: Load, monkeypatch: pytest.MonkeyPatch) -> None:
    """Even if all hashes were equal, each id finds its own row, and unknown ones none."""
    import cascade.documents.index as index

    monkeypatch.setattr(index, "hashed", lambda data, starts, seed: np.full(len(starts) - 1, 7, np.uint64))
    names = [f"id-{number}" for number in range(50)]
    table = load({"id": names, "n": [float(number) for number in range(50)]}).table()
    found = table.find([*reversed(names), "id-50", "id-"])
    assert table.column("n", found).values[:50].tolist() == list(range(49, -1, -1))
    assert found.unknown == 2
