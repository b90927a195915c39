"""What is in a bundle, and whether its bytes are still those that were written."""

import hashlib
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec

from cascade.files import read_text, relative_files
from features.digests import digest
from features.errors import Corrupt, NotFound, NotReady

SCHEMA = 1
MANIFEST = "manifest.json"
CONFIG = "cascade.toml"
GOLDEN = "golden.json"
FEATURES = "features"
STAGES = "stages"


class FileEntry(msgspec.Struct, frozen=True):
    """A file's SHA-256 (hexadecimal) and its size in bytes."""

    sha256: str
    size: int


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """What a bundle is.

    Attributes:
        schema: of the bundle's layout; a newer one than this code knows is refused.
        cascade: the ranker's name when it was trained.
        created: when, UTC.
        fingerprint: of the feature set with what it learned.
        metrics: what the ranker reached when it was trained, the main one first.
        data: where the labels came from and when they were given.
        tools: versions of the libraries that trained it.
        files: path → size and digest of every file but the manifest.
    """

    schema: int
    cascade: str
    created: datetime
    fingerprint: str
    files: dict[str, FileEntry]
    metrics: dict[str, float] = {}
    data: dict[str, Any] = {}
    tools: dict[str, str] = {}


@dataclass(frozen=True, slots=True, eq=False)
class Bundle:
    """A bundle whose every file is the one that was written."""

    directory: Path
    manifest: Manifest
    version: str

    @property
    def source(self) -> str:
        """The `cascade.toml`."""
        return read_text(self.directory / CONFIG)


def open_bundle(directory: Path) -> Bundle:
    """The bundle of a directory, every digest verified.

    Raises:
        NotFound: if there is no bundle.
        NotReady: if a newer Sluice wrote it.
        Corrupt: naming the file that is missing, that nothing accounts for, or that has changed.
    """
    bundle = read_manifest(directory)
    wanted, found = bundle.manifest.files, relative_files(directory)
    for path in sorted(set(found) - set(wanted) - {MANIFEST}):
        raise Corrupt("is not in the manifest; publish the bundle again", path=path)
    for path in sorted({*wanted, CONFIG, GOLDEN} - set(found)):
        raise Corrupt("is missing; publish the bundle again", path=path)
    for path, entry in wanted.items():
        verify_file(directory, path, entry)
    return bundle


def read_manifest(directory: Path) -> Bundle:
    """The bundle of a directory, its files not yet verified: enough to list it."""
    path = directory / MANIFEST
    if not path.is_file():
        raise NotFound(f"{directory} is no bundle: it has no {MANIFEST}")
    data = path.read_bytes()
    return Bundle(directory, decode_manifest(data), hashlib.sha256(data).hexdigest()[:16])


def decode_manifest(data: bytes) -> Manifest:
    """The manifest, its schema looked at before the rest, which a newer one may have changed."""
    try:
        schema = msgspec.json.decode(data, type=Schema).schema
        if schema > SCHEMA:
            raise NotReady(f"the bundle has schema {schema} and this Sluice reads up to {SCHEMA}; upgrade it")
        return msgspec.json.decode(data, type=Manifest)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise Corrupt(str(error), path=MANIFEST) from None


class Schema(msgspec.Struct, frozen=True):
    """The one key of a manifest that never changes."""

    schema: int


def verify_file(directory: Path, path: str, entry: FileEntry) -> None:
    """Refuse a file that is not the one that was written."""
    file = directory / path
    if file.is_symlink() or not file.is_file():
        raise Corrupt("is no plain file; publish the bundle again", path=path)
    size = file.stat().st_size
    if size != entry.size:
        raise Corrupt(f"has {size} bytes instead of {entry.size}; publish the bundle again", path=path)
    if digest(file) != entry.sha256:
        raise Corrupt("has other bytes than were written (SHA-256); publish the bundle again", path=path)
