"""Names of tenants, rankers, versions and stages: checked in one place, since they become folder names."""

import re
from functools import lru_cache
from typing import NamedTuple

from features.errors import InvalidInput

DEFAULT = "default"
NAME = r"^[a-z0-9][a-z0-9_-]{0,62}\Z"


class RankerName(NamedTuple):
    """A ranker, and the version that a caller pins; None = the promoted one."""

    ranker: str
    version: str | None


def is_name(name: str) -> bool:
    """Whether a folder of the store, or a stage, may be called that."""
    return re.match(NAME, name) is not None


def check_name(name: str, path: str) -> str:
    """The name itself.

    Raises:
        InvalidInput: unless it is 1 to 63 of a-z, 0-9, "_" and "-", and starts with a letter or digit.
    """
    if is_name(name):
        return name
    shown = name if len(name) <= 80 else name[:77] + "..."
    raise InvalidInput(
        f"{shown!r} is no name: 1 to 63 of a-z, 0-9, '_' and '-', first a letter or digit", path=path
    )


@lru_cache(1_024)
def parse_ranker(name: str, path: str = "ranker") -> RankerName:
    """`name`, `name@version`, or nothing for the ranker called `default`.

    Raises:
        InvalidInput: for anything else.
    """
    ranker, pinned, version = name.partition("@")
    checked = check_name(ranker or DEFAULT, path)
    return RankerName(checked, check_name(version, path) if pinned else None)
