"""Bundles on their way into a store: complete, verified and on the disk before anybody can see them."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from uuid import uuid4

from cascade.files import held, is_held, locked, remove_tree, sync_directory
from cascade.manifest import open_bundle
from features.errors import SluiceError

STAGING = ".staging"
LOCK = ".lock"


@contextmanager
def staging(home: Path) -> Iterator[Path]:
    """A staging folder of our own, after those of the dead are gone; it is removed if it is still there."""
    staged = home / STAGING / uuid4().hex
    with ExitStack() as stack:
        with locked(home / LOCK):
            sweep(home / STAGING)
            staged.mkdir()
            stack.callback(remove_tree, staged)
            stack.enter_context(held(staged))
        yield staged


def sweep(directory: Path) -> None:
    """Remove the staging folders that no living process holds."""
    for folder in directory.iterdir():
        if not is_held(folder):
            remove_tree(folder)


def put_in_place(staged: Path, target: Path) -> None:
    """Move a bundle to where readers look. One that is there stays, unless it has come to harm."""
    if target.exists():
        if is_sound(target):
            return
        target.rename(staged.with_name(f"{staged.name}-harmed"))
    staged.rename(target)
    sync_directory(target.parent)


def is_sound(directory: Path) -> bool:
    """Whether a directory holds a bundle with all digests right."""
    try:
        open_bundle(directory)
    except SluiceError:
        return False
    return True
