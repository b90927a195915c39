"""`current.json`: what a table is, replaced as a whole."""

from pathlib import Path

import msgspec

from cascade.files import replace_durably
from features.columns import Kind
from features.errors import Corrupt, NotReady

SCHEMA = 1
CURRENT = "current.json"


class ColumnNotes(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A column: its kind, and of vectors their elements."""

    kind: Kind
    width: int = 0


class PartNotes(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A part.

    Attributes:
        name: of its folder.
        rows: ids in it.
        removed: it has ids alone: documents that are no longer there.
        sizes: file → bytes, so that a torn file is found before it is read.
    """

    name: str
    rows: int
    sizes: dict[str, int]
    removed: bool = False


class TableNotes(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A table.

    Attributes:
        schema: of this layout; a newer one is refused.
        written: ISO 8601, UTC, of the last change.
        seed: of the ids' hashes, the same in every part.
        rows: documents that are there.
        columns: by name.
        parts: the oldest first; a document stands as the newest one has it.
    """

    schema: int = SCHEMA
    written: str
    seed: int
    rows: int
    columns: dict[str, ColumnNotes]
    parts: tuple[PartNotes, ...]


def read_notes(home: Path) -> TableNotes | None:
    """The table's notes; None where there is no table.

    Raises:
        NotReady: if a newer Sluice wrote them.
        Corrupt: if they are not what is written here.
    """
    path = home / CURRENT
    try:
        notes = msgspec.json.decode(path.read_bytes(), type=TableNotes)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise Corrupt(f"{error}; load the documents again", path=str(path)) from None
    if notes.schema > SCHEMA:
        told = f"the table has schema {notes.schema}, and this Sluice reads up to {SCHEMA}; upgrade it"
        raise NotReady(told)
    return notes


def write_notes(home: Path, notes: TableNotes) -> None:
    """Let readers see another table."""
    replace_durably(home / CURRENT, msgspec.json.format(msgspec.json.encode(notes), indent=2))
