"""What config.json declares, read with errors that name the key."""

from collections.abc import Mapping
from typing import Any

from features.errors import InvalidInput
from training.export.checkpoint import CONFIG


class NotPacked(InvalidInput):
    """A sound checkpoint that no packed graph is written for; a plain export may do."""


def one_label(config: Mapping[str, Any]) -> None:
    """Refuse a classifier of several labels."""
    labels = config.get("num_labels", len(config.get("id2label") or {"0": ""}))
    if labels != 1 and "id2label" in config:
        raise InvalidInput(f"has {labels} labels where a ranker needs 1", path=f"{CONFIG}: id2label")


def size(config: Mapping[str, Any], key: str) -> int:
    """A size that config.json declares."""
    found = config.get(key)
    if not isinstance(found, int) or found < 1:
        raise InvalidInput(f"is {found!r} where a positive whole number is meant", path=f"{CONFIG}: {key}")
    return found


def expect(config: Mapping[str, Any], key: str, value: object, default: object = None) -> None:
    """Refuse a configuration that says otherwise."""
    found = config.get(key, default)
    if found != value:
        raise NotPacked(f"is {found!r} where {value!r} is exported", path=f"{CONFIG}: {key}")
