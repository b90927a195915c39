"""Files that survive a crash: written, flushed to the disk, and only then put in place."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from fcntl import LOCK_EX, LOCK_NB, flock
from pathlib import Path
from uuid import uuid4

from features.errors import NotFound

ASIDE = ".removed-"
"""Begins the name of a directory that is being removed; it is nobody's name."""


def write_durably(path: Path, data: bytes) -> None:
    """A file whose bytes are on the disk on return (its name is once its directory is synced)."""
    with path.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def replace_durably(path: Path, data: bytes) -> None:
    """A file that readers see with its old bytes or its new ones. One writer at a time: see `locked`."""
    staged = path.with_name(f".{path.name}.new")
    write_durably(staged, data)
    staged.replace(path)
    sync_directory(path.parent)


def sync_directory(directory: Path) -> None:
    """Names in a directory, flushed to the disk."""
    handle = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def sync_tree(directory: Path) -> None:
    """Every file and every directory under (and with) a directory, flushed to the disk."""
    for folder, _, names in os.walk(directory, topdown=False):
        for name in names:
            sync_file(Path(folder) / name)
        sync_directory(Path(folder))


def sync_file(path: Path) -> None:
    """A file's bytes, flushed to the disk."""
    with path.open("rb") as file:
        os.fsync(file.fileno())


def relative_files(directory: Path) -> list[str]:
    """Paths of all files (and links, which are never followed) under a directory, sorted, with `/`."""
    found = []
    for folder, folders, names in os.walk(directory):
        links = [name for name in folders if (Path(folder) / name).is_symlink()]
        found += [(Path(folder) / name).relative_to(directory).as_posix() for name in names + links]
    return sorted(found)


def make_directory(directory: Path) -> None:
    """A directory with its parents, each name flushed to the disk."""
    if directory.is_dir():
        return
    make_directory(directory.parent)
    directory.mkdir(exist_ok=True)
    sync_directory(directory.parent)


def read_text(path: Path) -> str:
    """A UTF-8 file that a person named.

    Raises:
        NotFound: if it is not there, is a directory, or is not text.
    """
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "is not UTF-8 text"
        raise NotFound(f"cannot read {path}: {reason}") from None


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """An exclusive lock between processes and threads; it ends with the process, however that ends."""
    handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        flock(handle, LOCK_EX)
        yield
    finally:
        os.close(handle)


@contextmanager
def held(directory: Path) -> Iterator[None]:
    """A directory marked as in use by a living process, for `is_held`."""
    handle = os.open(directory, os.O_RDONLY)
    try:
        flock(handle, LOCK_EX | LOCK_NB)
        yield
    finally:
        os.close(handle)


def is_held(directory: Path) -> bool:
    """Whether a living process works in a directory."""
    try:
        handle = os.open(directory, os.O_RDONLY)
    except FileNotFoundError:
        return False
    try:
        flock(handle, LOCK_EX | LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(handle)
    return False


def remove_tree(directory: Path) -> None:
    """A directory and all in it, if it is there."""
    shutil.rmtree(directory, ignore_errors=True)


def put_aside(directory: Path) -> Path:
    """A directory under a name at which nobody looks, to be removed from there."""
    aside = directory.with_name(f"{ASIDE}{uuid4().hex}")
    directory.rename(aside)
    sync_directory(directory.parent)
    return aside


def sweep_aside(root: Path) -> tuple[Path, ...]:
    """Remove what was put aside by processes that died before they had removed it; what cannot be removed."""
    for path in root.glob(f"{ASIDE}*"):
        remove_tree(path)
    return tuple(sorted(root.glob(f"{ASIDE}*")))
