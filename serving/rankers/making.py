"""A version's bundle into a ranker, though somebody may be replacing it at the same time."""

import os
from pathlib import Path

from cascade.ranker import Ranker
from features.errors import Corrupt, Unavailable
from serving.convert import reads_of
from serving.rankers.served import Handle, Load, Served, Source

TRIES = 3

Prints = tuple[tuple[str, int, int, int], ...]
"""Path, inode, size and time of change of every file."""


def make(store: Source, load: Load, handle: Handle) -> Served:
    """The ranker of a version.

    Raises:
        Corrupt: if the folder holds another version than its name says.
        Unavailable: if the bundle was another one after loading than before, several times in a row.
        And whatever loading raises.
    """
    directory = store.path(*handle)
    made = steadily(directory, load, handle[1])
    if made.version != handle[2]:
        raise Corrupt(f"holds version {made.version}; publish {handle[2]} again", path=str(directory))
    return Served(made, reads_of(made.inputs))


def steadily(directory: Path, load: Load, name: str) -> Ranker:
    """What was loaded while no file changed; what failed meanwhile is tried again."""
    for left in reversed(range(TRIES)):
        before = prints(directory)
        try:
            made = load(directory, name)
        except Exception:
            if not left or prints(directory) == before:
                raise
            continue
        if prints(directory) == before:
            return made
    raise Unavailable(f"the bundle of {name!r} changed while it was loaded")


def prints(directory: Path) -> Prints:
    """What tells whether a file under a directory was replaced."""
    found = []
    for folder, _, names in os.walk(directory):
        for name in names:
            path = os.path.join(folder, name)  # noqa: PTH118 (a path of hundreds of files, for every load)
            try:
                stat = os.stat(path)  # noqa: PTH116
            except FileNotFoundError:
                continue
            found.append((path, stat.st_ino, stat.st_size, stat.st_mtime_ns))
    return tuple(sorted(found))
