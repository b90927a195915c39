"""The file that says which version serves."""

from pathlib import Path

import msgspec

from cascade.files import replace_durably
from cascade.promotion import Promotion
from features.errors import Corrupt

PROMOTED = "promoted.json"


def read_promotion(path: Path) -> Promotion:
    """What serves; nothing where the file is not there.

    Raises:
        Corrupt: if the file is not what promoting writes.
    """
    try:
        return msgspec.json.decode(path.read_bytes(), type=Promotion)
    except FileNotFoundError:
        return Promotion()
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        where = "/".join(path.parts[-3:])  # tenant, ranker and file: callers need not know where the store is
        raise Corrupt(f"{error}; promote a version again after removing the file", path=where) from None


def write_promotion(path: Path, before: Promotion, after: Promotion) -> None:
    """Let another version serve, if it is another one."""
    if after != before:
        replace_durably(path, msgspec.json.encode(after))
